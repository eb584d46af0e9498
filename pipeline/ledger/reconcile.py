"""Does the ledger agree with what the runs say of themselves? Counts by day and event, and run by run.

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

from pipeline.ledger.delivered import columns_of, epoch_ms, listed, opened, statistics
from pipeline.ledger.manifest import Manifest, State, files_by_run, read_manifests
from pipeline.ledger.replay_filter import holds
from pipeline.records import LEDGER_SCHEMA, file_prefix
from transforms.digest_table import Digests, DigestSet, digests
from transforms.vocabulary import Kind

_COLUMNS = ["run_id", "event", "kind", "reason", "recorded_time"]
_UNIT = ["input_ref", "input_index"]
_KINDS = frozenset(Kind)


class Group(msgspec.Struct, frozen=True):
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
      agrees: that it has finished, and the ledger holds what it says; None: that cannot be told, or another run stands
        for it.
      note: what is wrong, or why nothing is; empty if there is nothing to say.
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
      now: to tell whether a run is still at work.

    Raises:
      UsageError: the ledger cannot be read.
    """
    manifests = {manifest.run_id: manifest for manifest in read_manifests(ledger)}
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
        repeated: Counter[Group] = Counter()
        if manifest is None or manifest.counts is None or whole.total() > manifest.counts.events:
            repeated = _repeated(own, run_id)
            whole -= repeated
        counts.subtract({group: count for group, count in repeated.items() if group in counts})
        if manifest is None:
            checks.append(_unknown_run(own, run_id, whole.total(), repeated.total()))
        else:
            checks.append(_check(manifest, whole, repeated.total(), list(manifests.values()), now))
    days = _days(counts)
    adds_up = all(check.agrees is not False for check in checks) and all(map(_adds_up, days))
    return Reconciliation(days, checks, adds_up)


def _files(ledger: str, since_ms: int | None, until_ms: int | None) -> list[str]:
    """Returns the files of the days of a time span."""
    least, most = (
        None if edge is None else datetime.fromtimestamp(edge / 1000, UTC).date().isoformat()
        for edge in (since_ms, until_ms)
    )
    return [
        path
        for path in listed(ledger, "date=*/*.parquet")
        for day in [path.rsplit("/date=", 1)[1][:10]]
        if (least is None or day >= least) and (most is None or day <= most)
    ]


def _touches(manifest: Manifest, since_ms: int | None, until_ms: int | None) -> bool:
    began_ms, ended_ms = epoch_ms(manifest.started), epoch_ms(manifest.ended or manifest.seen)
    return (until_ms is None or began_ms < until_ms) and (since_ms is None or ended_ms >= since_ms)


def _count(
    files: Iterable[str], since_ms: int | None, until_ms: int | None, run_id: str | None = None
) -> Counter[Group]:
    """Returns how many rows there are, by group."""
    counts: Counter[Group] = Counter()
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


def _repeated(files: Iterable[str], run_id: str) -> Counter[Group]:
    """Returns the rows of a run's units that have a newer row, by group."""
    repeated: Counter[Group] = Counter()
    seen = DigestSet()
    for path in sorted(files, key=_recorded_ms, reverse=True):
        for rows in _tables(path, [*_COLUMNS, *_UNIT]):
            ours = _with_day(rows.filter(pc.equal(rows["run_id"], run_id)))
            if ours.num_rows and (again := seen.add(_units(ours))).any():
                for row in ours.filter(pa.array(again)).to_pylist():
                    repeated[_group(row)] += 1
    return repeated


def _group(row: dict[str, Any]) -> Group:
    # A row without run or kind is none that this program wrote: it belongs to no run, and to no column of its day.
    return Group(row["run_id"] or "", row["day"], row["event"], row["kind"] or "", row["reason"])


def _recorded_ms(path: str) -> int:
    with opened(path) as file:
        groups = [statistics(file.metadata.row_group(number)) for number in range(file.metadata.num_row_groups)]
    return max((epoch_ms(group["recorded_time"][1]) for group in groups if "recorded_time" in group), default=0)


def _units(rows: pa.Table) -> Digests:
    # With the event's name: a custom mapping may make several events of one.
    places = zip(*(rows[name].to_pylist() for name in (*_UNIT, "event")), strict=True)
    return digests(["\0".join(map(str, place)).encode() for place in places], 0)


def _tables(path: str, columns: Sequence[str]) -> Iterator[pa.Table]:
    with opened(path, needed=columns_of(LEDGER_SCHEMA, columns)) as file:
        for number in range(file.metadata.num_row_groups):
            yield file.read_row_group(number, columns=list(columns), use_threads=False)


def _with_day(rows: pa.Table) -> pa.Table:
    return rows.append_column("day", rows["recorded_time"].cast(pa.date32()).cast(pa.string()))


def _days(counts: Counter[Group]) -> list[DayCount]:
    days: dict[tuple[str, str], DayCount] = {}
    for group, count in counts.items():
        if not count:
            continue
        day = days.setdefault((group.day, group.event or ""), DayCount(group.day, group.event, skipped={}))
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
    check = RunCheck(run_id, None, None, count, repeated, None, "a stream: it leaves no counts to compare with")
    if not count or _has_read_files(files):
        check.agrees, check.note = False, "no manifest: it is gone, or cannot be read"
    return check


def _has_read_files(files: Iterable[str]) -> bool:
    """Says whether rows of a run refer to rows of files, `FILE#ROW`, and not to messages of Pub/Sub."""
    return any(
        pc.any(pc.match_substring(rows["input_ref"], "#")).as_py()
        for path in files
        for rows in _tables(path, ["input_ref"])
    )


def _check(
    manifest: Manifest, counts: Counter[Group], repeated: int, manifests: Sequence[Manifest], now: datetime
) -> RunCheck:
    """Compares one run with its rows."""
    check = RunCheck(manifest.run_id, None, None, counts.total(), repeated, None)
    check.state = State.DIED if manifest.has_died(now) else manifest.state
    if check.state is State.RUNNING:
        check.note = "still at work"
        return check
    if check.state is State.DESCRIBED:
        check.note = "ran on Dataflow: its counts are the job's metrics, there is nothing to compare with here"
        return check
    later = next((other.run_id for other in manifests if _covers(other, manifest)), None)
    if manifest.counts is None:
        check.agrees = None if later else False
        check.note = (
            f"did not finish; run {later} has done its window since" if later else "did not finish: run it again"
        )
    else:
        check.summary = manifest.counts.events
        by_outcome: Counter[tuple[str, str | None]] = Counter()
        for group, count in counts.items():
            by_outcome[group.kind, group.reason] += count
        said: Counter[tuple[str, str | None]] = Counter(
            {(outcome.kind.value, outcome.reason): outcome.count for outcome in manifest.counts.outcomes}
        )
        differing = sorted(
            {place for place in {*said, *by_outcome} if said[place] != by_outcome[place]}, key=lambda place: str(place)
        )
        check.agrees = not differing and manifest.counts.adds_up and check.summary == check.ledger
        check.note = "; ".join(
            f"{' '.join(filter(None, place))}: {said[place]:,} by the run, {by_outcome[place]:,} in the ledger"
            for place in differing
        )
        if check.state is State.STOPPED:
            check.agrees = check.agrees and later is not None
            ended = f"stopped early; run {later} has done its window since" if later else "stopped early: run it again"
            check.note = "; ".join(filter(None, (check.note, ended)))
    return check


def _covers(other: Manifest, manifest: Manifest) -> bool:
    """Says whether a later run has finished the same window of the same events, out of all of the same files."""
    return (
        other.state is State.FINISHED
        and other.command == manifest.command
        and other.started >= manifest.started
        and other.event_source_id == manifest.event_source_id
        and {file.path for file in other.inputs}.issuperset(file.path for file in manifest.inputs)
        and holds((other.since, other.until), (manifest.since, manifest.until))
        and (other.command != "replay" or (other.letters is not None and other.letters.covers(manifest.letters)))
    )
