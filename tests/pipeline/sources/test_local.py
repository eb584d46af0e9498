"""What a run reads, the commands of one machine read, and what it refuses they refuse with the same words."""

import gzip
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.cli import main as cli
from pipeline.errors import UsageError
from pipeline.sources.local import read_local
from pipeline.sources.reader import FilePart, read
from transforms.model import Message, Outcome

ROOT = Path(__file__).resolve().parents[3]
ID = ["--event_source_id", "A1"]


def read_by_run(path: Path) -> tuple[list[Message], list[Outcome]]:
    """Returns what a run makes of a file."""
    messages: list[Message] = []
    outcomes: list[Outcome] = []
    for item in read(FilePart(str(path))):
        if isinstance(item, Outcome):
            outcomes.append(item)
        else:
            messages += item
    return messages, outcomes


def read_by_command(path: Path) -> tuple[list[Message], str | None]:
    """Returns what `preview` and the others make of a file, and the words in which they refuse it."""
    messages: list[Message] = []
    try:
        for message in read_local([str(path)]):
            messages.append(message)
    except UsageError as error:
        return messages, str(error)
    return messages, None


CUT_OFF = gzip.compress("\n".join(os.urandom(40).hex() for _ in range(20_000)).encode())[:200_000]


@pytest.mark.parametrize(
    ("name", "content", "count"),
    [
        ("lines.txt", b'{"a": 1}\n{"a": 2}\n', 2),
        ("crlf.txt", b'{"a": 1}\r\n\r\n{"a": 2}', 2),
        ("cr.txt", b'{"a": 1}\r{"a": 2}\r', 2),
        ("document.json", b'{\n "a": 1\n}\n', 1),
        ("cr_document.json", b'{\r "a": 1\r}', 1),
        ("list.json", b"[1,\n2]\n", 1),
        ("second_line_damaged.txt", b'{"a": 1}\n{"a":\n', 2),
        ("first_line_damaged.txt", b'{"a":\n{"a": 2}\n', 2),
        ("damaged_document.json", b'{\n "a": 1,\n', 1),
        ("text.txt", b"one\ntwo\n", 2),
        ("documents_on_one_line.json", b'{"a": 1}{"a": 2}', 1),
        ("documents.json", b'{\n "a": 1\n}\n{\n "a": 2\n}\n', 1),
        ("byte_order_mark.txt", b'\xef\xbb\xbf{"a": 1}\n', 1),
        ("empty.txt", b"", 0),
        ("blank.txt", b"\n \r\n", 0),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_a_file_of_text_holds_the_same_messages_for_all(
    tmp_path: Path, name: str, content: bytes, count: int, pack: Callable[[bytes], bytes]
) -> None:
    path = tmp_path / name
    path.write_bytes(pack(content))
    messages, outcomes = read_by_run(path)
    assert (len(messages), outcomes) == (count, [])
    assert read_by_command(path) == (messages, None)


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("cut.gz", CUT_OFF, r"the gzip data is cut off; the \S+ messages before it were read"),
        ("cut_document.gz", gzip.compress(b'{\n "a": ' + b"1" * 9_000)[:-9], "the gzip data is cut off; nothing of it"),
        ("damaged.gz", b"\x1f\x8b\x08\x00damaged", "the gzip data is (damaged|cut off); nothing of it was read"),
        ("a.avro", b"Obj\x01\x04\x16avro.schema", "the file is Avro; nothing of it was read"),
        ("a.zip", b"PK\x03\x04\x14\x00", "the file is zip; nothing of it was read"),
        (
            "a.bin",
            b"\x00\x01",
            "neither Parquet nor lines of JSON, and nothing of both in gzip; nothing of it was read",
        ),
        ("empty.gz", b"", "empty: its upload was cut off, or has not begun; nothing of it was read"),
        ("a.parquet", b"nonsense", "named as Parquet, but it does not begin as Parquet does; nothing of it was read"),
        ("b.parquet", b"PAR1 and no more", "Parquet without its end: it was cut off, or is still being written;"),
    ],
    ids=lambda value: value if isinstance(value, str) and " " not in value else "",
)
def test_what_a_run_refuses_is_refused_with_its_words(tmp_path: Path, name: str, content: bytes, reason: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    messages, (outcome,) = read_by_run(path)
    assert re.match(reason, str(outcome.message))
    assert read_by_command(path) == (messages, f"{path}: {outcome.message}.")


def test_a_row_that_cannot_be_decoded_is_logged_and_its_neighbours_are_read(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "a.parquet"
    events = pa.array([[{"event_type": "x"}]] * 3, pa.list_(pa.struct([("event_type", pa.string())])))
    pq.write_table(pa.table({"events": events, "ip": pa.array([b"1", b"\xff\xfe", b"3"], pa.binary())}), path)
    messages, (outcome,) = read_by_run(path)
    assert read_by_command(path) == (messages, None)
    assert f"{path}#1: {outcome.message}" in caplog.text


def test_a_file_without_a_message_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "empty.txt"
    path.touch()
    assert read_by_command(path) == ([], None)
    assert f"{path}: holds no message." in caplog.text


def test_rows_of_a_warehouse_become_batches_for_all(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    path = tmp_path / "rows.json"
    path.write_text('{"eventid": "7", "messagetypeid": "16", "eventtimestamp": "2024-06-20 16:15:23 UTC"}\n')
    messages, _ = read_by_run(path)
    assert "events" in json.loads(messages[0].data)
    assert read_by_command(path) == (messages, None)
    assert "rows.json: rows of a warehouse table as JSON" in caplog.text


def test_a_pipe_is_read_once(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    writer = threading.Thread(target=path.write_bytes, args=(b'{"a": 1}\n{"a": 2}\n',))
    writer.start()
    messages, refused = read_by_command(path)
    writer.join()
    assert ([message.data for message in messages], refused) == ([b'{"a": 1}', b'{"a": 2}'], None)


def test_parquet_on_standard_input_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"batch_json": ["{}"]}), path)
    with path.open("rb") as stream:
        command = [sys.executable, "-m", "pipeline", "preview", "-", *ID]
        done = subprocess.run(command, cwd=ROOT, stdin=stream, capture_output=True, text=True)
    assert done.returncode == 2
    assert "-: a Parquet file, which is read from its end: give its name instead of its content" in done.stderr


# What must not fill the memory

# What a line may have.
LIMIT = "a line of more than 64 MiB"


@pytest.fixture(scope="module")
def bomb(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A gzip file of 300 kB that stands for one line of 300 MiB."""
    path = tmp_path_factory.mktemp("bomb") / "bomb.txt.gz"
    with gzip.open(path, "wb", compresslevel=6) as stream:
        for _ in range(300):
            stream.write(b"x" * (1 << 20))
    assert path.stat().st_size < 400_000
    return path


@pytest.mark.usefixtures("own_process")
@pytest.mark.parametrize("command", ["preview", "check --lint", "diff", "import-projections", "test"])
def test_a_gzip_bomb_ends_a_command_with_file_and_limit(
    bomb: Path, tmp_path: Path, command: str, capfd: pytest.CaptureFixture[str]
) -> None:
    connection = tmp_path / "connection.yaml"
    mapping = "custom_mappings: [{name: m, match: {message_type: custom_event, event: a}, send: [{event: Lead}]}]\n"
    connection.write_text(f"event_source_id: A1\n{mapping}")
    projections = tmp_path / "projections.json"
    projections.write_text("[]")
    named = ["--connection", str(connection)]
    argv = {
        "preview": ["preview", str(bomb), *named],
        "check --lint": ["check", *named, "--lint", "--sample", str(bomb)],
        "diff": ["diff", *named, *named, str(bomb)],
        "import-projections": ["import-projections", str(projections), "--sample", str(bomb)],
        "test": ["test", *named, "--cases_file", str(bomb)],
    }[command]
    assert cli.main(argv) == 2
    # Cases are text files, which are never unpacked.
    reason = f"{bomb}: byte 1 is not UTF-8" if command == "test" else f"{bomb}#0: {LIMIT}."
    assert reason in capfd.readouterr().err


@pytest.mark.usefixtures("own_process")
def test_check_reports_a_gzip_bomb_as_an_input_that_cannot_be_read(
    bomb: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["check", *ID, "--input", str(bomb)]) == 1
    assert f"input: {bomb}: {LIMIT}" in capfd.readouterr().out


def test_a_gzip_bomb_does_not_fill_the_memory(bomb: Path) -> None:
    program = (
        "import resource, sys\nfrom pipeline.cli.main import main\n"
        "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10\n"
        "main(['schema'])\nbefore = peak()\ncode = main(sys.argv[1:])\n"
        "sys.stderr.write(f'\\n{peak() - before}')\nsys.exit(code)"
    )
    command = [sys.executable, "-c", program, "preview", str(bomb), *ID]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2
    assert LIMIT in done.stderr
    # A line within the limit, and what the command loads.
    assert int(done.stderr.splitlines()[-1]) < 150
