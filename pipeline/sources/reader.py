"""One file: its messages, or what stands in the way. Without Beam, for the steps of a pipeline and for plain loops.

The content decides on the format, not the name: Parquet and gzip by their magic numbers, the rest is text. What reads
Parquet is loaded once a file is Parquet, because it takes a while.
"""

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import BinaryIO, NamedTuple

from pipeline.runtime import BYTES, ReadReport
from pipeline.sources.layouts import Layout, RowReader, row_to_batch, text_reader
from pipeline.sources.ndjson import PARQUET_MAGIC, read_text
from pipeline.sources.partitions import TimeWindow
from pipeline.storage import FileInfo, Trouble, UnreadableFileError, is_local, open_file
from transforms.google_errors import status
from transforms.model import Message, Outcome
from transforms.vocabulary import Kind, Reason, Stage

# The name of standard input, which is read once, from its beginning.
STANDARD_INPUT = "-"

# Parquet files above this are divided among the workers by row groups. Smaller ones are opened once.
PART_BYTES = 64 << 20

# Enough to recognise a format, to find the first line and to see zero bytes.
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
                if stream.read(len(PARQUET_MAGIC)) == PARQUET_MAGIC:
                    from pipeline.sources import parquet

                    ranges = parquet.row_group_ranges(file.path, stream, part_bytes)
                    return [FilePart(file.path, (first, last), row) for first, last, row in ranges]
        except read_errors(file.path):
            # Reading the file meets the same error, and reports it once.
            return [FilePart(file.path)]
    return [FilePart(file.path)]


def read(
    part: FilePart,
    layout: Layout = Layout.AUTO,
    column: str | None = None,
    window: TimeWindow = TimeWindow(),  # noqa: B008  # immutable
    report: ReadReport | None = None,
    *,
    open_stream: Callable[[str], AbstractContextManager[BinaryIO]] = open_file,
) -> Iterator[list[Message] | Outcome]:
    """Yields lists of messages, never empty, and outcomes for what cannot be read.

    A file that cannot be read, or only to some row, ends in exactly one outcome with the file's name as reference;
    the messages before the damage have been yielded and stay as they are. A line that is too long has its own outcome,
    and the lines behind it are read.

    Args:
      part: what to read.
      layout: how rows hold batches, or `auto`.
      column: the Parquet column of JSON text, if the operator named it.
      window: row groups of Parquet files whose statistics exclude it are not read.
      report: takes what was read, what was left out and which texts are cut off; None: nobody asks.
      open_stream: opens the file as it is stored.
    """
    done = 0
    try:
        with open_stream(part.path) as stream:
            for item in _contents(part, stream, layout, column, window, report):
                if isinstance(item, list):
                    done += len(item)
                yield item
    except read_errors(part.path) as error:
        unreadable = as_unreadable(error)
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
    """Yields the messages of one file in short lists (`ndjson.BATCH_BYTES`).

    Args:
      file: the file or its path.
      layout: how rows hold batches, or `auto`.
      column: the Parquet column of JSON text, if it has a name of its own.

    Raises:
      UnreadableFileError: the file, its rest, or one of its lines cannot be read.
    """
    path = file if isinstance(file, str) else file.path
    for item in read(FilePart(path), layout, column):
        if isinstance(item, Outcome):
            raise UnreadableFileError(f"{item.ref}: {item.message}")
        yield item


def first_message(path: str, stream: BinaryIO) -> Message | None:
    """Returns the first message of a file of text as it is written, None if there is none.

    Raises:
      UnreadableFileError: it is no text, is damaged before its first message, or begins with a line that is too long.
    """
    for item in read_text(stream.read(_HEAD_BYTES), stream, path):
        if isinstance(item, Outcome):
            raise UnreadableFileError(str(item.message))
        return item[0]
    return None


def _contents(
    part: FilePart,
    stream: BinaryIO,
    layout: Layout,
    column: str | None,
    window: TimeWindow,
    report: ReadReport | None,
) -> Iterator[list[Message] | Outcome]:
    """Returns what the format's reader yields."""
    head = stream.read(_HEAD_BYTES)
    if head.startswith(PARQUET_MAGIC):
        if part.path == STANDARD_INPUT or not stream.seekable():
            raise UnreadableFileError(
                "a Parquet file, which is read from its end: give its name instead of its content",
                Trouble.UNKNOWN_FORMAT,
            )
        from pipeline.sources import parquet

        return parquet.read_parquet(part.path, stream, layout, column, part.row_groups, window, report)
    items = read_text(head, stream, part.path)
    if report is None:
        return _as_batches(items, layout, ReadReport())
    return _as_batches(_measured(items, stream, report), layout, report)


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
    """Yields the items; where the first line is a row of a warehouse's table, each line becomes a batch."""
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


def read_errors(path: str) -> tuple[type[Exception], ...]:
    """Returns what a file, a disk or a service can raise. Called only once something was raised.

    Args:
      path: of the file; Google's errors, whose import takes a second, concern remote ones only.
    """
    import pyarrow as pa

    errors: tuple[type[Exception], ...] = (UnreadableFileError, OSError, pa.ArrowException, NotImplementedError)
    if is_local(path):
        return errors
    try:
        from google.api_core.exceptions import GoogleAPIError
        from google.auth.exceptions import GoogleAuthError
    except ImportError:
        return errors
    return (*errors, GoogleAPIError, GoogleAuthError)


def as_unreadable(error: Exception) -> UnreadableFileError:
    """Returns the class of an error and a text without anything of the content."""
    if isinstance(error, UnreadableFileError):
        return error
    refusal = status(error)
    if isinstance(error, FileNotFoundError) or refusal == "NOT_FOUND":
        return UnreadableFileError("the file is gone since it was listed", Trouble.NOT_FOUND)
    if isinstance(error, PermissionError) or refusal in ("UNAUTHENTICATED", "PERMISSION_DENIED"):
        return UnreadableFileError("the right to read it is missing", Trouble.PERMISSION_DENIED)
    if isinstance(error, NotImplementedError):
        return UnreadableFileError(
            "stored with Content-Encoding gzip and a gzip Content-Type, which Beam does not read; take one of both off",
            Trouble.UNKNOWN_FORMAT,
        )
    number = getattr(error, "errno", None)
    reason = f"{errno.errorcode.get(number, number)}: {os.strerror(number)}" if number else type(error).__name__
    return UnreadableFileError(f"reading failed ({reason})", Trouble.UNREACHABLE)
