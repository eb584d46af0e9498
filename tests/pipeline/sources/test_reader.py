"""One file of any format: nothing is lost without an outcome."""

import gzip
import os
from pathlib import Path

import pytest
from source_files import PURCHASE, data_of, everything, lines_of, parquet, unreadable

from pipeline.sources.reader import FilePart, divide, iter_messages, read
from pipeline.storage import FileInfo, UnreadableFileError
from transforms.vocabulary import Reason


def test_a_batch_is_the_same_bytes_from_every_kind_of_file(tmp_path: Path) -> None:
    text = tmp_path / "a.txt"
    text.write_text(PURCHASE)
    packed = tmp_path / "a.txt.gz"
    packed.write_bytes(gzip.compress(PURCHASE.encode()))
    table = parquet(tmp_path / "a.parquet", [PURCHASE])
    assert data_of(text) == data_of(packed) == data_of(table) == [PURCHASE]


def test_a_large_file_is_divided_by_row_groups_and_nothing_changes(tmp_path: Path) -> None:
    path = parquet(tmp_path / "a.parquet", [os.urandom(50).hex() for _ in range(1_000)], row_group_size=100)
    file = FileInfo(str(path), path.stat().st_size)
    parts = divide(file, part_bytes=file.size // 4)
    assert parts[0] == FilePart(str(path), (0, 3), 0)
    assert len(parts) == 4
    messages = [message for part in parts for batch in read(part) if isinstance(batch, list) for message in batch]
    assert messages == [message for batch in iter_messages(file) for message in batch]
    assert messages[-1].ref == f"{path}#999"
    assert divide(file) == [FilePart(str(path))]


def test_a_large_file_that_cannot_be_divided_is_left_whole(tmp_path: Path) -> None:
    text = tmp_path / "a.txt"
    text.write_text("\n".join(lines_of(10)))
    cut = tmp_path / "a.parquet"
    cut.write_bytes(parquet(tmp_path / "b.parquet", lines_of(10)).read_bytes()[:-7])
    for path in (text, cut, tmp_path / "gone.parquet"):
        assert divide(FileInfo(str(path), 100), part_bytes=10) == [FilePart(str(path))]


@pytest.mark.parametrize("name", ["a.parquet", "a.txt.gz", "A.PARQ"])
def test_an_empty_file_whose_format_knows_no_empty_file_was_cut_off(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.touch()
    ((outcome,), messages) = everything(path)[::-1]
    assert messages == []
    assert (outcome.reason, outcome.detail) == (Reason.UNREADABLE_FILE, "truncated")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.parquet", b"nonsense\n", "named as Parquet, but it does not begin as Parquet does"),
        ("a.parquet", b"PARE" + b"\0" * 50, "named as Parquet, but it does not begin as Parquet does"),
        ("a.avro", b"Obj\x01\x04\x16avro.schema", "the file is Avro"),
        ("a.txt.zst", b"\x28\xb5\x2f\xfd\x04\x00", "the file is zstd"),
        ("a.zip", b"PK\x03\x04\x14\x00", "the file is zip"),
        (
            "a.gz",
            gzip.compress(b"PAR1\x15\x04", mtime=0),
            "the file is Parquet inside gzip (Parquet is compressed inside)",
        ),
        ("a.gz", gzip.compress(gzip.compress(b"{}", mtime=0), mtime=0), "the file is gzip inside gzip"),
        ("a.txt", b"\x00\x01\x02\x03", "neither Parquet nor lines of JSON, and nothing of both in gzip"),
    ],
)
def test_another_format_gives_one_outcome_that_names_it(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    assert everything(path) == ([], [unreadable(path, "unknown_format", f"{message}; nothing of it was read")])


def test_a_wrong_extension_does_no_harm(tmp_path: Path) -> None:
    table = parquet(tmp_path / "a.json", ['{"a": 1}'])
    text = tmp_path / "b.parquet"
    text.write_text('{"a": 1}\n')
    assert data_of(table) == data_of(text) == ['{"a": 1}']


def test_a_file_that_vanished_gives_one_outcome(tmp_path: Path) -> None:
    path = tmp_path / "gone.txt"
    assert everything(path) == (
        [],
        [unreadable(path, "not_found", "the file is gone since it was listed; nothing of it was read")],
    )


@pytest.mark.parametrize("name", ["a.txt", "a.parquet"])
def test_a_file_that_may_not_be_read_gives_one_outcome(
    tmp_path: Path, name: str, request: pytest.FixtureRequest
) -> None:
    path = parquet(tmp_path / name, lines_of(1))
    path.chmod(0)
    request.getfixturevalue("ordinary_user")
    assert everything(path) == (
        [],
        [unreadable(path, "permission_denied", "the right to read it is missing; nothing of it was read")],
    )


def test_a_failing_disk_gives_one_outcome(tmp_path: Path) -> None:
    # A folder opened as a file is the simplest system call that fails.
    assert everything(tmp_path) == (
        [],
        [unreadable(tmp_path, "unreachable", "reading failed (EISDIR: Is a directory); nothing of it was read")],
    )


def test_plain_loops_get_an_error_that_names_the_file(tmp_path: Path) -> None:
    with pytest.raises(UnreadableFileError, match=r"gone\.txt: the file is gone since it was listed"):
        list(iter_messages(str(tmp_path / "gone.txt")))
