"""Delivers fragments: sends them within the budget, reads each reply, tries again, and ends every event in one outcome.

One `Delivery` serves one bundle. It decides everything, under one lock: on the bundle's thread when that comes by, and
on the threads of a `Sender` as soon as they have a reply, so that what follows from it does not wait for the bundle's
thread, which maps events meanwhile. Outcomes and counts are handed to the bundle's thread. Retries live at the
narrowest scope, the request:

* throttled: wait for `Retry-After`, else exponential back-off with full jitter; the shard slows down (`slots`).
* transient: exponential back-off with full jitter up to `retry_secs`, then `undelivered`.
* time-out after sending, or a broken connection: the same, then `unknown`; the event ids stay the same.
* one event named invalid: it is rejected, the rest goes out again at once (`sieve`). Invalid without a name: halves.
* credentials or configuration: the circuit opens. A batch ends what is not sent yet as `undelivered`; a stream keeps it
  and tries one request every `probe_secs`, with the token read again, until one is accepted.

Guarantee: each payload handed in has exactly one outcome when `drain` returns, but the request behind it may have gone
out more than once; a stable event_id lets TikTok drop the repeat (48 h).
"""

import math
import threading
from collections.abc import Callable, Iterable, Sequence

from transforms.connection import Connection
from transforms.model import Form, Fragment, Kind, Outcome, Reason
from transforms.tiktok import reply as replies
from transforms.tiktok import told
from transforms.tiktok.budget import Budget
from transforms.tiktok.client import Reply
from transforms.tiktok.exchange import Answer, Circuit, CircuitOpenError, Request, Sender, Tally
from transforms.tiktok.line import Line
from transforms.tiktok.request import envelope
from transforms.tiktok.settle import halved, settled, without
from transforms.tiktok.sieve import Sieve
from transforms.tiktok.slots import Slots

# Back-off, in seconds: ceiling of the first wait, and of every wait. Full jitter draws between 0 and the ceiling, so
# that workers that failed together do not come back together.
_TRANSIENT_FIRST_SECS, _THROTTLED_FIRST_SECS, _LONGEST_SECS = 0.5, 1.0, 60.0

# Fragments that one bundle holds beyond those in flight, in multiples of `max_in_flight`: keeps the sender busy while
# requests wait for their back-off, and bounds memory.
_HELD = 4


class Delivery:
    """Sends the fragments of one bundle.

    Args:
      connection: limits, retry time and code classes.
      sender: threads that POST, and the clock.
      circuit: shared by all bundles of the process.
      jitter: returns a number in [0, 1).
      stopping: says whether a stream is to end; None: there is no stream, and an open circuit ends everything.
    """

    def __init__(
        self,
        connection: Connection,
        sender: Sender,
        circuit: Circuit,
        jitter: Callable[[], float],
        stopping: Callable[[], bool] | None = None,
    ) -> None:
        self._connection = connection
        self._sender = sender
        self._circuit = circuit
        self._jitter = jitter
        self._stopping = stopping
        self._slots = Slots(Budget(connection.requests_per_second))
        self._sieve = Sieve()
        self._most_bytes = {form: connection.max_request_bytes - envelope(connection, form).size for form in Form}
        self._lock = threading.RLock()
        self._line = Line()
        self._outcomes: list[list[Outcome]] = []
        self.tally = Tally()

    def submit(self, fragment: Fragment) -> None:
        """Takes a fragment of a shard that is held. When this returns it is started, ended or queued: see `take`."""
        if fragment.body_bytes > self._most_bytes[fragment.form]:
            with self._lock:
                self._end_oversized(fragment)
            return
        while self.is_full():
            self.wait()
        with self._lock:
            for request in self._next([], [Request(fragment.form, fragment.payloads)]):
                self._line.add(request)
        self.wait(0.0)

    def is_full(self) -> bool:
        """Returns whether another fragment would have to wait for an answer."""
        return len(self._line) >= _HELD * self._connection.max_in_flight

    def is_busy(self) -> bool:
        """Returns whether something has no outcome yet."""
        with self._lock:
            return len(self._line) > 0

    def take(self) -> Iterable[list[Outcome]]:
        """Returns the outcomes that are new since the last call, in lists of one request each."""
        with self._lock:
            outcomes, self._outcomes = self._outcomes, []
        return outcomes

    def take_tally(self) -> Tally:
        """Returns what was done since the last call."""
        with self._lock:
            tally, self.tally = self.tally, Tally()
        return tally

    def drain(self) -> None:
        """Returns when every payload has its outcome, and the used slots that no state tells of are over."""
        while self.is_busy():
            self.wait()
        over = self._slots.over_at()
        while over is not None and self._sender.now() < over:
            self._sender.wait(over)

    def last_slot(self, shard: int) -> int:
        """Returns the last slot used of a shard that is held (-1: none), to be written into the key's state."""
        with self._lock:
            return self._slots.last(shard)

    def hold(self, shard: int, last_slot: int) -> None:
        """Tells that this bundle processes a shard's key, and which slot its former holder used last (-1: none).

        Until the bundle ends nobody else processes that key, so all later slots of the shard are this bundle's, for
        whichever request is due.
        """
        with self._lock:
            self._slots.hold(shard, last_slot)

    def wait(self, secs: float = math.inf) -> None:
        """Starts what is due, then waits until something is answered, but no longer than so many seconds."""
        with self._lock:
            now = self._sender.now()
            self._start_due(now)
            blocked = self._line.ready > 0 and self._circuit.reason is not None
            until = min(self._line.wakes_at, now + secs)
            if blocked:
                until = min(until, self._circuit.probe_at)
                self._stop_if_told()
            if not self._line.started and (secs == 0.0 or until == math.inf):
                return
            # Nothing is on its way: the budget makes us wait.
            throttled = not blocked and not self._line.is_under_way(now)
        answered = self._sender.wait(until)
        if throttled:
            with self._lock:
                self.tally.throttled_secs += self._sender.now() - now
        while answered:
            answered = self._sender.wait(0.0)

    def _answered(self, answer: Answer) -> None:
        """Acts on an answer, and starts what may start now; on any thread."""
        request, reply = answer.request, answer.reply
        verdict = None if reply is None else self._read(request, reply)
        with self._lock:
            self._line.answered(request)
            if verdict is None:
                self.tally.counts["missed_slots"] += 1
                self._line.add_first([request])
            else:
                self._act(request, verdict)
            self._start_due(self._sender.now())

    def _read(self, request: Request, reply: Reply) -> replies.Verdict:
        """Returns what a reply means, and tells the log of a refusal; without the lock, as nobody else has them."""
        request.attempts += 1
        request.sent_at, request.answered_at = reply.started_at, reply.started_at + reply.elapsed_secs
        request.first_at = request.first_at or reply.started_at
        request.since = request.since or reply.started_at
        verdict = replies.read(reply, request.bodies, self._connection.codes)
        if verdict.cls != "success":
            told.refused(request, reply, verdict)
        return verdict

    def _start_due(self, now: float) -> None:
        """Starts every request that may start, and ends those that a batch cannot send any more."""
        circuit, ends, line = self._circuit, self._stopping is None, self._line
        line.wake(math.inf if circuit.reason and ends else now)
        while line.ready:
            if circuit.reason is None:
                if line.started >= self._connection.max_in_flight:
                    return
                self._start(line.take(), now)
            elif ends:
                self._end_unsent(line.take())
            elif circuit.may_probe(now, self._connection.probe_secs):
                request = line.take()
                self.tally.counts["circuit_probes"] += 1
                self._sender.renew_token(request)
                self._start(request, now)
            else:
                return

    def _stop_if_told(self) -> None:
        """Raises if a stream is to end while it waits for the circuit; what waits stays without an outcome."""
        if self._stopping is not None and not self._line.started and self._stopping():
            raise CircuitOpenError(
                f"Stopped while TikTok answers {told.described(self._circuit.code)}: what waits was not sent."
            )

    def _start(self, request: Request, now: float) -> None:
        """Takes the earliest slot of the shards that this bundle holds, and hands the request to a thread."""
        request.shard, at = self._slots.take(now)
        self._line.start(request, at)
        self._sender.start(request, at, self._answered)

    def _act(self, request: Request, verdict: replies.Verdict) -> None:
        counts = self.tally.counts
        counts["requests"] += 1
        if request.attempts > 1:
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
        if self._stopping is not None and circuit.close(request.sent_at, self._sender.now()):
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
            self._line.add_first(halved(request))
            self._go_on(request.spared, request.behind)
            return
        self._end(request, named, Kind.REJECTED, reason, verdict)
        if len(named) == 1:
            self._go_on(*self._sieve.named(request, named[0]))
        else:
            self._go_on(request.spared, [*without(request, named), *request.behind])

    def _go_on(self, spared: list[Request], behind: list[Request]) -> None:
        """Lets what is left of a batch follow at once."""
        if spared or behind:
            self._line.add_first(self._next(spared, behind))

    def _next(self, spared: list[Request], behind: list[Request]) -> list[Request]:
        """Returns what is next of a batch; everything in one request if requests are scarce, or fail."""
        spare = self._circuit.failing_since is None and self._slots.is_spare(self._sender.now())
        return self._sieve.onward(spared, behind, spare)

    def _end_oversized(self, fragment: Fragment) -> None:
        """Ends a payload that no request may carry; `BatchPayloads` leaves such a one alone in its fragment."""
        request = Request(fragment.form, fragment.payloads)
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
        streams = self._stopping is not None
        if self._circuit.open(reason, verdict, self._sender.now(), self._connection.probe_secs):
            self.tally.counts["circuit_opened"] += 1
            then = f"correct it; tried again every {self._connection.probe_secs:g} s" if streams else "replay"
            told.stopped(self._circuit, then)
        if streams:
            request.renewed = False
            self._line.add_first([request])
        else:
            self._end_refused(request, verdict, reason)

    def _end_refused(self, request: Request, verdict: replies.Verdict, reason: Reason) -> None:
        kind = Kind.UNDELIVERED
        if request.ambiguous:
            kind, reason = Kind.UNKNOWN, Reason.TIMED_OUT
        self._end_all(request, kind, reason, verdict)

    def _end_unsent(self, request: Request) -> None:
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
        self._outcomes.append(settled(request, positions, kind, reason, verdict, code, message))
