"""ReadSubscription: a Pub/Sub subscription → messages; the streaming counterpart of `pipeline.sources.read_messages`.

On Dataflow Beam's own reader, which acknowledges once Dataflow holds a message durably. On local runners an
`UnboundedSource` over `pipeline.sources.pubsub.subscriber`: Beam's own reader acknowledges before it processes there,
takes ten messages at a time, and on the runner used here reads nothing at all and reports success.

`UnboundedSource` is marked experimental in Beam 2.77: everything that touches it is in this module.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import apache_beam as beam
from apache_beam import coders
from apache_beam.io.unbounded_source import CheckpointMark, ReadFromUnboundedSource, UnboundedReader, UnboundedSource
from apache_beam.pvalue import PBegin
from apache_beam.utils.timestamp import MAX_TIMESTAMP, Timestamp

from pipeline.sources.pubsub.subscriber import Subscription
from transforms.model import Message

# Messages that go on together: what the runner does for each element is then no matter.
_TOGETHER = 500

# Messages of a bundle at most: its end is what records and acknowledges.
_BUNDLE_MESSAGES = 10_000

# An idle reader gives the runner a turn so often.
_IDLE_SECS = 0.2

# The runner's own limits are out of the way: the reader knows when a bundle is over.
_NEVER_ELEMENTS, _NEVER_SECS = 1_000_000_000, 86_400.0


@dataclass
class ReadSubscription(beam.PTransform):
    """A Pub/Sub subscription → messages, for runners that work in this process.

    Output: unbounded, global window, lists of some hundred for steps that take lists; the reference of a message is its
    Pub/Sub id, the timestamp its publish time. Messages are acknowledged by `pipeline.records.acknowledge`, not here.

    Attributes:
      subscription: full name; open in this process (`Subscription.open`).
      hold_secs: a bundle ends so long after its first message came. What waits for the end of a bundle waits so long.
    """

    subscription: str
    hold_secs: float

    def expand(self, begin: PBegin) -> beam.PCollection[Message]:
        """Returns the messages."""
        source = _Source(self.subscription, self.hold_secs)
        read = ReadFromUnboundedSource(
            source, poll_interval=0, max_records_per_bundle=_NEVER_ELEMENTS, max_read_time_seconds=_NEVER_SECS
        )
        return begin | "Pull" >> read | "Unpack" >> beam.ParDo(_UnpackFn())


@dataclass
class ReadFromDataflow(beam.PTransform):
    """A subscription or topic → messages, by Beam's own reader; for Dataflow only.

    Output: unbounded, global window; references and timestamps as in `ReadSubscription`.

    Attributes:
      subscription: full name; None: `topic` is set.
      topic: full name; Dataflow makes a subscription of its own for it.
    """

    subscription: str | None = None
    topic: str | None = None

    def expand(self, begin: PBegin) -> beam.PCollection[Message]:
        """Returns the messages."""
        read = beam.io.ReadFromPubSub(subscription=self.subscription, topic=self.topic, with_attributes=True)
        return begin | "Pull" >> read | "Messages" >> beam.Map(_message).with_output_types(Message)


def _message(received: Any) -> Message:
    return Message(received.message_id or "", received.data)


class _UnpackFn(beam.DoFn):
    """List of messages → messages, handed on as a list."""

    @beam.DoFn.yields_batches
    def process(self, messages: list[Message]) -> Iterator[list[Message]]:
        yield messages

    def infer_output_type(self, input_type: Any) -> type[Message]:
        """Returns the type of what the lists hold."""
        return Message


class _Mark(CheckpointMark):
    """A place in a subscription, which needs none: what is not acknowledged comes again."""

    def finalize_checkpoint(self) -> None:
        """Does nothing: acknowledging here would lose what a later step still holds."""


class _Source(UnboundedSource):
    def __init__(self, subscription: str, hold_secs: float) -> None:
        self._subscription = subscription
        self._hold_secs = hold_secs

    def split(self, desired_num_splits: int, options: Any = None) -> list[UnboundedSource]:
        """Returns this source: one process holds the whole subscription."""
        return [self]

    def create_reader(self, options: Any, checkpoint_mark: CheckpointMark | None) -> UnboundedReader:
        return _Reader(Subscription.of(self._subscription), self._hold_secs)

    def get_checkpoint_mark_coder(self) -> coders.Coder:
        return coders.PickleCoder()

    def default_output_coder(self) -> coders.Coder:
        return coders.PickleCoder()


class _Reader(UnboundedReader):
    """Takes messages for as long as a bundle may last. Any number of these may follow one another."""

    def __init__(self, subscription: Subscription, hold_secs: float) -> None:
        self._subscription = subscription
        self._hold_secs = hold_secs
        self._current: list[Message] = []
        self._next_bundle()

    def _next_bundle(self) -> None:
        self._messages = 0
        self._opened = self._close_at = 0.0

    def start(self) -> bool:
        return self.advance()

    def advance(self) -> bool:
        """Takes the next messages; False ends the bundle."""
        idle_until = time.monotonic() + _IDLE_SECS
        while not self._is_over():
            messages = self._subscription.take(_TOGETHER)
            if messages:
                self._open(messages)
                return True
            until = self._close_at if self._messages else idle_until
            if self._subscription.stopping or time.monotonic() >= until:
                break
            # Not longer at a time, because the subscription may reach its bounds meanwhile.
            self._subscription.leases.wait(min(until - time.monotonic(), _IDLE_SECS))
        self._next_bundle()
        return False

    def _is_over(self) -> bool:
        """Returns whether the bundle ends although messages may be ready."""
        if not self._messages:
            return False
        return self._messages >= _BUNDLE_MESSAGES or time.monotonic() >= self._opened + self._hold_secs

    def _open(self, messages: list[Message]) -> None:
        if not self._messages:
            self._opened = time.monotonic()
            # It may have waited for the bundle before.
            self._close_at = self._subscription.leases.received_at(messages[0].ref) + self._hold_secs
        self._messages += len(messages)
        self._current = messages

    def get_current(self) -> list[Message]:
        return self._current

    def get_current_timestamp(self) -> Timestamp:
        """Returns the publish time of the first message; never later than now, whatever the service's clock."""
        published_at = self._subscription.leases.published_at(self._current[0].ref)
        return Timestamp(min(published_at or time.time(), time.time()))

    def get_watermark(self) -> Timestamp:
        """Returns the publish time of the oldest message that is not settled; the end of time when reading is over."""
        if self._subscription.stopping:
            return MAX_TIMESTAMP
        return Timestamp(min(self._subscription.leases.oldest_published_at() or time.time(), time.time()))

    def get_checkpoint_mark(self) -> CheckpointMark:
        return _Mark()
