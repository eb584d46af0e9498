"""What a dry run reports beside the usual counts: requests, bytes, time at the budget, cost, samples of payloads."""

import datetime
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
from apache_beam.metrics.metric import MetricResults, MetricsFilter
from rich.console import Group, RenderableType
from rich.text import Text

from pipeline.ledger import Cost, DryRun
from pipeline.reporting.prices import Prices
from transforms.connection import Connection
from transforms.counters import NAMESPACE, UNITS
from transforms.dry_run import SAMPLE
from transforms.tiktok import Budget
from transforms.vocabulary import Reason

# On Dataflow what is between gathering, coalescing and sending is shuffled: all payloads, twice.
_SHUFFLES = 2
_GB = 10**9
_HOUR_SECS = 3_600


def read_samples(metrics: MetricResults) -> list[str]:
    """Returns the samples that the workers kept, as JSON."""
    found: set[str] = set()
    for result in metrics.query(MetricsFilter().with_namespace(NAMESPACE))[MetricResults.STRINGSETS]:
        if result.key.metric.namespace == NAMESPACE and result.key.metric.name.startswith(SAMPLE):
            found.update((result.attempted if result.committed is None else result.committed) or ())
    return sorted(found)


def estimate(counters: Mapping[str, int], samples: list[str], connection: Connection, prices: Prices) -> DryRun:
    """Returns what a run would do, from the counters of its dry run.

    Args:
      counters: by name.
      samples: as `read_samples` returns them; of each event and form the first is kept.
      connection: its budget.
      prices: of Dataflow.
    """
    forms = dict(_family(counters, "dry_run:requests:"))
    requests, size = sum(forms.values()), counters.get("dry_run:bytes", 0)
    secs = Budget(connection.requests_per_second).time(requests)
    shown: dict[tuple[Any, Any], dict[str, Any]] = {}
    for sample in samples:
        event = msgspec.json.decode(sample, type=dict[str, Any])
        shown.setdefault((event["form"], event["event"]), event)
    reasons: dict[str, dict[str, int]] = {}
    for name, count in _family(counters, "ended:"):
        event_name, _, reason = name.rpartition(":")
        reasons.setdefault(event_name, {})[reason] = count
    # Whatever the number of workers: those who map are paid for the events, one at least waits for the budget.
    busy_secs = max(secs, counters.get(UNITS, 0) / prices.events_per_second)
    hours = (prices.startup_secs + busy_secs) / _HOUR_SECS
    shuffled = _SHUFFLES * size / _GB
    amount = hours * prices.worker_hour() + shuffled * prices.shuffle_gb
    cost = Cost(
        amount=round(amount, 4),
        currency=prices.currency,
        date=prices.date,
        region=prices.region,
        worker_hours=round(hours, 3),
        shuffle_gb=round(shuffled, 3),
    )
    return DryRun(
        events=dict(_family(counters, "events:")),
        reasons=reasons,
        requests=requests,
        requests_by_form=forms,
        bytes=size,
        requests_per_second=connection.requests_per_second,
        seconds_at_budget=round(secs, 1),
        cost=cost,
        samples=tuple(shown.values()),
    )


def render_dry_run(dry_run: DryRun) -> RenderableType:
    """Returns the report for people."""
    events = ", ".join(f"{count:,} {name}" for name, count in dry_run.events.items()) or "no event"
    took = datetime.timedelta(seconds=round(dry_run.seconds_at_budget))
    rate, cost = dry_run.requests_per_second, dry_run.cost
    lines = [
        f"\nnothing was sent; a run would send {events}",
        f"{dry_run.requests:,} requests, {dry_run.bytes:,} bytes; {took} at {rate:g} requests/s, if none is repeated",
        f"on Dataflow about {cost.amount:.2f} {cost.currency}: {cost.worker_hours:g} worker hours, "
        f"{cost.shuffle_gb:g} GB shuffled; prices of {cost.date} in {cost.region} (--prices)",
    ]
    return Group(Text("\n".join([*lines, *_not_sent(dry_run)])), *_samples(dry_run))


def _not_sent(dry_run: DryRun) -> Iterator[str]:
    """Yields a line for each event of which some would not be sent."""
    for event, reasons in dry_run.reasons.items():
        shown = ", ".join(f"{count:,} {reason}" for reason, count in reasons.items() if reason != Reason.DRY_RUN)
        if shown:
            yield f"{event}: not sent would be {shown}"


def _samples(dry_run: DryRun) -> Iterator[RenderableType]:
    for sample in dry_run.samples:
        event = {name: value for name, value in sample.items() if name != "form"}
        text = msgspec.json.format(msgspec.json.encode(event), indent=2).decode()
        yield Text(f"\nsample, {sample['form']} (… stands for what may tell about a person):\n{text}")


def _family(counters: Mapping[str, int], prefix: str) -> Iterator[tuple[str, int]]:
    """Yields name and count of the counters with a prefix, in the order of their names."""
    for name in sorted(counters):
        if name.startswith(prefix) and counters[name]:
            yield name.removeprefix(prefix), counters[name]
