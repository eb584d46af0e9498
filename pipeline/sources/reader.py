"""One file: its messages, or what stands in the way. Without Beam, for the steps of a pipeline and for plain loops.

The format is told by the content, not by the name: Parquet and gzip by their magic numbers, the rest is text.
"""

import errno
import os
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

import pyarrow as pa

from pipeline.runtime import BYTES, ReadReport
from pipeline.sources import ndjson as source_text
from pipeline.sources import parquet as source_parquet
from pipeline.sources.layouts import Layout, RowReader, row_to_batch, text_reader
from pipeline.sources.parquet import TimeWindow
from pipeline.storage import FileInfo, Trouble, UnreadableFileError, open_file
from transforms.model import Message, Outcome
from transforms.vocabulary import Kind, Reason, Stage

# Parquet files above this are divided among the workers by row groups. Smaller ones are opened once.
PART_BYTES = 64 << 20

# Enough to tell a format, to find the first line and to see zero bytes.
_HEAD_BYTES = 64 << 10


class FilePart(NamedTuple):
    """What one worker reads at a time: a file, or some row groups of a large Parquet file.

    Attributes:
      path: local path or URL.
      row_groups: the first row group and the one behind the last; None: the whole file.
      first_row: the number of its first row.
    """

    path: str
    row_groups: tuple[int, int] | None = None
    first_row: int = 0


def divide(file: FileInfo, part_bytes: int = PART_BYTES) -> list[FilePart]:
    """Returns the parts of a file. Small files, text and what cannot be read stay whole."""
    if file.size > part_bytes:
        try:
            with open_file(file.path) as stream:
                if stream.read(len(source_parquet.MAGIC)) == source_parquet.MAGIC:
                    ranges = source_parquet.row_group_ranges(file.path, stream, part_bytes)
                    return [FilePart(file.path, (first, last), row) for first, last, row in ranges]
        except _troubles():
            # Whoever reads it meets the same trouble, and says it once.
            return [FilePart(file.path)]
    return [FilePart(file.path)]


def read(
    part: FilePart,
    layout: Layout = Layout.AUTO,
    column: str | None = None,
    window: TimeWindow = TimeWindow(),  # noqa: B008  # immutable
    report: ReadReport | None = None,
) -> Iterator[list[Message] | Outcome]:
    """Yields lists of messages, never empty, and outcomes for what cannot be read.

    A file that cannot be read, or only to some row, ends in exactly one outcome with the file's name as reference;
    the messages before the damage have been yielded and stay as they are. A line that is too long has its own outcome,
    and the lines behind it are read.

    Args:
      part: what to read.
      layout: how Parquet rows hold batches, or `auto`.
      column: the Parquet column of JSON text, if the operator named it.
      window: row groups of Parquet files whose statistics exclude it are not read.
      report: takes what was read, what was left out and which texts are cut off.
    """
    report = report or ReadReport()
    done = 0
    try:
        with open_file(part.path) as stream:
            for item in _contents(part, stream, layout, column, window, report):
                if isinstance(item, list):
                    done += len(item)
                yield item
    except _troubles() as error:
        unreadable = _explained(error)
        before = f"the {done:,} messages before it were read" if done else "nothing of it was read"
        yield Outcome(
            Kind.REJECTED,
            Stage.READ,
            Reason.UNREADABLE_FILE,
            part.path,
            detail=unreadable.trouble,
            message=f"{unreadable}; {before}",
        )


def iter_messages(
    file: FileInfo | str, layout: Layout = Layout.AUTO, column: str | None = None
) -> Iterator[list[Message]]:
    """Yields the messages of one file in short lists (`source_text.BATCH_BYTES`).

    Args:
      file: the file or its path.
      layout: how Parquet rows hold batches, or `auto`.
      column: the Parquet column of JSON text, if it has a name of its own.

    Raises:
      UnreadableFileError: the file, its rest, or one of its lines cannot be read.
    """
    path = file if isinstance(file, str) else file.path
    for item in read(FilePart(path), layout, column):
        if isinstance(item, Outcome):
            raise UnreadableFileError(f"{item.ref}: {item.message}")
        yield item


def _contents(
    part: FilePart, stream: BinaryIO, layout: Layout, column: str | None, window: TimeWindow, report: ReadReport
) -> Iterator[list[Message] | Outcome]:
    """Yields what the format's reader yields."""
    head = stream.read(_HEAD_BYTES)
    if head.startswith(source_parquet.MAGIC):
        return source_parquet.read_parquet(part.path, stream, layout, column, part.row_groups, window, report)
    items = _measured(source_text.read_text(head, stream, part.path), stream, report)
    return _as_batches(items, layout, report)


def _measured(
    items: Iterator[list[Message] | Outcome], stream: BinaryIO, report: ReadReport
) -> Iterator[list[Message] | Outcome]:
    """Yields the items and reports how far the file has been read by then."""
    before = 0
    for item in items:
        position = stream.tell()
        report.add(BYTES, position - before)
        before = position
        yield item


def _as_batches(
    items: Iterator[list[Message] | Outcome], layout: Layout, report: ReadReport
) -> Iterator[list[Message] | Outcome]:
    """Yields the items; where the lines are rows of a warehouse's table, as their first tells, each becomes a batch."""
    reader: RowReader | None = None
    first = True
    for item in items:
        if isinstance(item, Outcome):
            yield item
            continue
        if first:
            first, reader = False, text_reader(layout, item[0].data)
        if reader is None:
            yield item
            continue
        batches = [Message(message.ref, row_to_batch(message.data, reader)) for message in item]
        report.add_cut_off(reader.cut_off)
        yield batches


def _troubles() -> tuple[type[Exception], ...]:
    """Returns what a file, a disk or a service can raise. Called only once something was raised.

    Google's errors exist only where its client has been loaded, which costs a second.
    """
    troubles: tuple[type[Exception], ...] = (UnreadableFileError, OSError, pa.ArrowException, NotImplementedError)
    try:
        from google.api_core.exceptions import GoogleAPIError
        from google.auth.exceptions import GoogleAuthError
    except ImportError:
        return troubles
    return (*troubles, GoogleAPIError, GoogleAuthError)


def _explained(error: Exception) -> UnreadableFileError:
    """Returns the class of a trouble and a text without anything of the content."""
    if isinstance(error, UnreadableFileError):
        return error
    # Google's errors carry the HTTP status.
    status = getattr(error, "code", None)
    if isinstance(error, FileNotFoundError) or status == 404:
        return UnreadableFileError("the file is gone since it was listed", Trouble.NOT_FOUND)
    if isinstance(error, PermissionError) or status in (401, 403):
        return UnreadableFileError("the right to read it is missing", Trouble.PERMISSION_DENIED)
    if isinstance(error, NotImplementedError):
        return UnreadableFileError(
            "stored with Content-Encoding gzip and a gzip Content-Type, which Beam does not read; take one of both off",
            Trouble.UNKNOWN_FORMAT,
        )
    number = getattr(error, "errno", None)
    reason = f"{errno.errorcode.get(number, number)}: {os.strerror(number)}" if number else type(error).__name__
    return UnreadableFileError(f"reading failed ({reason})", Trouble.UNREACHABLE)
