"""Parquet files for `preview`, `check` and `diff`: the first messages, and what the layout lacks. Without Beam."""

import itertools
import logging
from collections.abc import Iterable, Iterator

import msgspec

from pipeline.commands.findings import InputReport
from pipeline.layout_tables import Layout
from pipeline.layout_warehouse import lacks_of_row, text_reader
from pipeline.problems import UsageError
from pipeline.source_parquet import MAGIC, look, read_parquet
from pipeline.source_paths import UnreadableFileError
from pipeline.source_text import read_text
from transforms.model import Message, Outcome

_log = logging.getLogger(__name__)

JSON_LINES = "json_lines"

_HEAD_BYTES = 64 << 10


def table_messages(name: str, layout: str, column: str | None, most: int) -> Iterator[Message]:
    """Yields the first messages of a Parquet file; says in the log which layout was seen and what it lacks.

    Raises:
      UsageError: the file cannot be read.
    """
    try:
        table, rows = look(name, Layout(layout), column)
        _log.info("%s: layout %s, %s rows; the first %s are read", name, table.layout, rows, min(rows, most))
        for lack in table.lacks:
            _log.info("%s: lacks %s", name, lack)
        with open(name, "rb") as stream:
            lists = _lists(read_parquet(name, stream, Layout(layout), column))
            yield from itertools.islice(itertools.chain.from_iterable(lists), most)
    except UnreadableFileError as error:
        raise UsageError(f"{name} is a Parquet file that cannot be read: {error}.") from error
    except OSError as error:
        raise UsageError(f"{name} cannot be read: {error.strerror}.") from error


def look_at(files: Iterable[str], layout: str, column: str | None) -> list[InputReport]:
    """Returns what is seen of local files, those that are read in the same way together."""
    reports: dict[tuple[str | None, tuple[str, ...], str | None], InputReport] = {}
    for name in files:
        report = _look_at(name, layout, column)
        key = (report.layout, report.lacks, report.problem)
        before = reports.get(key)
        if before is not None:
            rows = None if before.rows is None or report.rows is None else before.rows + report.rows
            report = msgspec.structs.replace(before, files=before.files + 1, rows=rows)
        reports[key] = report
    return list(reports.values())


def _look_at(name: str, layout: str, column: str | None) -> InputReport:
    try:
        with open(name, "rb") as file:
            head = file.read(_HEAD_BYTES)
            if not head.startswith(MAGIC):
                first: Message | None = next(itertools.chain.from_iterable(_lists(read_text(head, file, name))), None)
                is_table = first is not None and text_reader(Layout(layout), first.data) is not None
                return InputReport(JSON_LINES, 1, name, lacks=lacks_of_row(first.data) if first and is_table else ())
        table, rows = look(name, Layout(layout), column)
    except UnreadableFileError as error:
        return InputReport(None, 1, name, problem=str(error))
    except OSError as error:
        return InputReport(None, 1, name, problem=f"cannot be read: {error.strerror}")
    return InputReport(str(table.layout), 1, name, rows, table.lacks)


def _lists(items: Iterable[list[Message] | Outcome]) -> Iterator[list[Message]]:
    """Yields the messages, without what cannot be one."""
    for item in items:
        if isinstance(item, list):
            yield item
