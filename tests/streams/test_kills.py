"""Streams as programs that are killed, stopped and cut off: nothing lost, nothing counted twice, all in the ledger."""

import random
import time
from collections import Counter
from collections.abc import Iterable
from typing import Any

import msgspec
import pytest

from sandbox.shop.generator import purchases
from sandbox.tiktok.faults import Delay, Html

# Programs in a row, of which each takes seconds to start, on a machine that may be busy.
pytestmark = pytest.mark.timeout(180)


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


@pytest.mark.parametrize(
    ("kills", "count"), [(1, 8_000), pytest.param(10, 50_000, marks=pytest.mark.slow)], ids=["1 kill", "10 kills"]
)
def test_killed_at_random_moments_and_inside_a_send_nothing_is_lost_and_nothing_counts_twice(
    live: Any, kills: int, count: int
) -> None:
    subscription = live.pubsub.subscription(live.name)
    messages = list(purchases(count, seed=5))
    live.sandbox.fault(Delay(secs=0.1))
    publisher = live.background(lambda: live.pubsub.publish(live.name, messages[1_000:], per_second=1_500))
    moments = random.Random(20240620)  # noqa: S311  # the same moments in every run
    for _ in range(kills):
        stream = live.start(subscription)
        before = live.sandbox.stats().requests
        live.eventually(lambda before=before: live.sandbox.stats().requests > before)
        time.sleep(moments.uniform(0, 1.5))
        assert stream.process.poll() is None
        stream.kill()
    live.sandbox.fault(Delay(secs=5, when="before", limit=1))
    stream = live.start(subscription)
    live.pubsub.publish(live.name, messages[:1_000])  # so that there is something to send, whatever was sent before
    live.eventually(lambda: live.sandbox.applied()[-1].hit == 1)  # on its way, and nobody answers it
    stream.kill()
    publisher.join(120)
    stream = live.start(subscription)
    live.eventually(lambda: live.pubsub.stats(subscription).held == 0, 150)
    assert stream.terminate() == 0
    expected = event_ids(messages)
    accepted = {key.event_id: count for key, count in live.sandbox.accepted().items()}
    assert set(accepted) == expected
    assert set(accepted.values()) == {1}
    stats = live.sandbox.stats()
    assert stats.keys_accepted_again == 0
    assert stats.duplicates > 0, "no kill hit anything: what was sent and not acknowledged has to come again"
    rows = live.ledger_rows()
    assert delivered(rows) == expected
    assert {row["kind"] for row in rows} == {"delivered"}
    assert "Traceback" not in stream.log


def test_sigterm_ends_with_everything_settled_or_still_unacknowledged(live: Any) -> None:
    subscription = live.pubsub.subscription(live.name)
    messages = list(purchases(10_000, seed=6))
    publisher = live.background(lambda: live.pubsub.publish(live.name, messages, per_second=2_000))
    stream = live.start(subscription)
    live.eventually(lambda: len(live.sandbox.accepted()) > 1_000)
    assert stream.terminate() == 0
    summary = msgspec.json.decode((stream.folder / "summary.json").read_bytes())
    publisher.join(60)
    stats = live.pubsub.stats(subscription)
    settled = delivered(live.ledger_rows())
    assert summary["adds_up"]
    assert 1_000 < summary["messages"] < 10_000
    assert len(settled) == summary["events"] == stats.acknowledged
    assert stats.held == 10_000 - stats.acknowledged
    # What was read ahead was handed back: all of it can be had at once, and is what was not settled.
    rest = event_ids(message.data for message in live.pubsub.pull_all(subscription))
    assert rest | settled == event_ids(messages)
    assert not rest & settled


def test_pubsub_is_away_in_mid_stream(live: Any) -> None:
    subscription = live.pubsub.subscription(live.name)
    messages = list(purchases(4_000, seed=7))
    live.pubsub.publish(live.name, messages[:2_000])
    stream = live.start(subscription)
    live.eventually(lambda: len(live.sandbox.accepted()) > 500)
    live.pubsub.go_away(4.0)
    time.sleep(5)
    live.eventually(lambda: live.pubsub.publish(live.name, messages[2_000:]) == 2_000)
    live.eventually(lambda: live.pubsub.stats(subscription).held == 0)
    assert stream.terminate() == 0
    assert delivered(live.ledger_rows()) == event_ids(messages) == {key.event_id for key in live.sandbox.accepted()}
    assert live.sandbox.stats().keys_accepted_again == 0
    assert "can be pulled from again" in stream.log


@pytest.mark.parametrize(
    ("secs", "count"), [(5, 1_000), pytest.param(60, 6_000, marks=pytest.mark.slow)], ids=["5 seconds", "a minute"]
)
def test_tiktok_is_down(live: Any, secs: int, count: int) -> None:
    """Nobody's lease ends meanwhile, nothing is a dead letter, and all is delivered afterwards."""
    subscription = live.pubsub.subscription(live.name)
    messages = list(purchases(count, seed=8))
    stream = live.start(subscription, retry_secs=300.0)
    publisher = live.background(lambda: live.pubsub.publish(live.name, messages, per_second=100))
    live.eventually(lambda: len(live.sandbox.accepted()) > 100)
    live.sandbox.fault(Html(status=502, to_secs=secs))
    publisher.join(90)
    live.eventually(lambda: live.pubsub.stats(subscription).held == 0, 120)
    assert stream.terminate() == 0
    stats = live.pubsub.stats(subscription)
    assert stats.handed_out == stats.acknowledged == count
    rows = live.ledger_rows()
    assert Counter(row["kind"] for row in rows) == {"delivered": count}
    assert delivered(rows) == event_ids(messages)


def test_five_percent_of_poison_harms_nobody_else(live: Any) -> None:
    subscription = live.pubsub.subscription(live.name)
    good = list(purchases(1_900, seed=9))
    poison = [b"", b"{", b"\x1f\x8b damaged", b"[]", b'"text"', b'{"events":7}', b"\xff\xfe", b"{" * 9_000] * 13
    messages = good + poison[:100]
    random.Random(1).shuffle(messages)  # noqa: S311  # as above
    live.pubsub.publish(live.name, messages)
    stream = live.start(subscription)
    live.eventually(lambda: live.pubsub.stats(subscription).held == 0)
    assert stream.terminate() == 0
    kinds = Counter(row["kind"] for row in live.ledger_rows())
    assert kinds["delivered"] == 1_900
    assert kinds["rejected"] + kinds["skipped"] == 100
    assert kinds["rejected"] > 80
    assert delivered(live.ledger_rows()) == event_ids(good)
    people = {one["identity"] for message in good for one in msgspec.json.decode(message)["user_identities"]}
    assert len(people) > 1_900
    assert not [value for value in people if value in stream.log]


def test_duplicates_from_the_publisher_count_once(live: Any) -> None:
    """As mParticle batches again: other message, batch and event ids, the same source_message_id."""
    subscription = live.pubsub.subscription(live.name)
    messages = list(purchases(2_000, seed=10))
    again = []
    for number, message in enumerate(messages):
        batch = msgspec.json.decode(message)
        batch["batch_id"] = str(number)
        for event in batch["events"]:
            event["data"]["event_id"] = str(10**15 + number)
        again.append(msgspec.json.encode(batch))
    live.pubsub.publish(live.name, messages + again)
    stream = live.start(subscription)
    live.eventually(lambda: live.pubsub.stats(subscription).held == 0)
    assert stream.terminate() == 0
    assert {key.event_id for key in live.sandbox.accepted()} == event_ids(messages)
    assert live.sandbox.stats().keys_accepted_again == 0
    assert len(live.ledger_rows()) == 4_000
