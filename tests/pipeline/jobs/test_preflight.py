"""Where a run writes is looked at before anything is sent."""

import os
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import CommandError, UsageError
from pipeline.jobs import run as job
from pipeline.jobs.preflight import check_outputs
from pipeline.options import RunOptions
from sandbox.tiktok.control import Sandbox
from transforms.connection import Connection

CONNECTION = Connection(event_source_id="PIXEL", access_token="env:TOKEN")


def options(*inputs: str, **outputs: Any) -> RunOptions:
    return RunOptions(connection=CONNECTION, inputs=inputs, run_id="run", **outputs)


@pytest.mark.parametrize("flag", ["ledger", "dead_letters", "quarantine"])
@pytest.mark.parametrize(
    ("pattern", "folder"),
    [
        ("in", "in/out"),
        ("in", "in"),
        ("in/", "./in/../in/deep/er"),
        ("in/**", "in/out"),
        ("**/*.parquet", "out"),
        ("gs://bucket/in", "gs://bucket/in/out"),
        ("gs://bucket/**", "gs://bucket/out"),
    ],
)
def test_an_output_inside_the_input_is_refused(
    flag: str, pattern: str, folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "in").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=f"--{flag} .*lies inside --input .*, so the next run would read it as input"):
        check_outputs(options(pattern, **{flag: folder}))


@pytest.mark.parametrize(
    ("pattern", "folder"),
    [
        ("in", "out"),
        ("in", "in-out"),
        ("in/*.parquet", "in/out"),
        ("in/*.txt.gz", "in"),
        ("gs://bucket/in", "gs://bucket/in-out"),
        ("gs://bucket/in", "in"),
        ("gs://bucket/*.parquet", "gs://bucket/out"),
    ],
)
def test_an_output_beside_the_input_is_fine(
    pattern: str, folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "in").mkdir()
    monkeypatch.chdir(tmp_path)
    check_outputs(options(pattern, ledger=folder))


def test_a_link_into_the_input_is_inside(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "in")
    with pytest.raises(UsageError, match="lies inside"):
        check_outputs(options(str(tmp_path / "in"), ledger=str(tmp_path / "link" / "ledger")))


def test_a_summary_that_cannot_be_written_is_told_before_anything_is_sent(tmp_path: Path) -> None:
    source = tmp_path / "in.txt"
    source.write_text("{}")
    (tmp_path / "token").write_text("sandbox-token")
    (tmp_path / "file").touch()
    with Sandbox() as sandbox:
        connection = Connection(
            event_source_id="PIXEL", access_token=f"file:{tmp_path / 'token'}", api_url=sandbox.api_url
        )
        for summary, said in ((tmp_path, "is a folder; name a file in it"), (tmp_path / "file" / "x", "cannot write")):
            with pytest.raises(CommandError, match=said):
                job.run_job(RunOptions(connection=connection, inputs=(str(source),), summary=str(summary), run_id="r"))
        assert sandbox.stats().requests == 0


def test_a_summary_that_is_there_is_left_alone_until_the_end(tmp_path: Path) -> None:
    summary = tmp_path / "new" / "summary.json"
    check_outputs(options("in", summary=str(summary)))
    assert os.listdir(tmp_path / "new") == []
    summary.write_text("before")
    check_outputs(options("in", summary=str(summary)))
    assert summary.read_text() == "before"
