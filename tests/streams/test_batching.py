"""Batches of a stream: by number, bytes and time; with an injected clock, and live."""

import threading
import time
from collections.abc import Callable
from typing import Any

import apache_beam as beam
import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.testing import test_pipeline, test_stream

from sandbox.pubsub.publisher import PubSub
from sandbox.shop.generator import purchases
from sandbox.tiktok.control import Sandbox
from transforms.batch_payloads import BatchPayloads
from transforms.connection import Connection
from transforms.model import Fragment, Payload
from transforms.streaming import Stream
from transforms.vocabulary import Form
from transforms.write_to_tiktok import WriteToTikTok

_SENT: list[list[str]] = []


def epoch() -> float:
    """The clock of TestStream: its processing time begins at 0 and is added by the runner."""
    return 0.0


class _KeepFn(beam.DoFn):
    def process(self, element: tuple[int, Fragment]) -> None:
        _SENT.append([payload.event_id for payload in element[1].payloads])


def payloads(start: int, count: int, size: int = 100) -> list[Payload]:
    return [Payload(Form.WEB, "Purchase", str(number), 0, b"x" * size) for number in range(start, start + count)]


def sent(stream: test_stream.TestStream, **settings: Any) -> list[list[str]]:
    """Returns the event ids of every fragment, in the order in which fragments left."""
    _SENT.clear()
    connection = Connection(event_source_id="PIXEL", **{"requests_per_second": 5.0, "max_wait_secs": 2.0, **settings})
    with test_pipeline.TestPipeline(options=PipelineOptions(["--streaming"])) as pipeline:
        _ = (
            pipeline
            | stream.with_output_types(Payload)
            | BatchPayloads(connection, Stream(clock=epoch))
            | beam.ParDo(_KeepFn())
        )
    return list(_SENT)


def ids(start: int, count: int) -> list[str]:
    return [str(number) for number in range(start, start + count)]


def test_a_rest_leaves_max_wait_secs_after_its_first_event_came() -> None:
    stream = (
        test_stream.TestStream()
        .advance_watermark_to(0)
        .add_elements(payloads(0, 2))
        .add_elements(payloads(2, 1))
        .advance_processing_time(5)
        .add_elements(payloads(3, 1))
        .advance_processing_time(1)
        .advance_watermark_to_infinity()
    )
    assert sent(stream) == [ids(0, 3), ids(3, 1)]


def test_rests_of_bundles_fill_a_batch_together_and_what_comes_after_it_waits_for_itself() -> None:
    stream = (
        test_stream.TestStream()
        .advance_watermark_to(0)
        .add_elements(payloads(0, 2))
        .add_elements(payloads(2, 2))
        .add_elements(payloads(4, 1))
        .advance_processing_time(5)
        .advance_watermark_to_infinity()
    )
    assert sent(stream, max_batch_events=4) == [ids(0, 4), ids(4, 1)]


def test_a_full_batch_does_not_wait() -> None:
    stream = (
        test_stream.TestStream().advance_watermark_to(0).add_elements(payloads(0, 7)).advance_watermark_to_infinity()
    )
    batches = sent(stream, max_batch_events=3)
    assert batches == [ids(0, 3), ids(3, 3), ids(6, 1)]


def test_bytes_fill_a_batch_too() -> None:
    stream = (
        test_stream.TestStream()
        .advance_watermark_to(0)
        .add_elements(payloads(0, 20, 1_000))
        .advance_watermark_to_infinity()
    )
    batches = sent(stream, max_request_bytes=10_000)
    assert [len(batch) for batch in batches] == [9, 9, 2]


def test_the_end_of_the_stream_sends_what_is_left_without_waiting() -> None:
    stream = (
        test_stream.TestStream().advance_watermark_to(0).add_elements(payloads(0, 2)).advance_watermark_to_infinity()
    )
    assert sent(stream, max_wait_secs=600.0) == [ids(0, 2)]


def test_a_batch_pipeline_has_no_real_time_timer() -> None:
    """With one, Beam sends it on a slow way."""
    for stream, domains in ((None, {1}), (Stream(), {1, 2})):
        pipeline = beam.Pipeline(FnApiRunner())
        created = pipeline | beam.Create(payloads(0, 1))
        _ = created | BatchPayloads(Connection(event_source_id="PIXEL"), stream)
        proto = pipeline.to_runner_api()
        found = {
            family.time_domain
            for transform in proto.components.transforms.values()
            if transform.spec.urn == "beam:transform:pardo:v1"
            for family in _pardo(transform.spec.payload).timer_family_specs.values()
        }
        assert found == domains  # 1: event time, 2: processing time


def _pardo(payload: bytes) -> Any:
    from apache_beam.portability.api import beam_runner_api_pb2

    return beam_runner_api_pb2.ParDoPayload.FromString(payload)


@pytest.mark.slow  # measures, so that nothing else may run beside it
@pytest.mark.parametrize("wait_secs", [1.0, 3.0])
def test_live_no_event_waits_longer_than_max_wait_secs_and_one_request(
    run_stream: Callable[..., Any], pubsub: PubSub, sandbox: Sandbox, name: str, wait_secs: float
) -> None:
    subscription = pubsub.subscription(name)
    messages = list(purchases(3_000, seed=3))
    published: dict[str, float] = {}

    def publish() -> None:
        time.sleep(1)
        for start in range(0, 3_000, 30):
            now = time.time()
            published.update((str(number), now) for number in range(start, start + 30))
            pubsub.publish(name, messages[start : start + 30])
            time.sleep(0.09)

    thread = threading.Thread(target=publish)
    thread.start()
    ended = run_stream({"max_wait_secs": wait_secs}, subscription=subscription, max_messages=3_000)
    thread.join()
    ids_of_messages = sorted({row["input_ref"] for row in ended.rows()}, key=int)
    event_ids = {row["input_ref"]: row["event_id"] for row in ended.rows()}
    accepted = {key.event_id: one.first_accepted for key, one in sandbox.accepted_in_detail().items()}
    waits = sorted(accepted[event_ids[ref]] - published[str(at)] for at, ref in enumerate(ids_of_messages))
    # Half a second for the request, the runner's turn and the machine.
    assert waits[-1] <= wait_secs + 0.5
    # They do wait: requests are filled, not sent at once.
    assert waits[len(waits) // 2] >= wait_secs / 4
    assert ended.summary["requests"] <= 2 * 10 / wait_secs + 4


def test_unbounded_payloads_without_a_stream_are_refused_when_the_pipeline_is_built() -> None:
    """What does not fill a request would wait for the end of the world."""
    pipeline = test_pipeline.TestPipeline(options=PipelineOptions(["--streaming"]))
    unbounded = pipeline | test_stream.TestStream().advance_watermark_to_infinity().with_output_types(Payload)
    connection = Connection(event_source_id="PIXEL", access_token="env:TIKTOK_TOKEN")
    with pytest.raises(ValueError, match=r"pass stream=Stream\(\)"):
        _ = unbounded | WriteToTikTok(connection)
    _ = unbounded | "Right" >> WriteToTikTok(connection, stream=Stream())
