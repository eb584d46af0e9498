"""`check`: a connection, its token, what to consider, and TikTok's answer to a test event."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.authoring.advice import advise
from pipeline.cli import main as cli
from sandbox.shop import warehouse
from sandbox.shop.generator import batches, write_ndjson, write_parquet
from sandbox.tiktok.control import Sandbox
from sandbox.tiktok.faults import Answer, Html, Reset, Throttle
from transforms.connection import Connection
from transforms.custom_mappings import CustomMapping, Match, Target

EXAMPLES = Path(__file__).resolve().parents[3] / "examples"
# TikTok's tokens have 40 hex digits; this one is made up.
TOKEN = "c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00"

Check = Callable[..., tuple[int, dict[str, Any]]]


pytestmark = pytest.mark.usefixtures("own_process")


@pytest.fixture(autouse=True)
def _token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIKTOK_ACCESS_TOKEN", TOKEN)


@pytest.fixture
def check(capsys: pytest.CaptureFixture[str]) -> Check:
    """Runs `check … --json` and returns the exit code and the report; the token is in no output."""

    def check(*argv: str) -> tuple[int, dict[str, Any]]:
        exit_code = cli.main(["check", *argv, "--json"])
        captured = capsys.readouterr()
        assert TOKEN not in captured.out + captured.err
        return exit_code, json.loads(captured.out)

    return check


@pytest.fixture(scope="module")
def sandbox_process() -> Iterator[Sandbox]:
    with Sandbox(tokens=[TOKEN], keep_bodies=True) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(sandbox_process: Sandbox) -> Sandbox:
    sandbox_process.reset()
    return sandbox_process


ONLINE = ["--event_source_id", "A1", "--access_token", "env:TIKTOK_ACCESS_TOKEN", "--online"]


@pytest.mark.parametrize("name", ["connection.yaml", "connection-feed.yaml", "connection-legacy.yaml"])
def test_every_example_can_be_used(check: Check, name: str) -> None:
    exit_code, report = check(str(EXAMPLES / name), "--access_token", "env:TIKTOK_ACCESS_TOKEN")
    assert exit_code == 0
    assert report["ok"] is True
    assert report["problems"] == []
    assert report["token"] == {
        "reference": "env:TIKTOK_ACCESS_TOKEN",
        "resolved": True,
        "characters": 40,
        "problem": None,
    }


def test_the_connection_may_be_named_by_flag_or_by_position(check: Check, capsys: pytest.CaptureFixture[str]) -> None:
    path = str(EXAMPLES / "connection.yaml")
    assert check(path) == check("--connection", path)
    assert cli.main(["check", path, "--connection", path]) == 2
    assert "name the connection once" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        ("env:NO_SUCH_VARIABLE", "NO_SUCH_VARIABLE"),
        ("file:no/such/token", "no/such/token"),
    ],
)
def test_a_token_that_cannot_be_read_is_a_failure(check: Check, reference: str, said: str) -> None:
    exit_code, report = check("--event_source_id", "A1", "--access_token", reference)
    assert exit_code == 1
    assert report["ok"] is False
    assert report["token"]["resolved"] is False
    assert said in report["token"]["problem"]


def test_a_connection_without_a_token_is_a_failure(check: Check) -> None:
    exit_code, report = check("--event_source_id", "A1")
    assert exit_code == 1
    assert report["token"]["problem"].startswith("no access_token: `preview` works, `run` does not.")


def test_problems_are_told_to_programs_too(check: Check) -> None:
    exit_code, report = check("--event_source_id", "A1", "--input", "wbe", "--access_token", TOKEN)
    assert exit_code == 2
    assert report["ok"] is False
    assert [(problem["where"], problem["key"]) for problem in report["problems"]] == [
        ("--access_token", "access_token"),
        ("--input", "input"),
    ]


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (
            {},
            [
                "enable_web_migration",
                "event_source_type",
                "event_names",
                "default_currency",
                "default_phone_region",
                "",
            ],
        ),
        (
            {
                "input": "feed",
                "event_source_type": "feed",
                "event_names": {"purchase": "Purchase"},
                "default_currency": "EUR",
                "default_phone_region": "DE",
            },
            [],
        ),
        (
            {
                "input": "web",
                "enable_web_migration": True,
                "event_names": {"purchase": "PlaceAnOrder"},
                "default_currency": "EUR",
                "default_phone_region": "DE",
                "partner_name": "Acme",
                "test_event_code": "TEST1",
            },
            ["event_names", "partner_name", "test_event_code", ""],
        ),
    ],
    ids=["defaults", "nothing-to-say", "web"],
)
def test_what_to_consider_follows_from_the_connection(settings: dict[str, Any], expected: list[str]) -> None:
    assert [finding.key for finding in advise(Connection(event_source_id="A1", **settings), "c")] == expected


@pytest.mark.parametrize(
    ("match", "also_default", "advised"),
    [
        (Match(product_action="purchase"), False, False),
        (Match(message_type="commerce_event", product_action="purchase"), False, False),
        (Match(product_action="purchase"), True, True),
        (Match(product_action="purchase", attributes={"plan": "pro"}), False, True),
        (Match(product_action="checkout"), False, True),
    ],
)
def test_nothing_is_said_of_the_default_purchase_where_a_mapping_takes_every_purchase(
    match: Match, also_default: bool, advised: bool
) -> None:
    mapping = CustomMapping(match, (Target("Purchase"),), also_default=also_default)
    connection = Connection(event_source_id="A1", custom_mappings=(mapping,))
    assert ("event_names" in [finding.key for finding in advise(connection, "c")]) is advised


def test_the_advice_names_the_reasons() -> None:
    text = " ".join(finding.text for finding in advise(Connection(event_source_id="A1", partner_name="Acme"), "c"))
    assert "PlaceAnOrder, which TikTok ends in 2027" in text
    assert "Events API 1.0), whose end TikTok has announced" in text
    assert '"Send as Batch" holds web events for about 10 minutes' in text
    assert "only within 5 minutes" in text
    assert "code 40063" in text


def test_the_test_event_is_the_same_whatever_custom_mappings_say(check: Check, sandbox: Sandbox) -> None:
    mappings = "[{match: {product_action: view_detail}, send: [Lead, Contact]}]"
    argv = [*ONLINE, "--api_url", sandbox.api_url, "--input", "web", "--test_event_code", "TEST04030"]
    exit_code, report = check(*argv, "--custom_mappings", mappings)
    assert exit_code == 0
    assert [answer["accepted"] for answer in report["online"]] == [True]


def test_online_needs_a_test_event_code(capsys: pytest.CaptureFixture[str], sandbox: Sandbox) -> None:
    assert cli.main(["check", *ONLINE, "--api_url", sandbox.api_url]) == 2
    assert "--online needs --test_event_code" in capsys.readouterr().err
    assert sandbox.bodies() == []


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ([], [("legacy_pixel_batch_web", "pixel/batch/")]),
        (["--enable_web_migration", "--input", "web"], [("web", "event/track/")]),
        (["--input", "feed", "--event_source_type", "feed"], [("offline", "event/track/")]),
        (
            ["--enable_web_migration", "--event_source_type", "feed", "--environments", "development"],
            [("offline", "event/track/"), ("web", "event/track/")],
        ),
        (
            ["--consent.gdpr_purpose", "Marketing", "--consent.gdpr_missing", "drop"],
            [("legacy_pixel_batch_web", "pixel/batch/")],
        ),
    ],
    ids=["legacy", "web", "offline", "both", "consent"],
)
def test_online_sends_one_test_event_for_each_request_form(
    check: Check, sandbox: Sandbox, flags: list[str], expected: list[tuple[str, str]]
) -> None:
    exit_code, report = check(*ONLINE, "--api_url", sandbox.api_url, "--test_event_code", "TEST1", *flags)
    assert exit_code == 0
    assert sorted((answer["form"], answer["path"]) for answer in report["online"]) == expected
    for answer in report["online"]:
        assert (answer["accepted"], answer["code"], answer["name"], answer["remedy"]) == (True, 0, "OK", None)
        assert answer["request_id"]
    bodies = [json.loads(kept.body) for kept in sandbox.bodies()]
    assert len(bodies) == len(expected)
    for body in bodies:
        assert body["test_event_code"] == "TEST1"
        (event,) = body.get("data") or body["batch"]
        assert event["event"] == "ViewContent"
        assert event["event_id"].startswith("check-")


@pytest.mark.parametrize(
    ("fault", "code", "name", "remedy"),
    [
        (Answer(code=40105), 40105, "INVALID_ACCESS_TOKEN", "TikTok refused the token. Renew it"),
        (Answer(code=41001), 41001, "INTERFACE_OFFLINE", "TikTok refused the request as a whole"),
        (Throttle(), None, None, "TikTok kept answering"),
        (Html(status=502), None, None, "TikTok could not be reached or kept failing"),
        (Reset(when="before"), None, None, "TikTok could not be reached or kept failing"),
        (Answer(code=12345), 12345, None, "TikTok answered a code that is in no table."),
    ],
    ids=["token", "offline", "throttled", "gateway", "reset", "unknown"],
)
def test_what_tiktok_refuses_is_a_failure_with_its_remedy(
    check: Check, sandbox: Sandbox, fault: Any, code: int | None, name: str | None, remedy: str
) -> None:
    sandbox.set_faults(fault)
    exit_code, report = check(*ONLINE, "--api_url", sandbox.api_url, "--test_event_code", "TEST1")
    (answer,) = report["online"]
    assert exit_code == 1
    assert report["ok"] is False
    assert (answer["accepted"], answer["code"], answer["name"]) == (False, code, name)
    assert answer["remedy"].startswith(remedy)


@pytest.mark.parametrize("command", ["check", "run"])
def test_authorities_that_cannot_be_read_are_named_before_anything_is_sent(
    sandbox: Sandbox, tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    path = tmp_path / "missing.pem"
    argv = ["--api_url", sandbox.api_url, "--ca_file", str(path), "--access_token", "env:TIKTOK_ACCESS_TOKEN"]
    if command == "check":
        argv = ["check", "--event_source_id", "A1", "--online", "--test_event_code", "TEST1", *argv]
    else:
        write_ndjson(tmp_path / "lines.txt", batches(10, bad=False))
        argv = ["run", "--event_source_id", "PIXEL", "--input", str(tmp_path / "lines.txt"), *argv]
    assert cli.main(argv) == 2
    assert f"ca_file: '{path}' cannot be read (No such file or directory)" in capsys.readouterr().err
    assert sandbox.stats().requests == 0


def test_the_readable_form_names_code_request_id_and_remedy(
    sandbox: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = ["check", *ONLINE, "--api_url", sandbox.api_url, "--test_event_code", "TEST1"]
    assert cli.main(argv) == 0
    text = capsys.readouterr().out
    assert "ok       token: resolved (40 characters)" in text
    assert "ok       TikTok: pixel/batch/ (legacy_pixel_batch_web) accepted the test event; code 0 OK" in text
    assert "warning  flags: test_event_code: every event is a test event" in text
    sandbox.set_faults(Answer(code=40105))
    assert cli.main(argv) == 1
    text = capsys.readouterr().out
    assert "failed   TikTok: pixel/batch/ (legacy_pixel_batch_web) did not accept the test event (credentials)" in text
    assert "code 40105 INVALID_ACCESS_TOKEN" in text
    assert "request id " in text
    assert "run `check --online`, then replay." in text
    assert TOKEN not in text


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """Exports in three layouts, and a file that is damaged."""
    made = [json.loads(message) for message in batches(50, seed=4, bad=False)]
    for number in range(3):
        warehouse.write(warehouse.redshift(warehouse.rows(made)), tmp_path / "in" / f"{number}.parquet")
    write_parquet(tmp_path / "in" / "raw", batches(10))
    write_ndjson(tmp_path / "in" / "lines.txt", batches(10, bad=False))
    (tmp_path / "damaged.parquet").write_bytes(b"PAR1 and no more")
    return tmp_path


def test_the_layouts_of_files_are_seen_with_what_they_lack(check: Check, files: Path) -> None:
    exit_code, report = check(
        "--event_source_id",
        "A1",
        "--access_token",
        "env:TIKTOK_ACCESS_TOKEN",
        "--input",
        str(files / "in"),
        "--input",
        "web",
    )
    assert exit_code == 0
    assert report["connection"]["input"] == "web"
    by_layout = {entry["layout"]: entry for entry in report["inputs"]}
    assert {layout: entry["files"] for layout, entry in by_layout.items()} == {
        "redshift": 3,
        "raw_json": 1,
        "json_lines": 1,
    }
    assert any(lack.startswith("user agent: ") for lack in by_layout["redshift"]["lacks"])
    assert by_layout["raw_json"]["rows"] == 10
    assert by_layout["raw_json"]["lacks"] == []


def test_rows_of_a_warehouse_as_lines_of_json_are_known(check: Check, tmp_path: Path) -> None:
    row = {
        "eventid": "7",
        "messagetypeid": "16",
        "eventtimestamp": "2024-06-20 16:15:23.456 UTC",
        "clientip": "1.2.3.4",
    }
    write_ndjson(tmp_path / "rows.json.gz", [json.dumps(row).encode()] * 3)
    (tmp_path / "binary.txt").write_bytes(b"Obj\x01 and so on")
    exit_code, report = check(*ONLINE[:-1], "--input", str(tmp_path / "rows.json.gz"))
    assert exit_code == 0
    (entry,) = report["inputs"]
    assert entry["layout"] == "json_lines"
    assert any(lack.startswith("user agent: ") for lack in entry["lacks"])
    assert not any(lack.startswith("ip address: ") for lack in entry["lacks"])
    exit_code, report = check(*ONLINE[:-1], "--input", str(tmp_path / "binary.txt"))
    assert exit_code == 1
    assert report["inputs"][0]["problem"] == "the file is Avro"


def test_files_that_cannot_be_read_fail_the_check(check: Check, files: Path) -> None:
    exit_code, report = check(*ONLINE[:-1], "--input", str(files / "*.parquet"))
    assert exit_code == 1
    assert [(entry["layout"], entry["problem"]) for entry in report["inputs"]] == [
        (None, "Parquet without its end: it was cut off, or is still being written")
    ]


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("a.parquet", b"", "empty: its upload was cut off, or has not begun"),
        ("a.txt.gz", b"", "empty: its upload was cut off, or has not begun"),
        ("a.parquet", b"nonsense", "named as Parquet, but it does not begin as Parquet does"),
    ],
)
def test_what_a_run_cannot_read_by_its_name_fails_the_check_too(
    check: Check, tmp_path: Path, name: str, content: bytes, problem: str
) -> None:
    (tmp_path / name).write_bytes(content)
    exit_code, report = check(*ONLINE[:-1], "--input", str(tmp_path / name))
    assert exit_code == 1
    assert [(entry["layout"], entry["problem"]) for entry in report["inputs"]] == [(None, problem)]


def test_the_readable_form_names_layout_and_lacks(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    argv = [
        "check",
        "--event_source_id",
        "A1",
        "--access_token",
        "env:TIKTOK_ACCESS_TOKEN",
        "--input",
        str(files / "in" / "*"),
    ]
    assert cli.main(argv) == 0
    shown = capsys.readouterr().out
    assert "0.parquet and 2 more files: layout redshift, " in shown
    assert "0.parquet: lacks currency: " in shown
    assert "lines.txt: layout json_lines" in shown


def test_a_pattern_without_files_is_refused(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["check", "--event_source_id", "A1", "--input", str(files / "none-*.parquet")]) == 2
    assert "none-*.parquet: matches no file." in capsys.readouterr().err
