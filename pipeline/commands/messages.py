"""Files given to `preview` → messages: one JSON document, or one a line, plain or gzip."""

import gzip
import sys
import zlib
from collections.abc import Iterable, Iterator

import msgspec

from pipeline.problems import UsageError
from transforms.model import Message

_GZIP = b"\x1f\x8b"
_PARQUET = b"PAR1"


def read_messages(files: Iterable[str]) -> Iterator[Message]:
    """Yields the messages of files in their order; `-` is standard input.

    Raises:
      UsageError: a file cannot be opened, or is no file of messages.
    """
    for name in files:
        for number, data in enumerate(split_messages(_read(name))):
            yield Message(f"{name}#{number}", data)


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
        raise UsageError(f"{name} is a Parquet file; preview reads JSON, `run` reads Parquet.")
    return content
