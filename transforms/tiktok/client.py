"""One POST to the Events API: a finished body and a token go out, an `ApiReply` comes back, whatever the network does.

Trouble of the network is a value (`NetworkTrouble`), not an exception. What the reply means is read in
`transforms.tiktok.verdict`; whether to try again is decided above both. Requests are sent by `requests`, with deadlines
of `transforms.tiktok.http_deadline`, the way that `transforms.tiktok.route` has found.
"""

import email.utils
import importlib.metadata
import re
import ssl
import time
import zlib
from collections.abc import Callable, Iterator
from enum import StrEnum, unique
from typing import Final
from urllib.parse import urlsplit

import msgspec
import requests
import urllib3

from transforms.connection import Connection
from transforms.tiktok.envelope import RequestBody, endpoint_url, sliced
from transforms.tiktok.http_deadline import DeadlineSession, Upload
from transforms.tiktok.route import CA_REMEDY, PROXY_REMEDY, find_route
from transforms.vocabulary import Form

# TikTok's replies have some hundred bytes; what is longer than this is no reply of the Events API.
MAX_REPLY_BYTES: Final = 1 << 20

# Pieces of a body. In clear, larger ones cost fresh memory for each, and smaller ones more turns of Python's lock. With
# TLS each record goes out by itself, so a piece is one record (RFC 8446, section 5.1), after which time is looked at.
_PIECE_BYTES: Final = {"http": 1 << 18, "https": 1 << 14}

# Of a reply.
_READ_BYTES: Final = 1 << 16

# zlib on 1,000 web events (758 kB): level 1 took 7.6 ms for 31 % of the size, level 6 14.5 ms for 29 %; hashes and ids
# do not shrink.
_GZIP_LEVEL: Final = 1
_GZIP_WBITS: Final = 31

# A proxy's answer to CONNECT, in the error of `http.client` (Python has no other place for it).
_TUNNEL_REFUSED: Final = re.compile(r"Tunnel connection failed: (\d{3})", re.ASCII)

# What `requests`, urllib3 and the system raise when the network, or the other side, fails.
_NETWORK_ERRORS: Final = (requests.RequestException, urllib3.exceptions.HTTPError, OSError, zlib.error)


@unique
class NetworkTrouble(StrEnum):
    """Why there is no complete reply."""

    NOT_CONNECTED = "not_connected"
    """Refused, unknown host, time-out or reset before the body: TikTok has nothing of the request's events."""
    TIMED_OUT = "timed_out"
    """Sent, at least in part, and no complete reply in time: TikTok may have accepted the events."""
    BROKEN = "broken"
    """Sent, at least in part, then the connection or the reply broke: TikTok may have accepted the events."""
    TLS = "tls"
    """The other side's certificate was refused, or it speaks no TLS: nothing was sent, and waiting does not help."""


class ApiReply(msgspec.Struct, frozen=True, kw_only=True):
    """What came back for one request.

    Attributes:
      status: the HTTP status, None if there was none; may be set beside `trouble` when the body broke off.
      body: the reply's body, decoded from gzip, cut at `MAX_REPLY_BYTES`; it may repeat values that were sent.
      trouble: why there is no complete reply, None if there is one.
      retry_after_secs: the header Retry-After, if it is there and readable; not negative.
      sent: whether anything of the body was handed to the network.
      started_at: clock time at the start, epoch seconds.
      elapsed_secs: from the start to the end of the reply, or to the trouble.
      route_note: with trouble before the body: which way it was tried, and what may help.
    """

    status: int | None = None
    body: bytes = b""
    trouble: NetworkTrouble | None = None
    retry_after_secs: float | None = None
    sent: bool
    started_at: float
    elapsed_secs: float
    route_note: str | None = None

    def __repr__(self) -> str:
        """Returns all but the body."""
        return f"ApiReply({self.status}, {self.trouble}, sent={self.sent}, {self.elapsed_secs:.3f} s)"


class EventsApi:
    """The Events API as one connection sees it. Safe to share between threads.

    A call ends after `connect_timeout_secs` to connect (for each address of the host, or of the proxy, and then for
    the proxy's reply and for TLS), `read_timeout_secs` to send (once more for a last piece that nobody takes, with TLS
    twice) and `read_timeout_secs` for the whole reply. How long it takes to resolve a host's name is up to the
    operating system.
    """

    def __init__(self, connection: Connection, clock: Callable[[], float] = time.time) -> None:
        """Prepares the requests of all forms, and finds the route; opens no connection yet.

        Args:
          connection: addresses, time-outs, and how many connections are kept open.
          clock: epoch seconds, for `ApiReply.started_at` and dates in Retry-After.

        Raises:
          ValueError: `api_url` is no URL that a token may be sent to, or the route cannot be taken; names the setting.
        """
        self._clock = clock
        self._timeouts_secs = connection.connect_timeout_secs, connection.read_timeout_secs
        self._gzip = connection.gzip_requests
        self._piece_bytes = _PIECE_BYTES[urlsplit(connection.api_url).scheme]
        self._session = DeadlineSession(_headers(self._gzip), connection.max_in_flight)
        self._prepared = {
            form: self._session.prepare_request(requests.Request("POST", endpoint_url(connection, form)))
            for form in Form
        }
        self._route = find_route(connection)
        self._proxies = {"https": self._route.proxy} if self._route.proxy else {}

    def post(self, form: Form, body: bytes | RequestBody, token: str) -> ApiReply:
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
        upload = self._upload(body)
        prepared = self._prepared[form].copy()
        prepared.headers["Access-Token"] = token
        prepared.prepare_body(upload, files=None)
        started_at, begun = self._clock(), time.monotonic()
        response, received, trouble, route_note = None, b"", None, None
        try:
            response = self._session.send(
                prepared,
                stream=True,
                timeout=self._timeouts_secs,
                allow_redirects=False,
                proxies=self._proxies,
                verify=self._route.ca_path or True,
            )
            received = _read(response)
        except _NETWORK_ERRORS as error:
            # The error may hold what was sent, and with it the token: it ends here.
            trouble = _trouble(error, upload.begun)
            route_note = self._route_note(trouble, error)
        finally:
            if response is not None:
                response.close()
        return ApiReply(
            status=None if response is None else response.status_code,
            body=received,
            trouble=trouble,
            retry_after_secs=None if response is None else _retry_after(response, self._clock),
            sent=upload.begun,
            started_at=started_at,
            elapsed_secs=time.monotonic() - begun,
            route_note=route_note,
        )

    def close(self) -> None:
        """Closes the connections that are kept open."""
        self._session.close()

    def _upload(self, body: bytes | RequestBody) -> Upload:
        """Returns the body as it is sent."""
        if self._gzip:
            packer = zlib.compressobj(_GZIP_LEVEL, wbits=_GZIP_WBITS)
            whole = [body] if isinstance(body, bytes) else body.pieces(_PIECE_BYTES["http"])
            body = b"".join([*map(packer.compress, whole), packer.flush()])
        timeout_secs = self._timeouts_secs[1]
        if isinstance(body, bytes):
            return Upload(sliced(body, self._piece_bytes), len(body), timeout_secs)
        return Upload(body.pieces(self._piece_bytes), body.size_bytes, timeout_secs)

    def _route_note(self, trouble: NetworkTrouble, error: BaseException) -> str | None:
        """Returns which way a request was tried that has not left, and what may help."""
        if trouble is NetworkTrouble.TLS:
            return f"{self._route.description}; {CA_REMEDY}"
        if trouble is not NetworkTrouble.NOT_CONNECTED:
            return None
        if self._route.proxy is None:
            return f"{self._route.proxy_description}; {PROXY_REMEDY}"
        answer = next(filter(None, (_TUNNEL_REFUSED.search(str(cause)) for cause in _causes(error))), None)
        return self._route.proxy_description + (f", which answered {answer[1]}" if answer else "")


def _headers(gzip: bool) -> dict[str, str]:
    """Returns the headers of all requests, but for host, length and token."""
    headers = {
        "Content-Type": "application/json",
        "User-Agent": _user_agent(),
        "Accept": "application/json",
        "Accept-Encoding": "gzip",
    }
    return headers | {"Content-Encoding": "gzip"} if gzip else headers


def _user_agent() -> str:
    """Returns our name and version."""
    try:
        return "tiktok-events-pipeline/" + importlib.metadata.version("tiktok-events-pipeline")
    except importlib.metadata.PackageNotFoundError:
        return "tiktok-events-pipeline"


def _read(response: requests.Response) -> bytes:
    """Returns the body of a reply, unpacked, and cut at `MAX_REPLY_BYTES`.

    Raises:
      one of `_NETWORK_ERRORS`: it does not come, or cannot be unpacked.
    """
    received = bytearray()
    # Unpacked here: urllib3 takes a body that gzip has packed for complete when its end is missing.
    for piece in response.raw.stream(_READ_BYTES, decode_content=False):
        received += piece
        if len(received) > MAX_REPLY_BYTES:
            break
    body = bytes(received[:MAX_REPLY_BYTES])
    is_packed = response.headers.get("Content-Encoding", "").strip().lower() in ("gzip", "x-gzip")
    return _unpacked(body) if is_packed else body


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


def _retry_after(response: requests.Response, clock: Callable[[], float]) -> float | None:
    """Returns the seconds that Retry-After asks for, given in seconds or as a date.

    Source: RFC 9110, section 10.2.3: "a decimal integer" or "an HTTP-date".
    """
    text = response.headers.get("Retry-After", "").strip()
    if text.isascii() and text.isdigit():
        # Ten digits are three centuries; more would not be a number of seconds but an attack on int().
        return float(text[:10])
    try:
        return max(0.0, email.utils.parsedate_to_datetime(text).timestamp() - clock())
    except (ValueError, OverflowError):
        return None


def _trouble(error: BaseException, begun: bool) -> NetworkTrouble:
    """Returns the kind of trouble, by what was raised and whether anything of the body was sent."""
    causes = list(_causes(error))
    if begun:
        return (
            NetworkTrouble.TIMED_OUT
            if any(isinstance(cause, TimeoutError) for cause in causes)
            else NetworkTrouble.BROKEN
        )
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return NetworkTrouble.TLS
        # OpenSSL's reason when the other side answers a TLS greeting in plain text (https:// to an http port).
        if isinstance(cause, ssl.SSLError) and cause.reason in ("WRONG_VERSION_NUMBER", "HTTP_REQUEST"):
            return NetworkTrouble.TLS
    return NetworkTrouble.NOT_CONNECTED


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
