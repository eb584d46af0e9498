"""Locks beside a ledger, `LEDGER/_locks/`: one run at a time for a window of events.

Runs of one event source whose windows overlap exclude each other, and so do its replays. `pipeline.ledger.lock_stores`
keeps the locks: of the operating system on a file system, objects with an expiry in a bucket.
"""

import os
import socket
import time
from typing import Protocol

import msgspec

from pipeline.errors import UsageError


class Lock(msgspec.Struct, frozen=True, kw_only=True):
    """What is locked, and by whom: the content of the lock's file.

    Attributes:
      run_id: the run that has it.
      host: the machine of its process.
      pid: the number of its process there.
      event_source_id: whose events.
      since_ms, until_ms: the window; None: open.
      task: `replay`; None for runs over input.
      taken_at: epoch seconds.
      expires_at: epoch seconds; None for a lock that ends with its process.
    """

    run_id: str
    host: str
    pid: int
    event_source_id: str
    since_ms: int | None = None
    until_ms: int | None = None
    task: str | None = None
    taken_at: float = 0.0
    expires_at: float | None = None

    def excludes(self, other: "Lock") -> bool:
        """Returns whether both must not be held at a time: the windows of two runs overlap, or the task is the same."""
        if self.event_source_id != other.event_source_id or self.task != other.task:
            return False
        return _before(self.since_ms, other.until_ms) and _before(other.since_ms, self.until_ms)


def _before(since_ms: int | None, until_ms: int | None) -> bool:
    return since_ms is None or until_ms is None or since_ms < until_ms


class LostError(Exception):
    """The lease ran out, and another run may have taken its place."""


class HeldLock(Protocol):
    """A lock that this process holds."""

    def renew(self) -> None:
        """Moves the expiry on, where there is one.

        Raises:
          LostError: the lock was lost, because it was not renewed in time.
          WriteError: the file system refuses.
        """
        ...

    def release(self) -> None:
        """Gives it back.

        Raises:
          WriteError: it could not be removed; it ends by itself.
        """
        ...


class LockStore(Protocol):
    """Where the locks of a ledger are."""

    def held(self) -> list[Lock]:
        """Returns the locks that are held now.

        Raises:
          WriteError: they cannot be read.
        """
        ...

    def take(self, lock: Lock) -> HeldLock:
        """Takes a lock; its times are set here.

        Raises:
          UsageError: another run holds it, or one that excludes it.
          WriteError: no lock can be kept there.
        """
        ...


def new_lock(
    run_id: str, event_source_id: str, since_ms: int | None, until_ms: int | None, task: str | None = None
) -> Lock:
    """Returns the lock of a run of this process, not yet taken."""
    return Lock(
        run_id=run_id,
        host=socket.gethostname(),
        pid=os.getpid(),
        event_source_id=event_source_id,
        since_ms=since_ms,
        until_ms=until_ms,
        task=task,
    )


def refusal(other: Lock) -> UsageError:
    """Returns the error of a run that another one keeps out."""
    what = "dead letters" if other.task else "this window of events, or a part of it"
    end = (
        f"Wait until it has ended, or end that process, for example with `kill {other.pid}`."
        if other.expires_at is None
        else f"Wait until it has ended. If it has died, its lock ends by itself at {_shown(other.expires_at)}."
    )
    return UsageError(
        f"run {other.run_id} is at work on {what}, since {_shown(other.taken_at)} (process {other.pid} on "
        f"{other.host}); two at a time would send events twice. {end}"
    )


def _shown(at: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(at))
