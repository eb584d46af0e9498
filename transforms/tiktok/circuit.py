"""The circuit breaker that the bundles of a process share: while it is open, nothing is sent. No Beam."""

import threading
from dataclasses import dataclass, field

from transforms.tiktok.verdict import Verdict
from transforms.vocabulary import Reason

# A failure so long ago is no sign of the present: between the two nobody tried. Twice the longest back-off.
_FORGOTTEN_SECS = 120.0


class CircuitOpenError(RuntimeError):
    """A stream was to end while TikTok refuses what it sends; what waits has no outcome."""


@dataclass(slots=True)
class Circuit:
    """What the requests of one process know of their destination together.

    Attributes:
      reason: why nothing is sent any more, None while closed.
      code, message, request_id: TikTok's, for the log and the outcomes.
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

    def note_success(self) -> None:
        """Notes an answer that shows the destination at work."""
        self.failing_since = None

    def note_failure(self, now: float) -> float:
        """Notes an answer, or the lack of one, that shows trouble; returns since when there is nothing else."""
        if self.failing_since is None or now - self.failed_at > _FORGOTTEN_SECS:
            self.failing_since = now
        self.failed_at = now
        return self.failing_since
