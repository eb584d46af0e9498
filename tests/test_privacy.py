"""Seeded canaries in every personal field: found in no log, output, outcome, ledger, dead letter, summary or repr."""

import json
import logging
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pyarrow.dataset as ds
import pytest

from pipeline.jobs import run as job
from pipeline.ledger.reconcile import reconcile_ledger
from pipeline.options import ReplayOptions, RunOptions
from pipeline.replay.job import replay
from sandbox.tiktok.control import Sandbox
from sandbox.tiktok.faults import Answer, AnyFault, Echo, Html, InvalidEvents, Partial, Reset
from transforms.connection import Connection
from transforms.custom_mappings import CustomMapping, Match, Parameter, Target
from transforms.mapping import custom, decode, identity, payload, select
from transforms.model import Message, Outcome

# What must not leave the pipeline at all, and what may leave it towards TikTok only (and so stands in dead letters).
RAW = {
    "email": "canary.mail@example.com",
    "phone": "+12025550187",
    "national phone": "2025550187",
    "customer id": "CanaryCustomer0042",
    "other id": "CanaryOther0042",
    "facebook": "CanaryFacebook0042",
    "first name": "Canaryfirst",
    "last name": "Canarylast",
    "zip": "CanaryZip99",
    "address": "42 Canary Street",
    "mobile attribute": "+12025550166",
    "device": "canary-device-0042",
    "advertising id": "canary-idfa-0042",
    "mpid": "777700001234567",
    "api key": "canary-api-key-0042",
    "hobby": "canary-hobby-0042",
}
SENT = {
    "ip": "198.51.100.77",
    "user agent": "CanaryAgent/42",
    "city": "canarycity",
    "url": "canary-page-0042",
    "referrer": "canary-referrer-0042",
    "click id": "E.C.P.CanaryClick0042",
    "ttp": "CanaryTtp0042",
    "product": "Canary Product 42",
    "order": "CANARY-ORDER-42",
    "note": "canary-note-0042",
}
TOKEN = "canary-access-token-0042"


def message(number: int, **changes: Any) -> dict[str, Any]:
    """Returns a batch with a canary wherever a person can be in it."""
    data = {
        "product_action": {
            "action": "purchase",
            "total_amount": 9.5,
            "transaction_id": SENT["order"],
            "products": [{"id": "1", "name": SENT["product"], "price": 9.5, "quantity": 1}],
        },
        "currency_code": "USD",
        "custom_flags": {
            "TikTok.URL": f"https://shop.example.com/{SENT['url']}",
            "TikTok.Referrer": f"https://shop.example.com/{SENT['referrer']}",
            "TikTok.Callback": SENT["click id"],
        },
        "custom_attributes": {"hobby": RAW["hobby"], "typed": RAW["email"], "note": SENT["note"]},
        "timestamp_unixtime_ms": str(1718900000000 + number),
        "source_message_id": f"message-{number}",
    }
    identities = {
        "email": RAW["email"],
        "mobile_number": RAW["phone"],
        "customer_id": RAW["customer id"],
        "other": RAW["other id"],
        "facebook": RAW["facebook"],
    }
    return {
        "events": [{"event_type": "commerce_event", "data": data}, {"event_type": "session_start", "data": {"x": 1}}],
        "user_identities": [{"identity_type": kind, "identity": value} for kind, value in identities.items()],
        "user_attributes": {
            "$FirstName": RAW["first name"],
            "$LastName": RAW["last name"],
            "$Zip": RAW["zip"],
            "$City": SENT["city"],
            "$Address": RAW["address"],
            "$Mobile": RAW["mobile attribute"],
            "$Country": "US",
        },
        "device_info": {
            "http_header_user_agent": SENT["user agent"],
            "platform": "web",
            "ios_advertising_id": RAW["advertising id"],
        },
        "partner_identities": {"tiktok_cookie_id": SENT["ttp"]},
        "ip": SENT["ip"],
        "mpid": RAW["mpid"],
        "mp_deviceid": RAW["device"],
        "api_key": RAW["api key"],
        "environment": "production",
        **changes,
    }


def messages() -> Iterator[bytes]:
    """Yields good messages and such that end in every step."""
    for number in range(300):
        yield json.dumps(message(number)).encode()
    yield json.dumps(message(900, environment="development")).encode()
    yield json.dumps(message(901, consent_state={"ccpa": {"data_sale_opt_out": {"consented": True}}})).encode()
    yield json.dumps(message(902, consent_state=RAW["email"])).encode()
    yield json.dumps(message(903, ip=RAW["email"], user_identities=RAW["email"], user_attributes=[RAW["zip"]])).encode()
    yield json.dumps(
        {"request_type": "alias", "api_key": RAW["api key"], "data": {"source_mpid": RAW["mpid"]}}
    ).encode()
    yield json.dumps([RAW["email"], RAW["phone"]]).encode()
    yield json.dumps({RAW["email"]: RAW["phone"]}).encode()
    yield json.dumps(message(904)).encode()[:-40]
    yield f'"{RAW["email"]}"'.encode()
    for action in (RAW["email"], RAW["phone"]):
        broken = message(905)
        broken["events"][0]["data"]["product_action"]["action"] = action
        broken["events"].append({"event_type": RAW["email"], "data": {}})
        broken["events"].append({"event_type": "commerce_event", "data": RAW["email"]})
        broken["events"].append(RAW["email"])
        yield json.dumps(broken).encode()
    for url in ("", f"ftp://{RAW['email']}"):
        broken = message(906)
        broken["events"][0]["data"]["custom_flags"]["TikTok.URL"] = url
        broken["events"][0]["data"]["currency_code"] = RAW["email"]
        broken["events"][0]["data"]["product_action"]["total_amount"] = RAW["phone"]
        yield json.dumps(broken).encode()


def spellings(values: Any) -> set[str]:
    """Returns the canaries as they may turn up, in lower case."""
    return {value.lower() for value in values} | {value.lower().strip("+") for value in values}


def find(text: str, values: Any) -> list[str]:
    lowered = text.lower()
    return sorted(word for word in spellings(values) if word in lowered)


# Mappings that send one attribute, and try to send a person's: `check` would refuse the last two.
MAPPINGS = (
    CustomMapping(
        Match(product_action="purchase"),
        (Target("AddPaymentInfo"), Target("Subscribe")),
        parameters={"description": Parameter(event_attribute="note")},
        also_default=True,
    ),
    CustomMapping(
        Match(product_action="purchase", attributes={"hobby": RAW["hobby"]}),
        (Target("Search"), Target("Contact", {"description": Parameter(user_attribute="$Mobile")})),
        parameters={"query": Parameter(event_attribute="typed")},
    ),
)

FAULTS: dict[str, list[AnyFault]] = {
    "everything goes well": [],
    "TikTok repeats values in its message": [
        Echo(index=0, every=3),
        Answer(code=40001, message=" ".join(SENT.values()), skip=9),
    ],
    "some events are invalid": [InvalidEvents(share=0.1)],
    "a gateway fails": [Html(status=502)],
    "replies are lost": [Reset(when="after")],
    "only a part is accepted": [Partial()],
    "the token is refused": [Answer(code=40105)],
}


@pytest.mark.parametrize(
    ("faults", "mappings"),
    [*((faults, ()) for faults in FAULTS.values()), *((FAULTS[name], MAPPINGS) for name in list(FAULTS)[:3])],
    ids=[*FAULTS, *(f"{name}, with custom mappings" for name in list(FAULTS)[:3])],
)
def test_canaries_stay_inside(
    faults: list[AnyFault],
    mappings: tuple[CustomMapping, ...],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level(logging.DEBUG)
    source = tmp_path / "input.txt"
    source.write_bytes(b"\n".join(messages()))
    (tmp_path / "token").write_text(TOKEN)
    with Sandbox(tokens=(TOKEN,)) as sandbox:
        sandbox.set_faults(*faults)
        connection = Connection(
            event_source_id="PIXEL",
            access_token=f"file:{tmp_path / 'token'}",
            api_url=sandbox.api_url,
            enable_web_migration=True,
            custom_mappings=mappings,
            max_batch_events=20,
            requests_per_second=500.0,
            retry_secs=2.0,
        )
        options = RunOptions(
            connection=connection,
            inputs=(str(source),),
            ledger=str(tmp_path / "ledger"),
            dead_letters=str(tmp_path / "dead_letters"),
            quarantine=str(tmp_path / "quarantine"),
            summary=str(tmp_path / "summary.json"),
            run_id="privacy",
            skip_delivered=True,
            drop_duplicates=True,
        )
        job.run_job(options)
        again = {name: getattr(options, name) for name in options.__struct_fields__}
        again |= {"run_id": "privacy-replay", "inputs": (options.dead_letters,)}
        replay(ReplayOptions(**again))
        found = reconcile_ledger(str(tmp_path / "ledger"), None, None, datetime.now(UTC))
        assert found.adds_up
    printed = "".join(capfd.readouterr())
    everything = [TOKEN, *RAW.values(), *SENT.values()]
    assert find(caplog.text, everything) == []
    assert find(printed, everything) == []
    assert find((tmp_path / "summary.json").read_text(), everything) == []
    assert find(repr(options), [TOKEN]) == []
    rows = ds.dataset(tmp_path / "ledger", format="parquet").to_table().to_pylist()
    assert len(rows) > 600
    assert find(repr(rows), everything) == []
    assert find(repr(msgspec.to_builtins(found)), everything) == []
    manifests = list((tmp_path / "ledger" / "_manifests").iterdir())
    assert len(manifests) == 2
    assert find("".join(path.read_text() for path in manifests), everything) == []
    letters = ds.dataset(tmp_path / "dead_letters", format="parquet").to_table().to_pylist()
    assert letters
    assert find(repr(letters), [TOKEN, *RAW.values()]) == []
    for letter in letters:
        letter.pop("payload")
    assert find(repr(letters), everything) == []
    for file in [*tmp_path.glob("ledger/**/*.parquet"), *tmp_path.glob("dead_letters/**/*.parquet")]:
        assert find(str(file), everything) == []


@pytest.mark.parametrize("mappings", [(), MAPPINGS], ids=["without mappings", "with custom mappings"])
def test_no_value_shows_a_person_in_its_repr(mappings: tuple[CustomMapping, ...]) -> None:
    connection = Connection(event_source_id="PIXEL", enable_web_migration=True, custom_mappings=mappings)
    mapper = custom.mapper(connection)
    ends = select.selector(connection)
    hashed = identity.hasher(connection)
    build = payload.builder(connection)
    shown: list[str] = []
    everything = [*RAW.values(), *SENT.values()]
    for number, data in enumerate(messages()):
        incoming = Message(f"m#{number}", data)
        shown += [repr(incoming), str(incoming)]
        for event in decode.decode(incoming, keep_original=True, mapper=mapper):
            shown += [repr(event), f"{event}"]
            if isinstance(event, Outcome):
                continue
            shown += [repr(event.batch), repr(event.data)]
            if event.data and event.data.product_action:
                shown += [repr(event.data.product_action), repr(event.data.product_action.products)]
            if ends(event) is None:
                identified = hashed(event)
                built = build(identified)
                shown += [repr(identified), repr(identified.user), repr(built), repr([built]), repr({"a": built})]
    assert len(shown) > 2000
    assert find("\n".join(shown), everything) == []


@pytest.mark.parametrize("mappings", [(), MAPPINGS], ids=["without mappings", "with custom mappings"])
def test_hashed_identities_hold_nothing_raw(mappings: tuple[CustomMapping, ...]) -> None:
    connection = Connection(event_source_id="PIXEL", enable_web_migration=True, custom_mappings=mappings)
    events = decode.decode(Message("m", json.dumps(message(1)).encode()), mapper=custom.mapper(connection))
    assert len(events) == (6 if mappings else 2)
    for event in events:
        assert not isinstance(event, Outcome)
        identified = identity.hasher(connection)(event)
        assert find(msgspec.json.encode(identified).decode(), RAW.values()) == []
