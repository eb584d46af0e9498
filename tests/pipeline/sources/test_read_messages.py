"""ReadMessages and its parts, with real files: nothing is lost without an outcome, and no file stops another."""

import gzip
import json
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import apache_beam as beam
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from apache_beam.metrics import Metrics, MetricsFilter
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.testing import test_pipeline
from apache_beam.testing.util import assert_that, equal_to

from pipeline.sources.layouts.table import Layout
from pipeline.sources.ndjson import BATCH_BYTES, BATCH_MESSAGES, MAX_LINE_BYTES
from pipeline.sources.read_messages import ReadMessages
from pipeline.sources.reader import FilePart, divide, iter_messages, read
from pipeline.storage import FileInfo, NoInputError, UnreadableFileError, expand_patterns
from transforms.counters import NAMESPACE
from transforms.model import Message, Outcome
from transforms.vocabulary import Kind, Reason, Stage

PURCHASE = json.dumps(
    {
        "events": [
            {
                "event_type": "commerce_event",
                "data": {
                    "timestamp_unixtime_ms": "1718900123456",
                    "event_id": "6644003854898401924",
                    "custom_flags": {"TikTok.URL": "https://shop.example.com/thanks"},
                    "product_action": {"action": "purchase", "total_amount": 131.12, "products": None},
                },
            }
        ],
        "user_identities": [{"identity_type": "email", "identity": "ada@example.com"}],
        "environment": "production",
    }
)


def lines_of(count: int) -> list[str]:
    """Returns JSON texts that differ."""
    return [f'{{"mpid": "{number}"}}' for number in range(count)]


def parquet(path: Path, texts: list[Any], **options: Any) -> Path:
    """Writes a table with a column of JSON text."""
    pq.write_table(
        pa.table({"publish_time": range(len(texts)), "batch_json": pa.array(texts, pa.string())}), path, **options
    )
    return path


def everything(path: Path | str, **options: Any) -> tuple[list[Message], list[Outcome]]:
    """Returns all messages and all outcomes of a file."""
    messages: list[Message] = []
    outcomes: list[Outcome] = []
    for item in read(FilePart(str(path)), **options):
        if isinstance(item, Outcome):
            outcomes.append(item)
        else:
            assert item, "an empty list"
            messages.extend(item)
    return messages, outcomes


def data_of(path: Path) -> list[str]:
    """Returns the texts of a file that can be read to its end."""
    messages, outcomes = everything(path)
    assert not outcomes
    return [message.data.decode() for message in messages]


def unreadable(path: Path, detail: str, message: str) -> Outcome:
    """Returns the outcome of a file that cannot be read."""
    return Outcome(Kind.REJECTED, Stage.READ, Reason.UNREADABLE_FILE, str(path), detail=detail, message=message)


def damaged_inside(source: Path, target: Path, fraction: float) -> Path:
    """Copies a file with 64 bytes changed at a fraction of its length."""
    content = bytearray(source.read_bytes())
    at = int(len(content) * fraction)
    content[at : at + 64] = b"\xff" * 64
    target.write_bytes(content)
    return target


# Lines of JSON


def test_a_line_is_a_message_and_its_reference_is_file_and_line(tmp_path: Path) -> None:
    path = tmp_path / "AcmeStore_20240620161530123456_34523.txt"
    path.write_text('{"mpid": "1"}\n{"mpid": "2"}\n')
    assert everything(path) == ([Message(f"{path}#0", b'{"mpid": "1"}'), Message(f"{path}#1", b'{"mpid": "2"}')], [])


@pytest.mark.parametrize(
    "content",
    [
        b'{"a": 1}\n{"b": 2}\n{"c": 3}\n',
        b'{"a": 1}\n{"b": 2}\n{"c": 3}',
        b'{"a": 1}\r\n{"b": 2}\r\n{"c": 3}\r\n',
        b'\xef\xbb\xbf{"a": 1}\n{"b": 2}\n{"c": 3}\n',
        b'  {"a": 1}\t\n{"b": 2}\n{"c": 3}   ',
    ],
    ids=["lines", "last line without newline", "CRLF", "byte order mark", "spaces"],
)
@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_lines_end_as_writers_end_them(tmp_path: Path, content: bytes, pack: Callable[[bytes], bytes]) -> None:
    path = tmp_path / "batches.txt"
    path.write_bytes(pack(content))
    assert data_of(path) == ['{"a": 1}', '{"b": 2}', '{"c": 3}']


def test_blank_lines_are_no_messages_and_are_counted_in_references(tmp_path: Path) -> None:
    path = tmp_path / "batches.txt"
    path.write_text('\n{"a": 1}\n\n   \r\n{"b": 2}\n\n')
    assert [message.ref for message in everything(path)[0]] == [f"{path}#1", f"{path}#4"]


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
@pytest.mark.parametrize("content", [b"", b"\n", b"  \r\n\n"], ids=["empty", "newline", "blank"])
def test_an_empty_file_is_quiet(tmp_path: Path, content: bytes, pack: Callable[[bytes], bytes]) -> None:
    path = tmp_path / "mparticle_validation.txt"
    path.write_bytes(pack(content))
    assert everything(path) == ([], [])


def test_mparticles_verification_file_is_a_message_that_decoding_skips(tmp_path: Path) -> None:
    path = tmp_path / "mParticle_Bucket_Verification_20240620-161530.txt"
    path.write_text("{}")
    assert everything(path) == ([Message(f"{path}#0", b"{}")], [])


def test_lists_are_bounded_by_number_and_by_size(tmp_path: Path) -> None:
    path = tmp_path / "many.txt"
    path.write_text("\n".join(lines_of(2 * BATCH_MESSAGES + 100)))
    assert [len(batch) for batch in iter_messages(str(path))] == [BATCH_MESSAGES, BATCH_MESSAGES, 100]
    path.write_text("\n".join(json.dumps({"mpid": "x" * (BATCH_BYTES // 4)}) for _ in range(7)))
    assert [len(batch) for batch in iter_messages(str(path))] == [4, 3]


def test_lines_are_whole_wherever_the_pieces_that_are_read_end(tmp_path: Path) -> None:
    texts = [json.dumps({"mpid": "é" * (7 * number)}) for number in range(1, 900)]
    for path, pack in ((tmp_path / "a.txt", bytes), (tmp_path / "a.txt.gz", gzip.compress)):
        path.write_bytes(pack("\n".join(texts).encode()))
        assert data_of(path) == texts


def test_a_line_above_the_bound_is_rejected_alone(tmp_path: Path) -> None:
    path = tmp_path / "long.txt"
    path.write_bytes(b'{"a": 1}\n"' + b"x" * MAX_LINE_BYTES + b'"\n{"b": 2}\n"' + b"y" * MAX_LINE_BYTES + b'"')
    messages, outcomes = everything(path)
    assert messages == [Message(f"{path}#0", b'{"a": 1}'), Message(f"{path}#2", b'{"b": 2}')]
    assert [(o.kind, o.reason, o.ref, o.detail, o.message) for o in outcomes] == [
        (Kind.REJECTED, Reason.UNREADABLE_MESSAGE, f"{path}#{row}", "line_too_long", "a line of more than 64 MiB")
        for row in (1, 3)
    ]


def test_text_that_is_no_json_is_left_to_decoding_line_by_line(tmp_path: Path) -> None:
    path = tmp_path / "not_json.txt"
    path.write_text('{"events": [\n{"a": 1}\nnonsense\n')
    assert data_of(path) == ['{"events": [', '{"a": 1}', "nonsense"]


def test_a_line_of_endless_nesting_is_left_to_decoding(tmp_path: Path) -> None:
    path = tmp_path / "deep.txt"
    deep = "[" * 100_000
    path.write_text(f'{deep}\n{{"a": 1}}\n')
    assert data_of(path) == [deep, '{"a": 1}']


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_one_document_over_many_lines_is_one_message(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    path = tmp_path / "batch.json"
    pretty = json.dumps(json.loads(PURCHASE), indent=2)
    path.write_bytes(pack(f"\n{pretty}\n".encode()))
    assert everything(path) == ([Message(f"{path}#0", pretty.encode())], [])


def test_a_large_document_over_many_lines_is_one_message(tmp_path: Path) -> None:
    path = tmp_path / "batch.json"
    pretty = json.dumps({"events": [{"data": {"event_id": str(number)}} for number in range(20_000)]}, indent=2)
    path.write_text(pretty)
    assert data_of(path) == [pretty]


# gzip


def test_gzip_is_told_by_the_content_not_by_the_name(tmp_path: Path) -> None:
    packed = tmp_path / "batches.txt"
    packed.write_bytes(gzip.compress(b'{"a": 1}\n'))
    plain = tmp_path / "batches.txt.gz"
    plain.write_bytes(b'{"a": 1}\n')
    assert data_of(packed) == data_of(plain) == ['{"a": 1}']


def test_gzip_files_put_together_are_read_to_the_end(tmp_path: Path) -> None:
    path = tmp_path / "batches.txt.gz"
    path.write_bytes(gzip.compress(b'{"a": 1}\n{"b"') + gzip.compress(b": 2}\n") + b"\0" * 512)
    assert data_of(path) == ['{"a": 1}', '{"b": 2}']


def test_a_gzip_file_that_is_cut_off_gives_its_complete_lines_and_one_outcome(tmp_path: Path) -> None:
    texts = [json.dumps({"mpid": os.urandom(40).hex()}) for _ in range(5_000)]
    path = tmp_path / "batches.txt.gz"
    whole = gzip.compress("\n".join(texts).encode())
    path.write_bytes(whole[: len(whole) // 2])
    messages, outcomes = everything(path)
    assert 1_000 < len(messages) < 5_000
    assert [message.data.decode() for message in messages] == texts[: len(messages)]
    assert outcomes == [
        unreadable(path, "truncated", f"the gzip data is cut off; the {len(messages):,} messages before it were read")
    ]


def test_a_gzip_file_with_a_wrong_checksum_gives_one_outcome(tmp_path: Path) -> None:
    path = tmp_path / "batches.txt.gz"
    content = bytearray(gzip.compress("\n".join(lines_of(50)).encode()))
    content[-6] ^= 0xFF
    path.write_bytes(content)
    assert everything(path) == (
        [],
        [unreadable(path, "damaged", "the gzip data is damaged; nothing of it was read")],
    )


# Parquet


def test_a_row_is_a_message_and_its_reference_is_file_and_row(tmp_path: Path) -> None:
    path = parquet(tmp_path / "batches.parquet", ['{"a": 1}', None, '{"c": 3}'], row_group_size=2)
    assert everything(path) == (
        [Message(f"{path}#0", b'{"a": 1}'), Message(f"{path}#1", b""), Message(f"{path}#2", b'{"c": 3}')],
        [],
    )


def test_a_batch_is_the_same_bytes_from_every_kind_of_file(tmp_path: Path) -> None:
    text = tmp_path / "a.txt"
    text.write_text(PURCHASE)
    packed = tmp_path / "a.txt.gz"
    packed.write_bytes(gzip.compress(PURCHASE.encode()))
    table = parquet(tmp_path / "a.parquet", [PURCHASE])
    assert data_of(text) == data_of(packed) == data_of(table) == [PURCHASE]


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


def test_a_large_file_is_divided_by_row_groups_and_nothing_changes(tmp_path: Path) -> None:
    path = parquet(tmp_path / "a.parquet", [os.urandom(50).hex() for _ in range(1_000)], row_group_size=100)
    file = FileInfo(str(path), path.stat().st_size)
    parts = divide(file, part_bytes=file.size // 4)
    assert parts[0] == FilePart(str(path), (0, 3), 0)
    assert len(parts) == 4
    messages = [message for part in parts for batch in read(part) if isinstance(batch, list) for message in batch]
    assert messages == [message for batch in iter_messages(file) for message in batch]
    assert messages[-1].ref == f"{path}#999"
    assert divide(file) == [FilePart(str(path))]


def test_a_large_file_that_cannot_be_divided_is_left_whole(tmp_path: Path) -> None:
    text = tmp_path / "a.txt"
    text.write_text("\n".join(lines_of(10)))
    cut = tmp_path / "a.parquet"
    cut.write_bytes(parquet(tmp_path / "b.parquet", lines_of(10)).read_bytes()[:-7])
    for path in (text, cut, tmp_path / "gone.parquet"):
        assert divide(FileInfo(str(path), 100), part_bytes=10) == [FilePart(str(path))]


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


@pytest.mark.parametrize("name", ["a.parquet", "a.txt.gz", "A.PARQ"])
def test_an_empty_file_whose_format_knows_no_empty_file_was_cut_off(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.touch()
    ((outcome,), messages) = everything(path)[::-1]
    assert messages == []
    assert (outcome.reason, outcome.detail) == (Reason.UNREADABLE_FILE, "truncated")


def test_a_name_that_is_no_utf_8_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "a.txt").touch()
    with open(os.fsencode(tmp_path) + b"/\xff.txt", "wb"):
        pass
    with pytest.raises(NoInputError, match=r"\\xff\.txt: the name of this file is no UTF-8 text; rename it"):
        expand_patterns([str(tmp_path)])


def test_a_local_file_may_be_named_as_a_url(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("{}")
    assert expand_patterns([f"file://{tmp_path}/*.txt"]) == [FileInfo(f"{tmp_path}/a.txt", 2)]


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


# What is no input


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.parquet", b"nonsense\n", "named as Parquet, but it does not begin as Parquet does"),
        ("a.parquet", b"PARE" + b"\0" * 50, "named as Parquet, but it does not begin as Parquet does"),
        ("a.avro", b"Obj\x01\x04\x16avro.schema", "the file is Avro"),
        ("a.txt.zst", b"\x28\xb5\x2f\xfd\x04\x00", "the file is zstd"),
        ("a.zip", b"PK\x03\x04\x14\x00", "the file is zip"),
        (
            "a.gz",
            gzip.compress(b"PAR1\x15\x04", mtime=0),
            "the file is Parquet inside gzip (Parquet is compressed inside)",
        ),
        ("a.gz", gzip.compress(gzip.compress(b"{}", mtime=0), mtime=0), "the file is gzip inside gzip"),
        ("a.txt", b"\x00\x01\x02\x03", "neither Parquet nor lines of JSON, and nothing of both in gzip"),
    ],
)
def test_another_format_gives_one_outcome_that_names_it(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    assert everything(path) == ([], [unreadable(path, "unknown_format", f"{message}; nothing of it was read")])


def test_a_wrong_extension_does_no_harm(tmp_path: Path) -> None:
    table = parquet(tmp_path / "a.json", ['{"a": 1}'])
    text = tmp_path / "b.parquet"
    text.write_text('{"a": 1}\n')
    assert data_of(table) == data_of(text) == ['{"a": 1}']


def test_a_file_that_vanished_gives_one_outcome(tmp_path: Path) -> None:
    path = tmp_path / "gone.txt"
    assert everything(path) == (
        [],
        [unreadable(path, "not_found", "the file is gone since it was listed; nothing of it was read")],
    )


@pytest.fixture
def ordinary_user() -> Iterator[None]:
    """Gives up root's right to read everything, where the tests run as root."""
    if os.geteuid():
        yield
        return
    os.seteuid(65534)
    yield
    os.seteuid(0)


@pytest.mark.parametrize("name", ["a.txt", "a.parquet"])
def test_a_file_that_may_not_be_read_gives_one_outcome(
    tmp_path: Path, name: str, request: pytest.FixtureRequest
) -> None:
    path = parquet(tmp_path / name, lines_of(1))
    path.chmod(0)
    request.getfixturevalue("ordinary_user")
    assert everything(path) == (
        [],
        [unreadable(path, "permission_denied", "the right to read it is missing; nothing of it was read")],
    )


def test_a_failing_disk_gives_one_outcome(tmp_path: Path) -> None:
    # A folder opened as a file is the simplest system call that fails.
    assert everything(tmp_path) == (
        [],
        [unreadable(tmp_path, "unreachable", "reading failed (EISDIR: Is a directory); nothing of it was read")],
    )


def test_plain_loops_get_an_error_that_names_the_file(tmp_path: Path) -> None:
    with pytest.raises(UnreadableFileError, match=r"gone\.txt: the file is gone since it was listed"):
        list(iter_messages(str(tmp_path / "gone.txt")))


# Patterns


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A folder as exports leave it behind."""
    for name in (
        "2024-06-20/a_1.txt",
        "2024-06-20/a_2.txt.gz",
        "2024-06-21/a_1.txt",
        "2024-06-21/hour=07/b.parquet",
        "2024-06-21/[1].txt",
        "_day=1/c.parquet",
        "top.txt",
        ".hidden.txt",
        "_SUCCESS",
        "_metadata",
        "_temporary/0/part.parquet",
        "_delta_log/00000.json",
        "2024-06-20/.a_1.txt.crc",
        ".staging/a.txt",
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{}")
    return tmp_path


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("top.txt", ["top.txt"]),
        ("*.txt", ["top.txt"]),
        ("2024-06-20", ["2024-06-20/a_1.txt", "2024-06-20/a_2.txt.gz"]),
        ("2024-06-20/", ["2024-06-20/a_1.txt", "2024-06-20/a_2.txt.gz"]),
        ("2024-06-2?/a_1*", ["2024-06-20/a_1.txt", "2024-06-21/a_1.txt"]),
        ("2024-06-2[!0]/a*", ["2024-06-21/a_1.txt"]),
        ("2024-06-2[0-1]/*.gz", ["2024-06-20/a_2.txt.gz"]),
        ("2024-06-21/**", ["2024-06-21/[1].txt", "2024-06-21/a_1.txt", "2024-06-21/hour=07/b.parquet"]),
        ("**/*.parquet", ["2024-06-21/hour=07/b.parquet", "_day=1/c.parquet"]),
        ("2024-06-21/**/b.parquet", ["2024-06-21/hour=07/b.parquet"]),
        ("**/top.txt", ["top.txt"]),
        ("2024-06-21/[1].txt", ["2024-06-21/[1].txt"]),
        ("_metadata", ["_metadata"]),
        ("_temporary/**", ["_temporary/0/part.parquet"]),
    ],
)
def test_patterns_match_as_shells_do(tree: Path, pattern: str, found: list[str]) -> None:
    assert [file.path for file in expand_patterns([f"{tree}/{pattern}"])] == [f"{tree}/{name}" for name in found]


def test_a_folder_stands_for_all_that_is_data_below_it(tree: Path) -> None:
    assert expand_patterns([str(tree)]) == [
        FileInfo(f"{tree}/{name}", 2)
        for name in (
            "2024-06-20/a_1.txt",
            "2024-06-20/a_2.txt.gz",
            "2024-06-21/[1].txt",
            "2024-06-21/a_1.txt",
            "2024-06-21/hour=07/b.parquet",
            "_day=1/c.parquet",
            "top.txt",
        )
    ]


def test_relative_patterns_give_relative_names(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tree)
    assert [file.path for file in expand_patterns(["*.txt", "2024-06-20/*.txt"])] == ["2024-06-20/a_1.txt", "top.txt"]


def test_a_file_that_two_patterns_match_is_read_once(tree: Path) -> None:
    assert len(expand_patterns([f"{tree}/*.txt", f"{tree}/top.txt", f"{tree}/t*"])) == 1


def test_links_are_followed_to_files_and_links_to_nowhere_are_none(tree: Path) -> None:
    (tree / "linked.txt").symlink_to(tree / "top.txt")
    (tree / "broken.txt").symlink_to(tree / "nowhere.txt")
    os.mkfifo(tree / "pipe.txt")
    assert [Path(file.path).name for file in expand_patterns([f"{tree}/*.txt"])] == ["linked.txt", "top.txt"]


@pytest.mark.parametrize("pattern", ["nothing.txt", "*.csv", "nowhere/*.txt", "nowhere/", "**/*.csv"])
def test_a_pattern_without_a_file_is_refused_by_its_name(tree: Path, pattern: str) -> None:
    with pytest.raises(NoInputError, match="matches no file") as caught:
        expand_patterns([f"{tree}/top.txt", f"{tree}/{pattern}"])
    assert f"--input {tree}/{pattern}: " in str(caught.value)
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize("pattern", ["gopher://bucket/a", "./[z-a]", "./[!]"])
def test_a_pattern_that_makes_no_sense_is_refused(pattern: str) -> None:
    with pytest.raises(NoInputError, match="not a path, URL or glob that can be read") as caught:
        expand_patterns([pattern])
    assert f"--input {pattern}: " in str(caught.value)


def test_files_are_listed_in_the_order_of_their_names(tree: Path) -> None:
    found = [file.path for file in expand_patterns([f"{tree}/top.txt", f"{tree}/2024-06-21/*.txt"])]
    assert found == [f"{tree}/2024-06-21/[1].txt", f"{tree}/2024-06-21/a_1.txt", f"{tree}/top.txt"]


def test_a_folder_that_may_not_be_listed_is_refused(request: pytest.FixtureRequest) -> None:
    # Not below tmp_path, which only its owner may enter.
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        (Path(folder) / "closed").mkdir(mode=0)
        request.getfixturevalue("ordinary_user")
        with pytest.raises(
            NoInputError, match=rf"--input {folder}: cannot be listed \(Permission denied: {folder}/closed"
        ):
            expand_patterns([folder])
        os.seteuid(os.getuid())


# In a pipeline


class ListsFn(beam.DoFn):
    """Counts the lists that arrive."""

    def __init__(self) -> None:
        self._lists = Metrics.counter("test", "lists")

    def process(self, message: Message) -> Iterator[Message]:
        raise AssertionError("messages came one by one")

    @beam.DoFn.yields_elements
    def process_batch(self, batch: list[Message]) -> Iterator[Message]:
        self._lists.inc()
        yield from batch


def test_every_row_of_every_file_is_a_message_or_belongs_to_one_outcome(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("\n".join(lines_of(3)))
    (tmp_path / "b.txt.gz").write_bytes(gzip.compress(b'{"b": 1}\n'))
    parquet(tmp_path / "c.parquet", lines_of(2_500))
    (tmp_path / "d.parquet").write_bytes(b"PAR1 and nothing else")
    (tmp_path / "e.txt").touch()
    with test_pipeline.TestPipeline("FnApiRunner") as pipeline:
        result = pipeline | ReadMessages([str(tmp_path)])
        lists = result.messages | "Lists" >> beam.ParDo(ListsFn())
        assert_that(
            lists,
            equal_to(
                [Message(f"{tmp_path}/a.txt#{row}", text.encode()) for row, text in enumerate(lines_of(3))]
                + [Message(f"{tmp_path}/b.txt.gz#0", b'{"b": 1}')]
                + [Message(f"{tmp_path}/c.parquet#{row}", text.encode()) for row, text in enumerate(lines_of(2_500))]
            ),
            label="Messages",
        )
        assert_that(
            result.outcomes,
            equal_to(
                [
                    unreadable(
                        tmp_path / "d.parquet",
                        "truncated",
                        "Parquet without its end: it was cut off, or is still being written; nothing of it was read",
                    )
                ]
            ),
            label="Outcomes",
        )
    counters = {
        entry.key.metric.name: entry.committed for entry in pipeline.result.metrics().query(MetricsFilter())["counters"]
    }
    assert counters == {"files": 5, "file_parts": 5, "rows": 2_504, "units": 1, "lists": 7}


def test_strict_files_fail_the_run_and_name_the_file(tmp_path: Path) -> None:
    (tmp_path / "bad.txt").write_bytes(b"\0\0")
    with pytest.raises(UnreadableFileError, match=r"bad\.txt cannot be read: neither Parquet nor"):
        run(ReadMessages([str(tmp_path)], strict_files=True))


def test_a_pattern_without_a_file_fails_the_run(tmp_path: Path) -> None:
    with pytest.raises(NoInputError, match="matches no file"):
        run(ReadMessages([f"{tmp_path}/*.txt"]))


def test_options_that_cannot_be_are_refused_at_construction() -> None:
    with pytest.raises(ValueError, match="patterns is empty"):
        ReadMessages([])
    with pytest.raises(ValueError, match="layout 'flat' is unknown .* known: auto, raw_json, nested_batch"):
        ReadMessages(["a"], layout="flat")


def test_two_worker_processes_share_the_files(tmp_path: Path) -> None:
    for number in range(6):
        parquet(tmp_path / f"{number}.parquet", lines_of(1_500))
    options = ["--runner=FnApiRunner", "--direct_running_mode=multi_processing", "--direct_num_workers=2"]
    counters = run(ReadMessages([str(tmp_path)]), options)
    assert counters == {"files": 6, "file_parts": 6, "rows": 9_000}


def run(reading: ReadMessages, options: list[str] | None = None) -> dict[str, int]:
    """Runs a pipeline that only reads, and returns its counters."""
    pipeline = beam.Pipeline(options=PipelineOptions(options or ["--runner=FnApiRunner"]))
    _ = pipeline | "ReadMessages" >> reading
    result = pipeline.run()
    result.wait_until_finish()
    return {
        entry.key.metric.name: entry.committed
        for entry in result.metrics().query(MetricsFilter())["counters"]
        if entry.key.metric.namespace == NAMESPACE
    }
