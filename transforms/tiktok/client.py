"""One POST to the Events API: a finished body and a token go out, a `Reply` comes back, whatever the network does.

Trouble of the network is a value (`Trouble`), not an exception. What the reply means is read in
`transforms.tiktok.reply`; whether to try again is decided above both.

Built on the `HTTPAdapter` of `requests`, without a `Session`: a session adds cookies, redirects (it reads the whole
body of a redirect, however long), `.netrc` and proxies of the environment. Workers read no environment: what stands
there differs from machine to machine, and a proxy would be handed the token. One pool of the adapter's serves all
threads, urllib3 makes it for that. A call asks the pool itself: what the adapter adds to each call (looking the pool up
again, cookies, a `Response`) takes as long as sending 250 events.
"""

import email.utils
import importlib.metadata
import ssl
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum, unique
from typing import Final

import requests
import urllib3

from transforms.connection import Connection
from transforms.tiktok import request
from transforms.tiktok.deadline import DeadlineAdapter
from transforms.tiktok.request import Body, sliced
from transforms.vocabulary import Form

# TikTok's replies have some hundred bytes; what is longer than this is no reply of the Events API.
MAX_REPLY_BYTES: Final = 1 << 20

# A time-out holds for one piece: 256 KiB within `connect_timeout_secs` is far below any usable line. Larger ones cost
# fresh memory for each, smaller ones more turns of Python's lock.
_PIECE_BYTES: Final = 1 << 18

# Of a reply; what is compressed can be a thousand times as much when unpacked.
_READ_BYTES: Final = 1 << 16

# zlib on 1,000 web events (758 kB): level 1 took 7.6 ms for 31 % of the size, level 6 14.5 ms for 29 %; hashes and ids
# do not shrink.
_GZIP_LEVEL: Final = 1
_GZIP_WBITS: Final = 31

_NETWORK_ERRORS: Final = (requests.RequestException, urllib3.exceptions.HTTPError, OSError)


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


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back for one request.

    Attributes:
      status: the HTTP status, None if there was none; may be set beside `trouble` when the body broke off.
      body: the reply's body, decoded from gzip, cut at `MAX_REPLY_BYTES`; it may repeat values that were sent.
      trouble: why there is no complete reply, None if there is one.
      retry_after_secs: the header Retry-After, if it is there and readable; not negative.
      sent: whether anything of the body was handed to the network.
      started_at: clock time at the start, epoch seconds.
      elapsed_secs: from the start to the end of the reply, or to the trouble.
    """

    status: int | None
    body: bytes = field(repr=False)
    trouble: Trouble | None
    retry_after_secs: float | None
    sent: bool
    started_at: float
    elapsed_secs: float


class _Upload:
    """A body on its way: sent piece by piece, so that it is known whether any of it left, and has an end in time."""

    def __init__(self, pieces: Iterator[bytes | memoryview], limit_secs: float) -> None:
        self._pieces = pieces
        self._limit_secs = limit_secs
        self.begun = False

    def __iter__(self) -> Iterator[bytes | memoryview]:
        self.begun = True
        deadline = time.monotonic() + self._limit_secs
        for piece in self._pieces:
            if time.monotonic() > deadline:
                raise TimeoutError("timed out")
            yield piece


class EventsApi:
    """The Events API as one connection sees it. Safe to share between threads.

    A call ends after `connect_timeout_secs` to connect (for each address of the host), `read_timeout_secs` to send (and
    `connect_timeout_secs` more for a last piece that nobody takes) and `read_timeout_secs` for the whole reply. How
    long it takes to resolve the host's name is up to the operating system.
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
        self._upload_secs = connection.read_timeout_secs
        self._timeout = urllib3.Timeout(connect=connection.connect_timeout_secs, read=connection.read_timeout_secs)
        self._gzip = connection.gzip_requests
        self._adapter = DeadlineAdapter(pool_connections=1, pool_maxsize=connection.max_in_flight, max_retries=0)
        self._headers = {
            "Content-Type": "application/json",
            "User-Agent": _user_agent(),
            "Accept": "application/json",
            "Accept-Encoding": "gzip",
        }
        if self._gzip:
            self._headers["Content-Encoding"] = "gzip"
        prepared = {form: requests.Request("POST", request.url(connection, form)).prepare() for form in Form}
        self._targets = {form: each.path_url for form, each in prepared.items()}
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
        pieces, size = self._pieces(body)
        upload = _Upload(pieces, self._upload_secs)
        # A plain dict will do, as each name is in it once.
        headers = {**self._headers, "Content-Length": str(size), "Access-Token": token}
        status, received, trouble, retry_after = None, b"", None, None
        try:
            response = self._pool.urlopen(
                "POST",
                self._targets[form],
                upload,  # type: ignore[arg-type]  # the stubs know no iterables of memoryviews
                headers,
                retries=self._adapter.max_retries,
                redirect=False,
                assert_same_host=False,
                timeout=self._timeout,
                preload_content=False,
            )
            status = response.status
            retry_after = _retry_after(response.headers.get("Retry-After"), self._clock)
            received = _receive(response)
        except _NETWORK_ERRORS as error:
            # The error holds the request, and with it the token: it ends here.
            trouble = _trouble(error, upload.begun)
        elapsed_secs = time.monotonic() - begun
        return Reply(status, received, trouble, retry_after, upload.begun, started_at, elapsed_secs)

    def close(self) -> None:
        """Closes the connections that are kept open."""
        self._adapter.close()

    def _pieces(self, body: bytes | Body) -> tuple[Iterator[bytes | memoryview], int]:
        """Returns what goes over the line, in pieces, and its size."""
        if self._gzip:
            packer = zlib.compressobj(_GZIP_LEVEL, wbits=_GZIP_WBITS)
            whole = [body] if isinstance(body, bytes) else body.pieces(_PIECE_BYTES)
            body = b"".join([*map(packer.compress, whole), packer.flush()])
        if isinstance(body, bytes):
            return sliced(body, _PIECE_BYTES), len(body)
        return body.pieces(_PIECE_BYTES), body.size


def _user_agent() -> str:
    """Returns our name and version."""
    try:
        return "tiktok-events-pipeline/" + importlib.metadata.version("tiktok-events-pipeline")
    except importlib.metadata.PackageNotFoundError:
        return "tiktok-events-pipeline"


def _receive(response: urllib3.BaseHTTPResponse) -> bytes:
    """Reads a body up to the limit; a longer one is cut and its connection not used again."""
    received = bytearray()
    try:
        for piece in response.stream(_READ_BYTES, decode_content=True):
            received += piece
            if len(received) > MAX_REPLY_BYTES:
                response.close()
                break
    finally:
        response.release_conn()
    return bytes(received[:MAX_REPLY_BYTES])


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
        late = (TimeoutError, urllib3.exceptions.TimeoutError, requests.Timeout)
        return Trouble.TIMED_OUT if any(isinstance(cause, late) for cause in causes) else Trouble.BROKEN
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
