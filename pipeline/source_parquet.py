"""Parquet: rows in, messages out, without ever holding a row group.

Beam's own reader takes a whole row group into memory (2.8 GB for one of a million rows); this one decodes some hundred
rows at a time and only the columns that are needed.
"""

from collections.abc import Iterator
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.layouts import Layout, UnknownLayoutError, recognise
from pipeline.source_files import Trouble, UnreadableFileError, is_local
from pipeline.source_text import BATCH_BYTES, BATCH_MESSAGES
from transforms.model import Message

MAGIC = b"PAR1"

# What is fetched of a column at a time. Without it Arrow takes a row group's whole column at once.
_BUFFER_BYTES = 1 << 20


def read_parquet(
    path: str,
    stream: BinaryIO,
    layout: Layout,
    column: str | None,
    row_groups: tuple[int, int] | None = None,
    first_row: int = 0,
) -> Iterator[list[Message]]:
    """Yields lists of messages, one message for each row; a null is an empty message.

    Args:
      path: the file's name, the first part of every reference.
      stream: the file.
      layout: how the rows hold batches, or `auto`.
      column: the column of JSON text, if the operator named it.
      row_groups: the first row group and the one behind the last; None: all.
      first_row: the number of the first row that is read.

    Raises:
      UnreadableFileError: damaged, or of no known layout; the rows before the damage have been yielded.
    """
    file = _open(path, stream)
    if not file.metadata.num_rows:
        return
    try:
        table = recognise(file.schema_arrow, layout, column)
    except UnknownLayoutError as error:
        raise UnreadableFileError(str(error), Trouble.UNKNOWN_LAYOUT) from error
    if not is_local(path) and len(table.columns) > 1:
        # A remote file is fetched in large pieces, and Arrow reads several columns in turns: it would fetch the same
        # pieces over and over. Here the compressed columns of one row group are held instead.
        file = _open(path, stream, pre_buffer=True)
    groups = range(*(row_groups or (0, file.metadata.num_row_groups)))
    row = first_row
    batches = file.iter_batches(
        batch_size=_batch_rows(file.metadata, groups, table.columns),
        row_groups=groups,
        columns=list(table.columns),
        # One core is one worker's share; the runner makes more workers.
        use_threads=False,
    )
    while True:
        try:
            rows = next(batches, None)
            messages = [] if rows is None else table.messages(rows)
        except (pa.ArrowException, UnicodeDecodeError) as error:
            raise _damaged(f"row {row:,} and those behind it cannot be decoded", error) from error
        except OSError as error:
            if error.errno is not None:
                raise
            raise _damaged(f"row {row:,} and those behind it cannot be decoded", error) from error
        if rows is None:
            return
        yield [Message(f"{path}#{number}", data) for number, data in enumerate(messages, row)]
        row += len(messages)


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
