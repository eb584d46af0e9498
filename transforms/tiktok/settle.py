"""From a request that is over to the outcomes of its events. Pure."""

from collections.abc import Sequence

from transforms.model import Kind, Outcome, Payload, Reason, Stage
from transforms.tiktok.exchange import Request
from transforms.tiktok.reply import Verdict


def settled(
    request: Request,
    payloads: Sequence[Payload],
    kind: Kind,
    reason: Reason | None,
    verdict: Verdict,
    code: int | None = None,
    message: str | None = None,
) -> list[Outcome]:
    """Returns the outcomes of payloads of one request, in their order.

    Args:
      request: with the times and the number of its attempts.
      payloads: those that end here; all of the request's or some.
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
    request_id, attempts = verdict.request_id, request.attempts
    sent_at_ms = int(request.sent_at * 1000) if attempts else None
    first_sent_at_ms = int(request.first_at * 1000) if attempts else None
    answered_at_ms = int(request.answered_at * 1000) if attempts else None
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
        for payload in payloads
    ]


def divided(payloads: Sequence[Payload], verdict: Verdict) -> tuple[list[Payload], list[list[Payload]]]:
    """Returns what a refusal of single events means: those that it names, and the requests for the others.

    Without a name the request is halved; a request of one event names it.
    """
    named = set(verdict.indexes) if verdict.cls == "invalid" else set()
    if len(payloads) == 1:
        named = {0}
    if named:
        good = [payload for index, payload in enumerate(payloads) if index not in named]
        return [payload for index, payload in enumerate(payloads) if index in named], [good] if good else []
    middle = (len(payloads) + 1) // 2
    return [], [list(payloads[:middle]), list(payloads[middle:])]
