"""The same flows on Prism, Beam's other local runner, built from its Go module.

It really encodes between stages, runs bundles at the same time and makes readers anew; the usual local runner does not.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline.cli import main as cli
from sandbox.pubsub.publisher import PubSub
from sandbox.shop.generator import batches, purchases, write_parquet
from sandbox.tiktok.control import Sandbox
from sandbox.tiktok.faults import Delay

# Programs in a row, of which each takes seconds to start, on a machine that may be busy.
pytestmark = pytest.mark.timeout(180)


def test_a_batch_ends_as_on_the_usual_runner(
    run_stream: Callable[..., Any], sandbox: Sandbox, tmp_path: Path, prism_args: tuple[str, ...]
) -> None:
    write_parquet(tmp_path / "input", batches(1_000, seed=31), rows_per_group=200, files=2)
    inputs = (str(tmp_path / "input"),)
    usual = run_stream(run_id="usual", inputs=inputs)
    sandbox.reset()
    prism = run_stream(run_id="prism", inputs=inputs, runner="PrismRunner", beam_args=prism_args)
    assert prism.outcomes == usual.outcomes
    assert prism.summary["adds_up"]
    for what in ("events", "messages", "coverage", "notes", "details"):
        assert prism.summary[what] == usual.summary[what]
    names = ("event_id", "kind", "reason", "payload_digest")
    found = [sorted(str([row[name] for name in names]) for row in run.rows()) for run in (usual, prism)]
    assert found[0] == found[1]


def test_a_stream_is_read_to_its_bounds_and_acknowledged(
    run_stream: Callable[..., Any], pubsub: PubSub, sandbox: Sandbox, name: str, prism_args: tuple[str, ...]
) -> None:
    subscription = pubsub.subscription(name)
    pubsub.publish(name, batches(1_000, seed=32))
    ended = run_stream(subscription=subscription, max_messages=1_000, runner="PrismRunner", beam_args=prism_args)
    assert ended.summary["adds_up"]
    assert ended.summary["messages"] == 1_000
    assert len(ended.rows()) == ended.summary["events"] > 1_500
    assert {row["event_id"] for row in ended.rows() if row["kind"] == "delivered"} == {
        key.event_id for key in sandbox.accepted()
    }
    stats = pubsub.stats(subscription)
    assert (stats.held, stats.acknowledged) == (0, 1_000)


def test_sigterm_drains(live: Any, prism_args: tuple[str, ...]) -> None:
    subscription = live.pubsub.subscription(live.name)
    publisher = live.background(lambda: live.pubsub.publish(live.name, purchases(3_000, seed=33), per_second=500))
    stream = live.start(subscription, "--runner", "PrismRunner", *prism_args)
    live.eventually(lambda: len(live.sandbox.accepted()) > 500)
    assert stream.terminate() == 0, stream.log
    publisher.join()
    stats = live.pubsub.stats(subscription)
    settled = {row["event_id"] for row in live.ledger_rows() if row["kind"] == "delivered"}
    assert stats.acknowledged == len(settled) > 500
    assert stats.acknowledged + len(live.pubsub.pull_all(subscription)) == 3_000


@pytest.mark.slow  # as on the usual runner in test_kills.py
def test_killed_inside_a_send_nothing_is_lost(live: Any, prism_args: tuple[str, ...]) -> None:
    subscription = live.pubsub.subscription(live.name)
    live.pubsub.publish(live.name, purchases(3_000, seed=34))
    live.sandbox.fault(Delay(secs=30, skip=1))
    stream = live.start(subscription, "--runner", "PrismRunner", *prism_args)
    live.eventually(lambda: live.sandbox.applied()[0].hit > 0)
    stream.kill()
    live.sandbox.set_faults()
    stream = live.start(subscription, "--runner", "PrismRunner", *prism_args)
    live.eventually(lambda: live.pubsub.stats(subscription).held == 0, 90)
    assert stream.terminate() == 0, stream.log
    assert len(live.sandbox.accepted()) == 3_000
    assert live.sandbox.stats().keys_accepted_again == 0
    assert {row["event_id"] for row in live.ledger_rows()} == {key.event_id for key in live.sandbox.accepted()}


def test_pairs_that_cannot_work_are_refused_before_anything_starts(capsys: pytest.CaptureFixture[str]) -> None:
    told = {
        "--runner PrismRunner": "--prism_location",
        "--runner FlinkRunner": "cannot read a stream safely",
        "--direct_running_mode=multi_processing": "a stream needs one process",
        "--runner DataflowRunner --max_messages 5": "launch --drain JOB",
        "--streaming": "remove it",
    }
    stream = ["--event_source_id=PIXEL", "--access_token=env:T"]
    stream += ["--subscription=projects/acme-prod/subscriptions/orders"]
    found = {}
    for flags in told:
        code = cli.main(["run", *stream, *flags.split()])
        found[flags] = (code, capsys.readouterr().err)
    assert {flags: code for flags, (code, _) in found.items() if code != 2} == {}
    assert {flags: said for flags, (_, said) in found.items() if told[flags] not in said} == {}
