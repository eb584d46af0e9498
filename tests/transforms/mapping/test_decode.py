"""Bytes in, one entry per event out; what the typed way refuses is read field by field."""

import gzip
import json
from collections.abc import Callable
from typing import Any

import pytest

from transforms.mapping.decode import decode_message
from transforms.mapping.lenient_decode import read_leniently
from transforms.model import Message, MParticleEvent, Outcome
from transforms.vocabulary import Kind, Reason, Stage

Decoded = Callable[[Any], list[Any]]
Event = Callable[[Any], MParticleEvent]


def test_an_event_keeps_its_place_and_its_message(batch: dict[str, Any], decoded: Decoded) -> None:
    batch["events"] = [None, *batch["events"], {"event_type": "screen_view", "data": {"event_id": 7}}]
    first, second, third = decoded(batch)
    assert (first.index, second.index, third.index) == (0, 1, 2)
    assert {first.ref, second.ref, third.ref} == {"file#1"}
    assert (second.event_type, second.event_id, second.occurred_at_ms) == ("commerce_event", "one", 1718900123456)
    assert (third.event_type, third.event_id, third.data) == ("screen_view", "7", None)


def test_the_original_is_kept_for_what_may_be_rejected_only(batch: dict[str, Any]) -> None:
    batch["events"] += [{"data": {}}, None, {"event_type": "screen_view", "data": {}}]
    packed = gzip.compress(json.dumps(batch).encode())
    originals = [entry.original for entry in decode_message(Message("r", packed), keep_original=True)]
    assert originals == [packed, packed, None, packed]
    assert {entry.original for entry in decode_message(Message("r", packed))} == {None}
    assert decode_message(Message("r", b"{"), keep_original=True)[0].original == b"{"


@pytest.mark.parametrize(
    ("data", "kind", "reason"),
    [
        (b"", Kind.SKIPPED, Reason.EMPTY_MESSAGE),
        (b" \r\n", Kind.SKIPPED, Reason.EMPTY_MESSAGE),
        (b"{}", Kind.SKIPPED, Reason.EMPTY_MESSAGE),
        (b"\xef\xbb\xbf", Kind.SKIPPED, Reason.EMPTY_MESSAGE),
        (gzip.compress(b"", mtime=0), Kind.SKIPPED, Reason.EMPTY_MESSAGE),
        (b'{"events": []}', Kind.SKIPPED, Reason.NO_EVENTS),
        (b'{"events": null}', Kind.SKIPPED, Reason.NO_EVENTS),
        (b'{"environment": "production"}', Kind.SKIPPED, Reason.NO_EVENTS),
        (b'{"request_type": "alias", "data": {}}', Kind.SKIPPED, Reason.ALIAS_REQUEST),
        (b'{"request_type": " Alias ", "ip": 5}', Kind.SKIPPED, Reason.ALIAS_REQUEST),
        (b'{"event_type": "validation_result", "data": {}}', Kind.SKIPPED, Reason.VALIDATION_RESULT),
        (b'{"request_type": 5, "colour": "blue"}', Kind.REJECTED, Reason.NOT_A_BATCH),
        (b'{"colour": "blue"}', Kind.REJECTED, Reason.NOT_A_BATCH),
        (b'{"events": "none"}', Kind.REJECTED, Reason.NOT_A_BATCH),
        (b'{"events": {}}', Kind.REJECTED, Reason.NOT_A_BATCH),
        (b"[]", Kind.REJECTED, Reason.NOT_A_BATCH),
        (b"null", Kind.REJECTED, Reason.NOT_A_BATCH),
        (b'"text"', Kind.REJECTED, Reason.NOT_A_BATCH),
        (b"NaN", Kind.REJECTED, Reason.NOT_A_BATCH),
        (b'{"events": [}', Kind.REJECTED, Reason.UNREADABLE_MESSAGE),
        (b'{"ip": "\xff"}', Kind.REJECTED, Reason.UNREADABLE_MESSAGE),
        (b'{"nobody reads this": "\xff", "events": []}', Kind.REJECTED, Reason.UNREADABLE_MESSAGE),
        ('{"events": []}'.encode("utf-16"), Kind.REJECTED, Reason.UNREADABLE_MESSAGE),
        (b"\x1f\x8b damaged", Kind.REJECTED, Reason.UNREADABLE_MESSAGE),
        (gzip.compress(b'{"events": []}', mtime=0)[:-9], Kind.REJECTED, Reason.UNREADABLE_MESSAGE),
        (b"[" * 100_000, Kind.REJECTED, Reason.UNREADABLE_MESSAGE),
        (b'{"a":' * 100_000, Kind.REJECTED, Reason.UNREADABLE_MESSAGE),
    ],
)
def test_a_message_without_events_has_one_outcome_and_its_own_reason(data: bytes, kind: Kind, reason: Reason) -> None:
    assert decode_message(Message("r", data)) == [Outcome(kind, Stage.DECODE, reason, "r")]


def test_a_gzip_of_several_members_with_padding_is_one_message(batch: dict[str, Any]) -> None:
    text = json.dumps(batch).encode()
    packed = gzip.compress(text[:50]) + gzip.compress(text[50:]) + b"\0" * 100
    assert isinstance(decode_message(Message("r", packed))[0], MParticleEvent)


def test_a_decompression_bomb_is_unreadable() -> None:
    bomb = gzip.compress(b" " * (64 * 1024 * 1024 + 1))
    assert decode_message(Message("r", bomb))[0].reason is Reason.UNREADABLE_MESSAGE  # type: ignore[union-attr]


def test_a_byte_order_mark_is_no_part_of_the_message(batch: dict[str, Any], decoded: Decoded) -> None:
    text = json.dumps(batch).encode()
    assert decoded(b"\xef\xbb\xbf" + text) == decoded(text)


@pytest.mark.parametrize(
    ("broken", "detail"),
    [
        ("text", "event"),
        ([], "event"),
        ({"data": {}}, "event_type"),
        ({"event_type": 5, "data": {}}, "event_type"),
        ({"event_type": None}, "event_type"),
        ({"event_type": "commerce_event", "data": "text"}, "data"),
        ({"event_type": "commerce_event", "data": {"product_action": "purchase"}}, "product_action"),
        ({"event_type": "commerce_event", "data": {"product_action": {"products": {}}}}, "products"),
    ],
)
def test_one_bad_event_never_costs_its_batch(batch: dict[str, Any], decoded: Decoded, broken: Any, detail: str) -> None:
    good = decoded(batch)[0]
    batch["events"].append(broken)
    kept, lost = decoded(batch)
    assert (kept.data, kept.batch.identities) == (good.data, good.batch.identities)
    assert (lost.reason, lost.detail, lost.index) == (Reason.MALFORMED_EVENT, detail, 1)


@pytest.mark.parametrize("empty", [None, {"event_type": "commerce_event"}, {"event_type": "screen_view", "data": None}])
def test_an_event_without_data_is_empty(batch: dict[str, Any], decoded: Decoded, empty: Any) -> None:
    batch["events"] = [empty, "bad"]  # on the long way
    assert decoded(batch)[0].reason is Reason.EMPTY_EVENT
    batch["events"] = [empty]
    assert decoded(batch)[0].reason is Reason.EMPTY_EVENT


def test_a_validation_result_among_events_is_skipped(batch: dict[str, Any], decoded: Decoded) -> None:
    batch["events"] = [{"event_type": "validation_result", "data": {"x": 1}}]
    assert decoded(batch)[0].reason is Reason.VALIDATION_RESULT


@pytest.mark.parametrize(
    "wrong",
    [
        {"page_url": 5},
        {"currency_code": 5},
        {"custom_flags": "none"},
        {"custom_attributes": []},
        {"promotion_action": "banner"},
        {"source_message_id": {"id": 1}, "event_id": "one"},
        {"timestamp_unixtime_ms": [1]},
    ],
)
def test_a_field_that_rules_can_live_without_counts_as_absent(
    batch: dict[str, Any], data: dict[str, Any], event: Event, wrong: dict[str, Any]
) -> None:
    data.update(wrong)
    read = event(batch)
    assert read.event_id == "one"
    assert read.data is not None
    assert read.data.product_action is not None
    assert read.data.product_action.action == "purchase"
    for field in wrong.keys() - {"event_id"}:
        assert getattr(read.data, field) is None


def test_products_are_read_one_by_one_where_one_does_not_fit(
    batch: dict[str, Any], data: dict[str, Any], event: Event
) -> None:
    data["product_action"]["products"] = [{"id": "A", "name": {}, "price": 5}, None, "B", {"id": ["C"], "quantity": 2}]
    data["product_action"]["action"] = "purchase"
    read = event(batch).data
    assert read is not None
    assert read.product_action is not None
    first, second, third, fourth = read.product_action.products or ()
    assert (second, third) == (None, None)
    assert first is not None
    assert (first.id, first.name, first.price) == ("A", None, 5.0)
    assert fourth is not None
    assert (fourth.id, fourth.quantity) == (None, 2.0)


def test_an_event_of_another_type_needs_no_readable_data(batch: dict[str, Any], decoded: Decoded) -> None:
    batch["events"] = [{"event_type": "screen_view", "data": "text"}, {"event_type": "screen_view", "data": {"ip": 5}}]
    assert [entry.event_type for entry in decoded(batch)] == ["screen_view", "screen_view"]


def test_an_action_of_no_known_form_is_no_action(batch: dict[str, Any], data: dict[str, Any], event: Event) -> None:
    data["product_action"] = {"action": 5}
    read = event(batch).data
    assert read is not None
    assert read.product_action is not None
    assert read.product_action.action is None
    data["product_action"] = None
    data["page_url"] = 5
    assert event(batch).data.product_action is None  # type: ignore[union-attr]


def test_numbers_beyond_a_double_are_no_amounts_and_cost_nothing_else(
    batch: dict[str, Any], data: dict[str, Any], decoded: Decoded
) -> None:
    data["product_action"] |= {"total_amount": "@big@", "products": [{"id": "A", "price": "@small@"}]}
    text = json.dumps(batch).replace('"@big@"', "1e999").replace('"@small@"', "1" * 500)
    action = decoded(text.encode())[0].data.product_action
    assert (action.total_amount, action.products[0].price) == ("1e999", "1" * 500)


def test_long_integers_stay_exact(batch: dict[str, Any], data: dict[str, Any], decoded: Decoded) -> None:
    data |= {"source_message_id": None, "event_id": "@id@", "page_url": "@float@"}
    text = json.dumps(batch).replace('"@id@"', "-7778608565459706417").replace('"@float@"', "1e999")
    assert decoded(text.encode())[0].event_id == "-7778608565459706417"


def test_half_a_surrogate_pair_becomes_the_replacement_character(
    batch: dict[str, Any], data: dict[str, Any], decoded: Decoded
) -> None:
    data["product_action"]["products"] = [{"id": "A", "name": "Sock \ud83d", "tags": ["\ud83e\udde6", {"\udc00": 1}]}]
    (product,) = decoded(json.dumps(batch).encode())[0].data.product_action.products
    assert product.name == "Sock \ufffd"


def test_a_number_that_only_python_writes_costs_its_own_field(
    batch: dict[str, Any], data: dict[str, Any], decoded: Decoded
) -> None:
    data["product_action"]["products"] = [{"id": "A", "price": float("nan")}, {"id": "B", "price": 2.5}]
    first, second = decoded(json.dumps(batch).encode())[0].data.product_action.products
    assert (first.price, second.price) == ("NaN", 2.5)


def test_the_digest_is_of_the_events_own_content_and_its_person(
    batch: dict[str, Any], data: dict[str, Any], event: Event
) -> None:
    del data["source_message_id"]
    raw = event(batch).raw
    assert raw != b""
    assert event(batch).event_id == ""
    turned = dict(reversed(batch.items())) | {"events": [{"data": dict(reversed(data.items())), "event_type": "x"}]}
    turned["events"][0]["event_type"] = "commerce_event"
    assert event(turned).raw == raw  # the order of keys says nothing
    assert event(turned | {"batch_id": "another"}).raw == raw  # nor does the batch
    assert event(batch | {"mpid": 42}).raw != raw
    assert event(batch | {"mpid": 42}).raw == event(batch | {"mpid": "42"}).raw
    data["custom_flags"] = {}
    assert event(batch).raw != raw


@pytest.mark.parametrize(
    ("own", "made", "expected"),
    [
        (" one ", 2, "one"),
        (12345, 2, "12345"),
        ("", "-7778608565459706417", "-7778608565459706417"),
        (None, -7778608565459706417, "-7778608565459706417"),
        ("undefined", 2, "2"),
        ("00000000-0000-0000-0000-000000000000", 2, "2"),
        (None, 0, ""),  # an id of 0 would make all events one
        (None, 1.5, ""),
        (None, None, ""),
    ],
)
def test_source_message_id_comes_before_event_id(
    batch: dict[str, Any], data: dict[str, Any], event: Event, own: Any, made: Any, expected: str
) -> None:
    data |= {"source_message_id": own, "event_id": made}
    assert event(batch).event_id == expected


def test_the_lenient_way_never_changes_what_the_typed_way_reads(batch: dict[str, Any], event: Event) -> None:
    batch |= {
        "consent_state": {"gdpr": {"Marketing": {"consented": True}}},
        "source_info": {"channel": "javascript"},
        "application_info": {"os": "MobileWeb"},
        "partner_identities": {"tiktok_cookie_id": "t"},
        "user_attributes": {"$Zip": "1"},
        "sdk_version": "2.68.0",
    }
    typed = event(batch)
    read = read_leniently(json.dumps(batch).encode())
    assert not isinstance(read, Reason)
    assert event(batch | {"user_attributes": {"$Zip": "1"}, "schema_version": 2}) == typed
    inbound = event(batch | {"events": [*batch["events"], "bad"], "user_identities": {"email": "ada@example.com"}})
    assert inbound.batch.identities == typed.batch.identities
    long_way = event(batch | {"events": [*batch["events"], "bad"]})
    assert (long_way.data, long_way.raw) == (typed.data, typed.raw)
    for field in ("environment", "input", "identities", "attributes", "gdpr", "ttp", "locale", "ip", "user_agent"):
        assert getattr(long_way.batch, field) == getattr(typed.batch, field), field
