"""What a delivery tells the log: codes, counts and request ids only, never a value of a person."""

import logging
import threading
from dataclasses import dataclass, field

from transforms.tiktok.client import Reply
from transforms.tiktok.codes import describe
from transforms.tiktok.exchange import Circuit, Request
from transforms.tiktok.reply import Verdict

_log = logging.getLogger(__name__)

# A source with one invalid event in a hundred has hundreds of refused requests a second. The outcomes tell of each.
_QUIET_SECS = 10.0


@dataclass(slots=True)
class Refusals:
    """Tells of refused requests: of each kind the first, and then one in ten seconds. Shared between threads."""

    _told: dict[tuple[str, int | None, int | None], tuple[float, int]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def tell(self, request: Request, reply: Reply, verdict: Verdict) -> None:
        """Tells of one refused request, unless one of its kind was told of just now."""
        kind = verdict.cls, verdict.code, reply.status
        with self._lock:
            told_at, untold = self._told.get(kind, (float("-inf"), 0))
            if 0 <= reply.started_at - told_at < _QUIET_SECS:
                self._told[kind] = told_at, untold + 1
                return
            self._told[kind] = reply.started_at, 0
        _log.warning(
            "%s request of %d events, attempt %d: HTTP %s, %s, %s, request id %s%s",
            verdict.cls,
            len(request.payloads),
            request.attempts,
            reply.status,
            described(verdict.code),
            verdict.message or "no message",
            verdict.request_id,
            f"; {untold} more like it since the last one told" if untold else "",
        )


def stopped(circuit: Circuit, then: str) -> None:
    """Tells that the circuit has opened.

    Args:
      circuit: open.
      then: what to do after `check --online`.
    """
    _log.error(
        "Stopped sending: TikTok answered %s (%s), request id %s. Run `check --online`, then %s.",
        described(circuit.code),
        circuit.message or circuit.reason,
        circuit.request_id,
        then,
    )


def going_on(circuit: Circuit) -> None:
    """Tells that the circuit has closed again."""
    _log.warning("Sending again, after %.0f s.", circuit.closed_at - circuit.opened_at)


def described(code: int | None) -> str:
    """Returns a code with its name."""
    return "no code" if code is None else f"code {describe(code)}"
