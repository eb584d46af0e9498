"""Where locks are: files that the operating system locks, or objects with generations in a bucket.

A lock on a file system ends with its process, however that ends. In a bucket nobody notices a process that ends, so a
lock there is a lease: it has an expiry, which its process moves on.
"""

import contextlib
import fcntl
import os
import re
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from pipeline.errors import UsageError
from pipeline.ledger.locks import HeldLock, Lock, LockStore, LostError, refusal
from pipeline.records import file_prefix
from pipeline.storage import WriteError, is_local, local_path
from transforms.google_errors import bucket_remedy

# Long enough for a few renewals that fail; a run that died blocks its window in a bucket for so long.
EXPIRY_SECS = 90.0

_GUARD = "guard"
_PATTERN = "*.lock"


def lock_store(ledger: str, beam_options: Any = None, clock: Callable[[], float] = time.time) -> LockStore | None:
    """Returns where the locks of a ledger are; None for a file system of Beam's that cannot create exclusively.

    Args:
      ledger: its folder.
      beam_options: Beam's, which may hold credentials for `gs://`.
      clock: epoch seconds.
    """
    folder = f"{ledger.rstrip('/')}/_locks"
    if is_local(folder):
        return FileLocks(Path(local_path(folder)), clock)
    if folder.startswith("gs://"):
        return BucketLocks(folder, beam_options, clock)
    return None


class FileLocks:
    """Locks of the operating system, by `flock`: a file for each lock, `RUN-UNIQUE.lock`, locked while its run lasts.

    The kernel frees the lock when the process ends, so a file that nobody has locked is left over; the next run removes
    it. Locks of two threads exclude each other like those of two processes, because each opens a file of its own. What
    a process starts by `exec`, such as Beam's workers, does not inherit the lock; what it forks does, and keeps it.

    On NFS (Linux since 2.6.12) the client turns `flock` into a lock at the server, which all machines see, unless the
    mount has `nolock` or `local_lock=flock`: then runs exclude each other on one machine only. If a whole machine dies,
    the server keeps its locks until the client's lease has run out, 90 seconds by default with NFSv4. File systems in
    user space (a bucket that is mounted) mostly lock within one machine; name such a ledger as `gs://…` instead.
    Source: Linux man-pages, flock(2) and nfs(5).

    Args:
      folder: of the locks; created when it is needed.
      clock: epoch seconds.
    """

    def __init__(self, folder: Path, clock: Callable[[], float] = time.time) -> None:
        self._folder = folder
        self._clock = clock

    def held(self) -> list[Lock]:
        """Returns the locks of processes that are alive."""
        found = []
        for path in self._folder.glob(_PATTERN):
            # A lock that is being written belongs to a run that has not begun.
            with contextlib.suppress(msgspec.MsgspecError):
                if (lock := _held_lock(path)) is not None:
                    found.append(lock)
        return found

    def take(self, lock: Lock) -> "FileLock":
        """Takes a lock, if no process holds one that excludes it."""
        with self._guard():
            for path in self._folder.glob(_PATTERN):
                try:
                    other = _held_lock(path)
                except msgspec.MsgspecError as error:
                    raise UsageError(f"{path} is locked by a process, and does not name its run. End it.") from error
                if other is None:
                    with contextlib.suppress(OSError):
                        path.unlink(missing_ok=True)
                elif other.excludes(lock):
                    raise refusal(other)
            path = self._folder / f"{file_prefix(lock.run_id)}-{uuid.uuid4().hex}.lock"
            with _named(path):
                return FileLock(path, msgspec.structs.replace(lock, taken_at=self._clock()))

    @contextlib.contextmanager
    def _guard(self) -> Iterator[None]:
        """Lets one process at a time look at the locks and add its own; for a moment, so others wait."""
        path = self._folder / _GUARD
        with contextlib.ExitStack() as stack:
            with _named(path):
                self._folder.mkdir(parents=True, exist_ok=True)
                file = stack.enter_context(open(os.open(path, os.O_RDWR | os.O_CREAT, 0o666), "r+b"))
                fcntl.flock(file, fcntl.LOCK_EX)
            yield


class FileLock:
    """A file that this process has locked.

    Args:
      path: of the file, which does not exist.
      lock: its content.
    """

    def __init__(self, path: Path, lock: Lock) -> None:
        self._path = path
        self._file = open(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666), "wb", buffering=0)  # noqa: SIM115
        try:
            # Waits for those who look whether it is held.
            fcntl.flock(self._file, fcntl.LOCK_EX)
            self._file.write(msgspec.json.encode(lock))
            os.fsync(self._file.fileno())
        except BaseException:
            self.release()
            raise

    def renew(self) -> None:
        """Does nothing: the lock lasts as long as its process."""

    def release(self) -> None:
        """Removes the file and frees the lock."""
        # What cannot be removed is left over, and nobody's.
        with contextlib.suppress(OSError):
            self._path.unlink(missing_ok=True)
        fcntl.flock(self._file, fcntl.LOCK_UN)
        self._file.close()


def _held_lock(path: Path) -> Lock | None:
    """Returns the content of a lock that a process holds, None if none does.

    Raises:
      MsgspecError: it is held, and its content cannot be read.
    """
    try:
        file = path.open("rb")
    except OSError:
        return None
    with file:
        try:
            # Shared, for which reading is enough on every file system.
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return msgspec.json.decode(file.read(), type=Lock)
    return None


@contextlib.contextmanager
def _named(path: Path) -> Iterator[None]:
    """Names the file in errors of the operating system."""
    try:
        yield
    except OSError as error:
        raise WriteError(
            f"cannot write and lock {path}: {error.strerror}. Check that this account may write there, the space left, "
            "and that the file system keeps locks (flock)."
        ) from error


class BucketLocks:
    """Leases in a bucket of Cloud Storage: `NAME.json`, one name for each window.

    A bucket compares and sets: an object is created with `ifGenerationMatch=0` and replaced with the generation that
    was seen, so exactly one of several wins.

    Args:
      folder: `gs://BUCKET/…`.
      beam_options: with credentials; None: those of the environment.
      clock: epoch seconds.
    """

    def __init__(self, folder: str, beam_options: Any = None, clock: Callable[[], float] = time.time) -> None:
        # Loaded for gs:// only.
        from apache_beam.io.gcp.gcsio import GcsIO

        bucket, _, self._prefix = folder.removeprefix("gs://").partition("/")
        # Beam's own client: the same credentials and, in tests, the same server.
        self._bucket: Any = GcsIO(pipeline_options=beam_options).client.bucket(bucket)
        self._clock = clock

    def held(self) -> list[Lock]:
        """Returns the leases that have not run out."""
        now = self._clock()
        return [lock for _, lock in self._read().values() if not _is_over(lock, now)]

    def take(self, lock: Lock) -> HeldLock:
        """Takes a lease, if there is none that excludes it."""
        now = self._clock()
        lock = msgspec.structs.replace(lock, taken_at=now, expires_at=now + EXPIRY_SECS)
        name = _lease_name(lock)
        generation, before = self._read().get(name, (0, None))
        if before is not None and not _is_over(before, now):
            raise refusal(before)
        try:
            lease = _Lease(self, name, self.upload(name, generation, lock), lock)
        except LostError:
            _, winner = self._read().get(name, (0, None))
            if winner is None:
                raise UsageError("another run has taken this window at the same moment; try again.") from None
            raise refusal(winner) from None
        # Overlapping windows have leases of other names: looked at after taking, so that of two at least one sees both.
        for other_name, (_, other) in self._read().items():
            if other_name != name and other.excludes(lock) and not _is_over(other, now):
                lease.release()
                raise refusal(other)
        return lease

    def now(self) -> float:
        """Returns the time, epoch seconds."""
        return self._clock()

    def upload(self, name: str, generation: int, lock: Lock) -> int:
        """Writes an object in the place of the generation that was seen, 0 for none; returns its new generation.

        Raises:
          LostError: it has another generation by now.
          WriteError: the bucket refuses.
        """
        from google.api_core.exceptions import PreconditionFailed

        blob = self._bucket.blob(f"{self._prefix}/{name}.json")
        try:
            with self._named():
                blob.upload_from_string(
                    msgspec.json.encode(lock), content_type="application/json", if_generation_match=generation
                )
        except PreconditionFailed:
            # The reply to an upload that went well may have been lost, and the client has asked again.
            current = self._read().get(name)
            if current is None or current[1] != lock:
                raise LostError from None
            return current[0]
        return int(blob.generation)

    def delete(self, name: str, generation: int) -> None:
        """Removes an object, if it still has this generation.

        Raises:
          WriteError: the bucket refuses.
        """
        from google.api_core.exceptions import NotFound, PreconditionFailed

        with self._named(), contextlib.suppress(NotFound, PreconditionFailed):
            self._bucket.blob(f"{self._prefix}/{name}.json").delete(if_generation_match=generation)

    def _read(self) -> dict[str, tuple[int, Lock]]:
        """Returns every object that can be read, with its generation.

        Raises:
          WriteError: the bucket refuses.
        """
        from google.api_core.exceptions import NotFound

        found = {}
        with self._named():
            for blob in self._bucket.list_blobs(prefix=f"{self._prefix}/"):
                name = blob.name.removeprefix(f"{self._prefix}/").removesuffix(".json")
                with contextlib.suppress(NotFound, msgspec.MsgspecError):
                    content = self._bucket.blob(blob.name, generation=blob.generation).download_as_bytes()
                    found[name] = blob.generation, msgspec.json.decode(content, type=Lock)
        return found

    @contextlib.contextmanager
    def _named(self) -> Iterator[None]:
        """Names the bucket where it refuses, but not where somebody else was there first."""
        from google.api_core.exceptions import GoogleAPIError, PreconditionFailed
        from google.auth.exceptions import GoogleAuthError

        try:
            yield
        except PreconditionFailed:
            raise
        # The client's own connection errors are OSErrors.
        except (GoogleAPIError, GoogleAuthError, OSError) as error:
            raise WriteError(
                f"gs://{self._bucket.name}/{self._prefix}: no lock can be kept there ({type(error).__name__}). "
                + bucket_remedy("list, read, create and delete")
            ) from error


class _Lease:
    """A lease that this process holds."""

    def __init__(self, store: BucketLocks, name: str, generation: int, lock: Lock) -> None:
        self._store = store
        self._name = name
        self._generation = generation
        self._lock = lock

    def renew(self) -> None:
        """Moves the expiry on."""
        self._lock = msgspec.structs.replace(self._lock, expires_at=self._store.now() + EXPIRY_SECS)
        self._generation = self._store.upload(self._name, self._generation, self._lock)

    def release(self) -> None:
        """Removes the object."""
        self._store.delete(self._name, self._generation)


def _is_over(lock: Lock, now: float) -> bool:
    return lock.expires_at is not None and now >= lock.expires_at


def _lease_name(lock: Lock) -> str:
    edges = "-".join("open" if edge is None else str(edge) for edge in (lock.since_ms, lock.until_ms))
    return re.sub(r"[^A-Za-z0-9_-]", "-", f"{lock.event_source_id}_{lock.task or 'run'}_{edges}")
