"""WriteToTikTok: payloads in, one outcome for each out. Thin: `transforms.tiktok.delivery` decides everything."""

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import apache_beam as beam
from apache_beam.coders import VarIntCoder
from apache_beam.metrics import Metrics
from apache_beam.transforms.userstate import ReadModifyWriteRuntimeState, ReadModifyWriteStateSpec
from apache_beam.transforms.window import GlobalWindow, GlobalWindows
from apache_beam.utils.shared import Shared
from apache_beam.utils.timestamp import MIN_TIMESTAMP
from apache_beam.utils.windowed_value import WindowedValue

from transforms.batch_payloads import BatchPayloads
from transforms.connection import Connection, check
from transforms.counters import NAMESPACE, THROTTLED
from transforms.model import Fragment, Outcome, Payload
from transforms.streaming import Stream
from transforms.tiktok import (
    Delivery,
    EventsApi,
    PooledSender,
    SenderPool,
    TokenReferenceError,
    TokenSource,
    Transport,
    check_api_url,
    check_proxy_url,
    parse_reference,
)

_GLOBAL = GlobalWindow()

# Between two looks at the clock of those who record.
_PULSE_SECS = 1.0


@dataclass
class WriteToTikTok(beam.PTransform):
    """Payloads → outcomes, through TikTok's Events API; usable in any pipeline.

        connection = Connection(event_source_id="A1T8T4UYGVIQA8ORZMX9", access_token="env:TIKTOK_TOKEN")
        outcomes = payloads | WriteToTikTok(connection)

    Each payload has exactly one outcome, but the request behind it may have gone out more than once (retry, bundle
    retry): a stable `event_id` is what lets TikTok drop the repeat for 48 hours.

    Input: `Payload`s in any windows. Output: `Outcome`s in the global window.

    Attributes:
      connection: destination, limits, budget and retries; the token by reference only.
      transport: makes what carries requests; the default is HTTP.
      stream: how to deal with unbounded payloads; None: they are bounded.
      tokens: makes the source of the token from its reference.
    """

    connection: Connection
    transport: Callable[[Connection], Transport] = EventsApi
    stream: Stream | None = None
    tokens: Callable[[str], TokenSource] = TokenSource

    def __post_init__(self) -> None:
        if not self.connection.access_token:
            raise ValueError(
                "access_token is missing: say where it is kept (projects/…/secrets/…/versions/…, env:NAME, file:PATH)"
            )
        try:
            parse_reference(self.connection.access_token)
        except TokenReferenceError as error:
            raise ValueError(str(error)) from None
        check(self.connection)
        check_api_url(self.connection.api_url)
        if self.connection.proxy_url is not None:
            check_proxy_url(self.connection.proxy_url)

    def expand(self, payloads: beam.PCollection[Payload]) -> beam.PCollection[Outcome]:
        """Returns the outcomes.

        Raises:
          ValueError: the payloads are unbounded, and `stream` is not set.
        """
        if self.stream is None and not payloads.is_bounded:
            raise ValueError(
                "the payloads are unbounded: pass stream=Stream(), or what does not fill a request waits for ever"
            )
        if payloads.windowing.windowfn != GlobalWindows():
            payloads = payloads | "GlobalWindow" >> beam.WindowInto(GlobalWindows())
        return (
            payloads
            | "BatchPayloads" >> BatchPayloads(self.connection, self.stream)
            | "Deliver" >> beam.ParDo(_DeliverFn(self.connection, self.transport, self.stream, self.tokens))
            | "Outcomes" >> beam.ParDo(_OutcomesFn())
        )


class _DeliverFn(beam.DoFn):
    """Sends fragments; requests overlap inside the bundle and are all answered at its end."""

    SLOT = ReadModifyWriteStateSpec("slot", VarIntCoder())

    def __init__(
        self,
        connection: Connection,
        transport: Callable[[Connection], Transport],
        stream: Stream | None,
        tokens: Callable[[str], TokenSource],
    ) -> None:
        self._connection = connection
        self._transport = transport
        self._tokens = tokens
        self._stopping = None if stream is None else stream.stopping
        self._shared = Shared()
        self._throttled = Metrics.counter(NAMESPACE, THROTTLED)
        self._throttled_rest_secs = 0.0

    def setup(self) -> None:
        self._pool = self._shared.acquire(lambda: SenderPool(self._connection, self._transport, self._tokens))

    def start_bundle(self) -> None:
        self._held: set[int] = set()
        self._sender = PooledSender(self._pool)
        self._delivery = Delivery(
            self._connection,
            self._sender,
            self._pool.circuit,
            random.SystemRandom().random,
            self._stopping,
            self._pool.refusal_log,
        )

    def process(
        self,
        element: tuple[int, Fragment],
        slot: ReadModifyWriteRuntimeState = beam.DoFn.StateParam(SLOT),
    ) -> Iterator[list[Outcome]]:
        shard, fragment = element
        delivery = self._delivery
        with self._abandoning():
            if first := shard not in self._held:
                self._held.add(shard)
                before = slot.read()
                delivery.hold(shard, -1 if before is None else before)
            while delivery.is_full():
                yield from self._pulse()
            delivery.submit(fragment)
            if first:
                # Once a bundle, because Beam's cache measures a state's size anew at every write (2 ms). The slots that
                # are used later are over when the bundle ends: `drain` waits for that.
                slot.write(delivery.last_slot(shard))
            self._count()
            yield from delivery.take()

    def finish_bundle(self) -> Iterator[WindowedValue]:
        with self._abandoning():
            while self._delivery.is_busy():
                for outcomes in self._pulse():
                    yield WindowedValue(outcomes, MIN_TIMESTAMP, (_GLOBAL,))
            self._delivery.drain()
            self._count()
            for outcomes in self._delivery.take():
                yield WindowedValue(outcomes, MIN_TIMESTAMP, (_GLOBAL,))

    @contextmanager
    def _abandoning(self) -> Iterator[None]:
        """Keeps requests that wait for their slot from being sent if the bundle fails, here or in a step behind."""
        try:
            yield
        except BaseException:
            self._sender.abandon()
            raise

    def _pulse(self) -> Iterator[list[Outcome]]:
        """Waits a little and yields what has ended, if nothing has, an empty list.

        Whoever records outcomes gets control at least so often, also while requests wait for their turn: what a killed
        run has sent is recorded but for the last seconds.
        """
        self._delivery.wait(_PULSE_SECS)
        self._count()
        yield from list(self._delivery.take()) or [[]]

    def _count(self) -> None:
        """Moves what the delivery did into Beam's counters; on the bundle's thread, where Beam counts."""
        tally = self._delivery.take_tally()
        for name, count in tally.counts.items():
            Metrics.counter(NAMESPACE, name).inc(count)
        seconds = int(tally.throttled_secs + self._throttled_rest_secs)
        self._throttled_rest_secs += tally.throttled_secs - seconds
        if seconds:
            self._throttled.inc(seconds)


class _OutcomesFn(beam.DoFn):
    """Turns lists of outcomes into outcomes, as batches.

    A step of its own, because Beam 2.77 loses single elements that a `finish_bundle` hands to a batched DoFn: they are
    put into a buffer that was flushed just before (`DoOperation.finish`), and most outcomes come at a bundle's end.
    """

    def infer_output_type(self, input_type: Any) -> type[Outcome]:
        return Outcome

    @beam.DoFn.yields_batches
    def process(self, outcomes: list[Outcome]) -> Iterator[list[Outcome]]:
        yield outcomes
