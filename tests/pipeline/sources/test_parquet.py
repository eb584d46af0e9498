"""Parquet files, with real files: a message for each row, whatever is damaged."""

import json
import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from source_files import PURCHASE, damaged_inside, data_of, everything, lines_of, parquet, unreadable

from pipeline.sources.layouts.table import Layout
from pipeline.sources.ndjson import BATCH_BYTES
from pipeline.sources.reader import iter_messages
from transforms.model import Message
from transforms.vocabulary import Kind, Reason


def test_a_row_is_a_message_and_its_reference_is_file_and_row(tmp_path: Path) -> None:
    path = parquet(tmp_path / "batches.parquet", ['{"a": 1}', None, '{"c": 3}'], row_group_size=2)
    assert everything(path) == (
        [Message(f"{path}#0", b'{"a": 1}'), Message(f"{path}#1", b""), Message(f"{path}#2", b'{"c": 3}')],
        [],
    )


@pytest.mark.parametrize("compression", ["none", "snappy", "gzip", "zstd", "brotli", "lz4"])
def test_every_compression_inside_parquet_is_read(tmp_path: Path, compression: str) -> None:
    texts = lines_of(3_000)
    assert data_of(parquet(tmp_path / "a.parquet", texts, compression=compression, row_group_size=700)) == texts


def test_lists_of_large_rows_are_short(tmp_path: Path) -> None:
    texts = [json.dumps({"mpid": os.urandom(BATCH_BYTES // 16).hex()}) for _ in range(9)]
    path = parquet(tmp_path / "a.parquet", texts)
    assert [len(batch) for batch in iter_messages(str(path))] == [7, 2]


def test_one_row_group_of_any_size_does_not_fill_the_memory(tmp_path: Path) -> None:
    noise = os.urandom(1_000_000).hex()
    path = parquet(
        tmp_path / "a.parquet",
        [f'{{"mpid": "{noise[number : number + 2_000]}"}}' for number in range(40_000)],
        use_dictionary=False,
        compression="none",
    )
    assert pq.ParquetFile(path).num_row_groups == 1
    assert path.stat().st_size > 80_000_000
    most = rows = 0
    before = pa.total_allocated_bytes()
    for batch in iter_messages(str(path)):
        rows += len(batch)
        most = max(most, pa.total_allocated_bytes() - before)
    assert rows == 40_000
    assert most < 16_000_000


def test_a_table_without_rows_is_quiet(tmp_path: Path) -> None:
    assert everything(parquet(tmp_path / "a.parquet", [])) == ([], [])


def test_a_row_that_cannot_be_decoded_is_one_outcome_and_its_neighbours_are_messages(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    ips = pa.array([b"203.0.113.1", b"\xff\xfe", b"203.0.113.3"], pa.binary())
    events = pa.array([[{"event_type": "x"}]] * 3, pa.list_(pa.struct([("event_type", pa.string())])))
    pq.write_table(pa.table({"events": events, "ip": ips}), path)
    messages, outcomes = everything(path)
    assert [(message.ref, json.loads(message.data)["ip"]) for message in messages] == [
        (f"{path}#0", "203.0.113.1"),
        (f"{path}#2", "203.0.113.3"),
    ]
    assert [(o.kind, o.reason, o.ref, o.detail) for o in outcomes] == [
        (Kind.REJECTED, Reason.UNREADABLE_MESSAGE, f"{path}#1", "undecodable_row")
    ]


def test_nested_tables_are_read_from_files(tmp_path: Path) -> None:
    path = tmp_path / "event_date=2024-06-20" / "part-0.parquet"
    path.parent.mkdir()
    batch = json.loads(PURCHASE)
    pq.write_table(pa.Table.from_pylist([batch, batch], pa.Table.from_pylist([batch]).schema), path)
    assert [json.loads(text) for text in data_of(path)] == [batch, batch]
    assert everything(path)[0][1].ref == f"{path}#1"


def test_a_table_of_no_known_layout_gives_one_outcome_that_names_its_columns(tmp_path: Path) -> None:
    path = tmp_path / "orders.parquet"
    pq.write_table(pa.table({"order": [1], "amount": [2.5]}), path)
    messages, outcomes = everything(path)
    assert not messages
    assert [(o.reason, o.detail, o.ref) for o in outcomes] == [(Reason.UNREADABLE_FILE, "unknown_layout", str(path))]
    assert str(outcomes[0].message).startswith("columns order, amount match no known layout; known: raw_json")


def test_layout_and_column_reach_the_table(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"line": ['{"a": 1}'], "batch": ['{"b": 2}']}), path)
    assert everything(path, column="line")[0][0].data == b'{"a": 1}'
    assert everything(path, layout=Layout.RAW_JSON)[0][0].data == b'{"b": 2}'
    assert everything(path, layout=Layout.NESTED_BATCH)[1][0].detail == "unknown_layout"


def test_parquet_that_is_cut_off_gives_one_outcome(tmp_path: Path) -> None:
    path = parquet(tmp_path / "a.parquet", lines_of(100))
    path.write_bytes(path.read_bytes()[:-100])
    assert everything(path) == (
        [],
        [
            unreadable(
                path,
                "truncated",
                "Parquet without its end: it was cut off, or is still being written; nothing of it was read",
            )
        ],
    )


def test_parquet_with_a_damaged_footer_gives_one_outcome(tmp_path: Path) -> None:
    path = parquet(tmp_path / "a.parquet", lines_of(100))
    content = bytearray(path.read_bytes())
    content[-200:-8] = b"\xff" * 192
    path.write_bytes(content)
    messages, outcomes = everything(path)
    assert not messages
    assert [(o.ref, o.detail) for o in outcomes] == [(str(path), "damaged")]
    assert str(outcomes[0].message).startswith("the Parquet footer cannot be decoded (")


def test_a_page_damaged_in_the_middle_leaves_the_rows_before_it_and_one_outcome(tmp_path: Path) -> None:
    texts = [json.dumps({"mpid": os.urandom(40).hex()}) for _ in range(20_000)]
    whole = parquet(tmp_path / "whole.parquet", texts, row_group_size=5_000)
    path = damaged_inside(whole, tmp_path / "a.parquet", 0.6)
    messages, outcomes = everything(path)
    assert 5_000 <= len(messages) < 20_000
    assert [message.data.decode() for message in messages] == texts[: len(messages)]
    assert [(o.ref, o.detail) for o in outcomes] == [(str(path), "damaged")]
    read_before = f"the {len(messages):,} messages before it were read"
    assert str(outcomes[0].message).startswith(f"row {len(messages):,} and those behind it cannot be decoded (")
    assert str(outcomes[0].message).endswith(read_before)


def test_a_changed_byte_is_found_where_the_writer_left_checksums(tmp_path: Path) -> None:
    whole = parquet(
        tmp_path / "whole.parquet", lines_of(5_000), compression="none", write_page_checksum=True, use_dictionary=False
    )
    messages, outcomes = everything(damaged_inside(whole, tmp_path / "a.parquet", 0.5))
    assert [o.detail for o in outcomes] == ["damaged"]
    assert all(b"\xff" not in message.data for message in messages)
