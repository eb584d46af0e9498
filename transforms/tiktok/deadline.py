"""A read time-out for a whole reply: the one of `requests` starts anew with every byte, so a server could drip on."""

import http.client
import io
import math
import socket
import time
from typing import Any

import requests
import urllib3
from requests.adapters import HTTPAdapter


class _DeadlineStream(io.RawIOBase):
    """What a socket receives, until a deadline for all of it; a socket's own time-out starts anew with every byte.

    Stands in for the socket in `http.client.HTTPResponse`, which calls `makefile` and nothing else.
    """

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._raw = sock.makefile("rb", buffering=0)
        # urllib3 has set the read time-out on the socket just before it makes the response.
        self._deadline = time.monotonic() + (sock.gettimeout() or math.inf)

    def makefile(self, mode: str) -> io.BufferedReader:
        """Returns this stream with a buffer, for reading."""
        return io.BufferedReader(self)

    def readable(self) -> bool:
        """Returns True, which the buffer asks for."""
        return True

    def readinto(self, buffer: Any) -> int | None:
        """Receives into the buffer; raises TimeoutError at the deadline."""
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("timed out")
        self._sock.settimeout(left)
        return self._raw.readinto(buffer)

    def close(self) -> None:
        """Lets go of the socket; the connection stays open for the next request."""
        self._raw.close()
        super().close()


class _DeadlineResponse(http.client.HTTPResponse):
    """A response whose status line, headers and body together must arrive within the read time-out."""

    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(_DeadlineStream(sock), *args, **kwargs)  # type: ignore[arg-type]


class _HTTPConnection(urllib3.connection.HTTPConnection):
    response_class = _DeadlineResponse


class _HTTPSConnection(urllib3.connection.HTTPSConnection):
    response_class = _DeadlineResponse


class _HTTPPool(urllib3.HTTPConnectionPool):
    ConnectionCls = _HTTPConnection


class _HTTPSPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _HTTPSConnection


class DeadlineAdapter(HTTPAdapter):
    """An adapter of `requests` whose read time-out holds for a whole reply."""

    def init_poolmanager(self, connections: int, maxsize: int, block: bool = False, **pool_kwargs: Any) -> None:
        """Makes the pools, with our connections in them."""
        super().init_poolmanager(connections, maxsize, block, **pool_kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _HTTPPool, "https": _HTTPSPool}

    def pool(self, request: requests.PreparedRequest) -> urllib3.HTTPConnectionPool:
        """Returns the pool that `send` would take for a request: certificates are verified, no proxy is used."""
        # `requests` offers both calls to subclasses, in place of the lower half of its own `send`.
        pool: Any = self.get_connection_with_tls_context(request, verify=True, proxies={})
        self.cert_verify(pool, request.url, verify=True, cert=None)  # type: ignore[no-untyped-call]
        return pool  # type: ignore[no-any-return]
