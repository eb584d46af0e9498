"""BatchPayloads: every payload in exactly one request, requests as full as they may be."""

from collections import Counter
from collections.abc import Iterable

import apache_beam as beam
import pytest
from apache_beam.testing import test_pipeline
from apache_beam.testing.util import assert_that

from transforms.batch_payloads import BatchPayloads, Limits, _CoalesceFn
from transforms.connection import Connection
from transforms.model import Fragment, Payload
from transforms.tiktok import make_envelope
from transforms.vocabulary import Form


def payloads(count: int, form: Form = Form.WEB, size: int = 100, start: int = 0) -> list[Payload]:
    return [Payload(form, "Purchase", f"{form}-{number}", 0, b"x" * size) for number in range(start, start + count)]


def connection(**settings: object) -> Connection:
    return Connection(event_source_id="PIXEL", **{"requests_per_second": 10.0, **settings})


def sizes(connection: Connection, form: Form, given: list[Payload]) -> list[int]:
    return [len(group) for group, _ in Limits.of(connection).cut(form, given)]


def test_a_request_holds_at_most_1000_events_of_the_present_form_and_50_of_the_legacy_one() -> None:
    assert sizes(connection(), Form.WEB, payloads(2500, size=10)) == [1000, 1000, 500]
    assert sizes(connection(), Form.LEGACY, payloads(120, Form.LEGACY)) == [50, 50, 20]


def test_max_batch_events_lowers_the_limit_but_never_raises_it() -> None:
    assert sizes(connection(max_batch_events=200), Form.WEB, payloads(500)) == [200, 200, 100]
    assert sizes(connection(max_batch_events=200), Form.LEGACY, payloads(60, Form.LEGACY)) == [50, 10]


@pytest.mark.parametrize("form", list(Form))
def test_a_request_body_is_never_larger_than_max_request_bytes(form: Form) -> None:
    settings = connection(max_request_bytes=10_000)
    for group, group_bytes in Limits.of(settings).cut(form, payloads(500, form, size=333)):
        body = make_envelope(settings, form).join([payload.body for payload in group])
        assert len(body) == group_bytes + make_envelope(settings, form).size_bytes
        assert len(body) <= 10_000
        assert len(group) == 50 or len(body) > 10_000 - 334 or group[-1].event_id == f"{form}-499"


def test_an_event_larger_than_a_request_stands_alone() -> None:
    given = [*payloads(2), *payloads(1, size=20_000, start=2), *payloads(2, start=3)]
    assert sizes(connection(max_request_bytes=10_000), Form.WEB, given) == [2, 1, 2]


def check(fragments: Iterable[tuple[int, Fragment]], given: list[Payload], settings: Connection) -> None:
    limits = Limits.of(settings)
    seen: Counter[str] = Counter()
    for shard, fragment in fragments:
        assert shard == fragment.shard
        assert {payload.form for payload in fragment.payloads} == {fragment.form}
        assert len(fragment.payloads) <= limits.events[fragment.form]
        assert fragment.body_bytes == sum(len(payload.body) + 1 for payload in fragment.payloads) - 1
        assert fragment.body_bytes <= limits.body_bytes[fragment.form]
        seen.update(payload.event_id for payload in fragment.payloads)
    assert seen == Counter(payload.event_id for payload in given)


class _OneByOneAtTheEndFn(beam.DoFn):
    """Hands on everything in `finish_bundle`, as a user's own step may."""

    def start_bundle(self) -> None:
        self._held: list[Payload] = []

    def process(self, payload: Payload) -> None:
        self._held.append(payload)

    def finish_bundle(self) -> Iterable[beam.utils.windowed_value.WindowedValue]:
        for payload in self._held:
            yield beam.utils.windowed_value.WindowedValue(
                payload, beam.utils.timestamp.MIN_TIMESTAMP, (beam.transforms.window.GlobalWindow(),)
            )


@pytest.mark.parametrize("at_the_end", [False, True], ids=["streamed", "handed on at the bundle's end"])
def test_every_payload_is_in_exactly_one_fragment_of_its_form(at_the_end: bool) -> None:
    settings = connection(max_batch_events=100, max_request_bytes=10_000)
    given = payloads(1234, Form.WEB) + payloads(321, Form.LEGACY) + payloads(77, Form.OFFLINE, size=900)
    given = given[::2] + given[1::2]
    with test_pipeline.TestPipeline("FnApiRunner") as pipeline:
        created = pipeline | beam.Create(given)
        if at_the_end:
            created = created | beam.ParDo(_OneByOneAtTheEndFn()).with_output_types(Payload)
        fragments = created | BatchPayloads(settings)
        assert_that(fragments, lambda found: check(found, given, settings))


def test_fragments_take_turns_among_the_shards_of_the_budget() -> None:
    settings = connection(max_batch_events=10)

    def check_shards(fragments: list[tuple[int, Fragment]]) -> None:
        counts = Counter(shard for shard, _ in fragments)
        assert set(counts) == {0, 1}
        assert max(counts.values()) - min(counts.values()) <= 1

    with test_pipeline.TestPipeline("FnApiRunner") as pipeline:
        assert_that(pipeline | beam.Create(payloads(300)) | BatchPayloads(settings), check_shards)


@pytest.mark.parametrize(
    ("settings", "rests", "requests"),
    [
        ({"max_batch_events": 100}, [10, 20, 30], [60]),
        ({"max_batch_events": 100}, [60, 60], [20, 100]),
        ({"max_batch_events": 100}, [100, 100], [100, 100]),
        ({"max_batch_events": 100}, [99, 1, 99, 99, 2], [100, 100, 100]),
        ({}, [1], [1]),
        # 98 payloads of 100 bytes, their commas and the envelope have 9,955 bytes
        ({"max_request_bytes": 10_000}, [60, 60, 60], [82, 98]),
    ],
)
def test_rests_of_bundles_are_put_together_until_they_fill_a_request(
    settings: dict[str, int], rests: list[int], requests: list[int]
) -> None:
    start, fragments = 0, []
    for size in rests:
        group = payloads(size, start=start)
        fragments.append(("web/0", Fragment(Form.WEB, group, sum(len(payload.body) + 1 for payload in group) - 1)))
        start += size

    def check_requests(results: list[tuple[int, Fragment]]) -> None:
        check(results, payloads(start), connection(**settings))
        assert sorted(len(fragment.payloads) for _, fragment in results) == requests

    with test_pipeline.TestPipeline("FnApiRunner") as pipeline:
        results = pipeline | beam.Create(fragments) | beam.ParDo(_CoalesceFn(connection(**settings)))
        assert_that(results, check_requests)
