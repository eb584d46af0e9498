"""Patterns in, files out."""

import os
import tempfile
from pathlib import Path

import pytest

from pipeline.storage import FileInfo, NoInputError, expand_patterns


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A folder as exports leave it behind."""
    for name in (
        "2024-06-20/a_1.txt",
        "2024-06-20/a_2.txt.gz",
        "2024-06-21/a_1.txt",
        "2024-06-21/hour=07/b.parquet",
        "2024-06-21/[1].txt",
        "_day=1/c.parquet",
        "top.txt",
        ".hidden.txt",
        "_SUCCESS",
        "_metadata",
        "_temporary/0/part.parquet",
        "_delta_log/00000.json",
        "2024-06-20/.a_1.txt.crc",
        ".staging/a.txt",
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{}")
    return tmp_path


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("top.txt", ["top.txt"]),
        ("*.txt", ["top.txt"]),
        ("2024-06-20", ["2024-06-20/a_1.txt", "2024-06-20/a_2.txt.gz"]),
        ("2024-06-20/", ["2024-06-20/a_1.txt", "2024-06-20/a_2.txt.gz"]),
        ("2024-06-2?/a_1*", ["2024-06-20/a_1.txt", "2024-06-21/a_1.txt"]),
        ("2024-06-2[!0]/a*", ["2024-06-21/a_1.txt"]),
        ("2024-06-2[0-1]/*.gz", ["2024-06-20/a_2.txt.gz"]),
        ("2024-06-21/**", ["2024-06-21/[1].txt", "2024-06-21/a_1.txt", "2024-06-21/hour=07/b.parquet"]),
        ("**/*.parquet", ["2024-06-21/hour=07/b.parquet", "_day=1/c.parquet"]),
        ("2024-06-21/**/b.parquet", ["2024-06-21/hour=07/b.parquet"]),
        ("**/top.txt", ["top.txt"]),
        ("2024-06-21/[1].txt", ["2024-06-21/[1].txt"]),
        ("_metadata", ["_metadata"]),
        ("_temporary/**", ["_temporary/0/part.parquet"]),
    ],
)
def test_patterns_match_as_shells_do(tree: Path, pattern: str, found: list[str]) -> None:
    assert [file.path for file in expand_patterns([f"{tree}/{pattern}"])] == [f"{tree}/{name}" for name in found]


def test_a_folder_stands_for_all_that_is_data_below_it(tree: Path) -> None:
    assert expand_patterns([str(tree)]) == [
        FileInfo(f"{tree}/{name}", 2)
        for name in (
            "2024-06-20/a_1.txt",
            "2024-06-20/a_2.txt.gz",
            "2024-06-21/[1].txt",
            "2024-06-21/a_1.txt",
            "2024-06-21/hour=07/b.parquet",
            "_day=1/c.parquet",
            "top.txt",
        )
    ]


def test_relative_patterns_give_relative_names(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tree)
    assert [file.path for file in expand_patterns(["*.txt", "2024-06-20/*.txt"])] == ["2024-06-20/a_1.txt", "top.txt"]


def test_a_file_that_two_patterns_match_is_read_once(tree: Path) -> None:
    assert len(expand_patterns([f"{tree}/*.txt", f"{tree}/top.txt", f"{tree}/t*"])) == 1


def test_links_are_followed_to_files_and_links_to_nowhere_are_none(tree: Path) -> None:
    (tree / "linked.txt").symlink_to(tree / "top.txt")
    (tree / "broken.txt").symlink_to(tree / "nowhere.txt")
    os.mkfifo(tree / "pipe.txt")
    assert [Path(file.path).name for file in expand_patterns([f"{tree}/*.txt"])] == ["linked.txt", "top.txt"]


@pytest.mark.parametrize("pattern", ["nothing.txt", "*.csv", "nowhere/*.txt", "nowhere/", "**/*.csv"])
def test_a_pattern_without_a_file_is_refused_by_its_name(tree: Path, pattern: str) -> None:
    with pytest.raises(NoInputError, match="matches no file") as caught:
        expand_patterns([f"{tree}/top.txt", f"{tree}/{pattern}"])
    assert f"--input {tree}/{pattern}: " in str(caught.value)
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize("pattern", ["gopher://bucket/a", "./[z-a]", "./[!]"])
def test_a_pattern_that_makes_no_sense_is_refused(pattern: str) -> None:
    with pytest.raises(NoInputError, match="not a path, URL or glob that can be read") as caught:
        expand_patterns([pattern])
    assert f"--input {pattern}: " in str(caught.value)


def test_files_are_listed_in_the_order_of_their_names(tree: Path) -> None:
    found = [file.path for file in expand_patterns([f"{tree}/top.txt", f"{tree}/2024-06-21/*.txt"])]
    assert found == [f"{tree}/2024-06-21/[1].txt", f"{tree}/2024-06-21/a_1.txt", f"{tree}/top.txt"]


def test_a_folder_that_may_not_be_listed_is_refused(request: pytest.FixtureRequest) -> None:
    # Not below tmp_path, which only its owner may enter.
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        (Path(folder) / "closed").mkdir(mode=0)
        request.getfixturevalue("ordinary_user")
        with pytest.raises(
            NoInputError, match=rf"--input {folder}: cannot be listed \(Permission denied: {folder}/closed"
        ):
            expand_patterns([folder])
        os.seteuid(os.getuid())


def test_a_name_that_is_no_utf_8_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "a.txt").touch()
    with open(os.fsencode(tmp_path) + b"/\xff.txt", "wb"):
        pass
    with pytest.raises(NoInputError, match=r"\\xff\.txt: the name of this file is no UTF-8 text; rename it"):
        expand_patterns([str(tmp_path)])
