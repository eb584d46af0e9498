"""How long delivered events took: bucketed counters, from the event's time and from its publication.

The counters, beside those of `transforms.outcomes`:

    latency_event:LIMIT       delivered events whose time lay at most LIMIT seconds back, and more than the limit before
    latency_publish:LIMIT     the same from the publication of their message
    past_merge_window         delivered events older than five minutes: TikTok does not merge them with the pixel's

Beam's distributions know no percentiles, and its histograms are not reported by every runner.
"""

import bisect
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

import apache_beam as beam

from transforms.model import Outcome
from transforms.outcomes import BeamCounters, OutcomeFn
from transforms.vocabulary import Kind

EVENT, PUBLISH, PAST_MERGE_WINDOW = "latency_event", "latency_publish", "past_merge_window"

# Seconds. The steps are fine where a stream should be, and coarse where something is wrong already.
LIMITS_SECS = (
    *(0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1, 1.5, 2, 2.5, 3, 3.5, 4, 4.5, 5, 5.5, 6, 7, 8, 9, 10, 12, 15, 20, 30, 45, 60),
    *(120, 300, 600, 1_800, 3_600, 7_200, 21_600, 86_400),
)
MORE = "more"

# Source: TikTok help center, "Event deduplication" (2025-05): the pixel's event and the Events API's are merged when
# they arrive within five minutes of each other.
MERGE_WINDOW_SECS = 300.0

_LIMITS_MS = [int(limit * 1_000) for limit in LIMITS_SECS]
_NAMES = [*(f"{limit:g}" for limit in LIMITS_SECS), MORE]


class LatencyTally:
    """Counts delivered events by how long they took. Not thread-safe: it belongs to a bundle.

    Args:
      published_at: message reference → epoch seconds of its publication, None if it is not known.
    """

    def __init__(self, published_at: Callable[[str], float | None] = lambda _: None) -> None:
        self._published_at = published_at
        self._counts: Counter[str] = Counter()

    def add(self, outcomes: Iterable[Outcome]) -> None:
        """Counts those of the outcomes that are delivered, by the time of TikTok's reply."""
        counts = self._counts
        for outcome in outcomes:
            answered_at_ms = outcome.answered_at_ms
            if outcome.kind is not Kind.DELIVERED or outcome.occurred_at_ms is None or answered_at_ms is None:
                continue
            age_ms = answered_at_ms - outcome.occurred_at_ms
            counts[f"{EVENT}:{_NAMES[bisect.bisect_left(_LIMITS_MS, age_ms)]}"] += 1
            if age_ms > MERGE_WINDOW_SECS * 1_000:
                counts[PAST_MERGE_WINDOW] += 1
            published_at = self._published_at(outcome.ref)
            if published_at is not None:
                waited_ms = answered_at_ms - int(published_at * 1_000)
                counts[f"{PUBLISH}:{_NAMES[bisect.bisect_left(_LIMITS_MS, waited_ms)]}"] += 1

    def drain(self) -> dict[str, int]:
        """Returns what was counted since the last call, by counter name, and forgets it."""
        counts = dict(self._counts)
        self._counts.clear()
        return counts


def percentile(counters: Mapping[str, int], family: str, share: float) -> float | None:
    """Returns the limit in seconds below which so many of the events of a family lie; None if there are none.

    >>> percentile({"latency_event:1": 90, "latency_event:5": 10}, "latency_event", 0.95)
    5.0
    >>> percentile({"latency_event:1": 90, "latency_event:more": 10}, "latency_event", 0.95)
    inf
    """
    counts = [counters.get(f"{family}:{name}", 0) for name in _NAMES]
    wanted, seen = share * sum(counts), 0
    for limit, count in zip((*LIMITS_SECS, float("inf")), counts, strict=True):
        seen += count
        if seen and seen >= wanted:
            return float(limit)
    return None


@dataclass
class CountLatency(beam.PTransform):
    """Outcomes of a stream → counters of latency, by the event's time. The output is empty."""

    def expand(self, outcomes: beam.PCollection[Outcome]) -> beam.PCollection[None]:
        """Returns an empty collection."""
        return outcomes | "CountLatency" >> beam.ParDo(_LatencyFn())


class _LatencyFn(OutcomeFn):
    def setup(self) -> None:
        self._counters = BeamCounters()

    def start_bundle(self) -> None:
        self._tally = LatencyTally()

    def process(self, outcome: Outcome) -> Iterator[None]:
        self._tally.add((outcome,))
        return iter(())

    @beam.DoFn.yields_elements
    def process_batch(self, outcomes: list[Outcome]) -> Iterator[None]:
        self._tally.add(outcomes)
        return iter(())

    def finish_bundle(self) -> None:
        self._counters.increment(self._tally.drain())
