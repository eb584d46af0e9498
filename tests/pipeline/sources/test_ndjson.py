"""Lines of JSON, plain and gzip: what a message is, and what is no text."""

import gzip
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from source_files import PURCHASE, data_of, everything, lines_of, unreadable

from pipeline.sources.ndjson import BATCH_BYTES, BATCH_MESSAGES, MAX_LINE_BYTES
from pipeline.sources.reader import iter_messages
from transforms.model import Message
from transforms.vocabulary import Kind, Reason


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
