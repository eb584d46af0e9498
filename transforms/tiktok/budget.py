"""The request budget of the whole job: slots on an absolute time grid, divided over shards. Pure; no clock, no state.

Every whole second of UTC holds `floor(requests_per_second)` slots (a budget below 1 has one slot every so many
seconds). Slot `n` belongs to shard `n % shards`; who holds a shard (in Beam: processes its key) may start one request
in each of its slots. So no second ever holds more started requests than the budget, whatever the number of workers,
without a service between them.

Slots fill only the first part of a second, and a request may start only shortly after its slot's time; a late one takes
a new slot. Both leave the rest of the second for the way to TikTok: what was started in one second arrives in it.
"""

import math
from dataclasses import dataclass, field

# Share of a whole second that holds slots. The rest (150 ms) absorbs thread wake-up and the way to the server.
_FILLED = 0.85

# How long after its time a slot may still be used, in seconds.
TOLERANCE_SECS = 0.05

# One shard for so many requests a second: fewer shards fill batches better, more shards allow more workers.
_REQUESTS_PER_SHARD = 8
_MAX_SHARDS = 32


@dataclass(frozen=True, slots=True)
class Budget:
    """SlotSchedule of a budget.

    Args:
      requests_per_second: of the whole job, above 0.

    Attributes:
      shards: their fixed number.

    >>> budget = Budget(10)
    >>> budget.shards
    2
    >>> [round(budget.time(slot), 3) for slot in (0, 1, 9, 10)]
    [0.0, 0.085, 0.765, 1.0]
    """

    requests_per_second: float
    shards: int = field(init=False)
    _per_second: int = field(init=False, repr=False)
    _period_secs: int = field(init=False, repr=False)

    def __post_init__(self) -> None:
        budget = self.requests_per_second
        if not budget > 0:
            raise ValueError(f"requests_per_second must be above 0, not {budget}")
        # Worked out once: a delivery asks for them several times for each request.
        object.__setattr__(self, "shards", max(1, min(_MAX_SHARDS, math.ceil(budget / _REQUESTS_PER_SHARD))))
        object.__setattr__(self, "_per_second", max(1, math.floor(budget)))
        object.__setattr__(self, "_period_secs", 1 if budget >= 1 else math.ceil(1 / budget))

    @property
    def used(self) -> float:
        """Returns the requests a second that the slots allow, at most the budget.

        >>> [Budget(budget).used for budget in (10, 10.5, 0.5, 0.7)]
        [10.0, 10.0, 0.5, 0.5]
        """
        return self._per_second / self._period_secs

    def time(self, slot: int) -> float:
        """Returns when a slot begins, in epoch seconds."""
        period, place = divmod(slot, self._per_second)
        return period * self._period_secs + _FILLED * place / self._per_second

    def first_slot(self, earliest: float) -> int:
        """Returns the first slot of all whose time is not before `earliest`, in epoch seconds.

        >>> Budget(10).first_slot(0.1), Budget(10).first_slot(0.8), Budget(0.5).first_slot(1.0)
        (2, 10, 1)
        """
        period = max(0, math.floor(earliest / self._period_secs))
        into_secs = max(0.0, earliest - period * self._period_secs)
        # Rounded down; the time decides, so that it agrees with `time` to the last bit.
        slot = period * self._per_second + min(math.floor(into_secs * self._per_second / _FILLED), self._per_second - 1)
        while self.time(slot) < earliest:
            slot += 1
        return slot
