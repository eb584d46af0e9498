"""The summary: from counters to the JSON file, the table for people and the exit code."""

import io
import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import apache_beam as beam
import pytest
from apache_beam.metrics import Metrics
from rich.console import Console

from pipeline.ledger.run_summary import Summary
from pipeline.records.parquet_files import WriteError
from pipeline.reporting.summary import exit_code, read_counters, render_summary, summarize, write_summary
from transforms.counters import NAMESPACE
from transforms.vocabulary import Reason

COUNTERS = {
    "messages": 900,
    "units": 1_000,
    "requests": 7,
    "retries": 2,
    "cumulativeThrottlingSeconds": 3,
    "outcome:skipped:environment": 40,
    "outcome:skipped:unsupported_action": 150,
    "outcome:rejected:missing_page_url": 6,
    "outcome:undelivered:outage": 1,
    "outcome:unknown:timed_out": 3,
    "outcome:delivered": 800,
    "detail:unsupported_action:click": 50,
    "detail:unsupported_action:refund": 100,
    "detail:environment:development": 40,
    "note:missing_value": 5,
    "note:no_identifier": 70,
    "events:PlaceAnOrder": 600,
    "events:AddToCart": 200,
    "coverage:PlaceAnOrder:email": 366,
    "coverage:PlaceAnOrder:phone": 200,
    "coverage:PlaceAnOrder:ip_and_user_agent": 600,
    "coverage:AddToCart:ttp": 1,
}


def of(**changes: int) -> Summary:
    """Returns the summary of the counters above, with some replaced; `__` stands for a colon."""
    counters = {**COUNTERS, **{name.replace("__", ":"): count for name, count in changes.items()}}
    return summarize(counters, seconds=9.80049, run_id="r1")


def shown(summary: Summary) -> str:
    console = Console(file=io.StringIO(), width=120)
    console.print(render_summary(summary))
    text: str = console.file.getvalue()  # type: ignore[attr-defined]
    return text


def test_the_file_has_the_documented_keys(tmp_path: Path) -> None:
    path = tmp_path / "new" / "summary.json"
    write_summary(of(), str(path))
    assert json.loads(path.read_text()) == {
        "messages": 900,
        "events": 1_000,
        "outcomes": [
            {"kind": "delivered", "reason": None, "count": 800},
            {"kind": "skipped", "reason": "unsupported_action", "count": 150},
            {"kind": "skipped", "reason": "environment", "count": 40},
            {"kind": "rejected", "reason": "missing_page_url", "count": 6},
            {"kind": "undelivered", "reason": "outage", "count": 1},
            {"kind": "unknown", "reason": "timed_out", "count": 3},
        ],
        "requests": 7,
        "retries": 2,
        "seconds": 9.8,
        "adds_up": True,
        "coverage": {
            "AddToCart": {
                "email": 0.0,
                "phone": 0.0,
                "external_id": 0.0,
                "click_id": 0.0,
                "ttp": 0.005,
                "ip_and_user_agent": 0.0,
            },
            "PlaceAnOrder": {
                "email": 0.61,
                "phone": 0.3333,
                "external_id": 0.0,
                "click_id": 0.0,
                "ttp": 0.0,
                "ip_and_user_agent": 1.0,
            },
        },
        "run_id": "r1",
        "notes": {"no_identifier": 70, "missing_value": 5},
        "details": {"environment": {"development": 40}, "unsupported_action": {"refund": 100, "click": 50}},
        "throttled_secs": 3,
    }


def test_the_file_is_written_for_people_too(tmp_path: Path) -> None:
    path = tmp_path / "summary.json"
    write_summary(of(), str(path))
    assert path.read_text().startswith('{\n  "messages": 900,\n')
    assert path.read_text().endswith("}\n")


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(WriteError, match=str(tmp_path)):
        write_summary(of(), str(tmp_path))


def test_a_run_over_nothing_adds_up() -> None:
    summary = summarize({}, 0.0, "r1")
    assert summary.adds_up
    assert exit_code(summary) == 0
    assert "0  in" in shown(summary)


@pytest.mark.parametrize("units", [999, 1_001])
def test_a_lost_or_a_doubled_event_is_told(units: int) -> None:
    summary = of(units=units)
    assert not summary.adds_up
    assert f"DOES NOT ADD UP: {units:,} in, 1,000 outcomes" in shown(summary)


def test_an_event_name_may_hold_a_colon() -> None:
    summary = summarize({"events:a:b": 4, "coverage:a:b:email": 1, "detail:outage:c:d": 2}, 1.0, "r1")
    assert summary.coverage["a:b"]["email"] == 0.25
    assert summary.details == {"outage": {"c:d": 2}}


@pytest.mark.parametrize(
    ("undelivered", "unknown", "code"), [(0, 0, 0), (1, 0, 3), (0, 1, 3), (5, 5, 3)], ids=lambda value: str(value)
)
def test_the_exit_code_says_whether_something_is_unsettled(undelivered: int, unknown: int, code: int) -> None:
    counters = {
        "outcome:rejected:malformed_event": 9,
        "outcome:undelivered:outage": undelivered,
        "outcome:unknown:timed_out": unknown,
    }
    assert exit_code(summarize(counters, 1.0, "r1")) == code


def test_the_table_says_what_came_in_what_became_of_it_and_what_to_do() -> None:
    lines = [" ".join(line.split()) for line in shown(of()).splitlines()]
    assert lines[0] == "events kind reason what to do"
    assert lines[1] == "1,000 in 900 messages"
    assert lines[2] == "800 delivered Nothing to do."
    assert "1 undelivered outage TikTok could not be reached or kept failing for retry_secs. Replay later." in lines
    assert "7 requests; 2 of them repeated; 9.8 s, 102 events/s; 3 s waited for the rate; adds up: every event has" in (
        " ".join(lines)
    )
    assert "PlaceAnOrder 61% 33% 0% 0% 0% 100%" in lines


def test_an_event_name_is_shown_as_it_is() -> None:
    assert "[red]Sale[/red]" in shown(summarize({"events:[red]Sale[/red]": 1}, 1.0, "r1"))


@pytest.mark.parametrize("reason", Reason)
def test_the_table_says_what_to_do_about_every_reason(reason: Reason) -> None:
    console = Console(file=io.StringIO(), width=300)
    console.print(render_summary(summarize({f"outcome:rejected:{reason}": 1}, 1.0, "r1")))
    advice = console.file.getvalue().splitlines()[2].partition(reason)[2]  # type: ignore[attr-defined]
    assert advice.strip().endswith(".")


class Count(beam.DoFn):
    """Increments a counter of ours and one of somebody else's."""

    def process(self, number: int) -> Iterator[int]:
        Metrics.counter(NAMESPACE, "units").inc(number)
        Metrics.counter("elsewhere", "units").inc(1_000)
        yield number


def test_counters_are_summed_over_steps_and_those_of_others_left_out() -> None:
    pipeline = beam.Pipeline("FnApiRunner")
    pipeline | beam.Create([1, 2]) | "A" >> beam.ParDo(Count()) | "B" >> beam.ParDo(Count())
    result = pipeline.run()
    result.wait_until_finish()
    assert read_counters(result.metrics()) == {"units": 6}


class Reported:
    """Metrics as a runner reports them that knows no filter and no committed values."""

    def query(self, _: Any) -> dict[str, list[Any]]:
        def counter(namespace: str, name: str, attempted: int, committed: int | None) -> Any:
            metric = SimpleNamespace(namespace=namespace, name=name)
            return SimpleNamespace(key=SimpleNamespace(metric=metric), attempted=attempted, committed=committed)

        return {
            "counters": [
                counter(NAMESPACE, "units", 12, 10),
                counter(NAMESPACE, "messages", 5, None),
                counter(NAMESPACE, "retries", 3, 0),
                counter("metric:system", "units", 99, 99),
            ]
        }


def test_committed_values_win_and_attempted_ones_stand_in() -> None:
    assert read_counters(Reported()) == {"units": 10, "messages": 5, "retries": 0}
