// Serves Google's own fake of Cloud Pub/Sub (package pstest of its Go client) on one address of loopback, until its
// standard input closes or a signal comes. Prints "READY HOST:PORT". Independent of this project: the behaviour is
// Google's.
package main

import (
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"os/signal"
	"syscall"

	pb "cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"cloud.google.com/go/pubsub/v2/pstest"
	"google.golang.org/grpc"
)

const maxBytes = 64 << 20

func main() {
	fake := pstest.NewServer()
	defer fake.Close()
	// The fake listens too, with gRPC's 4 MB limit; here its services are served again without it.
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	server := grpc.NewServer(grpc.MaxRecvMsgSize(maxBytes), grpc.MaxSendMsgSize(maxBytes))
	pb.RegisterPublisherServer(server, &fake.GServer)
	pb.RegisterSubscriberServer(server, &fake.GServer)
	go func() {
		if err := server.Serve(listener); err != nil {
			log.Fatal(err)
		}
	}()
	fmt.Println("READY", listener.Addr())
	over := make(chan os.Signal, 1)
	signal.Notify(over, syscall.SIGINT, syscall.SIGTERM)
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		over <- syscall.SIGTERM
	}()
	<-over
	server.Stop()
}
