"""The summary of a run: Beam's counters in; a JSON file, a table for people and the exit code out."""

import math
from collections.abc import Iterator, Mapping

import msgspec
from apache_beam.metrics.metric import MetricResults, MetricsFilter
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from pipeline.errors import EXIT_SETTLED, EXIT_UNSETTLED
from pipeline.ledger import OutcomeCount, Summary
from pipeline.reporting.dry_run import render_dry_run
from pipeline.runtime import CUT_OFF, PRUNED
from pipeline.storage import write_atomically
from transforms.counters import MESSAGES, NAMESPACE, REQUESTS, RETRIES, THROTTLED, UNITS
from transforms.latency import EVENT, PAST_MERGE_WINDOW, PUBLISH, percentile
from transforms.outcomes import MATCH_KEY_NAMES
from transforms.vocabulary import Kind, Reason

_UNSETTLED = (Kind.UNDELIVERED, Kind.UNKNOWN)


def read_counters(metrics: MetricResults) -> dict[str, int]:
    """Returns the sums of this project's counters over all steps, by name.

    Committed values do not count repeated bundles; where a runner does not report them, the attempted ones are taken.
    """
    counts: dict[str, int] = {}
    for result in metrics.query(MetricsFilter().with_namespace(NAMESPACE))[MetricResults.COUNTERS]:
        # Some runners do not filter.
        if result.key.metric.namespace == NAMESPACE:
            count = result.attempted if result.committed is None else result.committed
            counts[result.key.metric.name] = counts.get(result.key.metric.name, 0) + int(count or 0)
    return counts


def summarize(counters: Mapping[str, int], seconds: float, run_id: str) -> Summary:
    """Returns the summary of a run.

    Args:
      counters: as `read_counters` returns them.
      seconds: duration of the run.
      run_id: identifies the run.
    """
    outcomes: list[OutcomeCount] = []
    notes: dict[str, int] = {}
    details: dict[str, dict[str, int]] = {}
    found: dict[str, dict[str, int]] = {PRUNED: {}, CUT_OFF: {}}
    for name, count in counters.items():
        family, _, rest = name.partition(":")
        first, _, second = rest.partition(":")
        if family == "outcome" and count:
            outcomes.append(OutcomeCount(kind=Kind(first), reason=Reason(second) if second else None, count=count))
        elif family == "note" and count:
            notes[rest] = count
        elif family == "detail" and count:
            details.setdefault(first, {})[second] = count
        elif family in found and count:
            found[family][rest] = count
    outcomes.sort(key=_place)
    events = counters.get(UNITS, 0)
    return Summary(
        messages=counters.get(MESSAGES, 0),
        events=events,
        outcomes=tuple(outcomes),
        requests=counters.get(REQUESTS, 0),
        retries=counters.get(RETRIES, 0),
        seconds=round(seconds, 3),
        adds_up=events == sum(outcome.count for outcome in outcomes),
        coverage=_coverage(counters),
        run_id=run_id,
        notes=_frequent_first(notes),
        details={reason: _frequent_first(details[reason]) for reason in sorted(details)},
        throttled_secs=counters.get(THROTTLED, 0),
        pruned=found[PRUNED],
        cut_off=found[CUT_OFF],
        latency=_latency(counters),
        past_merge_window=counters.get(PAST_MERGE_WINDOW, 0),
    )


def write_summary(summary: Summary, path: str) -> None:
    """Writes the JSON file as a whole, to a local path or to any file system Beam knows.

    Raises:
      WriteError: it could not be written.
    """
    write_atomically(path, msgspec.json.format(msgspec.json.encode(summary), indent=2) + b"\n")


def exit_code(summary: Summary) -> int:
    """Returns 0 if all is settled, 3 if something is undelivered or unknown."""
    return EXIT_UNSETTLED if summary.count(*_UNSETTLED) else EXIT_SETTLED


def render_summary(summary: Summary) -> RenderableType:
    """Returns the summary for people: how everything ended and what to do about it, and how well it can be matched."""
    parts: list[RenderableType] = [_outcome_table(summary), _requests_line(summary), *_input_lines(summary)]
    if summary.latency:
        parts.append(_latency_line(summary))
    if summary.coverage:
        parts += [Text(), _coverage_table(summary)]
    if summary.dry_run:
        parts.append(render_dry_run(summary.dry_run))
    return Group(*parts)


def _place(outcome: OutcomeCount) -> tuple[int, int, str]:
    """Delivered first, then the kinds in the order of `Kind`, the most frequent reason first."""
    return list(Kind).index(outcome.kind), -outcome.count, outcome.reason or ""


def _frequent_first(counts: Mapping[str, int]) -> dict[str, int]:
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def _coverage(counters: Mapping[str, int]) -> dict[str, dict[str, float]]:
    """Returns the shares for each delivered event; every match key is there, so that 0 is seen."""
    delivered = {name.removeprefix("events:"): count for name, count in counters.items() if name.startswith("events:")}
    return {
        event: {key: round(counters.get(f"coverage:{event}:{key}", 0) / count, 4) for key in MATCH_KEY_NAMES.values()}
        for event, count in sorted(delivered.items())
        if count
    }


def _latency(counters: Mapping[str, int]) -> dict[str, dict[str, float | None]]:
    found: dict[str, dict[str, float | None]] = {}
    for family in (EVENT, PUBLISH):
        limits = {f"p{share}": percentile(counters, family, share / 100) for share in (50, 95, 99)}
        if limits["p50"] is not None:
            found[family.removeprefix("latency_")] = {
                name: limit if limit is not None and math.isfinite(limit) else None for name, limit in limits.items()
            }
    return found


def _outcome_table(summary: Summary) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("events", justify="right")
    table.add_column("kind")
    table.add_column("reason")
    table.add_column("what to do", overflow="fold")
    table.add_row(f"{summary.events:,}", "in", "", _plural(summary.messages, "message"))
    for outcome in summary.outcomes:
        reason = outcome.reason or ""
        table.add_row(f"{outcome.count:,}", outcome.kind, reason, _advice(outcome), style=_STYLES[outcome.kind])
    return table


_STYLES = {
    Kind.DELIVERED: "green",
    Kind.SKIPPED: "",
    Kind.REJECTED: "red",
    Kind.UNDELIVERED: "yellow",
    Kind.UNKNOWN: "yellow",
}


def _advice(outcome: OutcomeCount) -> str:
    return outcome.reason.remedy.replace("`", "") if outcome.reason else "Nothing to do."


def _requests_line(summary: Summary) -> Text:
    parts = [_plural(summary.requests, "request")]
    if summary.retries:
        parts.append(f"{summary.retries:,} of them repeated")
    if summary.seconds:
        parts.append(f"{summary.seconds:,.1f} s, {summary.events / summary.seconds:,.0f} events/s")
    if summary.throttled_secs:
        parts.append(f"{summary.throttled_secs:,} s waited for the rate")
    if summary.adds_up:
        parts.append("adds up: every event has one outcome")
        return Text(f"\n{'; '.join(parts)}")
    counted = summary.count(*Kind)
    parts.append(f"DOES NOT ADD UP: {summary.events:,} in, {counted:,} outcomes; please report it")
    return Text(f"\n{'; '.join(parts)}", style="bold red")


def _input_lines(summary: Summary) -> Iterator[RenderableType]:
    """Yields what is to be known about the input: what was not read, and what was damaged."""
    if summary.pruned:
        shown = ", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in summary.pruned.items())
        yield Text(f"outside the time window by folder or statistics, not read: {shown}")
    if summary.cut_off:
        shown = ", ".join(f"{count:,} in {name}" for name, count in summary.cut_off.items())
        yield Text(f"JSON texts cut off by the warehouse: {shown}; widen the columns or export from the source")


def _latency_line(summary: Summary) -> Text:
    parts = [
        f"{_LATENCY_FROM[family]} → delivered: "
        + ", ".join(f"{name} ≤ {_secs(limit)}" for name, limit in limits.items())
        for family, limits in summary.latency.items()
    ]
    if summary.past_merge_window:
        parts.append(f"{summary.past_merge_window:,} older than the 5 minutes in which TikTok merges with the pixel")
    return Text("; ".join(parts))


_LATENCY_FROM = {"event": "event", "publish": "published"}


def _secs(limit: float | None) -> str:
    return "more than a day" if limit is None else f"{limit:g} s"


def _coverage_table(summary: Summary) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("would be sent with" if summary.dry_run else "delivered with")
    for key in MATCH_KEY_NAMES.values():
        table.add_column(key.replace("_", " "), justify="right")
    for event, shares in summary.coverage.items():
        table.add_row(Text(event), *(f"{share:.0%}" for share in shares.values()))
    return table


def _plural(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
