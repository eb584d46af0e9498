"""The dry run: nothing is sent, and what it says is what a run then does."""

import datetime
import hashlib
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from rich.console import Console

from pipeline.cli.commands.run import parse_run
from pipeline.errors import UsageError
from pipeline.jobs import run as job
from pipeline.reporting import dry_run as dryrun
from pipeline.reporting.dry_run import estimate
from pipeline.reporting.prices import DEFAULT_PRICES, read_prices
from sandbox.shop.generator import batches, write_parquet
from sandbox.tiktok.control import Sandbox
from transforms.connection import Connection
from transforms.tiktok.sample import redacted


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("files")
    write_parquet(folder, batches(2_000, seed=23), rows_per_group=500)
    return folder


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(keep_bodies=True) as sandbox:
        yield sandbox


def run(files: Path, tmp_path: Path, *flags: str) -> tuple[int, dict[str, Any]]:
    """Runs and returns exit code and summary."""
    path = tmp_path / "summary.json"
    argv = ["--event_source_id", "PIXEL", "--event_source_type", "feed", "--requests_per_second", "100"]
    options = parse_run([*argv, "--input", str(files), "--summary", str(path), "--no_progress", *flags])
    return job.run_job(options), json.loads(path.read_text())


def counts(summary: dict[str, Any]) -> dict[tuple[str, str | None], int]:
    return {(outcome["kind"], outcome["reason"]): outcome["count"] for outcome in summary["outcomes"]}


@pytest.mark.parametrize("migrated", ["true", "false"])
def test_it_says_what_a_run_then_does(files: Path, sandbox: Sandbox, tmp_path: Path, migrated: str) -> None:
    flags = ["--enable_web_migration", migrated]
    sandbox.reset()
    exit_code, dry = run(files, tmp_path, *flags, "--dry_run", "--api_url", sandbox.api_url)
    assert exit_code == 0
    assert dry["adds_up"]
    assert not sandbox.bodies()
    (tmp_path / "token").write_text(sandbox.token)
    exit_code, real = run(
        files, tmp_path, *flags, "--api_url", sandbox.api_url, "--access_token", f"file:{tmp_path / 'token'}"
    )
    assert exit_code == 0
    assert dry["events"] == real["events"]
    assert dry["coverage"] == real["coverage"]
    expected = counts(real)
    expected["skipped", "dry_run"] = expected.pop(("delivered", None))
    assert counts(dry) == expected
    bodies = [kept.body.encode() for kept in sandbox.bodies()]
    report = dry["dry_run"]
    assert report["requests"] == sum(report["requests_by_form"].values()) == real["requests"] == len(bodies)
    assert report["bytes"] == sum(map(len, bodies))
    assert sum(report["events"].values()) == expected["skipped", "dry_run"]
    assert (dry["requests"], dry["retries"]) == (0, 0)
    reasons = report["reasons"]
    assert {event: counted["dry_run"] for event, counted in reasons.items()} == report["events"]
    missing_url = sum(counted.get("missing_page_url", 0) for counted in reasons.values())
    assert missing_url == expected["rejected", "missing_page_url"] > 0


def test_samples_hold_an_event_of_each_name_and_nothing_of_a_person(files: Path, tmp_path: Path) -> None:
    _, summary = run(files, tmp_path, "--enable_web_migration", "true", "--dry_run")
    samples = summary["dry_run"]["samples"]
    shown = {(sample["form"], sample["event"]) for sample in samples}
    assert {event for _, event in shown} == set(summary["dry_run"]["events"])
    assert {form for form, _ in shown} == {"web", "offline"}
    assert len(samples) == len(shown)
    for sample in samples:
        assert set(sample.get("user", {}).values()) <= {"…"}
        assert sample.get("page", {}).get("url", "/…").endswith("/…")
        assert sample["properties"].get("order_id", "…") == "…"
    assert any("contents" in sample["properties"] for sample in samples)


def test_redaction_knows_both_forms_and_hides_what_it_does_not_know() -> None:
    body = {
        "type": "track",
        "event": "Purchase",
        "timestamp": "2024-06-20T16:15:23.456Z",
        "context": {
            "ad": {"callback": "E.C.P.canary"},
            "page": {"url": "https://shop.example.com/canary?email=canary", "referrer": "no url canary"},
            "user": {"email": "canary", "phone_number": "canary"},
            "ip": "canary",
        },
        "properties": {"value": 5, "contents": [{"content_id": "7", "new_field": "canary"}], "custom": {"a": "canary"}},
        "new_object": {"deep": "canary"},
    }
    shown = redacted(json.dumps(body).encode())
    assert "canary" not in json.dumps(shown)
    assert shown["properties"]["contents"] == [{"content_id": "7", "new_field": "…"}]
    assert shown["context"]["page"] == {"url": "https://shop.example.com/…", "referrer": "…"}


def test_nothing_is_recorded(files: Path, tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("ledger", "dead", "quarantine")]
    flags = ["--ledger", str(folders[0]), "--dead_letters", str(folders[1]), "--quarantine", str(folders[2])]
    run(files, tmp_path, "--dry_run", *flags)
    assert not any(folder.exists() for folder in folders)


def test_an_event_that_no_request_can_carry_is_rejected_as_in_a_run(
    files: Path, tmp_path: Path, sandbox: Sandbox
) -> None:
    (tmp_path / "token").write_text(sandbox.token)
    (tmp_path / "large").mkdir()
    data = {
        "timestamp_unixtime_ms": 1718900123456,
        "event_id": 7,
        "custom_flags": {"TikTok.URL": "https://shop.example.com/" + "x" * 12_000},
        "product_action": {"action": "purchase"},
    }
    event = {"event_type": "commerce_event", "data": data}
    (tmp_path / "large" / "a.txt").write_text(json.dumps({"events": [event], "environment": "production"}))
    flags = ["--enable_web_migration", "true", "--max_request_bytes", "10000", "--api_url", sandbox.api_url]
    _, dry = run(tmp_path / "large", tmp_path, *flags, "--dry_run")
    _, real = run(tmp_path / "large", tmp_path, *flags, "--access_token", f"file:{tmp_path / 'token'}")
    assert counts(dry) == counts(real) == {("rejected", "event_too_large"): 1}


def test_two_worker_processes_say_the_same(files: Path, tmp_path: Path) -> None:
    _, alone = run(files, tmp_path, "--dry_run")
    _, together = run(files, tmp_path, "--dry_run", "--direct_num_workers=2", "--direct_running_mode=multi_processing")
    assert counts(alone) == counts(together)
    assert alone["dry_run"]["events"] == together["dry_run"]["events"]
    assert together["dry_run"]["samples"]


# The estimate

COUNTERS = {
    "units": 1_000_000,
    "events:Purchase": 400_000,
    "ended:Purchase:dry_run": 400_000,
    "ended:Purchase:missing_ip": 12,
    "dry_run:requests:web": 400,
    "dry_run:requests:offline": 20,
    "dry_run:bytes": 5_000_000_000,
}
CONNECTION = Connection(event_source_id="PIXEL", requests_per_second=10.0)


def test_time_and_cost_follow_from_the_budget_and_the_price_file() -> None:
    prices = read_prices()
    found = estimate(COUNTERS, [], CONNECTION, prices)
    assert (found.requests, found.requests_by_form) == (420, {"offline": 20, "web": 400})
    assert found.seconds_at_budget == 42.0
    # A million events at 10,000 a second take longer than the budget, and the start of the job is paid as well.
    hours = (240 + 100) / 3600
    hourly = 0.056 + 3.75 * 0.003557 + 25 * 0.000054
    assert found.cost.worker_hours == round(hours, 3)
    assert found.cost.shuffle_gb == 10
    assert found.cost.amount == round(hours * hourly + 10 * 0.011, 4)
    assert (found.cost.currency, found.cost.region) == ("USD", "us-central1")
    slow = estimate(COUNTERS, [], Connection(event_source_id="PIXEL", requests_per_second=1.0), prices)
    assert slow.seconds_at_budget == 420
    assert slow.cost.worker_hours == round((240 + 420) / 3600, 3)


def test_the_operator_may_edit_the_prices(files: Path, tmp_path: Path) -> None:
    own = yaml.safe_load(DEFAULT_PRICES.read_text()) | {
        "date": datetime.date(2026, 3, 1),
        "currency": "EUR",
        "shuffle_gb": 7,
    }
    (tmp_path / "own.yaml").write_text(yaml.safe_dump(own))
    _, summary = run(files, tmp_path, "--dry_run", "--prices", str(tmp_path / "own.yaml"))
    assert summary["dry_run"]["cost"]["date"] == "2026-03-01"
    assert summary["dry_run"]["cost"]["currency"] == "EUR"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"vcpu_hour": "cheap"}, r"Expected `float`, got `str` - at `\$.vcpu_hour`"),
        ({"vcpu_hour": -1}, r"Expected `float` >= 0.0 - at `\$.vcpu_hour`"),
        ({"events_per_second": 0}, "events_per_second"),
        ({"vcpu_our": 1}, "unknown field `vcpu_our`"),
        ({"date": None}, "date"),
    ],
)
def test_a_price_file_that_cannot_be_used_is_refused_with_the_field(
    change: dict[str, Any], said: str, tmp_path: Path
) -> None:
    (tmp_path / "own.yaml").write_text(yaml.safe_dump(yaml.safe_load(DEFAULT_PRICES.read_text()) | change))
    with pytest.raises(UsageError, match=said):
        read_prices(str(tmp_path / "own.yaml"))


def test_a_missing_price_file_is_told_before_anything_starts(files: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--prices .*missing.yaml: cannot be read: No such file"):
        run(files, tmp_path, "--dry_run", "--prices", str(tmp_path / "missing.yaml"))


def test_the_report_for_people() -> None:
    sample = {"form": "web", "event": "Purchase", "user": {"email": "…"}}
    found = estimate(COUNTERS, [json.dumps(sample)] * 2, CONNECTION, read_prices())
    console = Console(file=io.StringIO(), width=200)
    console.print(dryrun.render_dry_run(found))
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert "nothing was sent; a run would send 400,000 Purchase" in text
    assert "Purchase: not sent would be 12 missing_ip" in text
    assert "420 requests, 5,000,000,000 bytes; 0:00:42 at 10 requests/s" in text
    assert f"prices of {read_prices().date} in us-central1" in text
    assert text.count('"email": "…"') == 1
    assert msgspec.json.decode(msgspec.json.encode(found))["samples"] == [sample]


def test_no_value_of_a_person_is_in_the_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = {
        "timestamp_unixtime_ms": 1718900123456,
        "source_message_id": "70f1f6aa",
        "custom_flags": {
            "TikTok.URL": "https://shop.example.com/canary/7?mail=canary@example.com#canary",
            "TikTok.Referrer": "https://user:canary@shop.example.com/canary",
            "TikTok.Callback": "E.C.P.canary",
        },
        "product_action": {"action": "purchase", "transaction_id": "canary-order", "total_amount": 5},
    }
    batch = {
        "events": [{"event_type": "commerce_event", "data": data}],
        "user_identities": {"email": "canary@example.com", "mobile_number": "+12125550142", "customer_id": "canary"},
        "user_attributes": {"$FirstName": "Canary", "$LastName": "Canary", "$City": "Canaryville", "$Zip": "10016"},
        "partner_identities": {"tiktok_cookie_id": "canary"},
        "device_info": {"http_header_user_agent": "Canary/1.0"},
        "ip": "203.0.113.24",
    }
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.txt").write_text(json.dumps(batch))
    for migrated in ("true", "false"):
        flags = ["--dry_run", "--enable_web_migration", migrated, "--require_ip_and_user_agent", "never"]
        _, summary = run(tmp_path / "in", tmp_path, *flags)
        assert len(summary["dry_run"]["samples"]) == 1
        captured = capsys.readouterr()
        report = captured.out + captured.err + json.dumps(summary, ensure_ascii=False)
        for secret in ("canary", "Canary", "203.0.113.24", "5550142", "10016", hashlib.sha256(b"canary").hexdigest()):
            assert secret not in report
