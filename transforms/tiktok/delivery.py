"""Delivers fragments: sends them within the budget, reads each reply, tries again, and ends every event in one outcome.

One `Delivery` serves one bundle. It decides everything, under one lock: on the bundle's thread when that comes by, and
on the threads of a `Sender` as soon as they have a reply, so that what follows from it does not wait for the bundle's
thread, which maps events meanwhile. Outcomes and counts are handed to the bundle's thread. Retries live at the
narrowest scope, the request:

* throttled: wait for `Retry-After`, else exponential back-off with full jitter; the shard slows down (`slot_schedule`).
* transient: exponential back-off with full jitter up to `retry_secs`, then `undelivered`.
* time-out after sending, or a broken connection: the same, then `unknown`; the event ids stay the same.
* one event named invalid: it is rejected, the rest goes out again at once (`isolation`). None named: halves.
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
from transforms.tiktok.budget import Budget
from transforms.tiktok.circuit import Circuit, CircuitOpenError
from transforms.tiktok.client import ApiReply
from transforms.tiktok.codes import describe_code
from transforms.tiktok.envelope import make_envelope
from transforms.tiktok.reply_actions import DeliveryTally, ReplyActions
from transforms.tiktok.request_logs import RefusalLog
from transforms.tiktok.request_queue import RequestQueue
from transforms.tiktok.request_state import RequestState
from transforms.tiktok.sender_pool import Sender, SendResult
from transforms.tiktok.slot_schedule import SlotSchedule
from transforms.tiktok.verdict import Verdict, read_reply
from transforms.vocabulary import Form

# Fragments that one bundle holds beyond those in flight, in multiples of `max_in_flight`: keeps the sender busy while
# requests wait for their back-off, and bounds memory and what is still to be sent when the input is at its end.
_HELD_PER_IN_FLIGHT = 2

# Outcomes of one request that are not worth a list of their own: each list is an element on its way through Beam.
_SMALL_LIST_OUTCOMES = 8


class Delivery:
    """Sends the fragments of one bundle.

    Args:
      connection: limits, retry time and code classes.
      sender: threads that POST, and the clock.
      circuit: shared by all bundles of the process.
      jitter: returns a number in [0, 1).
      stopping: returns whether a stream is to end; None: there is no stream, and an open circuit ends everything.
      refusal_log: of all bundles of the process; None: of this one alone.
    """

    def __init__(
        self,
        connection: Connection,
        sender: Sender,
        circuit: Circuit,
        jitter: Callable[[], float],
        stopping: Callable[[], bool] | None = None,
        refusal_log: RefusalLog | None = None,
    ) -> None:
        self._refusal_log = refusal_log or RefusalLog()
        self._connection = connection
        self._sender = sender
        self._circuit = circuit
        self._stopping = stopping
        self._slots = SlotSchedule(Budget(connection.requests_per_second))
        self._max_events_bytes = {
            form: connection.max_request_bytes - make_envelope(connection, form).size_bytes for form in Form
        }
        self._lock = threading.RLock()
        self._queue = RequestQueue()
        self._actions = ReplyActions(
            connection, sender, circuit, jitter, streams=stopping is not None, queue=self._queue, slots=self._slots
        )
        self._defect: BaseException | None = None

    def submit(self, fragment: Fragment) -> None:
        """Takes a fragment of a shard that is held. When this returns it is started, ended or queued: see `take`."""
        if fragment.body_bytes > self._max_events_bytes[fragment.form]:
            with self._lock:
                self._actions.end_oversized(fragment)
            return
        while self.is_full():
            self.wait()
        with self._lock:
            for request in self._actions.next_requests([], [RequestState.of(fragment.form, fragment.payloads)]):
                self._queue.add(request)
        self.wait(0.0)

    def is_full(self) -> bool:
        """Returns whether another fragment would have to wait for an answer."""
        return self._held() >= _HELD_PER_IN_FLIGHT * self._connection.max_in_flight

    def is_busy(self) -> bool:
        """Returns whether something has no outcome yet."""
        return self._held() > 0

    def take(self) -> Iterable[list[Outcome]]:
        """Returns the outcomes since the last call: a list for each request, and one for all requests with few."""
        with self._lock:
            outcomes, self._actions.outcomes = self._actions.outcomes, []
        small = [outcome for each in outcomes if len(each) <= _SMALL_LIST_OUTCOMES for outcome in each]
        if not small:
            return outcomes
        return [*(each for each in outcomes if len(each) > _SMALL_LIST_OUTCOMES), small]

    def take_tally(self) -> DeliveryTally:
        """Returns what was done since the last call."""
        with self._lock:
            tally, self._actions.tally = self._actions.tally, DeliveryTally()
        return tally

    def drain(self) -> None:
        """Returns when every payload has its outcome, and the used slots that are in no state are over."""
        while self.is_busy():
            self.wait()
        over = self._slots.over_at()
        while over is not None and self._sender.now() < over:
            self._sender.wait(over)

    def last_slot(self, shard: int) -> int:
        """Returns the last slot used of a shard that is held (-1: none), to be written into the key's state."""
        with self._lock:
            return self._slots.last_slot(shard)

    def hold(self, shard: int, last_slot: int) -> None:
        """Notes that this bundle processes a shard's key, and which slot was used last for it (-1: none).

        Until the bundle ends nobody else processes that key, so all later slots of the shard are this bundle's, for
        whichever request is due.
        """
        with self._lock:
            self._slots.hold(shard, last_slot)

    def _held(self) -> int:
        with self._lock:
            if self._defect is not None:
                raise self._defect
            return len(self._queue)

    def wait(self, secs: float = math.inf) -> None:
        """Starts what is due, then waits until something is answered, but no longer than so many seconds."""
        with self._lock:
            now = self._sender.now()
            self._start_due(now)
            blocked = self._queue.ready_count > 0 and self._circuit.reason is not None
            until = min(self._queue.wakes_at, now + secs)
            if blocked:
                until = min(until, self._circuit.probe_at)
                self._raise_if_stopping()
            if not self._queue.started_count and (secs == 0.0 or until == math.inf):
                return
            # Nothing is on its way: the budget makes us wait.
            throttled = not blocked and not self._queue.is_under_way(now)
        answered = self._sender.wait(until)
        if throttled:
            with self._lock:
                self._actions.tally.throttled_secs += self._sender.now() - now
        while answered:
            answered = self._sender.wait(0.0)

    def _answered(self, result: SendResult) -> bool:
        """Acts on a result, and starts what may start now; on any thread.

        Returns:
          Whether the bundle's thread has reason to look: not if the next part of the same batch is on its way instead.
          To wake it for each event that TikTok names costs as much as to send one.
        """
        request, reply = result.request, result.reply
        verdict = None if reply is None else self._read(request, reply)
        with self._lock:
            before = self._queue.counts
            try:
                self._queue.note_answered(request)
                if verdict is None:
                    self._actions.tally.counts["missed_slots"] += 1
                    self._queue.add_first([request])
                else:
                    self._actions.act(request, verdict)
                self._start_due(self._sender.now())
                return self._queue.counts != before or self._circuit.reason is not None
            except BaseException as defect:
                # Nobody would miss what the queue has lost: the bundle's thread finds the defect before it looks again.
                self._defect = defect
                raise

    def _read(self, request: RequestState, reply: ApiReply) -> Verdict:
        """Returns what a reply means, and logs a refusal; without the lock, as nobody else has them."""
        request.attempts += 1
        request.sent_at, request.answered_at = reply.started_at, reply.started_at + reply.elapsed_secs
        request.is_repeat = request.first_sent_at > 0
        request.first_sent_at = request.first_sent_at or reply.started_at
        request.retrying_since = request.retrying_since or reply.started_at
        verdict = read_reply(reply, request.payloads.bodies(), self._connection.codes)
        if verdict.reply_class != "success":
            self._refusal_log.log(request, reply, verdict)
        return verdict

    def _start_due(self, now: float) -> None:
        """Starts every request that may start, and ends those that a batch cannot send any more."""
        circuit, ends, queue = self._circuit, self._stopping is None, self._queue
        queue.wake(math.inf if circuit.reason and ends else now)
        while queue.ready_count:
            if circuit.reason is None:
                if queue.started_count >= self._connection.max_in_flight:
                    return
                self._start(queue.take(), now)
            elif ends:
                self._actions.end_unsent(queue.take())
            elif circuit.may_probe(now, self._connection.probe_secs):
                request = queue.take()
                self._actions.tally.counts["circuit_probes"] += 1
                self._sender.renew_token(request)
                self._start(request, now)
            else:
                return

    def _raise_if_stopping(self) -> None:
        """Raises if a stream is to end while it waits for the circuit; what waits stays without an outcome."""
        if self._stopping is not None and not self._queue.started_count and self._stopping():
            raise CircuitOpenError(
                f"Stopped while TikTok answers {describe_code(self._circuit.code)}: what waits was not sent."
            )

    def _start(self, request: RequestState, now: float) -> None:
        """Takes the earliest slot of the shards that this bundle holds, and hands the request to a thread."""
        request.shard, at = self._slots.take(now)
        self._queue.note_started(request, at)
        self._sender.start(request, at, self._answered)
