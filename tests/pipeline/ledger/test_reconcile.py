"""`reconcile`: every row is counted, and a ledger that does not hold what its runs say is found out."""

import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.cli import main as cli
from pipeline.errors import UsageError
from pipeline.ledger.reconcile import Reconciliation, reconcile_ledger
from pipeline.ledger.replay_filter import DeadLetterFilter
from pipeline.records.parquet_files import RowFiles
from pipeline.records.record_outcomes import Records
from sandbox.tiktok.faults import Answer, Delay
from transforms.model import Outcome
from transforms.vocabulary import Kind, Stage

ROOT = Path(__file__).resolve().parents[3]
NOW = datetime.now(UTC)


def ask(shop: Any, since_ms: int | None = None, until_ms: int | None = None) -> Reconciliation:
    return reconcile_ledger(str(shop.ledger), since_ms, until_ms, datetime.now(UTC))


def files(shop: Any, run: int) -> list[Path]:
    return sorted(shop.ledger.rglob(f"run-{run}-*.parquet"))


def test_every_line_adds_up_and_agrees_with_the_runs(worked: Any) -> None:
    found = ask(worked)
    assert found.adds_up
    assert {(day.day, day.event) for day in found.days} == {
        (str(datetime.now(UTC).date()), None),
        (str(datetime.now(UTC).date()), "PlaceAnOrder"),
    }
    for day in found.days:
        settled = day.delivered + sum(day.skipped.values()) + day.rejected + day.undelivered + day.unknown
        assert day.entered == settled
    assert sum(day.entered for day in found.days) == len(worked.rows())
    first, second = found.runs
    assert (first.run_id, first.summary, first.ledger, first.agrees) == ("run-1", 902, 902, True)
    assert second.agrees is True
    assert second.note == ""


def test_rows_that_are_missing_are_found(worked: Any) -> None:
    files(worked, 2)[0].unlink()
    found = ask(worked)
    assert not found.adds_up
    (bad,) = [run for run in found.runs if run.agrees is False]
    assert bad.run_id == "run-2"
    assert "in the ledger" in bad.note


def test_rows_that_changed_their_kind_are_found(worked: Any) -> None:
    path = next(path for path in files(worked, 2) if "delivered" in pq.read_table(path)["kind"].to_pylist())
    rows = pq.read_table(path, partitioning=None)
    kinds = rows["kind"].to_pylist()
    kinds[kinds.index("delivered")] = "rejected"
    pq.write_table(rows.set_column(rows.column_names.index("kind"), "kind", pa.array(kinds)), path)
    (bad,) = [run for run in ask(worked).runs if run.agrees is False]
    assert "delivered: " in bad.note
    assert "rejected: 0 by the run, 1 in the ledger" in bad.note


def test_rows_that_a_repeated_bundle_wrote_twice_count_once_and_the_newest_counts(worked: Any) -> None:
    path = next(path for path in files(worked, 2) if "delivered" in pq.read_table(path)["kind"].to_pylist())
    rows = pq.read_table(path, partitioning=None)
    earlier = pa.array(
        [at - timedelta(seconds=5) for at in rows["recorded_time"].to_pylist()], pa.timestamp("ms", "UTC")
    )
    rows = rows.set_column(rows.column_names.index("recorded_time"), "recorded_time", earlier)
    rows = rows.set_column(rows.column_names.index("kind"), "kind", pa.array(["unknown"] * rows.num_rows))
    pq.write_table(rows, path.with_name(f"run-2-{'0' * 32}.parquet"))
    found = ask(worked)
    assert found.adds_up
    assert [run.repeated for run in found.runs] == [0, rows.num_rows]
    assert sum(day.unknown for day in found.days) == 0
    assert sum(day.entered for day in found.days) == len(worked.rows()) - rows.num_rows


def test_a_time_span_takes_the_rows_recorded_in_it_and_compares_whole_runs(worked: Any) -> None:
    edge = min(row["recorded_time"] for row in worked.rows(run=2))
    edge_ms = int(edge.timestamp() * 1000)
    before, after = ask(worked, until_ms=edge_ms), ask(worked, since_ms=edge_ms)
    assert before.adds_up
    assert after.adds_up
    assert sum(day.entered for day in before.days) == 902
    assert sum(day.entered for day in after.days) == len(worked.rows(run=2))
    assert ask(worked, since_ms=edge_ms + 86_400_000) == Reconciliation([], [], True)


def test_a_run_that_died_is_named_until_a_later_one_has_done_its_window(shop: Any, orders: list[bytes]) -> None:
    file = shop.write(orders)
    shop.run(file)
    path = shop.ledger / "_manifests" / "run-1.json"
    manifest = json.loads(path.read_text())
    path.write_text(json.dumps(manifest | {"state": "died", "counts": None}))
    found = ask(shop)
    assert not found.adds_up
    assert found.runs[0].note == "did not finish: run it again"
    shop.run(file, skip_delivered=True)
    found = ask(shop)
    assert found.adds_up
    assert [run.agrees for run in found.runs] == [None, True]
    assert found.runs[0].note == "did not finish; run run-2 has done its window since"


def test_a_run_that_died_is_not_done_by_one_over_other_files(shop: Any, orders: list[bytes]) -> None:
    file = shop.write(orders[:100])
    shop.run(file)
    path = shop.ledger / "_manifests" / "run-1.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"state": "died", "counts": None}))
    shop.run(shop.write(orders[100:200], "other.txt"), skip_delivered=True)
    assert ask(shop).runs[0].note == "did not finish: run it again"
    shop.run(file.parent / "*.txt", skip_delivered=True)
    assert ask(shop).runs[0].note == "did not finish; run run-3 has done its window since"


def test_a_run_that_was_stopped_is_named_until_a_later_one_has_done_its_window(shop: Any, orders: list[bytes]) -> None:
    file = shop.write(orders[:100])
    shop.run(file)
    path = shop.ledger / "_manifests" / "run-1.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"state": "stopped"}))
    found = ask(shop)
    assert not found.adds_up
    assert found.runs[0].note == "stopped early: run it again"
    shop.run(file, skip_delivered=True)
    found = ask(shop)
    assert found.adds_up
    assert found.runs[0].note == "stopped early; run run-2 has done its window since"


def test_a_replay_that_was_killed_is_done_by_one_of_as_many_letters_and_by_no_narrower_one(
    shop: Any, orders: list[bytes]
) -> None:
    shop.sandbox.fault(Answer(code=50000, status=500, skip=2))
    shop.run(shop.write([b"no JSON", *orders[:300]]), shop.connection(max_in_flight=1))
    shop.sandbox.set_faults(Delay(secs=30.0))
    sent = shop.sandbox.stats().requests
    process = shop.start_replay("--reason", "outage,unreadable_message", "--until", "2090-01-01", max_in_flight=1)
    while process.poll() is None and shop.sandbox.stats().requests == sent:
        time.sleep(0.05)  # until another process sends: there is nothing to wait on
    process.kill()
    process.communicate()
    shop.sandbox.set_faults()
    assert shop.manifest(2)["letters"] == {
        "reasons": ["outage", "unreadable_message"],
        "since": None,
        "until": "2090-01-01T00:00:00Z",
        "quarantine": None,
        "max_attempts": 100,
        "resend_unknown": False,
    }
    shop.replay(reasons=frozenset({"unreadable_message"}))
    shop.replay(recorded_since_ms=int(time.time() * 1000))
    found = ask(shop)
    assert [run.agrees for run in found.runs] == [True, False, True, True]
    assert found.runs[1].note == "did not finish: run it again"
    shop.replay()
    found = ask(shop)
    assert found.adds_up
    assert found.runs[1].note == "did not finish; run run-5 has done its window since"


def test_a_replay_of_an_older_version_stands_for_none_and_is_done_by_one_of_all_letters(
    shop: Any, orders: list[bytes]
) -> None:
    """Its manifest does not say what narrowed it."""
    shop.sandbox.fault(Answer(code=50000, status=500))
    shop.run(shop.write(orders[:10]))
    shop.replay()
    shop.replay()
    for run, state in ((2, "died"), (3, "finished")):
        manifest = shop.manifest(run) | {"state": state}
        del manifest["letters"]
        (shop.ledger / "_manifests" / f"run-{run}.json").write_text(json.dumps(manifest | {"counts": None}))
    assert ask(shop).runs[1].note == "did not finish: run it again"
    shop.replay(reasons=frozenset({"outage"}))
    assert ask(shop).runs[1].note == "did not finish: run it again"
    shop.replay()
    assert ask(shop).runs[1].note == "did not finish; run run-5 has done its window since"


JUNE, JULY = datetime(2024, 6, 1, tzinfo=UTC), datetime(2024, 7, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("wide", "narrow"),
    [
        ({}, {"reasons": ("outage",)}),
        ({"reasons": ("outage", "throttled")}, {"reasons": ("outage",)}),
        ({"reasons": ("outage", "parked")}, {"reasons": ("outage",)}),
        ({}, {"since": JUNE}),
        ({"since": JUNE}, {"since": JULY}),
        ({}, {"until": JULY}),
        ({"until": JULY}, {"until": JUNE}),
        ({"quarantine": "q"}, {}),
        ({"resend_unknown": True}, {}),
        ({"max_attempts": 101}, {}),
    ],
)
def test_a_replay_is_done_by_a_wider_one_and_not_by_a_narrower_one(wide: Any, narrow: Any) -> None:
    one, other = DeadLetterFilter(**wide), DeadLetterFilter(**narrow)
    assert one.covers(one)
    assert one.covers(other)
    assert not other.covers(one)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({}, {"reasons": ("parked",)}),
        ({"reasons": ("outage",)}, {"reasons": ("throttled",)}),
        ({"quarantine": "q"}, {"quarantine": "r"}),
        ({"since": JUNE}, {"until": JULY}),
        ({"quarantine": "q"}, {"resend_unknown": True}),
    ],
)
def test_of_two_replays_of_different_letters_neither_is_done_by_the_other(one: Any, other: Any) -> None:
    assert not DeadLetterFilter(**one).covers(DeadLetterFilter(**other))
    assert not DeadLetterFilter(**other).covers(DeadLetterFilter(**one))


@pytest.mark.parametrize("content", [None, '{"run_id": "run-1"', "{}"], ids=["gone", "cut off", "empty"])
def test_a_run_over_files_whose_manifest_is_lost_does_not_add_up(worked: Any, content: str | None) -> None:
    path = worked.ledger / "_manifests" / "run-1.json"
    path.unlink() if content is None else path.write_text(content)
    found = ask(worked)
    assert not found.adds_up
    assert (found.runs[0].agrees, found.runs[0].ledger) == (False, 902)
    assert found.runs[0].note == "no manifest: it is gone, or cannot be read"


def test_a_stream_keeps_no_manifest_and_is_counted_without_comparison(tmp_path: Path) -> None:
    with ThreadPoolExecutor(1) as pool:
        ((folder, rows, layout),) = Records(ledger=str(tmp_path), run_id="stream").kinds()
        files = RowFiles(pool, folder, rows, layout, "stream")
        files.add([Outcome(Kind.DELIVERED, Stage.WRITE, None, "12345678901234567", 0, event="Purchase")])
        files.flush(NOW.timestamp())
        files.wait()
    found = reconcile_ledger(str(tmp_path), None, None, NOW)
    assert found.adds_up
    assert [(run.run_id, run.agrees, run.ledger) for run in found.runs] == [("stream", None, 1)]
    assert found.runs[0].note.startswith("a stream")


def test_a_job_that_dataflow_ran_is_counted_without_comparison(worked: Any) -> None:
    """Its manifest is written where the job is described; the counts are the job's metrics."""
    path = worked.ledger / "_manifests" / "run-1.json"
    manifest = json.loads(path.read_text())
    path.write_text(json.dumps({**manifest, "state": "described", "counts": None, "ended": None}))
    found = ask(worked)
    assert found.adds_up
    first = found.runs[0]
    assert (first.run_id, first.ledger, first.agrees) == ("run-1", 902, None)
    assert "ran on Dataflow" in first.note


def test_a_summary_that_says_more_events_than_it_has_outcomes_is_found(worked: Any) -> None:
    path = worked.ledger / "_manifests" / "run-1.json"
    manifest = json.loads(path.read_text())
    manifest["counts"]["events"] += 1
    path.write_text(json.dumps(manifest))
    found = ask(worked)
    assert not found.adds_up
    assert (found.runs[0].summary, found.runs[0].ledger, found.runs[0].agrees) == (903, 902, False)


def change(path: Path, column: str, values: pa.Array) -> None:
    rows = pq.read_table(path, partitioning=None)
    pq.write_table(rows.set_column(rows.column_names.index(column), column, values), path)


@pytest.mark.parametrize("column", ["kind", "run_id"])
@pytest.mark.parametrize("value", [None, "other"])
def test_rows_of_no_known_kind_or_run_do_not_add_up(worked: Any, column: str, value: str | None) -> None:
    path = files(worked, 1)[0]
    change(path, column, pa.array([value] * pq.read_table(path).num_rows, pa.string()))
    found = ask(worked)
    assert not found.adds_up
    assert [run.agrees for run in found.runs if run.run_id == "run-1"] == [False]
    if column == "kind":
        lines = [
            (day.entered, day.delivered + sum(day.skipped.values()) + day.rejected + day.undelivered + day.unknown)
            for day in found.days
        ]
        assert any(entered != settled for entered, settled in lines)
    else:
        assert [run.agrees for run in found.runs if run.run_id == (value or "")] == [False]


@pytest.mark.parametrize("unit", ["us", "ns"])
def test_times_of_another_unit_are_refused_because_they_would_be_misread(worked: Any, unit: str) -> None:
    path = files(worked, 1)[0]
    change(path, "recorded_time", pq.read_table(path)["recorded_time"].cast(pa.timestamp(unit, "UTC")))
    with pytest.raises(UsageError, match="no column recorded_time of type timestamp"):
        ask(worked)


def test_two_events_that_were_made_of_one_are_two_units(tmp_path: Path) -> None:
    with ThreadPoolExecutor(1) as pool:
        ((folder, rows, layout),) = Records(ledger=str(tmp_path), run_id="run").kinds()
        for _ in range(2):  # the bundle was repeated
            files = RowFiles(pool, folder, rows, layout, "run")
            files.add([Outcome(Kind.DELIVERED, Stage.WRITE, None, "m#1", 0, event=name) for name in ("A", "B")])
            files.flush(NOW.timestamp())
            files.wait()
    (run,) = reconcile_ledger(str(tmp_path), None, None, NOW).runs
    assert (run.ledger, run.repeated) == (2, 2)


class Answered(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str


@pytest.fixture
def command(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, own_process: None
) -> Callable[..., Answered]:
    """Runs `reconcile` over the ledger of a shop."""
    monkeypatch.setenv("COLUMNS", "200")

    def run(shop: Any, *arguments: str) -> Answered:
        capsys.readouterr()
        return Answered(cli.main(["reconcile", "--ledger", str(shop.ledger), *arguments]), *capsys.readouterr())

    return run


def test_the_command_shows_tables_or_json_and_exits_with_3_if_it_does_not_add_up(
    worked: Any, command: Callable[..., Answered]
) -> None:
    today = str(datetime.now(UTC).date())
    shown = command(worked, "--since", today)
    assert shown.code == 0, shown.err
    assert "PlaceAnOrder" in shown.out
    assert "adds up" in shown.out
    told = json.loads(command(worked, "--json").out)
    assert told["adds_up"] is True
    assert {day["day"] for day in told["days"]} == {today}
    assert set(told["days"][0]) == {
        *("day", "event", "in", "delivered", "skipped", "rejected", "undelivered", "unknown"),
    }
    for path in files(worked, 1):
        path.unlink()
    broken = command(worked)
    assert broken.code == 3
    assert "DOES NOT ADD UP" in broken.out


def test_nothing_to_reconcile_is_a_mistake_in_the_command_line(shop: Any, command: Callable[..., Answered]) -> None:
    answer = command(shop)
    assert answer.code == 2
    assert "nothing was recorded there" in answer.err


def test_a_ledger_that_cannot_be_read_is_named(worked: Any) -> None:
    files(worked, 1)[0].write_bytes(b"PAR1 no more")
    with pytest.raises(UsageError, match="cannot be read"):
        ask(worked)


def test_a_file_that_something_else_has_written_is_named(shop: Any, orders: list[bytes]) -> None:
    file = shop.write(orders[:10])
    shop.run(file)
    (day,) = shop.ledger.glob("date=*")
    pq.write_table(pa.table({"event_id": [1, 2]}), day / "theirs.parquet")
    with pytest.raises(UsageError, match="theirs.parquet is no file of this program: it has no column run_id"):
        ask(shop)
    with pytest.raises(UsageError, match="theirs.parquet is no file of this program: it has no column event_source_id"):
        shop.run(file, skip_delivered=True)
    assert [manifest["state"] for manifest in (shop.manifest(1), shop.manifest(2))] == ["finished", "failed"]
