"""Lines of JSON, plain or gzip: bytes in, messages out, without ever holding the file.

mParticle writes one batch a line (`.txt`, gzip with *Use Compression*). Blank lines are ignored, CRLF and a byte order
mark are taken off, the last line may lack its newline. A file that holds one JSON document over many lines
(pretty-printed by a person) is one message.
"""

import zlib
from collections.abc import Iterator
from typing import BinaryIO

import msgspec

from pipeline.storage import Trouble, UnreadableFileError
from transforms.model import Message, Outcome
from transforms.vocabulary import Kind, Reason, Stage

# A batch is about 1 MB at most, and Pub/Sub ends at 10 MB (mParticle, "Default Service Limits"; Google, "Pub/Sub quotas
# and limits"): what is longer is no batch. Without a bound, a file without newlines would fill the memory.
MAX_LINE_BYTES = 64 << 20

# A document over several lines is held in memory. mParticle's largest batches are far below this.
MAX_DOCUMENT_BYTES = 16 << 20

# A list of messages for the steps that follow: enough to spread Beam's cost of a list (its counters), small enough to
# stay in a core's second cache while every step passes over it. Measured with 2 kB messages: 128 of them take 3.0 µs an
# event more than a plain loop, 512 and 2,000 of them 15 µs.
BATCH_MESSAGES = 500
BATCH_BYTES = 256 << 10

# What is read and decompressed at a time.
_CHUNK_BYTES = 256 << 10

GZIP_MAGIC = b"\x1f\x8b"
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"

# How other formats begin, so that the outcome can name them. Source: the formats' own specifications.
_OTHER_FORMATS = {
    b"PAR1": "Parquet inside gzip (Parquet is compressed inside)",
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

    Args:
      head: the beginning of the file.
      stream: the rest of it.
      path: its name, the first part of every reference.

    Raises:
      UnreadableFileError: not a text file, by content or name, or damaged gzip; the complete lines before the damage
        have been yielded.
    """
    _check_name(path.lower(), head)
    chunks = _decompressed(head, stream) if head.startswith(GZIP_MAGIC) else _plain(head, stream)
    chunks, document = _document(chunks)
    if document is not None:
        yield [Message(f"{path}#0", document)]
        return
    lines = _lines(chunks)
    ended = False
    while not ended:
        batch: list[Message] = []
        refused = None
        try:
            refused, ended = _take(lines, path, batch)
        finally:
            # Also before trouble goes on its way: what was read is read.
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


def _plain(head: bytes, stream: BinaryIO) -> Iterator[bytes]:
    """Yields the file in pieces."""
    while head:
        yield head
        head = stream.read(_CHUNK_BYTES)


def _decompressed(packed: bytes, stream: BinaryIO) -> Iterator[bytes]:
    """Yields what a gzip file of one or more members holds, in pieces of bounded size.

    Raises:
      UnreadableFileError: damaged, or cut off.
    """
    member = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    try:
        while packed or not member.eof:
            piece = member.decompress(packed, _CHUNK_BYTES)
            if piece:
                yield piece
            packed = member.unused_data if member.eof else member.unconsumed_tail
            if not packed and (more := stream.read(_CHUNK_BYTES)):
                packed = more
            elif not packed and not piece and not member.eof:
                raise UnreadableFileError("the gzip data is cut off", Trouble.TRUNCATED)
            if member.eof:
                # Zeros behind a member are padding. Source: GNU Gzip's manual, "Using gzip on tapes".
                packed = packed.lstrip(b"\0")
                while not packed and (more := stream.read(_CHUNK_BYTES)):
                    packed = more.lstrip(b"\0")
                if packed:
                    member = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    except zlib.error as error:
        raise UnreadableFileError("the gzip data is damaged", Trouble.DAMAGED) from error


def _document(chunks: Iterator[bytes]) -> tuple[Iterator[bytes], bytes | None]:
    """Looks whether the whole file is one JSON document over several lines.

    Returns:
      The chunks again from the first one, and the document, or None where the file holds a message a line.

    Raises:
      UnreadableFileError: not a text file.
    """
    seen: list[bytes] = []
    trouble: UnreadableFileError | None = None
    has_line = False
    size = 0
    try:
        for chunk in chunks:
            if not seen:
                chunk = chunk.removeprefix(_BYTE_ORDER_MARK)
                _refuse_binary(chunk)
            seen.append(chunk)
            size += len(chunk)
            if not has_line and b"\n" in chunk:
                line, newline, _ = b"".join(seen).lstrip().partition(b"\n")
                has_line = bool(newline)
                if has_line and _is_json(line):
                    return _again(seen, chunks, None), None
            if size > MAX_DOCUMENT_BYTES:
                return _again(seen, chunks, None), None
    except UnreadableFileError as error:
        if not seen:
            raise
        trouble = error
    whole = b"".join(seen).strip()
    if has_line and trouble is None and _is_json(whole):
        return iter(()), whole
    return _again(seen, chunks, trouble), None


def _again(seen: list[bytes], rest: Iterator[bytes], trouble: UnreadableFileError | None) -> Iterator[bytes]:
    """Yields the chunks that were looked at and those behind them, then raises the trouble that was met."""
    while seen:
        yield seen.pop(0)
    yield from rest
    if trouble is not None:
        raise trouble


def _is_json(text: bytes) -> bool:
    """Says whether a text is one JSON value."""
    try:
        msgspec.json.decode(text, type=msgspec.Raw)
    except (msgspec.DecodeError, RecursionError):  # the latter: nested too deep for a reader of JSON
        return False
    return True


def _refuse_binary(head: bytes) -> None:
    """Raises for a file that holds no text."""
    for magic, name in _OTHER_FORMATS.items():
        if head.startswith(magic):
            raise UnreadableFileError(f"the file is {name}", Trouble.UNKNOWN_FORMAT)
    if b"\0" in head[:_PROBED_BYTES]:
        raise UnreadableFileError(
            "neither Parquet nor lines of JSON, and nothing of both in gzip", Trouble.UNKNOWN_FORMAT
        )


def _lines(chunks: Iterator[bytes]) -> Iterator[tuple[int, bytes | None]]:
    """Yields the number (from 0) and the content of each line that is not blank, None for one that is too long."""
    number = 0
    begun: list[bytes] = []
    held = 0
    for chunk in chunks:
        pieces = chunk.split(b"\n")
        tail = pieces.pop()
        for piece in pieces:
            line: bytes | None = piece
            if held:
                held += len(piece)
                line = b"".join((*begun, piece)) if held <= MAX_LINE_BYTES else None
                begun.clear()
                held = 0
            if line is None or (line := line.strip()):
                yield number, line
            number += 1
        held += len(tail)
        if held > MAX_LINE_BYTES:
            begun.clear()
        elif tail:
            begun.append(tail)
    if held > MAX_LINE_BYTES:
        yield number, None
    elif last := b"".join(begun).strip():
        yield number, last


def _too_long(path: str, number: int) -> Outcome:
    return Outcome(
        Kind.REJECTED,
        Stage.READ,
        Reason.UNREADABLE_MESSAGE,
        f"{path}#{number}",
        detail="line_too_long",
        message=f"a line of more than {MAX_LINE_BYTES >> 20} MiB",
    )
