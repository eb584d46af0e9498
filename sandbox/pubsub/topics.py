"""What the stand-in for Pub/Sub remembers: topics, subscriptions, and the leases of what was handed out.

A message is handed out under an ack id with a deadline; what is not acknowledged by then is handed out again, under
another id. With a dead-letter policy, what was handed out too often goes to another topic instead.
Source: Cloud Pub/Sub, "Subscription properties" and "Dead-letter topics", for the attributes of a dead letter.

All memory: an acknowledged message is gone at once, a restart of the process forgets the rest.
"""

import heapq
import itertools
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from google.pubsub_v1 import types

# The wire types themselves: the client library's wrappers around them cost ten times as much.
PubsubMessage: Any = types.PubsubMessage.pb()
ReceivedMessage: Any = types.ReceivedMessage.pb()

# Source: Pub/Sub API v1, `Subscription.ack_deadline_seconds`: "if this parameter is 0, a default value of 10 seconds
# is used"; `dead_letter_policy.max_delivery_attempts`: "if this parameter is 0, a default value of 5 is used".
_DEFAULT_DEADLINE_SECS = 10
_DEFAULT_ATTEMPTS = 5

# The longest a waiting call sleeps before it looks at the deadlines again.
_LOOK_SECS = 0.2

_DEAD = "CloudPubSubDeadLetterSource"


class _Held:
    """A message in a subscription: ready, or leased until its deadline."""

    __slots__ = ("attempts", "deadline", "message")

    def __init__(self, message: Any) -> None:
        self.message = message
        self.attempts = 0
        self.deadline = 0.0


class Subscription:
    """One subscription. Thread-safe.

    Args:
      settings: as it was created, with its defaults filled in.
      clock: seconds.
      bury: takes a message that was handed out too often; None: there is no dead-letter policy.

    Attributes:
      deleted: nothing is handed out any more.
      handed_out: messages handed out, repeats included.
      acknowledged: leases ended by an acknowledgement.
    """

    def __init__(self, settings: Any, clock: Callable[[], float], bury: Callable[[Any], object] | None) -> None:
        settings.ack_deadline_seconds = settings.ack_deadline_seconds or _DEFAULT_DEADLINE_SECS
        self.settings = settings
        self.deleted = False
        self.handed_out = 0
        self.acknowledged = 0
        self._clock = clock
        self._bury = bury
        self._most_attempts = settings.dead_letter_policy.max_delivery_attempts or _DEFAULT_ATTEMPTS
        self._ready: deque[_Held] = deque()
        self._leased: dict[str, _Held] = {}
        self._deadlines: list[tuple[float, str]] = []
        self._numbers = itertools.count(1)
        self._changed = threading.Condition()

    def __len__(self) -> int:
        """Returns how many messages are not acknowledged."""
        with self._changed:
            return len(self._ready) + len(self._leased)

    @property
    def leased(self) -> int:
        """Returns how many messages are handed out and neither acknowledged nor overdue."""
        with self._changed:
            self._expire()
            return len(self._leased)

    def put(self, messages: Iterable[Any]) -> None:
        """Adds published messages."""
        with self._changed:
            self._ready.extend(map(_Held, messages))
            self._changed.notify_all()

    def take(
        self, most: int, wait_secs: float, deadline_secs: int = 0, wanted: Callable[[], bool] = lambda: True
    ) -> list[Any]:
        """Hands out messages; waits for the first one.

        Args:
          most: so many at most.
          wait_secs: so long at most, by the wall clock.
          deadline_secs: of the leases; 0: the subscription's own.
          wanted: returns whether the caller is still there; nothing is handed out to nobody.

        Returns:
          `ReceivedMessage`s, none if none came.
        """
        until = time.monotonic() + wait_secs
        secs = deadline_secs or self.settings.ack_deadline_seconds
        with self._changed:
            self._expire()
            while not self._ready and not self.deleted and wanted() and (left := until - time.monotonic()) > 0:
                self._changed.wait(min(left, _LOOK_SECS))
                self._expire()
            taken: list[Any] = []
            while self._ready and not self.deleted and len(taken) < most and wanted():
                held = self._ready.popleft()
                if self._bury is not None and held.attempts >= self._most_attempts:
                    self._bury(self._dead_letter(held))
                    continue
                taken.append(self._lease(held, secs))
            self.handed_out += len(taken)
            return taken

    def acknowledge(self, ack_ids: Iterable[str]) -> None:
        """Forgets messages; ids whose lease is over are ignored, as the service does."""
        with self._changed:
            self._expire()
            for ack_id in ack_ids:
                if self._leased.pop(ack_id, None) is not None:
                    self.acknowledged += 1

    def extend(self, ack_ids: Iterable[str], secs: int) -> None:
        """Moves deadlines to so many seconds from now; 0 hands the messages out again at once."""
        with self._changed:
            self._expire()
            for ack_id in ack_ids:
                held = self._leased.get(ack_id)
                if held is None:
                    continue
                if secs == 0:
                    self._ready.append(self._leased.pop(ack_id))
                else:
                    self._set_deadline(ack_id, held, secs)
            self._changed.notify_all()

    def delete(self) -> None:
        """Ends all calls that wait."""
        with self._changed:
            self.deleted = True
            self._changed.notify_all()

    def holds(self, ack_id: str) -> bool:
        """Returns whether a lease is still running."""
        return ack_id in self._leased

    def _lease(self, held: _Held, secs: int) -> Any:
        ack_id = f"{self.settings.name}:{held.message.message_id}:{next(self._numbers)}"
        held.attempts += 1
        self._leased[ack_id] = held
        self._set_deadline(ack_id, held, secs)
        # Source: `ReceivedMessage.delivery_attempt`: "if a DeadLetterPolicy is not set …, this will be 0".
        attempt = held.attempts if self._bury is not None else 0
        return ReceivedMessage(ack_id=ack_id, message=held.message, delivery_attempt=attempt)

    def _set_deadline(self, ack_id: str, held: _Held, secs: int) -> None:
        held.deadline = self._clock() + secs
        heapq.heappush(self._deadlines, (held.deadline, ack_id))

    def _expire(self) -> None:
        """Makes overdue messages ready again. The caller holds the lock."""
        now = self._clock()
        while self._deadlines and self._deadlines[0][0] <= now:
            _, ack_id = heapq.heappop(self._deadlines)
            held = self._leased.get(ack_id)
            if held is not None and held.deadline <= now:
                self._ready.append(self._leased.pop(ack_id))

    def _dead_letter(self, held: _Held) -> Any:
        message = PubsubMessage()
        message.CopyFrom(held.message)
        message.attributes[f"{_DEAD}DeliveryCount"] = str(held.attempts)
        message.attributes[f"{_DEAD}Subscription"] = self.settings.name.rpartition("/")[2]
        message.attributes[f"{_DEAD}SubscriptionProject"] = self.settings.name.split("/")[1]
        message.attributes[f"{_DEAD}TopicPublishTime"] = held.message.publish_time.ToJsonString()
        return message


class Topics:
    """All topics and subscriptions. Thread-safe.

    Args:
      clock: seconds, for deadlines.

    Attributes:
      topics: by full name, as they were created.
      subscriptions: by full name.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.topics: dict[str, Any] = {}
        self.subscriptions: dict[str, Subscription] = {}
        self._clock = clock
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()

    def publish(self, topic: str, messages: Sequence[Any]) -> list[str]:
        """Gives messages their id and time, and each subscription of the topic a copy; returns the ids."""
        now_ns = time.time_ns()
        with self._lock:
            for message in messages:
                message.message_id = str(next(self._numbers))
                message.publish_time.FromNanoseconds(now_ns)
            subscribed = [one for one in self.subscriptions.values() if one.settings.topic == topic]
        for subscription in subscribed:
            subscription.put(messages)
        return [message.message_id for message in messages]

    def subscribe(self, settings: Any) -> Subscription:
        """Adds a subscription, which gets what is published from now on."""
        dead_letter_topic = settings.dead_letter_policy.dead_letter_topic
        bury = (lambda message: self.publish(dead_letter_topic, [message])) if dead_letter_topic else None
        subscription = Subscription(settings, self._clock, bury)
        with self._lock:
            self.subscriptions[settings.name] = subscription
        return subscription
