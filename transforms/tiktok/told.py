"""What a delivery tells the log: codes, counts and request ids only, never a value of a person."""

import logging

from transforms.tiktok.client import Reply
from transforms.tiktok.codes import describe
from transforms.tiktok.exchange import Circuit, Request
from transforms.tiktok.reply import Verdict

_log = logging.getLogger(__name__)


def refused(request: Request, reply: Reply, verdict: Verdict) -> None:
    """Tells of one refused request."""
    _log.warning(
        "%s request of %d events, attempt %d: HTTP %s, %s, %s, request id %s",
        verdict.cls,
        len(request.payloads),
        request.attempts,
        reply.status,
        described(verdict.code),
        verdict.message or "no message",
        verdict.request_id,
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
