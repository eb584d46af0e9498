"""The request budget: slots on an absolute grid."""

import math
from collections import Counter

import pytest

from transforms.tiktok.budget import TOLERANCE_SECS, Budget
from transforms.tiktok.slot_schedule import SlotSchedule


def next_slot(budget: Budget, shard: int, after: int, earliest: float) -> int:
    """Returns the slot that whoever holds a shard uses next, as a delivery finds it."""
    slots = SlotSchedule(budget)
    slots.hold(shard, after)
    slots.take(earliest)
    return slots.last_slot(shard)


@pytest.mark.parametrize("per_second", [1, 2, 3, 7, 10, 33, 50, 100, 999, 1000])
def test_no_whole_second_holds_more_slots_than_the_budget_over_all_shards(per_second: int) -> None:
    budget = Budget(per_second)
    slots = []
    for shard in range(budget.shards):
        slot = -1
        while True:
            slot = next_slot(budget, shard, slot, 1_700_000_000.25)
            if budget.time(slot) >= 1_700_000_011:
                break
            slots.append(slot)
    assert len(set(slots)) == len(slots)
    by_second = Counter(math.floor(budget.time(slot)) for slot in slots)
    assert all(by_second[second] == per_second for second in range(1_700_000_001, 1_700_000_011))


@pytest.mark.parametrize("per_second", [1, 10, 64, 1000])
def test_a_request_that_starts_as_late_as_allowed_still_starts_in_its_second(per_second: int) -> None:
    budget = Budget(per_second)
    for slot in range(5 * per_second):
        begins = budget.time(slot)
        assert math.floor(begins) == math.floor(begins + TOLERANCE_SECS + 0.05)


def test_a_budget_below_one_has_one_slot_in_several_seconds() -> None:
    budget = Budget(0.3)
    assert budget.shards == 1
    assert [budget.time(slot) for slot in range(3)] == [0.0, 4.0, 8.0]
    assert next_slot(budget, 0, -1, 1000.5) == 251


def test_a_fractional_budget_is_rounded_down() -> None:
    assert [math.floor(Budget(2.9).time(slot)) for slot in range(6)] == [0, 0, 1, 1, 2, 2]


def test_the_next_slot_is_never_one_that_was_used() -> None:
    budget = Budget(10)
    slot = next_slot(budget, 1, -1, 100.0)
    assert next_slot(budget, 1, slot, 100.0) == slot + budget.shards


def test_slots_in_the_past_are_not_given_out() -> None:
    budget = Budget(10)
    assert budget.time(next_slot(budget, 0, 5, 5000.33)) >= 5000.33


def test_a_budget_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="requests_per_second must be above 0"):
        Budget(0)


@pytest.mark.parametrize("per_second", [0.3, 1, 7, 10, 33, 1000])
def test_the_first_slot_is_the_first_that_is_not_over(per_second: float) -> None:
    budget = Budget(per_second)
    for step in range(400):
        earliest = 1_700_000_000 + step * 0.01237
        slot = budget.first_slot(earliest)
        assert budget.time(slot - 1) < earliest <= budget.time(slot)
    for slot in range(50):
        assert budget.first_slot(budget.time(slot)) == slot
