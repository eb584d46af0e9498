"""Which slots of the budget a bundle may use next: those of the shards that it holds, behind the last one used.

A shard that is throttled twice in a row uses every second of its slots, then every fourth …, and grows back with every
success.
"""

from collections import Counter

from transforms.tiktok.budget import TOLERANCE_SECS, Budget

# A slot that passed unused so short a time ago is taken first: nobody has to wait for the next one, and most of
# `TOLERANCE_SECS` is left for the way to a thread.
_MISSED_SECS = 0.01

# A throttled shard uses at least every 16th of its slots, so that it notices when the throttling ends.
_MAX_STRIDE = 16


class SlotSchedule:
    """The slots of one bundle."""

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._last_slots: dict[int, int] = {}
        self._unwritten_slots: dict[int, int] = {}
        self._strides: dict[int, int] = {}
        self._throttlings_in_a_row: Counter[int] = Counter()

    def hold(self, shard: int, last_slot: int) -> None:
        """Adds a shard, and which of its slots was used last (-1: none)."""
        self._last_slots[shard] = max(last_slot, self._last_slots.get(shard, -1))

    def last_slot(self, shard: int) -> int:
        """Returns the last slot used of a shard that is held (-1: none), to be written down by the caller."""
        self._unwritten_slots.pop(shard, None)
        return self._last_slots[shard]

    def take(self, now: float) -> tuple[int, float]:
        """Returns the shard whose slot comes first, and when that begins, in epoch seconds; it may have just begun."""
        slot = max(self._budget.first_slot(now - _MISSED_SECS), 1 + min(self._last_slots.values()))
        while not self._is_free(slot):
            slot += 1
        shard = slot % self._budget.shards
        self._last_slots[shard] = self._unwritten_slots[shard] = slot
        return shard, self._budget.time(slot)

    def has_spare_slot(self, now: float) -> bool:
        """Returns whether a slot has just passed unused: nothing has to wait for the budget."""
        first = self._budget.first_slot(now)
        return any(self._is_free(slot) for slot in range(max(0, first - self._budget.shards), first))

    def over_at(self) -> float | None:
        """Returns when the used slots are over that were not written down, in epoch seconds; None: there are none."""
        if not self._unwritten_slots:
            return None
        return max(map(self._budget.time, self._unwritten_slots.values())) + TOLERANCE_SECS

    def slow_down(self, shard: int) -> None:
        """Slows a shard down if it was throttled before, too."""
        self._throttlings_in_a_row[shard] += 1
        if self._throttlings_in_a_row[shard] > 1:
            self._strides[shard] = min(_MAX_STRIDE, self._strides.get(shard, 1) * 2)

    def speed_up(self, shard: int) -> None:
        """Speeds a shard up again."""
        self._throttlings_in_a_row[shard] = 0
        if self._strides.get(shard, 1) > 1:
            self._strides[shard] //= 2

    def _is_free(self, slot: int) -> bool:
        shard = slot % self._budget.shards
        last = self._last_slots.get(shard)
        if last is None:
            return False
        skipped = (self._strides.get(shard, 1) - 1) * self._budget.shards if last >= 0 else 0
        return slot > last + skipped
