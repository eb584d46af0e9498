"""Files that are there as a whole or not at all."""

from pathlib import Path

import pytest

from pipeline.storage import WriteError, check_folder, write_atomically


def test_a_file_appears_as_a_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "summary.json"
    path.write_bytes(b"before")
    with pytest.raises(TypeError):
        write_atomically(str(path), "not bytes")  # type: ignore[arg-type]
    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]
    write_atomically(f"file://{path}", b"after")
    assert path.read_bytes() == b"after"


def test_a_folder_is_probed_before_anything_is_sent(tmp_path: Path) -> None:
    check_folder(str(tmp_path / "new" / "ledger"))
    assert list((tmp_path / "new" / "ledger").iterdir()) == []
    tmp_path.joinpath("file").write_text("")
    with pytest.raises(WriteError, match="/file is a file, and a folder is needed"):
        check_folder(str(tmp_path / "file"))
