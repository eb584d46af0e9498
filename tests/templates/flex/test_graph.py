"""The graphs for Dataflow, built without a network; the stream's is pinned, because running jobs are updated by it."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import apache_beam as beam
import pytest

from pipeline.cli import main as cli
from pipeline.jobs import run as job
from templates.flex import generate
from templates.flex.graph import stream_graph

ROOT = Path(__file__).resolve().parents[3]
CONNECTION = (
    "--event_source_id=A1T8T4UYGVIQA8ORZMX9",
    "--access_token=projects/acme-prod/secrets/tiktok-token/versions/latest",
)
PINNED: dict[str, Any] = json.loads((generate.FOLDER / "stream.graph.json").read_text())

# One web batch with a purchase, as mParticle sends it.
MESSAGE = ROOT / "tests" / "golden" / "cases" / "01_web_batch_purchase" / "message.json"


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch, own_process: None) -> None:
    """Nothing but this machine can be reached, and there are no credentials."""
    for name in list(os.environ):
        if name.startswith(("GOOGLE_", "CLOUDSDK_")):
            monkeypatch.delenv(name)
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "")
    monkeypatch.setenv("no_proxy", "")


@pytest.fixture
def check(offline: None, capsys: pytest.CaptureFixture[str]) -> Callable[..., int]:
    """Checks a graph and returns the number of its steps."""

    def run(*argv: str) -> int:
        code = cli.main([*argv, "--runner", "DataflowRunner", "--dry_run"])
        said, err = capsys.readouterr()
        assert code == 0, err
        assert said.startswith("The graph for Dataflow is built: ")
        assert said.endswith(" steps. Nothing was started, and nothing is sent.\n")
        return int(said.split()[6])

    return run


def test_the_stream_s_steps_coders_and_state_are_those_that_were_reviewed() -> None:
    """A difference decides whether a running job can be updated: `make templates` writes it, a person reads it."""
    assert stream_graph() == PINNED


def test_the_pinned_graph_knows_the_stateful_steps() -> None:
    found = {step["step"]: step for step in PINNED["steps"]}
    assert found["ReadMessages/Pull/Read"]["urn"] == "beam:transform:pubsub_read:v1"
    coalesce = found["WriteToTikTok/BatchPayloads/Coalesce"]
    assert coalesce["in"] == ["TupleCoder[StrUtf8Coder, ValueCoder]"]
    assert coalesce["state"]["fragments"] == "bag_spec: ValueCoder"
    assert set(coalesce["timers"].values()) == {"EVENT_TIME", "PROCESSING_TIME"}
    assert found["WriteToTikTok/Deliver"]["state"] == {"slot": "read_modify_write_spec: VarIntCoder"}
    assert PINNED["values"]["Fragment"][:2] == ["form", "payloads"]


def test_another_step_and_another_coder_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    build = job.build

    def build_more(pipeline: beam.Pipeline, *arguments: Any, **options: Any) -> None:
        build(pipeline, *arguments, **options)
        _ = pipeline | "Another" >> beam.Create([b"x"])

    monkeypatch.setattr(job, "build", build_more)
    added = [step for step in stream_graph()["steps"] if step not in PINNED["steps"]]
    assert added
    assert {step["step"].partition("/")[0] for step in added} == {"Another"}
    assert any(step.get("out") == {"None": "BytesCoder"} for step in added)


def test_a_stream_s_graph_is_built_offline(check: Callable[..., int]) -> None:
    steps = check("run", *CONNECTION, "--subscription", "projects/acme-prod/subscriptions/orders")
    assert steps == len(PINNED["steps"])


def test_history_s_graph_is_built_offline_with_all_that_it_can_have(check: Callable[..., int], tmp_path: Path) -> None:
    """What is read at the launch is the ledger; files in buckets are not listed for the check."""
    ledger, window = f"--ledger={tmp_path / 'ledger'}", ("--since=-7d", "--until=-1d", "--date_partition")
    bare = check("run", *CONNECTION, "--input", "gs://acme-export/**", *window)
    again = ("--skip_delivered", "--drop_duplicates", ledger, "--dead_letter_topic=projects/acme-prod/topics/dead")
    assert check("run", *CONNECTION, "--input", "gs://acme-export/**", *window, *again) > bare
    assert not (tmp_path / "ledger").exists()


def test_a_replay_s_graph_is_built_offline(
    check: Callable[..., int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    letters = tmp_path / "letters"
    message = json.loads(MESSAGE.read_text())
    (tmp_path / "messages.json").write_text(json.dumps(message) + "\n")
    run = ("run", "--event_source_id=A1T8T4UYGVIQA8ORZMX9", "--access_token=env:TOKEN", "--no_progress")
    sending = ("--api_url=http://127.0.0.1:9/", "--retry_secs=0", f"--dead_letters={letters}")
    environments = "--environments=production,development"
    monkeypatch.setenv("TOKEN", "of-no-use")
    assert cli.main([*run, *sending, environments, f"--input={tmp_path / 'messages.json'}"]) == 3
    capsys.readouterr()
    before = sorted(letters.rglob("*"))
    assert check("replay", *CONNECTION, f"--dead_letters={letters}") > 10
    assert sorted(letters.rglob("*")) == before
