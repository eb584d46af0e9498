"""A stand-in for Cloud Pub/Sub over gRPC: `python -m sandbox.pubsub --port 8085`. Prints `READY HOST:PORT`.

Google's own client libraries, and everything built on them, reach it with `PUBSUB_EMULATOR_HOST=HOST:PORT`. Topics,
subscriptions, publish, pull, streaming pull, acknowledgement, deadlines, redelivery and dead-letter topics behave as
documented; ordering, filters, push and exactly-once delivery are refused, since half of them would deceive.

Two methods are its own, under the service `sandbox.PubSub`: `Stats`, and `GoAway`, which ends every call and refuses
connections for a while, as an outage does; what is stored stays.
"""

import argparse
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent import futures
from typing import Any

import grpc
import msgspec
from google.protobuf import empty_pb2
from google.pubsub_v1 import types

from sandbox.pubsub.topics import Subscription, Topics

SERVICE = "sandbox.PubSub"

# A call that waits, or a stream, holds a thread.
_THREADS = 64
# Source: Pub/Sub, "Quotas and limits": 10 MB a publish request; with room for what surrounds it.
_MAX_BYTES = 64 << 20
# A pull without a deadline of its own waits so long; so does one whose client would wait longer.
_PULL_SECS = 20.0
# Messages of one response of a stream.
_STREAM_MESSAGES = 500
_STREAM_WAIT_SECS = 0.1
# A stream that names no limit.
_STREAM_OUTSTANDING = 1_000

_PullResponse: Any = types.PullResponse.pb()
_StreamingPullResponse: Any = types.StreamingPullResponse.pb()
_PublishResponse: Any = types.PublishResponse.pb()

# `grpc.ServicerContext`; the package has no types.
Context = Any


class SubscriptionStats(msgspec.Struct, frozen=True):
    """One subscription: messages not acknowledged, leased now, handed out in all, acknowledged in all."""

    held: int
    leased: int
    handed_out: int
    acknowledged: int


class PubSubServer:
    """Serves topics and subscriptions on one address, of loopback.

    Args:
      address: HOST:PORT; port 0 for a free one.

    Attributes:
      address: with the port that it got.
    """

    def __init__(self, address: str = "127.0.0.1:0") -> None:
        self.topics = Topics()
        self.address = address
        self._server: grpc.Server | None = None

    def start(self) -> None:
        """Listens.

        Raises:
          RuntimeError: the port is taken.
        """
        server = grpc.server(
            futures.ThreadPoolExecutor(_THREADS),
            options=[
                ("grpc.max_receive_message_length", _MAX_BYTES),
                ("grpc.max_send_message_length", _MAX_BYTES),
                # Two servers on one port would each get some of the calls.
                ("grpc.so_reuseport", 0),
            ],
        )
        server.add_generic_rpc_handlers(
            (
                grpc.method_handlers_generic_handler("google.pubsub.v1.Publisher", self._publisher()),
                grpc.method_handlers_generic_handler("google.pubsub.v1.Subscriber", self._subscriber()),
                grpc.method_handlers_generic_handler(SERVICE, self._own()),
            )
        )
        port = server.add_insecure_port(self.address)
        self.address = f"{self.address.rpartition(':')[0]}:{port}"
        server.start()
        self._server = server

    def stop(self) -> None:
        """Ends every call and closes the port; what is stored stays, for another `start`."""
        if self._server is not None:
            self._server.stop(None).wait()
            self._server = None

    def go_away(self, secs: float) -> None:
        """Stops at once and starts again after so many seconds."""
        self.stop()
        timer = threading.Timer(secs, self.start)
        timer.daemon = True
        timer.start()

    def _publisher(self) -> dict[str, grpc.RpcMethodHandler]:
        return {
            "CreateTopic": _unary(self._create_topic, types.Topic),
            "GetTopic": _unary(lambda request, context: self._topic(request.topic, context), types.GetTopicRequest),
            "DeleteTopic": _unary(self._delete_topic, types.DeleteTopicRequest),
            "Publish": _unary(self._publish, types.PublishRequest),
        }

    def _subscriber(self) -> dict[str, grpc.RpcMethodHandler]:
        return {
            "CreateSubscription": _unary(self._create_subscription, types.Subscription),
            "GetSubscription": _unary(
                lambda request, context: self._subscription(request.subscription, context).settings,
                types.GetSubscriptionRequest,
            ),
            "DeleteSubscription": _unary(self._delete_subscription, types.DeleteSubscriptionRequest),
            "Pull": _unary(self._pull, types.PullRequest),
            "Acknowledge": _unary(self._acknowledge, types.AcknowledgeRequest),
            "ModifyAckDeadline": _unary(self._modify, types.ModifyAckDeadlineRequest),
            "StreamingPull": grpc.stream_stream_rpc_method_handler(
                self._streaming_pull,
                types.StreamingPullRequest.pb().FromString,
                _StreamingPullResponse.SerializeToString,
            ),
        }

    def _own(self) -> dict[str, grpc.RpcMethodHandler]:
        return {
            "Stats": grpc.unary_unary_rpc_method_handler(lambda _, __: msgspec.json.encode(self.stats())),
            "GoAway": grpc.unary_unary_rpc_method_handler(self._go_away),
        }

    def stats(self) -> dict[str, SubscriptionStats]:
        """Returns the counts of every subscription by its name."""
        return {
            name: SubscriptionStats(
                held=len(one), leased=one.leased, handed_out=one.handed_out, acknowledged=one.acknowledged
            )
            for name, one in list(self.topics.subscriptions.items())
        }

    def _go_away(self, body: bytes, _: Context) -> bytes:
        # Soon, not now: this very call wants its answer.
        threading.Timer(0.05, self.go_away, [msgspec.json.decode(body, type=float)]).start()
        return b"{}"

    def _create_topic(self, request: Any, context: Context) -> Any:
        if request.name in self.topics.topics:
            context.abort(grpc.StatusCode.ALREADY_EXISTS, f"Topic already exists: {request.name}")
        self.topics.topics[request.name] = request
        return request

    def _topic(self, name: str, context: Context) -> Any:
        if name not in self.topics.topics:
            context.abort(grpc.StatusCode.NOT_FOUND, f"Resource not found (resource={name.rpartition('/')[2]}).")
        return self.topics.topics[name]

    def _delete_topic(self, request: Any, context: Context) -> Any:
        self._topic(request.topic, context)
        del self.topics.topics[request.topic]
        return empty_pb2.Empty()

    def _publish(self, request: Any, context: Context) -> Any:
        self._topic(request.topic, context)
        if not request.messages:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "The value for message_count is too small.")
        return _PublishResponse(message_ids=self.topics.publish(request.topic, request.messages))

    def _create_subscription(self, request: Any, context: Context) -> Any:
        self._topic(request.topic, context)
        if request.name in self.topics.subscriptions:
            context.abort(grpc.StatusCode.ALREADY_EXISTS, f"Subscription already exists: {request.name}")
        for name in ("enable_message_ordering", "enable_exactly_once_delivery", "filter"):
            if getattr(request, name):
                context.abort(grpc.StatusCode.UNIMPLEMENTED, f"This stand-in does not know {name}.")
        if request.push_config.push_endpoint:
            context.abort(grpc.StatusCode.UNIMPLEMENTED, "This stand-in does not push.")
        return self.topics.subscribe(request).settings

    def _subscription(self, name: str, context: Context) -> Subscription:
        if name not in self.topics.subscriptions:
            context.abort(grpc.StatusCode.NOT_FOUND, f"Resource not found (resource={name.rpartition('/')[2]}).")
        return self.topics.subscriptions[name]

    def _delete_subscription(self, request: Any, context: Context) -> Any:
        self._subscription(request.subscription, context).delete()
        del self.topics.subscriptions[request.subscription]
        return empty_pb2.Empty()

    def _pull(self, request: Any, context: Context) -> Any:
        subscription = self._subscription(request.subscription, context)
        left = context.time_remaining()
        # Answered a little before the client gives up: what is handed out to nobody waits for its deadline.
        wait_secs = 0.0 if request.return_immediately else min(_PULL_SECS, (left or _PULL_SECS) - 0.2)
        taken = subscription.take(request.max_messages or 1, wait_secs, wanted=context.is_active)
        return _PullResponse(received_messages=taken)

    def _acknowledge(self, request: Any, context: Context) -> Any:
        self._subscription(request.subscription, context).acknowledge(request.ack_ids)
        return empty_pb2.Empty()

    def _modify(self, request: Any, context: Context) -> Any:
        self._subscription(request.subscription, context).extend(request.ack_ids, request.ack_deadline_seconds)
        return empty_pb2.Empty()

    def _streaming_pull(self, requests: Iterator[Any], context: Context) -> Iterator[Any]:
        first = next(requests)
        subscription = self._subscription(first.subscription, context)
        limit = first.max_outstanding_messages or _STREAM_OUTSTANDING
        ended = threading.Event()

        def listen() -> None:
            try:
                for request in requests:
                    subscription.acknowledge(request.ack_ids)
                    pairs = zip(request.modify_deadline_ack_ids, request.modify_deadline_seconds, strict=True)
                    for ack_id, secs in pairs:
                        subscription.extend([ack_id], secs)
            except grpc.RpcError:
                pass  # the client is gone, or we are
            ended.set()

        threading.Thread(target=listen, daemon=True).start()
        outstanding: set[str] = set()
        while context.is_active() and not subscription.deleted and not ended.is_set():
            outstanding = {ack_id for ack_id in outstanding if subscription.holds(ack_id)}
            room = min(_STREAM_MESSAGES, limit - len(outstanding))
            if room <= 0:
                ended.wait(0.01)
                continue
            taken = subscription.take(room, _STREAM_WAIT_SECS, first.stream_ack_deadline_seconds, context.is_active)
            if taken:
                outstanding.update(message.ack_id for message in taken)
                yield _StreamingPullResponse(received_messages=taken)


def _unary(method: Callable[[Any, Context], Any], request: Any) -> grpc.RpcMethodHandler:
    return grpc.unary_unary_rpc_method_handler(
        method, request.pb().FromString, lambda response: response.SerializeToString()
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Serves until a signal stops it; returns the exit code: 1 if the port is taken."""
    parser = argparse.ArgumentParser("sandbox.pubsub", description="A stand-in for Cloud Pub/Sub on this machine.")
    parser.add_argument("--port", type=int, default=0, help="0, the default: a free one")
    parser.add_argument("--until-stdin-closes", action="store_true", help="end with the process that started it")
    options = parser.parse_args(argv)
    server = PubSubServer(f"127.0.0.1:{options.port}")
    try:
        server.start()
    except RuntimeError:
        sys.stderr.write(f"cannot listen on {server.address}\n")
        return 1
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    if options.until_stdin_closes:
        threading.Thread(target=_wait_for_stdin, args=(stop,), daemon=True).start()
    sys.stdout.write(f"READY {server.address}\n")
    sys.stdout.flush()
    stop.wait()
    server.stop()
    return 0


def _wait_for_stdin(stop: threading.Event) -> None:
    while os.read(sys.stdin.fileno(), 1024):
        pass
    stop.set()
