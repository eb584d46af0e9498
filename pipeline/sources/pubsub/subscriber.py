"""A Pub/Sub subscription as one process reads it: pulls ahead, keeps leases, acknowledges what is settled.

One object per process and subscription, because runners make and drop readers as they like, and what one reader had
pulled would otherwise wait for its deadline. A message is acknowledged when the last of its outcomes is recorded, never
before; until then its lease is extended, however long a request is tried again. What is not acknowledged is bounded, by
number and bytes, so that a pipeline that cannot send stops pulling and the messages stay in Pub/Sub.

Killed at any moment, whatever was not acknowledged comes again; equal event ids make the repeat harmless.
"""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import grpc
from google.api_core import exceptions
from google.cloud import pubsub_v1  # type: ignore[attr-defined]  # a name space without types
from google.pubsub_v1 import types

from pipeline.sources.pubsub.leases import Arrival, Leases
from transforms.google_errors import Resource, pubsub_remedy
from transforms.model import Message

_log = logging.getLogger(__name__)

# Source: Pub/Sub API v1, `PullRequest.max_messages`: "The Pub/Sub system may return fewer".
_PULL_MESSAGES: Final = 1_000
# The service answers before this, with or without messages; a call that is given up here could take messages with it.
_PULL_SECS: Final = 60.0
# A pull that came back empty at once is not repeated at once.
_EMPTY_SECS: Final = 0.02

# Ack ids of one call. Source: Pub/Sub, "Quotas and limits": 512 kB a request; an id has some 200 bytes.
_IDS_OF_A_CALL: Final = 1_000

# Source: Pub/Sub API v1, `Subscription.ack_deadline_seconds`: "The minimum custom deadline you can specify is 10
# seconds". Nobody needs the right to read the subscription's settings for it.
_FIRST_LEASE_SECS: Final = 10.0
# What a lease is extended to, and how long before its end. If this process is killed, messages come again after that.
_LEASE_SECS: Final = 30
_SOON_SECS: Final = 6.0
_LOOK_SECS: Final = 1.0

# Acknowledgements are gathered for so long.
_ACKNOWLEDGE_SECS: Final = 0.2

# Between two tries after an error of the service; the longest.
_RETRY_SECS: Final = (0.1, 5.0)
_CALL_SECS: Final = 30.0

_PASSING: Final = (
    exceptions.ServiceUnavailable,
    exceptions.DeadlineExceeded,
    exceptions.ResourceExhausted,
    exceptions.InternalServerError,
    exceptions.Aborted,
    exceptions.Unknown,
    exceptions.Cancelled,
)


class SubscriptionError(Exception):
    """The subscription cannot be read; the message names it and the remedy."""


@dataclass(frozen=True)
class SubscriptionBounds:
    """How much may be on its way, and when reading ends.

    Attributes:
      messages: not acknowledged at a time, those pulled ahead included.
      size: bytes of these messages.
      max_messages: reading ends after so many; None: never.
      max_secs: reading ends after so long; None: never.
    """

    messages: int = 50_000
    size: int = 256 << 20
    max_messages: int | None = None
    max_secs: float | None = None


class Subscription:
    """One subscription of this process.

    Args:
      name: full name.
      bounds: see there.
    """

    _open: dict[str, "Subscription"] = {}
    _opening = threading.Lock()

    @classmethod
    def open(cls, name: str, bounds: SubscriptionBounds) -> "Subscription":
        """Returns a new one, which pulls from now on, until it is closed; steps find it by its name."""
        with cls._opening:
            found = cls._open[name] = cls(name, bounds)
            return found

    @classmethod
    def of(cls, name: str) -> "Subscription":
        """Returns this process's one object for a subscription.

        Raises:
          SubscriptionError: it is not open here; a step that comes late must not begin to pull again.
        """
        found = cls._open.get(name)
        if found is None:
            raise SubscriptionError(f"{name}: it is not being read in this process (any more).")
        return found

    def __init__(self, name: str, bounds: SubscriptionBounds) -> None:
        self.name = name
        self.leases = Leases()
        self._bounds = bounds
        self._client = pubsub_v1.SubscriberClient()
        # Of its own, because closing it is what ends a pull that waits.
        self._puller = pubsub_v1.SubscriberClient()
        self._stop = threading.Event()
        self._closed = threading.Event()
        self._failure: SubscriptionError | None = None
        self._began = time.monotonic()
        self._taken = 0
        self._threads = [
            threading.Thread(target=self._guarded, args=(loop,), name=f"pubsub-{label}", daemon=True)
            for label, loop in (("pull", self._pull_on), ("keep", self._keep_on))
        ]
        for thread in self._threads:
            thread.start()

    # What the pipeline calls

    def stop(self) -> None:
        """Ends reading: nothing more is pulled, what was pulled ahead goes back, what was taken is finished."""
        if not self._stop.is_set():
            self._stop.set()
            self.leases.wake()

    @property
    def stopping(self) -> bool:
        """Returns whether reading has ended, because it was stopped or has reached its bounds."""
        bounds = self._bounds
        if bounds.max_secs is not None and time.monotonic() - self._began >= bounds.max_secs:
            self.stop()
        if bounds.max_messages is not None and self._taken >= bounds.max_messages:
            self.stop()
        return self._stop.is_set()

    def take(self, most: int) -> list[Message]:
        """Returns messages that are ready, none if there are none.

        Raises:
          SubscriptionError: the subscription cannot be read any more.
        """
        if self._failure is not None:
            raise self._failure
        if self.stopping:
            return []
        if self._bounds.max_messages is not None:
            most = min(most, self._bounds.max_messages - self._taken)
        messages = self.leases.take(most)
        self._taken += len(messages)
        return messages

    def close(self) -> None:
        """Acknowledges what is settled, gives back the rest, and forgets the subscription; call it after the run."""
        self.stop()
        self._closed.set()
        self._threads[1].join(_CALL_SECS)
        self._acknowledge()
        self._give_back()
        self._client.close()
        with self._opening:
            self._open.pop(self.name, None)

    # Threads

    def _guarded(self, loop: Callable[[], None]) -> None:
        try:
            loop()
        except exceptions.GoogleAPIError as error:
            self._fail(SubscriptionError(f"{self.name}: {pubsub_remedy(error, Resource.SUBSCRIPTION)}"))
        except Exception as error:  # noqa: BLE001  # a thread that died silently would let the stream stand still
            if self._stop.is_set():
                return  # a pull that was ended
            self._fail(SubscriptionError(f"{self.name}: {type(error).__name__} while reading."))

    def _fail(self, failure: SubscriptionError) -> None:
        if not self._closed.is_set():
            _log.error("%s", failure)
        self._failure = failure
        self.leases.wake()

    def _pull_on(self) -> None:
        wait_secs, is_reported = _RETRY_SECS[0], False
        while not self.stopping:
            room = self._room()
            if not room:
                self._stop.wait(_EMPTY_SECS)
                continue
            try:
                pulled = self._pull(room)
            except _PASSING as error:
                if self._stop.is_set():
                    return
                if not is_reported and not isinstance(error, exceptions.DeadlineExceeded):
                    _log.warning("%s: %s; trying again until it can be pulled from.", self.name, type(error).__name__)
                    is_reported = True
                self._stop.wait(wait_secs)
                wait_secs = min(2 * wait_secs, _RETRY_SECS[1])
                continue
            if is_reported:
                _log.warning("%s: it can be pulled from again.", self.name)
            wait_secs, is_reported = _RETRY_SECS[0], False
            if not pulled:
                self._stop.wait(_EMPTY_SECS)

    def _room(self) -> int:
        """Returns how many messages may be pulled now."""
        if self.leases.size >= self._bounds.size:
            return 0
        return max(0, min(_PULL_MESSAGES, self._bounds.messages - len(self.leases)))

    def _pull(self, most: int) -> int:
        response = self._puller.pull(subscription=self.name, max_messages=most, timeout=_PULL_SECS, retry=None)
        # The wire's own type: the wrappers around it cost ten times as much.
        received = types.PullResponse.pb(response).received_messages
        self.leases.arrive(
            (
                Arrival(
                    ack_id=one.ack_id,
                    message_id=one.message.message_id,
                    data=one.message.data,
                    published_at=one.message.publish_time.seconds + one.message.publish_time.nanos / 1e9,
                )
                for one in received
            ),
            _FIRST_LEASE_SECS,
        )
        return len(received)

    def _keep_on(self) -> None:
        look_at = 0.0
        while not self._closed.wait(_ACKNOWLEDGE_SECS):
            self._acknowledge()
            if self._stop.is_set():
                self._give_back()
            if time.monotonic() >= look_at:
                self._extend()
                look_at = time.monotonic() + _LOOK_SECS

    def _acknowledge(self) -> None:
        self.leases.put_back_settled(self._call(self._client.acknowledge, self.leases.take_settled()))

    def _extend(self) -> None:
        due = self.leases.due(_SOON_SECS)
        failed = set(self._call(self._client.modify_ack_deadline, list(due.values()), ack_deadline_seconds=_LEASE_SECS))
        self.leases.extended((name for name, ack_id in due.items() if ack_id not in failed), _LEASE_SECS)

    def _give_back(self) -> None:
        """Ends pulling, then hands back what was pulled ahead and not taken; it comes again by itself if that fails."""
        if self._threads[0].is_alive():
            self._puller.close()
            self._threads[0].join(_CALL_SECS)
        self._call(self._client.modify_ack_deadline, self.leases.give_back(), ack_deadline_seconds=0)

    def _call(self, method: Callable[..., object], ack_ids: list[str], **arguments: int) -> list[str]:
        """Makes calls for ack ids; returns those that could not be made. A later round tries again."""
        for start in range(0, len(ack_ids), _IDS_OF_A_CALL):
            part = ack_ids[start : start + _IDS_OF_A_CALL]
            try:
                method(subscription=self.name, ack_ids=part, timeout=_CALL_SECS, retry=None, **arguments)
            except (*_PASSING, grpc.RpcError) as error:
                _log.debug("%s: %s", self.name, type(error).__name__)
                return ack_ids[start:]
        return []
