"""What a run leaves in its ledger besides rows, and what keeps two runs of one window apart."""

import json
import logging
import signal
import socket
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
import xxhash

from pipeline.errors import UsageError
from pipeline.ledger.lock_stores import FileLocks, lock_store
from pipeline.ledger.locks import Lock, new_lock
from pipeline.ledger.manifest import (
    State,
    new_manifest,
    read_judged_manifests,
    read_manifests,
    run_files,
    unrecorded,
    write_manifest,
)
from pipeline.ledger.reconcile import reconcile_ledger
from pipeline.ledger.run_journal import Journal
from sandbox.tiktok.faults import Delay
from transforms.connection import Connection


def test_a_manifest_holds_what_the_run_was_about_and_how_it_ended(shop: Any, orders: list[bytes]) -> None:
    file = shop.write(orders)
    shop.run(file, since_ms=0, until_ms=4_000_000_000_000)
    manifest = shop.manifest(1)
    assert manifest["state"] == "finished"
    assert (manifest["command"], manifest["event_source_id"]) == ("run", "PIXEL")
    assert manifest["inputs"] == [
        {
            "path": str(file),
            "size": file.stat().st_size,
            "digest": f"xxh3_128:{xxhash.xxh3_128_hexdigest(file.read_bytes())}",
        }
    ]
    assert (manifest["since"], manifest["until"]) == ("1970-01-01T00:00:00Z", "2096-10-02T07:06:40Z")
    assert manifest["counts"] == json.loads((shop.folder / "summary-1.json").read_text())
    assert {"apache-beam", "tiktok-events-pipeline"} <= set(manifest["versions"])
    assert manifest["started"] <= manifest["ended"]
    shop.run(file)
    shop.run(file, shop.connection(default_currency="EUR"))
    same, other = shop.manifest(2), shop.manifest(3)
    assert same["connection_digest"] == manifest["connection_digest"] != other["connection_digest"]
    assert [found.run_id for found in read_manifests(str(shop.ledger))] == ["run-1", "run-2", "run-3"]


def test_a_run_that_fails_is_marked_and_the_next_one_names_the_time(
    shop: Any, orders: list[bytes], caplog: pytest.LogCaptureFixture
) -> None:
    file = shop.write(orders)
    broken = shop.folder / "broken.parquet"
    broken.write_bytes(b"PAR1 no more PAR1")
    with pytest.raises(Exception, match="broken.parquet cannot be read"):
        shop.run(broken, strict_files=True)
    assert shop.manifest(1)["state"] == "failed"
    shop.run(file)
    assert caplog.text.count("Run run-1 did not finish (failed). What it sent between") == 1
    span = shop.manifest(1)["unrecorded"]
    assert shop.manifest(1)["started"] <= span["since"] <= span["until"] <= shop.manifest(2)["started"]
    shop.run(file)
    assert caplog.text.count("did not finish") == 1  # logged once


def test_the_id_of_another_run_is_refused(shop: Any, orders: list[bytes]) -> None:
    file = shop.write(orders)
    shop.run(file)
    with pytest.raises(UsageError, match="--run_id run-1: this ledger has a run of that name already"):
        shop.run(file, run_id="run-1")
    assert shop.sandbox.totals().accepted == 1000
    assert list((shop.ledger / "_locks").glob("*.lock")) == []


def test_an_id_whose_files_would_be_named_as_those_of_another_run_is_refused(shop: Any, orders: list[bytes]) -> None:
    file = shop.write(orders[:10])
    shop.run(file, run_id="nightly/2024-06-20")
    with pytest.raises(UsageError, match=r"--run_id nightly-2024-06-20: .* already \(nightly/2024-06-20\)"):
        shop.run(file, run_id="nightly-2024-06-20")
    assert [manifest.run_id for manifest in read_manifests(str(shop.ledger))] == ["nightly/2024-06-20"]


def test_the_time_that_is_named_holds_repeated_requests_and_what_other_threads_had_not_recorded(
    shop: Any, orders: list[bytes]
) -> None:
    shop.run(shop.write(orders[:10]), shop.connection(retry_secs=120.0), ledger_flush_secs=4.0)
    recorded = max(row["recorded_time"] for row in shop.rows())
    (manifest,) = read_manifests(str(shop.ledger))
    early = recorded - timedelta(hours=1)
    died = msgspec.structs.replace(manifest, state=State.DIED, started=early, seen=early, ended=None)
    span = unrecorded(str(shop.ledger), died, 15.0)
    # Flush, retries, connect and read time-outs.
    assert span.since == recorded - timedelta(seconds=4 + 120 + 5 + 30)
    # A row that was recorded shows that it was alive, too.
    assert span.until == recorded + timedelta(seconds=15)


def test_a_run_is_seen_first_when_its_manifest_is_written(tmp_path: Path) -> None:
    """What comes before, such as asking a bucket for rights, may take long."""
    began = datetime(2024, 6, 20, tzinfo=UTC)
    connection = Connection(event_source_id="PIXEL")
    manifest = new_manifest("run", "run", connection, (None, None), [], 10.0, began)
    later = began + timedelta(seconds=40)
    lock = new_lock("run", "PIXEL", None, None)
    with Journal(str(tmp_path), manifest, lock, lock_store(str(tmp_path)), later.timestamp):
        (written,) = read_manifests(str(tmp_path))
        assert (written.started, written.seen) == (began, later)


def test_files_of_a_run_whose_name_begins_in_the_same_way_are_not_its_files(shop: Any, orders: list[bytes]) -> None:
    shop.run(shop.write(orders), run_id="run")
    shop.run(shop.write(orders), run_id="run-1-more")
    assert len(run_files(str(shop.ledger), "run")) == len(run_files(str(shop.ledger), "run-1-more")) == 1
    assert run_files(str(shop.ledger), "run-1") == []


def test_later_than_48_hours_the_next_run_warns_that_repeats_count(
    shop: Any, orders: list[bytes], caplog: pytest.LogCaptureFixture
) -> None:
    file = shop.write(orders)
    shop.run(file)
    path = shop.ledger / "_manifests" / "run-1.json"
    manifest = json.loads(path.read_text())
    long_ago = (datetime.now(UTC) - timedelta(hours=60)).isoformat()
    changes = {"state": "running", "counts": None, "ended": None, "started": long_ago, "seen": long_ago}
    path.write_text(json.dumps(manifest | changes))
    for rows in shop.ledger.rglob("*.parquet"):
        rows.unlink()
    caplog.set_level(logging.WARNING)
    shop.run(file)
    assert "Run run-1 did not finish (died)" in caplog.text
    assert "TikTok drops repeats for 48 h only" in caplog.text


def start(shop: Any, file: Path, *arguments: str) -> "subprocess.Popen[str]":
    """Starts a run as an operator does, in a process of its own."""
    connection = shop.folder / "connection.yaml"
    settings = msgspec.to_builtins(shop.connection(max_in_flight=1))
    connection.write_bytes(msgspec.yaml.encode({key: value for key, value in settings.items() if value}))
    return subprocess.Popen(
        [
            *(sys.executable, "-m", "pipeline", "run", "--connection", str(connection), "--input", str(file)),
            *("--ledger", str(shop.ledger), "--no_progress", *arguments),
        ],
        cwd=Path(__file__).resolve().parents[3],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for_a_request(shop: Any) -> None:
    deadline = time.monotonic() + 60
    while not shop.sandbox.stats().requests and time.monotonic() < deadline:
        time.sleep(0.05)


def test_a_second_run_of_the_same_window_is_refused_and_another_window_is_not(shop: Any, orders: list[bytes]) -> None:
    """Two processes, real sockets: the second is refused while the first sends, and welcome afterwards."""
    file = shop.write(orders)
    shop.sandbox.fault(Delay(secs=3.0))
    first = start(shop, file, "--since", "2000-01-01", "--until", "2030-01-01", "--run_id", "first")
    wait_for_a_request(shop)
    same = start(shop, file, "--since", "2000-01-01", "--until", "2030-01-01")
    overlapping = start(shop, file, "--since", "2029-12-31", "--until", "2030-01-01")
    apart = start(shop, file, "--since", "2030-01-01")
    refused = same.communicate()[1]
    assert "run first is at work on this window of events, or a part of it" in refused
    assert f"(process {first.pid} on {socket.gethostname()})" in refused
    assert same.returncode == 2
    assert "run first is at work" in overlapping.communicate()[1]
    assert overlapping.returncode == 2
    apart.communicate()
    assert apart.returncode == 0
    assert first.poll() is None, "the first had ended before the others were refused"
    shop.sandbox.set_faults()
    first.communicate()
    assert first.returncode == 0
    assert shop.run(file, since_ms=946684800000, until_ms=1893456000000, skip_delivered=True) == {
        "already_delivered": 1000
    }
    assert shop.times_accepted() == {1: 1000}


def test_a_run_that_is_killed_frees_its_window_at_once_and_is_found_to_have_died(
    shop: Any, orders: list[bytes], caplog: pytest.LogCaptureFixture
) -> None:
    file = shop.write(orders[:100])
    shop.sandbox.fault(Delay(secs=3.0))
    killed = start(shop, file, "--run_id", "killed")
    wait_for_a_request(shop)
    at_work = reconcile_ledger(str(shop.ledger), None, None, datetime.now(UTC))
    assert [(run.run_id, run.state, run.note) for run in at_work.runs] == [("killed", State.RUNNING, "still at work")]
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    died = reconcile_ledger(str(shop.ledger), None, None, datetime.now(UTC))
    assert [(run.state, run.agrees) for run in died.runs] == [(State.DIED, False)]
    shop.sandbox.set_faults()
    assert shop.run(file) == {"delivered": 100}
    assert "Run killed did not finish (died)" in caplog.text
    assert list((shop.ledger / "_locks").glob("*.lock")) == []


def test_where_no_locks_can_be_kept_a_run_has_died_after_a_silence(tmp_path: Path) -> None:
    began = datetime(2024, 6, 20, tzinfo=UTC)
    write_manifest(
        str(tmp_path), new_manifest("run", "run", Connection(event_source_id="P"), (None, None), [], 10.0, began)
    )
    for silence_secs, state in ((60, State.RUNNING), (120, State.DIED)):
        (found,) = read_judged_manifests(str(tmp_path), None, began + timedelta(seconds=silence_secs))
        assert found.state is state


def test_a_run_that_ends_while_it_is_judged_has_not_died(tmp_path: Path) -> None:
    """It writes its last manifest after the others were read, and gives its lock back before the locks are read."""
    ledger = str(tmp_path)
    now = datetime.now(UTC)
    manifest = new_manifest("run", "run", Connection(event_source_id="P"), (None, None), [], 10.0, now)
    write_manifest(ledger, manifest)

    class EndsNow(FileLocks):
        def held(self) -> list[Lock]:
            manifest.state = State.FINISHED
            write_manifest(ledger, manifest)
            return []

    (found,) = read_judged_manifests(ledger, EndsNow(tmp_path / "_locks"), now)
    assert found.state is State.FINISHED


@pytest.mark.parametrize("option", ["ledger", "dead_letters", "quarantine"])
def test_a_bucket_that_does_not_exist_is_named_before_anything_is_sent(
    shop: Any, orders: list[bytes], bucket: str, option: str
) -> None:
    file = shop.write(orders[:10])
    with pytest.raises(UsageError, match=f"--{option} gs://no-such-bucket/folder: there is no such bucket"):
        shop.run(file, **{option: "gs://no-such-bucket/folder"})
    assert shop.sandbox.totals().accepted == 0
    assert shop.run(file, **{option: f"{bucket}/not/there/{option}"}) == {"delivered": 10}


def test_a_run_with_its_ledger_in_a_bucket_skips_locks_and_reconciles_there(
    shop: Any, orders: list[bytes], bucket: str
) -> None:
    from google.cloud.storage import Client

    ledger = f"{bucket}/run/ledger"
    file = shop.write(orders[:200])
    assert shop.run(file, ledger=ledger) == {"delivered": 200}
    shop.sandbox.advance_clock(7 * 86400)
    store = lock_store(ledger)
    assert store is not None
    held = store.take(new_lock("other", "PIXEL", None, None))
    with pytest.raises(UsageError, match="run other is at work"):
        shop.run(file, ledger=ledger, skip_delivered=True)
    held.release()
    assert shop.run(file, ledger=ledger, skip_delivered=True) == {"already_delivered": 200}
    found = reconcile_ledger(ledger, None, None, datetime.now(UTC))
    assert found.adds_up
    assert [(run.run_id, run.ledger) for run in found.runs] == [("run-1", 200), ("run-3", 200)]
    names = [blob.name for blob in Client.create_anonymous_client().bucket("tiktok-ledger").list_blobs(prefix="run/")]
    assert not [name for name in names if "_locks" in name]
