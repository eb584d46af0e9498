"""What a mapping may not send: who someone is, in clear; and what no mapping reads goes nowhere."""

import json
from typing import Any

import msgspec
import pytest

from transforms.mapping import custom, decode, identity
from transforms.model import Message, MParticleEvent

IDENTITIES = [
    {"identity_type": "email", "identity": " Ada@Example.com "},
    {"identity_type": "mobile_number", "identity": "2125550142"},
    {"identity_type": "customer_id", "identity": "CUST-42"},
]
ATTRIBUTES = {"$FirstName": "Ada", "$lastname": "Lovelace", "$Zip": "10016", "$Mobile": "212 555"}


@pytest.mark.parametrize(
    "text",
    [
        "ada@example.com",
        "mail of ada@example.com, thanks",
        "<someone.else+tag@mail.example.org>",
        "+12125550142",
        "call +1 (212) 555-0142 now",
        "(212) 555-0142",
        "212-555-0142",
        "2125550142",
        "ADA",
        " lovelace ",
        "10016",
        "212 555",
    ],
)
@pytest.mark.parametrize(
    "source", ["event_attribute: a", "custom_flag: a", "user_attribute: a", "event_field: event_name"]
)
def test_a_value_that_says_who_someone_is_is_left_out(shop: Any, text: str, source: str) -> None:
    connection = shop.mapping("{message_type: custom_event}", "Search", f"{{query: {{{source}}}}}")
    event = shop.custom_event(
        text, attributes={"a": text}, custom_flags={"TikTok.URL": "https://shop.example.com/", "a": text}
    )
    message = shop.batch(event, user_identities=IDENTITIES, user_attributes={**ATTRIBUTES, "a": text})
    assert shop.properties(connection, message) is None
    assert "personal_value" in shop.notes(connection, message)


def test_a_product_attribute_may_hold_a_name_too(shop: Any) -> None:
    parameters = "{content_id: {product_field: id}, content_name: {product_attribute: engraving}}"
    connection = shop.mapping("{product_action: purchase}", "Purchase", parameters)
    bought = shop.commerce(products=[{"id": "A", "custom_attributes": {"engraving": "Ada"}}])
    made = shop.properties(connection, shop.batch(bought, user_attributes=ATTRIBUTES))
    assert made["contents"] == [{"content_id": "A"}]


@pytest.mark.parametrize("text", ["ada lovelace shoes", "2024-06-20", "1718900123456", "SKU-212-555", "a@b", "CUST-42"])
def test_what_only_looks_a_little_like_it_is_sent(shop: Any, text: str) -> None:
    """A customer's number may be a product's by chance, so that attributes of events are not compared with it."""
    connection = shop.mapping("{message_type: custom_event}", "Search", "{query: {event_attribute: a}}")
    message = shop.batch(
        shop.custom_event(attributes={"a": text}), user_identities=IDENTITIES, user_attributes=ATTRIBUTES
    )
    assert shop.properties(connection, message)["query"] == text


def test_an_attribute_of_a_person_is_compared_with_all_identities(shop: Any) -> None:
    connection = shop.mapping("{message_type: custom_event}", "Lead", "{description: {user_attribute: ref}}")
    message = shop.batch(shop.custom_event(), user_identities=IDENTITIES, user_attributes={"ref": "cust-42"})
    assert shop.properties(connection, message) is None


@pytest.mark.parametrize("mapped", [True, False])
def test_what_no_mapping_sends_ends_in_the_step_of_decoding(shop: Any, mapped: bool) -> None:
    match = "{product_action: purchase, attributes: {a: canary1}, product_attributes: {b: canary2}}"
    also = "\n    also_default: true" if mapped else ""
    connection = shop.read(f"custom_mappings:\n  - match: {match}\n    send: Lead{also}")
    mapper = custom.mapper(connection)
    hashed = identity.hasher(connection)
    product = {"id": "A", "custom_attributes": {"b": "canary2" if mapped else "canary3"}}
    bought = shop.commerce(attributes={"a": "canary1", "other": "canary4"}, products=[product])
    message = shop.batch(bought, user_attributes={"$FirstName": "canary5", "x": "canary6"})
    events = decode.decode(Message("m", json.dumps(message).encode()), mapper=mapper)
    assert len(events) == (2 if mapped else 1)
    for event in events:
        assert isinstance(event, MParticleEvent)
        assert b"canary" not in msgspec.json.encode(event.data)
        assert b"canary" not in msgspec.json.encode(hashed(event))
        assert "canary" not in repr(event)
        assert "canary" not in repr(event.data)


def test_values_are_in_no_repr(shop: Any) -> None:
    parameters = "{description: {event_attribute: a}, content_id: {event_attribute: a}}"
    connection = shop.mapping("{message_type: custom_event}", "ViewContent", parameters)
    message = shop.batch(shop.custom_event(attributes={"a": "canary"}))
    (event,) = decode.decode(Message("m", json.dumps(message).encode()), mapper=custom.mapper(connection))
    assert isinstance(event, MParticleEvent)
    assert event.custom is not None
    properties = event.custom.properties
    assert properties is not None
    assert properties.description == "canary"
    parts = [event, event.custom, properties, properties.contents, identity.hasher(connection)(event)]
    shown = [repr(part) for part in parts]
    assert "canary" not in "".join(shown)
