"""Which names are local, however they are written: `file://` works wherever a file may be named."""

import json
from pathlib import Path
from typing import Any

import pytest

from pipeline.cli import main as cli
from pipeline.storage import FileInfo, expand_patterns, is_local, local_path

CASE = """cases:
  - name: c
    event: {event_type: session_start, data: {}}
    expect: [{outcome: skipped}]
"""


@pytest.mark.parametrize(
    ("given", "path"),
    [
        ("a.txt", "a.txt"),
        ("/in/a.txt", "/in/a.txt"),
        ("file:///in/a.txt", "/in/a.txt"),
        ("FILE:///in/a.txt", "/in/a.txt"),
        ("file://localhost/in/a.txt", "/in/a.txt"),
        ("file:///in/a%20b.txt", "/in/a%20b.txt"),
        ("in/date=2024-06-20T16:15/a.txt", "in/date=2024-06-20T16:15/a.txt"),
        ("-", "-"),
    ],
)
def test_a_local_name_is_known_and_freed_of_its_scheme(given: str, path: str) -> None:
    assert is_local(given)
    assert local_path(given) == path


@pytest.mark.parametrize("given", ["gs://bucket/a.txt", "s3://bucket/a.txt", "hdfs://host/file://a.txt"])
def test_what_another_scheme_names_is_not_local(given: str) -> None:
    assert not is_local(given)
    assert local_path(given) == given


@pytest.fixture
def urls(tmp_path: Path) -> dict[str, str]:
    """Files that commands read, as URLs by what they are."""
    contents = {
        "messages.json": json.dumps({"events": [{"event_type": "session_start", "data": {}}]}),
        "connection.yaml": "event_source_id: A1\naccess_token: env:TIKTOK_ACCESS_TOKEN\n",
        "connection.cases.yaml": CASE,
        "projections.json": json.dumps(
            {
                "id": 1,
                "matches": [{"message_type": 4, "event_match_type": "String", "event": "a"}],
                "behaviors": {},
                "action": {"projected_event_name": "Lead", "attribute_maps": []},
            }
        ),
    }
    for name, content in contents.items():
        (tmp_path / name).write_text(content)
    return {name: f"file://{tmp_path / name}" for name in (*contents, "junit.xml", "summary.json", "ledger", "dead")}


@pytest.mark.usefixtures("own_process")
@pytest.mark.parametrize(
    "argv",
    [
        ["preview", "{messages.json}", "--connection", "{connection.yaml}"],
        ["check", "--connection", "{connection.yaml}", "--input", "{messages.json}"],
        ["check", "{connection.yaml}", "--lint", "--sample", "{messages.json}"],
        ["diff", "--connection", "{connection.yaml}", "--connection", "{connection.yaml}", "{messages.json}"],
        ["import-projections", "{projections.json}", "--sample", "{messages.json}"],
        ["test", "{connection.yaml}", "--junit", "{junit.xml}"],
        ["test", "--event_source_id", "A1", "--cases_file", "{connection.cases.yaml}"],
    ],
    ids=lambda argv: " ".join(argv[:3]),
)
def test_every_command_takes_files_as_urls(
    urls: dict[str, str], tmp_path: Path, argv: list[str], monkeypatch: pytest.MonkeyPatch, capfd: Any
) -> None:
    monkeypatch.setenv("TIKTOK_ACCESS_TOKEN", "t" * 20)
    words = [word if not word.startswith("{") else urls[word[1:-1]] for word in argv]
    assert cli.main(words) == 0, capfd.readouterr().err
    assert (tmp_path / "junit.xml").exists() == ("--junit" in argv)


@pytest.mark.usefixtures("own_process")
def test_a_run_reads_and_writes_files_as_urls(
    urls: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: Any
) -> None:
    monkeypatch.setenv("TIKTOK_ACCESS_TOKEN", "t" * 20)
    monkeypatch.chdir(tmp_path)
    argv = ["run", "--connection", urls["connection.yaml"], "--input", urls["messages.json"], "--no_progress"]
    argv += ["--summary", urls["summary.json"], "--ledger", urls["ledger"], "--dead_letters", urls["dead"]]
    assert cli.main(argv) == 0, capfd.readouterr().err
    assert list((tmp_path / "ledger").glob("date=*/*.parquet"))
    assert json.loads((tmp_path / "summary.json").read_text())["outcomes"]
    assert not (tmp_path / "file:").exists()
    # The ledger is found again, and locked while it is used.
    assert cli.main(["reconcile", "--ledger", urls["ledger"], "--json"]) == 0
    assert not (tmp_path / "file:").exists()


def test_a_pattern_of_urls_gives_plain_names(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("{}")
    assert expand_patterns([f"file://{tmp_path}/*.txt"]) == [FileInfo(f"{tmp_path}/a.txt", 2)]
