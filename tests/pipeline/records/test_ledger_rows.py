"""The ledger's rows and files: what stands in them, and that a file is there as a whole or not at all."""

import io
import os
import stat
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
import pyarrow.parquet as pq
import pytest
from apache_beam.io.filesystem import CompressionTypes
from apache_beam.io.localfilesystem import LocalFileSystem
from xxhash import xxh3_128_digest

from pipeline.records.ledger_rows import LEDGER_LAYOUT, LEDGER_SCHEMA, LedgerRows
from pipeline.records.parquet_files import FileLayout, RowFiles
from pipeline.storage import WriteError, write_atomically
from transforms.model import Outcome, Payload
from transforms.tiktok import RequestState, Verdict, outcomes_of
from transforms.vocabulary import Form, Kind, MatchKey, Note, Reason, Stage

CONSTANTS = {"connection": "shop.yaml", "event_source_id": "C0FFEE", "run_id": "run-1", "mapping_version": "7"}

# 2024-06-20T23:59:59.500Z and the times around it.
RECORDED_SECS = 1_718_927_999.5
HAPPENED_MS = 1_718_900_123_456
SENT_MS = 1_718_927_990_000

DELIVERED = Outcome(
    kind=Kind.DELIVERED,
    stage=Stage.WRITE,
    reason=None,
    ref="in/part-1.parquet#17",
    index=2,
    form=Form.WEB,
    event="PlaceAnOrder",
    event_id="order-4711",
    occurred_at_ms=HAPPENED_MS,
    match_keys=MatchKey.EMAIL | MatchKey.CLICK_ID,
    value=129.9,
    currency="EUR",
    notes=(Note.VALUE_FROM_ITEMS, Note.CLICK_ID_FROM_URL),
    code=0,
    request_id="20240620235950ABC",
    attempts=2,
    sent_at_ms=SENT_MS,
    first_sent_at_ms=SENT_MS - 1_500,
    payload=b'{"event":"PlaceAnOrder"}',
)
UNREADABLE = Outcome(
    kind=Kind.REJECTED,
    stage=Stage.DECODE,
    reason=Reason.UNREADABLE_MESSAGE,
    ref="in/part-1.parquet#18",
    detail="not_json",
    message="expected value",
)
PAYLOAD = Payload(
    form=Form.WEB,
    event="PlaceAnOrder",
    event_id="a",
    occurred_at_ms=HAPPENED_MS,
    body=b"{}",
    ref="in/part-1.parquet#19",
    value=5.0,
    currency="GBP",
    notes=(Note.VALUE_FROM_ITEMS,),
)


def table_of(*outcomes: Outcome, lists: int = 1) -> list[dict[str, Any]]:
    rows = LedgerRows(CONSTANTS)
    for start in range(0, len(outcomes), lists):
        rows.add(outcomes[start : start + lists])
    result: list[dict[str, Any]] = rows.take(int(RECORDED_SECS * 1_000)).to_pylist()
    return result


def read(folder: Path) -> list[dict[str, Any]]:
    return [row for path in sorted(folder.rglob("*.parquet")) for row in pq.ParquetFile(path).read().to_pylist()]


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as executor:
        yield executor


@pytest.fixture
def files(tmp_path: Path, pool: ThreadPoolExecutor) -> RowFiles:
    return RowFiles(pool, str(tmp_path / "ledger"), LedgerRows(CONSTANTS), LEDGER_LAYOUT, "run-1", max_rows=1_000)


def test_a_delivered_event_has_every_column() -> None:
    assert table_of(DELIVERED) == [
        {
            "connection": "shop.yaml",
            "event": "PlaceAnOrder",
            "event_id": "order-4711",
            "event_source_id": "C0FFEE",
            "event_time": datetime(2024, 6, 20, 16, 15, 23, 456_000, UTC),
            "kind": "delivered",
            "stage": "WriteToTikTok",
            "reason": None,
            "code": 0,
            "message": None,
            "request_id": "20240620235950ABC",
            "attempts": 2,
            "sent_time": datetime(2024, 6, 20, 23, 59, 50, 0, UTC),
            "first_sent_time": datetime(2024, 6, 20, 23, 59, 48, 500_000, UTC),
            "payload_digest": xxh3_128_digest(b'{"event":"PlaceAnOrder"}'),
            "has_email": True,
            "has_phone": False,
            "has_external_id": False,
            "has_click_id": True,
            "has_ttp": False,
            "has_ip_and_user_agent": False,
            "value": 129.9,
            "currency": "EUR",
            "input_ref": "in/part-1.parquet#17",
            "input_index": 2,
            "detail": None,
            "notes": "value_from_items,click_id_from_url",
            "run_id": "run-1",
            "mapping_version": "7",
            "recorded_time": datetime(2024, 6, 20, 23, 59, 59, 500_000, UTC),
        }
    ]


def test_what_is_not_known_of_an_outcome_is_null() -> None:
    (row,) = table_of(UNREADABLE)
    known = {name: value for name, value in row.items() if value is not None and not name.startswith("has_")}
    assert known == {
        **CONSTANTS,
        "kind": "rejected",
        "stage": "DecodeMessages",
        "reason": "unreadable_message",
        "message": "expected value",
        "attempts": 0,
        "input_ref": "in/part-1.parquet#18",
        "detail": "not_json",
        "recorded_time": datetime(2024, 6, 20, 23, 59, 59, 500_000, UTC),
    }


@pytest.mark.parametrize("lists", [1, 2, 3, 7])
def test_rows_are_the_same_however_the_outcomes_arrive(lists: int) -> None:
    mixed = [DELIVERED, UNREADABLE, DELIVERED, DELIVERED, UNREADABLE, DELIVERED, DELIVERED]
    (delivered,), (unreadable,) = table_of(DELIVERED), table_of(UNREADABLE)
    expected = [delivered if outcome is DELIVERED else unreadable for outcome in mixed]
    assert table_of(*mixed, lists=lists) == expected


def test_the_rows_of_one_request_stand_between_those_of_others() -> None:
    request = RequestState.of(Form.WEB, [PAYLOAD, msgspec.structs.replace(PAYLOAD, event_id="b", attempts=4, notes=())])
    request.attempts, request.first_sent_at, request.sent_at = 2, 1_718_927_000.25, 1_718_927_001.5
    verdict = Verdict(reply_class="invalid", code=40002, message="data.0 is invalid", request_id="20240620235950ABC")
    together = outcomes_of(request, None, Kind.REJECTED, Reason.REFUSED_BY_TIKTOK, verdict)
    assert len(together) == 2
    rows = LedgerRows(CONSTANTS)
    for outcomes in ([UNREADABLE], together, [DELIVERED]):
        rows.add(outcomes)
    assert rows.take(int(RECORDED_SECS * 1_000)).to_pylist() == table_of(UNREADABLE, *together, DELIVERED)


def test_many_rows_keep_their_order() -> None:
    ids = [f"order-{number}" for number in range(10_001)]
    outcomes = [
        Outcome(Kind.DELIVERED, Stage.WRITE, None, f"f#{number}", 0, event_id=event_id, attempts=number % 3)
        for number, event_id in enumerate(ids)
    ]
    table = table_of(*outcomes, lists=999)
    assert [row["event_id"] for row in table] == ids
    assert [row["attempts"] for row in table] == [number % 3 for number in range(10_001)]


def test_a_file_has_the_documented_schema_for_every_reader(tmp_path: Path, files: RowFiles) -> None:
    files.add([DELIVERED, UNREADABLE])
    files.flush(RECORDED_SECS)
    files.wait()
    (path,) = tmp_path.rglob("*.parquet")
    assert pq.read_schema(path).equals(LEDGER_SCHEMA)
    assert read(tmp_path) == table_of(DELIVERED, UNREADABLE)


def test_every_column_says_what_it_means() -> None:
    assert all(field.metadata[b"meaning"] for field in LEDGER_SCHEMA)


def test_statistics_are_there_for_times_and_kinds(tmp_path: Path, files: RowFiles) -> None:
    files.add([DELIVERED])
    files.flush(RECORDED_SECS)
    files.wait()
    (path,) = tmp_path.rglob("*.parquet")
    group = pq.ParquetFile(path).metadata.row_group(0)
    columns = {group.column(number).path_in_schema: group.column(number) for number in range(group.num_columns)}
    with_statistics = {name for name, column in columns.items() if column.is_stats_set}
    assert with_statistics == {
        "event",
        "event_source_id",
        "event_time",
        "kind",
        "reason",
        "sent_time",
        "recorded_time",
    }


def test_files_lie_in_the_folder_of_the_utc_day_of_recording(tmp_path: Path, files: RowFiles) -> None:
    for recorded_secs in (RECORDED_SECS, RECORDED_SECS + 1):
        files.add([DELIVERED])
        files.flush(recorded_secs)
    files.wait()
    found = sorted(path.parent.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.parquet"))
    assert found == ["ledger/date=2024-06-20", "ledger/date=2024-06-21"]


def test_a_name_begins_with_the_run_and_is_never_used_twice(tmp_path: Path, pool: ThreadPoolExecutor) -> None:
    for _ in range(3):
        files = RowFiles(pool, str(tmp_path), LedgerRows(CONSTANTS), LEDGER_LAYOUT, "2024-06-20T10:00/eu west")
        files.add([DELIVERED])
        files.flush(RECORDED_SECS)
        files.wait()
    names = [path.name for path in tmp_path.rglob("*.parquet")]
    assert len(names) == 3
    assert {name[:24] for name in names} == {"2024-06-20T10-00-eu-west"}


def test_it_is_time_to_flush_when_there_are_many_rows(files: RowFiles) -> None:
    assert not files.add([DELIVERED] * 999)
    assert files.add([DELIVERED])


def test_nothing_is_written_when_nothing_waits(tmp_path: Path, files: RowFiles) -> None:
    files.flush(RECORDED_SECS)
    files.add([])
    files.flush(RECORDED_SECS)
    files.wait()
    assert list(tmp_path.iterdir()) == []


def test_nothing_but_the_finished_file_is_left(tmp_path: Path, files: RowFiles) -> None:
    files.add([DELIVERED])
    files.flush(RECORDED_SECS)
    files.wait()
    assert [path.suffix for path in tmp_path.rglob("*") if path.is_file()] == [".parquet"]


def test_a_write_error_names_the_file_and_is_not_swallowed(tmp_path: Path, files: RowFiles) -> None:
    tmp_path.joinpath("ledger").write_text("a file where the folder should be")
    files.add([DELIVERED])
    files.flush(RECORDED_SECS)
    with pytest.raises(WriteError, match=r"cannot write .*/ledger/date=2024-06-20/run-1-\w+\.parquet: .*Check that"):
        files.wait()


def test_a_write_error_stops_the_next_file(tmp_path: Path, files: RowFiles) -> None:
    tmp_path.joinpath("ledger").write_text("a file where the folder should be")
    files.add([DELIVERED])
    files.flush(RECORDED_SECS)
    files.add([DELIVERED])
    with pytest.raises(WriteError):
        files.flush(RECORDED_SECS)


def test_private_files_are_their_owners_alone(tmp_path: Path, pool: ThreadPoolExecutor) -> None:
    folder = tmp_path / "a" / "quarantine"
    layout = FileLayout(dictionary=("kind",), statistics=("kind",), private=True)
    files = RowFiles(pool, str(folder), LedgerRows(CONSTANTS), layout, "run-1")
    before = os.umask(0o022)
    try:
        files.add([DELIVERED])
        files.flush(RECORDED_SECS)
        files.wait()
    finally:
        os.umask(before)
    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in (folder, *folder.rglob("*"))}
    assert {mode for path, mode in modes.items() if path.is_dir()} == {0o700}
    assert {mode for path, mode in modes.items() if path.is_file()} == {0o600}
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o755


class Bucket(LocalFileSystem):
    """A file system of Beam's for `bucket://`, in memory: an object appears when it is closed."""

    objects: dict[str, bytes] = {}

    @classmethod
    def scheme(cls) -> str:
        return "bucket"

    def create(self, path: str, mime_type: str = "", compression_type: str = CompressionTypes.AUTO) -> BinaryIO:
        assert compression_type == CompressionTypes.UNCOMPRESSED
        return OpenObject(path)


class OpenObject(io.BytesIO):
    def __init__(self, path: str) -> None:
        super().__init__()
        self._path = path

    def write(self, data: Any) -> int:
        if "//full/" in self._path:
            raise OSError("the bucket is full")
        return super().write(data)

    def close(self) -> None:
        Bucket.objects[self._path] = self.getvalue()
        super().close()


def test_files_go_to_any_file_system_of_beam(pool: ThreadPoolExecutor) -> None:
    files = RowFiles(pool, "bucket://acme/ledger/", LedgerRows(CONSTANTS), LEDGER_LAYOUT, "run-1")
    files.add([DELIVERED])
    files.flush(RECORDED_SECS)
    files.wait()
    (path,) = Bucket.objects
    assert path.startswith("bucket://acme/ledger/date=2024-06-20/run-1-")
    assert pq.read_table(io.BytesIO(Bucket.objects.pop(path))).to_pylist() == table_of(DELIVERED)


def test_an_object_that_cannot_be_written_is_named() -> None:
    with pytest.raises(WriteError, match=r"cannot write bucket://full/file: the bucket is full"):
        write_atomically("bucket://full/file", b"data")
