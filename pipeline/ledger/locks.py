"""Locks next to a ledger, `LEDGER/_locks/`: one run at a time for a window of events.

A lock is a small JSON file with an expiry, which its holder moves on while it runs. It can be taken over when it has
expired, or at once when its holder is a process of this machine that has ended. `pipeline.ledger.lock_stores` says how two
that want it at the same moment are kept apart.
"""

import re
import time
from collections.abc import Callable
from typing import Protocol

import msgspec

from pipeline.errors import UsageError
from pipeline.ledger.holder import Holder, this_process

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
      task: `replay`; None for runs over input.
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
    what = "dead letters" if other.task else "this window of events, or a part of it"
    taken, expires = map(_shown, (other.taken_at, other.expires_at))
    return UsageError(
        f"run {other.run_id} is at work on {what} since {taken}; two at a time would send events twice. Wait until it "
        f"has ended. If it has died, its lock ends by itself at {expires}."
    )


def _shown(at: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(at))
