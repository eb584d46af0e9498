"""Row groups of a Parquet file: their rows, and which of them the statistics exclude from a time window."""

import datetime
from decimal import Decimal
from typing import Any, NamedTuple

import pyarrow.parquet as pq

from pipeline.layout_tables import TimeColumn
from pipeline.warehouse_values import unit_and_ms

_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)

# Beyond this the mapping takes a time for missing, which is an outcome of its own whatever the window.
_LAST_MS = 253_402_300_799_999


class Span(NamedTuple):
    """Row groups in a row that are read together.

    Attributes:
      groups: their numbers.
      first_row: the number of the first row in the file.
      ends: for each of them, the number of the row behind its last.
    """

    groups: range
    first_row: int
    ends: list[int]


class TimeWindow(NamedTuple):
    """Half-open window of event times, UTC epoch milliseconds; None: open."""

    since_ms: int | None = None
    until_ms: int | None = None

    def excludes(self, first_ms: int, last_ms: int) -> bool:
        """Says whether no time from the first to the last lies in the window."""
        too_late = self.until_ms is not None and first_ms >= self.until_ms
        return too_late or (self.since_ms is not None and last_ms < self.since_ms)


def spans(
    metadata: pq.FileMetaData, groups: range, time: TimeColumn | None, window: TimeWindow
) -> tuple[list[Span], int, int]:
    """Returns the row groups to read, and how many groups and rows the window excludes.

    A group is left out only if its statistics prove that every event in it has a time and none lies in the window.

    Args:
      metadata: of the file.
      groups: those that are asked for.
      time: where the times are; None: nothing can be left out.
      window: of event times.
    """
    leaf = _leaf(metadata, time) if time is not None and window != TimeWindow() else None
    kept: list[Span] = []
    pruned = pruned_rows = 0
    row = sum(metadata.row_group(number).num_rows for number in range(groups.start))
    for number in groups:
        group = metadata.row_group(number)
        times = _times(group.column(leaf), time) if leaf is not None and time is not None else None
        first_row, row = row, row + group.num_rows
        if times is not None and window.excludes(*times):
            pruned += 1
            pruned_rows += group.num_rows
        elif kept and kept[-1].groups.stop == number:
            kept[-1].ends.append(row)
            kept[-1] = kept[-1]._replace(groups=range(kept[-1].groups.start, number + 1))
        else:
            kept.append(Span(range(number, number + 1), first_row, [row]))
    return kept, pruned, pruned_rows


def _leaf(metadata: pq.FileMetaData, time: TimeColumn) -> int | None:
    """Returns the number of the leaf with the times, None if there is not exactly one."""
    schema = metadata.schema
    found = [number for number in range(len(schema)) if time.is_at(schema.column(number).path)]
    return found[0] if len(found) == 1 else None


def _times(chunk: pq.ColumnChunkMetaData, time: TimeColumn) -> tuple[int, int] | None:
    """Returns the first and the last time of a row group, None where the statistics do not tell for all its events."""
    statistics = chunk.statistics
    if statistics is None or not statistics.has_min_max or not statistics.has_null_count or statistics.null_count:
        return None
    try:
        ends = statistics.min, statistics.max
    except ValueError:
        # Nanoseconds that are no whole microseconds, which Python's times cannot hold; no other unit is that fine.
        ends = _from_ns(statistics.min_raw), _from_ns(statistics.max_raw)
    first, last = (_unit_and_ms(end, time) for end in ends)
    if first is None or last is None or first[0] != last[0]:
        return None
    return (first[1], last[1]) if first[1] > 0 and last[1] <= _LAST_MS else None


def _from_ns(number: int) -> datetime.datetime:
    return _EPOCH + datetime.timedelta(microseconds=number // 1_000)


def _unit_and_ms(end: Any, time: TimeColumn) -> tuple[int, int] | None:
    """Returns unit and milliseconds of a smallest or largest time; texts and floats are not ordered as times are."""
    if isinstance(end, Decimal) and end == end.to_integral_value():
        end = int(end)
    if type(end) is int:
        return unit_and_ms(end) if time.any_unit else (0, end)
    if not isinstance(end, datetime.datetime):
        return None
    end = end if end.tzinfo else end.replace(tzinfo=datetime.UTC)
    return 0, (end - _EPOCH) // datetime.timedelta(milliseconds=1)
