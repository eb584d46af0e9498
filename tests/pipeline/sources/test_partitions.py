"""What is not read: folders of other days, and row groups whose statistics exclude the window. Nothing else."""

import datetime
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.cli.commands.run import parse_run
from pipeline.jobs import run as job
from pipeline.runtime.read_counters import ReadReport
from pipeline.sources.parquet import TimeWindow
from pipeline.sources.partitions import Partitions, days
from pipeline.sources.reader import FilePart, divide, read
from pipeline.storage.paths import FileInfo
from sandbox.shop import warehouse
from sandbox.shop.generator import batches, write_ndjson
from sandbox.tiktok.control import Sandbox

DAY = datetime.date(2024, 6, 20)
DAY_MS = 86_400_000
# 2024-06-20, 00:00 UTC.
START_MS = 1_718_841_600_000


# Folders


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("in/event_date=2024-06-20/a.parquet", 1),
        ("gs://b/in/dt=20240620/a.parquet", 1),
        ("in/date=2024-06-20%2000%3A00%3A00/a.parquet", 1),
        ("in/DT=2024-06-20/part=3/a.parquet", 1),
        ("in/year=2024/month=06/day=20/hour=7/a.parquet", 1),
        ("in/year=2024/month=6/day=20/a.parquet", 1),
        ("/data/2024-06-20/AcmeStore_20240101161530123456_34523.txt", 1),
        ("in/2024-06-01/event_date=2024-06-20/a.parquet", 1),
        ("in/2023-01-01/2024-06-20/a.txt", 1),
        ("in/year=2024/month=06/a.parquet", 30),
        ("in/year=2024/a.parquet", 366),
    ],
)
def test_folders_name_days(path: str, expected: int) -> None:
    found = days(path)
    assert found is not None
    assert found[0] <= DAY < found[1]
    assert (found[1] - found[0]).days == expected


@pytest.mark.parametrize(
    "path",
    [
        "in/a.parquet",
        "2024-06-20.parquet",
        "in/event_date=2024-06-20.parquet",
        "in/dt=__HIVE_DEFAULT_PARTITION__/a.parquet",
        "in/event_date=2024-02-31/a.parquet",
        "in/export-2024-06-20/a.parquet",
        "in/month=06/day=20/a.parquet",
        "in/year=latest/a.parquet",
        "in/year=2024/month=13/a.parquet",
        "in/year=24/month=06/day=20/a.parquet",
    ],
)
def test_other_folders_name_none_and_are_read(path: str) -> None:
    assert days(path) is None
    assert Partitions(0, 1, 0).may_match(path)


@pytest.mark.parametrize(
    ("slack", "expected"), [(0, ["20"]), (1, ["20"]), (DAY_MS, ["19", "20", "21"]), (2 * DAY_MS, list("89012"))]
)
def test_the_slack_widens_the_window_at_both_ends(slack: int, expected: list[str]) -> None:
    window = Partitions(START_MS + 1, START_MS + DAY_MS - 1, slack)
    found = [f"{day:02}" for day in range(1, 31) if window.may_match(f"dt=2024-06-{day:02}/a")]
    assert [day[-len(expected[0]) :] for day in found] == expected


def test_a_window_may_be_open() -> None:
    since, until = Partitions(START_MS, None, 0), Partitions(None, START_MS, 0)
    assert [since.may_match(f"dt=2024-06-{day}/a") for day in (19, 20, 30)] == [False, True, True]
    assert [until.may_match(f"dt=2024-06-{day}/a") for day in (10, 19, 20)] == [True, True, False]


# Row groups

EVENT = pa.struct([("event_type", pa.string()), ("data", pa.struct([("timestamp_unixtime_ms", pa.int64())]))])


def groups_read(path: Path, window: TimeWindow) -> tuple[list[str], dict[str, int]]:
    """Returns the references of the rows that are read, and what is counted."""
    report = ReadReport()
    refs = []
    for item in read(FilePart(str(path)), window=window, report=report):
        assert isinstance(item, list), item
        refs += [message.ref.rpartition("#")[2] for message in item]
    return refs, report.take()


def table_of(layout: str, times: list[int | None]) -> pa.Table:
    """Returns a table with a row for each time in ms."""
    if layout == "nested_batch":
        events = [[{"event_type": "commerce_event", "data": {"timestamp_unixtime_ms": time}}] for time in times]
        return pa.table({"events": pa.array(events, pa.list_(EVENT))})
    if layout == "nested_event":
        data = [{"timestamp_unixtime_ms": time} for time in times]
        return pa.table({"event_type": ["commerce_event"] * len(times), "data": pa.array(data, EVENT[1].type)})
    kinds = {
        "us": pa.timestamp("us", "UTC"),
        "ns": pa.timestamp("ns"),
        "odd_ns": pa.timestamp("ns", "UTC"),
        "int64": pa.int64(),
        "micros": pa.int64(),
        "number": pa.decimal128(38, 0),
    }
    scaled = {"us": 1_000, "ns": 1_000_000, "odd_ns": 1_000_000, "int64": 1, "micros": 1_000, "number": 1}[layout]
    # Nanoseconds that are no whole microseconds, as clocks of that resolution give them; not at 0, which means missing.
    odd = 123 if layout == "odd_ns" else 0
    values = [None if time is None else time * scaled + (odd if time else 0) for time in times]
    count = len(times)
    return pa.table(
        {
            "eventid": list(range(count)),
            "messagetypeid": [16] * count,
            "eventtimestamp": pa.array(values, kinds[layout]),
        }
    )


LAYOUTS = ["nested_batch", "nested_event", "us", "ns", "odd_ns", "int64", "micros", "number"]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_row_groups_outside_the_window_are_not_read_and_rows_keep_their_numbers(layout: str, tmp_path: Path) -> None:
    path = tmp_path / "table.parquet"
    times: list[int | None] = [START_MS + 1_000 * number for number in range(50)]
    pq.write_table(table_of(layout, times), path, row_group_size=10)
    window = TimeWindow(START_MS + 10_000, START_MS + 35_000)
    refs, counts = groups_read(path, window)
    assert refs == [str(number) for number in range(10, 40)]
    assert counts["pruned:row_groups"] == 2
    assert counts["pruned:rows"] == 20
    assert counts["row_groups"] == 3
    assert len(groups_read(path, TimeWindow())[0]) == 50
    assert groups_read(path, TimeWindow(until_ms=START_MS))[0] == []
    # The edges: `since` belongs to the window, `until` does not.
    assert len(groups_read(path, TimeWindow(since_ms=START_MS + 49_000))[0]) == 10
    assert len(groups_read(path, TimeWindow(since_ms=START_MS + 49_001))[0]) == 0
    assert len(groups_read(path, TimeWindow(until_ms=START_MS + 10_000))[0]) == 10
    assert len(groups_read(path, TimeWindow(until_ms=START_MS + 10_001))[0]) == 20


def test_parts_of_a_large_file_leave_out_the_same_row_groups(tmp_path: Path) -> None:
    path = tmp_path / "table.parquet"
    pq.write_table(table_of("us", [START_MS + 1_000 * number for number in range(70)]), path, row_group_size=10)
    window = TimeWindow(START_MS + 20_000, START_MS + 40_000)
    whole, _ = groups_read(path, window)
    parts = divide(FileInfo(str(path), path.stat().st_size), part_bytes=1)
    assert len(parts) == 7
    refs, pruned = [], 0
    for part in parts:
        report = ReadReport()
        for item in read(part, window=window, report=report):
            assert isinstance(item, list), item
            refs += [message.ref.rpartition("#")[2] for message in item]
        pruned += report.take().get("pruned:row_groups", 0)
    assert refs == whole == [str(number) for number in range(20, 40)]
    assert pruned == 5


@pytest.mark.parametrize("layout", LAYOUTS)
def test_without_proof_everything_is_read(layout: str, tmp_path: Path) -> None:
    path = tmp_path / "table.parquet"
    far = TimeWindow(START_MS + DAY_MS)
    pq.write_table(table_of(layout, [START_MS] * 3), path, write_statistics=False)
    assert len(groups_read(path, far)[0]) == 3
    # An event without a time, or with a time of 0, is rejected whatever the window: it must be seen.
    pq.write_table(table_of(layout, [START_MS, None, START_MS]), path)
    assert len(groups_read(path, far)[0]) == 3
    pq.write_table(table_of(layout, [START_MS, 0]), path)
    assert len(groups_read(path, far)[0]) == 2


def test_times_that_are_texts_or_old_96_bit_ones_are_read(tmp_path: Path) -> None:
    path = tmp_path / "table.parquet"
    far = TimeWindow(START_MS + DAY_MS)
    table = table_of("int64", [START_MS, START_MS])
    pq.write_table(table.set_column(2, "eventtimestamp", table.column(2).cast(pa.string())), path)
    assert len(groups_read(path, far)[0]) == 2
    pq.write_table(table_of("ns", [START_MS]), path, use_deprecated_int96_timestamps=True)
    assert len(groups_read(path, far)[0]) == 1


def test_units_that_differ_inside_a_row_group_prove_nothing(tmp_path: Path) -> None:
    path = tmp_path / "table.parquet"
    table = table_of("int64", [START_MS // 1000, START_MS, START_MS * 1000])
    pq.write_table(table, path)
    assert len(groups_read(path, TimeWindow(START_MS + DAY_MS))[0]) == 3


def test_a_column_of_json_has_no_times(tmp_path: Path) -> None:
    path = tmp_path / "table.parquet"
    pq.write_table(pa.table({"batch": ["{}"], "eventtimestamp": [1]}), path)
    assert len(groups_read(path, TimeWindow(START_MS))[0]) == 1


@settings(deadline=None, max_examples=60)
@given(
    layout=st.sampled_from(LAYOUTS),
    times=st.lists(st.one_of(st.none(), st.integers(START_MS, START_MS + 200)), min_size=1, max_size=30),
    size=st.integers(1, 7),
    since=st.one_of(st.none(), st.integers(START_MS - 10, START_MS + 210)),
    until=st.one_of(st.none(), st.integers(START_MS - 10, START_MS + 210)),
)
def test_no_row_of_the_window_is_ever_left_out(
    tmp_path_factory: pytest.TempPathFactory,
    layout: str,
    times: list[int | None],
    size: int,
    since: int | None,
    until: int | None,
) -> None:
    path = tmp_path_factory.mktemp("pruned") / "table.parquet"
    pq.write_table(table_of(layout, times), path, row_group_size=size)
    refs, counts = groups_read(path, TimeWindow(since, until))
    first, end = since or 0, 1 << 62 if until is None else until
    wanted = {str(number) for number, time in enumerate(times) if time is None or first <= time < end}
    assert wanted <= set(refs)
    assert len(refs) + counts.get("pruned:rows", 0) == len(times)


# Whole runs


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two days: as a BigQuery export by day, as mParticle's own files, and a file in no folder of a day."""
    folder = tmp_path_factory.mktemp("days")
    for number in range(4):
        start_ms = START_MS + number * DAY_MS
        made = [json.loads(message) for message in batches(150, seed=number, start_ms=start_ms, bad=False)]
        date = DAY + datetime.timedelta(days=number)
        table = warehouse.bigquery(warehouse.rows(made)).sort_by("eventtimestamp")
        warehouse.write(table, folder / f"event_date={date}" / "table.parquet", rows_per_group=50)
        write_ndjson(folder / "lines" / str(date) / "AcmeStore_1.txt", (json.dumps(batch).encode() for batch in made))
    write_ndjson(folder / "rest.txt", batches(20, seed=9, start_ms=START_MS, bad=False))
    return folder


def summary_of(files: Path, tmp_path: Path, *flags: str) -> dict[str, Any]:
    """Runs without sending and returns the summary."""
    path = tmp_path / "summary.json"
    argv = ["--event_source_id", "PIXEL", "--enable_web_migration", "--input", str(files), "--dry_run", *flags]
    assert job.run_job(parse_run([*argv, "--summary", str(path), "--no_progress"])) == 0
    summary: dict[str, Any] = json.loads(path.read_text())
    assert summary["adds_up"]
    return summary


def would_send(summary: dict[str, Any]) -> int:
    """Returns how many events would be sent."""
    return sum(outcome["count"] for outcome in summary["outcomes"] if outcome["reason"] == "dry_run")


def test_a_run_over_a_day_reads_its_folders_and_sends_the_same_events(files: Path, tmp_path: Path) -> None:
    day = ["--since", "2024-06-22", "--until", "2024-06-23"]
    everything = summary_of(files, tmp_path, *day)
    by_folder = summary_of(files, tmp_path, *day, "--date_partition")
    assert would_send(everything) == would_send(by_folder) > 100
    assert by_folder["pruned"]["files"] == 2
    assert by_folder["pruned"]["bytes"] > 0
    # Folders of the neighbouring days are opened; the statistics of their row groups leave them unread.
    assert everything["pruned"]["row_groups"] > by_folder["pruned"]["row_groups"] > 0
    exact = summary_of(files, tmp_path, *day, "--date_partition", "--partition_slack", "0")
    assert exact["pruned"]["files"] == 6
    assert exact["messages"] < by_folder["messages"] < everything["messages"]


def test_a_window_without_folders_reads_what_is_in_none_of_them(
    files: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "pipeline")
    summary = summary_of(files, tmp_path, "--since", "2030-01-01", "--date_partition")
    assert summary["pruned"]["files"] == 8
    assert summary["messages"] == 20
    assert would_send(summary) == 0
    assert "1 of 9 files are in folders of the window" in caplog.text


def test_a_run_that_goes_well_warns_of_nothing(files: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Beam reads the source of steps and warns of forms that it holds for mistakes; operators would see that."""
    caplog.set_level("WARNING")
    summary_of(files, tmp_path, "--since", "2024-06-22")
    assert [record.getMessage() for record in caplog.records] == []


def test_a_run_that_has_nothing_left_to_read_warns(
    files: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    summary = summary_of(files / "lines", tmp_path, "--since", "2030-01-01", "--date_partition")
    assert (summary["events"], summary["pruned"]["files"]) == (0, 4)
    assert "0 of 4 files are in folders of the window" in caplog.text


def test_what_was_not_read_is_told(files: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    summary_of(files, tmp_path, "--since", "2024-06-22", "--date_partition")
    shown = " ".join(capsys.readouterr().out.split())
    assert "outside the time window by folder or statistics, not read: 2 files" in shown


def test_a_run_that_sends_prunes_as_well(files: Path, tmp_path: Path) -> None:
    with Sandbox() as sandbox:
        (tmp_path / "token").write_text(sandbox.token)
        argv = ["--event_source_id", "PIXEL", "--enable_web_migration", "--api_url", sandbox.api_url]
        argv += ["--access_token", f"file:{tmp_path / 'token'}", "--input", str(files / "event_date=2024-06-22")]
        assert job.run_job(parse_run([*argv, "--since", "2024-06-22T00:02", "--until", "2024-06-22T00:04"])) == 0
        accepted = list(sandbox.accepted())
    expected = summary_of(
        files / "event_date=2024-06-22", tmp_path, "--since", "2024-06-22T00:02", "--until", "2024-06-22T00:04"
    )
    assert len(accepted) == would_send(expected) > 0
