"""ReadMessages in a pipeline, with real files: nothing is lost without an outcome, and no file stops another."""

import gzip
from collections.abc import Iterator
from pathlib import Path

import apache_beam as beam
import pytest
from apache_beam.metrics import Metrics, MetricsFilter
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.testing import test_pipeline
from apache_beam.testing.util import assert_that, equal_to
from source_files import lines_of, parquet, unreadable

from pipeline.sources.read_messages import ReadMessages
from pipeline.storage import NoInputError, UnreadableFileError
from transforms.counters import NAMESPACE
from transforms.model import Message


class ListsFn(beam.DoFn):
    """Counts the lists that arrive."""

    def __init__(self) -> None:
        self._lists = Metrics.counter("test", "lists")

    def process(self, message: Message) -> Iterator[Message]:
        raise AssertionError("messages came one by one")

    @beam.DoFn.yields_elements
    def process_batch(self, batch: list[Message]) -> Iterator[Message]:
        self._lists.inc()
        yield from batch


def test_every_row_of_every_file_is_a_message_or_belongs_to_one_outcome(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("\n".join(lines_of(3)))
    (tmp_path / "b.txt.gz").write_bytes(gzip.compress(b'{"b": 1}\n'))
    parquet(tmp_path / "c.parquet", lines_of(2_500))
    (tmp_path / "d.parquet").write_bytes(b"PAR1 and nothing else")
    (tmp_path / "e.txt").touch()
    with test_pipeline.TestPipeline("FnApiRunner") as pipeline:
        result = pipeline | ReadMessages([str(tmp_path)])
        lists = result.messages | "Lists" >> beam.ParDo(ListsFn())
        assert_that(
            lists,
            equal_to(
                [Message(f"{tmp_path}/a.txt#{row}", text.encode()) for row, text in enumerate(lines_of(3))]
                + [Message(f"{tmp_path}/b.txt.gz#0", b'{"b": 1}')]
                + [Message(f"{tmp_path}/c.parquet#{row}", text.encode()) for row, text in enumerate(lines_of(2_500))]
            ),
            label="Messages",
        )
        assert_that(
            result.outcomes,
            equal_to(
                [
                    unreadable(
                        tmp_path / "d.parquet",
                        "truncated",
                        "Parquet without its end: it was cut off, or is still being written; nothing of it was read",
                    )
                ]
            ),
            label="Outcomes",
        )
    counters = {
        entry.key.metric.name: entry.committed for entry in pipeline.result.metrics().query(MetricsFilter())["counters"]
    }
    assert counters == {"files": 5, "file_parts": 5, "rows": 2_504, "units": 1, "lists": 7}


def test_strict_files_fail_the_run_and_name_the_file(tmp_path: Path) -> None:
    (tmp_path / "bad.txt").write_bytes(b"\0\0")
    with pytest.raises(UnreadableFileError, match=r"bad\.txt cannot be read: neither Parquet nor"):
        run(ReadMessages([str(tmp_path)], strict_files=True))


def test_a_pattern_without_a_file_fails_the_run(tmp_path: Path) -> None:
    with pytest.raises(NoInputError, match="matches no file"):
        run(ReadMessages([f"{tmp_path}/*.txt"]))


def test_options_that_cannot_be_are_refused_at_construction() -> None:
    with pytest.raises(ValueError, match="patterns is empty"):
        ReadMessages([])
    with pytest.raises(ValueError, match="layout 'flat' is unknown .* known: auto, raw_json, nested_batch"):
        ReadMessages(["a"], layout="flat")


@pytest.mark.slow  # starts two workers; other runs of several processes are in tests/test_flow.py
def test_two_worker_processes_share_the_files(tmp_path: Path) -> None:
    for number in range(6):
        parquet(tmp_path / f"{number}.parquet", lines_of(1_500))
    options = ["--runner=FnApiRunner", "--direct_running_mode=multi_processing", "--direct_num_workers=2"]
    counters = run(ReadMessages([str(tmp_path)]), options)
    assert counters == {"files": 6, "file_parts": 6, "rows": 9_000}


def run(reading: ReadMessages, options: list[str] | None = None) -> dict[str, int]:
    """Runs a pipeline that only reads, and returns its counters."""
    pipeline = beam.Pipeline(options=PipelineOptions(options or ["--runner=FnApiRunner"]))
    _ = pipeline | "ReadMessages" >> reading
    result = pipeline.run()
    result.wait_until_finish()
    return {
        entry.key.metric.name: entry.committed
        for entry in result.metrics().query(MetricsFilter())["counters"]
        if entry.key.metric.namespace == NAMESPACE
    }
