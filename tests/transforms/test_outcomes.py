"""Counting outcomes: what is counted, under which name, and within which bounds."""

from collections.abc import Iterator
from typing import Any

import apache_beam as beam
import pytest
from apache_beam.metrics.metric import MetricsFilter

from pipeline.records.record_outcomes import RecordOutcomes, Records
from transforms.counters import NAMESPACE
from transforms.model import Outcome
from transforms.outcomes import OutcomeTally
from transforms.vocabulary import Kind, MatchKey, Note, Reason, Stage


def delivered(event: str = "PlaceAnOrder", match_keys: int = 0, notes: tuple[Note, ...] = ()) -> Outcome:
    return Outcome(Kind.DELIVERED, Stage.WRITE, None, "f#1", 0, event=event, match_keys=match_keys, notes=notes)


def skipped(detail: str | None = "refund") -> Outcome:
    return Outcome(Kind.SKIPPED, Stage.SELECT, Reason.UNSUPPORTED_ACTION, "f#2", 0, detail)


def counted(*outcomes: Outcome, max_names: int = 100) -> dict[str, int]:
    tally = OutcomeTally(max_names)
    tally.add(outcomes)
    return tally.drain()[0]


def counters(result: Any) -> dict[str, int]:
    found = result.metrics().query(MetricsFilter().with_namespace(NAMESPACE))["counters"]
    return {counter.key.metric.name: counter.committed for counter in found}


def test_a_delivered_event_is_counted_by_kind_by_event_and_by_each_match_key() -> None:
    keys = MatchKey.EMAIL | MatchKey.IP_AND_USER_AGENT
    assert counted(delivered("AddToCart", keys), delivered("AddToCart", MatchKey.EMAIL)) == {
        "outcome:delivered": 2,
        "events:AddToCart": 2,
        "coverage:AddToCart:email": 2,
        "coverage:AddToCart:ip_and_user_agent": 1,
    }


def test_what_is_not_delivered_is_counted_by_kind_reason_and_detail() -> None:
    assert counted(skipped("refund"), skipped("refund"), skipped("click"), skipped(None)) == {
        "outcome:skipped:unsupported_action": 4,
        "detail:unsupported_action:refund": 2,
        "detail:unsupported_action:click": 1,
    }


def test_every_match_key_has_a_counter() -> None:
    every = MatchKey(sum(MatchKey))
    names = {name for name in counted(delivered("E", every)) if name.startswith("coverage:")}
    assert names == {
        f"coverage:E:{key}" for key in ["email", "phone", "external_id", "click_id", "ttp", "ip_and_user_agent"]
    }


def test_coverage_is_that_of_delivered_events_only() -> None:
    undelivered = Outcome(
        Kind.UNDELIVERED, Stage.WRITE, Reason.OUTAGE, "f#1", 0, event="Purchase", match_keys=MatchKey.EMAIL
    )
    assert counted(undelivered) == {"outcome:undelivered:outage": 1}


def test_notes_are_counted_once_an_event_whatever_became_of_it() -> None:
    twice = (Note.MISSING_VALUE, Note.NO_IDENTIFIER, Note.MISSING_VALUE)
    rejected = Outcome(Kind.REJECTED, Stage.BUILD, Reason.MISSING_PAGE_URL, "f#1", 0, notes=(Note.MISSING_VALUE,))
    counts = counted(delivered(notes=twice), rejected)
    assert counts["note:missing_value"] == 2
    assert counts["note:no_identifier"] == 1


def test_the_number_of_names_is_bounded() -> None:
    counts = counted(*(skipped(f"word{number}") for number in range(10)), max_names=3)
    details = {name: count for name, count in counts.items() if name.startswith("detail:")}
    assert sum(details.values()) == 10
    assert details["detail:unsupported_action:other"] == 7
    assert len(details) == 4


def test_the_bound_holds_over_the_life_of_a_worker() -> None:
    tally = OutcomeTally(max_names=2)
    names = set()
    for number in range(10):
        tally.add([skipped(f"word{number}")])
        names |= set(tally.drain()[0])
    assert len([name for name in names if name.startswith("detail:")]) == 3


def test_a_name_is_cut() -> None:
    assert "detail:unsupported_action:" + "x" * 64 in counted(skipped("x" * 1_000))


def test_what_was_drained_is_forgotten() -> None:
    tally = OutcomeTally()
    tally.add([delivered(), skipped()])
    assert tally.drain()[1] == {Kind.DELIVERED: 1, Kind.SKIPPED: 1}
    assert tally.drain() == ({}, {})


def test_many_different_outcomes_do_not_pile_up() -> None:
    tally = OutcomeTally(max_names=5)
    for number in range(20_000):
        tally.add([skipped(f"word{number}")])
    assert tally.drain()[0]["outcome:skipped:unsupported_action"] == 20_000


class YieldLists(beam.DoFn):
    """Numbers → as many lists of three outcomes."""

    @beam.DoFn.yields_batches
    def process(self, number: int) -> Iterator[list[Outcome]]:
        for _ in range(number):
            yield [delivered("AddToCart", MatchKey.TTP), delivered(), skipped()]

    def infer_output_type(self, input_type: Any) -> Any:
        return Outcome


@pytest.mark.parametrize("shuffled", [False, True], ids=["lists", "one-by-one"])
def test_beam_reports_what_was_counted_over_all_bundles(shuffled: bool) -> None:
    pipeline = beam.Pipeline("FnApiRunner")
    outcomes = pipeline | beam.Create([4, 6]) | beam.ParDo(YieldLists())
    if shuffled:
        outcomes = outcomes | beam.Reshuffle()
    outcomes | "A" >> RecordOutcomes(Records())
    result = pipeline.run()
    result.wait_until_finish()
    assert counters(result) == {
        "outcome:delivered": 20,
        "outcome:skipped:unsupported_action": 10,
        "detail:unsupported_action:refund": 10,
        "events:AddToCart": 10,
        "events:PlaceAnOrder": 10,
        "coverage:AddToCart:ttp": 10,
    }
