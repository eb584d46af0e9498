"""HTTP/1.1 over asyncio: connections that can also be reset, starved, cut off and refused. Knows nothing of TikTok.

A request is handed to a `Handler` twice: when its header has come (`arrived`) and when its body is complete
(`answer`). Requests of one connection are answered one after the other; when the client leaves, the answer that is
being made for it is cancelled.

httptools (llhttp, the parser of Node.js) reads the bytes; a frame of its own instead of a web framework, because a
framework costs 0.8 ms for each megabyte and hides the socket that the faults need.
"""

import asyncio
import contextlib
import errno
import logging
import socket
import struct
import time
import traceback
from http import HTTPStatus

import httptools

from sandbox.tiktok.messages import Handler, Reading, Reply, Request

_log = logging.getLogger(__name__)

# One read takes at most so many bytes. A request of 1 MB should need few reads.
_READ_BYTES = 1 << 20
_SLOW_READ_BYTES = 1 << 12

# Connections that wait to be accepted.
_BACKLOG = 512


class _Connection(asyncio.BufferedProtocol):
    """One client's connection."""

    # Shared by all connections: what is read is parsed before the next read.
    _buffer = memoryview(bytearray(_READ_BYTES))

    def __init__(self, listener: "Listener", handler: Handler) -> None:
        self._listener, self._handler = listener, handler
        self._loop = asyncio.get_running_loop()
        self._parser = httptools.HttpRequestParser(self)
        self._requests: asyncio.Queue[Request] = asyncio.Queue()
        self._writable = asyncio.Event()
        self._writable.set()
        self._reading: Reading | None = None
        self._parts: list[bytes] = []
        self._dead = False
        self._closing = False
        self._unanswered = 0
        self._seen = 0

    # asyncio's callbacks

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - what asyncio gives to a TCP protocol
        self._transport = transport
        self._listener.connections.add(self)
        self._task = self._loop.create_task(self._answer_all())
        self._task.add_done_callback(self._answered_all)

    def connection_lost(self, exc: Exception | None) -> None:
        self._dead = True
        self._listener.connections.discard(self)
        self._writable.set()
        self._task.cancel()
        # The parser refers to this object; without the cycle both go at once, and what was read with them.
        del self._parser
        self._parts = []

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._buffer if self._bytes_per_sec is None else self._buffer[:_SLOW_READ_BYTES]

    def buffer_updated(self, nbytes: int) -> None:
        try:
            self._parser.feed_data(self._buffer[:nbytes])
        except httptools.HttpParserError:
            if not self._dead:
                self._transport.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                self._transport.close()
            return
        if self._bytes_per_sec is not None and not self._dead:
            self._transport.pause_reading()
            self._loop.call_later(nbytes / self._bytes_per_sec, self._resume_reading)

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    # httptools' callbacks

    def on_message_begin(self) -> None:
        self._target = b""
        self._headers: dict[str, str] = {}
        self._parts = []
        self._unanswered += 1

    def on_url(self, url: bytes) -> None:
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        self._seen += 1
        self._request = Request(
            method=self._parser.get_method().decode(),
            target=self._target.decode("latin-1"),
            headers=self._headers,
            arrived_at=time.time(),
            keep_alive=self._parser.should_keep_alive(),
            first=self._seen == 1,
        )
        self._reading = self._handler.arrived(self._request)
        if self._headers.get("expect", "").lower() == "100-continue":
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, part: bytes) -> None:
        self._parts.append(part)
        if self._reading is not None and self._reading.reset:
            self.reset()

    def on_message_complete(self) -> None:
        if self._dead:
            return
        self._request.body = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
        if self._bytes_per_sec is None:
            self._requests.put_nowait(self._request)
        else:
            # The first read may have brought more than the header.
            complete_at = self._request.arrived_at + len(self._request.body) / self._bytes_per_sec
            self._loop.call_later(complete_at - time.time(), self._requests.put_nowait, self._request)
        self._reading = None
        # Bodies are large: an idle connection holds none.
        del self._request
        self._parts = []

    # The rest

    @property
    def _bytes_per_sec(self) -> int | None:
        return None if self._reading is None else self._reading.bytes_per_sec

    def _resume_reading(self) -> None:
        if not self._dead:
            self._transport.resume_reading()

    def reset(self) -> None:
        """Ends the connection with a TCP RST instead of a FIN."""
        self._dead = True
        raw: socket.socket = self._transport.get_extra_info("socket")
        with contextlib.suppress(OSError):
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._transport.abort()

    def close_when_idle(self) -> None:
        """Closes the connection now, or after the replies that are due."""
        self._closing = True
        if not self._unanswered:
            self._transport.close()

    async def _answer_all(self) -> None:
        while True:
            await self._answer_next()

    async def _answer_next(self) -> None:
        request = await self._requests.get()
        reply = await self._handler.answer(request)
        await self._send(reply, request.keep_alive)
        self._unanswered -= 1
        if reply.then_away_secs is not None:
            self._listener.go_away(reply.then_away_secs)

    def _answered_all(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            # A bug of the sandbox: the client shall not wait for ever. The message may hold values of the request.
            at = "".join(traceback.format_tb(error.__traceback__))
            _log.error("%s while answering a request, connection closed\n%s", type(error).__name__, at)
            self._transport.abort()

    async def _send(self, reply: Reply, keep_alive: bool) -> None:
        if reply.reset:
            self.reset()
            return
        ends = not keep_alive or self._closing or reply.cut_off_bytes > 0
        lines = [f"HTTP/1.1 {reply.status} {_phrase(reply.status)}", f"Content-Type: {reply.content_type}"]
        lines += [f"{name}: {value}" for name, value in reply.headers.items()]
        if ends:
            lines.append("Connection: close")
        if isinstance(reply.body, bytes):
            lines.append(f"Content-Length: {len(reply.body) + reply.cut_off_bytes}")
            self._transport.write(_head(lines) + reply.body)
        else:
            lines.append("Transfer-Encoding: chunked")
            self._transport.write(_head(lines))
            for part in reply.body:
                self._transport.write(b"%x\r\n%b\r\n" % (len(part), part))
                # Other connections get their turn between the parts.
                await asyncio.sleep(0)
                await self._writable.wait()
            self._transport.write(b"0\r\n\r\n")
        if ends:
            self._transport.close()


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"


def _head(lines: list[str]) -> bytes:
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


class Listener:
    """A listening socket that can be away for a while, and its connections."""

    def __init__(self, handler: Handler) -> None:
        self.connections: set[_Connection] = set()
        self._handler = handler
        self._server: asyncio.Server | None = None
        self._away: asyncio.Task[None] | None = None

    async def start(self, host: str, port: int) -> int:
        """Listens; returns the port, which is the one asked for or (0) a free one."""
        self._host = host
        listening = _bound(host, port)
        self._port = int(listening.getsockname()[1])
        await self._listen(listening)
        return self._port

    def go_away(self, secs: float) -> None:
        """Refuses connections for `secs`; idle ones are closed, the others after their replies."""
        if self._away is None and self._server is not None:
            self._away = asyncio.get_running_loop().create_task(self._be_away(secs))

    def stop(self) -> None:
        """Stops listening and ends every connection."""
        if self._away is not None:
            self._away.cancel()
        if self._server is not None:
            self._server.close()
        for connection in list(self.connections):
            connection.close_when_idle()

    async def _be_away(self, secs: float) -> None:
        assert self._server is not None  # noqa: S101 - checked by go_away
        self._server.close()
        for connection in list(self.connections):
            connection.close_when_idle()
        # Bound at once, so that nobody takes the port; as long as it does not listen, connections are refused.
        again = await _rebound(self._host, self._port)
        await asyncio.sleep(secs)
        await self._listen(again)
        self._away = None

    async def _listen(self, listening: socket.socket) -> None:
        self._server = await asyncio.get_running_loop().create_server(
            lambda: _Connection(self, self._handler), sock=listening, backlog=_BACKLOG
        )


def _bound(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host, port))
    except OSError:
        bound.close()
        raise
    bound.setblocking(False)
    return bound


async def _rebound(host: str, port: int) -> socket.socket:
    """Returns a socket bound to a port that the event loop is about to give back."""
    while True:
        try:
            return _bound(host, port)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            await asyncio.sleep(0.001)
