"""A client of a Pub/Sub, the stand-in or another: makes topics, publishes at a rate, asks the stand-in for its counts.

    python -m sandbox.pubsub.publisher --topic mparticle --rate 100     # to PUBSUB_EMULATOR_HOST

with PubSub() as server:
    subscription = server.subscription("orders")
    server.publish("orders", messages, per_second=1000)
"""

import argparse
import os
import sys
import time
from collections.abc import Iterable, Sequence
from itertools import islice
from types import TracebackType
from typing import Any, Self

import grpc
import msgspec
from google.api_core import exceptions
from google.pubsub_v1 import PublisherClient, SubscriberClient, types
from google.pubsub_v1.services.publisher.transports import PublisherGrpcTransport
from google.pubsub_v1.services.subscriber.transports import SubscriberGrpcTransport

from sandbox.process import StandIn
from sandbox.pubsub.server import SERVICE, SubscriptionStats
from sandbox.shop import generator

# Beam wants at least six characters.
PROJECT = "demo-project"

# Messages of one request; at 1,000 a second one goes out every tenth of a second.
_TOGETHER = 500
_TICK_SECS = 0.1

_PublishRequest: Any = types.PublishRequest.pb()
_PublishResponse: Any = types.PublishResponse.pb()
_PubsubMessage: Any = types.PubsubMessage.pb()
_PullRequest: Any = types.PullRequest.pb()
_PullResponse: Any = types.PullResponse.pb()


class PubSubClient:
    """A server of Pub/Sub at an address of loopback, without TLS and credentials.

    Args:
      address: HOST:PORT.
    """

    def __init__(self, address: str) -> None:
        self.address = address
        self._channel = grpc.insecure_channel(
            address, [("grpc.max_receive_message_length", 64 << 20), ("grpc.max_reconnect_backoff_ms", 500)]
        )
        self.publisher = PublisherClient(transport=PublisherGrpcTransport(channel=self._channel))
        self.subscriber = SubscriberClient(transport=SubscriberGrpcTransport(channel=self._channel))
        self._publish = self._channel.unary_unary(
            "/google.pubsub.v1.Publisher/Publish", _PublishRequest.SerializeToString, _PublishResponse.FromString
        )
        self._pull = self._channel.unary_unary(
            "/google.pubsub.v1.Subscriber/Pull", _PullRequest.SerializeToString, _PullResponse.FromString
        )

    def topic(self, name: str) -> str:
        """Makes a topic and returns its full name."""
        full_name = f"projects/{PROJECT}/topics/{name}"
        self.publisher.create_topic(name=full_name)
        return full_name

    def subscription(self, name: str, **settings: Any) -> str:
        """Makes a topic and a subscription to it, both of this name; returns the subscription's full name.

        Args:
          name: without project.
          settings: fields of Pub/Sub's `Subscription`.
        """
        full_name = f"projects/{PROJECT}/subscriptions/{name}"
        request = types.Subscription(name=full_name, topic=self.topic(name), **settings)
        self.subscriber.create_subscription(request=request)
        return full_name

    def publish(self, topic: str, messages: Iterable[bytes], per_second: float | None = None) -> int:
        """Publishes messages and returns how many; blocks until the last one is out.

        Args:
          topic: its name, without project.
          messages: bodies.
          per_second: rate to keep to; None: as fast as it goes.
        """
        full_name = f"projects/{PROJECT}/topics/{topic}"
        began, sent = time.monotonic(), 0
        together = _TOGETHER if per_second is None else max(1, min(_TOGETHER, int(per_second * _TICK_SECS)))
        left = iter(messages)
        while True:
            if per_second is not None:
                time.sleep(max(0.0, began + sent / per_second - time.monotonic()))
            group = [_PubsubMessage(data=body) for body in islice(left, together)]
            if not group:
                return sent
            self._publish(_PublishRequest(topic=full_name, messages=group))
            sent += len(group)

    def pull(self, subscription: str, most: int = 1_000) -> list[Any]:
        """Returns what can be had at once, not acknowledged."""
        # Not by the client's method, which warns that one should wait.
        request = _PullRequest(subscription=subscription, max_messages=most, return_immediately=True)
        return list(self._pull(request, timeout=10).received_messages)

    def pull_all(self, subscription: str) -> list[Any]:
        """Takes and acknowledges what there is now; returns the messages."""
        taken: list[Any] = []
        while received := self.pull(subscription):
            self.subscriber.acknowledge(subscription=subscription, ack_ids=[one.ack_id for one in received])
            taken += [one.message for one in received]
        return taken

    def close(self) -> None:
        """Closes the connection."""
        self._channel.close()


class PubSub(PubSubClient):
    """The stand-in for Pub/Sub in a process of its own, and its client.

    Args:
      port: 0 for a free one.
    """

    def __init__(self, port: int = 0) -> None:
        self._stand_in = StandIn("sandbox.pubsub", ["--port", str(port)])

    def __enter__(self) -> Self:
        self._stand_in.start()
        super().__init__(self._stand_in.address)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
        self._stand_in.stop()

    @property
    def pid(self) -> int:
        """Returns the number of the server's process."""
        return self._stand_in.pid

    def stats(self, subscription: str) -> SubscriptionStats:
        """Returns the counts of one subscription."""
        return self.all_stats()[subscription]

    def all_stats(self) -> dict[str, SubscriptionStats]:
        """Returns the counts of every subscription by its full name."""
        answer = self._channel.unary_unary(f"/{SERVICE}/Stats")(b"", wait_for_ready=True, timeout=60)
        return msgspec.json.decode(answer, type=dict[str, SubscriptionStats])

    def go_away(self, secs: float) -> None:
        """Lets it end all calls and refuse connections for so many seconds; what it stores stays."""
        self._channel.unary_unary(f"/{SERVICE}/GoAway")(msgspec.json.encode(secs), timeout=10)


def main(argv: Sequence[str] | None = None) -> int:
    """Publishes generated batches to the server that PUBSUB_EMULATOR_HOST names; returns the exit code."""
    parser = argparse.ArgumentParser("sandbox.pubsub.publisher", description="Publishes generated mParticle batches.")
    parser.add_argument("--topic", default="mparticle", help=f"of {PROJECT}; made if it is missing")
    parser.add_argument("--rate", type=float, default=100.0, help="messages a second (default: 100)")
    parser.add_argument("--count", type=int, default=3_000, help="how many messages (default: 3000)")
    options = parser.parse_args(argv)
    address = os.environ.get("PUBSUB_EMULATOR_HOST")
    if not address:
        parser.error("PUBSUB_EMULATOR_HOST is not set: start `python -m sandbox.pubsub`, and export its address")
    client = PubSubClient(address)
    try:
        client.topic(options.topic)
    except exceptions.AlreadyExists:
        pass
    except exceptions.GoogleAPICallError as error:
        parser.error(f"no answer from {address} ({type(error).__name__}); is `python -m sandbox.pubsub` running?")
    now_ms = int(time.time() * 1_000)
    every_ms = max(1, round(1_000 / options.rate))
    sent = client.publish(
        options.topic, generator.batches(options.count, start_ms=now_ms, every_ms=every_ms), options.rate
    )
    sys.stdout.write(f"{sent:,} messages published to projects/{PROJECT}/topics/{options.topic}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
