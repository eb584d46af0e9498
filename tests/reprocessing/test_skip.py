"""`--skip_delivered` and `--drop_duplicates`: each event is delivered once, however often its window is run."""

import json
import logging
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from pipeline.ledger.delivered import find_parts, ledger_files
from pipeline.records.parquet_files import RowFiles
from pipeline.records.record_outcomes import Records
from sandbox.tiktok.faults import Answer, Reset

WEEK_SECS = 7 * 86400
HOUR_MS = 3_600_000


def test_a_window_that_is_run_again_is_delivered_once_also_a_week_later(shop: Any, orders: list[bytes]) -> None:
    file = shop.write(orders)
    assert shop.run(file, skip_delivered=True) == {"delivered": 1000}
    for _ in range(2):
        shop.sandbox.advance_clock(WEEK_SECS)
        assert shop.run(file, skip_delivered=True) == {"already_delivered": 1000}
    assert shop.times_accepted() == {1: 1000}
    skipped = shop.rows(run=2)
    assert {(row["kind"], row["stage"], row["event"]) for row in skipped} == {
        ("skipped", "SkipDelivered", "PlaceAnOrder")
    }
    assert {row["event_id"] for row in skipped} == {row["event_id"] for row in shop.rows(run=1)}


def test_without_the_flag_a_week_later_everything_counts_twice(shop: Any, orders: list[bytes]) -> None:
    """What the flag is for: TikTok forgets after 48 hours."""
    file = shop.write(orders)
    shop.run(file)
    shop.sandbox.advance_clock(WEEK_SECS)
    assert shop.run(file) == {"delivered": 1000}
    assert shop.times_accepted() == {2: 1000}


@pytest.mark.parametrize(
    "options",
    [
        {"ledger_memory_mb": 512},
        {"ledger_memory_mb": 0},
        {"beam_args": ("--direct_num_workers=2", "--direct_running_mode=multi_threading")},
    ],
    ids=["in memory", "joined", "two threads"],
)
def test_new_events_go_out_beside_old_ones_however_the_ledger_is_held(
    shop: Any, orders: list[bytes], options: dict[str, Any]
) -> None:
    shop.run(shop.write(orders[:400], "first.txt"))
    shop.sandbox.advance_clock(WEEK_SECS)
    outcome = shop.run(shop.write(orders, "all.txt"), skip_delivered=True, **options)
    assert outcome == {"delivered": 600, "already_delivered": 400}
    assert shop.times_accepted() == {1: 1000}


def test_another_event_source_with_the_same_events_is_none_of_it(shop: Any, orders: list[bytes]) -> None:
    file = shop.write(orders)
    shop.run(file, skip_delivered=True)
    other = shop.connection(event_source_id="ANOTHER")
    assert shop.run(file, other, skip_delivered=True) == {"delivered": 1000}


def test_what_was_not_delivered_goes_out(shop: Any, orders: list[bytes]) -> None:
    file = shop.write(orders)
    shop.sandbox.fault(Answer(code=40105, skip=4))
    assert shop.run(file, shop.connection(max_in_flight=1), skip_delivered=True) == {
        "delivered": 400,
        "credentials": 600,
    }
    shop.sandbox.set_faults()
    assert shop.run(file, skip_delivered=True) == {"delivered": 600, "already_delivered": 400}
    assert shop.times_accepted() == {1: 1000}


def age(shop: Any, hours: float) -> None:
    """Makes the ledger as old as if it had been written before, by moving its times of sending back."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    for path in shop.ledger.rglob("*.parquet"):
        rows = pq.read_table(path, partitioning=None)
        for name in ("first_sent_time", "sent_time"):
            kind = rows[name].type
            earlier = [
                None if at is None else at - int(hours * HOUR_MS) for at in rows[name].cast(pa.int64()).to_pylist()
            ]
            rows = rows.set_column(rows.column_names.index(name), name, pa.array(earlier, pa.int64()).cast(kind))
        pq.write_table(rows, path)


@pytest.mark.parametrize("memory_mb", [512, 0], ids=["in memory", "joined"])
def test_unknown_events_are_sent_again_within_48_hours_and_held_later(
    shop: Any, orders: list[bytes], memory_mb: int
) -> None:
    file = shop.write(orders)
    shop.sandbox.fault(Reset(when="after"))
    assert shop.run(file) == {"timed_out": 1000}
    again = {"skip_delivered": True, "ledger_memory_mb": memory_mb}
    assert shop.run(file, **again) == {"timed_out": 1000}
    shop.sandbox.set_faults()

    age(shop, hours=49)
    shop.sandbox.advance_clock(49 * 3600)
    assert shop.run(file, **again) == {"awaiting_decision": 1000}
    assert shop.exit_code == 0
    assert {row["kind"] for row in shop.rows(run=3)} == {"skipped"}
    assert shop.times_accepted() == {1: 1000}

    assert shop.run(file, **again, resend_unknown=True) == {"delivered": 1000}
    assert shop.times_accepted() == {2: 1000}  # it was the person's decision
    assert shop.run(file, **again) == {"already_delivered": 1000}


def test_unknown_events_of_47_hours_ago_are_sent_again_with_the_same_ids(shop: Any, orders: list[bytes]) -> None:
    file = shop.write(orders)
    shop.sandbox.fault(Reset(when="after"))
    shop.run(file)
    shop.sandbox.set_faults()
    age(shop, hours=47)
    shop.sandbox.advance_clock(47 * 3600)
    assert shop.run(file, skip_delivered=True) == {"delivered": 1000}
    assert shop.times_accepted() == {1: 1000}


@pytest.mark.parametrize(
    "args",
    [(), ("--direct_num_workers=2", "--direct_running_mode=multi_threading"),
     ("--direct_num_workers=2", "--direct_running_mode=multi_processing")],
    ids=["one thread", "two threads", "two processes"],
)  # fmt: skip
def test_repeats_inside_the_input_are_dropped(shop: Any, orders: list[bytes], args: tuple[str, ...]) -> None:
    first = shop.write([*orders[:500], *orders[:100]], "in/first.txt")
    shop.write([*orders[300:700], *orders[690:700]], "in/second.txt")
    outcome = shop.run(first.parent, drop_duplicates=True, beam_args=args)
    assert outcome == {"delivered": 700, "duplicate_in_input": 310}
    assert shop.sandbox.totals().duplicates == 0
    delivered = [row["event_id"] for row in shop.rows() if row["kind"] == "delivered"]
    assert len(delivered) == len(set(delivered)) == 700


def at(events: list[bytes], days: dict[int, str]) -> list[bytes]:
    """Returns messages whose events happened on given days, by position."""
    moved = []
    for number, day in days.items():
        message = json.loads(events[number])
        moment = datetime.fromisoformat(day).replace(tzinfo=UTC, hour=12)
        message["events"][0]["data"]["timestamp_unixtime_ms"] = str(int(moment.timestamp() * 1000))
        moved.append(json.dumps(message).encode())
    return moved


def test_only_the_days_that_can_matter_are_read(shop: Any, orders: list[bytes]) -> None:
    shop.run(shop.write(orders))
    today = next(shop.ledger.glob("date=*"))
    for day in ("2024-06-18", "2024-06-19", "2024-06-20", "2024-06-21"):
        shutil.copytree(today, shop.ledger / f"date={day}")
    since_ms = int(datetime(2024, 6, 20, 8, tzinfo=UTC).timestamp() * 1000)
    days = {Path(path).parent.name for path in ledger_files(str(shop.ledger), since_ms)}
    assert days == {"date=2024-06-19", "date=2024-06-20", "date=2024-06-21", today.name}
    assert len({Path(path).parent for path in ledger_files(str(shop.ledger))}) == 5
    assert ledger_files(str(shop.folder / "nothing")) == []


def test_row_groups_without_delivered_events_of_the_window_are_left_out(shop: Any, orders: list[bytes]) -> None:
    shop.run(shop.write(at(orders, {0: "2024-06-01", 1: "2024-06-02"}), "june.txt"))
    shop.run(shop.write(at(orders, {2: "2024-07-01"}), "july.txt"))
    shop.run(shop.write(at(orders, {2: "2024-07-01"}), "july.txt"), skip_delivered=True)

    def rows(since: str, until: str) -> int:
        edges = [int(datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp() * 1000) for day in (since, until)]
        return sum(part.rows for part in find_parts(ledger_files(str(shop.ledger)), "PIXEL", *edges))

    assert rows("2024-06-01", "2024-06-02") == 2  # one row group holds both
    assert rows("2024-07-01", "2024-07-02") == 1  # not the skipped one
    assert rows("2024-06-10", "2024-06-20") == 0
    assert find_parts(ledger_files(str(shop.ledger)), "ANOTHER") == []


def test_an_event_whose_clock_is_weeks_ahead_is_found_from_its_own_window(shop: Any, orders: list[bytes]) -> None:
    year = datetime.now(UTC).year + 2
    file = shop.write(at(orders, {0: f"{year}-03-01", 1: "2024-06-01"}))
    shop.run(file)
    assert [path.name.endswith("-ahead.parquet") for path in sorted(shop.ledger.rglob("*.parquet"))].count(True) == 1
    since_ms = int(datetime(year, 2, 1, tzinfo=UTC).timestamp() * 1000)
    shop.sandbox.advance_clock(WEEK_SECS)
    assert shop.run(file, skip_delivered=True, since_ms=since_ms) == {
        "already_delivered": 1,
        "outside_time_window": 1,
    }


def test_a_damaged_file_of_the_ledger_stops_the_run_before_anything_is_sent(shop: Any, orders: list[bytes]) -> None:
    file = shop.write(orders)
    shop.run(file)
    damaged = next(shop.ledger.rglob("*.parquet"))
    damaged.write_bytes(damaged.read_bytes()[:-20])
    with pytest.raises(Exception, match=f"{damaged.name} cannot be read"):
        shop.run(file, skip_delivered=True)
    assert shop.sandbox.totals().accepted == 1000


def test_how_the_ledger_is_held_is_logged(shop: Any, orders: list[bytes], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "pipeline")
    file = shop.write(orders)
    shop.run(file)
    shop.run(file, skip_delivered=True)
    shop.run(file, skip_delivered=True, ledger_memory_mb=0)
    assert "1000 rows in 1 of 1 files matter; held in memory" in caplog.text
    assert "joined with the input: 0 MB would exceed --ledger_memory_mb 0" in caplog.text


def test_rows_go_to_the_file_of_their_day_or_to_the_one_ahead(tmp_path: Path) -> None:
    """Two days ahead of the day of recording, to the millisecond."""
    from concurrent.futures import ThreadPoolExecutor

    import pyarrow.parquet as pq

    from transforms.model import Outcome
    from transforms.vocabulary import Kind, Stage

    noon = datetime(2024, 6, 20, 12, tzinfo=UTC).timestamp()
    edge_ms = int(datetime(2024, 6, 22, tzinfo=UTC).timestamp() * 1000)
    with ThreadPoolExecutor(1) as pool:
        ((folder, rows, layout),) = Records(ledger=str(tmp_path)).kinds()
        files = RowFiles(pool, folder, rows, layout, "run")
        for occurred_at_ms in (edge_ms - 1, edge_ms, None):
            files.add([Outcome(Kind.DELIVERED, Stage.WRITE, None, "m", occurred_at_ms=occurred_at_ms)])
        files.flush(noon)
        files.wait()
    found = {path.name.endswith("-ahead.parquet"): pq.read_table(path)["event_time"] for path in tmp_path.rglob("*.p*")}
    assert [None if at is None else at.timestamp() * 1000 for at in found[True].to_pylist()] == [edge_ms]
    assert [None if at is None else at.timestamp() * 1000 for at in found[False].to_pylist()] == [edge_ms - 1, None]
