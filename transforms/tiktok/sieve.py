"""How the events of a request go on after TikTok has named one of them invalid, when many are.

TikTok names one event at a time, so k of them cost k requests, each with all the others in it. It seems to name the
first one. While that holds, what stood before it is sound: it waits (`spared`) and goes out again once those behind it
are through, and these go out in parts that hold about two invalid events (`behind` is what comes after a part). So
each event is sent about three times, whatever the share of invalid ones, and not once for each of them.

That costs a request more for a batch now and then. So everything left goes out in one request, as it would without all
this, if

* a request has to wait for the budget: then requests are what is scarce, and not bytes;
* no further invalid event is to be expected among the rest;
* an event was named that should have been sound: TikTok does not name the first one, then.

That TikTok checks in order is not documented. Nothing but the number of requests depends on it: each event has the
outcome that the reply to its own request gives it.
"""

import math

from transforms.tiktok.exchange import Request, joined

# Invalid events that are expected in one part. Measured with a share of 1 %: 3 instead saves 7 % of the requests
# and costs a fifth more bytes.
_EXPECTED = 2

# What was seen counts half after so many events: a source that is repaired, or broken, is noticed within some batches.
_REMEMBERED_EVENTS = 10_000


class Sieve:
    """What one bundle knows of the share and the order of invalid events."""

    def __init__(self) -> None:
        self._in_order = True
        self._passed = 0.0
        self._named = 0.0

    def accepted(self, request: Request) -> None:
        """Notes a request without invalid events."""
        self._see(len(request.payloads) - request.presumed, 0)

    def named(self, request: Request, position: int) -> tuple[list[Request], list[Request]]:
        """Notes the one event that was named; returns what is spared now, and what is behind it, for `onward`."""
        self._in_order &= position >= request.presumed
        self._see(max(0, position - request.presumed), 1)
        before, after = request.part(0, position), request.part(position + 1, len(request.payloads))
        if request.ambiguous or not self._in_order:
            # What may have been accepted has another history than the rest of the batch: they are not mixed.
            return request.spared, _present([joined([before, after]), *request.behind])
        return _present([*request.spared, before]), _present([after, *request.behind])

    def onward(self, spared: list[Request], behind: list[Request], spare: bool) -> list[Request]:
        """Returns the next request for what is left of a batch; several if some of it may have been accepted.

        Args:
          spared: presumed sound.
          behind: not known yet.
          spare: the budget has slots that nothing waits for.
        """
        apart = [part for part in behind if part.ambiguous]
        rest = joined([part for part in behind if not part.ambiguous])
        gap = (self._passed + 1) / self._named if self._named else math.inf
        if rest is None or not (spare and self._in_order) or len(rest.payloads) < gap:
            whole = joined([*spared, *_present([rest])])
            if whole is not None:
                whole.presumed = sum(len(part.payloads) for part in spared)
            return _present([whole, *apart])
        size, most = len(rest.payloads), math.ceil(_EXPECTED * gap)
        part = rest.part(0, most)
        part.spared = spared
        part.behind = _present([rest.part(most, size)])
        return [part, *apart]

    def _see(self, passed: int, named: int) -> None:
        self._passed += passed
        self._named += named
        if self._passed + self._named > _REMEMBERED_EVENTS:
            self._passed /= 2
            self._named /= 2


def _present(parts: list[Request | None]) -> list[Request]:
    """Returns the requests that carry something."""
    return [part for part in parts if part is not None and part.payloads]
