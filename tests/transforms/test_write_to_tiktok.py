"""WriteToTikTok as a transform: typed, conserving, and usable in anybody's pipeline."""

import json
import pickle
import time
from collections import Counter
from pathlib import Path
from typing import Any, ClassVar, cast

import apache_beam as beam
import pytest
from apache_beam.metrics.metric import MetricsFilter
from apache_beam.testing import test_pipeline
from apache_beam.testing.util import assert_that, equal_to
from apache_beam.transforms.window import FixedWindows, TimestampedValue

from pipeline.jobs.beam_patches import send_whole_elements
from transforms import Connection, ForwardToTikTok, Kind, Message, Outcome, Payload, Reason, WriteToTikTok
from transforms.coders import ValueCoder
from transforms.connection import Consent
from transforms.tiktok import ApiReply, RequestBody
from transforms.vocabulary import Form


class Accepting:
    """A transport that accepts everything at once."""

    def __init__(self, connection: Connection) -> None:
        self._id = connection.event_source_id

    def post(self, form: Form, body: RequestBody, token: str) -> ApiReply:
        sent = json.loads(b"".join(body.pieces(100)))
        assert (sent.get("event_source_id") or sent["pixel_code"]) == self._id
        assert token == "a-token-of-no-use"
        return ApiReply(
            status=200,
            body=b'{"code":0,"message":"OK","request_id":"R1"}',
            sent=True,
            started_at=time.time(),
            elapsed_secs=0.0,
        )


class Counted(Accepting):
    """A transport that is counted."""

    made: ClassVar[list[str]] = []

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        self.made.append(connection.event_source_id)


class Confused(Accepting):
    """A transport with a defect."""

    def post(self, form: Form, body: RequestBody, token: str) -> ApiReply:
        raise ZeroDivisionError


@pytest.fixture
def connection(tmp_path: Path) -> Connection:
    token = tmp_path / "token"
    token.write_text("a-token-of-no-use\n")
    return Connection(event_source_id="PIXEL", access_token=f"file:{token}", requests_per_second=1000.0)


def payloads(count: int, form: Form = Form.WEB) -> list[Payload]:
    body = b'{"event":"Purchase","event_id":"%d"}'
    return [Payload(form, "Purchase", f"{form}-{number}", 0, body % number, f"m#{number}") for number in range(count)]


def check_all_delivered(outcomes: list[Outcome], given: list[Payload]) -> None:
    assert Counter(outcome.event_id for outcome in outcomes) == Counter(payload.event_id for payload in given)
    assert {(outcome.kind, outcome.request_id, outcome.attempts) for outcome in outcomes} == {(Kind.DELIVERED, "R1", 1)}


def test_every_payload_has_exactly_one_outcome(connection: Connection) -> None:
    given = payloads(3456) + payloads(123, Form.LEGACY)
    with test_pipeline.TestPipeline("FnApiRunner") as pipeline:
        outcomes = pipeline | beam.Create(given) | WriteToTikTok(connection, Accepting)
        assert_that(outcomes, lambda found: check_all_delivered(found, given))


def test_windows_of_the_input_do_not_matter(connection: Connection) -> None:
    given = payloads(100)
    with test_pipeline.TestPipeline("FnApiRunner") as pipeline:
        outcomes = (
            pipeline
            | beam.Create(list(enumerate(given)))
            | beam.MapTuple(lambda number, payload: TimestampedValue(payload, number)).with_output_types(Payload)
            | beam.WindowInto(FixedWindows(10))
            | WriteToTikTok(connection, Accepting)
        )
        assert_that(outcomes, lambda found: check_all_delivered(found, given))


def test_several_worker_threads_share_one_pool_and_lose_nothing(connection: Connection) -> None:
    send_whole_elements()
    Counted.made.clear()
    # Two forms, because payloads of one are put together by one worker.
    given = payloads(2500) + payloads(2500, Form.LEGACY)
    flags = ["--direct_num_workers=3", "--direct_running_mode=multi_threading"]
    with test_pipeline.TestPipeline(
        "FnApiRunner", options=beam.options.pipeline_options.PipelineOptions(flags)
    ) as pipeline:
        outcomes = pipeline | beam.Create(given) | beam.Reshuffle() | WriteToTikTok(connection, Counted)
        assert_that(outcomes, lambda found: check_all_delivered(found, given))
    assert Counted.made == ["PIXEL"]


def test_requests_are_counted(connection: Connection) -> None:
    pipeline = test_pipeline.TestPipeline("FnApiRunner")
    _ = pipeline | beam.Create(payloads(2500)) | WriteToTikTok(connection, Accepting)
    result = pipeline.run()
    counters = result.metrics().query(MetricsFilter().with_namespace("tiktok_events"))["counters"]
    assert {counter.key.metric.name: counter.committed for counter in counters}["requests"] == 3


def test_a_defect_in_the_transport_fails_the_bundle_instead_of_losing_events(connection: Connection) -> None:
    with pytest.raises(RuntimeError, match="ZeroDivisionError"), test_pipeline.TestPipeline("FnApiRunner") as pipeline:
        _ = pipeline | beam.Create(payloads(3)) | WriteToTikTok(connection, Confused)


def test_a_connection_without_token_is_refused_when_the_pipeline_is_built() -> None:
    with pytest.raises(ValueError, match="access_token is missing: say where it is kept"):
        WriteToTikTok(Connection(event_source_id="PIXEL"))


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"max_in_flight": 0}, "max_in_flight: Expected `int` >= 1"),
        ({"requests_per_second": 0}, "requests_per_second: Expected `float` > 0"),
        ({"consent": Consent(gdpr_missing=cast(Any, "keep"))}, "consent.gdpr_missing: Invalid enum value"),
    ],
    ids=["range", "above", "choice"],
)
def test_a_connection_made_in_python_is_checked_when_the_pipeline_is_built(values: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        WriteToTikTok(Connection(event_source_id="PIXEL", access_token="env:TOKEN", **values))


@pytest.mark.parametrize("wrong", [Message("m", b""), "text"], ids=["message", "text"])
def test_wrong_wiring_is_refused_when_the_pipeline_is_built(connection: Connection, wrong: Any) -> None:
    pipeline = test_pipeline.TestPipeline("FnApiRunner")
    with pytest.raises((beam.typehints.TypeCheckError, TypeError)):
        _ = pipeline | beam.Create([wrong]) | WriteToTikTok(connection, Accepting)


def check_skipped(outcomes: list[Outcome]) -> None:
    assert sorted((outcome.kind, outcome.reason) for outcome in outcomes) == [
        (Kind.SKIPPED, Reason.EMPTY_EVENT),
        (Kind.SKIPPED, Reason.UNSUPPORTED_EVENT_TYPE),
    ]


def _untyped(key: str, known: dict[str, Any]) -> Any:
    return known[key]


@pytest.mark.parametrize("count", [0, 3])
@pytest.mark.parametrize("windowed", [False, True])
def test_elements_of_unknown_type_and_in_windows_are_taken(connection: Connection, count: int, windowed: bool) -> None:
    """What a function without a return type made, as in anybody's first pipeline."""
    given = payloads(count)
    message = Message("m#0", json.dumps({"events": [{"event_type": "session_start", "data": {}}]}).encode())
    known: dict[str, Any] = {payload.event_id: payload for payload in given} | {"message": message}
    with test_pipeline.TestPipeline("FnApiRunner") as pipeline:
        made = pipeline | "Ids" >> beam.Create([payload.event_id for payload in given])
        read = pipeline | "Names" >> beam.Create(["message"] * count)
        of_payloads = made | "Payloads" >> beam.Map(_untyped, known)
        of_messages = read | "Messages" >> beam.Map(_untyped, known)
        if windowed:
            of_payloads |= "WindowPayloads" >> beam.WindowInto(FixedWindows(10))
            of_messages |= "WindowMessages" >> beam.WindowInto(FixedWindows(10))
        sent = of_payloads | WriteToTikTok(connection, Accepting)
        forwarded = of_messages | ForwardToTikTok(connection)
        assert_that(sent, lambda outcomes: check_all_delivered(outcomes, given) if count else _check_none(outcomes))
        assert_that(
            forwarded | "Reasons" >> beam.Map(lambda outcome: outcome.reason),
            equal_to([Reason.UNSUPPORTED_EVENT_TYPE] * count),
            label="Forwarded",
        )


def _check_none(outcomes: list[Outcome]) -> None:
    assert outcomes == []


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"access_token": "0123456789abcdef0123456789abcdef01234567"}, "must be a reference"),
        ({"api_url": "http://tiktok.example.com/"}, "use https://"),
        ({"proxy_url": "http://jane:pw@proxy.example:3128"}, "leave out user and password"),
    ],
)
def test_a_connection_that_workers_would_refuse_is_refused_when_the_pipeline_is_built(
    settings: dict[str, str], said: str
) -> None:
    wrong = Connection(**{"event_source_id": "PIXEL", "access_token": "env:TOKEN", **settings})
    with pytest.raises(ValueError, match=said) as refused:
        WriteToTikTok(wrong)
    assert "0123456789" not in f"{refused.value} {wrong!r}"


def test_messages_can_be_forwarded_in_anybodys_pipeline(connection: Connection) -> None:
    message = Message(
        "m#0", b'{"environment":"production","events":[{"event_type":"session_start","data":{"x":1}},null]}'
    )
    with test_pipeline.TestPipeline("FnApiRunner") as pipeline:
        outcomes = pipeline | beam.Create([message]) | ForwardToTikTok(connection)
        assert_that(outcomes, check_skipped)


def test_values_survive_their_coder_and_pickle() -> None:
    payload = payloads(1)[0]
    coder = ValueCoder()
    assert coder.decode(coder.encode(payload)) == payload
    assert pickle.loads(pickle.dumps(payload)) == payload  # noqa: S301  # our own bytes
