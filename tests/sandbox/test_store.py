"""What counts as one event: the key, the 48 hours, and copies."""

import time
from typing import NamedTuple

from sandbox.tiktok.store import Accepted, Clock, Key, Store

HOUR_SECS = 3600


class Event(NamedTuple):
    event: str
    event_id: str


class StillClock(Clock):
    """A clock that only moves when it is told to."""

    def now(self) -> float:
        return self.offset_secs


def store() -> tuple[Store, Clock]:
    clock = StillClock()
    return Store(clock), clock


def rows(kept: Store) -> dict[Key, Accepted]:
    return dict(kept.accepted())


def test_an_event_is_known_by_source_name_and_id() -> None:
    kept, _ = store()
    kept.accept("A", [Event("Purchase", "1"), Event("Lead", "1"), Event("Purchase", "2")])
    kept.accept("B", [Event("Purchase", "1")])
    assert rows(kept) == {
        Key("A", "Purchase", "1"): Accepted(1, 1, 0.0),
        Key("A", "Lead", "1"): Accepted(1, 1, 0.0),
        Key("A", "Purchase", "2"): Accepted(1, 1, 0.0),
        Key("B", "Purchase", "1"): Accepted(1, 1, 0.0),
    }
    totals = kept.totals()
    assert (totals.keys, totals.accepted, totals.duplicates) == (4, 4, 0)


def test_a_copy_within_48_hours_of_the_first_one_is_dropped() -> None:
    kept, clock = store()
    for hours in (0, 1, 46, 0.99):
        clock.advance(hours * HOUR_SECS)
        kept.accept("A", [Event("Purchase", "1")])
    assert rows(kept) == {Key("A", "Purchase", "1"): Accepted(1, 4, 0.0)}
    totals = kept.totals()
    assert (totals.accepted, totals.duplicates) == (1, 3)
    assert (totals.keys_repeated_within_window, totals.keys_accepted_again) == (1, 0)


def test_a_copy_after_48_hours_counts_again_and_opens_a_new_window() -> None:
    kept, clock = store()
    kept.accept("A", [Event("Purchase", "1")])
    clock.advance(48 * HOUR_SECS)
    kept.accept("A", [Event("Purchase", "1")])
    clock.advance(47 * HOUR_SECS)
    kept.accept("A", [Event("Purchase", "1")])
    assert rows(kept) == {Key("A", "Purchase", "1"): Accepted(2, 3, 0.0)}
    totals = kept.totals()
    assert (totals.keys, totals.accepted, totals.duplicates) == (1, 2, 1)
    assert (totals.keys_repeated_within_window, totals.keys_accepted_again) == (1, 1)


def test_a_copy_inside_one_request_is_dropped() -> None:
    kept, _ = store()
    kept.accept("A", [Event("Purchase", "1"), Event("Purchase", "2"), Event("Purchase", "1")])
    assert rows(kept)[Key("A", "Purchase", "1")] == Accepted(1, 2, 0.0)
    totals = kept.totals()
    assert (totals.keys, totals.accepted, totals.duplicates) == (2, 2, 1)


def test_events_without_an_id_are_never_dropped() -> None:
    kept, _ = store()
    kept.accept("A", [Event("Purchase", ""), Event("Purchase", ""), Event("Purchase", "1")])
    kept.accept("A", [Event("Purchase", "")])
    assert rows(kept)[Key("A", "Purchase", "")] == Accepted(3, 3, 0.0)
    totals = kept.totals()
    assert (totals.keys, totals.accepted, totals.without_id, totals.duplicates) == (1, 4, 3, 0)


def test_nothing_is_left_after_clear() -> None:
    kept, _ = store()
    kept.accept("A", [Event("Purchase", "1"), Event("Purchase", "")])
    kept.clear()
    assert not rows(kept)
    assert kept.totals() == Store(StillClock()).totals()


def test_the_clock_is_the_wall_clock_moved_forward() -> None:
    clock = Clock()
    clock.advance(7 * 24 * HOUR_SECS)
    assert abs(clock.now() - time.time() - 604_800) < 5
