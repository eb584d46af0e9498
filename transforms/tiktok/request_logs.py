"""What a delivery logs: codes, counts and request ids only, never a value of a person."""

import logging
import threading
from dataclasses import dataclass, field

from transforms.tiktok.circuit import Circuit
from transforms.tiktok.client import ApiReply
from transforms.tiktok.codes import describe_code
from transforms.tiktok.request_state import RequestState
from transforms.tiktok.verdict import Verdict

_log = logging.getLogger(__name__)

# A source with one invalid event in a hundred has hundreds of refused requests a second. The outcomes hold each.
_QUIET_SECS = 10.0


@dataclass(slots=True)
class RefusalLog:
    """Logs refused requests: of each kind the first, and then one in ten seconds. Shared between threads."""

    _logged: dict[tuple[str, int | None, int | None], tuple[float, int]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def log(self, request: RequestState, reply: ApiReply, verdict: Verdict) -> None:
        """Logs one refused request, unless one of its kind was logged just now."""
        kind = verdict.reply_class, verdict.code, reply.status
        with self._lock:
            logged_at, unlogged = self._logged.get(kind, (float("-inf"), 0))
            if 0 <= reply.started_at - logged_at < _QUIET_SECS:
                self._logged[kind] = logged_at, unlogged + 1
                return
            self._logged[kind] = reply.started_at, 0
        _log.warning(
            "%s request of %d events, attempt %d: HTTP %s, %s, %s, request id %s%s",
            verdict.reply_class,
            len(request.payloads),
            request.attempts,
            reply.status,
            describe_code(verdict.code),
            verdict.message or "no message",
            verdict.request_id,
            f"; {unlogged} more like it since the last one logged" if unlogged else "",
        )


def log_stopped(circuit: Circuit, then: str) -> None:
    """Logs that the circuit has opened.

    Args:
      circuit: open.
      then: what to do after `check --online`.
    """
    _log.error(
        "Stopped sending: TikTok answered %s (%s), request id %s. Run `check --online`, then %s.",
        describe_code(circuit.code),
        circuit.message or circuit.reason,
        circuit.request_id,
        then,
    )


def log_resumed(circuit: Circuit) -> None:
    """Logs that the circuit has closed again."""
    _log.warning("Sending again, after %.0f s.", circuit.closed_at - circuit.opened_at)
