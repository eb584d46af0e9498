"""Custom mappings in whole runs: conservation under the runner, ledger keys, TikTok's stand-in; and the examples."""

import json
import sys
from collections import Counter
from pathlib import Path
from subprocess import run as run_program
from typing import Any

import pyarrow.dataset as ds
import pytest

from pipeline.authoring.cases import cases_of, run_cases
from pipeline.config.loader import read_connection
from pipeline.jobs import run as job
from pipeline.options import RunOptions
from sandbox.tiktok.control import Sandbox
from transforms.coders import ValueCoder
from transforms.connection import Connection
from transforms.mapping import custom, decode, identity
from transforms.mapping.convert import converter
from transforms.model import Message, MParticleEvent, Payload

ROOT = Path(__file__).resolve().parents[4]
SHOPS = sorted(path for path in (ROOT / "examples" / "shops").glob("*.yaml") if not path.stem.endswith(".cases"))

MAPPINGS = """
custom_mappings:
  - match: {product_action: purchase, products: {category: shoes}}
    send: [AddPaymentInfo, {event: Subscribe, parameters: {value: {event_attribute: price, required: true}}}]
    parameters: {currency: {constant: EUR}}
    also_default: true
  - match: {message_type: custom_event, event: Sign Up}
    send: [Lead, CompleteRegistration]
    parameters: {description: {event_attribute: form}}
  - match: {message_type: custom_event, attributes: {form: footer}}
    send: Lead
"""


def test_there_are_examples_of_five_shops() -> None:
    assert len(SHOPS) == 5


@pytest.mark.parametrize("path", SHOPS, ids=lambda path: path.stem)
def test_the_cases_of_every_example_pass(path: Path) -> None:
    connection, warnings = read_connection(str(path))
    assert warnings == []
    cases = cases_of(str(path), connection.cases)
    assert len(cases) >= 3
    assert [result for result in run_cases(connection, cases) if result.problems] == []


@pytest.mark.parametrize("path", SHOPS, ids=lambda path: path.stem)
def test_every_mapping_of_every_example_is_tested(path: Path) -> None:
    command = [sys.executable, "-m", "pipeline", "check", str(path), "--lint", "--json"]
    done = run_program(command, cwd=ROOT, capture_output=True, text=True, check=False)
    warnings = json.loads(done.stdout)["warnings"]
    assert [one["text"] for one in warnings if one["key"].startswith("custom_mappings")] == []


def messages(shop: Any) -> list[dict[str, Any]]:
    """Returns messages of which each has units of several kinds."""
    made = []
    for number in range(400):
        name, at_ms = f"m{number}", str(1718900000000 + number)
        ids = [{"source_message_id": f"{name}-{place}", "timestamp_unixtime_ms": at_ms} for place in range(4)]
        shoes = [{"id": "S", "category": "shoes", "price": 9.0, "quantity": 1}]
        events = [
            shop.commerce(products=shoes, attributes={"price": "5"} if number % 3 else {}, **ids[0]),
            shop.custom_event(attributes={"form": "footer" if number % 2 else "top"}, **ids[1]),
            shop.custom_event("Other", attributes={"form": "footer" if number % 5 else "top"}, **ids[2]),
            shop.commerce("add_to_cart", **ids[3]),
        ]
        fields = {"environment": "development"} if number % 50 == 7 else {}
        made.append(shop.batch(*events, **fields))
    return made


def test_every_unit_has_one_outcome_and_one_key_in_the_ledger(shop: Any, tmp_path: Path) -> None:
    (tmp_path / "input.txt").write_text("\n".join(map(json.dumps, messages(shop))))
    (tmp_path / "token").write_text("the-token")
    with Sandbox(tokens=("the-token",)) as sandbox:
        text = (
            f"{MAPPINGS}api_url: {sandbox.api_url}\naccess_token: file:{tmp_path / 'token'}\nrequests_per_second: 500\n"
        )
        options = RunOptions(
            connection=shop.read(text),
            inputs=(str(tmp_path / "input.txt"),),
            ledger=str(tmp_path / "ledger"),
            summary=str(tmp_path / "summary.json"),
            run_id="mapped",
        )
        assert job.run_job(options) == 0
        accepted = [(key.event, key.event_id) for key in sandbox.accepted()]
    summary = json.loads((tmp_path / "summary.json").read_text())
    rows = ds.dataset(tmp_path / "ledger", format="parquet").to_table().to_pylist()
    assert summary["adds_up"]
    assert (summary["messages"], summary["events"]) == (400, len(rows))
    delivered = [(row["event"], row["event_id"]) for row in rows if row["kind"] == "delivered"]
    assert len(set(delivered)) == len(delivered)
    assert sorted(delivered) == sorted(accepted)
    assert Counter(row["event"] for row in rows if row["kind"] == "delivered") == count(shop)
    ended = Counter((row["kind"], row["reason"]) for row in rows if row["kind"] != "delivered")
    assert set(ended) == {
        ("skipped", "environment"),
        ("skipped", "unsupported_event_type"),
        ("skipped", "duplicate_event"),
        ("rejected", "missing_parameter"),
    }
    assert len({row["mapping_version"] for row in rows}) == 1
    assert "+" in rows[0]["mapping_version"]
    keys = Counter((row["event"], row["event_id"]) for row in rows if row["event"] is not None)
    assert set(keys.values()) == {1}


def count(shop: Any) -> Counter[str]:
    """Returns the events that are sent, counted by the plain functions."""
    convert = converter(shop.read(MAPPINGS))
    results = [one for message in messages(shop) for one in convert(Message("m", json.dumps(message).encode()))]
    return Counter(one.event for one in results if isinstance(one, Payload))


def test_mapped_events_cross_a_shuffle_whole(shop: Any) -> None:
    connection: Connection = shop.read(MAPPINGS)
    coder, hashed = ValueCoder(), identity.hasher(connection)
    mapper = custom.mapper(connection)
    for message in messages(shop)[:3]:
        for event in decode.decode(Message("m", json.dumps(message).encode()), mapper=mapper):
            assert isinstance(event, MParticleEvent)
            back = coder.decode(coder.encode(event))
            assert back.custom == event.custom
            if event.data is not None and event.custom is not None:
                assert back == event
                assert coder.decode(coder.encode(hashed(event))) == hashed(event)
