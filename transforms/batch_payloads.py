"""BatchPayloads: payloads → fragments that fill one request each, by form, events and bytes.

Payloads are gathered inside the bundle. A small stateful step passes what is full and puts the rests of bundles
together; it works on whole fragments, never on single events (Beam's `GroupIntoBatches` on events costs 18 µs each,
knows no bytes, and always sets a real-time timer). One path for both, because a Flatten would make the local runner
hold every payload in memory.

In a stream a rest waits `max_wait_secs` at most, which takes a real-time timer; without a stream there is none, because
it sends a batch pipeline on a slow way.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import apache_beam as beam
from apache_beam import typehints
from apache_beam.coders import VarIntCoder
from apache_beam.transforms.timeutil import TimeDomain
from apache_beam.transforms.userstate import (
    BagRuntimeState,
    BagStateSpec,
    ReadModifyWriteRuntimeState,
    ReadModifyWriteStateSpec,
    RuntimeTimer,
    TimerSpec,
    on_timer,
)
from apache_beam.transforms.window import GlobalWindow
from apache_beam.utils.timestamp import MIN_TIMESTAMP, Timestamp
from apache_beam.utils.windowed_value import WindowedValue

from transforms.coders import ValueCoder
from transforms.connection import Connection
from transforms.model import Fragment, Payload
from transforms.streaming import Stream
from transforms.tiktok import Budget, make_envelope
from transforms.vocabulary import Form

_GLOBAL = GlobalWindow()


@dataclass(frozen=True, slots=True)
class Limits:
    """How much one request of each form may carry: events, and bytes of bodies with their commas."""

    events: dict[Form, int]
    body_bytes: dict[Form, int]

    @classmethod
    def of(cls, connection: Connection) -> "Limits":
        """Returns the limits of a connection."""
        return cls(
            {form: connection.batch_events(form) for form in Form},
            {form: connection.max_request_bytes - make_envelope(connection, form).size_bytes for form in Form},
        )

    def cut(self, form: Form, payloads: Iterable[Payload]) -> Iterator[tuple[list[Payload], int]]:
        """Yields groups of payloads that fill a request, and their bytes; the last one may be smaller.

        A payload that is larger than a request stands alone in its group; the delivery rejects it.
        """
        most_events, most_bytes = self.events[form], self.body_bytes[form]
        group: list[Payload] = []
        group_bytes = -1  # one comma fewer than payloads
        for payload in payloads:
            size = len(payload.body) + 1
            if group and (group_bytes + size > most_bytes or len(group) == most_events):
                yield group, group_bytes
                group, group_bytes = [], -1
            group.append(payload)
            group_bytes += size
        if group:
            yield group, group_bytes

    def full(self, form: Form, events: int, body_bytes: int) -> bool:
        """Returns whether another payload of the usual size would not fit."""
        return events >= self.events[form] or body_bytes + body_bytes // max(1, events) > self.body_bytes[form]


@dataclass
class BatchPayloads(beam.PTransform):
    """Payloads → `(shard, Fragment)`, each fragment for one request.

    Output: global window. Every payload is in exactly one fragment.

    Attributes:
      connection: limits, and the budget whose shards are the keys.
      stream: how to deal with unbounded payloads; None: they are bounded, and wait for the end of the window.
    """

    connection: Connection
    stream: Stream | None = None

    def expand(self, payloads: beam.PCollection[Payload]) -> beam.PCollection[tuple[int, Fragment]]:
        """Returns the fragments, keyed by the shard of the budget that sends them."""
        coalesce = _CoalesceFn(self.connection)
        if self.stream is not None:
            coalesce = _CoalesceInTimeFn(self.connection, self.stream.clock)
        return payloads | "Gather" >> beam.ParDo(_GatherFn(self.connection)) | "Coalesce" >> beam.ParDo(coalesce)


class _GatherFn(beam.DoFn):
    """Gathers payloads in the bundle: full fragments go on at once, rests at its end; keyed for coalescing."""

    def __init__(self, connection: Connection) -> None:
        self._limits = Limits.of(connection)
        self._shards = Budget(connection.requests_per_second).shards
        self._next_shard = 0
        self._rest_events = 0

    def start_bundle(self) -> None:
        self._groups: dict[Form, tuple[list[Payload], int]] = {}

    def get_input_batch_type(self, input_element_type: Any) -> Any:
        return typehints.List[input_element_type]  # Beam does not always know what it is

    def process(self, payload: Payload) -> Iterator[tuple[str, Fragment]]:
        # Single payloads too: a producer's `finish_bundle` cannot hand them to `process_batch` without loss.
        yield from self._add(payload.form, [payload])

    @beam.DoFn.yields_elements
    def process_batch(self, batch: list[Payload]) -> Iterator[tuple[str, Fragment]]:
        first = batch[0].form
        if all(payload.form is first for payload in batch):
            yield from self._add(first, batch)
        else:
            for form in Form:
                yield from self._add(form, [payload for payload in batch if payload.form is form])

    def finish_bundle(self) -> Iterator[WindowedValue]:
        for form, (group, group_bytes) in self._groups.items():
            # Rests of many bundles meet under one key until they fill a request; then the next shard's turn comes.
            fragment = Fragment(form, group, group_bytes, self._next_shard)
            self._rest_events += len(group)
            if self._rest_events >= self._limits.events[form]:
                self._turn()
            yield WindowedValue((_key(fragment), fragment), MIN_TIMESTAMP, (_GLOBAL,))
        self._groups = {}

    def _turn(self) -> int:
        shard = self._next_shard
        self._next_shard = (shard + 1) % self._shards
        self._rest_events = 0
        return shard

    def _add(self, form: Form, payloads: list[Payload]) -> Iterator[tuple[str, Fragment]]:
        held, _ = self._groups.pop(form, ([], 0))
        groups = list(self._limits.cut(form, held + payloads))
        if groups and not self._limits.full(form, len(groups[-1][0]), groups[-1][1]):
            self._groups[form] = groups.pop()
        for group, group_bytes in groups:
            fragment = Fragment(form, group, group_bytes, self._turn())
            yield _key(fragment), fragment


def _key(fragment: Fragment) -> str:
    return f"{fragment.form}/{fragment.shard}"


class _CoalesceFn(beam.DoFn):
    """Passes full fragments, and puts rests together until they fill a request; the last goes out with the window."""

    FRAGMENTS = BagStateSpec("fragments", ValueCoder())
    EVENTS = ReadModifyWriteStateSpec("events", VarIntCoder())
    BYTES = ReadModifyWriteStateSpec("bytes", VarIntCoder())
    END = TimerSpec("end", TimeDomain.WATERMARK)

    def __init__(self, connection: Connection) -> None:
        self._limits = Limits.of(connection)

    def process(
        self,
        element: tuple[str, Fragment],
        window: GlobalWindow = beam.DoFn.WindowParam,
        fragments: BagRuntimeState = beam.DoFn.StateParam(FRAGMENTS),
        events: ReadModifyWriteRuntimeState = beam.DoFn.StateParam(EVENTS),
        body_bytes: ReadModifyWriteRuntimeState = beam.DoFn.StateParam(BYTES),
        end: RuntimeTimer = beam.DoFn.TimerParam(END),
    ) -> Iterator[tuple[int, Fragment]]:
        passed, begins = self._add(element[1], fragments, events, body_bytes)
        if begins:
            end.set(window.max_timestamp())
        for fragment in passed:
            yield fragment.shard, fragment

    def _add(
        self,
        fragment: Fragment,
        fragments: BagRuntimeState,
        events: ReadModifyWriteRuntimeState,
        body_bytes: ReadModifyWriteRuntimeState,
    ) -> tuple[list[Fragment], bool]:
        """Adds a fragment to what is held; returns what goes on, and whether something begins to be held now."""
        form = fragment.form
        if self._limits.full(form, len(fragment.payloads), fragment.body_bytes):
            return [fragment], False
        held_events, held_bytes = events.read() or 0, body_bytes.read() or 0
        total_events, total_bytes = held_events + len(fragment.payloads), held_bytes + 1 + fragment.body_bytes
        if not self._limits.full(form, total_events, total_bytes):
            fragments.add(fragment)
            events.write(total_events)
            body_bytes.write(total_bytes)
            return [], not held_events
        passed = list(self._cut([*fragments.read(), fragment]))
        fragments.clear()
        rest = passed[-1]
        if self._limits.full(form, len(rest.payloads), rest.body_bytes):
            events.write(0)
            body_bytes.write(0)
            return passed, False
        fragments.add(rest)
        events.write(len(rest.payloads))
        body_bytes.write(rest.body_bytes)
        return passed[:-1], True

    @on_timer(END)
    def at_end(
        self,
        fragments: BagRuntimeState = beam.DoFn.StateParam(FRAGMENTS),
        events: ReadModifyWriteRuntimeState = beam.DoFn.StateParam(EVENTS),
        body_bytes: ReadModifyWriteRuntimeState = beam.DoFn.StateParam(BYTES),
    ) -> Iterator[tuple[int, Fragment]]:
        """Sends on what is still held."""
        yield from self._take(fragments, events, body_bytes)

    def _take(
        self,
        fragments: BagRuntimeState,
        events: ReadModifyWriteRuntimeState,
        body_bytes: ReadModifyWriteRuntimeState,
    ) -> Iterator[tuple[int, Fragment]]:
        held = list(fragments.read())
        fragments.clear()
        events.clear()
        body_bytes.clear()
        for fragment in self._cut(held):
            yield fragment.shard, fragment

    def _cut(self, fragments: list[Fragment]) -> Iterator[Fragment]:
        payloads = [payload for fragment in fragments for payload in fragment.payloads]
        for group, group_bytes in self._limits.cut(fragments[0].form, payloads) if fragments else ():
            yield Fragment(fragments[0].form, group, group_bytes, fragments[0].shard)


class _CoalesceInTimeFn(_CoalesceFn):
    """The same in a stream: what is held goes out `max_wait_secs` after it began to be held."""

    FRAGMENTS, EVENTS, BYTES, END = _CoalesceFn.FRAGMENTS, _CoalesceFn.EVENTS, _CoalesceFn.BYTES, _CoalesceFn.END
    DUE = TimerSpec("due", TimeDomain.REAL_TIME)

    def __init__(self, connection: Connection, clock: Callable[[], float]) -> None:
        super().__init__(connection)
        self._wait_secs = connection.max_wait_secs
        self._clock = clock

    def process(
        self,
        element: tuple[str, Fragment],
        window: GlobalWindow = beam.DoFn.WindowParam,
        fragments: BagRuntimeState = beam.DoFn.StateParam(FRAGMENTS),
        events: ReadModifyWriteRuntimeState = beam.DoFn.StateParam(EVENTS),
        body_bytes: ReadModifyWriteRuntimeState = beam.DoFn.StateParam(BYTES),
        end: RuntimeTimer = beam.DoFn.TimerParam(END),
        due: RuntimeTimer = beam.DoFn.TimerParam(DUE),
    ) -> Iterator[tuple[int, Fragment]]:
        passed, begins = self._add(element[1], fragments, events, body_bytes)
        if begins:
            end.set(window.max_timestamp())
            due.set(Timestamp(self._clock() + self._wait_secs))
        for fragment in passed:
            yield fragment.shard, fragment

    @on_timer(DUE)
    def when_due(
        self,
        fragments: BagRuntimeState = beam.DoFn.StateParam(FRAGMENTS),
        events: ReadModifyWriteRuntimeState = beam.DoFn.StateParam(EVENTS),
        body_bytes: ReadModifyWriteRuntimeState = beam.DoFn.StateParam(BYTES),
    ) -> Iterator[tuple[int, Fragment]]:
        """Sends on what has waited long enough."""
        yield from self._take(fragments, events, body_bytes)
