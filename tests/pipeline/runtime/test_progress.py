"""The counts of this process while a run lasts."""

import threading
from pathlib import Path

from pipeline.arguments.run import parse_run
from pipeline.jobs import run as job
from pipeline.runtime.progress import PROGRESS, Progress
from pipeline.runtime.read_counters import ReadReport
from pipeline.sources.reader import FilePart, read
from sandbox.shop.generator import purchases, write_ndjson, write_parquet
from sandbox.tiktok.control import Sandbox
from transforms.vocabulary import Kind


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
