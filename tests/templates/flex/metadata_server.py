"""A stand-in for the metadata server of a Google Cloud machine, from which the launcher has its credentials."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

_ACCOUNT = "worker@acme-prod.iam.gserviceaccount.com"

_INFO = json.dumps(
    {"email": _ACCOUNT, "aliases": ["default"], "scopes": ["https://www.googleapis.com/auth/cloud-platform"]}
)

# Source: Compute Engine, "About VM metadata"; google-auth, `compute_engine/_metadata.py`. The account answers to its
# e-mail too: google-auth asks for that once it knows it, as the second of two threads with the same credentials does.
_ANSWERS = {
    "/computeMetadata/v1/project/project-id": "acme-prod",
    "/computeMetadata/v1/universe/universe-domain": "googleapis.com",
    "/computeMetadata/v1/instance/service-accounts/default/": _INFO,
    f"/computeMetadata/v1/instance/service-accounts/{_ACCOUNT}/": _INFO,
}
_TOKEN = json.dumps({"access_token": "a-token-of-no-use", "expires_in": 3600, "token_type": "Bearer"})


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:  # noqa: N802  # the name that http.server calls
        path = self.path.partition("?")[0]
        body = _TOKEN if path.endswith("/token") else _ANSWERS.get(path, "" if path == "/" else None)
        self.send_response(404 if body is None else 200)
        self.send_header("Metadata-Flavor", "Google")
        self.send_header("Content-Type", "application/json" if body and body.startswith("{") else "text/plain")
        self.end_headers()
        self.wfile.write((body or "").encode())

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # its own name
        """Says nothing."""


class _Server(ThreadingHTTPServer):
    # Several threads of one program ask at the same time; with the usual five, some would be refused.
    request_queue_size = 64


@contextmanager
def running() -> Iterator[str]:
    """Runs a server and yields its address, as GCE_METADATA_HOST wants it."""
    with _Server(("127.0.0.1", 0), _Handler) as server:
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()
