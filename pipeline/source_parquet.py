"""Parquet: rows in, messages out, without ever holding a row group.

Beam's own reader takes a whole row group into memory (2.8 GB for one of a million rows); this one decodes some hundred
rows at a time and only the columns that are needed.
"""

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from os import SEEK_END
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.layout_tables import Layout, Table, UnknownLayoutError
from pipeline.layouts import recognise, refine
from pipeline.row_groups import Span, TimeWindow, spans
from pipeline.source_paths import Trouble, UnreadableFileError, is_local
from pipeline.source_report import BYTES, PRUNED_ROW_GROUPS, PRUNED_ROWS, ROW_GROUPS, ReadReport
from pipeline.source_text import BATCH_BYTES, BATCH_MESSAGES
from transforms.model import Message, Outcome
from transforms.vocabulary import Kind, Reason, Stage

MAGIC = b"PAR1"

# What is fetched of a column at a time. Without it Arrow takes a row group's whole column at once.
_BUFFER_BYTES = 1 << 20


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


def look(path: str, layout: Layout = Layout.AUTO, column: str | None = None) -> tuple[Table, int]:
    """Returns how a local file's rows are read, and how many there are.

    Raises:
      UnreadableFileError: damaged, or of no known layout.
      OSError: it cannot be opened.
    """
    with open(path, "rb") as stream:
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
    source: Any = path if is_local(path) else pa.PythonFile(stream, mode="r")
    try:
        return pq.ParquetFile(
            source,
            buffer_size=_BUFFER_BYTES,
            pre_buffer=pre_buffer,
            # Costs nothing where the file holds no checksums.
            page_checksum_verification=True,
        )
    except pa.ArrowException as error:
        stream.seek(-len(MAGIC), 2)
        if stream.read() != MAGIC:
            raise UnreadableFileError(
                "Parquet without its end: it was cut off, or is still being written", Trouble.TRUNCATED
            ) from error
        raise _damaged("the Parquet footer cannot be decoded", error) from error
    except OSError as error:
        if error.errno is not None:
            raise
        raise _damaged("the Parquet footer cannot be decoded", error) from error


def _damaged(what: str, error: Exception) -> UnreadableFileError:
    # Arrow's own text may quote a value, so only the error's type is told.
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
