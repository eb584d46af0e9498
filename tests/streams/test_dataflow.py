"""The graph of a stream on Dataflow: Beam's own reader, records with each bundle, stable step names."""

from pathlib import Path
from typing import Any

import apache_beam as beam
import pytest
from apache_beam.options.pipeline_options import PipelineOptions

from pipeline.jobs.graph import build
from pipeline.jobs.stream import plan
from pipeline.options import RunOptions
from pipeline.records.record_outcomes import Records
from transforms.coders import ValueCoder
from transforms.connection import Connection
from transforms.model import Message

SUBSCRIPTION = "projects/acme-prod/subscriptions/orders"


@pytest.fixture
def graph(tmp_path: Path) -> Any:
    """The graph as it is handed to Dataflow; nothing runs."""
    (tmp_path / "token").write_text("a-token-of-no-use")
    connection = Connection(event_source_id="PIXEL", access_token=f"file:{tmp_path / 'token'}")
    options = RunOptions(connection=connection, subscription=SUBSCRIPTION, run_id="r", runner="DataflowRunner")
    found = plan(options, "DataflowRunner", Records())
    assert (found.subscription, found.record) == (None, None)
    # The graph is the same for every runner; the one of Dataflow would look for credentials.
    pipeline = beam.Pipeline(runner="FnApiRunner", options=PipelineOptions(["--streaming"]))
    build(pipeline, found.read, connection, Records(), stream=found.stream, record=found.record)
    return pipeline.to_runner_api()


def test_the_native_reader_reads_the_subscription(graph: Any) -> None:
    reads = [one for one in graph.components.transforms.values() if one.spec.urn == "beam:transform:pubsub_read:v1"]
    assert len(reads) == 1
    assert SUBSCRIPTION.encode() in reads[0].spec.payload


def test_the_step_names_are_those_of_the_release_before(graph: Any) -> None:
    """Dataflow updates a running job by them: a renamed step loses its state."""
    names = {one.unique_name for one in graph.components.transforms.values()}
    assert {name for name in names if name and "/" not in name and not name.startswith("ref_")} == {
        "ReadMessages",
        "DecodeMessages",
        "SelectEvents",
        "HashIdentities",
        "BuildPayloads",
        "WriteToTikTok",
        "RecordDecode",
        "RecordSelect",
        "RecordHash",
        "RecordBuild",
        "RecordWrite",
        "CountLatency",
    }
    assert {name for name in names if name.startswith("WriteToTikTok/") and name.count("/") == 1} == {
        "WriteToTikTok/BatchPayloads",
        "WriteToTikTok/Deliver",
        "WriteToTikTok/Outcomes",
    }
    assert {"WriteToTikTok/BatchPayloads/Gather", "WriteToTikTok/BatchPayloads/Coalesce"} <= names
    assert not [name for name in names if "Acknowledge" in name or "RegisterUnits" in name]


def test_messages_have_the_coder_of_all_values() -> None:
    assert isinstance(beam.coders.registry.get_coder(Message), ValueCoder)
