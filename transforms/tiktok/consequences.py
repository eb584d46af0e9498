"""What follows from a verdict: events end in outcomes, or go out again; now, after a back-off, or in parts.

Used by `transforms.tiktok.delivery`, under its lock.
"""

from collections.abc import Callable, Sequence

from transforms.connection import Connection
from transforms.model import Fragment, Outcome
from transforms.tiktok import reply as replies
from transforms.tiktok import told
from transforms.tiktok.exchange import Circuit, Request, Sender, Tally
from transforms.tiktok.line import Line
from transforms.tiktok.settle import halved, settled, without
from transforms.tiktok.sieve import Sieve
from transforms.tiktok.slots import Slots
from transforms.vocabulary import Kind, Reason

# Back-off, in seconds: ceiling of the first wait, and of every wait. Full jitter draws between 0 and the ceiling, so
# that workers that failed together do not come back together.
_TRANSIENT_FIRST_SECS, _THROTTLED_FIRST_SECS, _LONGEST_SECS = 0.5, 1.0, 60.0


class Consequences:
    """Acts on the verdicts of one bundle.

    Args:
      connection: limits and retry time.
      sender: the clock, and the token.
      circuit: shared by all bundles of the process.
      jitter: returns a number in [0, 1).
      streams: an open circuit keeps requests, instead of ending them.
      line: where requests are put that go out again.
      slots: told of throttling.

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
        line: Line,
        slots: Slots,
    ) -> None:
        self._connection = connection
        self._sender = sender
        self._circuit = circuit
        self._jitter = jitter
        self._streams = streams
        self._line = line
        self._slots = slots
        self._sieve = Sieve()
        self.outcomes: list[list[Outcome]] = []
        self.tally = Tally()

    def act(self, request: Request, verdict: replies.Verdict) -> None:
        """Does what a verdict asks for: ends payloads, or puts requests into the line."""
        counts = self.tally.counts
        counts["requests"] += 1
        if request.again:
            counts["retries"] += 1
        counts[f"replies:{verdict.cls}"] += 1
        if verdict.cls == "success":
            self._recover(request)
            self._sieve.accepted(request)
            self._end_all(request, Kind.DELIVERED, None, verdict)
            return
        match verdict.cls:
            case "partial":
                self._end_partial(request, verdict)
            case "invalid":
                self._recover(request)
                self._isolate(request, verdict, Reason.REFUSED_BY_TIKTOK)
            case "too_large":
                self._recover(request)
                self._isolate(request, verdict, Reason.EVENT_TOO_LARGE)
            case "throttled":
                self._slots.throttled(request.shard)
                self._again(request, verdict, Reason.THROTTLED, _THROTTLED_FIRST_SECS)
            case "transient":
                self._again(request, verdict, Reason.OUTAGE, _TRANSIENT_FIRST_SECS)
            case "credentials":
                self._refused(request, verdict, Reason.CREDENTIALS)
            case "configuration":
                self._refused(request, verdict, Reason.CONFIGURATION)
            case "unknown":
                self._end_all(request, Kind.UNKNOWN, Reason.UNKNOWN_CODE, verdict)

    def _recover(self, request: Request) -> None:
        circuit = self._circuit
        circuit.succeeded()
        if self._streams and circuit.close(request.sent_at, self._sender.now()):
            told.going_on(circuit)
        self._slots.recovered(request.shard)

    def _again(self, request: Request, verdict: replies.Verdict, reason: Reason, first_secs: float) -> None:
        """Tries a request again after a back-off, unless its time is used up."""
        now = self._sender.now()
        request.ambiguous |= verdict.sent
        failing_since = self._circuit.failed(now)
        request.failures += 1
        ceiling = min(_LONGEST_SECS, first_secs * 2 ** min(request.failures - 1, 10))
        wait = self._jitter() * ceiling
        if verdict.retry_after_secs is not None:
            wait = verdict.retry_after_secs + wait  # jitter too: everybody gets the same Retry-After
        # After an outage of retry_secs the others do not wait as long again: one attempt each.
        # The time in which nothing was tried, because the circuit was open, does not count.
        since = max(min(request.since, failing_since), self._circuit.closed_at)
        if now + wait > since + self._connection.retry_secs:
            kind, reason = (Kind.UNKNOWN, Reason.TIMED_OUT) if request.ambiguous else (Kind.UNDELIVERED, reason)
            self._end_all(request, kind, reason, verdict)
            return
        self._line.add_later(now + wait, request)

    def _isolate(self, request: Request, verdict: replies.Verdict, reason: Reason) -> None:
        """Ends the events that TikTok named and sends the rest again at once; halves if it named none."""
        named = verdict.indexes if verdict.cls == "invalid" else ()
        if len(request.payloads) == 1:
            named = (0,)
        if not named:
            request.attempts -= 1  # it tells nothing of either half
            self._line.add_first(halved(request))
            self._go_on(request.spared, request.behind)
            return
        self._end(request, named, Kind.REJECTED, reason, verdict)
        request.attempts -= 1  # it tells nothing of the others
        if len(named) == 1:
            self._go_on(*self._sieve.named(request, named[0]))
        else:
            self._go_on(request.spared, [*without(request, named), *request.behind])

    def _go_on(self, spared: list[Request], behind: list[Request]) -> None:
        """Lets what is left of a batch follow at once."""
        if spared or behind:
            self._line.add_first(self.next(spared, behind))

    def next(self, spared: list[Request], behind: list[Request]) -> list[Request]:
        """Returns what is next of a batch; everything in one request if requests are scarce, or fail."""
        spare = self._circuit.failing_since is None and self._slots.is_spare(self._sender.now())
        return self._sieve.onward(spared, behind, spare)

    def end_oversized(self, fragment: Fragment) -> None:
        """Ends a payload that no request may carry; `BatchPayloads` leaves such a one alone in its fragment."""
        request = Request.of(fragment.form, fragment.payloads)
        message = f"{fragment.body_bytes} bytes; a request may have {self._connection.max_request_bytes}"
        verdict = replies.Verdict(cls="too_large", code=None, message=message, request_id=None)
        self._end_all(request, Kind.REJECTED, Reason.EVENT_TOO_LARGE, verdict)

    def _end_partial(self, request: Request, verdict: replies.Verdict) -> None:
        if verdict.accepted is None:
            self._end_all(request, Kind.UNKNOWN, Reason.PARTIAL_SUCCESS, verdict)
            return
        self._recover(request)
        self._end(request, verdict.accepted, Kind.DELIVERED, None, verdict)
        for position, code, message in verdict.failed:
            self._end(request, [position], Kind.REJECTED, Reason.REFUSED_BY_TIKTOK, verdict, code, message)
        self._go_on(request.spared, request.behind)

    def _refused(self, request: Request, verdict: replies.Verdict, reason: Reason) -> None:
        """Opens the circuit; before that, tries once with a token read again if the credentials were refused."""
        if reason is Reason.CREDENTIALS and not request.renewed:
            request.renewed = True
            if self._sender.renew_token(request):
                self._line.add_first([request])
                return
        if self._circuit.open(reason, verdict, self._sender.now(), self._connection.probe_secs):
            self.tally.counts["circuit_opened"] += 1
            then = f"correct it; tried again every {self._connection.probe_secs:g} s" if self._streams else "replay"
            told.stopped(self._circuit, then)
        if self._streams:
            request.renewed = False
            self._line.add_first([request])
        else:
            self._end_refused(request, verdict, reason)

    def _end_refused(self, request: Request, verdict: replies.Verdict, reason: Reason) -> None:
        kind = Kind.UNDELIVERED
        if request.ambiguous:
            kind, reason = Kind.UNKNOWN, Reason.TIMED_OUT
        self._end_all(request, kind, reason, verdict)

    def end_unsent(self, request: Request) -> None:
        """Ends a request that an open circuit keeps from being sent."""
        circuit = self._circuit
        verdict = replies.Verdict(
            cls="configuration", code=circuit.code, message=circuit.message, request_id=circuit.request_id
        )
        self._end_refused(request, verdict, circuit.reason or Reason.CONFIGURATION)

    def _end_all(self, request: Request, kind: Kind, reason: Reason | None, verdict: replies.Verdict) -> None:
        """Ends all payloads of a request; what waited for it is next."""
        self._end(request, None, kind, reason, verdict)
        self._go_on(request.spared, request.behind)

    def _end(
        self,
        request: Request,
        positions: Sequence[int] | None,
        kind: Kind,
        reason: Reason | None,
        verdict: replies.Verdict,
        code: int | None = None,
        message: str | None = None,
    ) -> None:
        self.outcomes.append(settled(request, positions, kind, reason, verdict, code, message))
