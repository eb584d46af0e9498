"""What is put right in Beam's local runner: metrics of bundles are joined, not kept; elements arrive whole."""

import inspect
import itertools
import time
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import apache_beam as beam
from apache_beam.metrics import monitoring_infos
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.portability.fn_api_runner import fn_runner, worker_handlers
from apache_beam.runners.worker import data_plane

from pipeline.jobs.beam_patches import join_metrics_at_once, send_whole_elements

# More than the interpreter's recursion limit.
BUNDLES = 2_000


def test_the_metrics_of_thousands_of_bundles_are_one_number() -> None:
    join_metrics_at_once()
    of_a_bundle = monitoring_infos.int64_user_counter("tiktok_events", "units", 1, ptransform="step")
    of_all = [of_a_bundle]
    for _ in range(BUNDLES - 1):
        # As in `FnApiRunner.run_stages`.
        of_all = fn_runner.consolidate_monitoring_infos(itertools.chain([of_a_bundle], of_all))
    (joined,) = of_all
    assert monitoring_infos.extract_counter_value(joined) == BUNDLES


def test_beam_still_joins_by_the_name_that_is_replaced() -> None:
    """If this fails after an update of Beam, look whether `pipeline.jobs.beam_patches` is still needed."""
    assert "consolidate_monitoring_infos(" in inspect.getsource(fn_runner.FnApiRunner.run_stages)
    assert inspect.isgeneratorfunction(monitoring_infos.consolidate)


class SlowToEncode:
    """An element in which Beam's thread, if it empties the stream by time, finds one half written."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __reduce__(self) -> tuple[Callable[[int], Any], tuple[int]]:
        time.sleep(0.001)
        return SlowToEncode, (self.number,)


def keyed(count: int) -> Iterator[tuple[int, SlowToEncode]]:
    for number in range(count):
        yield number % 3, SlowToEncode(number)


class Found(beam.DoFn):
    """Keeps the numbers in this process."""

    numbers: ClassVar[list[int]] = []

    def process(self, number: int) -> None:
        self.numbers.append(number)


def test_a_bundle_of_more_than_a_second_puts_out_whole_elements_with_several_threads() -> None:
    send_whole_elements()
    flags = PipelineOptions(["--direct_num_workers=2", "--direct_running_mode=multi_threading"])
    Found.numbers.clear()
    with beam.Pipeline("FnApiRunner", options=flags) as pipeline:
        _ = (
            pipeline
            | beam.Create([1_300])
            | beam.FlatMap(keyed)
            | beam.GroupByKey()
            | beam.FlatMapTuple(lambda _, values: [value.number for value in values])
            | beam.ParDo(Found())
        )
    assert sorted(Found.numbers) == list(range(1_300))


def test_beam_still_reads_the_time_limit_that_is_replaced() -> None:
    """If this fails after an update of Beam, look whether `pipeline.localrunner` is still needed."""
    for place in (worker_handlers.GrpcServer, worker_handlers.EmbeddedGrpcWorkerHandler):
        assert "DATA_BUFFER_TIME_LIMIT_MS" in inspect.getsource(place)
    send_whole_elements()
    limit_ms = worker_handlers.DATA_BUFFER_TIME_LIMIT_MS
    stream = data_plane.ClosableOutputStream.create(lambda _: None, lambda _: None, limit_ms)
    assert not isinstance(stream, data_plane.TimeBasedBufferingClosableOutputStream)
