"""The rules for request bodies: what is taken, what is refused, and how the refusal names the place."""

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.tiktok import rules
from sandbox.tiktok.refusals import Refusal
from sandbox.tiktok.rules import LEGACY, TRACK, Batch

Body = dict[str, Any]
Make = Callable[..., Body]

ABSENT = object()


def changed(body: Body, path: str, value: Any) -> Body:
    """Returns the body with the value at a dotted path set, or taken away."""
    body = copy.deepcopy(body)
    *steps, last = [int(step) if step.isdigit() else step for step in path.split(".")]
    place: Any = body
    for step in steps:
        place = place[step]
    if value is ABSENT:
        del place[last]
    else:
        place[last] = value
    return body


def answer(path: str, body: Any) -> tuple[int, str]:
    """Returns the code and the message for a body; (0, "") if it is taken."""
    verdict = rules.check(path, json.dumps(body).encode())
    return (verdict.code, verdict.message()) if isinstance(verdict, Refusal) else (0, "")


def test_tiktoks_own_examples_are_taken(track: Make, legacy: Make) -> None:
    for path, body in ((TRACK, track()), (LEGACY, legacy())):
        batch = rules.check(path, json.dumps(body).encode())
        assert isinstance(batch, Batch)
        assert (batch.path, batch.source_id, batch.source, len(batch.events)) == (path, "PIXEL", "web", 1)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("data.0.event", "MyOwnEvent"),
        ("data.0.event_id", ABSENT),
        ("data.0.user", ABSENT),
        ("data.0.user.email", "848a771458438fc2ec420560d769fb9b9b86851ee338ec56517baabd79d3bb4f"),
        ("data.0.properties", ABSENT),
        ("data.0.properties.value", 50),
        ("data.0.properties.value", 0),
        ("data.0.properties.currency", "XXX"),
        ("data.0.properties.contents", []),
        ("data.0.properties.gtm_version", 7),
        ("data.0.device", {"platform": "x"}),
        ("data.0.page.url", "http://a"),
        ("data.0.event_time", 0),
        ("test_event_code", "TEST12345"),
        ("partner_name", "Partner"),
    ],
)
def test_what_events_api_2_allows_is_taken(track: Make, path: str, value: Any) -> None:
    assert answer(TRACK, changed(track(), path, value)) == (0, "")


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("event", ABSENT, "data.1.event: Missing data for required field"),
        ("event", "", "data.1.event: Shorter than minimum length 1"),
        ("event", 5, "data.1.event: Not a valid string"),
        ("event_time", ABSENT, "data.1.event_time: Missing data for required field"),
        ("event_time", "1718900123", "data.1.event_time: Not a valid integer"),
        ("event_time", 1718900123.5, "data.1.event_time: Not a valid integer"),
        ("event_time", 1718900123456, "data.1.event_time: Must be a Unix timestamp in seconds"),
        ("event_time", -1650634408, "data.1.event_time: Must be a Unix timestamp in seconds"),
        ("event_id", 17, "data.1.event_id: Not a valid string"),
        ("event_id", None, "data.1.event_id: Field may not be null"),
        ("event_id", "", "data.1.event_id: Shorter than minimum length 1"),
        ("page", ABSENT, "data.1.page: Missing data for required field"),
        ("page.url", ABSENT, "data.1.page.url: Missing data for required field"),
        ("page.url", "", "data.1.page.url: Not a valid URL, must start with http:// or https://"),
        ("page.url", "shop.example/x", "data.1.page.url: Not a valid URL, must start with http:// or https://"),
        ("page.referrer", 1, "data.1.page.referrer: Not a valid string"),
        ("user.email", 5, "data.1.user.email: Not a valid list"),
        ("user.email", [], "data.1.user.email: Shorter than minimum length 1"),
        ("user.email", [5], "data.1.user.email.0: Not a valid string"),
        ("user.email", None, "data.1.user.email: Field may not be null"),
        ("user.ip", 5, "data.1.user.ip: Not a valid string"),
        ("user", [], "data.1.user: Not a valid object"),
        ("properties.value", "50.00", "data.1.properties.value: Not a valid number"),
        ("properties.value", "(null)", "data.1.properties.value: Not a valid number"),
        ("properties.value", True, "data.1.properties.value: Not a valid number"),
        ("properties.currency", "usd", "data.1.properties.currency: Must be a currency code of 3 upper-case letters"),
        ("properties.currency", "US", "data.1.properties.currency: Must be a currency code of 3 upper-case letters"),
        ("properties.currency", "", "data.1.properties.currency: Must be a currency code of 3 upper-case letters"),
        ("properties.content_type", "socks", "data.1.properties.content_type: Not a valid choice"),
        ("properties.content_ids", "1077218", "data.1.properties.content_ids: Not a valid list"),
        ("properties.content_ids", [1077218], "data.1.properties.content_ids.0: Not a valid string"),
        ("properties.order_id", 1, "data.1.properties.order_id: Not a valid string"),
        ("properties.shop_id", 1, "data.1.properties.shop_id: Not a valid string"),
        ("properties.num_items", 2.5, "data.1.properties.num_items: Not a valid integer"),
        ("properties.contents", {}, "data.1.properties.contents: Not a valid list"),
        ("properties.contents.0.content_id", 1, "data.1.properties.contents.0.content_id: Not a valid string"),
        ("properties.contents.0.quantity", 2.0, "data.1.properties.contents.0.quantity: Not a valid integer"),
        ("properties.contents.0.quantity", "2", "data.1.properties.contents.0.quantity: Not a valid integer"),
        ("properties.contents.0.price", "23", "data.1.properties.contents.0.price: Not a valid number"),
        ("limited_data_use", "true", "data.1.limited_data_use: Not a valid boolean"),
    ],
)
def test_a_bad_event_of_events_api_2_is_named(track: Make, path: str, value: Any, message: str) -> None:
    body = changed(track("a", "b", "c"), f"data.1.{path}", value)
    assert answer(TRACK, body) == (40002, message)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("type", ABSENT, "Batch.1.type: Missing data for required field"),
        ("type", "page", "Batch.1.type: Not a valid choice"),
        ("event_id", 17, "Batch.1.event_id: Not a valid string"),
        ("timestamp", 1718900123, "Batch.1.timestamp: Not a valid datetime"),
        ("timestamp", "20 June 2024", "Batch.1.timestamp: Not a valid datetime"),
        ("timestamp", "2024-06-20T16:15:23", "Batch.1.timestamp: Not a valid datetime"),
        ("context", ABSENT, "Batch.1.context: Missing data for required field"),
        ("context.page", ABSENT, "Batch.1.context.page: Missing data for required field"),
        (
            "context.page.url",
            "ftp://x",
            "Batch.1.context.page.url: Not a valid URL, must start with http:// or https://",
        ),
        ("context.user.email", ["a"], "Batch.1.context.user.email: Not a valid string"),
        ("context.user.external_id", 5, "Batch.1.context.user.external_id: Not a valid string"),
        ("context.ad.callback", 5, "Batch.1.context.ad.callback: Not a valid string"),
        ("properties.value", "46", "Batch.1.properties.value: Not a valid number"),
        ("properties.currency", "U$D", "Batch.1.properties.currency: Must be a currency code of 3 upper-case letters"),
        ("properties.contents.0.content_id", 1, "Batch.1.properties.contents.0.content_id: Not a valid string"),
        ("properties.contents.0.content_type", "x", "Batch.1.properties.contents.0.content_type: Not a valid choice"),
        ("properties.contents.0.quantity", 0.5, "Batch.1.properties.contents.0.quantity: Not a valid integer"),
    ],
)
def test_a_bad_legacy_event_is_named(legacy: Make, path: str, value: Any, message: str) -> None:
    assert answer(LEGACY, changed(legacy("a", "b", "c"), f"batch.1.{path}", value)) == (40002, message)


@pytest.mark.parametrize("timestamp", [ABSENT, "2020-09-17T19:49:27Z", "2024-06-20T18:15:23.456+02:00"])
def test_a_legacy_timestamp_is_optional_and_iso_8601(legacy: Make, timestamp: Any) -> None:
    assert answer(LEGACY, changed(legacy(), "batch.0.timestamp", timestamp)) == (0, "")


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("event_source", ABSENT, "Invalid value for event_source: missing data for required field."),
        ("event_source", "site", "Invalid value for event_source: not a valid choice."),
        ("event_source_id", 5, "Invalid value for event_source_id: not a valid string."),
        ("event_source_id", "", "Invalid value for event_source_id: shorter than minimum length 1."),
        ("data", {}, "Invalid value for data: not a valid list."),
        ("test_event_code", 5, "Invalid value for test_event_code: not a valid string."),
    ],
)
def test_a_bad_envelope_is_named_without_an_index(track: Make, path: str, value: Any, message: str) -> None:
    assert answer(TRACK, changed(track(), path, value)) == (40002, message)


NOT_HASHED = "Not hashed, must be SHA-256 in lower-case hex"


@pytest.mark.parametrize(
    "value",
    [
        "alice_abc@gmail.com",
        "",
        "848A771458438FC2EC420560D769FB9B9B86851EE338EC56517BAABD79D3BB4F",
        "848a771458438fc2ec420560d769fb9b9b86851ee338ec56517baabd79d3bb4",
        "848a771458438fc2ec420560d769fb9b9b86851ee338ec56517baabd79d3bb4f0",
        "g48a771458438fc2ec420560d769fb9b9b86851ee338ec56517baabd79d3bb4f",
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "éé8a771458438fc2ec420560d769fb9b9b86851ee338ec56517baabd79d3bb4f",
    ],
    ids=["plain", "empty", "upper case", "63 digits", "65 digits", "no hex", "hash of nothing", "not ASCII"],
)
def test_personal_data_that_is_not_hashed_is_refused(track: Make, legacy: Make, value: str) -> None:
    for field in ("email", "phone", "external_id"):
        body = changed(track("a", "b"), f"data.1.user.{field}.0", value)
        assert answer(TRACK, body) == (40062, f"data.1.user.{field}.0: {NOT_HASHED}")
    for field in ("email", "first_name", "last_name", "zip_code"):
        body = changed(track("a", "b"), f"data.1.user.{field}", value)
        assert answer(TRACK, body) == (40062, f"data.1.user.{field}: {NOT_HASHED}")
    for field in ("email", "phone_number", "external_id"):
        body = changed(legacy("a", "b"), f"batch.1.context.user.{field}", value)
        assert answer(LEGACY, body) == (40062, f"Batch.1.context.user.{field}: {NOT_HASHED}")


@pytest.mark.parametrize(("path", "limit"), [(TRACK, 1000), (LEGACY, 50)])
def test_a_request_holds_at_least_one_event_and_at_most_the_limit(
    track: Make, legacy: Make, path: str, limit: int
) -> None:
    make, root = (track, "data") if path == TRACK else (legacy, "batch")
    too_many = (40061, f"Batch size must be between 1 and {limit}.")
    assert answer(path, make(count=limit)) == (0, "")
    assert answer(path, make(count=limit + 1)) == too_many
    assert answer(path, changed(make(), root, [])) == too_many


def test_offline_events_need_a_standard_name_and_no_page(track: Make) -> None:
    body = changed(track(source="offline"), "data.0.page", ABSENT)
    assert answer(TRACK, body) == (0, "")
    own = changed(body, "data.0.event", "MyOwnEvent")
    assert answer(TRACK, own) == (40002, "data.0.event: Not a standard event")
    assert answer(TRACK, changed(body, "data.0.event", "placeanorder")) == (
        40002,
        "data.0.event: Not a standard event",
    )


def test_app_events_need_an_app_and_crm_events_a_lead(track: Make) -> None:
    app, crm = track(source="app"), track(source="crm")
    assert answer(TRACK, app) == (40002, "data.0.app: Missing data for required field")
    assert answer(TRACK, changed(app, "data.0.app", {"app_id": "1"})) == (0, "")
    assert answer(TRACK, changed(app, "data.0.app", {"app_id": 1})) == (40002, "data.0.app.app_id: Not a valid string")
    assert answer(TRACK, crm) == (40002, "data.0.lead: Missing data for required field")
    assert answer(TRACK, changed(crm, "data.0.lead", {"lead_id": "1"})) == (0, "")


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'{"data": "\xff"}', b'{"event_source": NaN}'])
def test_what_is_no_json_object_is_refused(body: bytes) -> None:
    for path in (TRACK, LEGACY):
        verdict = rules.check(path, body)
        assert isinstance(verdict, Refusal)
        assert verdict.code in (40000, 40002)


def test_a_refusal_repeats_no_value_of_the_request(track: Make) -> None:
    for path in ("event_source", "data.0.properties.content_type", "data.0.user.email.0", "data.0.properties.currency"):
        code, message = answer(TRACK, changed(track(), path, "canary@example.com"))
        assert code in (40002, 40062)
        assert "canary" not in message


def test_without_index_text_only_the_field_is_named(track: Make) -> None:
    body = changed(track("a", "b"), "data.1.properties.contents.0.content_id", 5)
    verdict = rules.check(TRACK, json.dumps(body).encode())
    assert isinstance(verdict, Refusal)
    assert verdict.message(index_text=False) == "Invalid value for content_id: not a valid string."


HASHES = st.sampled_from(["a" * 64, "0" * 63, "A" * 64, rules.EMPTY_HASH, "0" * 64, "f" * 65, "", "a" * 63 + "é"])
EVENTS = st.fixed_dictionaries(
    {"event": st.sampled_from(["Purchase", "Own"]), "event_time": st.just(1)},
    optional={
        "user": st.fixed_dictionaries(
            {},
            optional={
                "email": HASHES | st.lists(HASHES, min_size=1),
                "phone": HASHES | st.lists(HASHES, min_size=1),
                "external_id": HASHES,
                "first_name": HASHES,
                "last_name": HASHES,
                "zip_code": HASHES,
            },
        ),
        "properties": st.fixed_dictionaries({"currency": st.sampled_from(["USD", "usd", "U D", "ÄÖÜ"])}),
        "page": st.fixed_dictionaries({"url": st.sampled_from(["http://a", "https://b", "ftp://c", ""])}),
        "app": st.just({"app_id": "1"}),
        "lead": st.just({"lead_id": "1"}),
    },
)


@given(source=st.sampled_from(["web", "app", "offline", "crm"]), events=st.lists(EVENTS, min_size=1, max_size=4))
def test_looking_at_all_events_at_once_finds_what_looking_at_each_finds(source: str, events: list[Body]) -> None:
    body = json.dumps({"event_source": source, "event_source_id": "X", "data": events}).encode()
    one_by_one = [
        isinstance(
            rules.check(TRACK, json.dumps({"event_source": source, "event_source_id": "X", "data": [event]}).encode()),
            Batch,
        )
        for event in events
    ]
    verdict = rules.check(TRACK, body)
    if all(one_by_one):
        assert isinstance(verdict, Batch)
    else:
        assert isinstance(verdict, Refusal)
        assert verdict.path[1] == one_by_one.index(False)
    # A batch that is taken has no event with a problem, and what is not suspicious has none either.
    batch = rules._track(body)
    assert rules._suspicious(batch) or not any(rules._problem(source, event) for event in batch.events)
