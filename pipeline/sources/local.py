"""Files of this machine → messages: one JSON document, or one a line, plain or gzip; Parquet files by their rows.

Parquet files for `preview`, `check` and `diff`: the first messages, and what the layout lacks. Without Beam.
"""

import functools
import gzip
import itertools
import logging
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence

import msgspec

from pipeline.errors import UsageError
from pipeline.sources.layouts import Layout, lacks_of_row, text_reader
from pipeline.sources.ndjson import read_text
from pipeline.sources.parquet import MAGIC, look, read_parquet
from pipeline.storage import UnreadableFileError, is_local, local_files
from transforms.model import Message, Outcome

_log = logging.getLogger(__name__)

JSON_LINES = "json_lines"

_HEAD_BYTES = 64 << 10


class InputReport(msgspec.Struct, frozen=True):
    """What `check --input` saw of files that are read in the same way.

    Attributes:
      layout: a layout of Parquet files, or `json_lines` of batches or rows; None: they cannot be read.
      files: how many.
      example: the first of them.
      rows: of Parquet files.
      lacks: what no row can say, each with what follows.
      problem: why they cannot be read.
    """

    layout: str | None
    files: int
    example: str
    rows: int | None = None
    lacks: tuple[str, ...] = ()
    problem: str | None = None


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


_GZIP = b"\x1f\x8b"
_PARQUET = b"PAR1"

# Rows of a Parquet file that are shown unless more are asked for: it may hold millions.
SHOWN_ROWS = 20


def read_local(
    files: Iterable[str], layout: str = "auto", column: str | None = None, most: int | None = None
) -> Iterator[Message]:
    """Yields the messages of files in their order; `-` is standard input.

    Args:
      files: names of local files.
      layout: how Parquet rows hold batches, or `auto`.
      column: the Parquet column of JSON text, if it has a name of its own.
      most: messages of each file at most; None: all, of a Parquet file the first 20.

    Raises:
      UsageError: a file cannot be opened, or is no file of messages.
    """
    for name in files:
        if _is_parquet(name):
            # Only now, because pyarrow takes a while to load.

            yield from table_messages(name, layout, column, SHOWN_ROWS if most is None else most)
            continue
        found = split_messages(_read(name))
        reader = _row_reader(name, layout, found[0])
        for number, data in enumerate(found[:most]):
            yield Message(f"{name}#{number}", data if reader is None else reader(data))


def _row_reader(name: str, layout: str, first: bytes) -> Callable[[bytes], bytes] | None:
    """Returns what turns rows of a warehouse's table into batches, None if the messages are batches already."""
    if layout == "auto" and b"messagetypeid" not in first.lower():
        return None
    # Only now, because pyarrow takes a while to load.
    from pipeline.sources.layouts import Layout, lacks_of_row, row_to_batch, text_reader

    reader = text_reader(Layout(layout), first)
    if reader is None:
        return None
    _log.info("%s: rows of a warehouse table as JSON", name)
    for lack in lacks_of_row(first):
        _log.info("%s: lacks %s", name, lack)
    return functools.partial(row_to_batch, reader=reader)


def sample(files: Sequence[str], layout: str, column: str | None, most: int) -> Iterator[Message]:
    """Yields messages from the beginning of each file, so many in all, without reading the files to their end.

    Args:
      files: names of local files.
      layout: how Parquet rows hold batches, or `auto`.
      column: the Parquet column of JSON text, if it has a name of its own.
      most: messages at most; every file gives an equal share, and one at least.

    Raises:
      UsageError: a file cannot be read.
    """
    share = max(1, -(-most // len(files)))
    parts = (
        read_local([name], layout, column, share)
        if _is_parquet(name)
        else itertools.islice(_lines(name, layout), share)
        for name in files
    )
    return itertools.islice(itertools.chain.from_iterable(parts), most)


def _lines(name: str, layout: str) -> Iterator[Message]:
    """Yields the messages of a file of text as they are read."""
    reader: Callable[[bytes], bytes] | None = None
    try:
        with open(name, "rb") as file:
            for item in read_text(file.read(_HEAD_BYTES), file, name):
                if isinstance(item, list):
                    reader = reader or _row_reader(name, layout, item[0].data)
                    yield from item if reader is None else (Message(row.ref, reader(row.data)) for row in item)
    except UnreadableFileError as error:
        raise UsageError(f"{name}: {error}.") from error
    except OSError as error:
        raise UsageError(f"{name} cannot be read: {error.strerror}.") from error


def expand(patterns: Iterable[str]) -> list[str]:
    """Returns the local files that names, folders and globs stand for, each once, in the order of their names.

    Raises:
      UsageError: one matches nothing, or is not of this machine.
    """
    found: set[str] = set()
    for pattern in patterns:
        if not is_local(pattern):
            raise UsageError(f"{pattern}: local files are read here; copy it first, or use `run`.")
        matched = {file.path for file in local_files(pattern)}
        if not matched:
            raise UsageError(f"{pattern}: matches no file.")
        found |= matched
    return sorted(found)


def _is_parquet(name: str) -> bool:
    """Says whether a local file begins as Parquet does."""
    if name == "-" or not is_local(name):
        return False
    try:
        with open(name, "rb") as file:
            return file.read(len(_PARQUET)) == _PARQUET
    except OSError:
        # Whoever reads it says what is wrong.
        return False


def split_messages(content: bytes) -> list[bytes]:
    r"""Returns the messages of a file's content.

    A content that is one JSON document is one message, however many lines it has. If it is not, every line with
    something in it is a message, unless the first line only begins a document (a damaged one): then it is one message.

    >>> split_messages(b'{"a":1}\n{"a":2}\n'), split_messages(b'{\n "a": 1\n}')
    ([b'{"a":1}', b'{"a":2}'], [b'{\n "a": 1\n}'])
    """
    try:
        content = gzip.decompress(content) if content.startswith(_GZIP) else content
    except (OSError, EOFError, zlib.error):
        # Damaged: one message that cannot be read, as it would be in a run.
        return [content]
    lines = [line for line in content.splitlines() if line.strip()]
    if len(lines) < 2 or _is_json(content):
        return [content.strip()]
    begins_document = lines[0].lstrip()[:1] in (b"{", b"[") and not any(map(_is_object, lines))
    return [content] if begins_document else lines


def _is_object(line: bytes) -> bool:
    return line.startswith(b"{") and _is_json(line)


def _is_json(content: bytes) -> bool:
    try:
        msgspec.json.decode(content, type=msgspec.Raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return True


def _read(name: str) -> bytes:
    try:
        if name == "-":
            return sys.stdin.buffer.read()
        if "://" in name:
            raise UsageError(f"{name}: preview reads local files; copy it first, or use `run`.")
        with open(name, "rb") as file:
            content = file.read()
    except OSError as error:
        raise UsageError(f"{name} cannot be read: {error.strerror}.") from error
    if content.startswith(_PARQUET):
        raise UsageError(f"{name} is a Parquet file, which is read from its end: give its name instead of its content.")
    return content
