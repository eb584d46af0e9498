"""Reading a subscription, from the stand-in and from Google's own fake: all is read, nothing acknowledged too early."""

import time
from collections.abc import Callable
from typing import Any

import pytest
from google.api_core import exceptions

from pipeline.errors import UsageError
from pipeline.sources.pubsub.subscriber import Subscription, SubscriptionBounds, SubscriptionError
from sandbox.pubsub.publisher import PROJECT, PubSub, PubSubClient
from sandbox.shop.generator import batches, purchases
from sandbox.tiktok.control import Sandbox
from sandbox.tiktok.faults import Delay


def test_every_message_is_read_and_acknowledged(
    run_stream: Callable[..., Any], any_pubsub: PubSubClient, sandbox: Sandbox, name: str
) -> None:
    subscription = any_pubsub.subscription(name)
    any_pubsub.publish(name, purchases(3_000))
    ended = run_stream(subscription=subscription, max_messages=3_000)
    assert ended.exit_code == 0
    assert ended.outcomes == {("delivered", None): 3_000}
    assert ended.summary["messages"] == ended.summary["events"] == len(sandbox.accepted()) == 3_000
    assert any_pubsub.pull(subscription) == []
    ledger = ended.rows()
    assert len({row["input_ref"] for row in ledger}) == len(ledger) == 3_000


def test_what_is_not_settled_is_not_acknowledged_and_its_lease_outlives_the_deadline(
    run_stream: Callable[..., Any],
    any_pubsub: PubSubClient,
    sandbox: Sandbox,
    name: str,
    background: Callable[..., Any],
    eventually: Callable[..., None],
) -> None:
    """The reply takes 14 s, the subscription's deadline is 10 s: without extension the message would come twice."""
    subscription = any_pubsub.subscription(name, ack_deadline_seconds=10)
    sandbox.fault(Delay(secs=14))
    any_pubsub.publish(name, purchases(1))
    ends: list[Any] = []
    thread = background(lambda: ends.append(run_stream(subscription=subscription, max_messages=1)))
    eventually(lambda: sandbox.stats().requests == 1)
    time.sleep(12)
    assert any_pubsub.pull(subscription) == []
    if isinstance(any_pubsub, PubSub):
        during = any_pubsub.stats(subscription)
        assert (during.held, during.leased, during.acknowledged) == (1, 1, 0)
    thread.join(60)
    assert ends[0].outcomes == {("delivered", None): 1}
    assert any_pubsub.pull(subscription) == []
    assert sandbox.stats().requests == 1


def test_a_message_is_acknowledged_only_after_the_ledger_file_is_closed(
    run_stream: Callable[..., Any],
    pubsub: PubSub,
    sandbox: Sandbox,
    name: str,
    background: Callable[..., Any],
    eventually: Callable[..., None],
) -> None:
    subscription = pubsub.subscription(name)
    pubsub.publish(name, purchases(10))
    ends: list[Any] = []
    options = {"subscription": subscription, "max_seconds": 7.0, "ledger_flush_secs": 4.0}
    thread = background(lambda: ends.append(run_stream(**options)))
    eventually(lambda: len(sandbox.accepted()) == 10)
    time.sleep(1.5)
    assert pubsub.stats(subscription).acknowledged == 0
    eventually(lambda: pubsub.stats(subscription).acknowledged == 10)
    thread.join(60)
    assert len(ends[0].rows()) == 10


def test_a_message_with_many_events_is_acknowledged_once_all_of_them_are_settled(
    run_stream: Callable[..., Any], any_pubsub: PubSubClient, sandbox: Sandbox, name: str
) -> None:
    subscription = any_pubsub.subscription(name)
    any_pubsub.publish(name, batches(500))
    ended = run_stream(subscription=subscription, max_messages=500)
    assert ended.summary["adds_up"]
    assert ended.summary["events"] > 800
    assert {kind for kind, _ in ended.outcomes} == {"delivered", "skipped", "rejected"}
    assert any_pubsub.pull(subscription) == []
    if isinstance(any_pubsub, PubSub):
        assert any_pubsub.stats(subscription).acknowledged == 500


def test_a_stream_ends_after_max_seconds_and_gives_back_what_it_did_not_take(
    run_stream: Callable[..., Any], any_pubsub: PubSubClient, name: str
) -> None:
    subscription = any_pubsub.subscription(name)
    began = time.monotonic()
    ended = run_stream(subscription=subscription, max_seconds=2.0)
    assert ended.summary["events"] == 0
    assert 2 <= time.monotonic() - began < 15


def test_max_messages_leaves_the_rest_to_be_pulled_at_once(
    run_stream: Callable[..., Any], any_pubsub: PubSubClient, name: str
) -> None:
    subscription = any_pubsub.subscription(name)
    any_pubsub.publish(name, purchases(1_000))
    ended = run_stream(subscription=subscription, max_messages=300)
    assert ended.summary["messages"] == 300
    assert len(any_pubsub.pull_all(subscription)) == 700


def exists(server: PubSubClient, subscription: str) -> bool:
    try:
        server.subscriber.get_subscription(subscription=subscription)
    except exceptions.NotFound:
        return False
    return True


def test_a_topic_gets_a_subscription_for_the_run_alone(
    run_stream: Callable[..., Any],
    any_pubsub: PubSubClient,
    name: str,
    background: Callable[..., Any],
    eventually: Callable[..., None],
    sandbox: Sandbox,
) -> None:
    topic = any_pubsub.topic(name)
    made = f"projects/{PROJECT}/subscriptions/tiktok-events-{name}"
    ends: list[Any] = []
    thread = background(lambda: ends.append(run_stream(run_id=name, topic=topic, max_messages=50)))
    eventually(lambda: exists(any_pubsub, made))
    any_pubsub.publish(name, purchases(50))
    thread.join(60)
    assert ends[0].outcomes == {("delivered", None): 50}
    assert not exists(any_pubsub, made)


def test_unacknowledged_messages_are_bounded_by_number_and_bytes(pubsub: PubSub, name: str) -> None:
    subscription = pubsub.subscription(name)
    pubsub.publish(name, [b"x" * 1_000] * 5_000)
    for bounds, most in ((SubscriptionBounds(messages=200), 200), (SubscriptionBounds(size=300_000), 1_300)):
        reader = Subscription.open(subscription, bounds)
        time.sleep(1.0)
        taken = [message for _ in range(20) for message in reader.take(500)]
        time.sleep(0.5)
        assert len(reader.leases) == len(taken) <= most
        reader.close()
        with pytest.raises(SubscriptionError, match="not being read in this process"):
            Subscription.of(subscription)
        assert len(pubsub.pull(subscription, 1)) == 1


def test_a_subscription_that_is_not_there_is_told_before_anything_starts(
    run_stream: Callable[..., Any], any_pubsub: PubSubClient
) -> None:
    with pytest.raises(UsageError, match=r"Pub/Sub answered NOT_FOUND. There is no such subscription"):
        run_stream(subscription=f"projects/{PROJECT}/subscriptions/none")


def test_a_subscription_that_is_deleted_under_way_ends_the_run_with_its_name(
    run_stream: Callable[..., Any], any_pubsub: PubSubClient, name: str, background: Callable[..., Any]
) -> None:
    subscription = any_pubsub.subscription(name)
    background(lambda: (time.sleep(2), any_pubsub.subscriber.delete_subscription(subscription=subscription)))
    with pytest.raises(Exception, match=f"{name}: Pub/Sub answered NOT_FOUND"):
        run_stream(subscription=subscription, max_seconds=60.0)
