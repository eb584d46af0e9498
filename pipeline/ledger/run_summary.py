"""What a run did, as its summary file, its manifest and its report have it."""

import datetime
from typing import Any

import msgspec

from transforms.vocabulary import Kind, Reason


class Cost(msgspec.Struct, frozen=True):
    """What the run would cost on Dataflow, with the date and region of the prices."""

    amount: float
    currency: str
    date: datetime.date
    region: str
    worker_hours: float
    shuffle_gb: float


class DryRun(msgspec.Struct, frozen=True):
    """What a run would do.

    Attributes:
      events: TikTok event → events that would be sent.
      reasons: TikTok event → reason → events; those that would be sent are `dry_run`. What ends before its event is
        known (other actions, consent, environment) is in the summary's outcomes only.
      requests: that they fill, without repeated ones.
      requests_by_form: the same by the request's form.
      bytes: of the requests' bodies, before compression.
      requests_per_second: the budget.
      seconds_at_budget: how long the requests take at the budget.
      cost: on Dataflow.
      samples: one event of each name and form, with `…` in the place of personal values.
    """

    events: dict[str, int]
    reasons: dict[str, dict[str, int]]
    requests: int
    requests_by_form: dict[str, int]
    bytes: int
    requests_per_second: float
    seconds_at_budget: float
    cost: Cost
    samples: tuple[dict[str, Any], ...] = ()


class OutcomeCount(msgspec.Struct, frozen=True):
    """How many units ended in one way. `reason` is None for the delivered only."""

    kind: Kind
    reason: Reason | None
    count: int


class Summary(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a run did; the JSON file has these names. Those with a default are there only if they are not empty.

    Attributes:
      messages: messages read.
      events: units that entered: events, and messages and files without readable events.
      outcomes: how they ended; delivered first, the others by kind, the most frequent first.
      requests: requests sent, repeated ones included.
      retries: how many of them repeated another.
      seconds: how long the run took.
      adds_up: whether every unit that entered left as exactly one outcome.
      coverage: TikTok event → match key → share of the delivered events that had it, 0 to 1.
      run_id: the run, as in the ledger.
      notes: what the mapping had to decide → number of events.
      details: reason → detail → number of units.
      throttled_secs: time spent waiting for the rate budget or because TikTok asked to.
      pruned: what lies outside the time window by its folder or its statistics and was not read: `files`, `bytes`,
        `row_groups`, `rows`.
      cut_off: column of a warehouse table → values whose JSON text is cut off.
      dry_run: what would have been done.
      latency: streams; from the event (`event`) and from the publication of its message (`publish`) to the delivery:
        `p50`, `p95`, `p99` in seconds, each the upper limit of its bucket; None above the last limit.
      past_merge_window: streams; delivered events older than TikTok's five minutes for merging with the pixel's.
    """

    messages: int
    events: int
    outcomes: tuple[OutcomeCount, ...]
    requests: int
    retries: int
    seconds: float
    adds_up: bool
    coverage: dict[str, dict[str, float]]
    run_id: str
    notes: dict[str, int]
    details: dict[str, dict[str, int]]
    throttled_secs: int
    pruned: dict[str, int] = {}
    cut_off: dict[str, int] = {}
    dry_run: DryRun | None = None
    latency: dict[str, dict[str, float | None]] = {}
    past_merge_window: int = 0

    def count(self, *kinds: Kind) -> int:
        """Returns how many units ended in one of these kinds."""
        return sum(outcome.count for outcome in self.outcomes if outcome.kind in kinds)
