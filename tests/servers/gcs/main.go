// Command gcs serves fsouza/fake-gcs-server, so that tests can use gs:// without Google.
//
// Two things that Google Cloud Storage does and the server does not are put in front of it; without them Apache Beam's
// file system cannot rename or delete, and a lock object cannot be released safely:
//
//   - The parts of a batch request need no Content-ID. Google's Python client sends none, and the server leaves out
//     parts without one.
//   - DELETE obeys ifGenerationMatch.
//
// It prints "READY host:port" once it listens, and ends with its parent's signal.
package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"mime"
	"mime/multipart"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"

	"github.com/fsouza/fake-gcs-server/fakestorage"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:0", "address to listen on; port 0 takes a free one")
	flag.Parse()
	listener, err := net.Listen("tcp", *listen)
	if err != nil {
		log.Fatal(err)
	}
	address := listener.Addr().String()
	storage, err := fakestorage.NewServerWithOptions(fakestorage.Options{
		NoListener:  true,
		PublicHost:  address,
		ExternalURL: "http://" + address,
		Writer:      io.Discard,
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("READY", address)
	log.Fatal(http.Serve(listener, withBatchPartIDs(withDeletePreconditions(storage.HTTPHandler()))))
}

// withBatchPartIDs gives every part of a batch request a Content-ID.
func withBatchPartIDs(next http.Handler) http.Handler {
	return http.HandlerFunc(func(response http.ResponseWriter, request *http.Request) {
		if request.Method == http.MethodPost && strings.HasPrefix(request.URL.Path, "/batch/") {
			body, err := numberedParts(request)
			if err != nil {
				http.Error(response, err.Error(), http.StatusBadRequest)
				return
			}
			request.Body = io.NopCloser(bytes.NewReader(body))
			request.ContentLength = int64(len(body))
		}
		next.ServeHTTP(response, request)
	})
}

// numberedParts returns a multipart body under its own boundary, with a Content-ID on every part.
func numberedParts(request *http.Request) ([]byte, error) {
	_, parameters, err := mime.ParseMediaType(request.Header.Get("Content-Type"))
	if err != nil {
		return nil, err
	}
	var body bytes.Buffer
	writer := multipart.NewWriter(&body)
	if err := writer.SetBoundary(parameters["boundary"]); err != nil {
		return nil, err
	}
	reader := multipart.NewReader(request.Body, parameters["boundary"])
	for number := 0; ; number++ {
		part, err := reader.NextRawPart()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, err
		}
		if part.Header.Get("Content-ID") == "" {
			part.Header.Set("Content-ID", fmt.Sprintf("<part+%d>", number))
		}
		target, err := writer.CreatePart(part.Header)
		if err != nil {
			return nil, err
		}
		if _, err := io.Copy(target, part); err != nil {
			return nil, err
		}
	}
	err = writer.Close()
	return body.Bytes(), err
}

// withDeletePreconditions refuses to delete an object of another generation than the one named, one request at a time.
func withDeletePreconditions(next http.Handler) http.Handler {
	var deleting sync.Mutex
	return http.HandlerFunc(func(response http.ResponseWriter, request *http.Request) {
		wanted := request.URL.Query().Get("ifGenerationMatch")
		if request.Method != http.MethodDelete || wanted == "" {
			next.ServeHTTP(response, request)
			return
		}
		deleting.Lock()
		defer deleting.Unlock()
		lookup := request.Clone(request.Context())
		lookup.Method, lookup.URL.RawQuery = http.MethodGet, ""
		found := httptest.NewRecorder()
		next.ServeHTTP(found, lookup)
		var object struct {
			Generation json.Number `json:"generation"`
		}
		if found.Code == http.StatusOK && json.Unmarshal(found.Body.Bytes(), &object) == nil &&
			object.Generation.String() != wanted {
			response.Header().Set("Content-Type", "application/json")
			response.WriteHeader(http.StatusPreconditionFailed)
			fmt.Fprint(response, `{"error": {"code": 412, "message": "the object's generation is another one"}}`)
			return
		}
		next.ServeHTTP(response, request)
	})
}
