"""Parquet: rows in, messages out, without ever holding a row group.

Beam's own reader takes a whole row group into memory (2.8 GB for one of a million rows); this one decodes some hundred
rows at a time and only the columns that are needed. Row groups whose statistics exclude a time window are left out.
"""

import datetime
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from os import SEEK_END
from typing import Any, BinaryIO, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.runtime import BYTES, PRUNED_ROW_GROUPS, PRUNED_ROWS, ROW_GROUPS, ReadReport
from pipeline.sources.layouts import Layout, Table, TimeColumn, UnknownLayoutError, recognise, refine, unit_and_ms
from pipeline.sources.ndjson import BATCH_BYTES, BATCH_MESSAGES, PARQUET_MAGIC
from pipeline.sources.partitions import TimeWindow
from pipeline.storage import Trouble, UnreadableFileError, is_local, local_path, open_file
from transforms.model import Message, Outcome
from transforms.vocabulary import Kind, Reason, Stage

_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)

# Beyond this the mapping takes a time for missing, which is an outcome of its own whatever the window.
_LAST_MS = 253_402_300_799_999

# What is fetched of a column at a time. Without it Arrow takes a row group's whole column at once.
_BUFFER_BYTES = 1 << 20


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


def read_parquet(
    path: str,
    stream: BinaryIO,
    layout: Layout,
    column: str | None,
    row_groups: tuple[int, int] | None = None,
    window: TimeWindow = TimeWindow(),  # noqa: B008  # immutable
    report: ReadReport | None = None,
) -> Iterator[list[Message] | Outcome]:
    """Yields lists of messages, one message for each row; a null is an empty message.

    A row whose values cannot be decoded (text that is no UTF-8) is one outcome, and its neighbours are messages.

    Args:
      path: the file's name, the first part of every reference.
      stream: the file.
      layout: how the rows hold batches, or `auto`.
      column: the column of JSON text, if the operator named it.
      row_groups: the first row group and the one behind the last; None: all.
      window: row groups whose statistics exclude it are not read.
      report: takes what was read, what was left out and which texts are cut off.

    Raises:
      UnreadableFileError: damaged, or of no known layout; the rows before the damage have been yielded.
    """
    report = report or ReadReport()
    file = _open(path, stream)
    groups = range(*(row_groups or (0, file.metadata.num_row_groups)))
    if not file.metadata.num_rows:
        return
    table = _recognised(file, layout, column)
    kept, pruned, pruned_rows = spans(file.metadata, groups, table.time, window)
    row_bytes = stream.seek(0, SEEK_END) / file.metadata.num_rows
    report.add(PRUNED_ROW_GROUPS, pruned)
    report.add(PRUNED_ROWS, pruned_rows)
    report.add(BYTES, int(pruned_rows * row_bytes))
    if not is_local(path) and len(table.columns) > 1:
        # A remote file is fetched in large pieces, and Arrow reads several columns in turns: it would fetch the same
        # pieces over and over. Here the compressed columns of one row group are held instead.
        file = _open(path, stream, pre_buffer=True)
    refined = False
    for span in kept:
        row = span.first_row
        ends = deque(span.ends)
        for rows in _record_batches(file, span, table.columns):
            try:
                messages = _messages(table, rows, row)
            except UnreadableFileError:
                yield from _row_by_row(path, table, rows, row)
                row += rows.num_rows
                continue
            if not refined and (first := next(filter(None, messages), b"")):
                refined, before = True, table
                table = refine(table, layout, first)
                messages = messages if table is before else _messages(table, rows, row)
            report.add_cut_off(table.cut_off)
            report.add(BYTES, int(len(messages) * row_bytes))
            first_row, row = row, row + len(messages)
            while ends and ends[0] <= row:
                ends.popleft()
                report.add(ROW_GROUPS)
            yield [Message(f"{path}#{number}", data) for number, data in enumerate(messages, first_row)]


def inspect_parquet(path: str, layout: Layout = Layout.AUTO, column: str | None = None) -> tuple[Table, int]:
    """Returns how a local file's rows are read, and how many there are.

    Raises:
      UnreadableFileError: damaged, or of no known layout.
      OSError: it cannot be opened.
    """
    with open_file(path) as stream:
        file = _open(path, stream)
        table = _recognised(file, layout, column)
        if file.metadata.num_rows:
            rows = next(_record_batches(file, Span(range(file.metadata.num_row_groups), 0, []), table.columns, 100))
            table = refine(table, layout, next(filter(None, _messages(table, rows, 0)), b""))
        return table, int(file.metadata.num_rows)


def _recognised(file: pq.ParquetFile, layout: Layout, column: str | None) -> Table:
    try:
        return recognise(file.schema_arrow, layout, column)
    except UnknownLayoutError as error:
        raise UnreadableFileError(str(error), Trouble.UNKNOWN_LAYOUT) from error


def _record_batches(
    file: pq.ParquetFile, span: Span, columns: tuple[str, ...], most_rows: int = BATCH_MESSAGES
) -> Iterator[pa.RecordBatch]:
    """Yields the rows of some row groups, a bounded number at a time."""
    row = span.first_row
    batches = file.iter_batches(
        batch_size=min(most_rows, _batch_rows(file.metadata, span.groups, columns)),
        row_groups=span.groups,
        columns=list(columns),
        # One core is one worker's share; the runner makes more workers.
        use_threads=False,
    )
    while True:
        with _decoding(row):
            rows = next(batches, None)
        if rows is None:
            return
        yield rows
        row += rows.num_rows


def _row_by_row(path: str, table: Table, rows: pa.RecordBatch, first_row: int) -> Iterator[list[Message] | Outcome]:
    """Yields the messages of rows of which at least one cannot be decoded, and an outcome for each that cannot."""
    good: list[Message] = []
    for place in range(rows.num_rows):
        ref = f"{path}#{first_row + place}"
        try:
            good += [Message(ref, data) for data in _messages(table, rows.slice(place, 1), first_row + place)]
        except UnreadableFileError as error:
            cause = type(error.__cause__).__name__
            yield Outcome(
                Kind.REJECTED,
                Stage.READ,
                Reason.UNREADABLE_MESSAGE,
                ref,
                detail="undecodable_row",
                message=f"a row whose values cannot be decoded ({cause})",
            )
    if good:
        yield good


def _messages(table: Table, rows: pa.RecordBatch, row: int) -> list[bytes]:
    with _decoding(row):
        return table.messages(rows)


@contextmanager
def _decoding(row: int) -> Iterator[None]:
    """Turns what Arrow raises into the error of a damaged file."""
    try:
        yield
    except (pa.ArrowException, UnicodeDecodeError) as error:
        raise _damaged(f"row {row:,} and those behind it cannot be decoded", error) from error
    except OSError as error:
        if error.errno is not None:
            raise
        raise _damaged(f"row {row:,} and those behind it cannot be decoded", error) from error


def row_group_ranges(path: str, stream: BinaryIO, target_bytes: int) -> list[tuple[int, int, int]]:
    """Returns how a file is divided: first row group, the one behind the last, number of the first row.

    Args:
      path: the file's name.
      stream: the file.
      target_bytes: compressed bytes of a division, which has at least one row group.

    Raises:
      UnreadableFileError: the footer cannot be read.
    """
    metadata = _open(path, stream).metadata
    ranges = []
    first = row = size = 0
    first_row = 0
    for index in range(metadata.num_row_groups):
        group = metadata.row_group(index)
        row += group.num_rows
        size += sum(group.column(number).total_compressed_size for number in range(group.num_columns))
        if size >= target_bytes or index + 1 == metadata.num_row_groups:
            ranges.append((first, index + 1, first_row))
            first, first_row, size = index + 1, row, 0
    return ranges


def _open(path: str, stream: BinaryIO, *, pre_buffer: bool = False) -> pq.ParquetFile:
    """Opens a file; local ones are read by Arrow itself, without Python in between."""
    source: Any = local_path(path) if is_local(path) else pa.PythonFile(stream, mode="r")
    try:
        return pq.ParquetFile(
            source,
            buffer_size=_BUFFER_BYTES,
            pre_buffer=pre_buffer,
            # Costs nothing where the file holds no checksums.
            page_checksum_verification=True,
        )
    except pa.ArrowException as error:
        stream.seek(-len(PARQUET_MAGIC), SEEK_END)
        if stream.read() != PARQUET_MAGIC:
            raise UnreadableFileError(
                "Parquet without its end: it was cut off, or is still being written", Trouble.TRUNCATED
            ) from error
        raise _damaged("the Parquet footer cannot be decoded", error) from error
    except OSError as error:
        if error.errno is not None:
            raise
        raise _damaged("the Parquet footer cannot be decoded", error) from error


def _damaged(what: str, error: Exception) -> UnreadableFileError:
    # Arrow's own text may quote a value, so only the type of the error is named.
    return UnreadableFileError(f"{what} ({type(error).__name__})", Trouble.DAMAGED)


def _batch_rows(metadata: pq.FileMetaData, groups: range, columns: tuple[str, ...]) -> int:
    """Returns how many rows are decoded at a time, so that neither their number nor their size gets large."""
    if not groups:
        return 1
    group = metadata.row_group(groups[0])
    prefixes = tuple(f"{name}." for name in columns)
    size: int = sum(
        chunk.total_uncompressed_size
        for chunk in map(group.column, range(group.num_columns))
        if chunk.path_in_schema in columns or chunk.path_in_schema.startswith(prefixes)
    )
    if not size:
        return BATCH_MESSAGES
    return max(1, min(BATCH_MESSAGES, BATCH_BYTES * int(group.num_rows) // size))


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
    """Returns the first and the last time of a row group, None where the statistics do not cover all its events."""
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
