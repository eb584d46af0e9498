"""Some of the payloads of one batch, without a copy: what is cut from it, and put together again, are positions.

A batch with k events that TikTok names one by one is cut 2 k times. Lists would be copied each time, and each copy
reaches for every payload in it, though it is not sent yet: that took as long as sending.
"""

import itertools
from collections.abc import Iterator, Sequence
from typing import overload

from transforms.model import Payload


class Excerpt(Sequence[Payload]):
    """Payloads of a batch, in an order of their own; never changes.

    Args:
      batch: all payloads.
    """

    __slots__ = ("_batch", "_bodies", "_every", "_size", "_spans")

    def __init__(self, batch: Sequence[Payload]) -> None:
        self._batch = batch
        self._bodies: list[bytes] | None = None
        # What all excerpts of a batch share: one entry, the bodies of all its payloads, once somebody has asked for
        # some. Added when it is complete, as threads may ask at once.
        self._every: list[list[bytes]] = []
        self._spans: Sequence[tuple[int, int]] = [(0, len(batch))]
        self._size = len(batch)

    def __len__(self) -> int:
        return self._size

    @overload
    def __getitem__(self, place: int) -> Payload: ...
    @overload
    def __getitem__(self, place: slice) -> "Excerpt": ...

    def __getitem__(self, place: int | slice) -> "Payload | Excerpt":
        if isinstance(place, slice):
            start, stop, step = place.indices(self._size)
            if step != 1:
                raise ValueError("An excerpt is cut without gaps.")
            return self._of(_cut(self._spans, start, stop))
        place = range(self._size)[place]
        for start, stop in self._spans:
            if place < stop - start:
                return self._batch[start + place]
            place -= stop - start
        raise AssertionError("a place within the size is in one of the spans")

    def __iter__(self) -> Iterator[Payload]:
        for start, stop in self._spans:
            yield from itertools.islice(self._batch, start, stop)

    def bodies(self) -> list[bytes]:
        """Returns the JSON objects of the payloads; made once."""
        if self._bodies is None:
            if not self._every:
                self._every.append([payload.body for payload in self._batch])
            every = self._every[0]
            self._bodies = [body for start, stop in self._spans for body in every[start:stop]]
        return self._bodies

    def with_more(self, others: "Sequence[Excerpt]") -> "Excerpt":
        """Returns one excerpt with the payloads of this one and then of others of the same batch."""
        return self._of([span for part in (self, *others) for span in part._spans])

    def _of(self, spans: list[tuple[int, int]]) -> "Excerpt":
        made = Excerpt.__new__(Excerpt)
        made._batch, made._bodies, made._every, made._spans = self._batch, None, self._every, spans
        made._size = sum(stop - start for start, stop in spans)
        return made


def _cut(spans: Sequence[tuple[int, int]], start: int, stop: int) -> list[tuple[int, int]]:
    """Returns the spans between two places."""
    found, at = [], 0
    for first, last in spans:
        begins, ends = max(start - at, 0) + first, min(stop - at + first, last)
        if begins < ends:
            found.append((begins, ends))
        at += last - first
    return found
