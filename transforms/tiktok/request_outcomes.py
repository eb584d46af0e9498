"""The outcomes of the events of a request that is over. Pure."""

from collections.abc import Iterable, Sequence

from transforms.model import Outcome, Payload
from transforms.tiktok.request_state import RequestState
from transforms.tiktok.verdict import Verdict
from transforms.vocabulary import Kind, Reason, Stage


def outcomes_of(
    request: RequestState,
    positions: Sequence[int] | None,
    kind: Kind,
    reason: Reason | None,
    verdict: Verdict,
    code: int | None = None,
    message: str | None = None,
) -> list[Outcome]:
    """Returns the outcomes of payloads of one request, in the order of their positions.

    Args:
      request: with the times and the number of its attempts.
      positions: in the request, of those that end here; None: all.
      kind: what became of them.
      reason: why; None if they are delivered.
      verdict: the last reply's.
      code: of these events alone, if the reply has one for each; else the verdict's.
      message: as `code`.
    """
    code = verdict.code if code is None else code
    message = verdict.message if message is None else message
    if kind is Kind.DELIVERED:
        message = None
    request_id, sent = verdict.request_id, request.first_sent_at > 0
    sent_at_ms = int(request.sent_at * 1000) if sent else None
    first_sent_at_ms = int(request.first_sent_at * 1000) if sent else None
    answered_at_ms = int(request.answered_at * 1000) if sent else None
    payloads = request.payloads
    ended: Iterable[tuple[Payload, int]]
    if positions is None:
        ended = zip(payloads, request.attempts_of(0, len(payloads)), strict=True)
    elif len(positions) == 1:
        ended = zip([payloads[positions[0]]], request.attempts_of(positions[0], positions[0] + 1), strict=True)
    else:
        every = list(request.attempts_of(0, len(payloads)))
        ended = [(payloads[position], every[position]) for position in positions]
    # By position: named, the fields cost 1.0 µs more for each event, five times as much; a test holds each to its name.
    return [
        Outcome(
            kind,
            Stage.WRITE,
            reason,
            payload.ref,
            payload.index,
            None,
            payload.form,
            payload.event,
            payload.event_id,
            payload.occurred_at_ms,
            payload.match_keys,
            payload.value,
            payload.currency,
            payload.notes,
            code,
            message,
            request_id,
            payload.attempts + attempts,
            sent_at_ms,
            first_sent_at_ms,
            payload.body,
            payload.original if kind is Kind.REJECTED else None,
            answered_at_ms,
        )
        for payload, attempts in ended
    ]
