"""What the sandbox remembers: which events it accepted, how often, and a clock that tests can move.

An event is known by (event_source_id, event, event_id). A copy of a known one is dropped for 48 h from the first one
received, and counts as a second event after that.
Source: TikTok help center, "Event deduplication" (2025-05): "dropped" up to 48 h; `track.go` for the key.

Memory: about 150 bytes for each key (its id and one slot of a table); what came more than once takes a little more.
"""

import time
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import NamedTuple, Protocol

import msgspec

WINDOW_SECS = 48 * 3600


class Named(Protocol):
    """An event, as far as deduplication is concerned; `event_id` is empty if it has none."""

    @property
    def event(self) -> str:
        """Returns the event's name."""

    @property
    def event_id(self) -> str:
        """Returns the id, or an empty string."""


class Key(NamedTuple):
    """What TikTok deduplicates on."""

    event_source_id: str
    event: str
    event_id: str


class Accepted(NamedTuple):
    """How often a key was accepted.

    Attributes:
      times_accepted: 1, and 1 more for every copy that came more than 48 h after the one before that counted.
      copies_received: with the copies that were dropped.
      first_accepted: seconds of the sandbox's clock.
    """

    times_accepted: int
    copies_received: int
    first_accepted: float


class _Repeated(msgspec.Struct, gc=False):
    """A key that came more than once."""

    first_accepted: float
    times_accepted: int = 1
    copies_received: int = 1


class _Table:
    """The keys of one event source and one event name.

    Attributes:
      since: event id → start of the window that is open (or was the last one).
      repeated: event id → the rest, for the few that came more than once.
    """

    __slots__ = ("repeated", "since")

    def __init__(self) -> None:
        self.since: dict[str, float] = {}
        self.repeated: dict[str, _Repeated] = {}


class Clock:
    """The wall clock, moved forward by `advance`."""

    def __init__(self) -> None:
        self.offset_secs = 0.0

    def now(self) -> float:
        """Returns epoch seconds of this clock."""
        return time.time() + self.offset_secs

    def advance(self, secs: float) -> None:
        """Moves the clock, for good."""
        self.offset_secs += secs


class Totals(msgspec.Struct):
    """Counts over all keys.

    Attributes:
      accepted: events that count (first copies, copies after the window, events without an id).
      duplicates: copies that were dropped.
      without_id: accepted events without `event_id`, which nothing deduplicates.
      keys: different keys.
      keys_repeated_within_window: keys of which a copy was dropped.
      keys_accepted_again: keys that were accepted more than once: TikTok would count these events twice.
    """

    accepted: int = 0
    duplicates: int = 0
    without_id: int = 0
    keys: int = 0
    keys_repeated_within_window: int = 0
    keys_accepted_again: int = 0


class Store:
    """Every key that was accepted since the last `clear`."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.clear()

    def clear(self) -> None:
        """Forgets everything."""
        self._tables: dict[tuple[str, str], _Table] = {}
        self._without_id: Counter[tuple[str, str]] = Counter()
        self._accepted = self._duplicates = 0

    def accept(self, source_id: str, events: Iterable[Named]) -> None:
        """Takes the events of one request."""
        now = self._clock.now()
        ids_by_name: dict[str, list[str]] = {}
        for event in events:
            try:
                ids_by_name[event.event].append(event.event_id)
            except KeyError:
                ids_by_name[event.event] = [event.event_id]
        for name, ids in ids_by_name.items():
            table = self._tables.get((source_id, name))
            if table is None:
                table = self._tables[source_id, name] = _Table()
            fresh = dict.fromkeys(ids, now)
            if len(fresh) == len(ids) and "" not in fresh and table.since.keys().isdisjoint(fresh):
                table.since.update(fresh)
                self._accepted += len(ids)
            else:
                for event_id in ids:
                    self._accept_one(table, (source_id, name), event_id, now)

    def _accept_one(self, table: _Table, source_and_name: tuple[str, str], event_id: str, now: float) -> None:
        if not event_id:
            self._without_id[source_and_name] += 1
            self._accepted += 1
            return
        since = table.since.get(event_id)
        if since is None:
            table.since[event_id] = now
            self._accepted += 1
            return
        entry = table.repeated.get(event_id)
        if entry is None:
            entry = table.repeated[event_id] = _Repeated(since)
        entry.copies_received += 1
        if now - since < WINDOW_SECS:
            self._duplicates += 1
        else:
            table.since[event_id] = now
            entry.times_accepted += 1
            self._accepted += 1

    def totals(self) -> Totals:
        """Returns the counts."""
        repeated = [entry for table in self._tables.values() for entry in table.repeated.values()]
        return Totals(
            accepted=self._accepted,
            duplicates=self._duplicates,
            without_id=self._without_id.total(),
            keys=sum(len(table.since) for table in self._tables.values()),
            keys_repeated_within_window=sum(entry.copies_received > entry.times_accepted for entry in repeated),
            keys_accepted_again=sum(entry.times_accepted > 1 for entry in repeated),
        )

    def accepted(self) -> Iterator[tuple[Key, Accepted]]:
        """Yields every key; events without an id come as one entry for each source and name, with an empty id."""
        for (source_id, name), table in list(self._tables.items()):
            for event_id, since in list(table.since.items()):
                entry = table.repeated.get(event_id)
                row = Accepted(1, 1, since) if entry is None else Accepted(*_row(entry))
                yield Key(source_id, name, event_id), row
        for (source_id, name), count in list(self._without_id.items()):
            yield Key(source_id, name, ""), Accepted(count, count, 0.0)


def _row(entry: _Repeated) -> tuple[int, int, float]:
    return entry.times_accepted, entry.copies_received, entry.first_accepted
