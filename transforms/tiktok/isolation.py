"""Isolation: how the events of a request go on after TikTok has named one of them invalid, when many are.

TikTok names one event at a time, so k of them cost k requests, each with all the others in it. It seems to name the
first one. While that holds, what stood before it is valid: it is held back (`held_valid`) and goes out again once those
after it are through, and these go out in parts that hold about two invalid events (`held_unchecked` is what comes after
a part). So each event is sent about three times, whatever the share of invalid ones, and not once for each of them.

That costs a request more for a batch now and then. So everything left goes out in one request, as it would without all
this, if

* a request has to wait for the budget: then requests are what is scarce, and not bytes;
* no further invalid event is to be expected among the rest;
* an event was named that should have been valid: TikTok does not name the first one, then.

That TikTok checks in order is not documented. Nothing but the number of requests depends on it: each event has the
outcome that the reply to its own request gives it.
"""

import math

from transforms.tiktok.request_state import RequestState, join_requests

# Invalid events that are expected in one part. Measured with a share of 1 %: 3 instead saves 7 % of the requests
# and costs a fifth more bytes.
_EXPECTED_INVALID_EVENTS = 2

# What was seen counts half after so many events: a source that is repaired, or broken, is noticed within some batches.
_REMEMBERED_EVENTS = 10_000


class Isolation:
    """Finds the invalid events of requests by what one bundle knows of their share and their order."""

    def __init__(self) -> None:
        self._in_order = True
        self._valid_events = 0.0
        self._invalid_events = 0.0

    def note_accepted(self, request: RequestState) -> None:
        """Notes a request without invalid events."""
        self._count(len(request.payloads) - request.presumed_valid_events, 0)

    def split(self, request: RequestState, position: int) -> tuple[list[RequestState], list[RequestState]]:
        """Notes the one event that was named; returns what is valid, and what is unchecked, for `next_requests`."""
        self._in_order &= position >= request.presumed_valid_events
        self._count(max(0, position - request.presumed_valid_events), 1)
        before, after = request.part(0, position), request.part(position + 1, len(request.payloads))
        if request.maybe_accepted or not self._in_order:
            # What may have been accepted has another history than the rest of the batch: they are not mixed.
            return request.held_valid, _present([join_requests([before, after]), *request.held_unchecked])
        return _present([*request.held_valid, before]), _present([after, *request.held_unchecked])

    def next_requests(
        self, valid: list[RequestState], unchecked: list[RequestState], has_spare_slot: bool
    ) -> list[RequestState]:
        """Returns the next request for what is left of a batch; several if some of it may have been accepted.

        Args:
          valid: presumed valid.
          unchecked: nothing is known of them yet.
          has_spare_slot: the budget has slots that nothing waits for.
        """
        apart = [part for part in unchecked if part.maybe_accepted]
        rest = join_requests([part for part in unchecked if not part.maybe_accepted])
        gap = (self._valid_events + 1) / self._invalid_events if self._invalid_events else math.inf
        if rest is None or not (has_spare_slot and self._in_order) or len(rest.payloads) < gap:
            whole = join_requests([*valid, *_present([rest])])
            if whole is not None:
                whole.presumed_valid_events = sum(len(part.payloads) for part in valid)
            return _present([whole, *apart])
        size, most = len(rest.payloads), math.ceil(_EXPECTED_INVALID_EVENTS * gap)
        part = rest.part(0, most)
        part.held_valid = valid
        part.held_unchecked = _present([rest.part(most, size)])
        return [part, *apart]

    def _count(self, valid: int, invalid: int) -> None:
        self._valid_events += valid
        self._invalid_events += invalid
        if self._valid_events + self._invalid_events > _REMEMBERED_EVENTS:
            self._valid_events /= 2
            self._invalid_events /= 2


def _present(parts: list[RequestState | None]) -> list[RequestState]:
    """Returns the requests that carry something."""
    return [part for part in parts if part is not None and part.payloads]
