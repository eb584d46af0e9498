"""Lines of JSON, plain or gzip: bytes in, messages out, without ever holding the file.

The one reader of such files, for runs and for the commands that read files of this machine.

mParticle writes one batch a line (`.txt`, gzip with *Use Compression*). Blank lines are ignored, CRLF and a byte order
mark are taken off, the last line may lack its newline; a file without any newline may end its lines by CR. A file that
holds one JSON document over many lines (pretty-printed by a person) is one message, also where the document is damaged.
"""

from collections.abc import Iterator
from typing import BinaryIO

import msgspec

from pipeline.storage import Trouble, UnreadableFileError
from transforms.gunzip import GZIP_MAGIC, PIECE_BYTES, CutOffError, GunzipError, gunzip
from transforms.model import Message, Outcome
from transforms.vocabulary import Kind, Reason, Stage

# A batch is about 1 MB at most, and Pub/Sub ends at 10 MB (mParticle, "Default Service Limits"; Google, "Pub/Sub quotas
# and limits"): what is longer is no batch. Without a bound, a file without newlines, or a small gzip file of one
# endless line, would fill the memory.
MAX_LINE_BYTES = 64 << 20

# A document over several lines is held in memory. mParticle's largest batches are far below this.
MAX_DOCUMENT_BYTES = 16 << 20

# A list of messages for the steps that follow: enough to spread Beam's cost of a list (its counters), small enough to
# stay in a core's second cache while every step passes over it. Measured with 2 kB messages: 128 of them take 3.0 µs an
# event more than a plain loop, 512 and 2,000 of them 15 µs.
BATCH_MESSAGES = 500
BATCH_BYTES = 256 << 10

# Detail of the outcome of a line above the bound.
LINE_TOO_LONG = "line_too_long"

# How a Parquet file begins and ends. Source: Apache Parquet, "File format".
PARQUET_MAGIC = b"PAR1"

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"

# How other formats begin, so that the outcome can name them. Source: the formats' own specifications.
_OTHER_FORMATS = {
    PARQUET_MAGIC: "Parquet inside gzip (Parquet is compressed inside)",
    b"PARE": "encrypted Parquet",
    b"Obj\x01": "Avro",
    b"ORC": "ORC",
    b"BZh": "bzip2",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"\xfd7zXZ\x00": "xz",
    b"PK\x03\x04": "zip",
    GZIP_MAGIC: "gzip inside gzip",
}

# A text has no zero byte; other files nearly always have one near their beginning.
_PROBED_BYTES = 1 << 10


def read_text(head: bytes, stream: BinaryIO, path: str) -> Iterator[list[Message] | Outcome]:
    """Yields lists of messages, and one outcome for each line that is too long to be read.

    No more is held at a time than `MAX_LINE_BYTES`, whatever gzip expands to.

    Args:
      head: the beginning of the file.
      stream: the rest of it.
      path: its name, the first part of every reference.

    Raises:
      UnreadableFileError: not a text file, by content or name, or damaged gzip; the complete lines before the damage
        have been yielded.
    """
    _check_name(path.lower(), head)
    chunks, separator, document = _look_ahead(_text(_chunks(head, stream), packed=head.startswith(GZIP_MAGIC)))
    if document is not None:
        yield [Message(f"{path}#0", document)]
        return
    lines = _lines(chunks, separator)
    ended = False
    while not ended:
        batch: list[Message] = []
        refused = None
        try:
            refused, ended = _take(lines, path, batch)
        finally:
            # Also before an error goes on its way: what was read is read.
            if batch:
                yield batch
        if refused is not None:
            yield refused


def _check_name(name: str, head: bytes) -> None:
    """Makes sure that a file is not named as something that it does not begin like.

    Raises:
      UnreadableFileError: it is.
    """
    named_parquet = name.endswith((".parquet", ".parq"))
    if not head and (named_parquet or name.endswith(".gz")):
        raise UnreadableFileError("empty: its upload was cut off, or has not begun", Trouble.TRUNCATED)
    if named_parquet and not head.startswith(GZIP_MAGIC) and head.lstrip()[:1] not in b"{[":
        raise UnreadableFileError("named as Parquet, but it does not begin as Parquet does", Trouble.UNKNOWN_FORMAT)


def _take(lines: Iterator[tuple[int, bytes | None]], path: str, batch: list[Message]) -> tuple[Outcome | None, bool]:
    """Fills a list of messages.

    Returns:
      The outcome of a line that is too long, which ends the list early; and whether the file has ended.
    """
    size = 0
    for number, line in lines:
        if line is None:
            return _too_long(path, number), False
        batch.append(Message(f"{path}#{number}", line))
        size += len(line)
        if len(batch) >= BATCH_MESSAGES or size >= BATCH_BYTES:
            return None, False
    return None, True


def _chunks(head: bytes, stream: BinaryIO) -> Iterator[bytes]:
    """Yields the file in pieces as it is stored."""
    while head:
        yield head
        head = stream.read(PIECE_BYTES)


def _text(chunks: Iterator[bytes], *, packed: bool) -> Iterator[bytes]:
    """Yields the text in pieces of bounded size, without a byte order mark.

    Raises:
      UnreadableFileError: the gzip data is damaged or cut off, or what is there is no text.
    """
    try:
        pieces = gunzip(chunks) if packed else chunks
        for first in pieces:
            first = first.removeprefix(_BYTE_ORDER_MARK)
            _refuse_binary(first)
            yield first
            break
        yield from pieces
    except CutOffError as error:
        raise UnreadableFileError(str(error), Trouble.TRUNCATED) from error
    except GunzipError as error:
        raise UnreadableFileError(str(error), Trouble.DAMAGED) from error


def _look_ahead(chunks: Iterator[bytes]) -> tuple[Iterator[bytes], bytes, bytes | None]:
    """Looks at the beginning of a text: what ends its lines, and whether the whole of it is one JSON document.

    Returns:
      The chunks again from the first one; what ends a line; and the document, None where the file holds lines.

    Raises:
      UnreadableFileError: not a text file, or a document that is cut off.
    """
    seen: list[bytes] = []
    size = 0
    has_line = False
    error: UnreadableFileError | None = None
    try:
        for chunk in chunks:
            seen.append(chunk)
            size += len(chunk)
            if not has_line and b"\n" in chunk:
                line, newline, _ = b"".join(seen).lstrip().partition(b"\n")
                has_line = bool(newline)
                if has_line and _is_json(line):
                    return _again(seen, chunks), b"\n", None
            if size > MAX_DOCUMENT_BYTES:
                break
    except UnreadableFileError as caught:
        error = caught
    whole = b"".join(seen).strip()
    separator = b"\r" if b"\n" not in whole and b"\r" in whole else b"\n"
    if size > MAX_DOCUMENT_BYTES:
        return _again(seen, chunks, error), separator, None
    if separator not in whole or not _is_document(whole, separator):
        return _again(seen, iter(()), error), separator, None
    if error is not None:
        raise error
    return iter(()), separator, whole


def _is_document(text: bytes, separator: bytes) -> bool:
    """Returns whether a text of several lines is one JSON document, or the damaged remains of one."""
    if _is_json(text.partition(separator)[0]):
        return False
    begins_document = text.startswith((b"{", b"["))
    return _is_json(text) or (begins_document and not any(map(_is_object, text.split(separator))))


def _again(seen: list[bytes], rest: Iterator[bytes], error: UnreadableFileError | None = None) -> Iterator[bytes]:
    """Yields the chunks that were looked at and those behind them, then raises the error that was met."""
    while seen:
        yield seen.pop(0)
    yield from rest
    if error is not None:
        raise error


def _is_object(line: bytes) -> bool:
    return line.startswith(b"{") and _is_json(line)


def _is_json(text: bytes) -> bool:
    """Returns whether a text is one JSON value."""
    try:
        msgspec.json.decode(text, type=msgspec.Raw)
    except (msgspec.DecodeError, RecursionError):  # the latter: nested too deep for a reader of JSON
        return False
    return True


def _refuse_binary(head: bytes) -> None:
    """Makes sure that a file holds text.

    Raises:
      UnreadableFileError: it does not.
    """
    for magic, name in _OTHER_FORMATS.items():
        if head.startswith(magic):
            raise UnreadableFileError(f"the file is {name}", Trouble.UNKNOWN_FORMAT)
    if b"\0" in head[:_PROBED_BYTES]:
        raise UnreadableFileError(
            "neither Parquet nor lines of JSON, and nothing of both in gzip", Trouble.UNKNOWN_FORMAT
        )


def _lines(chunks: Iterator[bytes], separator: bytes) -> Iterator[tuple[int, bytes | None]]:
    """Yields the number (from 0) and the content of each line that is not blank.

    For one that is too long None is yielded, as soon as it is; the rest of it is passed over.
    """
    number = 0
    begun: list[bytes] = []
    held = 0
    too_long = False
    for chunk in chunks:
        pieces = chunk.split(separator)
        tail = pieces.pop()
        for piece in pieces:
            line: bytes | None = piece
            if held:
                held += len(piece)
                line = b"".join((*begun, piece)) if held <= MAX_LINE_BYTES else None
                begun.clear()
                held = 0
            if not too_long and (line is None or (line := line.strip())):
                yield number, line
            too_long = False
            number += 1
        held += len(tail)
        if held <= MAX_LINE_BYTES:
            if tail:
                begun.append(tail)
        elif not too_long:
            begun.clear()
            too_long = True
            yield number, None
    if not too_long and (last := b"".join(begun).strip()):
        yield number, last


def _too_long(path: str, number: int) -> Outcome:
    return Outcome(
        Kind.REJECTED,
        Stage.READ,
        Reason.UNREADABLE_MESSAGE,
        f"{path}#{number}",
        detail=LINE_TOO_LONG,
        message=f"a line of more than {MAX_LINE_BYTES >> 20} MiB",
    )
