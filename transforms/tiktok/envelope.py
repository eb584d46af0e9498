"""The body of a request: the envelope in which finished events stand; and the endpoint that it goes to.

In: a connection, a form, the encoded bodies of events. Out: the bytes of one body. Events are encoded once, when they
are built; a body is joined from their bytes, so that splitting and sending again costs no encoding. It is joined piece
by piece on its way out: a megabyte at once is memory that the system has to make anew for each request, which takes
longer than sending it.

Sources: Events API 2.0, "Report events" (`event_source`, `event_source_id`, `data`); legacy: tiktok-business-api-sdk
f809c39, `python_sdk/docs/PixelBatchBody.md` (`pixel_code`, `batch`).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from transforms.connection import Connection
from transforms.tiktok.addresses import check_api_url
from transforms.vocabulary import Form

# Paths end with a slash. Source: tiktok-business-api-sdk f809c39, `event_callback_api.py`,
# "/open_api/v1.3/pixel/batch/"; Events API 2.0, "/open_api/v1.3/event/track/".
_PATHS: Final = {Form.LEGACY: "pixel/batch/", Form.WEB: "event/track/", Form.OFFLINE: "event/track/"}

# On average. Smaller events are joined in pieces; larger ones are pieces by themselves.
_LARGE_EVENT_BYTES: Final = 1 << 14


@dataclass(frozen=True, slots=True)
class Envelope:
    """What stands before and after the events of a request; the same for all requests of a connection and form."""

    header: bytes
    footer: bytes

    @property
    def size_bytes(self) -> int:
        """Bytes that the envelope adds to its events and the commas between them."""
        return len(self.header) + len(self.footer)

    def join(self, events: Sequence[bytes]) -> bytes:
        """Returns the request's body: the events in their order, in the envelope.

        Args:
          events: one encoded JSON object an event, at least one.

        Raises:
          ValueError: there are none; TikTok refuses an empty list, and it would count against the budget of requests.
        """
        return b"".join(self.body(events).pieces(1 << 62))

    def body(self, events: Sequence[bytes | memoryview]) -> "RequestBody":
        """Returns the request's body, to be joined on its way.

        Args:
          events: as for `join`; or several events each, with commas between them.

        Raises:
          ValueError: as `join`.
        """
        if not events:
            raise ValueError("A request needs at least one event.")
        return RequestBody(self, events, self.size_bytes + sum(map(len, events)) + len(events) - 1)


class RequestBody(msgspec.Struct, frozen=True):
    """The body of one request, of `Envelope.body`.

    Attributes:
      envelope: what stands around the events.
      events: encoded JSON objects of events; one each, or several with commas between them.
      size_bytes: of the whole.
    """

    envelope: Envelope
    events: Sequence[bytes | memoryview]
    size_bytes: int

    def __repr__(self) -> str:
        """Returns its size only."""
        return f"RequestBody({self.size_bytes} bytes)"

    def pieces(self, piece_bytes: int) -> Iterator[bytes | memoryview]:
        """Returns the whole in pieces of about so many bytes, and never more than twice as many."""
        if self.size_bytes > _LARGE_EVENT_BYTES * len(self.events):
            return self._single_events(piece_bytes)
        return self._joined_events(piece_bytes)

    def _single_events(self, piece_bytes: int) -> Iterator[bytes | memoryview]:
        pieces: list[bytes | memoryview] = [self.envelope.header]
        for event in self.events:
            pieces += event, b","
        pieces[-1] = self.envelope.footer
        for piece in pieces:
            if len(piece) <= piece_bytes:
                yield piece
            else:
                yield from sliced(piece, piece_bytes)

    def _joined_events(self, piece_bytes: int) -> Iterator[bytes | memoryview]:
        events = self.events
        # By the average: adding the lengths up one by one would take longer than to join them.
        step = max(1, len(events) * piece_bytes // self.size_bytes)
        for start in range(0, len(events), step):
            group = list(events[start : start + step])
            if start == 0:
                group[0] = b"".join((self.envelope.header, group[0]))
            if start + step < len(events):
                group.append(b"")  # a comma follows
            else:
                group[-1] = b"".join((group[-1], self.envelope.footer))
            piece = b",".join(group)
            if len(piece) <= 2 * piece_bytes:
                yield piece
            else:
                yield from sliced(piece, piece_bytes)


def sliced(body: bytes | memoryview, piece_bytes: int) -> Iterator[memoryview]:
    """Yields bytes in pieces, without a copy."""
    view = memoryview(body)
    for start in range(0, len(view), piece_bytes):
        yield view[start : start + piece_bytes]


def endpoint_path(form: Form) -> str:
    """Returns the path of a form's endpoint, relative to the connection's `api_url`."""
    return _PATHS[form]


def endpoint_url(connection: Connection, form: Form) -> str:
    """Returns the address of a form's endpoint.

    Raises:
      ValueError: as in `check_api_url`.
    """
    check_api_url(connection.api_url)
    return connection.api_url.rstrip("/") + "/" + endpoint_path(form)


def make_envelope(connection: Connection, form: Form) -> Envelope:
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
