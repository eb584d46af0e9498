"""What a delivery and its sender hand each other, and what the bundles of a process know together. No Beam."""

import itertools
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import msgspec

from transforms.model import Payload
from transforms.tiktok.client import Reply
from transforms.tiktok.excerpt import Excerpt
from transforms.tiktok.reply import Verdict
from transforms.vocabulary import Form, Reason

# A failure so long ago says nothing about the present: between the two nobody tried. Twice the longest back-off.
_FORGOTTEN_SECS = 120.0


class Request(msgspec.Struct, eq=False):
    """One request on its way: the same payloads through all its attempts.

    Attributes:
      shard: whose slot the last attempt used.
      attempts: requests of this run that carried these payloads, but for those that were refused because of others.
      again: the last attempt carried payloads of which some had gone out before.
      failures: attempts in a row that failed, for the back-off.
      first_at: start of the first attempt that carried these payloads, epoch seconds; 0 before it.
      since: start of the first attempt of this very request: `retry_secs` count from here; 0 before it.
      sent_at: start of the last attempt.
      answered_at: end of the last attempt.
      ambiguous: an attempt may have been accepted although no reply says so.
      renewed: the token has been read again for this request.
      token: the one of the last attempt; set by the sender, asked for when it is refused.
      spared, behind: what waits for this request to be through, of the same batch; see `transforms.tiktok.sieve`.
      presumed: so many payloads at the front are presumed sound.
      fewer: how many of the attempts did not carry which payloads: runs of (payloads, attempts), in their order; empty
        if all attempts carried all.
    """

    form: Form
    payloads: Excerpt
    shard: int = -1
    attempts: int = 0
    again: bool = False
    failures: int = 0
    first_at: float = 0.0
    since: float = 0.0
    sent_at: float = 0.0
    answered_at: float = 0.0
    ambiguous: bool = False
    renewed: bool = False
    token: str = ""
    spared: "list[Request]" = msgspec.field(default_factory=list)
    behind: "list[Request]" = msgspec.field(default_factory=list)
    presumed: int = 0
    fewer: Sequence[tuple[int, int]] = ()

    def __repr__(self) -> str:
        """Returns its size only: neither the token nor what is sent."""
        return f"Request({len(self.payloads)} payloads)"

    @classmethod
    def of(cls, form: Form, payloads: Sequence[Payload]) -> "Request":
        """Returns a request for all payloads of a batch."""
        return cls(form, Excerpt(payloads))

    def part(self, start: int, stop: int) -> "Request":
        """Returns a request for some of the payloads, from `start` to before `stop`, with this one's history."""
        return Request(
            self.form,
            self.payloads[start:stop],
            attempts=self.attempts,
            first_at=self.first_at,
            sent_at=self.sent_at,
            answered_at=self.answered_at,
            ambiguous=self.ambiguous,
            fewer=_cut(self.fewer, start, stop) if self.fewer else (),
        )

    def attempts_of(self, start: int, stop: int) -> Iterable[int]:
        """Returns how many attempts carried each of the payloads from `start` to before `stop`."""
        if not self.fewer:
            return itertools.repeat(self.attempts, stop - start)
        return [self.attempts - fewer for count, fewer in _cut(self.fewer, start, stop) for _ in range(count)]


def joined(parts: Sequence[Request]) -> Request | None:
    """Returns one request for the payloads of several, with the history of each; None if there are none.

    Args:
      parts: of one batch, either all ambiguous or none.
    """
    parts = [part for part in parts if part.payloads]
    if len(parts) < 2:
        return parts[0] if parts else None
    latest = max(parts, key=lambda part: (part.attempts, part.sent_at))
    whole = latest.part(0, 0)
    whole.payloads = parts[0].payloads.with_more([part.payloads for part in parts[1:]])
    for part in parts:
        if part.first_at:
            whole.first_at = min(whole.first_at or part.first_at, part.first_at)
    if any(part.fewer or part.attempts < latest.attempts for part in parts):
        fewer: list[tuple[int, int]] = []
        for part in parts:
            missed = latest.attempts - part.attempts
            fewer += [(count, less + missed) for count, less in part.fewer or [(len(part.payloads), 0)]]
        whole.fewer = fewer
    return whole


def _cut(runs: Sequence[tuple[int, int]], start: int, stop: int) -> list[tuple[int, int]]:
    """Returns the runs between two positions."""
    found, at = [], 0
    for count, value in runs:
        kept = min(stop, at + count) - max(start, at)
        if kept > 0:
            found.append((kept, value))
        at += count
    return found


class Answer(msgspec.Struct, frozen=True):
    """What a sender hands back: the reply, or None if the request was not started because its slot had passed."""

    request: Request
    reply: Reply | None


class Sender(Protocol):
    """Sends requests from threads, and tells the time; the tests' sender has a clock of its own."""

    def now(self) -> float:
        """Returns epoch seconds."""
        ...

    def start(self, request: Request, at: float, answered: Callable[[Answer], bool]) -> None:
        """Sends a request at a time, or hands it back unsent if it is more than `TOLERANCE_SECS` late.

        Args:
          request: not on its way yet.
          at: epoch seconds.
          answered: called with the answer, from any thread; returns whether `wait` should tell of it.
        """
        ...

    def wait(self, until: float) -> bool:
        """Returns True when an answer has been acted on that is to be told and no call told of yet.

        False if none is before a time.
        """
        ...

    def renew_token(self, request: Request) -> bool:
        """Reads the token again; returns whether it is another than the request's last attempt had."""
        ...


class CircuitOpenError(RuntimeError):
    """A stream was to end while TikTok refuses what it sends; what waits has no outcome."""


@dataclass(slots=True)
class Circuit:
    """What the requests of one process know of their destination together.

    Attributes:
      reason: why nothing is sent any more, None while closed.
      code, message: TikTok's, for the log and the outcomes.
      failing_since: epoch seconds since when nothing has succeeded, None while things work.
      failed_at: epoch seconds of the last failure.
      opened_at: epoch seconds when it was opened.
      closed_at: epoch seconds when it was closed again, 0 if never.
      probe_at: epoch seconds when one request may be tried although it is open.
    """

    reason: Reason | None = None
    code: int | None = None
    message: str | None = None
    request_id: str | None = None
    failing_since: float | None = None
    failed_at: float = 0.0
    opened_at: float = 0.0
    closed_at: float = 0.0
    probe_at: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def open(self, reason: Reason, verdict: Verdict, now: float, probe_secs: float) -> bool:
        """Opens it, unless it is open; returns whether it was closed."""
        with self._lock:
            if self.reason is not None:
                return False
            self.reason, self.code, self.message = reason, verdict.code, verdict.message
            self.request_id = verdict.request_id
            self.opened_at, self.probe_at = now, now + probe_secs
            return True

    def may_probe(self, now: float, probe_secs: float) -> bool:
        """Returns whether it is time to try one request, to one asker only."""
        with self._lock:
            if self.reason is None or now < self.probe_at:
                return False
            self.probe_at = now + probe_secs
            return True

    def close(self, sent_at: float, now: float) -> bool:
        """Closes it, if a request that was sent since it opened was accepted; returns whether it was open."""
        with self._lock:
            if self.reason is None or sent_at < self.opened_at:
                return False
            self.reason, self.closed_at = None, now
            return True

    def succeeded(self) -> None:
        """Notes an answer that shows the destination at work."""
        self.failing_since = None

    def failed(self, now: float) -> float:
        """Notes an answer, or the lack of one, that shows trouble; returns since when there is nothing else."""
        if self.failing_since is None or now - self.failed_at > _FORGOTTEN_SECS:
            self.failing_since = now
        self.failed_at = now
        return self.failing_since


@dataclass(slots=True)
class Tally:
    """What a bundle did, for the counters; read and cleared on the bundle's thread."""

    counts: Counter[str] = field(default_factory=Counter)
    throttled_secs: float = 0.0
