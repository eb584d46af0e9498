"""One mParticle event may give several TikTok events: each is one unit with one outcome, and the counts add up."""

from typing import Any

import pytest

TWO = """
custom_mappings:
  - match: {message_type: custom_event, event: Sign Up}
    send: [Lead, CompleteRegistration]
  - match: {message_type: custom_event, attributes: {plan: pro}}
    send: Subscribe
    parameters: {value: {event_attribute: price, required: true}, currency: {constant: EUR}}
"""


def test_several_mappings_give_several_events_in_the_order_of_the_connection(shop: Any) -> None:
    connection = shop.read(TWO)
    both = shop.custom_event(attributes={"plan": "pro", "price": "5"})
    results = shop.results(connection, both)
    assert [result.event for result in results] == ["Lead", "CompleteRegistration", "Subscribe"]
    assert {(result.index, result.event_id, result.occurred_at_ms) for result in results} == {(0, "one", 1718900123456)}


def test_the_position_of_an_event_is_that_in_its_message(shop: Any) -> None:
    connection = shop.read(TWO)
    message = shop.batch(None, shop.custom_event(), {"event_type": "session_end", "data": {}}, shop.commerce())
    assert [(result.index, result.event or result.reason) for result in shop.results(connection, message)] == [
        (0, "empty_event"),
        (1, "Lead"),
        (1, "CompleteRegistration"),
        (2, "unsupported_event_type"),
        (3, "PlaceAnOrder"),
    ]


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"environment": "development"}, "environment"),
        ({"source_info": {"channel": "native"}}, "unsupported_input"),
        ({"consent_state": {"ccpa": {"data_sale_opt_out": {"consented": True}}}}, "consent_ccpa"),
    ],
)
def test_what_ends_the_batch_ends_every_unit(shop: Any, fields: dict[str, Any], reason: str) -> None:
    results = shop.results(shop.read(TWO), shop.batch(shop.custom_event(), **fields))
    assert [result.reason for result in results] == [reason, reason]
    assert [result.event for result in results] == ["Lead", "CompleteRegistration"]  # a ledger tells them apart


def test_a_mapped_event_is_not_sent_by_its_default_as_well(shop: Any) -> None:
    assert shop.said(shop.mapping("{product_action: purchase}", "Subscribe"), shop.commerce()) == ["Subscribe"]


def test_also_default_sends_it_as_well(shop: Any) -> None:
    text = "custom_mappings: [{match: {product_action: purchase}, send: Subscribe, also_default: true}]"
    assert shop.said(shop.read(text), shop.commerce()) == ["Subscribe", "PlaceAnOrder"]
    refund = "custom_mappings: [{match: {product_action: refund}, send: Contact, also_default: true}]"
    assert shop.said(shop.read(refund), shop.commerce("refund")) == ["Contact"]
    named = f"{text}\nevent_names: {{purchase: Subscribe}}"
    assert shop.said(shop.read(named), shop.commerce()) == ["Subscribe", "skipped duplicate_event Subscribe"]


def test_the_default_event_is_the_same_as_without_mappings(shop: Any) -> None:
    text = "custom_mappings: [{match: {product_action: purchase}, send: Subscribe, also_default: true}]"
    bought = shop.commerce(
        products=[{"id": "A", "variant": "V", "brand": "Acme", "price": "3", "custom_attributes": {"size": "1"}}],
        attributes={"a": "b"},
        fields={"transaction_id": "ORD", "coupon_code": "SALE"},
        currency_code="EUR",
        event_name="eCommerce - Purchase",
    )
    (plain,) = shop.results(shop.read(""), bought)
    assert shop.results(shop.read(text), bought)[1] == plain
    other = "custom_mappings: [{match: {product_action: purchase, products: {variant: x}}, send: Subscribe}]"
    assert shop.results(shop.read(other), bought) == [plain]


def test_a_mapping_that_lacks_a_required_parameter_has_an_outcome_and_the_default_applies(shop: Any) -> None:
    parameters = "{value: {event_attribute: price, required: true}, currency: {constant: EUR}}"
    connection = shop.mapping("{product_action: purchase}", "Subscribe", parameters)
    missing = "rejected missing_parameter value"
    assert shop.said(connection, shop.commerce()) == [missing, "PlaceAnOrder"]
    assert shop.said(connection, shop.commerce(attributes={"price": "1"})) == ["Subscribe"]
    custom = shop.mapping("{message_type: custom_event}", "Subscribe", parameters)
    assert shop.said(custom, shop.custom_event()) == [missing]
    (outcome,) = shop.results(custom, shop.custom_event())
    assert (outcome.event, outcome.event_id, outcome.stage) == ("Subscribe", "one", "SelectEvents")


def test_the_first_of_two_mappings_wins_an_event_and_the_second_makes_up_for_it(shop: Any) -> None:
    text = """
custom_mappings:
  - match: {message_type: custom_event, event: Sign Up, attributes: {plan: pro}}
    send: Subscribe
    parameters: {value: {event_attribute: price, required: true}, currency: {constant: EUR}}
  - match: {message_type: custom_event, event: Sign Up}
    send: Subscribe
    parameters: {description: {constant: no price}}
"""
    connection = shop.read(text)
    full = shop.custom_event(attributes={"plan": "pro", "price": 5})
    assert shop.said(connection, full) == ["Subscribe", "skipped duplicate_event Subscribe"]
    without = shop.results(connection, shop.custom_event(attributes={"plan": "pro"}))
    assert [(one.event, getattr(one, "reason", None)) for one in without] == [
        (None, "missing_parameter"),
        ("Subscribe", None),
    ]


def test_an_event_without_any_id_gets_the_digest_of_its_content(shop: Any) -> None:
    connection = shop.read(TWO)
    nameless = shop.custom_event(source_message_id=..., attributes={"a": "1"})
    first, second = shop.results(connection, nameless)
    assert first.event_id == second.event_id
    assert len(first.event_id) == 32
    assert shop.results(connection, nameless)[0].event_id == first.event_id
    other = shop.custom_event(source_message_id=..., attributes={"a": "2"})
    assert shop.results(connection, other)[0].event_id != first.event_id


def test_a_damaged_message_is_mapped_all_the_same(shop: Any) -> None:
    """A wrong type somewhere sends the whole message the slow way."""
    connection = shop.read(TWO)
    message = shop.batch(shop.custom_event(attributes={"plan": "pro", "price": 2.5}), shop.commerce(), sdk_version=5)
    message["events"][0]["data"]["page_url"] = ["x"]
    assert shop.said(connection, message) == ["Lead", "CompleteRegistration", "Subscribe", "PlaceAnOrder"]
    message["events"][0]["data"]["custom_attributes"] = "none"
    assert shop.said(connection, message) == ["Lead", "CompleteRegistration", "PlaceAnOrder"]
    message["events"][0]["data"] = "none"
    assert shop.said(connection, message) == [
        "skipped unsupported_event_type custom_event",
        "PlaceAnOrder",
    ]


def test_a_commerce_event_whose_type_is_spelled_otherwise_is_mapped_and_has_no_default(shop: Any) -> None:
    """As without mappings, where an event of such a type is none that is known."""
    text = "custom_mappings: [{match: {product_action: purchase}, send: Subscribe, also_default: true}]"
    odd = {**shop.commerce(), "event_type": " Commerce_Event "}
    unsupported = "skipped unsupported_event_type commerce_event"
    assert shop.said(shop.read(text), odd) == ["Subscribe", unsupported]
    assert shop.said(shop.read(text), {**shop.commerce("refund"), "event_type": "Commerce_Event"}) == [unsupported]
    assert shop.said(shop.read(""), odd) == [unsupported]


def test_a_web_event_needs_its_page(shop: Any) -> None:
    connection = shop.mapping("{message_type: custom_event}")
    assert shop.said(connection, shop.custom_event(custom_flags=...)) == ["rejected missing_page_url None"]
    assert shop.said(connection, shop.custom_event(custom_flags=..., page_url="https://x.example.com")) == ["Lead"]
    (rejected,) = shop.results(connection, shop.custom_event(custom_flags={"TikTok.URL": "ftp://x"}))
    assert (rejected.reason, rejected.event) == ("invalid_page_url", "Lead")


def test_a_feed_is_known_by_its_mark_also_where_attributes_are_read_wholly(shop: Any) -> None:
    text = (
        "custom_mappings: [{match: {message_type: custom_event, event: Sign Up}, send: Lead}]\nevent_source_type: feed"
    )
    connection = shop.read(text)
    (fed,) = shop.results(connection, shop.custom_event(attributes={"mParticle Source Feed": "Till"}))
    assert fed.form == "offline"
    (web,) = shop.results(connection, shop.custom_event(attributes={"mParticle Source Feed": " "}))
    assert web.form == "web"


def test_an_event_is_not_sent_under_its_old_and_its_new_name(shop: Any) -> None:
    """TikTok converts CompletePayment to Purchase: an order sent under both would count twice."""
    connection = shop.read(
        "custom_mappings:\n"
        "  - {name: a, match: {message_type: custom_event, attributes: {x: 1}}, send: Purchase}\n"
        "  - {name: b, match: {message_type: custom_event, attributes: {y: 1}}, send: CompletePayment}\n"
    )
    both = shop.custom_event(attributes={"x": 1, "y": 1})
    assert shop.said(connection, both) == ["Purchase", "skipped duplicate_event CompletePayment"]
    assert shop.said(connection, shop.custom_event(attributes={"y": 1})) == ["CompletePayment"]


def test_the_default_is_not_sent_beside_its_old_name(shop: Any) -> None:
    connection = shop.read(
        "event_names: {purchase: Purchase}\n"
        "custom_mappings:\n"
        "  - {match: {message_type: commerce_event}, send: CompletePayment, also_default: true}\n"
    )
    assert shop.said(connection, shop.commerce()) == ["CompletePayment", "skipped duplicate_event Purchase"]
