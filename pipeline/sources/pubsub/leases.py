"""The messages of one subscription that are on their way: what was pulled, what is settled, whose lease runs out.

Plain bookkeeping under one lock, with the clock as a parameter; `pipeline.sources.pubsub.subscriber` makes the calls. A
message is *ready* (pulled ahead), then *open* (handed to the pipeline), and settled when as many of its units are
recorded as it has. The number of its units and the records come from different steps, in any order.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from transforms.model import Message


@dataclass(slots=True)
class _Lease:
    """A message that is not acknowledged.

    Attributes:
      ack_id: of its newest delivery.
      published_at: epoch seconds.
      received_at: clock of this module.
      until: when its lease runs out.
      size: bytes.
      missing: units not recorded yet; below zero while their number is not known.
      counted: whether the number of its units is known.
    """

    ack_id: str
    published_at: float
    received_at: float
    until: float
    size: int
    missing: int = 0
    counted: bool = False


class LeaseCounts(NamedTuple):
    """What happened since the start.

    Attributes:
      received: messages pulled, copies of those on their way left out.
      settled: messages whose last outcome is recorded.
      copies: deliveries of messages that were on their way already.
    """

    received: int
    settled: int
    copies: int


@dataclass(slots=True)
class Arrival:
    """A message as it was pulled."""

    ack_id: str
    message_id: str
    data: bytes = field(repr=False)
    published_at: float


class Leases:
    """All messages of one subscription and process that are not acknowledged. Thread-safe.

    Args:
      clock: seconds, monotonic.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._received = self._settled_count = self._copies = 0
        self._clock = clock
        self._leases: dict[str, _Lease] = {}
        self._ready: deque[Message] = deque()
        self._settled: list[str] = []
        self._bytes = 0
        self._changed = threading.Condition()

    def __len__(self) -> int:
        """Returns how many messages are neither settled nor given back."""
        return len(self._leases)

    @property
    def counts(self) -> LeaseCounts:
        """Returns what happened since the start."""
        return LeaseCounts(self._received, self._settled_count, self._copies)

    @property
    def size(self) -> int:
        """Returns the bytes of these messages as they were pulled."""
        return self._bytes

    def arrive(self, arrivals: Iterable[Arrival], secs: float) -> None:
        """Adds what was pulled; a copy of a message that is on its way only brings the newest ack id.

        Args:
          arrivals: pulled messages.
          secs: how long their leases run at least.
        """
        with self._changed:
            now = self._clock()
            for arrival in arrivals:
                known = self._leases.get(arrival.message_id)
                if known is not None:
                    known.ack_id, known.until = arrival.ack_id, now + secs
                    self._copies += 1
                    continue
                size = len(arrival.data)
                self._leases[arrival.message_id] = _Lease(
                    ack_id=arrival.ack_id,
                    published_at=arrival.published_at,
                    received_at=now,
                    until=now + secs,
                    size=size,
                )
                self._ready.append(Message(arrival.message_id, arrival.data))
                self._bytes += size
                self._received += 1
            self._changed.notify_all()

    def take(self, most: int) -> list[Message]:
        """Hands messages to the pipeline, the oldest first; none if none is ready."""
        with self._changed:
            return [self._ready.popleft() for _ in range(min(most, len(self._ready)))]

    def wait(self, secs: float) -> None:
        """Returns when a message is ready, at the latest after so many seconds."""
        with self._changed:
            if not self._ready:
                self._changed.wait(max(0.0, secs))

    def wake(self) -> None:
        """Ends every `wait`."""
        with self._changed:
            self._changed.notify_all()

    def received_at(self, message_id: str) -> float:
        """Returns when a message was pulled, by the clock; now if it is not known any more."""
        lease = self._leases.get(message_id)
        return self._clock() if lease is None else lease.received_at

    def published_at(self, message_id: str) -> float | None:
        """Returns when a message on its way was published, epoch seconds; None if it is not known any more."""
        lease = self._leases.get(message_id)
        return None if lease is None else lease.published_at

    def oldest_published_at(self) -> float | None:
        """Returns the publish time of the message that was pulled first of those on their way."""
        with self._changed:
            first = next(iter(self._leases.values()), None)
            return None if first is None else first.published_at

    def count(self, units: Mapping[str, int]) -> None:
        """Notes how many units messages have."""
        with self._changed:
            for message_id, number in units.items():
                lease = self._leases.get(message_id)
                if lease is not None and not lease.counted:
                    lease.counted = True
                    lease.missing += number
                    self._settle_if_complete(message_id, lease)

    def record(self, recorded: Mapping[str, int]) -> None:
        """Notes how many units of messages are recorded for good."""
        with self._changed:
            for message_id, number in recorded.items():
                lease = self._leases.get(message_id)
                if lease is not None:
                    lease.missing -= number
                    self._settle_if_complete(message_id, lease)

    def _settle_if_complete(self, message_id: str, lease: _Lease) -> None:
        if lease.counted and lease.missing <= 0:
            del self._leases[message_id]
            self._bytes -= lease.size
            self._settled.append(lease.ack_id)
            self._settled_count += 1

    def take_settled(self) -> list[str]:
        """Returns the ack ids of what was settled since the last call."""
        with self._changed:
            settled, self._settled = self._settled, []
            return settled

    def put_back_settled(self, ack_ids: list[str]) -> None:
        """Takes ack ids that could not be acknowledged yet."""
        with self._changed:
            self._settled += ack_ids

    def due(self, within_secs: float) -> dict[str, str]:
        """Returns message id → ack id of the leases that run out soon.

        Args:
          within_secs: what is soon.
        """
        with self._changed:
            limit = self._clock() + within_secs
            return {name: lease.ack_id for name, lease in self._leases.items() if lease.until <= limit}

    def extended(self, message_ids: Iterable[str], secs: float) -> None:
        """Notes that leases run so many seconds from now."""
        with self._changed:
            until = self._clock() + secs
            for message_id in message_ids:
                lease = self._leases.get(message_id)
                if lease is not None:
                    lease.until = until

    def give_back(self) -> list[str]:
        """Forgets what is ready but not taken; returns its ack ids."""
        with self._changed:
            given: list[str] = []
            while self._ready:
                lease = self._leases.pop(self._ready.popleft().ref)
                self._bytes -= lease.size
                given.append(lease.ack_id)
            return given
