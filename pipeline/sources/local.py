"""Files of this machine → messages, for the commands that show, check and compare. Without Beam.

The reader is that of a run (`pipeline.sources.reader`): what a run reads is read here, and what it refuses is refused
with the same words. But a run records what it cannot read and goes on with the next file; here a person is waiting, so
it ends the command.
"""

import itertools
import logging
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import BinaryIO

import msgspec

from pipeline.errors import UsageError
from pipeline.sources.layouts import Layout, lacks_of_row, text_reader
from pipeline.sources.ndjson import LINE_TOO_LONG, PARQUET_MAGIC
from pipeline.sources.reader import STANDARD_INPUT, FilePart, as_unreadable, first_message, read, read_errors
from pipeline.storage import expand_patterns, is_local, local_path, open_file
from transforms.model import Message, Outcome
from transforms.vocabulary import Reason

_log = logging.getLogger(__name__)

JSON_LINES = "json_lines"

# Rows of a Parquet file that are read unless more are asked for: it may hold millions.
PARQUET_ROWS = 20


class InputReport(msgspec.Struct, frozen=True, kw_only=True):
    """How files are read that are read in the same way.

    Attributes:
      layout: a layout of Parquet files, or `json_lines` of batches or rows; None: they cannot be read.
      files: how many.
      example: the first of them.
      rows: of Parquet files.
      lacks: what no row can hold, each with what follows.
      problem: why they cannot be read.
    """

    layout: str | None
    files: int
    example: str
    rows: int | None = None
    lacks: tuple[str, ...] = ()
    problem: str | None = None


def local_files(patterns: Iterable[str]) -> list[str]:
    """Returns the local files that names, folders and globs stand for, each once, in the order of their names.

    Raises:
      UsageError: one matches nothing, or is not of this machine.
    """
    wanted = list(patterns)
    for pattern in wanted:
        _check_local(pattern)
    return [file.path for file in expand_patterns(wanted, flag="")]


def read_local(
    files: Iterable[str], layout: str = Layout.AUTO, column: str | None = None, most: int | None = None
) -> Iterator[Message]:
    """Yields the messages of files in their order; `-` is standard input.

    Logs the layout of rows and what they lack, and each row that cannot be decoded.

    Args:
      files: names of local files.
      layout: how rows hold batches, or `auto`.
      column: the Parquet column of JSON text, if it has a name of its own.
      most: messages of each file at most; None: all, of a Parquet file the first 20.

    Raises:
      UsageError: a file cannot be opened, read to its end, or holds a line above the bound.
    """
    for given in files:
        _check_local(given)
        name = local_path(given)
        limit = _log_layout(name, layout, column, most)
        is_empty = True
        items = read(FilePart(name), Layout(layout), column, open_stream=_open)
        for message in itertools.islice(_messages(items), limit):
            is_empty = False
            yield message
        if is_empty:
            _log.warning("%s: holds no message.", name)


def sample_local(files: Sequence[str], layout: str, column: str | None, most: int) -> Iterator[Message]:
    """Yields messages from the beginning of each file, so many in all, without reading the files to their end.

    Args:
      files: names of local files.
      layout: how rows hold batches, or `auto`.
      column: the Parquet column of JSON text, if it has a name of its own.
      most: messages at most; every file gives an equal share, and one at least.

    Raises:
      UsageError: a file cannot be read.
    """
    share = max(1, -(-most // len(files)))
    return itertools.islice(read_local(files, layout, column, share), most)


def inspect_local(files: Iterable[str], layout: str, column: str | None) -> list[InputReport]:
    """Returns how local files are read, those that are read in the same way together."""
    reports: dict[tuple[str | None, tuple[str, ...], str | None], InputReport] = {}
    for name in files:
        report = _inspect(name, layout, column)
        key = (report.layout, report.lacks, report.problem)
        before = reports.get(key)
        if before is not None:
            rows = None if before.rows is None or report.rows is None else before.rows + report.rows
            report = msgspec.structs.replace(before, files=before.files + 1, rows=rows)
        reports[key] = report
    return list(reports.values())


def _inspect(name: str, layout: str, column: str | None) -> InputReport:
    try:
        if _is_parquet(name):
            # Only now, because pyarrow takes a while to load.
            from pipeline.sources.parquet import inspect_parquet

            table, rows = inspect_parquet(name, Layout(layout), column)
            return InputReport(layout=str(table.layout), files=1, example=name, rows=rows, lacks=table.lacks)
        with open_file(name) as stream:
            first = first_message(name, stream)
    except read_errors(name) as error:
        return InputReport(layout=None, files=1, example=name, problem=str(as_unreadable(error)))
    lacks: tuple[str, ...] = ()
    if first is not None and text_reader(Layout(layout), first.data) is not None:
        lacks = lacks_of_row(first.data)
    return InputReport(layout=JSON_LINES, files=1, example=name, lacks=lacks)


def _log_layout(name: str, layout: str, column: str | None, most: int | None) -> int | None:
    """Logs how the rows of a file are read, if it holds rows; returns how many messages are read at most."""
    if name == STANDARD_INPUT or not os.path.isfile(name):  # what can be read once only, or not at all
        return most
    report = _inspect(name, layout, column)
    if report.rows is not None:
        most = PARQUET_ROWS if most is None else most
        _log.info(
            "%s: layout %s, %s rows; the first %s are read", name, report.layout, report.rows, min(report.rows, most)
        )
    elif report.lacks:
        _log.info("%s: rows of a warehouse table as JSON", name)
    for lack in report.lacks:
        _log.info("%s: lacks %s", name, lack)
    return most


def _messages(items: Iterable[list[Message] | Outcome]) -> Iterator[Message]:
    """Yields the messages of what was read.

    Raises:
      UsageError: the file cannot be read, or a line is above the bound, as it is where gzip holds a bomb.
    """
    for item in items:
        if isinstance(item, list):
            yield from item
        elif item.reason is Reason.UNREADABLE_FILE or item.detail == LINE_TOO_LONG:
            raise UsageError(f"{item.ref}: {item.message}.")
        else:
            _log.warning("%s: %s", item.ref, item.message)


def _open(name: str) -> AbstractContextManager[BinaryIO]:
    """Opens a file that the command line names.

    Raises:
      UsageError: it cannot be opened.
    """
    if name == STANDARD_INPUT:
        return nullcontext(sys.stdin.buffer)
    try:
        return open_file(name)
    except OSError as error:
        raise UsageError(f"{name} cannot be read: {error.strerror}.") from error


def _check_local(name: str) -> None:
    if not is_local(name):
        raise UsageError(f"{name}: local files are read here; copy it first, or use `run`.")


def _is_parquet(name: str) -> bool:
    with open_file(name) as stream:
        return stream.read(len(PARQUET_MAGIC)) == PARQUET_MAGIC
