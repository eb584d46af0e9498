"""`preview`: what would be sent for the events of some messages, and why not."""

import gzip
import json
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline.cli import main as cli
from sandbox.shop import warehouse
from sandbox.shop.generator import batches
from transforms.vocabulary import Note, Reason

ROOT = Path(__file__).resolve().parents[3]

VIEW = {
    "event_type": "commerce_event",
    "data": {
        "timestamp_unixtime_ms": 1718900000123,
        "source_message_id": "m-1",
        "currency_code": "USD",
        "custom_flags": {"TikTok.URL": "https://shop.example.com/p/1"},
        "product_action": {
            "action": "view_detail",
            "total_amount": 21.5,
            "products": [{"id": "sku-1", "name": "Shoe", "price": 21.5, "quantity": 1}],
        },
    },
}
START = {"event_type": "session_start", "data": {"timestamp_unixtime_ms": 1718900000000}}

# Official vector. Source: Events API 2.0, parameters of `user`: " ALICE_abc@gmail.com ".
EMAIL = " ALICE_abc@gmail.com "
EMAIL_SHA256 = "848a771458438fc2ec420560d769fb9b9b86851ee338ec56517baabd79d3bb4f"


def batch(*events: object, **fields: object) -> dict[str, object]:
    return {
        "environment": "production",
        "ip": "203.0.113.10",
        "device_info": {"http_header_user_agent": "Mozilla/5.0"},
        "user_identities": {"email": EMAIL},
        "events": list(events),
        **fields,
    }


Shown = Callable[..., list[dict[str, Any]]]


pytestmark = pytest.mark.usefixtures("own_process")


@pytest.fixture
def shown(tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> Shown:
    """Previews files of the given contents with `--json` and returns the lines."""

    def shown(*contents: object, flags: tuple[str, ...] = ("--enable_web_migration",)) -> list[dict[str, Any]]:
        names = []
        for number, content in enumerate(contents):
            path = tmp_path / f"messages-{number}.json"
            path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
            names.append(str(path))
        capfdbinary.readouterr()
        assert cli.main(["preview", *names, "--json", "--event_source_id", "A1", *flags]) == 0
        return [json.loads(line) for line in capfdbinary.readouterr().out.splitlines()]

    return shown


def test_an_event_is_shown_with_the_request_that_would_carry_it_alone(shown: Shown) -> None:
    (line,) = shown(batch(VIEW))
    assert list(line) == ["message", "event", "action", "reason", "path", "body", "notes"]
    assert line == {
        "message": 0,
        "event": 0,
        "action": "send",
        "reason": None,
        "path": "event/track/",
        "body": {
            "event_source": "web",
            "event_source_id": "A1",
            "data": [
                {
                    "event": "ViewContent",
                    "event_time": 1718900000,
                    "event_id": "m-1",
                    "user": {"email": [EMAIL_SHA256], "ip": "203.0.113.10", "user_agent": "Mozilla/5.0"},
                    "page": {"url": "https://shop.example.com/p/1"},
                    "properties": {
                        "currency": "USD",
                        "value": 21.5,
                        "content_type": "product",
                        "content_ids": ["sku-1"],
                        "contents": [{"content_id": "sku-1", "content_name": "Shoe", "price": 21.5, "quantity": 1}],
                    },
                }
            ],
        },
        "notes": [],
    }


def test_an_event_that_is_not_sent_has_its_reason_and_no_request(shown: Shown) -> None:
    lines = shown(batch(START, VIEW))
    assert [(line["event"], line["action"], line["reason"]) for line in lines] == [
        (0, "skipped", "unsupported_event_type"),
        (1, "send", None),
    ]
    assert (lines[0]["path"], lines[0]["body"]) == (None, None)


@pytest.mark.parametrize(
    ("content", "action", "reason"),
    [
        (b"{}", "skipped", "empty_message"),
        (b'{"events": [], "mpid": "1"}', "skipped", "no_events"),
        (b"no JSON at all", "rejected", "unreadable_message"),
        (b'{"events": [{"event_type": "commerce_event",\n"data": {', "rejected", "unreadable_message"),
        (b'{"colour": "red"}', "rejected", "not_a_batch"),
    ],
)
def test_a_message_without_events_is_one_line_without_a_number(
    shown: Shown, content: bytes, action: str, reason: str
) -> None:
    (line,) = shown(content)
    assert (line["message"], line["event"], line["action"], line["reason"]) == (0, None, action, reason)


def test_messages_are_numbered_over_all_files(shown: Shown) -> None:
    ndjson = b"\n".join(json.dumps(batch(START)).encode() for _ in range(2)) + b"\r\n\n"
    lines = shown(ndjson, gzip.compress(ndjson), json.dumps(batch(VIEW), indent=2).encode())
    assert [(line["message"], line["event"]) for line in lines] == [(0, 0), (1, 0), (2, 0), (3, 0), (4, 0)]


def test_a_dash_reads_standard_input() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pipeline", "preview", "-", "--json", "--event_source_id", "A1"],
        cwd=ROOT,
        input=json.dumps(batch(VIEW)).encode(),
        capture_output=True,
        check=True,
    )
    (line,) = map(json.loads, done.stdout.splitlines())
    assert (line["action"], line["path"], line["body"]["pixel_code"]) == ("send", "pixel/batch/", "A1")


def test_the_connection_file_and_the_flags_decide_what_is_sent(shown: Shown, tmp_path: Path) -> None:
    path = tmp_path / "connection.yaml"
    path.write_text("event_source_id: FROMFILE\ntest_event_code: TEST1\nevent_names: {view_detail: Lead}\n")
    (line,) = shown(batch(VIEW), flags=("--connection", str(path), "--enable_web_migration"))
    assert line["body"]["event_source_id"] == "A1"
    assert line["body"]["test_event_code"] == "TEST1"
    assert line["body"]["data"][0]["event"] == "Lead"


@pytest.mark.parametrize(
    ("window", "action"),
    [
        (("--since", "2024-06-20"), "send"),
        (("--since", "2024-06-21"), "skipped"),
        (("--until", "2024-06-20"), "skipped"),
        (("--since", "2024-06-20T18:13:20", "--timezone", "Europe/Berlin"), "send"),
        (("--since", "2024-06-20T18:13:21", "--timezone", "Europe/Berlin"), "skipped"),
    ],
)
def test_events_outside_the_window_are_skipped(shown: Shown, window: tuple[str, ...], action: str) -> None:
    """The event's time is 2024-06-20T16:13:20.123Z."""
    (line,) = shown(batch(VIEW), flags=("--enable_web_migration", *window))
    assert line["action"] == action
    assert line["reason"] == (None if action == "send" else "outside_time_window")


def test_notes_tell_what_the_mapping_had_to_decide(shown: Shown) -> None:
    data: dict[str, Any] = {**VIEW["data"], "currency_code": None}  # type: ignore[dict-item]
    data["product_action"] = {key: value for key, value in data["product_action"].items() if key != "total_amount"}
    (line,) = shown(
        batch({"event_type": "commerce_event", "data": data}),
        flags=("--enable_web_migration", "--default_currency", "EUR"),
    )
    assert set(line["notes"]) == {"value_from_items", "default_currency"}


def test_the_readable_form_explains_reasons_and_notes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "messages.json"
    data = {key: value for key, value in VIEW["data"].items() if key != "currency_code"}  # type: ignore[attr-defined]
    path.write_text(json.dumps(batch(START, {"event_type": "commerce_event", "data": data})))
    assert cli.main(["preview", str(path), "--event_source_id", "A1", "--enable_web_migration"]) == 0
    text = capsys.readouterr().out
    assert "event 0: skipped unsupported_event_type" in text
    assert "Map it with a custom mapping if TikTok should get it." in text
    assert "event 1: send ViewContent to event/track/ (web), event_id m-1" in text
    assert "missing_currency: No currency on the event and no `default_currency`" in " ".join(text.split())
    assert '"event_source_id": "A1"' in text
    assert text.endswith("1 skipped, 1 send\n")
    assert "\x1b[" not in text


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["missing.json"], "missing.json cannot be read: No such file or directory."),
        (["."], ". cannot be read: Is a directory."),
        (["gs://bucket/x.json"], "local files are read here; copy it first, or use `run`."),
        ([], "the following arguments are required: FILE"),
        (["missing.json", "--jsno"], "unknown flag --jsno. Did you mean --json?"),
        (["missing.json", "--since", "soon"], '"soon" is no ISO 8601 date or time'),
    ],
)
def test_what_cannot_be_read_is_a_usage_error(argv: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["preview", *argv, "--event_source_id", "A1"]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert said in captured.err


def test_a_damaged_parquet_file_is_a_usage_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "x.parquet"
    path.write_bytes(b"PAR1\x00\x00PAR1")
    assert cli.main(["preview", str(path), "--event_source_id", "A1"]) == 2
    assert re.search(r"x\.parquet: the Parquet footer .*; nothing of it was read\.", capsys.readouterr().err)


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """A BigQuery export of some hundred rows."""
    made = (json.loads(message) for message in batches(100, seed=4, bad=False))
    return warehouse.write(warehouse.bigquery(warehouse.rows(made)), tmp_path / "export.parquet")


def test_the_first_rows_of_a_parquet_file_are_shown_with_layout_and_lacks(
    table: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = ["preview", str(table), "--event_source_id", "A1", "--enable_web_migration", "--json"]
    assert cli.main(argv) == 0
    captured = capsys.readouterr()
    lines = [json.loads(line) for line in captured.out.splitlines()]
    assert [line["message"] for line in lines] == list(range(20))
    assert {line["action"] for line in lines} >= {"send", "skipped"}
    assert "export.parquet: layout bigquery, " in captured.err
    assert "rows; the first 20 are read" in captured.err
    assert "export.parquet: lacks currency: " in captured.err
    assert cli.main([*argv, "--rows", "3"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 3


def test_the_layout_of_a_parquet_file_may_be_named(table: Path, capsys: pytest.CaptureFixture[str]) -> None:
    argv = ["preview", str(table), "--event_source_id", "A1", "--layout"]
    assert cli.main([*argv, "nested_batch"]) == 2
    assert "lack events, which the layout nested_batch needs" in capsys.readouterr().err
    assert cli.main([*argv, "Snowflake"]) == 0
    assert "layout snowflake" in capsys.readouterr().err
    assert cli.main([*argv, "oracle"]) == 2
    assert '--layout: "oracle" is no layout' in capsys.readouterr().err


def test_a_preview_of_parquet_loads_no_beam(table: Path) -> None:
    program = (
        "import sys\nfrom pipeline.cli.main import main\nmain(sys.argv[1:])\nsys.exit('apache_beam' in sys.modules)"
    )
    command = [sys.executable, "-c", program, "preview", str(table), "--event_source_id", "A1", "--json"]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)


def test_a_connection_without_an_id_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["preview", "-"]) == 2
    assert "event_source_id: missing" in capsys.readouterr().err


def test_warnings_of_the_connection_go_to_standard_error(
    shown: Shown, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    assert len(shown(batch(VIEW), flags=("--environments", "production,development"))) == 1


def previewed_in_a_process(tmp_path: Path) -> float:
    """Previews a message as an operator does, without Beam; returns the seconds that it took."""
    path = tmp_path / "message.json"
    path.write_text(json.dumps(batch(VIEW)))
    program = (
        "import sys\nfrom pipeline.cli.main import main\ncode = main(sys.argv[1:])\n"
        "sys.stderr.write(str('apache_beam' in sys.modules))\nsys.exit(code)"
    )
    command = [sys.executable, "-c", program, "preview", str(path), "--json"]
    command += ["--connection", str(ROOT / "examples" / "connection.yaml")]
    began = time.perf_counter()
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    seconds = time.perf_counter() - began
    assert done.stderr == "False"
    assert json.loads(done.stdout)["action"] == "send"
    return seconds


def test_a_preview_loads_no_beam(tmp_path: Path) -> None:
    assert previewed_in_a_process(tmp_path)


@pytest.mark.slow  # measures, so that nothing else may run beside it
def test_a_preview_answers_within_half_a_second(tmp_path: Path) -> None:
    """Whole process, start of the interpreter included; the best of five, since the machine may be busy."""
    assert min(previewed_in_a_process(tmp_path) for _ in range(5)) < 0.5


def test_no_identity_is_shown_beside_the_request(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "messages.json"
    path.write_text(
        json.dumps(batch(VIEW, START, user_identities={"email": "canary@example.com", "other": "x-canary"}))
    )
    for form in (["--json"], []):
        assert cli.main(["preview", str(path), "--event_source_id", "A1", *form]) == 0
    captured = capsys.readouterr()
    assert "canary" not in captured.out + captured.err + caplog.text


def test_the_json_form_writes_utf_8_whatever_the_terminal() -> None:
    event = {**VIEW, "data": {**VIEW["data"]}}  # type: ignore[dict-item]
    event["data"]["product_action"] = {"action": "view_detail", "products": [{"id": "1", "name": "Schüh 東京"}]}  # type: ignore[index]
    done = subprocess.run(
        [sys.executable, "-m", "pipeline", "preview", "-", "--json", "--event_source_id", "A1"],
        cwd=ROOT,
        input=json.dumps(batch(event)).encode(),
        env={"PYTHONIOENCODING": "ascii"},
        capture_output=True,
        check=True,
    )
    assert "Schüh 東京" in done.stdout.decode("utf-8")
    readable = subprocess.run(
        [sys.executable, "-m", "pipeline", "preview", "-", "--event_source_id", "A1"],
        cwd=ROOT,
        input=json.dumps(batch(event)).encode(),
        env={"PYTHONIOENCODING": "ascii"},
        capture_output=True,
        check=True,
    )
    assert b"Sch\\xfch \\u6771\\u4eac" in readable.stdout


def test_every_reason_of_a_preview_is_a_word_of_the_closed_set(shown: Shown) -> None:
    lines = shown(b'{"events": [null, {}, {"event_type": "commerce_event", "data": {"product_action": {}}}]}')
    assert len(lines) == 3
    assert {line["reason"] for line in lines} <= {reason.value for reason in Reason}
    assert {note for line in lines for note in line["notes"]} <= {note.value for note in Note}
