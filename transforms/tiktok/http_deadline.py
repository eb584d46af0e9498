"""What `requests` lacks for the promises of `EventsApi`: a deadline for a whole reply, and a time-out for sending.

In: sessions and bodies of `requests`. Out: the same exchange, through connections of urllib3 that are extended where
urllib3 and `http.client` let subclasses do so:

* A socket's time-out starts anew with every byte, so a server could drip on for ever. Here the time-out with which a
  reply begins holds for all of it; the same goes for a proxy's reply to CONNECT.
* urllib3 sends bodies with the time-out to connect. Here they have a time-out of their own: `Upload.timeout_secs`.
* `http.client` takes an announcement (103 Early Hints) for the reply, and drops what follows a reply unseen. Here the
  first is passed over, and a connection with the second is not used again: it would answer the next request.
"""

import contextlib
import http.client
import io
import math
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from email.errors import MissingHeaderBodySeparatorDefect
from http.cookiejar import DefaultCookiePolicy
from typing import Any, cast

import requests
import urllib3
from requests.adapters import HTTPAdapter
from requests.structures import CaseInsensitiveDict
from urllib3.connection import HTTPConnection, HTTPSConnection


class Upload:
    """A body for `requests`, sent piece by piece.

    Args:
      pieces: of the body.
      size_bytes: of all pieces together.
      timeout_secs: for all pieces, and once more for the last one if nobody takes it.

    Attributes:
      begun: something of it was asked for, to be handed to the network.
    """

    def __init__(self, pieces: Iterator[bytes | memoryview], size_bytes: int, timeout_secs: float) -> None:
        self.begun = False
        self.timeout_secs = timeout_secs
        self._pieces = pieces
        self._size_bytes = size_bytes

    def __len__(self) -> int:
        """Returns its bytes: with them `requests` sets Content-Length."""
        return self._size_bytes

    def __iter__(self) -> Iterator[bytes | memoryview]:
        deadline = time.monotonic() + self.timeout_secs
        for piece in self._pieces:
            if self.begun and time.monotonic() > deadline:
                raise TimeoutError("timed out")
            self.begun = True
            yield piece


class _DeadlineReader(io.RawIOBase):
    """Reads a socket's file until a deadline: the socket's time-out from now on."""

    def __init__(self, file: socket.SocketIO, sock: socket.socket) -> None:
        self._file = file
        self._sock = sock
        self._deadline = time.monotonic() + (sock.gettimeout() or math.inf)
        self._is_first = True
        self._is_over = False

    def readable(self) -> bool:
        """Returns True."""
        return True

    def readinto(self, buffer: Any) -> int | None:
        """Reads what comes first, as `io.RawIOBase.readinto`; None once the reply is over."""
        if self._is_over:
            return None
        if self._is_first:
            # The time-out is set already, and most replies come at once: setting it again is a turn of Python's lock.
            self._is_first = False
        else:
            left_secs = self._deadline - time.monotonic()
            if left_secs <= 0:
                raise TimeoutError("timed out")
            self._sock.settimeout(left_secs)
        return self._file.readinto(buffer)

    def end(self) -> None:
        """Reads no more from the socket."""
        self._is_over = True

    def spoil(self) -> None:
        """Makes urllib3 see, when it takes the connection from its pool, that it is not to be used again."""
        # TLS within the TLS of a proxy has no such call.
        with contextlib.suppress(OSError, AttributeError):
            self._sock.shutdown(socket.SHUT_RD)

    def close(self) -> None:
        """Closes the file, not the connection."""
        self._file.close()
        super().close()


class _ReplyFile(io.BufferedReader):
    """What `http.client` reads a reply from, and closes at the reply's end."""

    def __init__(self, reader: _DeadlineReader) -> None:
        super().__init__(reader)
        self._reader = reader

    def close(self) -> None:
        """Closes the file; a connection on which something has followed the reply is not used again."""
        if not self.closed:
            self._reader.end()
            if self.peek(1):
                self._reader.spoil()
        super().close()


class _DeadlineResponse(http.client.HTTPResponse):
    """A reply that is complete in time, or raises TimeoutError."""

    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        file = cast(socket.SocketIO, self.fp.detach())  # of `socket.makefile`
        self.fp = _ReplyFile(_DeadlineReader(file, sock))

    def begin(self, *args: Any, **kwargs: Any) -> None:
        """Reads status and headers, those of announcements first (1xx).

        Raises:
          http.client.HTTPException: the headers break off, or the other side goes over to another protocol, which
            nobody asked for.
        """
        super().begin(*args, **kwargs)
        while 100 <= self.status < 200:
            if self.status == http.HTTPStatus.SWITCHING_PROTOCOLS:
                raise http.client.HTTPException("another protocol")
            self.headers = None  # type: ignore[assignment]  # as before the first call
            super().begin(*args, **kwargs)
        if any(isinstance(defect, MissingHeaderBodySeparatorDefect) for defect in self.headers.defects):
            raise http.client.HTTPException("the headers break off")


class _Sending:
    """What our connections have beside those of urllib3."""

    response_class = _DeadlineResponse

    def request(self: Any, method: str, url: str, body: Upload, *args: Any, **kwargs: Any) -> None:
        """Sends a request; its body in the body's own time."""
        if self.is_closed:
            self.connect()
        # urllib3 sets it on the socket next.
        self.timeout = body.timeout_secs
        super().request(method, url, body, *args, **kwargs)  # type: ignore[misc]  # that of HTTPConnection


class _HTTPConnection(_Sending, HTTPConnection):  # type: ignore[misc]  # `request` takes fewer kinds of bodies
    pass


class _HTTPSConnection(_Sending, HTTPSConnection):  # type: ignore[misc]
    pass


class _HTTPPool(urllib3.HTTPConnectionPool):
    ConnectionCls = _HTTPConnection  # type: ignore[assignment]  # for the same reason


class _HTTPSPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _HTTPSConnection  # type: ignore[assignment]


class _Adapter(HTTPAdapter):
    """Pools of such connections, to the host itself and behind a proxy."""

    def __init__(self, connections: int) -> None:
        self._lock = threading.Lock()
        super().__init__(pool_connections=1, pool_maxsize=connections, max_retries=0)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Makes the pools of connections without a proxy."""
        super().init_poolmanager(*args, **kwargs)
        _extend(self.poolmanager)

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> urllib3.ProxyManager:
        """Returns the pools of connections behind a proxy; the same ones to all threads."""
        with self._lock:
            manager: urllib3.ProxyManager = super().proxy_manager_for(*args, **kwargs)
            _extend(manager)
        return manager


def _extend(manager: urllib3.PoolManager) -> None:
    manager.pool_classes_by_scheme = {"http": _HTTPPool, "https": _HTTPSPool}


class DeadlineSession(requests.Session):
    """A session for one host, whose `send` any number of threads may call.

    `requests` does not promise that a session is safe to share. What `send` changes in one is its cookies, and this
    one takes none; what `send` uses besides is read only, or made for threads (urllib3's pools). So requests are
    prepared once, before threads come, and each is sent as a copy with time-outs, proxies and authorities of its own.

    It follows no redirects and reads nothing of the environment: no proxies, no authorities, no `.netrc`.

    Args:
      headers: of every request; none else is sent but those for its host, length and token.
      connections: kept open, at most.
    """

    def __init__(self, headers: Mapping[str, str], connections: int) -> None:
        super().__init__()
        self.trust_env = False
        self.headers = CaseInsensitiveDict(headers)
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=()))
        adapter = _Adapter(connections)
        for scheme in ("https://", "http://"):
            self.mount(scheme, adapter)

    def get_redirect_target(self, resp: requests.Response) -> None:
        """Returns None: also with `allow_redirects=False`, a session would read the whole body of a redirect."""
