"""gzip is unpacked in pieces of bounded size, and to a limit where the pieces are kept."""

import gzip
import os
import time
from collections.abc import Iterator

import pytest

from transforms.gunzip import PIECE_BYTES, CutOffError, GunzipError, TooLargeError, gunzip

CONTENT = os.urandom(3 * PIECE_BYTES) + b"x" * PIECE_BYTES


@pytest.mark.parametrize("size", [1_000, 64 << 10, 10 << 20])
def test_parts_of_any_size_give_the_whole_content(size: int) -> None:
    packed = gzip.compress(CONTENT)
    parts = [packed[start : start + size] for start in range(0, len(packed), size)]
    assert b"".join(gunzip(parts)) == CONTENT


@pytest.mark.parametrize(
    "packed",
    [
        gzip.compress(b"ab") + gzip.compress(b"c"),
        gzip.compress(b"ab") + b"\0" * 100 + gzip.compress(b"c") + b"\0" * 512,
        gzip.compress(b"abc") + gzip.compress(b""),
    ],
    ids=["members", "padding", "empty member"],
)
def test_members_and_padding_are_read_to_the_end(packed: bytes) -> None:
    assert b"".join(gunzip([packed])) == b"abc"
    assert b"".join(gunzip(packed[i : i + 1] for i in range(len(packed)))) == b"abc"


def test_pieces_are_bounded_whatever_a_small_file_stands_for() -> None:
    assert {len(piece) for piece in gunzip([gzip.compress(b"x" * (40 << 20))])} == {PIECE_BYTES}


def test_nothing_is_unpacked_behind_the_limit() -> None:
    packed = gzip.compress(b"x" * (40 << 20))
    read = 0

    def parts() -> Iterator[bytes]:
        nonlocal read
        for start in range(0, len(packed), 100):
            read += 1
            yield packed[start : start + 100]

    with pytest.raises(TooLargeError, match="the gzip data holds more than 1,048,576 bytes"):
        list(gunzip(parts(), most_bytes=1 << 20))
    assert read * 100 < len(packed) / 10
    assert sum(map(len, gunzip([packed], most_bytes=40 << 20))) == 40 << 20


@pytest.mark.parametrize(
    ("packed", "error"),
    [
        (gzip.compress(CONTENT)[:-9], CutOffError),
        (gzip.compress(CONTENT)[:-1], CutOffError),
        (b"\x1f\x8b", CutOffError),
        (gzip.compress(b"a") + b"rubbish", GunzipError),
        (gzip.compress(b"a")[:-8] + b"\xff" * 8, GunzipError),
    ],
    ids=["cut", "cut in the checksum", "no header", "rubbish behind a member", "checksum"],
)
def test_damage_is_an_error_of_its_own(packed: bytes, error: type[GunzipError]) -> None:
    with pytest.raises(GunzipError) as caught:
        list(gunzip([packed]))
    assert caught.type is error


def test_a_hundred_thousand_members_cost_linear_time() -> None:
    """Behind each member zlib copies what is left: of 2 MB at once, that would be 100 GB."""
    began = time.process_time()
    assert list(gunzip([gzip.compress(b"") * 100_000])) == []
    assert time.process_time() - began < 10
