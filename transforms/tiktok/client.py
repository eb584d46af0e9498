"""One POST to the Events API: a finished body and a token go out, a `Reply` comes back, whatever the network does.

Trouble of the network is a value (`Trouble`), not an exception. What the reply means is read in
`transforms.tiktok.reply`; whether to try again is decided above both.

Connections are those of an `HTTPAdapter` of `requests`, without a `Session`: a session adds cookies, redirects (it
reads the whole body of a redirect, however long), `.netrc` and proxies of the environment. Workers read no environment:
what stands there differs from machine to machine, and a proxy would be handed the token. One pool of the adapter's
serves all threads, urllib3 makes it for that. What goes over a connection is in `transforms.tiktok.wire`.
"""

import email.utils
import importlib.metadata
import itertools
import ssl
import time
import zlib
from collections.abc import Callable, Iterator
from enum import StrEnum, unique
from typing import Final
from urllib.parse import urlsplit

import msgspec
import requests

from transforms.connection import Connection
from transforms.tiktok import request, wire
from transforms.tiktok.request import Body, sliced
from transforms.vocabulary import Form

# Larger pieces cost fresh memory for each, smaller ones more turns of Python's lock.
_PIECE_BYTES: Final = 1 << 18

# zlib on 1,000 web events (758 kB): level 1 took 7.6 ms for 31 % of the size, level 6 14.5 ms for 29 %; hashes and ids
# do not shrink.
_GZIP_LEVEL: Final = 1
_GZIP_WBITS: Final = 31


@unique
class Trouble(StrEnum):
    """Why there is no complete reply."""

    NOT_CONNECTED = "not_connected"
    """Refused, unknown host, time-out or reset before the body: TikTok has nothing of the request's events."""
    TIMED_OUT = "timed_out"
    """Sent, at least in part, and no complete reply in time: TikTok may have accepted the events."""
    BROKEN = "broken"
    """Sent, at least in part, then the connection or the reply broke: TikTok may have accepted the events."""
    TLS = "tls"
    """The other side's certificate was refused, or it speaks no TLS: nothing was sent, and waiting does not help."""


class Reply(msgspec.Struct, frozen=True):
    """What came back for one request.

    Attributes:
      status: the HTTP status, None if there was none; may be set beside `trouble` when the body broke off.
      body: the reply's body, decoded from gzip, cut at `wire.MAX_REPLY_BYTES`; it may repeat values that were sent.
      trouble: why there is no complete reply, None if there is one.
      retry_after_secs: the header Retry-After, if it is there and readable; not negative.
      sent: whether anything of the body was handed to the network.
      started_at: clock time at the start, epoch seconds.
      elapsed_secs: from the start to the end of the reply, or to the trouble.
    """

    status: int | None
    body: bytes
    trouble: Trouble | None
    retry_after_secs: float | None
    sent: bool
    started_at: float
    elapsed_secs: float

    def __repr__(self) -> str:
        """Returns all but the body."""
        return f"Reply({self.status}, {self.trouble}, sent={self.sent}, {self.elapsed_secs:.3f} s)"


class EventsApi:
    """The Events API as one connection sees it. Safe to share between threads.

    A call ends after `connect_timeout_secs` to connect (for each address of the host), `read_timeout_secs` to send
    (once more for a last piece that nobody takes) and `read_timeout_secs` for the whole reply. How long it takes to
    resolve the host's name is up to the operating system.
    """

    def __init__(self, connection: Connection, clock: Callable[[], float] = time.time) -> None:
        """Prepares the requests of all forms; opens no connection yet.

        Args:
          connection: addresses, time-outs, and how many connections are kept open.
          clock: epoch seconds, for `Reply.started_at` and dates in Retry-After.

        Raises:
          ValueError: `api_url` is no URL that a token may be sent to.
        """
        self._clock = clock
        self._connect_timeout_secs = connection.connect_timeout_secs
        self._read_timeout_secs = connection.read_timeout_secs
        self._gzip = connection.gzip_requests
        self._adapter = wire.Connections(pool_connections=1, pool_maxsize=connection.max_in_flight, max_retries=0)
        prepared = {form: requests.Request("POST", request.url(connection, form)).prepare() for form in Form}
        self._heads = {form: self._head(each) for form, each in prepared.items()}
        # All forms have the same host.
        self._pool = self._adapter.pool(prepared[Form.WEB])

    def post(self, form: Form, body: bytes | Body, token: str) -> Reply:
        """Sends one request and waits for its reply; network trouble is part of the reply.

        Args:
          form: which endpoint.
          body: the complete JSON body, or what joins it on the way, of `Envelope`.
          token: the access token, ASCII without spaces.

        Raises:
          ValueError: the token cannot be sent as a header. Neither this nor any other text holds the token.
        """
        if not (token.isascii() and token.isprintable() and token and " " not in token):
            raise ValueError("The access token is empty or holds characters that no HTTP header can carry.")
        started_at, begun = self._clock(), time.monotonic()
        exchange, received, trouble = wire.Exchange(), b"", None
        try:
            exchange.run(
                self._pool, self._pieces(form, body, token), self._connect_timeout_secs, self._read_timeout_secs
            )
            received = exchange.body()
        except wire.ERRORS as error:
            # The error may hold what was sent, and with it the token: it ends here.
            trouble = _trouble(error, exchange.begun)
        elapsed_secs = time.monotonic() - begun
        retry_after = _retry_after(exchange.retry_after, self._clock)
        return Reply(exchange.status, received, trouble, retry_after, exchange.begun, started_at, elapsed_secs)

    def close(self) -> None:
        """Closes the connections that are kept open."""
        self._adapter.close()
        self._pool.close()

    def _head(self, prepared: requests.PreparedRequest) -> bytes:
        """Returns request line and headers of all requests to an address, but for the length and the token."""
        headers = {
            "Host": urlsplit(prepared.url or "").netloc,
            "Content-Type": "application/json",
            "User-Agent": _user_agent(),
            "Accept": "application/json",
            "Accept-Encoding": "gzip",
        }
        if self._gzip:
            headers["Content-Encoding"] = "gzip"
        lines = [f"POST {prepared.path_url} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
        return "".join(f"{line}\r\n" for line in lines).encode("ascii")

    def _pieces(self, form: Form, body: bytes | Body, token: str) -> Iterator[bytes | memoryview]:
        """Returns what goes over the line, in pieces; the headers are in the first one."""
        if self._gzip:
            packer = zlib.compressobj(_GZIP_LEVEL, wbits=_GZIP_WBITS)
            whole = [body] if isinstance(body, bytes) else body.pieces(_PIECE_BYTES)
            body = b"".join([*map(packer.compress, whole), packer.flush()])
        size = len(body) if isinstance(body, bytes) else body.size
        head = b"%bContent-Length: %d\r\nAccess-Token: %b\r\n\r\n" % (self._heads[form], size, token.encode("ascii"))
        if isinstance(body, Body):
            return body.pieces(_PIECE_BYTES, head)
        return itertools.chain([head + body[:_PIECE_BYTES]], sliced(body, _PIECE_BYTES, _PIECE_BYTES))


def _user_agent() -> str:
    """Returns our name and version."""
    try:
        return "tiktok-events-pipeline/" + importlib.metadata.version("tiktok-events-pipeline")
    except importlib.metadata.PackageNotFoundError:
        return "tiktok-events-pipeline"


def _retry_after(value: str | None, clock: Callable[[], float]) -> float | None:
    """Returns the seconds that Retry-After asks for, given in seconds or as a date.

    Source: RFC 9110, section 10.2.3: "a decimal integer" or "an HTTP-date".
    """
    if value is None:
        return None
    text = value.strip()
    if text.isascii() and text.isdigit():
        # Ten digits are three centuries; more would not be a number of seconds but an attack on int().
        return float(text[:10])
    try:
        return max(0.0, email.utils.parsedate_to_datetime(text).timestamp() - clock())
    except (ValueError, OverflowError):
        return None


def _trouble(error: BaseException, begun: bool) -> Trouble:
    """Returns the kind of trouble, by what was raised and whether anything of the body was sent."""
    causes = list(_causes(error))
    if begun:
        return Trouble.TIMED_OUT if any(isinstance(cause, TimeoutError) for cause in causes) else Trouble.BROKEN
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return Trouble.TLS
        # OpenSSL's reason when the other side answers a TLS greeting in plain text (https:// to an http port).
        if isinstance(cause, ssl.SSLError) and cause.reason in ("WRONG_VERSION_NUMBER", "HTTP_REQUEST"):
            return Trouble.TLS
    return Trouble.NOT_CONNECTED


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yields an error and everything that it was raised from; each at most once."""
    pending: list[BaseException] = [error]
    seen: set[int] = set()
    while pending:
        cause = pending.pop()
        if id(cause) in seen:
            continue
        seen.add(id(cause))
        yield cause
        linked = (cause.__cause__, cause.__context__, getattr(cause, "reason", None), *cause.args)
        pending.extend(link for link in linked if isinstance(link, BaseException))
