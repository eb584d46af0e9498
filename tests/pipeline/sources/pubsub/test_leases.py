"""The bookkeeping of what is on its way: settled once all units are recorded, in whatever order that becomes known."""

import itertools

import pytest

from pipeline.sources.pubsub.leases import Arrival, Leases


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def leases(clock: Clock) -> Leases:
    return Leases(clock)


def arrive(leases: Leases, *ids: str, ack: str = "a") -> None:
    leases.arrive([Arrival(f"{ack}-{name}", name, b"x" * 10, 1_000.0) for name in ids], 10)


@pytest.mark.parametrize("order", sorted(set(itertools.permutations(["count", "record", "record", "record"]))))
def test_a_message_is_settled_when_all_its_units_are_recorded(leases: Leases, order: tuple[str, ...]) -> None:
    arrive(leases, "m")
    leases.take(10)
    for step in order:
        assert leases.take_settled() == []
        if step == "count":
            leases.count({"m": 3})
        else:
            leases.record({"m": 1})
    assert leases.take_settled() == ["a-m"]
    assert (len(leases), leases.size) == (0, 0)


def test_a_copy_of_a_message_on_its_way_is_not_handed_out_and_its_newest_ack_id_counts(leases: Leases) -> None:
    arrive(leases, "m")
    arrive(leases, "m", ack="b")
    assert [message.ref for message in leases.take(10)] == ["m"]
    arrive(leases, "m", ack="c")
    assert leases.take(10) == []
    leases.count({"m": 1})
    leases.record({"m": 1})
    assert leases.take_settled() == ["c-m"]
    assert leases.counts == (1, 1, 2)


def test_a_message_that_comes_again_after_it_was_settled_is_a_new_one(leases: Leases) -> None:
    for ack in ("a", "b"):
        arrive(leases, "m", ack=ack)
        assert len(leases.take(1)) == 1
        leases.count({"m": 2})
        leases.record({"m": 2})
        assert leases.take_settled() == [f"{ack}-m"]


def test_leases_are_due_before_they_end_and_those_that_could_not_be_extended_stay_due(
    leases: Leases, clock: Clock
) -> None:
    arrive(leases, "one", "two")
    assert leases.due(6) == {}
    clock.now = 104.0
    assert leases.due(6) == {"one": "a-one", "two": "a-two"}
    leases.extended(["one"], 30)
    assert leases.due(6) == {"two": "a-two"}
    clock.now = 128.0
    assert set(leases.due(6)) == {"one", "two"}


def test_what_is_not_taken_is_given_back_and_the_rest_kept(leases: Leases) -> None:
    arrive(leases, "one", "two", "three")
    leases.take(1)
    assert leases.give_back() == ["a-two", "a-three"]
    assert (len(leases), leases.size) == (1, 10)
    assert leases.take(3) == []
    leases.record({"two": 1})
    leases.count({"two": 1})
    assert leases.take_settled() == []


def test_acknowledgements_that_failed_are_tried_again(leases: Leases) -> None:
    leases.put_back_settled(["x", "y"])
    assert leases.take_settled() == ["x", "y"]


def test_the_oldest_message_on_its_way_holds_the_watermark(leases: Leases) -> None:
    assert leases.oldest_published_at() is None
    leases.arrive([Arrival("a", "m", b"", 5.0)], 10)
    leases.arrive([Arrival("a", "n", b"", 7.0)], 10)
    assert leases.oldest_published_at() == 5.0
    leases.count({"m": 1})
    leases.record({"m": 1})
    assert leases.oldest_published_at() == 7.0
