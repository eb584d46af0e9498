"""Manifests and locks: what a schedule sees, and what keeps two runs of one window apart."""

import json
import logging
import multiprocessing
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
import xxhash

from pipeline.cli import main as cli
from pipeline.errors import UsageError
from pipeline.ledger.holder import Holder, this_process
from pipeline.ledger.lock_stores import LocalLocks, lock_store
from pipeline.ledger.locks import EXPIRY_SECS, HeldLock, Lock, LostError, Store, new_lock
from pipeline.ledger.manifest import State, new_manifest, read_manifests, run_files, unrecorded
from pipeline.ledger.run_journal import Journal
from pipeline.storage import WriteError
from sandbox.tiktok.faults import Delay
from transforms.connection import Connection

ELSEWHERE = Holder(machine="another", pid=1, started=1)


def test_a_manifest_says_what_the_run_was_about_and_how_it_ended(shop: Any, orders: list[bytes]) -> None:
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


def test_a_run_that_fails_says_so_and_the_next_one_names_the_time(
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
    assert caplog.text.count("did not finish") == 1  # told once


def test_the_id_of_another_run_is_refused(shop: Any, orders: list[bytes]) -> None:
    file = shop.write(orders)
    shop.run(file)
    with pytest.raises(UsageError, match="--run_id run-1: this ledger has a run of that name already"):
        shop.run(file, run_id="run-1")
    assert shop.sandbox.totals().accepted == 1000
    assert list((shop.ledger / "_locks").iterdir()) == []


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
    # A row that was recorded is a sign of life, too.
    assert span.until == recorded + timedelta(seconds=15)


def test_the_first_sign_of_life_is_when_the_manifest_is_written(tmp_path: Path) -> None:
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


def test_later_than_48_hours_the_next_run_says_that_repeats_count(
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


def test_a_second_run_of_the_same_window_is_refused_and_another_window_is_not(
    shop: Any, orders: list[bytes], capsys: pytest.CaptureFixture[str], own_process: None
) -> None:
    """Two processes, real sockets: the second is refused while the first sends, and welcome afterwards."""
    file = shop.write(orders)
    shop.sandbox.fault(Delay(secs=3.0))
    connection = shop.folder / "connection.yaml"
    settings = msgspec.to_builtins(shop.connection(max_in_flight=1))
    connection.write_bytes(msgspec.yaml.encode({key: value for key, value in settings.items() if value}))

    run = ["run", "--connection", str(connection), "--input", str(file), "--ledger", str(shop.ledger), "--no_progress"]
    window = ["--since", "2000-01-01", "--until", "2030-01-01"]
    first = subprocess.Popen(
        [sys.executable, "-m", "pipeline", *run, *window, "--run_id", "first"],
        cwd=Path(__file__).resolve().parents[2],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        while not shop.sandbox.stats().requests:
            assert first.poll() is None
            time.sleep(0.05)
        assert cli.main([*run, *window]) == 2
        assert "run first is at work on this window of events, or a part of it" in capsys.readouterr().err
        assert cli.main([*run, "--since", "2029-12-31", "--until", "2030-01-01"]) == 2
        assert "run first is at work" in capsys.readouterr().err
        assert cli.main([*run, "--since", "2030-01-01"]) == 0
        assert first.poll() is None, "the first had ended before the others were refused"
        shop.sandbox.set_faults()
        assert first.wait(60) == 0
    finally:
        first.kill()
        first.wait()
    assert shop.run(file, since_ms=946684800000, until_ms=1893456000000, skip_delivered=True) == {
        "already_delivered": 1000
    }
    assert shop.times_accepted() == {1: 1000}


# Both kinds of stores keep the same promises.


@pytest.fixture(params=["local", "bucket"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "local":
        found = lock_store(str(tmp_path / "ledger"))
    else:
        found = lock_store(f"{request.getfixturevalue('bucket')}/{tmp_path.name}")
    assert found is not None
    return found


@pytest.fixture(scope="session")
def bucket() -> Iterator[str]:
    """Runs a server that speaks Cloud Storage's protocol, with a bucket in it."""
    import importlib.util

    from apache_beam.internal.gcp.auth import _Credentials

    path = Path(__file__).parents[1] / "servers" / "gcs_server.py"
    spec = importlib.util.spec_from_file_location("gcs_server_of_locks", path)
    assert spec is not None
    assert spec.loader is not None
    server = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(server)
    with pytest.MonkeyPatch.context() as patch:
        try:
            with server.running() as url:
                patch.setenv("STORAGE_EMULATOR_HOST", url)
                # Anonymous at once: Beam looks for credentials for half a minute, whatever its options say.
                patch.setattr(_Credentials, "_credentials_init", True)
                from google.cloud.storage import Client

                Client.create_anonymous_client().create_bucket("tiktok-ledger")
                yield "gs://tiktok-ledger"
        except server.ServerUnavailableError as error:
            pytest.skip(str(error))


def wanted(run_id: str = "mine", **changes: Any) -> Lock:
    lock = new_lock(run_id, "PIXEL", 1_000, 2_000)
    return msgspec.structs.replace(lock, **changes)


def test_a_lock_keeps_others_out_until_it_is_given_back(store: Store) -> None:
    held = HeldLock(store, wanted("first"))
    with pytest.raises(UsageError, match="run first is at work on this window"):
        HeldLock(store, wanted("second"))
    held.refresh()
    held.refresh()
    with pytest.raises(UsageError, match="run first"):
        HeldLock(store, wanted("second"))
    held.release()
    HeldLock(store, wanted("second")).release()


@pytest.mark.parametrize(
    ("edges", "together"),
    [((1_000, 2_000), False), ((1_999, 3_000), False), ((None, None), False), ((None, 1_001), False),
     ((2_000, 3_000), True), ((None, 1_000), True), ((2_000, None), True)],
)  # fmt: skip
def test_windows_that_overlap_exclude_each_other(
    store: Store, edges: tuple[int | None, int | None], together: bool
) -> None:
    held = HeldLock(store, wanted("first"))
    other = wanted("second", since_ms=edges[0], until_ms=edges[1])
    if together:
        HeldLock(store, other).release()
    else:
        with pytest.raises(UsageError, match="run first"):
            HeldLock(store, other)
        assert len(store.read()) == 1
    HeldLock(store, msgspec.structs.replace(other, event_source_id="ANOTHER")).release()
    HeldLock(store, msgspec.structs.replace(other, task="replay")).release()
    held.release()


def test_a_lock_that_has_expired_is_taken_over_and_its_holder_notices(store: Store) -> None:
    now = [1_000_000.0]
    held = HeldLock(store, wanted("asleep", holder=ELSEWHERE), lambda: now[0])
    now[0] += EXPIRY_SECS - 1
    with pytest.raises(UsageError, match="run asleep"):
        HeldLock(store, wanted("second", holder=ELSEWHERE), lambda: now[0])
    now[0] += 1
    second = HeldLock(store, wanted("second", holder=ELSEWHERE), lambda: now[0])
    with pytest.raises(LostError):
        held.refresh()
    held.release()  # which leaves the other's alone
    assert [lock.run_id for _, lock in store.read().values()] == ["second"]
    second.release()


def test_the_lock_of_a_process_of_this_machine_that_has_ended_is_free_at_once(store: Store) -> None:
    program = (
        "import msgspec; from pipeline.ledger.holder import *; print(msgspec.json.encode(this_process()).decode())"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=Path(__file__).resolve().parents[2],
        capture_output=True,
        text=True,
        check=True,
    )
    dead = msgspec.json.decode(done.stdout, type=Holder)
    HeldLock(store, wanted("dead", holder=dead))
    HeldLock(store, wanted("second")).release()


def test_a_number_of_a_process_that_is_used_again_is_not_the_same_process() -> None:
    me = this_process()
    assert not me.is_gone()
    assert msgspec.structs.replace(me, started=me.started - 1).is_gone()
    assert not ELSEWHERE.is_gone()


def _race(ledger: str, gate: Any, results: Any) -> None:
    store = lock_store(ledger)
    assert store is not None
    gate.wait()
    for _ in range(10):
        try:
            held = HeldLock(store, wanted(str(os.getpid())))
        except UsageError:
            continue
        entered = time.monotonic()
        time.sleep(0.02)
        results.put((entered, time.monotonic()))
        held.release()


def test_of_many_processes_that_want_it_at_once_one_has_it_at_a_time(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    gate, results = context.Barrier(3), context.SimpleQueue()
    ledger = str(tmp_path / "ledger")
    workers = [context.Process(target=_race, args=(ledger, gate, results)) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
        assert worker.exitcode == 0
    spans = []
    while not results.empty():
        spans.append(results.get())
    spans.sort()
    assert len(spans) >= 2
    assert all(ended <= began for (_, ended), (began, _) in zip(spans, spans[1:], strict=False))
    assert list((tmp_path / "ledger" / "_locks").iterdir()) == []


def test_of_many_threads_that_take_over_one_expired_lock_one_wins(store: Store) -> None:
    from concurrent.futures import ThreadPoolExecutor

    now = time.time()
    HeldLock(store, wanted("dead", holder=ELSEWHERE), lambda: now - 2 * EXPIRY_SECS)

    def take(number: int) -> bool:
        try:
            HeldLock(store, wanted(f"taker-{number}"), lambda: now)
        except UsageError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        won = sum(pool.map(take, range(8)))
    assert won <= 1
    if won:
        ((_, lock),) = store.read().values()
        assert lock.run_id.startswith("taker-")
    else:  # on a local disk two that see each other both step back
        assert isinstance(store, LocalLocks)


def test_a_lock_whose_creator_died_before_it_wrote_a_word_ends_by_itself(tmp_path: Path) -> None:
    store = lock_store(str(tmp_path))
    assert store is not None
    held = HeldLock(store, wanted())
    (path,) = (tmp_path / "_locks").iterdir()
    held.release()
    path.write_bytes(b"")
    with pytest.raises(UsageError):
        HeldLock(store, wanted())
    os.utime(path, (time.time() - EXPIRY_SECS, time.time() - EXPIRY_SECS))
    HeldLock(store, wanted()).release()


def test_a_lock_that_could_not_be_written_leaves_nothing_behind(tmp_path: Path) -> None:
    """As on a disk that is full: the file is created, and its content does not fit."""
    program = (
        "import resource, signal; from pathlib import Path\n"
        "from pipeline.ledger.lock_stores import LocalLocks; from pipeline.ledger.locks import HeldLock, new_lock\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))\n"
        f"HeldLock(LocalLocks(Path({str(tmp_path)!r})), new_lock('run', 'PIXEL', None, None))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=Path(__file__).resolve().parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "WriteError: cannot write" in done.stderr
    assert list(tmp_path.iterdir()) == []
    HeldLock(LocalLocks(tmp_path), wanted("next")).release()


@pytest.mark.parametrize("option", ["ledger", "dead_letters", "quarantine"])
def test_a_bucket_that_does_not_exist_is_named_before_anything_is_sent(
    shop: Any, orders: list[bytes], bucket: str, option: str
) -> None:
    file = shop.write(orders[:10])
    with pytest.raises(UsageError, match=f"--{option} gs://no-such-bucket/folder: there is no such bucket"):
        shop.run(file, **{option: "gs://no-such-bucket/folder"})
    assert shop.sandbox.totals().accepted == 0
    assert shop.run(file, **{option: f"{bucket}/not/there/{option}"}) == {"delivered": 10}


def test_a_bucket_that_refuses_locks_is_named(bucket: str) -> None:
    store = lock_store("gs://no-such-bucket/ledger")
    assert store is not None
    with pytest.raises(WriteError, match=r"gs://no-such-bucket/ledger/_locks: no lock can be kept there \(NotFound\)"):
        HeldLock(store, wanted())
    manifest = new_manifest("run", "run", Connection(event_source_id="P"), (None, None), [], 10.0, datetime.now(UTC))
    with (
        pytest.raises(UsageError, match="no lock can be kept there"),
        Journal("gs://no-such-bucket/ledger", manifest, wanted(), store),
    ):
        pass


def test_a_lock_that_cannot_be_removed_does_not_fail_the_run(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    connection = Connection(event_source_id="PIXEL")
    manifest = new_manifest("run", "run", connection, (None, None), [], 10.0, datetime.now(UTC))
    lock = new_lock("run", "PIXEL", None, None)
    with Journal(str(tmp_path), manifest, lock, lock_store(str(tmp_path))):
        (file,) = (tmp_path / "_locks").iterdir()
        file.unlink()
        file.mkdir()  # which cannot be removed as a file
    assert "The lock of this run could not be removed; it ends by itself" in caplog.text
    assert [found.state for found in read_manifests(str(tmp_path))] == [State.FAILED]


def test_a_file_system_without_exclusive_creation_has_no_locks() -> None:
    assert lock_store("s3://bucket/ledger") is None


def test_a_run_with_its_ledger_in_a_bucket_skips_locks_and_reconciles_there(
    shop: Any, orders: list[bytes], bucket: str
) -> None:
    from google.cloud.storage import Client

    from pipeline.ledger.reconcile import reconcile_ledger

    ledger = f"{bucket}/run/ledger"
    file = shop.write(orders[:200])
    assert shop.run(file, ledger=ledger) == {"delivered": 200}
    shop.sandbox.advance_clock(7 * 86400)
    held = HeldLock(lock_store(ledger), new_lock("other", "PIXEL", None, None))  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="run other is at work"):
        shop.run(file, ledger=ledger, skip_delivered=True)
    held.release()
    assert shop.run(file, ledger=ledger, skip_delivered=True) == {"already_delivered": 200}
    found = reconcile_ledger(ledger, None, None, datetime.now(UTC))
    assert found.adds_up
    assert [(run.run_id, run.ledger) for run in found.runs] == [("run-1", 200), ("run-3", 200)]
    names = [blob.name for blob in Client.create_anonymous_client().bucket("tiktok-ledger").list_blobs(prefix="run/")]
    assert not [name for name in names if "_locks" in name]
