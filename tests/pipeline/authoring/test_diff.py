"""`diff`: two connections over the same messages; what differs is counted, and nothing of a person is shown."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pipeline.authoring.diff import compare
from pipeline.cli import main as cli
from sandbox.shop.generator import batches, write_ndjson, write_parquet
from transforms.connection import Connection
from transforms.model import Message

ROOT = Path(__file__).resolve().parents[3]

pytestmark = pytest.mark.usefixtures("own_process")

PEOPLE = {"email": "ada.canary@example.com", "mobile_number": "(212) 555-0142", "customer_id": "canary-7"}


def message(action: str = "purchase", **changes: Any) -> Message:
    """Returns a batch of one event."""
    data = {
        "timestamp_unixtime_ms": 1718900123456,
        "source_message_id": "70f1f6aa",
        "custom_flags": {"TikTok.URL": "https://shop.example.com/canary"},
        "product_action": {"action": action, "total_amount": 12.5, "products": [{"id": "1", "price": 12.5}]},
        **changes,
    }
    batch = {"events": [{"event_type": "commerce_event", "data": data}], "user_identities": PEOPLE}
    return Message("m#0", json.dumps(batch).encode())


def connection(**settings: Any) -> Connection:
    return Connection(**{"event_source_id": "PIXEL", "enable_web_migration": True, **settings})


def found(messages: list[Message], a: Connection, b: Connection) -> dict[str, Any]:
    """Returns the differences as `--json` prints them."""
    result: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(compare(messages, ("a.yaml", a), ("b.yaml", b))))
    return result


def fields(differences: dict[str, Any]) -> dict[str, tuple[int, int, int]]:
    return {field["field"]: (field["changed"], field["only_a"], field["only_b"]) for field in differences["fields"]}


def test_equal_connections_differ_in_nothing() -> None:
    differences = found([message(), message("refund")], connection(), connection())
    assert (differences["messages"], differences["units"], differences["equal"]) == (2, 2, 2)
    assert differences["moved"] == differences["fields"] == []
    assert differences["a"] | {"connection": ""} == differences["b"] | {"connection": ""}


def test_changed_names_currencies_and_coverage_are_counted_with_their_values() -> None:
    other = connection(event_names={"purchase": "Purchase"}, default_currency="EUR", default_phone_region="US")
    differences = found([message(), message(), message("view_detail")], connection(), other)
    assert fields(differences) == {"event": (2, 0, 0), "properties.currency": (0, 0, 3), "user.phone": (0, 0, 3)}
    values = {field["field"]: field["values"] for field in differences["fields"]}
    assert values["event"] == [{"a": "PlaceAnOrder", "b": "Purchase", "count": 2}]
    assert values["properties.currency"] == [{"a": None, "b": "EUR", "count": 3}]
    assert values["user.phone"] == []
    assert differences["a"]["events"] == {"PlaceAnOrder": 2, "ViewContent": 1}
    assert differences["b"]["events"] == {"Purchase": 2, "ViewContent": 1}
    assert (differences["a"]["value"], differences["b"]["value"]) == ({"none": 37.5}, {"EUR": 37.5})
    assert differences["a"]["coverage"]["ViewContent"]["phone"] == 0
    assert differences["b"]["coverage"]["ViewContent"]["phone"] == 1


def test_a_hash_that_changes_is_shown_as_changed_only() -> None:
    differences = found([message()], connection(), connection(external_identity_type="email"))
    assert fields(differences) == {"user.external_id": (1, 0, 0)}
    assert differences["fields"][0]["values"] == []


def test_events_that_end_otherwise_are_counted_by_both_ends() -> None:
    drops = connection(require_ip_and_user_agent="always")
    differences = found([message(), message("refund"), message()], connection(), drops)
    assert differences["moved"] == [{"a": "sent", "b": "rejected: missing_ip", "count": 2}]
    assert differences["equal"] == 1
    assert differences["a"]["outcomes"] == {"sent": 2, "skipped: unsupported_action": 1}
    assert differences["b"]["outcomes"] == {"rejected: missing_ip": 2, "skipped: unsupported_action": 1}


def test_the_two_request_forms_are_compared_by_meaning() -> None:
    legacy = connection(enable_web_migration=False, require_ip_and_user_agent="never")
    differences = found([message()], connection(), legacy)
    assert fields(differences) == {"request": (1, 0, 0)}
    assert differences["fields"][0]["values"] == [
        {"a": "event/track/ web", "b": "pixel/batch/ legacy_pixel_batch_web", "count": 1}
    ]


def test_a_field_counts_once_for_an_event_with_many_products() -> None:
    products = [{"id": str(number), "price": 1.0} for number in range(4)]
    many = message(product_action={"action": "purchase", "products": products})
    differences = found([many], connection(), connection(value_fallback="never"))
    assert fields(differences) == {"properties.value": (0, 1, 0)}


# The command


@pytest.fixture
def files(tmp_path: Path) -> Path:
    (tmp_path / "a.yaml").write_text("event_source_id: A\nenable_web_migration: true\n")
    (tmp_path / "b.yaml").write_text(
        "event_source_id: B\nenable_web_migration: true\nevent_names: {purchase: Purchase}\n"
    )
    made = list(batches(400, seed=2, bad=False))
    write_parquet(tmp_path / "in", made[:200], rows_per_group=50)
    write_ndjson(tmp_path / "in" / "lines.txt.gz", made[200:])
    return tmp_path


def argv(files: Path, *more: str) -> list[str]:
    return ["diff", "--connection", str(files / "a.yaml"), "--connection", str(files / "b.yaml"), *more]


def test_files_folders_and_globs_are_sampled_in_equal_parts(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(argv(files, str(files / "in"), "--json")) == 0
    assert json.loads(capsys.readouterr().out)["messages"] == 400
    assert cli.main(argv(files, str(files / "in" / "*"), "--sample", "50", "--json")) == 0
    assert json.loads(capsys.readouterr().out)["messages"] == 50


def test_the_readable_report(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(argv(files, str(files / "in"))) == 0
    shown = capsys.readouterr().out
    assert "400 messages, " in shown
    assert "PlaceAnOrder → Purchase" in shown
    assert "what becomes of events\n  no difference" in shown


def test_shares_of_events_that_only_one_side_sends_are_not_taken_for_zero(
    files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (files / "one.json").write_bytes(message().data)
    assert cli.main(argv(files, str(files / "one.json"))) == 0
    shown = capsys.readouterr().out
    assert "PlaceAnOrder, email: 100.0% → no event" in shown
    assert "Purchase, email: no event → 100.0%" in shown
    assert "click_id" not in shown  # neither side has any


def test_no_value_of_a_person_is_printed(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (files / "one.json").write_bytes(message().data)
    (files / "b.yaml").write_text(
        "event_source_id: B\nenable_web_migration: true\nexternal_identity_type: email\ndefault_phone_region: US\n"
    )
    for form in ([], ["--json"]):
        assert cli.main(argv(files, str(files / "one.json"), *form)) == 0
    captured = capsys.readouterr()
    for secret in ("canary", "555", "70f1f6aa"):
        assert secret not in captured.out + captured.err
    assert "user.external_id" in captured.out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ["--connection", "a.yaml", "x.json"],
            "two connections are needed",
        ),
        (["--connection", "a.yaml", "--connection", "b.yaml", "none.json"], "none.json: matches no file."),
        (["--connection", "a.yaml", "--connection", "b.yaml", "gs://b/x"], "local files are read here"),
        (["--connection", "a.yaml", "--connection", "b.yaml", "in", "--sample", "0"], "a number above 0 is needed"),
        (["--connection", "a.yaml", "--connection", "c.yaml", "in"], "c.yaml"),
        (["--connection", "a.yaml", "--connection", "b.yaml"], "the following arguments are required: INPUT"),
    ],
)
def test_a_mistake_is_refused(
    files: Path, arguments: list[str], said: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(files)
    assert cli.main(["diff", *arguments]) == 2
    assert said in capsys.readouterr().err


def test_no_beam_is_loaded(files: Path) -> None:
    program = (
        "import sys\nfrom pipeline.cli.main import main\nmain(sys.argv[1:])\nsys.exit('apache_beam' in sys.modules)"
    )
    command = [sys.executable, "-c", program, *argv(files, str(files / "in"), "--json")]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
