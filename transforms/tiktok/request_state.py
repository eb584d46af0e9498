"""One request through all its attempts: which payloads it carries, and what has become of them so far. No Beam."""

import itertools
from collections.abc import Iterable, Sequence

import msgspec

from transforms.model import Payload
from transforms.tiktok.payload_slice import PayloadSlice
from transforms.vocabulary import Form


class RequestState(msgspec.Struct, eq=False, kw_only=True):
    """One request on its way: the same payloads through all its attempts.

    Attributes:
      form: which endpoint.
      payloads: of one batch.
      shard: whose slot the last attempt used.
      attempts: requests of this run that carried these payloads, but for those that were refused because of others.
      missed_attempts: how many of the attempts did not carry which payloads: runs of (payloads, attempts), in their
        order; empty if all attempts carried all.
      is_repeat: the last attempt carried payloads of which some had gone out before.
      failures_in_a_row: attempts that failed since the last answer of another kind, for the back-off.
      first_sent_at: start of the first attempt that carried these payloads, epoch seconds; 0 before it.
      retrying_since: start of the first attempt of this very request: `retry_secs` count from here; 0 before it.
      sent_at: start of the last attempt.
      answered_at: end of the last attempt.
      maybe_accepted: an attempt may have been accepted although no reply reports it.
      token_renewed: the token has been read again for this request.
      token: the one of the last attempt; set by the sender, asked for when it is refused.
      presumed_valid_events: so many payloads at the front are presumed valid; see `transforms.tiktok.isolation`.
      held_valid: requests of the same batch whose payloads are presumed valid, held back until this one is through.
      held_unchecked: requests of the same batch whose payloads nothing is known of, held back likewise.
    """

    form: Form
    payloads: PayloadSlice
    shard: int = -1
    attempts: int = 0
    missed_attempts: Sequence[tuple[int, int]] = ()
    is_repeat: bool = False
    failures_in_a_row: int = 0
    first_sent_at: float = 0.0
    retrying_since: float = 0.0
    sent_at: float = 0.0
    answered_at: float = 0.0
    maybe_accepted: bool = False
    token_renewed: bool = False
    token: str = ""
    presumed_valid_events: int = 0
    held_valid: "list[RequestState]" = msgspec.field(default_factory=list)
    held_unchecked: "list[RequestState]" = msgspec.field(default_factory=list)

    def __repr__(self) -> str:
        """Returns its size only: neither the token nor what is sent."""
        return f"RequestState({len(self.payloads)} payloads)"

    @classmethod
    def of(cls, form: Form, payloads: Sequence[Payload]) -> "RequestState":
        """Returns a request for all payloads of a batch."""
        return cls(form=form, payloads=PayloadSlice(payloads))

    def part(self, start: int, stop: int) -> "RequestState":
        """Returns a request for some of the payloads, from `start` to before `stop`, with this one's history."""
        return RequestState(
            form=self.form,
            payloads=self.payloads[start:stop],
            attempts=self.attempts,
            missed_attempts=_cut(self.missed_attempts, start, stop) if self.missed_attempts else (),
            first_sent_at=self.first_sent_at,
            sent_at=self.sent_at,
            answered_at=self.answered_at,
            maybe_accepted=self.maybe_accepted,
        )

    def halves(self) -> "list[RequestState]":
        """Returns two requests for the payloads, of which there are at least two."""
        middle = (len(self.payloads) + 1) // 2
        return [self.part(0, middle), self.part(middle, len(self.payloads))]

    def without(self, positions: Sequence[int]) -> "list[RequestState]":
        """Returns a request for all payloads but those at some positions, in ascending order; none if none is left."""
        edges = [-1, *positions, len(self.payloads)]
        rest = join_requests([self.part(after + 1, before) for after, before in itertools.pairwise(edges)])
        return [] if rest is None else [rest]

    def attempts_of(self, start: int, stop: int) -> Iterable[int]:
        """Returns how many attempts carried each of the payloads from `start` to before `stop`."""
        if not self.missed_attempts:
            return itertools.repeat(self.attempts, stop - start)
        runs = _cut(self.missed_attempts, start, stop)
        return [self.attempts - missed for count, missed in runs for _ in range(count)]


def join_requests(parts: Sequence[RequestState]) -> RequestState | None:
    """Returns one request for the payloads of several, with the history of each; None if there are none.

    Args:
      parts: of one batch; all may have been accepted, or none.
    """
    parts = [part for part in parts if part.payloads]
    if len(parts) < 2:
        return parts[0] if parts else None
    latest = max(parts, key=lambda part: (part.attempts, part.sent_at))
    whole = latest.part(0, 0)
    whole.payloads = parts[0].payloads.with_more([part.payloads for part in parts[1:]])
    whole.first_sent_at = min((part.first_sent_at for part in parts if part.first_sent_at), default=0.0)
    if any(part.missed_attempts or part.attempts < latest.attempts for part in parts):
        whole.missed_attempts = [
            (count, missed + latest.attempts - part.attempts)
            for part in parts
            for count, missed in part.missed_attempts or [(len(part.payloads), 0)]
        ]
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
