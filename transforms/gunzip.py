"""gzip in, what it holds out, in pieces of bounded size; for files and for messages.

A small file can stand for terabytes. So nothing here ever holds more than a piece, and whoever joins the pieces gives a
limit.
"""

import zlib
from collections.abc import Iterable, Iterator

# What a gzip member starts with. Source: RFC 1952, section 2.3.1.
GZIP_MAGIC = b"\x1f\x8b"
_GZIP_WBITS = zlib.MAX_WBITS | 16

# What is yielded at a time.
PIECE_BYTES = 256 << 10

# What zlib takes at a time: behind the end of a member it copies the rest, which may be a thousand members more.
_TAKEN_BYTES = 64 << 10


class GunzipError(ValueError):
    """The gzip data is damaged."""


class CutOffError(GunzipError):
    """The gzip data ends too early."""


class TooLargeError(GunzipError):
    """The gzip data holds more than is allowed."""


def gunzip(chunks: Iterable[bytes], most_bytes: int | None = None) -> Iterator[bytes]:
    """Yields what one or more gzip members hold, in pieces of at most `PIECE_BYTES`.

    Args:
      chunks: the compressed data in parts of any size.
      most_bytes: of all pieces together; None: without end, for those that keep none of them.

    Raises:
      GunzipError: damaged; its subclasses: cut off, or more than `most_bytes`.
    """
    left = most_bytes
    for piece in _pieces(chunks):
        if left is not None:
            left -= len(piece)
            if left < 0:
                raise TooLargeError(f"the gzip data holds more than {most_bytes:,} bytes")
        yield piece


def _pieces(chunks: Iterable[bytes]) -> Iterator[bytes]:
    member = zlib.decompressobj(_GZIP_WBITS)
    try:
        for packed in _slices(chunks):
            while packed:
                if member.eof:
                    # Zeros behind a member are padding. Source: GNU Gzip's manual, "Using gzip on tapes".
                    packed = packed.lstrip(b"\0")
                    if not packed:
                        break
                    member = zlib.decompressobj(_GZIP_WBITS)
                if piece := member.decompress(packed, PIECE_BYTES):
                    yield piece
                packed = member.unused_data if member.eof else member.unconsumed_tail
        while not member.eof:
            piece = member.decompress(b"", PIECE_BYTES)
            if not piece:
                raise CutOffError("the gzip data is cut off")
            yield piece
    except zlib.error as error:
        raise GunzipError("the gzip data is damaged") from error


def _slices(chunks: Iterable[bytes]) -> Iterator[bytes]:
    for chunk in chunks:
        for start in range(0, len(chunk), _TAKEN_BYTES):
            yield chunk[start : start + _TAKEN_BYTES]
