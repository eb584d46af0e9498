"""What a stream leaves: few ledger files, dead letters on a topic, latency in buckets."""

import threading
import time
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from pipeline.errors import CommandError, UsageError
from sandbox.pubsub.publisher import PROJECT, PubSub
from sandbox.shop.generator import purchases
from sandbox.tiktok.control import Sandbox
from sandbox.tiktok.faults import Html, InvalidEvents


def test_ledger_files_are_closed_every_flush_secs_whatever_the_number_of_bundles(
    run_stream: Callable[..., Any], pubsub: PubSub, name: str, background: Callable[..., Any]
) -> None:
    subscription = pubsub.subscription(name)
    publisher = background(lambda: pubsub.publish(name, purchases(900), per_second=100))
    ended = run_stream(
        {"max_wait_secs": 0.2}, subscription=subscription, max_messages=900, ledger_flush_secs=3.0, dead_letters=None
    )
    publisher.join()
    files = list((ended.folder / "ledger").rglob("*.parquet"))
    # Nine seconds have more than thirty bundles.
    assert 2 <= len(files) <= 5
    assert len(ended.rows()) == 900


def test_what_is_not_delivered_goes_to_the_dead_letter_topic(
    run_stream: Callable[..., Any], pubsub: PubSub, sandbox: Sandbox, name: str
) -> None:
    subscription, dead = pubsub.subscription(name), pubsub.subscription(f"{name}-dead")
    sandbox.fault(InvalidEvents(share=0.05, seed=1))
    messages = list(purchases(400))
    pubsub.publish(name, [*messages, b"{"])
    ended = run_stream(
        subscription=subscription, max_messages=401, dead_letter_topic=f"projects/{PROJECT}/topics/{name}-dead"
    )
    letters = pubsub.pull_all(dead)
    rows = [row for row in ended.rows() if row["kind"] == "rejected"]
    assert len(letters) == len(rows) > 10
    by_id = {letter.attributes["event_id"]: letter for letter in letters if "event_id" in letter.attributes}
    for row in rows:
        if row["event_id"] is None:
            continue
        letter = by_id[row["event_id"]]
        attributes = dict(letter.attributes)
        assert (attributes["kind"], attributes["reason"], attributes["code"]) == ("rejected", row["reason"], "40002")
        assert attributes["request_id"] == row["request_id"]
        assert attributes["attempts"] == str(row["attempts"])
        assert attributes["input_ref"] == row["input_ref"]
        assert attributes["event_source_id"] == "PIXEL"
        assert msgspec.json.decode(letter.data)["event_id"] == row["event_id"]
    (unreadable,) = [letter for letter in letters if letter.attributes["reason"] == "unreadable_message"]
    assert unreadable.data == b""
    raw = {
        value
        for message in messages
        for identity in msgspec.json.decode(message)["user_identities"]
        for value in [identity["identity"]]
        if "@" in value
    }
    assert len(raw) > 300
    assert not [value for value in raw for letter in letters if value in str(letter)]


def test_a_message_waits_for_its_dead_letter(
    run_stream: Callable[..., Any], pubsub: PubSub, sandbox: Sandbox, name: str
) -> None:
    """The topic goes away under way: what could not be published stays in Pub/Sub."""
    subscription = pubsub.subscription(name)
    topic = pubsub.topic(f"{name}-dead")
    sandbox.fault(Html(status=502))
    pubsub.publish(name, purchases(10))
    pubsub.publisher.get_topic(topic=topic)
    options = {"subscription": subscription, "max_seconds": 120.0, "dead_letter_topic": topic, "ledger_flush_secs": 1.0}

    def remove(*_: Any) -> None:
        pubsub.publisher.delete_topic(topic=topic)

    threading.Timer(1.0, remove).start()
    began = time.monotonic()
    with pytest.raises(CommandError, match="Create the topic, and grant roles/pubsub.publisher"):
        run_stream({"retry_secs": 4.0}, **options)
    assert time.monotonic() - began < 60, "a stream that cannot record must not idle on"
    assert pubsub.stats(subscription).acknowledged == 0


def test_a_dead_letter_topic_that_is_not_there_is_refused_before_anything_starts(
    run_stream: Callable[..., Any], pubsub: PubSub, name: str
) -> None:
    subscription = pubsub.subscription(name)
    topic = f"projects/{PROJECT}/topics/none"
    with pytest.raises(UsageError, match=f"--dead_letter_topic {topic}: Pub/Sub answered NOT_FOUND"):
        run_stream(subscription=subscription, dead_letter_topic=topic)


def test_the_summary_has_the_latency_and_what_missed_the_merge_window(
    run_stream: Callable[..., Any], pubsub: PubSub, name: str
) -> None:
    subscription = pubsub.subscription(name)
    now_ms = int(time.time() * 1_000)
    pubsub.publish(name, [*purchases(90, start_ms=now_ms), *purchases(10, seed=99, start_ms=now_ms - 400_000)])
    ended = run_stream(subscription=subscription, max_messages=100)
    latency = ended.summary["latency"]
    assert ended.summary["past_merge_window"] == 10
    assert 0 < latency["publish"]["p50"] <= latency["publish"]["p95"] <= 5
    assert latency["event"]["p50"] <= 10
    assert latency["event"]["p95"] == 600
