"""Some of the payloads of one batch, without a copy: what is cut from it, and put together again, are positions.

A batch with k events that TikTok names one by one is cut 2 k times, and sent about three times in parts. Lists would be
copied each time, and each copy reaches for every payload in it, which the processor's caches no longer hold. So the
encoded events of such a batch are joined once, in runs, and a part is sent from there.
"""

import itertools
from collections.abc import Iterator, Sequence
from typing import Final, overload

from transforms.model import Payload

# Events joined in one run: a part of a batch with 1 % of invalid ones has about two.
_RUN_EVENTS: Final = 128


class _Runs:
    """The encoded events of one batch, joined by commas in runs of `_RUN_EVENTS`; each made when it is first needed.

    Threads may ask at once: then a run is made twice, and both are the same.
    """

    __slots__ = ("_batch", "_made")

    def __init__(self, batch: Sequence[Payload]) -> None:
        self._batch = batch
        # By number: the run, and where each event would begin, and the last one end, if there were no commas.
        self._made: dict[int, tuple[memoryview, list[int]]] = {}

    def of(self, start: int, stop: int) -> Iterator[memoryview]:
        """Yields the events from one place to before another: one piece for each run."""
        while start < stop:
            number, first = divmod(start, _RUN_EVENTS)
            run, ends = self._made.get(number) or self._make(number)
            last = min(first + stop - start, _RUN_EVENTS)
            yield run[ends[first] + first : ends[last] + last - 1]
            start += last - first

    def _make(self, number: int) -> tuple[memoryview, list[int]]:
        start = number * _RUN_EVENTS
        bodies = [payload.body for payload in self._batch[start : start + _RUN_EVENTS]]
        ends = list(itertools.accumulate(map(len, bodies), initial=0))
        self._made[number] = made = memoryview(b",".join(bodies)), ends
        return made


class _Bodies(Sequence[bytes]):
    """The encoded events of payloads; looked at only when somebody asks."""

    __slots__ = ("_payloads",)

    def __init__(self, payloads: Sequence[Payload]) -> None:
        self._payloads = payloads

    def __len__(self) -> int:
        return len(self._payloads)

    @overload
    def __getitem__(self, place: int) -> bytes: ...
    @overload
    def __getitem__(self, place: slice) -> list[bytes]: ...

    def __getitem__(self, place: int | slice) -> bytes | list[bytes]:
        if isinstance(place, slice):
            return [payload.body for payload in self._payloads[place]]
        return self._payloads[place].body

    def __iter__(self) -> Iterator[bytes]:
        return (payload.body for payload in self._payloads)


class PayloadSlice(Sequence[Payload]):
    """Payloads of a batch, in an order of their own; never changes.

    Args:
      batch: all payloads.
    """

    __slots__ = ("_batch", "_runs", "_size", "_spans")

    def __init__(self, batch: Sequence[Payload]) -> None:
        self._batch = batch
        self._runs = _Runs(batch)  # shared by all slices of the batch
        self._spans: Sequence[tuple[int, int]] = [(0, len(batch))]
        self._size = len(batch)

    def __len__(self) -> int:
        return self._size

    @overload
    def __getitem__(self, place: int) -> Payload: ...
    @overload
    def __getitem__(self, place: slice) -> "PayloadSlice": ...

    def __getitem__(self, place: int | slice) -> "Payload | PayloadSlice":
        if isinstance(place, slice):
            start, stop, step = place.indices(self._size)
            if step != 1:
                raise ValueError("A payload slice is cut without gaps.")
            return self._of(_cut(self._spans, start, stop), max(0, stop - start))
        place = range(self._size)[place]
        for start, stop in self._spans:
            if place < stop - start:
                return self._batch[start + place]
            place -= stop - start
        raise AssertionError("a place within the size is in one of the spans")

    def __iter__(self) -> Iterator[Payload]:
        for start, stop in self._spans:
            yield from itertools.islice(self._batch, start, stop)

    def bodies(self) -> Sequence[bytes]:
        """Returns the JSON objects of the payloads."""
        return _Bodies(self)

    def joined_bodies(self) -> Sequence[bytes | memoryview]:
        """Returns pieces that give the JSON objects of the payloads in their order, with a comma between any two."""
        if self._size == len(self._batch) and len(self._spans) == 1:
            # The whole batch: nearly always it is sent once, and never again.
            return [payload.body for payload in self._batch]
        return [piece for start, stop in self._spans for piece in self._runs.of(start, stop)]

    def with_more(self, others: "Sequence[PayloadSlice]") -> "PayloadSlice":
        """Returns one slice with the payloads of this one and then of others of the same batch."""
        spans: list[tuple[int, int]] = []
        for part in (self, *others):
            for span in part._spans:
                if spans and spans[-1][1] == span[0]:
                    spans[-1] = spans[-1][0], span[1]
                else:
                    spans.append(span)
        return self._of(spans, self._size + sum(other._size for other in others))

    def _of(self, spans: list[tuple[int, int]], size: int) -> "PayloadSlice":
        made = PayloadSlice.__new__(PayloadSlice)
        made._batch, made._runs, made._spans, made._size = self._batch, self._runs, spans, size
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
