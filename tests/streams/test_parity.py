"""The same events from Parquet and from Pub/Sub: byte-equal payloads, equal outcomes."""

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sandbox.pubsub.publisher import PubSub
from sandbox.shop.generator import batches, write_parquet
from sandbox.tiktok.control import Sandbox

BATCHES = 2_000


@pytest.fixture(scope="module")
def sandbox_process() -> Iterator[Sandbox]:
    """Keeps what it gets."""
    with Sandbox(keep_bodies=True) as sandbox:
        yield sandbox


def sent(sandbox: Sandbox) -> list[str]:
    """Returns each event as the bytes that were sent, sorted: requests are joined from them."""
    events: list[str] = []
    for kept in sandbox.bodies():
        start = kept.body.index('"data":[' if '"data":[' in kept.body else '"batch":[')
        body = kept.body[kept.body.index("[", start) + 1 : kept.body.rindex("]")]
        events += _split(body)
    return sorted(events)


def _split(body: str) -> list[str]:
    """Returns the objects of a JSON array as they stand there."""
    parts, depth, begin, in_text, escaped = [], 0, 0, False, False
    for place, char in enumerate(body):
        if in_text:
            in_text = escaped or char != '"'
            escaped = char == "\\" and not escaped
        elif char == '"':
            in_text = True
        elif char == "{":
            begin = place if depth == 0 else begin
            depth += 1
        elif char == "}":
            depth -= 1
            if depth == 0:
                parts.append(body[begin : place + 1])
    return parts


@pytest.mark.parametrize("enable_web_migration", [True, False], ids=["2.0", "legacy"])
def test_by_file_and_by_stream_events_are_sent_with_the_same_bytes_and_end_alike(
    run_stream: Callable[..., Any],
    pubsub: PubSub,
    sandbox: Sandbox,
    name: str,
    tmp_path: Path,
    enable_web_migration: bool,
) -> None:
    messages = list(batches(BATCHES, seed=21))
    changes = {"enable_web_migration": enable_web_migration, "default_currency": "EUR"}
    write_parquet(tmp_path / "input", messages, rows_per_group=500)
    by_file = run_stream(changes, run_id="file", inputs=(str(tmp_path / "input"),))
    from_file = sent(sandbox)
    sandbox.reset()
    subscription = pubsub.subscription(name)
    pubsub.publish(name, messages)
    by_stream = run_stream(changes, run_id="stream", subscription=subscription, max_messages=BATCHES)
    from_stream = sent(sandbox)
    assert len(from_file) > 1_000
    assert from_stream == from_file
    assert by_stream.outcomes == by_file.outcomes
    assert {kind for kind, _ in by_file.outcomes} >= {"delivered", "skipped", "rejected"}
    for what in ("events", "messages", "coverage", "notes", "details"):
        assert by_stream.summary[what] == by_file.summary[what]
    assert ended(by_stream.rows()) == ended(by_file.rows())
    assert ended(by_stream.rows("dead_letters")) == ended(by_file.rows("dead_letters"))


def ended(rows: list[dict[str, Any]]) -> Counter[Any]:
    """Returns what the ledger says about each event, but for times, ids of requests and where it was read."""
    names = ("event", "event_id", "event_time", "kind", "stage", "reason", "payload_digest", "payload", "value")
    return Counter(tuple(row.get(name) for name in (*names, "currency", "input_index", "notes")) for row in rows)
