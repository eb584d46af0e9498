"""The request around finished events: which path it goes to, and the envelope that its events stand in.

In: a connection, a form, the encoded bodies of events. Out: the bytes of one request. Events are encoded once, when
they are built; a request is joined from their bytes, so that splitting and sending again costs no encoding. It is
joined piece by piece on its way out: a megabyte at once is memory that the system has to make anew for each request,
which takes longer than sending it.

Sources: Events API 2.0, "Report events" (`event_source`, `event_source_id`, `data`); legacy: tiktok-business-api-sdk
f809c39, `python_sdk/docs/PixelBatchBody.md` (`pixel_code`, `batch`).
"""

import ipaddress
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

import msgspec

from transforms.connection import Connection
from transforms.vocabulary import Form

# Paths end with a slash. Source: tiktok-business-api-sdk f809c39, `event_callback_api.py`,
# "/open_api/v1.3/pixel/batch/"; Events API 2.0, "/open_api/v1.3/event/track/".
_PATHS: Final = {Form.LEGACY: "pixel/batch/", Form.WEB: "event/track/", Form.OFFLINE: "event/track/"}


_HOST: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*\.?", re.I)
_LONGEST_HOST: Final = 253

# On average. Smaller ones are joined in pieces; larger ones are pieces by themselves.
_LARGE_BYTES: Final = 1 << 14


@dataclass(frozen=True, slots=True)
class Envelope:
    """What stands before and after the events of a request; the same for all requests of a connection and form."""

    header: bytes
    footer: bytes

    @property
    def size(self) -> int:
        """Bytes that the envelope adds to its events and the commas between them."""
        return len(self.header) + len(self.footer)

    def join(self, bodies: Sequence[bytes]) -> bytes:
        """Returns the request's body: the events in their order, in the envelope.

        Args:
          bodies: one encoded JSON object an event, at least one.

        Raises:
          ValueError: there are none; TikTok refuses an empty list, and it would count against the budget of requests.
        """
        return b"".join(self.around(bodies).pieces(1 << 62))

    def around(self, bodies: Sequence[bytes | memoryview]) -> "Body":
        """Returns the request's body, to be joined on its way.

        Args:
          bodies: as for `join`; or several events each, with commas between them.

        Raises:
          ValueError: as `join`.
        """
        if not bodies:
            raise ValueError("A request needs at least one event.")
        return Body(self, bodies, self.size + sum(map(len, bodies)) + len(bodies) - 1)


class Body(msgspec.Struct, frozen=True):
    """The body of one request, of `Envelope.around`.

    Attributes:
      envelope: what stands around the events.
      bodies: encoded JSON objects of events; one each, or several with commas between them.
      size: bytes of the whole.
    """

    envelope: Envelope
    bodies: Sequence[bytes | memoryview]
    size: int

    def __repr__(self) -> str:
        """Returns its size only."""
        return f"Body({self.size} bytes)"

    def pieces(self, piece_bytes: int, before: bytes = b"") -> Iterator[bytes | memoryview]:
        """Returns the whole in pieces of about so many bytes, and never more than twice as many.

        Args:
          piece_bytes: of the body.
          before: what goes out in front of it, with the first piece.
        """
        if self.size > _LARGE_BYTES * len(self.bodies):
            return self._as_they_are(piece_bytes, before)
        return self._together(piece_bytes, before)

    def _as_they_are(self, piece_bytes: int, before: bytes) -> Iterator[bytes | memoryview]:
        pieces: list[bytes | memoryview] = [before + self.envelope.header]
        for body in self.bodies:
            pieces += body, b","
        pieces[-1] = self.envelope.footer
        for piece in pieces:
            if len(piece) <= piece_bytes:
                yield piece
            else:
                yield from sliced(piece, piece_bytes)

    def _together(self, piece_bytes: int, before: bytes) -> Iterator[bytes | memoryview]:
        bodies = self.bodies
        # By the average: adding the lengths up one by one would take longer than to join them.
        step = max(1, len(bodies) * piece_bytes // self.size)
        for start in range(0, len(bodies), step):
            group = list(bodies[start : start + step])
            if start == 0:
                group[0] = b"".join((before, self.envelope.header, group[0]))
            if start + step < len(bodies):
                group.append(b"")  # a comma follows
            else:
                group[-1] = b"".join((group[-1], self.envelope.footer))
            piece = b",".join(group)
            if len(piece) <= 2 * piece_bytes:
                yield piece
            else:
                yield from sliced(piece, piece_bytes)


def sliced(body: bytes | memoryview, piece_bytes: int, first: int = 0) -> Iterator[memoryview]:
    """Yields bytes from a position on in pieces, without a copy."""
    view = memoryview(body)
    for start in range(first, len(view), piece_bytes):
        yield view[start : start + piece_bytes]


def path(form: Form) -> str:
    """Returns the path of a form's endpoint, relative to the connection's `api_url`."""
    return _PATHS[form]


def url(connection: Connection, form: Form) -> str:
    """Returns the address of a form's endpoint.

    Raises:
      ValueError: as in `check_api_url`.
    """
    check_api_url(connection.api_url)
    return connection.api_url.rstrip("/") + "/" + path(form)


def envelope(connection: Connection, form: Form) -> Envelope:
    """Returns the envelope of a connection's requests of one form.

    `test_event_code` and `partner_name` stand at the top level, never inside an event, and only if they are set.
    Source: Events API 2.0, "Report events"; for legacy requests: TikTok's Postman collection, section Events.
    """
    if form is Form.LEGACY:
        fields, events = {"pixel_code": connection.event_source_id}, "batch"
    else:
        fields, events = {"event_source": form.value, "event_source_id": connection.event_source_id}, "data"
    if connection.test_event_code:
        fields["test_event_code"] = connection.test_event_code
    if connection.partner_name:
        fields["partner_name"] = connection.partner_name
    # The object without its closing brace, then the list of events left open.
    header = b'%b,"%b":[' % (msgspec.json.encode(fields)[:-1], events.encode())
    return Envelope(header, b"]}")


def check_api_url(api_url: str) -> None:
    """Refuses a base URL that a token must not be sent to.

    Raises:
      ValueError: not http(s), without host, with user and password, or http:// to another machine; names the remedy.
    """
    try:
        parts = urlsplit(api_url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        parts, host = urlsplit(""), None
    if not api_url.isprintable() or " " in api_url:
        host = None  # urlsplit passes over some of these characters
    if parts.scheme not in ("http", "https") or not host or not _is_host(host) or parts.query or parts.fragment:
        raise ValueError(
            "api_url: write https://HOST/PATH/ with the name or address of a host, without query and fragment."
        )
    if parts.username is not None or parts.password is not None:
        raise ValueError("api_url: leave out user and password; TikTok takes the access token only.")
    if parts.scheme == "http" and not _is_loopback(host):
        raise ValueError("api_url: use https://; http:// is for loopback addresses only, as the token goes in clear.")


def _is_host(host: str) -> bool:
    """Tells whether a text can be the name or address of a host. Source: RFC 1123, section 2.1."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return _HOST.fullmatch(host) is not None and len(host) <= _LONGEST_HOST
    return True


def _is_loopback(host: str) -> bool:
    """Tells whether a host is this machine itself, without asking a name server."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
