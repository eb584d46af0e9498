"""Outcomes in, Beam counters out: what became of everything, why, and how well it can be matched.

The counters, beside those of `transforms.counters` (read by `pipeline.reporting.summary`):

    outcome:KIND                   units of that kind without a reason: the delivered ones
    outcome:KIND:REASON            units of that kind for that reason
    detail:REASON:DETAIL           the same by detail, where the outcome has one
    note:NOTE                      what the mapping had to decide, for every outcome that carries notes
    events:EVENT                   delivered events by TikTok's event name; in a dry run those that would be sent
    ended:EVENT:REASON             events that were not delivered, if the tally counts `by_event`
    coverage:EVENT:KEY             those of them with that match key (`email`, `phone` …)

A counter built for every element costs 1.7 µs, and `inc` 0.2 µs; a local dictionary moved into counters now and then
costs nothing. Counters are touched on the bundle's thread only, because Beam loses the others.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from operator import attrgetter
from typing import Any

import apache_beam as beam
from apache_beam import typehints
from apache_beam.metrics import Metrics

from transforms.counters import NAMESPACE
from transforms.model import Outcome
from transforms.vocabulary import Kind, MatchKey, Note, Reason

# Names of one family (details, events) that one worker counts by themselves; the rest are counted as `other`.
# Monitoring systems bound the number of metrics, and details come from the data.
MAX_NAMES = 100

# Characters of a detail or event name in a counter's name.
MAX_NAME_CHARS = 64

OTHER = "other"

# Combinations of kind, reason, detail, event, match keys and notes kept before they are moved on: bounds the memory.
_MAX_COMBINATIONS = 4_096

_combination = attrgetter("kind", "reason", "detail", "event", "match_keys", "notes")

# Name of each match key in counters and in the summary.
MATCH_KEY_NAMES = {key: str(key.name).lower() for key in MatchKey}


class OutcomeTally:
    """Counts outcomes in memory until `drain`. Not thread-safe: it belongs to a bundle.

    Args:
      max_names: names of one family that are counted by themselves.
      by_event: count reasons for each event of TikTok's as well.
    """

    def __init__(self, max_names: int = MAX_NAMES, by_event: bool = False) -> None:
        self._by_event = by_event
        self._combinations: Counter[Any] = Counter()
        self._counts: Counter[str] = Counter()
        self._kinds: Counter[Kind] = Counter()
        self._details = _Names(max_names)
        self._events = _Names(max_names)

    def add(self, outcomes: Iterable[Outcome]) -> None:
        """Counts outcomes."""
        self._combinations.update(map(_combination, outcomes))
        if len(self._combinations) > _MAX_COMBINATIONS:
            self._fold()

    def drain(self) -> tuple[dict[str, int], dict[Kind, int]]:
        """Returns what was counted since the last call, by counter name and by kind, and forgets it."""
        self._fold()
        counts, kinds = dict(self._counts), dict(self._kinds)
        self._counts.clear()
        self._kinds.clear()
        return counts, kinds

    def _fold(self) -> None:
        for (kind, reason, detail, event, match_keys, notes), count in self._combinations.items():
            self._kinds[kind] += count
            for name in self._names(kind, reason, detail, event, match_keys, notes):
                self._counts[name] += count
        self._combinations.clear()

    def _names(
        self,
        kind: Kind,
        reason: Reason | None,
        detail: str | None,
        event: str | None,
        match_keys: int,
        notes: tuple[Note, ...],
    ) -> Iterator[str]:
        """Yields the names of all counters that count such an outcome."""
        if reason is None:
            yield f"outcome:{kind}"
        else:
            yield f"outcome:{kind}:{reason}"
            if detail:
                yield f"detail:{reason}:{self._details.bounded(detail)}"
            if self._by_event and event:
                yield f"ended:{self._events.bounded(event)}:{reason}"
        for note in set(notes):
            yield f"note:{note}"
        if event and (kind is Kind.DELIVERED or reason is Reason.DRY_RUN):
            name = self._events.bounded(event)
            yield f"events:{name}"
            for key, key_name in MATCH_KEY_NAMES.items():
                if match_keys & key:
                    yield f"coverage:{name}:{key_name}"


class _Names:
    """The first names that are seen stay, the later ones become `other`."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._seen: set[str] = set()

    def bounded(self, name: str) -> str:
        """Returns the name, cut, or `other`."""
        name = name[:MAX_NAME_CHARS]
        if name not in self._seen:
            if len(self._seen) >= self._limit:
                return OTHER
            self._seen.add(name)
        return name


class BeamCounters:
    """Beam's counters by name, each built once. Call on the bundle's thread only."""

    def __init__(self) -> None:
        self._counters: dict[str, Any] = {}

    def increment(self, counts: dict[str, int]) -> None:
        """Adds each count to the counter of that name."""
        for name, count in counts.items():
            counter = self._counters.get(name)
            if counter is None:
                counter = self._counters[name] = Metrics.counter(NAMESPACE, name)
            counter.inc(count)


class OutcomeFn(beam.DoFn):
    """Base of the steps that take outcomes and return nothing, as lists or one by one.

    Both ways are needed: Beam hands over lists where the step before yields lists of the same type. Elsewhere (tagged
    outputs, outputs of a `finish_bundle`, after a shuffle) a step that took lists alone would get them only after
    4,096 elements or at the end of the bundle, so that a killed run would lose them; singly they come at once.
    """

    def process(self, outcome: Outcome) -> Iterator[None]:
        """Takes one outcome."""
        raise NotImplementedError

    @beam.DoFn.yields_elements
    def process_batch(self, outcomes: list[Outcome]) -> Iterator[None]:
        """Takes outcomes."""
        raise NotImplementedError

    def get_input_batch_type(self, input_element_type: Any) -> Any:
        """Returns a list of whatever the input's element type is, so that lists pass as they are."""
        return typehints.List[input_element_type]
