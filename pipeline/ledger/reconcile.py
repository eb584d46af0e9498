"""Compares the ledger with the counts of the runs: by day and event, and run by run.

Rows are counted by the UTC day on which they were recorded. Each run is then compared as a whole with the counts in its
manifest, so that a row that is missing or one too many is seen. A repeated bundle may have written rows twice: of each
unit (reference and position in the input, name of the event) of a run the newest row counts.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.ledger.files import epoch_ms, list_paths, open_parquet, row_group_ranges, select_columns
from pipeline.ledger.lock_stores import lock_store
from pipeline.ledger.manifest import Manifest, State, files_by_run, read_judged_manifests
from pipeline.ledger.replay_filter import holds
from pipeline.ledger.run_summary import Summary
from pipeline.records import LEDGER_SCHEMA, file_prefix
from transforms.digest_table import Digests, DigestSet, digests
from transforms.vocabulary import Kind

_COLUMNS = ["run_id", "event", "kind", "reason", "recorded_time"]
_UNIT = ["input_ref", "input_index"]
_KINDS = frozenset(Kind)


class OutcomeGroup(msgspec.Struct, frozen=True):
    """Rows that are counted together."""

    run_id: str
    day: str
    event: str | None
    kind: str
    reason: str | None


class DayCount(msgspec.Struct):
    """What became of the units of one event on one day.

    Attributes:
      day: UTC day of recording.
      event: TikTok's name; None for what ended before it had one.
      entered: all; `in` in JSON.
      skipped: by reason.
    """

    day: str
    event: str | None
    entered: int = msgspec.field(default=0, name="in")
    delivered: int = 0
    skipped: dict[str, int] = {}
    rejected: int = 0
    undelivered: int = 0
    unknown: int = 0


class RunCheck(msgspec.Struct):
    """Whether a run and its rows agree.

    Attributes:
      state: of its manifest; None: there is no manifest.
      summary: units by its own count; None: it did not finish.
      ledger: units by the ledger.
      repeated: further rows of the same units, left out.
      agrees: whether it has finished, and the ledger has its counts; None: they cannot be compared, or another run
        stands for it.
      note: what is wrong, or why nothing is compared; may be empty.
    """

    run_id: str
    state: State | None
    summary: int | None
    ledger: int
    repeated: int
    agrees: bool | None
    note: str = ""


class Reconciliation(msgspec.Struct):
    """The whole answer; the JSON has these names."""

    days: list[DayCount]
    runs: list[RunCheck]
    adds_up: bool


def reconcile_ledger(ledger: str, since_ms: int | None, until_ms: int | None, now: datetime) -> Reconciliation:
    """Counts what was recorded in a time span and compares the runs that recorded it.

    Args:
      ledger: its folder.
      since_ms: of recording, UTC epoch milliseconds; None: open.
      until_ms: not part of the span.
      now: UTC.

    Raises:
      UsageError: the ledger cannot be read.
      WriteError: its locks cannot be read.
    """
    manifests = {manifest.run_id: manifest for manifest in read_judged_manifests(ledger, lock_store(ledger), now)}
    counts = _count(_files(ledger, since_ms, until_ms), since_ms, until_ms)
    concerned = dict.fromkeys(group.run_id for group in counts)
    concerned |= dict.fromkeys(run for run, manifest in manifests.items() if _touches(manifest, since_ms, until_ms))
    # Listed once: a ledger has many files, and many runs.
    by_run = files_by_run(ledger)
    checks = []
    for run_id in sorted(concerned):
        own = by_run.get(file_prefix(run_id), [])
        whole = _count(own, None, None, run_id)
        manifest = manifests.get(run_id)
        repeated: Counter[OutcomeGroup] = Counter()
        if manifest is None or manifest.counts is None or whole.total() > manifest.counts.events:
            repeated = _repeated(own, run_id)
            whole -= repeated
        counts.subtract({group: count for group, count in repeated.items() if group in counts})
        if manifest is None:
            checks.append(_unknown_run(own, run_id, whole.total(), repeated.total()))
        else:
            checks.append(_check(manifest, whole, repeated.total(), list(manifests.values())))
    days = _days(counts)
    adds_up = all(check.agrees is not False for check in checks) and all(map(_adds_up, days))
    return Reconciliation(days=days, runs=checks, adds_up=adds_up)


def _files(ledger: str, since_ms: int | None, until_ms: int | None) -> list[str]:
    """Returns the files of the days of a time span."""
    least, most = (
        None if edge is None else datetime.fromtimestamp(edge / 1000, UTC).date().isoformat()
        for edge in (since_ms, until_ms)
    )
    return [
        path
        for path in list_paths(ledger)
        for day in [path.rsplit("/date=", 1)[1][:10]]
        if (least is None or day >= least) and (most is None or day <= most)
    ]


def _touches(manifest: Manifest, since_ms: int | None, until_ms: int | None) -> bool:
    began_ms, ended_ms = epoch_ms(manifest.started), epoch_ms(manifest.ended or manifest.seen)
    return (until_ms is None or began_ms < until_ms) and (since_ms is None or ended_ms >= since_ms)


def _count(
    files: Iterable[str], since_ms: int | None, until_ms: int | None, run_id: str | None = None
) -> Counter[OutcomeGroup]:
    """Returns how many rows there are, by group."""
    counts: Counter[OutcomeGroup] = Counter()
    for path in files:
        for rows in _tables(path, _COLUMNS):
            at = rows["recorded_time"].cast(pa.int64())
            keep = pc.greater_equal(at, since_ms or 0)
            if until_ms is not None:
                keep = pc.and_(keep, pc.less(at, until_ms))
            if run_id is not None:
                keep = pc.and_(keep, pc.equal(rows["run_id"], run_id))
            grouped = _with_day(rows.filter(keep)).group_by(["run_id", "day", "event", "kind", "reason"])
            for row in grouped.aggregate([([], "count_all")]).to_pylist():
                counts[_group(row)] += row["count_all"]
    return counts


def _repeated(files: Iterable[str], run_id: str) -> Counter[OutcomeGroup]:
    """Returns the rows of a run's units that have a newer row, by group."""
    repeated: Counter[OutcomeGroup] = Counter()
    seen = DigestSet()
    for path in sorted(files, key=_recorded_ms, reverse=True):
        for rows in _tables(path, [*_COLUMNS, *_UNIT]):
            ours = _with_day(rows.filter(pc.equal(rows["run_id"], run_id)))
            if ours.num_rows and (is_repeated := seen.add(_units(ours))).any():
                for row in ours.filter(pa.array(is_repeated)).to_pylist():
                    repeated[_group(row)] += 1
    return repeated


def _group(row: dict[str, Any]) -> OutcomeGroup:
    # A row without run or kind is none that this program wrote: it belongs to no run, and to no column of its day.
    return OutcomeGroup(
        run_id=row["run_id"] or "", day=row["day"], event=row["event"], kind=row["kind"] or "", reason=row["reason"]
    )


def _recorded_ms(path: str) -> int:
    with open_parquet(path) as file:
        times = [ranges["recorded_time"][1] for ranges in row_group_ranges(file) if "recorded_time" in ranges]
    return max(map(epoch_ms, times), default=0)


def _units(rows: pa.Table) -> Digests:
    # With the event's name: a custom mapping may make several events of one.
    places = zip(*(rows[name].to_pylist() for name in (*_UNIT, "event")), strict=True)
    return digests(["\0".join(map(str, place)).encode() for place in places], 0)


def _tables(path: str, columns: Sequence[str]) -> Iterator[pa.Table]:
    with open_parquet(path, needed=select_columns(LEDGER_SCHEMA, columns)) as file:
        for number in range(file.metadata.num_row_groups):
            yield file.read_row_group(number, columns=list(columns), use_threads=False)


def _with_day(rows: pa.Table) -> pa.Table:
    return rows.append_column("day", rows["recorded_time"].cast(pa.date32()).cast(pa.string()))


def _days(counts: Counter[OutcomeGroup]) -> list[DayCount]:
    days: dict[tuple[str, str], DayCount] = {}
    for group, count in counts.items():
        if not count:
            continue
        day = days.setdefault((group.day, group.event or ""), DayCount(day=group.day, event=group.event))
        day.entered += count
        if group.kind == Kind.SKIPPED:
            reason = group.reason or ""
            day.skipped[reason] = day.skipped.get(reason, 0) + count
        elif group.kind in _KINDS:
            setattr(day, group.kind, getattr(day, group.kind) + count)
    for day in days.values():
        day.skipped = dict(sorted(day.skipped.items(), key=lambda item: (-item[1], item[0])))
    return [days[place] for place in sorted(days)]


def _adds_up(day: DayCount) -> bool:
    settled = day.delivered + sum(day.skipped.values()) + day.rejected + day.undelivered + day.unknown
    return day.entered == settled


def _unknown_run(files: Sequence[str], run_id: str, count: int, repeated: int) -> RunCheck:
    """Judges a run without a manifest. Streams keep none; a run over files had one from its start."""
    lost = not count or _has_read_files(files)
    return RunCheck(
        run_id=run_id,
        state=None,
        summary=None,
        ledger=count,
        repeated=repeated,
        agrees=False if lost else None,
        note="no manifest: it is gone, or cannot be read" if lost else "a stream: it leaves no counts to compare with",
    )


def _has_read_files(files: Iterable[str]) -> bool:
    """Returns whether rows of a run refer to rows of files, `FILE#ROW`, and not to messages of Pub/Sub."""
    return any(
        pc.any(pc.match_substring(rows["input_ref"], "#")).as_py()
        for path in files
        for rows in _tables(path, ["input_ref"])
    )


def _check(manifest: Manifest, counts: Counter[OutcomeGroup], repeated: int, manifests: Sequence[Manifest]) -> RunCheck:
    """Compares one run with its rows."""
    check = RunCheck(
        run_id=manifest.run_id,
        state=manifest.state,
        summary=None,
        ledger=counts.total(),
        repeated=repeated,
        agrees=None,
        note=_NOT_COMPARED.get(manifest.state, ""),
    )
    if check.note:
        return check
    later = next((other.run_id for other in manifests if _covers(other, manifest)), None)
    if manifest.counts is None:
        check.agrees = None if later else False
        check.note = (
            f"did not finish; run {later} has done its window since" if later else "did not finish: run it again"
        )
        return check
    check.summary = manifest.counts.events
    differences = _differences(manifest.counts, counts)
    check.agrees = not differences and manifest.counts.adds_up and check.summary == check.ledger
    if check.state is State.STOPPED:
        check.agrees = check.agrees and later is not None
        ended = f"stopped early; run {later} has done its window since" if later else "stopped early: run it again"
        differences.append(ended)
    check.note = "; ".join(differences)
    return check


_NOT_COMPARED = {
    State.RUNNING: "still at work",
    State.DESCRIBED: "ran on Dataflow: its counts are the job's metrics, there is nothing to compare with here",
}


def _differences(summary: Summary, counts: Counter[OutcomeGroup]) -> list[str]:
    """Returns a line for each kind and reason of which the run and the ledger have different counts."""
    in_ledger: Counter[tuple[str, str | None]] = Counter()
    for group, count in counts.items():
        in_ledger[group.kind, group.reason] += count
    by_run: Counter[tuple[str, str | None]] = Counter(
        {(outcome.kind.value, outcome.reason): outcome.count for outcome in summary.outcomes}
    )
    places = {place for place in {*by_run, *in_ledger} if by_run[place] != in_ledger[place]}
    return [
        f"{' '.join(filter(None, place))}: {by_run[place]:,} by the run, {in_ledger[place]:,} in the ledger"
        for place in sorted(places, key=str)
    ]


def _covers(other: Manifest, manifest: Manifest) -> bool:
    """Returns whether a later run has finished the same window of the same events, out of all of the same files."""
    return (
        other.state is State.FINISHED
        and other.command == manifest.command
        and other.started >= manifest.started
        and other.event_source_id == manifest.event_source_id
        and {file.path for file in other.inputs}.issuperset(file.path for file in manifest.inputs)
        and holds((other.since, other.until), (manifest.since, manifest.until))
        and (other.command != "replay" or _covers_dead_letters(other, manifest))
    )


def _covers_dead_letters(other: Manifest, manifest: Manifest) -> bool:
    return other.dead_letters is not None and other.dead_letters.covers(manifest.dead_letters)
