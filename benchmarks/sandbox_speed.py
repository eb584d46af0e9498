"""How much the stand-in for TikTok takes in: events per second on one core, both endpoints, eight clients.

It must not be what other benchmarks measure: it should take at least three times what the pipeline sends. The clients
run in this process, the sandbox in its own; bodies are prebuilt, only the event ids change from request to request.
(This script is not called sandbox.py, because that name would hide the package from all scripts of this folder.)

    python benchmarks/sandbox_speed.py [--seconds 4] [--clients 8] [--out FILE]
"""

import argparse
import hashlib
import json
import random
import socket
import sys
import threading
import time
import uuid
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(Path(__file__).resolve().parent)]

from common import finish  # noqa: E402 - the path is set just above

from sandbox.tiktok.control import Sandbox  # noqa: E402

SEED = 20240620
# Stands in every event id and is replaced, in all of them at once, by the number of the request.
MARK = b"@@@@@@@@@@@@"


def sha256(numbers: random.Random) -> str:
    """Returns a digest like that of an identifier."""
    return hashlib.sha256(numbers.randbytes(16)).hexdigest()


def event_id(numbers: random.Random) -> str:
    """Returns a UUID whose last 12 digits are the mark."""
    return str(uuid.UUID(bytes=numbers.randbytes(16)))[:24] + MARK.decode()


def track_event(numbers: random.Random) -> dict[str, Any]:
    """Returns an event as Events API 2.0 takes it, of ordinary size."""
    items = [str(numbers.randrange(10**6, 10**7)) for _ in range(numbers.choice((1, 1, 2)))]
    return {
        "event": numbers.choice(("PlaceAnOrder", "AddToCart", "ViewContent", "ViewContent", "InitiateCheckout")),
        "event_time": 1_718_900_000 + numbers.randrange(10**6),
        "event_id": event_id(numbers),
        "user": {
            "email": [sha256(numbers)],
            "phone": [sha256(numbers)],
            "external_id": [sha256(numbers)],
            "ip": "13.57.97.131",
            "user_agent": "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36",
            "city": "newyork",
            "state": "ny",
            "country": "us",
        },
        "properties": {
            "contents": [{"price": 25.5, "quantity": 2, "content_id": i, "content_name": "shirt"} for i in items],
            "content_ids": items,
            "content_type": "product",
            "currency": "USD",
            "value": 51.0,
            "order_id": f"A-{numbers.randrange(10**6)}",
        },
        "page": {"url": "https://shop.example/checkout/thanks", "referrer": "https://shop.example/cart"},
    }


def legacy_event(numbers: random.Random) -> dict[str, Any]:
    """Returns the same as `pixel/batch/` takes it."""
    event = track_event(numbers)
    user, properties = event["user"], event["properties"]
    return {
        "type": "track",
        "event": event["event"],
        "event_id": event["event_id"],
        "timestamp": "2024-06-20T16:15:23.456Z",
        "context": {
            "page": event["page"],
            "user": {
                "email": user["email"][0],
                "phone_number": user["phone"][0],
                "external_id": user["external_id"][0],
            },
            "user_agent": user["user_agent"],
            "ip": user["ip"],
        },
        "properties": {
            "contents": [{**content, "content_type": "product"} for content in properties["contents"]],
            "currency": "USD",
            "value": properties["value"],
        },
    }


def body(path: str, events: int) -> bytes:
    """Returns a request body with marks in place of unique event ids."""
    numbers = random.Random(SEED)  # noqa: S311 - seeded, on purpose
    if path == "event/track/":
        envelope = {"event_source": "web", "event_source_id": "PIXEL"}
        request = {**envelope, "data": [track_event(numbers) for _ in range(events)]}
    else:
        request = {"pixel_code": "PIXEL", "batch": [legacy_event(numbers) for _ in range(events)]}
    return json.dumps(request, separators=(",", ":")).encode()


class Client(threading.Thread):
    """Sends one request after the other until the time is over.

    Args:
      number: makes its event ids differ from those of the other clients.
    """

    def __init__(
        self, sandbox: Sandbox, path: str, template: bytes, number: int, until: float, keep_alive: bool
    ) -> None:
        super().__init__()
        base = urlsplit(sandbox.api_url)
        self._address = (base.hostname or "", base.port or 0)
        self._template, self._number, self._until, self._keep_alive = template, number, until, keep_alive
        self._head = (
            f"POST {base.path}{path} HTTP/1.1\r\nHost: {base.netloc}\r\nAccess-Token: {sandbox.token}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(template)}\r\n"
            f"Connection: {'keep-alive' if keep_alive else 'close'}\r\n\r\n"
        ).encode()
        self.requests = 0

    def run(self) -> None:
        """Sends."""
        connection = self._connect()
        while time.monotonic() < self._until:
            mark = f"{self._number:04x}{self.requests:08x}".encode()
            connection.sendall(self._head + self._template.replace(MARK, mark))
            reply = b""
            while not reply.endswith(b"}"):
                part = connection.recv(65536)
                assert part, "the sandbox closed the connection"
                reply += part
            assert b'"code":0,' in reply, reply
            self.requests += 1
            if not self._keep_alive:
                connection.close()
                connection = self._connect()
        connection.close()

    def _connect(self) -> socket.socket:
        connection = socket.create_connection(self._address)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection


def measure(path: str, events: int, keep_alive: bool, clients: int, secs: float) -> dict[str, Any]:
    """Returns what a fresh sandbox took in."""
    template = body(path, events)
    with Sandbox() as sandbox:
        cpu_secs = sandbox.stats().cpu_secs
        started = time.monotonic()
        threads = [Client(sandbox, path, template, n, started + secs, keep_alive) for n in range(clients)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        elapsed_secs = time.monotonic() - started
        stats = sandbox.stats()
    requests = sum(thread.requests for thread in threads)
    assert stats.keys == stats.accepted == requests * events
    cpu_secs = stats.cpu_secs - cpu_secs
    figures = {
        "path": path,
        "events_per_request": events,
        "bytes_per_event": round(len(template) / events),
        "keep_alive": keep_alive,
        "requests": requests,
        "events_per_second": round(requests * events / elapsed_secs),
        "events_per_cpu_second": round(requests * events / cpu_secs),
        "cpu_microseconds_per_request": round(cpu_secs / requests * 1e6),
        "cpu_share": round(cpu_secs / elapsed_secs, 2),
    }
    print(
        f"{path:12} {events:5} events a request of {len(template):7,} bytes, "
        f"{'keep-alive' if keep_alive else 'new connections'}: {figures['events_per_second']:8,} events/s, "
        f"{figures['events_per_cpu_second']:8,} a CPU second, {figures['cpu_microseconds_per_request']:5} us a request"
    )
    return figures


def main() -> None:
    """Runs every combination and prints the figures, the last line as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=4.0, help="for each of the combinations")
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--out", help="write the line of JSON to this file, too")
    options = parser.parse_args()
    figures = [
        measure(path, events, keep_alive, options.clients, options.seconds)
        for path, events in (("event/track/", 1_000), ("pixel/batch/", 50), ("pixel/batch/", 1))
        for keep_alive in (True, False)
    ]
    best = max(figure["events_per_second"] for figure in figures if figure["events_per_request"] == 1_000)
    whole = {"events_per_second": best, "clients": options.clients, "seconds": options.seconds, "figures": figures}
    finish("sandbox", SEED, whole, options.out)


if __name__ == "__main__":
    main()
