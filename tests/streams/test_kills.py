"""Streams as programs that are killed, stopped and cut off: nothing lost, nothing counted twice, all in the ledger."""

import random
import time
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

import msgspec
import pytest

from sandbox.control import Sandbox
from sandbox.faults import Delay, Html
from sandbox.generator import purchases
from sandbox.publishing import PubSub

pytestmark = pytest.mark.alone

MESSAGES = 50_000


def event_ids(messages: Iterable[bytes]) -> set[str]:
    """Returns what TikTok is to deduplicate on, read from the messages themselves."""
    return {
        event["data"]["source_message_id"]
        for message in messages
        for event in msgspec.json.decode(message)["events"]
        if event["event_type"] == "commerce_event"
    }


def delivered(rows: list[dict[str, Any]]) -> set[str]:
    return {row["event_id"] for row in rows if row["kind"] == "delivered"}


def test_killed_at_ten_random_moments_and_inside_a_send_nothing_is_lost_and_nothing_counts_twice(
    start_stream: Callable[..., Any],
    pubsub: PubSub,
    sandbox: Sandbox,
    name: str,
    background: Callable[..., Any],
    eventually: Callable[..., None],
    ledger_rows: Callable[[], list[dict[str, Any]]],
) -> None:
    subscription = pubsub.subscription(name)
    messages = list(purchases(MESSAGES, seed=5))
    sandbox.fault(Delay(secs=0.1))
    publisher = background(lambda: pubsub.publish(name, messages, per_second=1_500))
    moments = random.Random(20240620)  # noqa: S311  # the same moments in every run
    for kill in range(11):
        stream = start_stream(subscription)
        before = sandbox.stats().requests
        eventually(lambda before=before: sandbox.stats().requests > before)
        if kill < 10:
            time.sleep(moments.uniform(0, 1.5))
        else:
            sandbox.fault(Delay(secs=5, when="before", limit=1))
            eventually(lambda: sandbox.applied()[-1].hit == 1)  # on its way, and nobody answers it
        assert stream.process.poll() is None
        stream.kill()
    publisher.join(120)
    stream = start_stream(subscription)
    eventually(lambda: pubsub.stats(subscription).held == 0, 150)
    assert stream.terminate() == 0
    expected = event_ids(messages)
    accepted = {key.event_id: count for key, count in sandbox.accepted().items()}
    assert set(accepted) == expected
    assert set(accepted.values()) == {1}
    stats = sandbox.stats()
    assert stats.keys_accepted_again == 0
    assert stats.duplicates > 0, "no kill hit anything: what was sent and not acknowledged has to come again"
    rows = ledger_rows()
    assert delivered(rows) == expected
    assert {row["kind"] for row in rows} == {"delivered"}
    assert "Traceback" not in stream.log


def test_sigterm_ends_with_everything_settled_or_still_unacknowledged(
    start_stream: Callable[..., Any],
    pubsub: PubSub,
    sandbox: Sandbox,
    name: str,
    background: Callable[..., Any],
    eventually: Callable[..., None],
    ledger_rows: Callable[[], list[dict[str, Any]]],
) -> None:
    subscription = pubsub.subscription(name)
    messages = list(purchases(20_000, seed=6))
    publisher = background(lambda: pubsub.publish(name, messages, per_second=3_000))
    stream = start_stream(subscription)
    eventually(lambda: len(sandbox.accepted()) > 3_000)
    assert stream.terminate() == 0
    summary = msgspec.json.decode((stream.folder / "summary.json").read_bytes())
    publisher.join(60)
    stats = pubsub.stats(subscription)
    settled = delivered(ledger_rows())
    assert summary["adds_up"]
    assert 3_000 < summary["messages"] < 20_000
    assert len(settled) == summary["events"] == stats.acknowledged
    assert stats.held == 20_000 - stats.acknowledged
    # What was read ahead was handed back: all of it can be had at once, and is what was not settled.
    rest = event_ids(message.data for message in pubsub.pull_all(subscription))
    assert rest | settled == event_ids(messages)
    assert not rest & settled


def test_pubsub_is_away_in_mid_stream(
    start_stream: Callable[..., Any],
    pubsub: PubSub,
    sandbox: Sandbox,
    name: str,
    eventually: Callable[..., None],
    ledger_rows: Callable[[], list[dict[str, Any]]],
) -> None:
    subscription = pubsub.subscription(name)
    messages = list(purchases(8_000, seed=7))
    pubsub.publish(name, messages[:4_000])
    stream = start_stream(subscription)
    eventually(lambda: len(sandbox.accepted()) > 500)
    pubsub.go_away(4.0)
    time.sleep(5)
    eventually(lambda: pubsub.publish(name, messages[4_000:]) == 4_000)
    eventually(lambda: pubsub.stats(subscription).held == 0)
    assert stream.terminate() == 0
    assert delivered(ledger_rows()) == event_ids(messages) == {key.event_id for key in sandbox.accepted()}
    assert sandbox.stats().keys_accepted_again == 0
    assert "can be pulled from again" in stream.log


def test_tiktok_is_down_for_60_seconds(
    start_stream: Callable[..., Any],
    pubsub: PubSub,
    sandbox: Sandbox,
    name: str,
    background: Callable[..., Any],
    eventually: Callable[..., None],
    ledger_rows: Callable[[], list[dict[str, Any]]],
) -> None:
    """Nobody's lease ends meanwhile, nothing is a dead letter, and all is delivered afterwards."""
    subscription = pubsub.subscription(name)
    messages = list(purchases(6_000, seed=8))
    stream = start_stream(subscription, retry_secs=300.0)
    publisher = background(lambda: pubsub.publish(name, messages, per_second=100))
    eventually(lambda: len(sandbox.accepted()) > 100)
    sandbox.fault(Html(status=502, to_secs=60))
    publisher.join(90)
    eventually(lambda: pubsub.stats(subscription).held == 0, 120)
    assert stream.terminate() == 0
    stats = pubsub.stats(subscription)
    assert stats.handed_out == stats.acknowledged == 6_000
    rows = ledger_rows()
    assert Counter(row["kind"] for row in rows) == {"delivered": 6_000}
    assert delivered(rows) == event_ids(messages)


def test_one_percent_of_poison_harms_nobody_else(
    start_stream: Callable[..., Any],
    pubsub: PubSub,
    sandbox: Sandbox,
    name: str,
    eventually: Callable[..., None],
    ledger_rows: Callable[[], list[dict[str, Any]]],
) -> None:
    subscription = pubsub.subscription(name)
    good = list(purchases(9_900, seed=9))
    poison = [b"", b"{", b"\x1f\x8b damaged", b"[]", b'"text"', b'{"events":7}', b"\xff\xfe", b"{" * 9_000] * 13
    messages = good + poison[:100]
    random.Random(1).shuffle(messages)  # noqa: S311  # as above
    pubsub.publish(name, messages)
    stream = start_stream(subscription)
    eventually(lambda: pubsub.stats(subscription).held == 0)
    assert stream.terminate() == 0
    kinds = Counter(row["kind"] for row in ledger_rows())
    assert kinds["delivered"] == 9_900
    assert kinds["rejected"] + kinds["skipped"] == 100
    assert kinds["rejected"] > 80
    assert delivered(ledger_rows()) == event_ids(good)


def test_duplicates_from_the_publisher_count_once(
    start_stream: Callable[..., Any],
    pubsub: PubSub,
    sandbox: Sandbox,
    name: str,
    eventually: Callable[..., None],
    ledger_rows: Callable[[], list[dict[str, Any]]],
) -> None:
    """As mParticle batches again: other message, batch and event ids, the same source_message_id."""
    subscription = pubsub.subscription(name)
    messages = list(purchases(2_000, seed=10))
    again = []
    for number, message in enumerate(messages):
        batch = msgspec.json.decode(message)
        batch["batch_id"] = str(number)
        for event in batch["events"]:
            event["data"]["event_id"] = str(10**15 + number)
        again.append(msgspec.json.encode(batch))
    pubsub.publish(name, messages + again)
    stream = start_stream(subscription)
    eventually(lambda: pubsub.stats(subscription).held == 0)
    assert stream.terminate() == 0
    assert {key.event_id for key in sandbox.accepted()} == event_ids(messages)
    assert sandbox.stats().keys_accepted_again == 0
    assert len(ledger_rows()) == 4_000
