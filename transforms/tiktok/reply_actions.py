"""What follows from a verdict: events end in outcomes, or go out again; now, after a back-off, or in parts.

Used by `transforms.tiktok.delivery`, under its lock.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from transforms.connection import Connection
from transforms.model import Fragment, Outcome
from transforms.tiktok import request_logs
from transforms.tiktok.circuit import Circuit
from transforms.tiktok.isolation import Isolation
from transforms.tiktok.request_outcomes import outcomes_of
from transforms.tiktok.request_queue import RequestQueue
from transforms.tiktok.request_state import RequestState
from transforms.tiktok.sender_pool import Sender
from transforms.tiktok.slot_schedule import SlotSchedule
from transforms.tiktok.verdict import Verdict
from transforms.vocabulary import Kind, Reason

# Back-off, in seconds: ceiling of the first wait, and of every wait. Full jitter draws between 0 and the ceiling, so
# that workers that failed together do not come back together.
_TRANSIENT_FIRST_SECS, _THROTTLED_FIRST_SECS, _LONGEST_SECS = 0.5, 1.0, 60.0


@dataclass(slots=True)
class DeliveryTally:
    """What a bundle did, for the counters; read and cleared on the bundle's thread."""

    counts: Counter[str] = field(default_factory=Counter)
    throttled_secs: float = 0.0


class ReplyActions:
    """Acts on the verdicts of one bundle.

    Args:
      connection: limits and retry time.
      sender: the clock, and the token.
      circuit: shared by all bundles of the process.
      jitter: returns a number in [0, 1).
      streams: an open circuit keeps requests, instead of ending them.
      queue: where requests are put that go out again.
      slots: which throttling slows down.

    Attributes:
      outcomes: lists of one request each.
      tally: what was done.
    """

    def __init__(
        self,
        connection: Connection,
        sender: Sender,
        circuit: Circuit,
        jitter: Callable[[], float],
        streams: bool,
        queue: RequestQueue,
        slots: SlotSchedule,
    ) -> None:
        self._connection = connection
        self._sender = sender
        self._circuit = circuit
        self._jitter = jitter
        self._streams = streams
        self._queue = queue
        self._slots = slots
        self._isolation = Isolation()
        self.outcomes: list[list[Outcome]] = []
        self.tally = DeliveryTally()

    def act(self, request: RequestState, verdict: Verdict) -> None:
        """Does what a verdict asks for: ends payloads, or puts requests into the queue."""
        self._tally_reply(request, verdict)
        match verdict.reply_class:
            case "success":
                self._recover(request)
                self._isolation.note_accepted(request)
                self._end_all(request, Kind.DELIVERED, None, verdict)
            case "partial":
                self._end_partial(request, verdict)
            case "invalid":
                self._isolate(request, verdict, Reason.REFUSED_BY_TIKTOK)
            case "too_large":
                self._isolate(request, verdict, Reason.EVENT_TOO_LARGE)
            case "throttled":
                self._slots.slow_down(request.shard)
                self._retry(request, verdict, Reason.THROTTLED, _THROTTLED_FIRST_SECS)
            case "transient":
                self._retry(request, verdict, Reason.OUTAGE, _TRANSIENT_FIRST_SECS)
            case "credentials":
                self._stop(request, verdict, Reason.CREDENTIALS)
            case "configuration":
                self._stop(request, verdict, Reason.CONFIGURATION)
            case "unknown":
                self._end_all(request, Kind.UNKNOWN, Reason.UNKNOWN_CODE, verdict)

    def _tally_reply(self, request: RequestState, verdict: Verdict) -> None:
        counts = self.tally.counts
        counts["requests"] += 1
        if request.is_repeat:
            counts["retries"] += 1
        counts[f"replies:{verdict.reply_class}"] += 1

    def _recover(self, request: RequestState) -> None:
        circuit = self._circuit
        circuit.note_success()
        if self._streams and circuit.close(request.sent_at, self._sender.now()):
            request_logs.log_resumed(circuit)
        self._slots.speed_up(request.shard)

    def _retry(self, request: RequestState, verdict: Verdict, reason: Reason, first_secs: float) -> None:
        """Tries a request again after a back-off, unless its time is used up."""
        now = self._sender.now()
        request.maybe_accepted |= verdict.maybe_accepted
        failing_since = self._circuit.note_failure(now)
        request.failures_in_a_row += 1
        ceiling = min(_LONGEST_SECS, first_secs * 2 ** min(request.failures_in_a_row - 1, 10))
        wait = self._jitter() * ceiling
        if verdict.retry_after_secs is not None:
            wait = verdict.retry_after_secs + wait  # jitter too: everybody gets the same Retry-After
        # After an outage of retry_secs the others do not wait as long again: one attempt each.
        # The time in which nothing was tried, because the circuit was open, does not count.
        since = max(min(request.retrying_since, failing_since), self._circuit.closed_at)
        if now + wait > since + self._connection.retry_secs:
            kind, reason = (Kind.UNKNOWN, Reason.TIMED_OUT) if request.maybe_accepted else (Kind.UNDELIVERED, reason)
            self._end_all(request, kind, reason, verdict)
            return
        self._queue.add_later(now + wait, request)

    def _isolate(self, request: RequestState, verdict: Verdict, reason: Reason) -> None:
        """Ends the events that TikTok named and sends the rest again at once; halves if it named none."""
        self._recover(request)
        named = verdict.named if verdict.reply_class == "invalid" else ()
        if len(request.payloads) == 1:
            named = (0,)
        if not named:
            request.attempts -= 1  # it shows nothing of either half
            self._queue.add_first(request.halves())
            self._continue(request.held_valid, request.held_unchecked)
            return
        self._end(request, named, Kind.REJECTED, reason, verdict)
        request.attempts -= 1  # it shows nothing of the others
        if len(named) == 1:
            self._continue(*self._isolation.split(request, named[0]))
        else:
            self._continue(request.held_valid, [*request.without(named), *request.held_unchecked])

    def _continue(self, held_valid: list[RequestState], held_unchecked: list[RequestState]) -> None:
        """Lets what is left of a batch follow at once."""
        if held_valid or held_unchecked:
            self._queue.add_first(self.next_requests(held_valid, held_unchecked))

    def next_requests(self, held_valid: list[RequestState], held_unchecked: list[RequestState]) -> list[RequestState]:
        """Returns what is next of a batch; everything in one request if requests are scarce, or fail."""
        spare = self._circuit.failing_since is None and self._slots.has_spare_slot(self._sender.now())
        return self._isolation.next_requests(held_valid, held_unchecked, spare)

    def end_oversized(self, fragment: Fragment) -> None:
        """Ends a payload that no request may carry; `BatchPayloads` leaves such a one alone in its fragment."""
        request = RequestState.of(fragment.form, fragment.payloads)
        message = f"{fragment.body_bytes} bytes; a request may have {self._connection.max_request_bytes}"
        verdict = Verdict(reply_class="too_large", message=message)
        self._end_all(request, Kind.REJECTED, Reason.EVENT_TOO_LARGE, verdict)

    def _end_partial(self, request: RequestState, verdict: Verdict) -> None:
        if verdict.accepted is None:
            self._end_all(request, Kind.UNKNOWN, Reason.PARTIAL_SUCCESS, verdict)
            return
        self._recover(request)
        self._end(request, verdict.accepted, Kind.DELIVERED, None, verdict)
        for event in verdict.refused:
            self._end(
                request, [event.position], Kind.REJECTED, Reason.REFUSED_BY_TIKTOK, verdict, event.code, event.message
            )
        self._continue(request.held_valid, request.held_unchecked)

    def _stop(self, request: RequestState, verdict: Verdict, reason: Reason) -> None:
        """Opens the circuit; before that, tries once with a token read again if the credentials were refused."""
        if reason is Reason.CREDENTIALS and not request.token_renewed:
            request.token_renewed = True
            if self._sender.renew_token(request):
                self._queue.add_first([request])
                return
        if self._circuit.open(reason, verdict, self._sender.now(), self._connection.probe_secs):
            self.tally.counts["circuit_opened"] += 1
            then = f"correct it; tried again every {self._connection.probe_secs:g} s" if self._streams else "replay"
            request_logs.log_stopped(self._circuit, then)
        if self._streams:
            request.token_renewed = False
            self._queue.add_first([request])
        else:
            self._end_refused(request, verdict, reason)

    def _end_refused(self, request: RequestState, verdict: Verdict, reason: Reason) -> None:
        kind = Kind.UNDELIVERED
        if request.maybe_accepted:
            kind, reason = Kind.UNKNOWN, Reason.TIMED_OUT
        self._end_all(request, kind, reason, verdict)

    def end_unsent(self, request: RequestState) -> None:
        """Ends a request that an open circuit keeps from being sent."""
        circuit = self._circuit
        verdict = Verdict(
            reply_class="configuration", code=circuit.code, message=circuit.message, request_id=circuit.request_id
        )
        self._end_refused(request, verdict, circuit.reason or Reason.CONFIGURATION)

    def _end_all(self, request: RequestState, kind: Kind, reason: Reason | None, verdict: Verdict) -> None:
        """Ends all payloads of a request; what waited for it is next."""
        self._end(request, None, kind, reason, verdict)
        self._continue(request.held_valid, request.held_unchecked)

    def _end(
        self,
        request: RequestState,
        positions: Sequence[int] | None,
        kind: Kind,
        reason: Reason | None,
        verdict: Verdict,
        code: int | None = None,
        message: str | None = None,
    ) -> None:
        self.outcomes.append(outcomes_of(request, positions, kind, reason, verdict, code, message))
