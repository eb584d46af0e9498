"""Locks of the operating system and leases in a bucket: what both promise, and what each does by itself."""

import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pipeline.errors import UsageError
from pipeline.ledger.lock_stores import EXPIRY_SECS, FileLocks, lock_store
from pipeline.ledger.locks import HeldLock, Lock, LockStore, LostError, new_lock
from pipeline.ledger.manifest import State, new_manifest, read_manifests
from pipeline.ledger.run_journal import Journal
from pipeline.storage import WriteError
from transforms.connection import Connection

ROOT = Path(__file__).resolve().parents[3]


def wanted(run_id: str = "mine", **changes: Any) -> Lock:
    lock = new_lock(run_id, "PIXEL", 1_000, 2_000)
    return msgspec.structs.replace(lock, **changes)


@pytest.fixture(params=["local", "bucket"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> LockStore:
    if request.param == "local":
        found = lock_store(f"file://{tmp_path}/ledger")
    else:
        found = lock_store(f"{request.getfixturevalue('bucket')}/{tmp_path.name}")
    assert found is not None
    return found


# Both kinds of stores keep the same promises.


def test_a_lock_keeps_others_out_until_it_is_given_back(store: LockStore) -> None:
    held = store.take(wanted("first"))
    held.renew()
    held.renew()
    refusal = rf"run first is at work on this window.*\(process {os.getpid()} on {socket.gethostname()}\)"
    with pytest.raises(UsageError, match=refusal):
        store.take(wanted("second"))
    assert [lock.run_id for lock in store.held()] == ["first"]
    held.release()
    assert store.held() == []
    store.take(wanted("second")).release()


def test_windows_that_overlap_exclude_each_other(store: LockStore) -> None:
    held = store.take(wanted("first"))
    for edges in ((1_000, 2_000), (1_999, 3_000), (None, None), (None, 1_001)):
        other = wanted("second", since_ms=edges[0], until_ms=edges[1])
        with pytest.raises(UsageError, match="run first"):
            store.take(other)
        assert len(store.held()) == 1, edges
        store.take(msgspec.structs.replace(other, event_source_id="ANOTHER")).release()
        store.take(msgspec.structs.replace(other, task="replay")).release()
    for edges in ((2_000, 3_000), (None, 1_000), (2_000, None)):
        store.take(wanted("second", since_ms=edges[0], until_ms=edges[1])).release()
    held.release()


def test_two_replays_exclude_each_other(store: LockStore) -> None:
    held = store.take(new_lock("first", "PIXEL", None, None, "replay"))
    with pytest.raises(UsageError, match="run first is at work on dead letters"):
        store.take(new_lock("second", "PIXEL", None, None, "replay"))
    held.release()


def test_of_many_threads_that_want_one_lock_one_gets_it(store: LockStore) -> None:
    def take(number: int) -> HeldLock | None:
        try:
            return store.take(wanted(f"taker-{number}"))
        except UsageError:
            return None

    with ThreadPoolExecutor(8) as pool:
        won = [lock for lock in pool.map(take, range(8)) if lock is not None]
    assert len(won) == len(store.held()) == 1
    won[0].release()


# Locks of the operating system.


def hold(folder: Path) -> "subprocess.Popen[str]":
    """Starts a process that takes the lock and keeps it; returns once it has it."""
    program = (
        "import sys, time; from pathlib import Path\n"
        "from pipeline.ledger.lock_stores import FileLocks; from pipeline.ledger.locks import new_lock\n"
        "held = FileLocks(Path(sys.argv[1])).take(new_lock('holder', 'PIXEL', 1_000, 2_000))\n"
        "print('held', flush=True); time.sleep(600)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program, str(folder)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_a_lock_ends_with_its_process_however_that_ends(tmp_path: Path) -> None:
    store = FileLocks(tmp_path)
    process = hold(tmp_path)
    with pytest.raises(UsageError, match=rf"run holder .* \(process {process.pid} on .* `kill {process.pid}`"):
        store.take(wanted())
    process.send_signal(signal.SIGSTOP)  # one that hangs is alive
    assert [lock.pid for lock in store.held()] == [process.pid]
    process.kill()
    process.communicate()
    assert store.held() == []
    held = store.take(wanted())
    assert len(list(tmp_path.glob("*.lock"))) == 1, "what the killed process left is removed"
    held.release()


def test_a_program_that_the_process_starts_does_not_keep_its_lock(tmp_path: Path) -> None:
    """Beam's workers are such programs: they may live on for a moment."""
    store = FileLocks(tmp_path)
    held = store.take(wanted())
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, close_fds=False) as child:
        held.release()
        store.take(wanted()).release()
        child.kill()


def _race(folder: str, gate: Any, results: Any) -> None:
    store = FileLocks(Path(folder))
    gate.wait()
    for _ in range(10):
        try:
            held = store.take(wanted(str(os.getpid())))
        except UsageError:
            time.sleep(0.01)
            continue
        entered = time.monotonic()
        time.sleep(0.02)
        results.put((entered, time.monotonic()))
        held.release()


def test_of_many_processes_that_want_it_at_once_one_has_it_at_a_time(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    gate, results = context.Barrier(4), context.SimpleQueue()
    workers = [context.Process(target=_race, args=(str(tmp_path), gate, results)) for _ in range(4)]
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
    assert list(tmp_path.glob("*.lock")) == []


def test_what_a_process_left_that_died_before_it_wrote_a_word_keeps_nobody_out(tmp_path: Path) -> None:
    (tmp_path / "mine-0.lock").write_bytes(b"")
    store = FileLocks(tmp_path)
    assert store.held() == []
    store.take(wanted()).release()
    assert list(tmp_path.glob("*.lock")) == []


def test_a_lock_without_content_that_is_held_is_named(tmp_path: Path) -> None:
    store = FileLocks(tmp_path)
    held = store.take(wanted())
    (path,) = tmp_path.glob("*.lock")
    path.write_bytes(b"")
    assert store.held() == []
    with pytest.raises(UsageError, match=f"{path} is locked by a process"):
        store.take(wanted())
    held.release()


def test_a_lock_that_could_not_be_written_leaves_nothing_behind(tmp_path: Path) -> None:
    """As on a disk that is full: the file is created, and its content does not fit."""
    program = (
        "import resource, signal; from pathlib import Path\n"
        "from pipeline.ledger.lock_stores import FileLocks; from pipeline.ledger.locks import new_lock\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))\n"
        f"FileLocks(Path({str(tmp_path)!r})).take(new_lock('run', 'PIXEL', None, None))"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert "WriteError: cannot write and lock" in done.stderr
    assert list(tmp_path.glob("*.lock")) == []
    FileLocks(tmp_path).take(wanted("next")).release()


def test_a_folder_that_cannot_be_written_to_or_does_not_lock_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(WriteError, match=f"cannot write and lock {file}/_locks/guard: "):
        FileLocks(file / "_locks").take(wanted())

    def unsupported(*_: object) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr("fcntl.flock", unsupported)
    with pytest.raises(WriteError, match=r"Operation not supported.*keeps locks \(flock\)"):
        FileLocks(tmp_path / "_locks").take(wanted())


def test_a_file_that_cannot_be_removed_is_nobodys_lock(tmp_path: Path) -> None:
    connection = Connection(event_source_id="PIXEL")
    manifest = new_manifest("run", "run", connection, (None, None), [], 10.0, datetime.now(UTC))
    lock = new_lock("run", "PIXEL", None, None)
    with Journal(str(tmp_path), manifest, lock, lock_store(str(tmp_path))):
        (file,) = (tmp_path / "_locks").glob("*.lock")
        file.unlink()
        file.mkdir()  # which cannot be removed as a file
    assert [found.state for found in read_manifests(str(tmp_path))] == [State.FAILED]
    FileLocks(tmp_path / "_locks").take(lock).release()


# Leases in a bucket.


def test_a_lease_that_has_run_out_is_taken_over_and_its_run_notices(bucket: str, tmp_path: Path) -> None:
    now = [1_000_000.0]
    store = lock_store(f"{bucket}/{tmp_path.name}", clock=lambda: now[0])
    assert store is not None
    held = store.take(wanted("asleep"))
    now[0] += EXPIRY_SECS - 1
    with pytest.raises(UsageError, match=r"run asleep .* its lock ends by itself at 1970-01-12 13:48:10 UTC"):
        store.take(wanted("second"))
    now[0] += 1
    assert store.held() == []
    second = store.take(wanted("second"))
    with pytest.raises(LostError):
        held.renew()
    held.release()  # which leaves the other's alone
    assert [lock.run_id for lock in store.held()] == ["second"]
    now[0] += EXPIRY_SECS - 1
    second.renew()
    now[0] += EXPIRY_SECS - 1
    assert [lock.run_id for lock in store.held()] == ["second"]
    second.release()


def test_of_many_threads_that_take_over_one_lease_one_wins(bucket: str, tmp_path: Path) -> None:
    now = [1_000_000.0]
    store = lock_store(f"{bucket}/{tmp_path.name}", clock=lambda: now[0])
    assert store is not None
    store.take(wanted("dead"))
    now[0] += EXPIRY_SECS

    def take(number: int) -> bool:
        try:
            store.take(wanted(f"taker-{number}"))
        except UsageError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(take, range(8))) == 1
    (lock,) = store.held()
    assert lock.run_id.startswith("taker-")


def test_a_bucket_that_refuses_locks_is_named(bucket: str) -> None:
    store = lock_store("gs://no-such-bucket/ledger")
    assert store is not None
    with pytest.raises(WriteError, match=r"gs://no-such-bucket/ledger/_locks: no lock can be kept there \(NotFound\)"):
        store.take(wanted())
    manifest = new_manifest("run", "run", Connection(event_source_id="P"), (None, None), [], 10.0, datetime.now(UTC))
    with (
        pytest.raises(UsageError, match="no lock can be kept there"),
        Journal("gs://no-such-bucket/ledger", manifest, wanted(), store),
    ):
        pass


def test_a_file_system_without_exclusive_creation_has_no_locks() -> None:
    assert lock_store("s3://bucket/ledger") is None
