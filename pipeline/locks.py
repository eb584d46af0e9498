"""Locks next to a ledger: `LEDGER/_locks/`. One run at a time for a window of events.

A lock is a small JSON file with an expiry, which its holder moves on while it runs. It can be taken over when it has
expired, or at once when its holder is a process of this machine that has ended.

On `gs://` a lock is created with `ifGenerationMatch=0` and taken over with the generation that was seen to have expired,
so exactly one of several can win. On a local disk a lock has numbered files; who creates the next number (`O_EXCL`) has
it, and the highest number is the lock.
"""

import contextlib
import os
import re
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import msgspec

from pipeline.holder import Holder, this_process
from pipeline.problems import UsageError
from pipeline.rowfiles import WriteError, is_local, local_path

# Long enough for a few refreshes that fail; a run that died on another machine blocks its window so long.
EXPIRY_SECS = 90.0


class Lock(msgspec.Struct, frozen=True, kw_only=True):
    """What the file of a lock says.

    Attributes:
      run_id: who has it.
      holder: the process.
      event_source_id: whose events.
      since_ms, until_ms: the window; None: open.
      taken_at: epoch seconds.
      expires_at: epoch seconds.
      task: what is locked beside runs over input: dead letters being replayed; None for runs.
    """

    run_id: str
    holder: Holder
    event_source_id: str
    since_ms: int | None = None
    until_ms: int | None = None
    taken_at: float = 0.0
    expires_at: float = 0.0
    task: str | None = None

    def is_over(self, now: float) -> bool:
        """Returns whether nobody holds it any more."""
        return now >= self.expires_at or self.holder.is_gone()

    def excludes(self, other: "Lock") -> bool:
        """Returns whether both must not be held at a time: the windows of two runs overlap, or the task is the same."""
        if self.event_source_id != other.event_source_id or self.task != other.task:
            return False
        return _before(self.since_ms, other.until_ms) and _before(other.since_ms, self.until_ms)


def _before(since_ms: int | None, until_ms: int | None) -> bool:
    return since_ms is None or until_ms is None or since_ms < until_ms


class LostError(Exception):
    """Somebody else has changed the lock since it was seen."""


class Store(Protocol):
    """Where locks are. A version tells one state of a lock from the next; None: there was none."""

    def read(self) -> dict[str, tuple[int, Lock]]:
        """Returns all locks by name, with their versions."""
        ...

    def take(self, name: str, seen: int | None, lock: Lock) -> int:
        """Puts a lock in the place of the version that was seen; raises `LostError` if it is no longer there."""
        ...

    def refresh(self, name: str, version: int, lock: Lock) -> int:
        """Writes the lock of this process anew; raises `LostError` if it is no longer there."""
        ...

    def release(self, name: str, version: int) -> None:
        """Removes the lock of this process, if it is still there."""
        ...


class HeldLock:
    """A lock that this process holds.

    Args:
      store: where it is.
      lock: what is locked, and by whom; the times are set here.
      clock: epoch seconds.

    Raises:
      UsageError: another run holds it, or one whose window overlaps.
    """

    def __init__(self, store: Store, lock: Lock, clock: Callable[[], float] = time.time) -> None:
        self._store = store
        self._clock = clock
        now = clock()
        self._lock = msgspec.structs.replace(lock, taken_at=now, expires_at=now + EXPIRY_SECS)
        self._name = _name(lock)
        present = store.read()
        version, before = present.get(self._name, (None, None))
        if before is not None and not before.is_over(now):
            raise _refused(before)
        try:
            self._version = store.take(self._name, version, self._lock)
        except LostError:
            _, other = store.read().get(self._name, (None, None))
            raise _refused(other) from None
        # Overlapping windows have locks of other names: looked at after taking, so that of two at least one sees both.
        for name, (_, other) in store.read().items():
            if name != self._name and other.excludes(self._lock) and not other.is_over(now):
                self.release()
                raise _refused(other)

    def refresh(self) -> None:
        """Moves the expiry on.

        Raises:
          LostError: the lock was lost, because it was not refreshed in time.
        """
        self._lock = msgspec.structs.replace(self._lock, expires_at=self._clock() + EXPIRY_SECS)
        self._version = self._store.refresh(self._name, self._version, self._lock)

    def release(self) -> None:
        """Gives it back."""
        self._store.release(self._name, self._version)


def lock_store(ledger: str, beam_options: Any = None) -> Store | None:
    """Returns where the locks of a ledger are; None for a file system that cannot create exclusively.

    Args:
      ledger: its folder.
      beam_options: Beam's, which may hold credentials for `gs://`.
    """
    folder = f"{ledger.rstrip('/')}/_locks"
    if is_local(folder):
        return LocalLocks(Path(local_path(folder)))
    if folder.startswith("gs://"):
        return BucketLocks(folder, beam_options)
    return None


def new_lock(
    run_id: str, event_source_id: str, since_ms: int | None, until_ms: int | None, task: str | None = None
) -> Lock:
    """Returns the lock of a run of this process, not yet taken."""
    return Lock(
        run_id=run_id,
        holder=this_process(),
        event_source_id=event_source_id,
        since_ms=since_ms,
        until_ms=until_ms,
        task=task,
    )


def _name(lock: Lock) -> str:
    edges = "-".join("open" if edge is None else str(edge) for edge in (lock.since_ms, lock.until_ms))
    return re.sub(r"[^A-Za-z0-9_-]", "-", f"{lock.event_source_id}_{lock.task or 'run'}_{edges}")


def _refused(other: Lock | None) -> UsageError:
    if other is None:
        return UsageError("another run has taken this window at the same moment; try again.")
    what = "these dead letters" if other.task else "this window of events, or a part of it"
    taken, expires = (time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(at)) for at in (other.taken_at, other.expires_at))
    return UsageError(
        f"run {other.run_id} is at work on {what} since {taken}; two at a time would send events twice. Wait until it "
        f"has ended. If it has died, its lock ends by itself at {expires}."
    )


class LocalLocks:
    """Locks on a local disk: `NAME.NUMBER.json`.

    Args:
      folder: of the locks; created when it is needed.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self) -> dict[str, tuple[int, Lock]]:
        """Returns the file with the highest number of each name."""
        newest: dict[str, int] = {}
        for path in self._folder.glob("*.*.json"):
            name, number, _ = path.name.rsplit(".", 2)
            if number.isdecimal():
                newest[name] = max(newest.get(name, 0), int(number))
        found = {}
        for name, number in newest.items():
            with contextlib.suppress(FileNotFoundError):
                found[name] = number, self._content(self._path(name, number))
        return found

    def take(self, name: str, seen: int | None, lock: Lock) -> int:
        """Creates the next number."""
        number = (seen or 0) + 1
        path = self._path(name, number)
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666), "wb") as file:
                file.write(msgspec.json.encode(lock))
        except FileExistsError:
            raise LostError from None
        except OSError as error:
            raise WriteError(f"cannot write {path}: {error.strerror}") from error
        # Between look and creation others may have come and gone: who finds somebody else at work steps back.
        for other in self._folder.glob(f"{name}.*.json"):
            if other == path:
                continue
            with contextlib.suppress(FileNotFoundError):
                if not self._content(other).is_over(lock.taken_at):
                    path.unlink(missing_ok=True)
                    raise LostError
                other.unlink()
        return number

    def refresh(self, name: str, version: int, lock: Lock) -> int:
        """Replaces the file's content; nobody else writes a file of this number."""
        path = self._path(name, version)
        if not path.exists():  # whoever takes it over removes it
            raise LostError
        unfinished = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
        unfinished.write_bytes(msgspec.json.encode(lock))
        unfinished.replace(path)
        return version

    def release(self, name: str, version: int) -> None:
        """Removes the file."""
        self._path(name, version).unlink(missing_ok=True)

    def _path(self, name: str, number: int) -> Path:
        return self._folder / f"{name}.{number}.json"

    def _content(self, path: Path) -> Lock:
        try:
            return msgspec.json.decode(path.read_bytes(), type=Lock)
        except msgspec.MsgspecError:
            # Created a moment ago, or by a process that died at that moment.
            created = path.stat().st_mtime
            nobody = Holder(machine="", pid=0, started=0)
            return Lock(run_id="?", holder=nobody, event_source_id="", taken_at=created, expires_at=created + EXPIRY_SECS)


class BucketLocks:
    """Locks in a bucket of Cloud Storage: `NAME.json`; the version is the object's generation.

    Args:
      folder: `gs://BUCKET/…`.
      beam_options: with credentials; None: those of the environment.
    """

    def __init__(self, folder: str, beam_options: Any = None) -> None:
        # Loaded for gs:// only.
        from apache_beam.io.gcp.gcsio import GcsIO

        bucket, _, self._prefix = folder.removeprefix("gs://").partition("/")
        # Beam's own client: the same credentials and, in tests, the same server.
        self._bucket: Any = GcsIO(pipeline_options=beam_options).client.bucket(bucket)

    def read(self) -> dict[str, tuple[int, Lock]]:
        """Returns every object that can be read."""
        from google.api_core.exceptions import NotFound

        found = {}
        for blob in self._bucket.list_blobs(prefix=f"{self._prefix}/"):
            name = blob.name.removeprefix(f"{self._prefix}/").removesuffix(".json")
            with contextlib.suppress(NotFound, msgspec.MsgspecError):
                content = self._bucket.blob(blob.name, generation=blob.generation).download_as_bytes()
                found[name] = blob.generation, msgspec.json.decode(content, type=Lock)
        return found

    def take(self, name: str, seen: int | None, lock: Lock) -> int:
        """Uploads only in the place of the generation that was seen; 0: of none."""
        return self._upload(name, seen or 0, lock)

    def refresh(self, name: str, version: int, lock: Lock) -> int:
        """Uploads in the place of the own generation."""
        return self._upload(name, version, lock)

    def release(self, name: str, version: int) -> None:
        """Deletes the own generation."""
        from google.api_core.exceptions import NotFound, PreconditionFailed

        with contextlib.suppress(NotFound, PreconditionFailed):
            self._bucket.blob(f"{self._prefix}/{name}.json").delete(if_generation_match=version)

    def _upload(self, name: str, generation: int, lock: Lock) -> int:
        from google.api_core.exceptions import PreconditionFailed

        blob = self._bucket.blob(f"{self._prefix}/{name}.json")
        try:
            blob.upload_from_string(
                msgspec.json.encode(lock), content_type="application/json", if_generation_match=generation
            )
        except PreconditionFailed:
            # The reply to an upload that went well may have been lost, and the client has asked again.
            current = self.read().get(name)
            if current is None or current[1] != lock:
                raise LostError from None
            return current[0]
        return int(blob.generation)
