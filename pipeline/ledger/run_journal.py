"""What a run with a ledger does before, beside and after its work: lock, manifest, and a look at earlier runs.

with Journal(…) as journal:
…                       # the run
journal.finish(summary)
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Any, Self

from pipeline.errors import UsageError
from pipeline.ledger.lock_stores import lock_store
from pipeline.ledger.locks import HeldLock, Lock, LockStore, LostError, new_lock
from pipeline.ledger.manifest import (
    InputFile,
    Manifest,
    State,
    input_digest,
    new_manifest,
    read_judged_manifests,
    read_manifests,
    unrecorded,
    write_manifest,
)
from pipeline.ledger.replay_filter import DeadLetterFilter
from pipeline.ledger.run_summary import Summary
from pipeline.options import RunOptions
from pipeline.records import file_prefix
from pipeline.storage import FileInfo, WriteError

_log = logging.getLogger(__name__)

# Between two writings of the manifest; where the lock is a lease, it outlasts five renewals that fail.
_INTERVAL_SECS = 15.0

_WINDOW = timedelta(hours=48)

# Files whose digest is taken at a time: in a bucket each is a request.
_DIGESTERS = 4


class Journal:
    """Keeps the lock and the manifest of one run.

    Entering raises `UsageError` if another run is at work on the same window or has its id, or if the ledger's folder
    cannot be written to; nothing has been sent then. Without `finish`, the state in the manifest ends as `failed`.

    Args:
      ledger: its folder.
      manifest: of this run.
      lock: of this run, not yet taken.
      store: keeps locks; None: there are none on this file system.
      clock: epoch seconds.
    """

    def __init__(
        self,
        ledger: str,
        manifest: Manifest,
        lock: Lock,
        store: LockStore | None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._ledger = ledger
        self._manifest = manifest
        self._lock = lock
        self._store = store
        self._clock = clock
        self._held: HeldLock | None = None
        self._ended = threading.Event()
        self._changes = threading.Lock()
        self._threads = [
            threading.Thread(target=self._keep_current, name="journal", daemon=True),
            threading.Thread(target=self._digest_inputs, name="digests", daemon=True),
        ]

    def __enter__(self) -> Self:
        try:
            self._begin()
        except WriteError as error:
            # Nothing has been sent yet.
            raise UsageError(str(error)) from error
        for thread in self._threads:
            thread.start()
        return self

    def _begin(self) -> None:
        """Takes the lock and writes the manifest, or leaves neither."""
        if self._store is None:
            _log.warning("%s: no locks on this file system; see to it that only one run is at work.", self._ledger)
        else:
            self._held = self._store.take(self._lock)
        try:
            self._look_at_earlier_runs()
            # Asking a bucket for credentials, lock and manifests may have taken a while.
            self._manifest.seen = self._now()
            write_manifest(self._ledger, self._manifest)
        except BaseException:
            self._release()
            raise

    def finish(self, summary: Summary, stopped: bool = False) -> None:
        """Records that the run has come to its end, or was stopped before: what it read is settled in both cases."""
        self._threads[1].join()
        with self._changes:
            self._manifest.counts = summary
            self._manifest.state = State.STOPPED if stopped else State.FINISHED

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._ended.set()
        self._threads[0].join()
        with self._changes:
            if self._manifest.state is State.RUNNING:
                self._manifest.state = State.FAILED
            self._manifest.ended = self._manifest.seen = self._now()
            try:
                write_manifest(self._ledger, self._manifest)
            except WriteError as failure:
                if error is None:
                    raise
                # A full disk fails both: the error that stopped the run is raised. For the next run it has died.
                _log.warning("%s", failure)
            finally:
                self._release()

    def _release(self) -> None:
        if self._held is not None:
            try:
                self._held.release()
            except (WriteError, OSError) as failure:
                _log.warning("The lock of this run could not be removed; it ends by itself (%s).", failure)

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock(), UTC)

    def _keep_current(self) -> None:
        """Writes the manifest now and then, so that the time in which a killed run sent is bounded."""
        while not self._ended.wait(_INTERVAL_SECS):
            with self._changes:
                self._manifest.seen = self._now()
                try:
                    if self._held is not None:
                        self._held.renew()
                    write_manifest(self._ledger, self._manifest)
                except LostError:
                    _log.error("The lock of this run was lost: was the machine asleep? Another run may send the same.")
                    self._held = None
                except Exception as failure:  # noqa: BLE001  # of any file system; the next attempt may succeed
                    _log.warning(
                        "%s: the manifest could not be written anew (%s)", self._ledger, type(failure).__name__
                    )

    def _digest_inputs(self) -> None:
        """Fills in the digests beside the run: they take a disk's time, and hashing frees the interpreter."""

        def fill(file: InputFile) -> None:
            if not self._ended.is_set():
                file.digest = input_digest(file.path)

        with ThreadPoolExecutor(_DIGESTERS, thread_name_prefix="digest") as pool:
            list(pool.map(fill, self._manifest.inputs))

    def _look_at_earlier_runs(self) -> None:
        """Logs what earlier runs may have sent without recording it, for each run once.

        Raises:
          UsageError: one has the id of this run.
        """
        now = self._now()
        for manifest in read_judged_manifests(self._ledger, self._store, now):
            _refuse_same_name(manifest.run_id, self._manifest.run_id)
            if manifest.state not in (State.FAILED, State.DIED) or manifest.unrecorded is not None:
                continue
            manifest.unrecorded = span = unrecorded(self._ledger, manifest, _INTERVAL_SECS)
            deadline = span.since + _WINDOW
            remedy = (
                f"run its window again before {_shown(deadline)}: event ids stay the same, and TikTok drops repeats."
                if now < deadline
                else "TikTok drops repeats for 48 h only: what is sent again of that time counts twice there."
            )
            _log.warning(
                "Run %s did not finish (%s). What it sent between %s and %s may be missing from the ledger; %s",
                manifest.run_id,
                manifest.state,
                _shown(span.since),
                _shown(span.until),
                remedy,
            )
            try:
                write_manifest(self._ledger, manifest)
            except WriteError as failure:
                _log.warning("%s", failure)


def _refuse_same_name(earlier: str, run_id: str) -> None:
    # A run is known by the names of its files, and these keep fewer characters than an id may have.
    if file_prefix(earlier) == file_prefix(run_id):
        raise UsageError(
            f"--run_id {run_id}: this ledger has a run of that name already"
            + (f" ({earlier})" if earlier != run_id else "")
            + ", and its rows could not be distinguished. Choose another, or leave it out."
        )


@contextmanager
def described_journal(
    options: RunOptions, command: str, files: Sequence[FileInfo], dead_letters: DeadLetterFilter | None = None
) -> Iterator[None]:
    """Writes the manifest of a job that is described inside the `with` block, for Dataflow to run.

    By it `reconcile` knows the job's rows, though not its counts. The job holds no lock: Dataflow itself refuses a
    second active job of the same name.

    Args:
      options: of the job.
      command: `run` or `replay`.
      files: the input.
      dead_letters: what narrows a replay.

    Raises:
      UsageError: the ledger cannot be used, or has a run of this name; nothing was described then.
    """
    if options.ledger is None:
        yield
        return
    for earlier in read_manifests(options.ledger):
        _refuse_same_name(earlier.run_id, options.run_id)
    yield
    window_ms = (options.since_ms, options.until_ms)
    now = datetime.now(UTC)
    manifest = new_manifest(
        options.run_id, command, options.connection, window_ms, files, options.ledger_flush_secs, now, dead_letters
    )
    manifest.state = State.DESCRIBED
    try:
        write_manifest(options.ledger, manifest)
    except WriteError as error:
        raise UsageError(str(error)) from error


@contextmanager
def keep_journal(
    options: RunOptions,
    command: str,
    files: Sequence[FileInfo],
    beam_options: Any,
    task: str | None = None,
    dead_letters: DeadLetterFilter | None = None,
) -> Iterator[Callable[[Summary, bool], None]]:
    """Keeps the journal of a run that writes a ledger, and nothing else.

    Yields a function that takes, at the end of the run, its summary and whether it was stopped.

    Args:
      options: of the run.
      command: `run` or `replay`.
      files: the input.
      beam_options: Beam's, which may hold credentials.
      task: what is locked, if it is no window of events.
      dead_letters: what narrows a replay.

    Raises:
      UsageError: another run is at work on the same, or the ledger cannot be used.
    """
    if options.ledger is None or options.dry_run:
        yield lambda _, __: None
        return
    window_ms = (options.since_ms, options.until_ms)
    now = datetime.now(UTC)
    manifest = new_manifest(
        options.run_id, command, options.connection, window_ms, files, options.ledger_flush_secs, now, dead_letters
    )
    edges = (None, None) if task else window_ms
    lock = new_lock(options.run_id, options.connection.event_source_id, *edges, task)
    with Journal(options.ledger, manifest, lock, lock_store(options.ledger, beam_options)) as journal:
        yield journal.finish


def _shown(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
