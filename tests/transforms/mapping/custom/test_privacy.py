"""What a mapping may not send: personal data in clear; and what no mapping reads goes nowhere."""

import json
from typing import Any

import msgspec
import pytest

from transforms.mapping import custom, decode_message, hasher
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
        "Ada Lovelace",
        "LOVELACE,  ada",
        "ada＠example.com",
        "https://shop.example.com/?mail=ada%40example.com",
        "12125550142",
        "212/555/0142",
        "+49/151/12345678",
        "0151 12345678",
        "06.12.34.56.78",
        "ring 020 7946 0958, please",
        "0049 (151) 1234-5678",
    ],
)
def test_a_value_that_names_a_person_is_left_out(shop: Any, text: str) -> None:
    event = shop.custom_event(
        text, attributes={"a": text}, custom_flags={"TikTok.URL": "https://shop.example.com/", "a": text}
    )
    message = shop.batch(event, user_identities=IDENTITIES, user_attributes={**ATTRIBUTES, "a": text})
    sent = {}
    for source in ("event_attribute: a", "custom_flag: a", "user_attribute: a", "event_field: event_name"):
        connection = shop.mapping("{message_type: custom_event}", "Search", f"{{query: {{{source}}}}}")
        sent[source] = shop.properties(connection, message), "personal_value" in shop.notes(connection, message)
    assert sent == dict.fromkeys(sent, (None, True))


def test_a_product_attribute_may_hold_a_name_too(shop: Any) -> None:
    parameters = "{content_id: {product_field: id}, content_name: {product_attribute: engraving}}"
    connection = shop.mapping("{product_action: purchase}", "Purchase", parameters)
    bought = shop.commerce(products=[{"id": "A", "custom_attributes": {"engraving": "Ada"}}])
    made = shop.properties(connection, shop.batch(bought, user_attributes=ATTRIBUTES))
    assert made["contents"] == [{"content_id": "A"}]


@pytest.mark.parametrize(
    "text",
    [
        *("ada lovelace shoes", "2024-06-20", "1718900123456", "SKU-212-555", "a@b", "CUST-42", "0012345678905"),
        *("01.02.2024 10:30", "2024-06-20 16:15:23", "1234-5678-9012", "192.168.10.254", "001-234-567", "100 % wool"),
    ],
)
def test_what_only_looks_a_little_like_it_is_sent(shop: Any, text: str) -> None:
    """A customer's number may be a product's by chance, so that attributes of events are not compared with it."""
    connection = shop.mapping("{message_type: custom_event}", "Search", "{query: {event_attribute: a}}")
    message = shop.batch(
        shop.custom_event(attributes={"a": text}), user_identities=IDENTITIES, user_attributes=ATTRIBUTES
    )
    assert shop.properties(connection, message)["query"] == text


# Fields of an event and of a product, into which a site may have written what it should not have.
FIELDS = [
    *(f"event_field: {name}" for name in ("transaction_id", "affiliation", "coupon_code", "product_list_source")),
    *(f"product_field: {name}" for name in ("id", "name", "variant", "coupon_code")),
]


@pytest.mark.parametrize("text", ["ada@example.com", "gift of <ada@example.com>", "+49 151 12345678"])
@pytest.mark.parametrize("source", FIELDS)
def test_no_field_takes_an_address_out(shop: Any, text: str, source: str) -> None:
    kind, _, name = source.partition(": ")
    connection = shop.mapping("{product_action: purchase}", "Purchase", f"{{content_name: {{{source}}}}}")
    bought = shop.commerce(**({"products": [{name: text}]} if kind == "product_field" else {"fields": {name: text}}))
    assert shop.properties(connection, bought) is None
    assert "personal_value" in shop.notes(connection, bought)


@pytest.mark.parametrize("text", ["C++ for beginners", "@home mug", "A+ 1234", "12 + 34 = 46"])
@pytest.mark.parametrize("source", FIELDS)
def test_a_field_with_such_a_sign_is_sent(shop: Any, text: str, source: str) -> None:
    kind, _, name = source.partition(": ")
    connection = shop.mapping("{product_action: purchase}", "Purchase", f"{{content_name: {{{source}}}}}")
    bought = shop.commerce(**({"products": [{name: text}]} if kind == "product_field" else {"fields": {name: text}}))
    assert shop.properties(connection, bought)["contents"] == [{"content_name": text}]


@pytest.mark.parametrize("sent", ["+12125550142", "2125550142", 12125550142, "+491511234567"])
def test_a_phone_is_no_amount(shop: Any, sent: Any) -> None:
    connection = shop.mapping(
        "{message_type: custom_event}", "Lead", "{value: {event_attribute: a}, currency: {constant: EUR}}"
    )
    message = shop.batch(shop.custom_event(attributes={"a": sent}), user_identities=IDENTITIES)
    assert shop.properties(connection, message) == {"currency": "EUR"}
    assert "personal_value" in shop.notes(connection, message)


@pytest.mark.parametrize(
    ("source", "name", "refused"),
    [
        ("event_attribute", "recipient_email", True),
        ("event_attribute", "Contact Phone 2", True),
        ("event_attribute", "shippingPostalCode", True),
        ("custom_flag", "Shop.E-Mail", True),
        ("user_attribute", "loyalty_tier", False),
        ("product_attribute", "recipient e-mail", True),
        ("product_attribute", "engravingLastName", True),
        ("product_attribute", "phone", False),
        ("event_attribute", "phone_model", False),
        ("event_attribute", "has_email", False),
        ("event_attribute", "email_campaign", False),
    ],
)
def test_an_attribute_that_is_called_so_is_refused(shop: Any, source: str, name: str, refused: bool) -> None:
    text = (
        "custom_mappings:\n  - match: {product_action: purchase}\n    send: Purchase\n"
        f"    parameters: {{content_name: {{{source}: {name}}}}}\n"
    )
    if refused:
        (problem,) = shop.problems(text)
        assert problem.where == f"connection.yaml:6:{35 + len(source)}"
        assert "says who someone is" in problem.text
    else:
        assert shop.read(text)


@pytest.mark.parametrize("text", ["shop@example.com", "+49 30 1234567", "call 020 7946 0958"])
def test_a_constant_is_no_address_either(shop: Any, text: str) -> None:
    (problem,) = shop.problems(
        "custom_mappings:\n  - match: {message_type: custom_event}\n    send: Contact\n"
        f'    parameters: {{description: {{constant: "{text}"}}}}\n'
    )
    assert problem.key == "custom_mappings[1].parameters.description.constant"
    assert text not in problem.text


def test_an_attribute_of_a_person_is_compared_with_all_identities(shop: Any) -> None:
    connection = shop.mapping("{message_type: custom_event}", "Lead", "{description: {user_attribute: ref}}")
    message = shop.batch(shop.custom_event(), user_identities=IDENTITIES, user_attributes={"ref": "cust-42"})
    assert shop.properties(connection, message) is None


@pytest.mark.parametrize("mapped", [True, False])
def test_what_no_mapping_sends_ends_in_the_step_of_decoding(shop: Any, mapped: bool) -> None:
    match = "{product_action: purchase, attributes: {a: canary1}, product_attributes: {b: canary2}}"
    also = "\n    also_default: true" if mapped else ""
    connection = shop.read(f"custom_mappings:\n  - match: {match}\n    send: Lead{also}")
    mapper = custom.compile_mapper(connection)
    hashed = hasher(connection)
    product = {"id": "A", "custom_attributes": {"b": "canary2" if mapped else "canary3"}}
    bought = shop.commerce(attributes={"a": "canary1", "other": "canary4"}, products=[product])
    message = shop.batch(bought, user_attributes={"$FirstName": "canary5", "x": "canary6"})
    events = decode_message(Message("m", json.dumps(message).encode()), mapper=mapper)
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
    (event,) = decode_message(Message("m", json.dumps(message).encode()), mapper=custom.compile_mapper(connection))
    assert isinstance(event, MParticleEvent)
    assert event.custom is not None
    properties = event.custom.properties
    assert properties is not None
    assert properties.description == "canary"
    parts = [event, event.custom, properties, properties.contents, hasher(connection)(event)]
    shown = [repr(part) for part in parts]
    assert "canary" not in "".join(shown)
