"""One HTTP/1.1 exchange: a request's bytes go out over a connection of a pool, and its reply comes in; both in time.

The pool is that of `requests` and urllib3: it resolves names, opens connections, verifies certificates and keeps
connections open. What it would do with each request besides is left out, because events that TikTok names one by one
cost ten requests for one: amid a run, urllib3 and `http.client` took 0.3 ms of processor time for each, twice as much
as this. httptools (llhttp, the parser of Node.js) reads the reply.

Neither redirects nor cookies nor proxies exist here, and a read time-out holds for a whole reply: that of a socket
starts anew with every byte, so a server could drip on.
"""

import time
import zlib
from collections.abc import Iterator
from typing import Any, Final

import httptools
import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection

# TikTok's replies have some hundred bytes; what is longer than this is no reply of the Events API.
MAX_REPLY_BYTES: Final = 1 << 20

# Of status line and headers, as far as they come in pieces.
_MAX_HEAD_BYTES: Final = 1 << 17

# By one call, unless a piece has more: each call is a turn of Python's lock, and with TLS makes records of its own.
_SENT_BYTES: Final = 1 << 18

# Of a reply.
_READ_BYTES: Final = 1 << 16

_GZIP_WBITS: Final = 31

ERRORS: Final = (
    urllib3.exceptions.HTTPError,
    OSError,
    httptools.HttpParserError,
    httptools.HttpParserUpgrade,
    zlib.error,
)
"""What `Exchange.run` raises when the network, or the other side, fails."""


class _Lending:
    """What our pools have beside those of urllib3: connections for whoever speaks HTTP himself."""

    def lend(self: Any, connect_timeout_secs: float, read_timeout_secs: float) -> HTTPConnection:
        """Returns a connection that is open and, with https, verified; its socket has the read time-out."""
        connection: HTTPConnection = self._get_conn()
        try:
            if connection.is_closed:
                connection.timeout = connect_timeout_secs
                connection.connect()
                connection.sock.settimeout(read_timeout_secs)
        except BaseException:
            self.take_back(connection, usable=False)
            raise
        return connection

    def take_back(self: Any, connection: HTTPConnection, usable: bool) -> None:
        """Keeps a connection for the next one, or closes it."""
        if not usable:
            connection.close()
        self._put_conn(connection)


class _HTTPPool(_Lending, urllib3.HTTPConnectionPool):
    pass


class _HTTPSPool(_Lending, urllib3.HTTPSConnectionPool):
    pass


Pool = _HTTPPool | _HTTPSPool


class Connections(HTTPAdapter):
    """The adapter of `requests` that holds the pool."""

    def init_poolmanager(self, connections: int, maxsize: int, block: bool = False, **pool_kwargs: Any) -> None:
        """Makes the pools, which are ours."""
        super().init_poolmanager(connections, maxsize, block, **pool_kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _HTTPPool, "https": _HTTPSPool}

    def pool(self, request: requests.PreparedRequest) -> Pool:
        """Returns the pool that `send` would take for a request: certificates are verified, no proxy is used."""
        # `requests` offers both calls to subclasses, in place of the lower half of its own `send`.
        pool: Any = self.get_connection_with_tls_context(request, verify=True, proxies={})
        self.cert_verify(pool, request.url, verify=True, cert=None)  # type: ignore[no-untyped-call]  # so is this method of requests
        return pool  # type: ignore[no-any-return]  # what requests returns has the type of another pool of urllib3's


class Exchange:
    """One request and its reply. What is known when it breaks off stays here.

    Attributes:
      begun: something of the request was handed to the network.
      status: the HTTP status, None before it has come.
      retry_after: the header Retry-After, as it came.
    """

    def __init__(self) -> None:
        self.begun = False
        self.status: int | None = None
        self.retry_after: str | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._received = bytearray()
        self._head_bytes = 0
        self._packed = False
        self._has_end = False
        self._stays_open = False
        self._over = False

    def run(
        self, pool: Pool, pieces: Iterator[bytes | memoryview], connect_timeout_secs: float, read_timeout_secs: float
    ) -> None:
        """Sends a request and receives its reply.

        Args:
          pool: gives the connection, and has it back.
          pieces: the request, its head in the first one.
          connect_timeout_secs: for each address of the host.
          read_timeout_secs: for sending all pieces, once more for the last one if nobody takes it, and then for the
            whole reply. Always the same for one pool.

        Raises:
          one of `ERRORS`: there is no connection, or no complete reply in time.
        """
        connection = pool.lend(connect_timeout_secs, read_timeout_secs)
        usable = False
        try:
            sock, sent = connection.sock, False
            try:
                self._send(sock, pieces, read_timeout_secs)
                sent = True
            except (BrokenPipeError, ConnectionResetError):
                # A server may answer and close before it has taken everything. If it has not, receiving fails as well.
                if not self.begun:
                    raise
            self._receive(sock, read_timeout_secs)
            usable = sent and self._stays_open
        finally:
            pool.take_back(connection, usable)
            # It knows this object: together they would wait for the garbage collector, after each request.
            del self._parser

    def body(self) -> bytes:
        """Returns what was received of the body, unpacked, and cut at `MAX_REPLY_BYTES`.

        Raises:
          zlib.error: it cannot be unpacked.
        """
        received = bytes(self._received[:MAX_REPLY_BYTES])
        return _unpacked(received) if self._packed else received

    def _send(self, sock: Any, pieces: Iterator[bytes | memoryview], timeout_secs: float) -> None:
        deadline = time.monotonic() + timeout_secs
        held: list[bytes | memoryview] = []
        held_bytes = 0
        for piece in pieces:
            if held and held_bytes + len(piece) > _SENT_BYTES:
                self._send_together(sock, held, deadline)
                held, held_bytes = [], 0
            held.append(piece)
            held_bytes += len(piece)
        self._send_together(sock, held, deadline)

    def _send_together(self, sock: Any, pieces: list[bytes | memoryview], deadline: float) -> None:
        left = memoryview(pieces[0] if len(pieces) == 1 else b"".join(pieces))
        while left:
            if self.begun and time.monotonic() > deadline:
                raise TimeoutError("timed out")
            # The first call sends at least a byte or raises: then nothing has left.
            sent = sock.send(left)
            self.begun = True
            left = left[sent:]

    def _receive(self, sock: Any, timeout_secs: float) -> None:
        deadline = time.monotonic() + timeout_secs
        if self._take(sock.recv(_READ_BYTES)):
            # As nearly always. Each change of a socket's time-out is a call of the system, and a turn of Python's lock.
            return
        over = False
        while not over:
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError("timed out")
            sock.settimeout(left)
            over = self._take(sock.recv(_READ_BYTES))
        sock.settimeout(timeout_secs)

    def _take(self, data: bytes) -> bool:
        """Takes what has come; returns whether the reply is complete.

        Nothing means that the other side has ended the connection.
        """
        if not data:
            # Without a length, the end of the connection is that of the reply (RFC 9112, section 6.3).
            if self.status is None or self._has_end:
                raise ConnectionError("the reply breaks off")
            return True
        if self.status is None:
            self._head_bytes += len(data)
            if self._head_bytes > _MAX_HEAD_BYTES:
                raise ConnectionError("the headers do not end")
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            # After the reply it is no part of it.
            if not self._over:
                raise
            self._stays_open = False
        if len(self._received) > MAX_REPLY_BYTES:
            self._over, self._stays_open = True, False
        return self._over

    # What httptools calls.

    def on_message_begin(self) -> None:
        """Begins a message. What follows the reply answers nothing: its connection is not used again."""
        if self._over:
            self._stays_open = False

    def on_header(self, name: bytes, value: bytes) -> None:
        """Takes a header, if it matters."""
        if self._over:
            return
        name = name.lower()
        if name == b"retry-after":
            self.retry_after = value.decode("latin-1")
        elif name == b"content-encoding":
            self._packed = value.strip().lower() in (b"gzip", b"x-gzip")
        elif name in (b"content-length", b"transfer-encoding"):
            self._has_end = True

    def on_headers_complete(self) -> None:
        """Takes the status, unless it announces another (1xx)."""
        status = self._parser.get_status_code()
        if not self._over and status >= 200:
            self.status = status
            self._stays_open = self._parser.should_keep_alive()

    def on_body(self, piece: bytes) -> None:
        """Takes a piece of the body."""
        if not self._over and len(self._received) <= MAX_REPLY_BYTES:
            self._received += piece

    def on_message_complete(self) -> None:
        """Ends the reply, unless it announced another."""
        self._over = self._over or self.status is not None


def _unpacked(packed: bytes) -> bytes:
    """Returns what gzip has packed, however often in a row, cut at the limit.

    Raises:
      zlib.error: it is no gzip, or breaks off.
    """
    found = bytearray()
    while packed and len(found) < MAX_REPLY_BYTES:
        unpacker = zlib.decompressobj(_GZIP_WBITS)
        found += unpacker.decompress(packed, MAX_REPLY_BYTES - len(found))
        if not unpacker.eof and len(found) < MAX_REPLY_BYTES:
            raise zlib.error("the end is missing")
        packed = unpacker.unused_data
    return bytes(found)
