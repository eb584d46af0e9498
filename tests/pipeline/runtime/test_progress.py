"""Progress of a run, on a terminal and in a log."""

import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pyarrow.dataset as ds
import pytest

from pipeline.cli.commands.run import parse_run
from pipeline.jobs import run as job
from pipeline.runtime.progress import PROGRESS, Progress, ProgressDisplay
from pipeline.runtime.read_counters import ReadReport
from pipeline.sources.reader import FilePart, read
from sandbox.shop.generator import purchases, write_ndjson, write_parquet
from sandbox.tiktok.control import Sandbox
from transforms.vocabulary import Kind

ROOT = Path(__file__).resolve().parents[3]


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Stream(io.StringIO):
    """Tells when something was written."""

    def __init__(self, terminal: bool) -> None:
        super().__init__()
        self.written = threading.Event()
        self._terminal = terminal

    def isatty(self) -> bool:
        return self._terminal

    def write(self, text: str) -> int:
        count = super().write(text)
        if "events" in self.getvalue():
            self.written.set()
        return count


def test_counts_add_up_over_threads() -> None:
    progress = Progress()
    threads = [
        threading.Thread(target=lambda: [progress.add(Kind.DELIVERED, 1) for _ in range(1_000)]) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert progress.current()[Kind.DELIVERED] == 4_000
    progress.reset()
    assert set(progress.current().values()) == {0}


def test_a_line_says_how_many_how_fast_and_what_became_of_them() -> None:
    progress, clock = Progress(), Clock()
    progress.add(Kind.DELIVERED, 5_000)  # of an earlier run in this process
    with ProgressDisplay(progress, Stream(terminal=False), interval_secs=60, clock=clock) as display:
        assert display.line() == "0 events, 0/s: 0 delivered"
        progress.add(Kind.DELIVERED, 12_000)
        progress.add(Kind.UNDELIVERED, 500)
        clock.now += 5
        assert display.line() == "12,500 events, 2,500/s: 12,000 delivered, 500 undelivered"


def test_a_line_tells_files_row_groups_requests_and_the_time_left() -> None:
    progress, clock = Progress(), Clock()
    progress.expect(files=12, size=4_000)
    with ProgressDisplay(progress, Stream(terminal=False), interval_secs=60, clock=clock) as display:
        progress.add(Kind.DELIVERED, 3_000)
        progress.add_read({"files": 3, "row_groups": 40, "bytes_read": 1_000, "rows": 3_000})
        progress.add_request()
        progress.add_request()
        clock.now += 50
        assert display.line() == (
            "3,000 events, 60/s: 3,000 delivered; 2 requests; 3 of 12 files, 40 row groups; 25%, 2 min 30 s left"
        )
        progress.add_read({"bytes_read": 3_000})
        assert "left" not in display.line()


def test_no_time_is_guessed_before_there_is_something_to_go_by() -> None:
    progress, clock = Progress(), Clock()
    progress.expect(files=1, size=1_000_000)
    with ProgressDisplay(progress, Stream(terminal=False), interval_secs=60, clock=clock) as display:
        progress.add(Kind.DELIVERED, 1)
        progress.add_read({"bytes_read": 500})
        clock.now += 1
        assert display.line() == "1 events, 1/s: 1 delivered; 0 of 1 files"


def test_a_run_counts_what_it_reads_and_sends(tmp_path: Path) -> None:
    write_parquet(tmp_path / "in", purchases(3_000), rows_per_group=500, files=2)
    with Sandbox(keep_bodies=True) as sandbox:
        (tmp_path / "token").write_text(sandbox.token)
        argv = ["--event_source_id", "PIXEL", "--enable_web_migration", "--api_url", sandbox.api_url]
        argv += ["--access_token", f"file:{tmp_path / 'token'}", "--input", str(tmp_path / "in")]
        assert job.run_job(parse_run(argv)) == 0
        requests = len(sandbox.bodies())
    counts = PROGRESS.counts()
    assert sum(counts[kind] for kind in Kind) == counts["rows"] == 3_000
    assert (counts["files"], counts["expected_files"], counts["row_groups"]) == (2, 2, 6)
    assert counts["requests"] == requests >= 3
    assert 0.99 < counts["bytes_read"] / counts["expected_bytes"] <= 1


def test_lines_of_json_are_measured_too(tmp_path: Path) -> None:
    for name in ("a.txt", "b.txt.gz"):
        path = write_ndjson(tmp_path / name, purchases(5_000))
        report = ReadReport()
        for _ in read(FilePart(str(path)), report=report):
            assert report.counts["bytes_read"] > 0
        assert report.take()["bytes_read"] == path.stat().st_size


def test_a_log_gets_plain_lines() -> None:
    progress, stream = Progress(), Stream(terminal=False)
    with ProgressDisplay(progress, stream, interval_secs=0.01, clock=Clock()):
        assert stream.written.wait(10)
    assert "0 events, 0/s: 0 delivered\n" in stream.getvalue()
    assert "\x1b" not in stream.getvalue()


def test_a_terminal_gets_a_line_that_goes_away() -> None:
    progress, stream = Progress(), Stream(terminal=True)
    with ProgressDisplay(progress, stream, interval_secs=0.01, clock=Clock()):
        assert stream.written.wait(10)
    assert "\x1b[" in stream.getvalue()


def test_the_display_ends_at_once() -> None:
    with ProgressDisplay(Progress(), Stream(terminal=False), interval_secs=600):
        pass
    assert not [thread for thread in threading.enumerate() if thread.name == "progress"]


@pytest.mark.parametrize(("signals", "error"), [(1, "stopped before the end"), (2, "interrupted.")])
def test_an_interrupted_run_says_so_and_hides_nothing_that_it_sent(tmp_path: Path, signals: int, error: str) -> None:
    """The first signal settles what was read, the second ends all: what is under way then is all that is unrecorded."""
    write_parquet(tmp_path / "in", purchases(20_000), rows_per_group=1_000)
    with Sandbox() as sandbox:
        argv = ["--event_source_id", "PIXEL", "--enable_web_migration", "--api_url", sandbox.api_url]
        argv += ["--access_token", "env:TOKEN", "--input", str(tmp_path / "in"), "--ledger", str(tmp_path / "ledger")]
        argv += ["--max_batch_events", "100", "--requests_per_second", "5", "--summary", str(tmp_path / "summary.json")]
        process = subprocess.Popen(
            [sys.executable, "-m", "pipeline", "run", *argv],
            cwd=ROOT,
            env=os.environ | {"TOKEN": sandbox.token},
            stderr=subprocess.PIPE,
            text=True,
        )
        while process.poll() is None and not sandbox.totals().accepted:
            time.sleep(0.05)
        for _ in range(signals):
            process.send_signal(signal.SIGINT)
            time.sleep(0.5)
        _, shown = process.communicate(timeout=60)
        accepted = sandbox.totals().accepted
    assert process.returncode == 1
    assert shown.splitlines()[-1].startswith(f"error: {error}")
    assert "defect" not in shown
    if signals == 1:
        rows = ds.dataset(tmp_path / "ledger", format="parquet", exclude_invalid_files=True).to_table(columns=["kind"])
        assert rows["kind"].to_pylist().count("delivered") == accepted
        assert 0 < accepted < 20_000
        (manifest,) = (tmp_path / "ledger" / "_manifests").iterdir()
        assert json.loads(manifest.read_text())["state"] == "stopped"
        assert json.loads((tmp_path / "summary.json").read_text())["adds_up"] is True
    else:
        # Of the requests that waited for their slot none went out.
        assert accepted <= 100 * 15
