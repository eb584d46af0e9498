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
from collections.abc import Callable, Iterable

from transforms.connection import Connection
from transforms.model import Fragment, Outcome
from transforms.tiktok import reply as replies
from transforms.tiktok import told
from transforms.tiktok.budget import Budget
from transforms.tiktok.client import Reply
from transforms.tiktok.consequences import Consequences
from transforms.tiktok.exchange import Answer, Circuit, CircuitOpenError, Request, Sender, Tally
from transforms.tiktok.line import Line
from transforms.tiktok.request import envelope
from transforms.tiktok.slots import Slots
from transforms.vocabulary import Form

# Fragments that one bundle holds beyond those in flight, in multiples of `max_in_flight`: keeps the sender busy while
# requests wait for their back-off, and bounds memory and what is still to be sent when the input is at its end.
_HELD = 2

# Outcomes of one request that are not worth a list of their own: each list is an element on its way through Beam.
_FEW = 8


class Delivery:
    """Sends the fragments of one bundle.

    Args:
      connection: limits, retry time and code classes.
      sender: threads that POST, and the clock.
      circuit: shared by all bundles of the process.
      jitter: returns a number in [0, 1).
      stopping: says whether a stream is to end; None: there is no stream, and an open circuit ends everything.
      refusals: tells the log, for all bundles of the process; None: for this one alone.
    """

    def __init__(
        self,
        connection: Connection,
        sender: Sender,
        circuit: Circuit,
        jitter: Callable[[], float],
        stopping: Callable[[], bool] | None = None,
        refusals: told.Refusals | None = None,
    ) -> None:
        self._refusals = refusals or told.Refusals()
        self._connection = connection
        self._sender = sender
        self._circuit = circuit
        self._stopping = stopping
        self._slots = Slots(Budget(connection.requests_per_second))
        self._most_bytes = {form: connection.max_request_bytes - envelope(connection, form).size for form in Form}
        self._lock = threading.RLock()
        self._line = Line()
        self._then = Consequences(connection, sender, circuit, jitter, stopping is not None, self._line, self._slots)
        self._defect: BaseException | None = None

    def submit(self, fragment: Fragment) -> None:
        """Takes a fragment of a shard that is held. When this returns it is started, ended or queued: see `take`."""
        if fragment.body_bytes > self._most_bytes[fragment.form]:
            with self._lock:
                self._then.end_oversized(fragment)
            return
        while self.is_full():
            self.wait()
        with self._lock:
            for request in self._then.next([], [Request.of(fragment.form, fragment.payloads)]):
                self._line.add(request)
        self.wait(0.0)

    def is_full(self) -> bool:
        """Returns whether another fragment would have to wait for an answer."""
        return self._held() >= _HELD * self._connection.max_in_flight

    def is_busy(self) -> bool:
        """Returns whether something has no outcome yet."""
        return self._held() > 0

    def take(self) -> Iterable[list[Outcome]]:
        """Returns the outcomes that are new since the last call: a list for each request, one for those with few."""
        with self._lock:
            outcomes, self._then.outcomes = self._then.outcomes, []
        few = [outcome for each in outcomes if len(each) <= _FEW for outcome in each]
        if not few:
            return outcomes
        return [*(each for each in outcomes if len(each) > _FEW), few]

    def take_tally(self) -> Tally:
        """Returns what was done since the last call."""
        with self._lock:
            tally, self._then.tally = self._then.tally, Tally()
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

    def _held(self) -> int:
        with self._lock:
            if self._defect is not None:
                raise self._defect
            return len(self._line)

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
                self._then.tally.throttled_secs += self._sender.now() - now
        while answered:
            answered = self._sender.wait(0.0)

    def _answered(self, answer: Answer) -> bool:
        """Acts on an answer, and starts what may start now; on any thread.

        Returns:
          Whether the bundle's thread has reason to look: not if the next part of the same batch is on its way instead.
          To wake it for each event that TikTok names costs as much as to send one.
        """
        request, reply = answer.request, answer.reply
        verdict = None if reply is None else self._read(request, reply)
        with self._lock:
            before = self._line.state
            try:
                self._line.answered(request)
                if verdict is None:
                    self._then.tally.counts["missed_slots"] += 1
                    self._line.add_first([request])
                else:
                    self._then.act(request, verdict)
                self._start_due(self._sender.now())
                return self._line.state != before or self._circuit.reason is not None
            except BaseException as defect:
                # What the line has lost would be missed by nobody: the bundle's thread is told before it looks again.
                self._defect = defect
                raise

    def _read(self, request: Request, reply: Reply) -> replies.Verdict:
        """Returns what a reply means, and tells the log of a refusal; without the lock, as nobody else has them."""
        request.attempts += 1
        request.sent_at, request.answered_at = reply.started_at, reply.started_at + reply.elapsed_secs
        request.again = request.first_at > 0
        request.first_at = request.first_at or reply.started_at
        request.since = request.since or reply.started_at
        verdict = replies.read(reply, request.payloads.bodies(), self._connection.codes)
        if verdict.cls != "success":
            self._refusals.tell(request, reply, verdict)
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
                self._then.end_unsent(line.take())
            elif circuit.may_probe(now, self._connection.probe_secs):
                request = line.take()
                self._then.tally.counts["circuit_probes"] += 1
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
