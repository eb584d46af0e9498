"""A stream as `run_job` runs it: its source, its last step, when it ends, and what is left when it has ended."""

import functools
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import apache_beam as beam
from google.api_core import exceptions
from google.auth.exceptions import GoogleAuthError
from google.cloud import pubsub_v1  # type: ignore[attr-defined]  # a name space without types
from google.protobuf import duration_pb2
from google.pubsub_v1 import types

from pipeline.errors import CommandError
from pipeline.jobs.beam_patches import join_metrics_at_once
from pipeline.options import DATAFLOW_RUNNER, LOCAL_RUNNER, RunOptions
from pipeline.records import AcknowledgeMessages, Records, RegisterUnits, Settlement
from pipeline.runtime import stopped_by_signals
from pipeline.sources import ReadFromDataflow, ReadSubscription, Subscription, SubscriptionBounds
from transforms.google_errors import Resource, pubsub_remedy
from transforms.streaming import Stream

_log = logging.getLogger(__name__)


# FnApiRunner fires real-time timers at once, so a bundle lasts as long as a batch may wait, and its end sends it.
# Elsewhere timers keep their time, and bundles are short.
_SHORT_BUNDLE_SECS = 0.2

# A subscription that was made for a topic, should nobody remove it. Source: Pub/Sub API v1, `ExpirationPolicy.ttl`: at
# least one day.
_FORGOTTEN_SECS = 86_400
_TEMPORARY_DEADLINE_SECS = 60


@dataclass(frozen=True)
class StreamPlan:
    """How one stream is run.

    Attributes:
      read: the first step.
      record: the last step; None: the one of a batch.
      stream: for the steps between.
      subscription: read by this process; None: the engine reads.
      bounds: of that subscription.
      temporary: the subscription was made for this run.
    """

    read: beam.PTransform
    record: beam.PTransform | None
    stream: Stream
    subscription: str | None = None
    bounds: SubscriptionBounds = SubscriptionBounds()
    temporary: bool = False


def is_stream_stopping(subscription: str) -> bool:
    """Returns whether the stream of a subscription is to end. Workers import it by name."""
    return Subscription.of(subscription).stopping


def plan(options: RunOptions, runner: str, records: Records) -> StreamPlan:
    """Returns how to run a stream; makes the subscription for a topic.

    Raises:
      ValueError: there is no such subscription or topic, or it cannot be read from.
    """
    if runner == DATAFLOW_RUNNER:
        read = ReadFromDataflow(options.subscription, options.topic)
        return StreamPlan(read=read, record=None, stream=Stream())
    try:
        client = pubsub_v1.SubscriberClient()
    except GoogleAuthError as error:
        raise ValueError(f"--subscription/--topic: {pubsub_remedy(error, Resource.SUBSCRIPTION)}") from error
    with client:
        name = _temporary(client, options) if options.topic else _checked(client, options.subscription or "")
    if runner == LOCAL_RUNNER:
        join_metrics_at_once()
    bounds = SubscriptionBounds(max_messages=options.max_messages, max_secs=options.max_seconds)
    hold_secs = options.connection.max_wait_secs if runner == LOCAL_RUNNER else _SHORT_BUNDLE_SECS
    return StreamPlan(
        read=ReadSubscription(name, hold_secs),
        record=AcknowledgeMessages(records, name),
        stream=Stream(register_units=RegisterUnits(name), stopping=functools.partial(is_stream_stopping, name)),
        subscription=name,
        bounds=bounds,
        temporary=options.topic is not None,
    )


@contextmanager
def running(plan: StreamPlan) -> Iterator[None]:
    """Reads the subscription inside the `with` block; ends reading on SIGTERM and SIGINT.

    After the block everything that is settled is acknowledged, the rest is given back, and what cannot be recorded or
    read any more is logged.

    Raises:
      CommandError: the stream ended before it was to end.
    """
    if plan.subscription is None:
        yield
        return
    try:
        subscription = Subscription.open(plan.subscription, plan.bounds)
        try:
            with stopped_by_signals(subscription.stop):
                yield
        finally:
            _finish(subscription)
    except Exception as error:
        raise _named(error, plan.subscription) from error
    finally:
        if plan.temporary:
            _remove(plan.subscription)


def _finish(subscription: Subscription) -> None:
    try:
        Settlement.close_all()
    finally:
        subscription.close()
        counts, left = subscription.leases.counts, len(subscription.leases)
        _log.info("%d messages read, %d settled, %d delivered again meanwhile.", *counts)
        if left:
            _log.warning("%d messages were read and are not acknowledged; Pub/Sub delivers them again.", left)


def _named(error: Exception, subscription: str) -> Exception:
    """Returns the error for the command line, with the remedy, where it has a known cause."""
    text = f"{type(error).__name__}: {error}"
    if "CircuitOpenError" in text:
        return CommandError(
            "Ended while TikTok refuses the token or the connection; see the log. What was not sent stays in "
            f"{subscription}. Run `check --online`, correct it, then start again."
        )
    for name in ("SubscriptionError", "WriteError", "DeadLetterTopicError"):
        if f"{name}: " in text:
            message = text.rpartition(f"{name}: ")[2].splitlines()[0]
            return CommandError(f"{message} What is not acknowledged stays in {subscription}.")
    return error


def _checked(client: pubsub_v1.SubscriberClient, name: str) -> str:
    """Returns the name of a subscription that exists, or of one that we may not ask about."""
    try:
        settings = client.get_subscription(subscription=name, timeout=30)
    except exceptions.PermissionDenied:
        return name  # roles/pubsub.subscriber may pull, and not ask
    except (exceptions.GoogleAPIError, GoogleAuthError) as error:
        raise ValueError(f"--subscription {name}: {pubsub_remedy(error, Resource.SUBSCRIPTION)}") from error
    if settings.push_config.push_endpoint:
        raise ValueError(f"--subscription {name} pushes; make one with delivery type pull.")
    if settings.enable_message_ordering:
        _log.warning("%s delivers in order, which slows it and serves nothing here; make one without ordering.", name)
    return name


def _temporary(client: pubsub_v1.SubscriberClient, options: RunOptions) -> str:
    topic = options.topic or ""
    # A letter first, because Pub/Sub wants one.
    name = f"projects/{topic.split('/')[1]}/subscriptions/tiktok-events-{options.run_id}"
    request = types.Subscription(
        name=name,
        topic=topic,
        ack_deadline_seconds=_TEMPORARY_DEADLINE_SECS,
        expiration_policy={"ttl": duration_pb2.Duration(seconds=_FORGOTTEN_SECS)},
    )
    try:
        client.create_subscription(request=request, timeout=30)
    except (exceptions.GoogleAPIError, GoogleAuthError) as error:
        raise ValueError(f"--topic {topic}: {pubsub_remedy(error, Resource.SOURCE_TOPIC)}") from error
    return name


def _remove(subscription: str) -> None:
    with pubsub_v1.SubscriberClient() as client:
        try:
            client.delete_subscription(subscription=subscription, timeout=30)
        except exceptions.GoogleAPIError as error:
            _log.warning("%s could not be removed (%s); it expires after a day.", subscription, type(error).__name__)
