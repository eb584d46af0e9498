"""Which slots a bundle takes: those of its shards, each once, the earliest first."""

import pytest

from transforms.tiktok.budget import TOLERANCE_SECS, Budget
from transforms.tiktok.slot_schedule import SlotSchedule

NOW = 1_700_000_000.0


def test_the_earliest_slot_of_the_held_shards_is_taken_and_none_twice() -> None:
    budget = Budget(100)
    slots = SlotSchedule(budget)
    for shard in (2, 5, 11):
        slots.hold(shard, -1)
    taken = [slots.take(NOW) for _ in range(9)]
    first = budget.first_slot(NOW)
    free = [slot for slot in range(first, first + 200) if slot % budget.shards in (2, 5, 11)]
    assert taken == [(slot % budget.shards, budget.time(slot)) for slot in free[:9]]


def test_a_slot_that_has_just_begun_is_taken_and_an_older_one_is_not() -> None:
    budget = Budget(100)
    slots = SlotSchedule(budget)
    for shard in range(budget.shards):
        slots.hold(shard, -1)
    begun = budget.time(budget.first_slot(NOW + 0.5))
    assert slots.take(begun + 0.003)[1] == begun
    assert slots.take(begun + 0.003)[1] == pytest.approx(begun + 0.0085)
    assert slots.take(begun + 0.1)[1] > begun + 0.09


def test_a_slot_that_passed_unused_is_spare_and_one_that_was_taken_is_not() -> None:
    budget = Budget(10)
    slots = SlotSchedule(budget)
    slots.hold(0, -1)
    slots.hold(1, -1)
    assert slots.has_spare_slot(NOW)
    for _ in range(4):
        _, at = slots.take(NOW)
    assert not slots.has_spare_slot(NOW)
    assert not slots.has_spare_slot(at)
    assert slots.has_spare_slot(at + 0.2)


def test_slots_of_shards_that_others_hold_are_not_spare() -> None:
    slots = SlotSchedule(Budget(10))
    first = Budget(10).first_slot(NOW)
    slots.hold(1, first + (1 - first) % 2)
    assert not slots.has_spare_slot(NOW)


def test_a_bundle_waits_for_the_slots_that_no_state_tells_of() -> None:
    slots = SlotSchedule(Budget(10))
    slots.hold(0, -1)
    assert slots.over_at() is None
    _, at = slots.take(NOW)
    assert slots.over_at() == pytest.approx(at + TOLERANCE_SECS)
    slots.last_slot(0)
    assert slots.over_at() is None


def test_a_shard_that_is_throttled_again_and_again_uses_fewer_of_its_slots() -> None:
    budget = Budget(8)
    slots = SlotSchedule(budget)
    slots.hold(0, -1)
    steps = []
    for _ in range(7):
        slots.take(NOW)
        before = slots.last_slot(0)
        slots.slow_down(0)
        slots.take(NOW)
        steps.append(slots.last_slot(0) - before)
    assert steps == [1, 2, 4, 8, 16, 16, 16]
    for _ in range(4):
        slots.speed_up(0)
    before = slots.last_slot(0)
    slots.take(NOW)
    assert slots.last_slot(0) - before == 1
