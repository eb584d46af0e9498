"""When a mapping matches. Source: the specification, section 8; mparticle-android-sdk, `CustomMappingMatch.java`."""

from typing import Any, get_args

import pytest

from transforms.custom_mappings import MessageType
from transforms.mapping.tables import EVENT_TYPES

SKIPPED = ["skipped unsupported_event_type custom_event"]


@pytest.mark.parametrize(
    ("name", "matches"),
    [("Sign Up", True), ("sign up", True), (" SIGN UP ", True), ("Sign Up Now", False), ("", False), (None, False)],
)
def test_names_are_compared_without_case(shop: Any, name: Any, matches: bool) -> None:
    connection = shop.mapping("{message_type: custom_event, event: Sign up}")
    assert shop.said(connection, shop.custom_event(name)) == (["Lead"] if matches else SKIPPED)


def test_a_mapping_is_for_one_type_of_event_only(shop: Any) -> None:
    connection = shop.mapping("{message_type: screen_view, event: Pricing}")
    assert shop.said(connection, shop.screen("pricing")) == ["Lead"]
    assert shop.said(connection, shop.custom_event("Pricing")) == SKIPPED
    assert shop.said(connection, {"event_type": "session_start", "data": {"screen_name": "Pricing"}}) == [
        "skipped unsupported_event_type session_start"
    ]


def test_a_commerce_event_is_matched_by_its_name_or_its_action_in_any_spelling(shop: Any) -> None:
    by_name = shop.mapping("{message_type: commerce_event, event: eCommerce - Purchase}")
    assert shop.said(by_name, shop.commerce(event_name="ecommerce - purchase")) == ["Lead"]
    by_action = shop.mapping("{product_action: Remove From Wish List}")
    for spelling in ("remove_from_wish_list", "remove_from_wishlist", "Remove_From_Wishlist"):
        assert shop.said(by_action, shop.commerce(spelling)) == ["Lead"]
    assert shop.said(by_action, shop.commerce("purchase")) == ["PlaceAnOrder"]


def test_the_custom_event_type_is_a_condition(shop: Any) -> None:
    connection = shop.mapping("{message_type: custom_event, custom_event_type: user_content}")
    assert shop.said(connection, shop.custom_event(custom_event_type="User_Content")) == ["Lead"]
    assert shop.said(connection, shop.custom_event(custom_event_type="other")) == SKIPPED
    assert shop.said(connection, shop.custom_event()) == SKIPPED
    promotion = shop.mapping("{message_type: commerce_event, custom_event_type: promotion_click}")
    clicked = shop.commerce(
        custom_event_type="promotion_click", product_action=None, promotion_action={"action": "click"}
    )
    assert shop.said(promotion, clicked) == ["Lead"]


@pytest.mark.parametrize(
    ("attributes", "matches"),
    [
        ({"plan": "pro", "paid": "true"}, True),
        ({"plan": " PRO ", "paid": True}, True),
        ({"plan": "5", "paid": "TRUE"}, True),
        ({"plan": 5, "paid": "true"}, True),
        ({"plan": ["free", "team"], "paid": "true"}, True),
        ({"plan": "pro"}, False),
        ({"plan": "free", "paid": "true"}, False),
        ({"Plan": "pro", "paid": "true"}, False),  # names of attributes are exact
        ({"plan": {"a": 1}, "paid": "true"}, False),
        ({}, False),
        (None, False),
        (["plan"], False),
    ],
)
def test_all_attributes_must_hold_and_their_values_are_compared_without_case(
    shop: Any, attributes: Any, matches: bool
) -> None:
    connection = shop.mapping("{message_type: custom_event, attributes: {plan: [pro, Team, 5], paid: true}}")
    assert shop.said(connection, shop.custom_event(attributes=attributes)) == (["Lead"] if matches else SKIPPED)


def test_a_value_with_a_comma_is_one_value(shop: Any) -> None:
    connection = shop.mapping('{message_type: custom_event, attributes: {size: "10,5"}}')
    assert shop.said(connection, shop.custom_event(attributes={"size": "10,5"})) == ["Lead"]
    assert shop.said(connection, shop.custom_event(attributes={"size": "10"})) == SKIPPED


def test_conditions_on_products_narrow_the_list_and_without_any_left_nothing_matches(shop: Any) -> None:
    connection = shop.mapping(
        "{product_action: purchase, products: {category: [Shoes, boots]}, product_attributes: {size: 42}}",
        "Purchase",
        "{content_id: {product_field: id}}",
    )
    shoe = {"id": "S", "category": "shoes", "custom_attributes": {"size": "42"}}
    other_size = {"id": "T", "category": "shoes", "custom_attributes": {"size": "43"}}
    sock = {"id": "K", "category": "socks", "custom_attributes": {"size": "42"}}
    bare = {"id": "B", "category": "boots"}
    bought = shop.commerce(products=[sock, None, shoe, other_size, bare])
    assert shop.properties(connection, bought) == {"contents": [{"content_id": "S"}], "content_ids": ["S"]}
    for products in ([sock, other_size], [], None):
        assert shop.said(connection, shop.commerce(products=products)) == ["PlaceAnOrder"]


def test_a_product_field_of_two_products_gives_one_event(shop: Any) -> None:
    connection = shop.mapping("{product_action: purchase, products: {brand: [acme, other]}}")
    assert shop.said(connection, shop.commerce(products=[{"brand": "Acme"}, {"brand": "other"}])) == ["Lead"]


@pytest.mark.parametrize("match", ["{message_type: commerce_event}", "{message_type: commerce_event, event: Undo}"])
@pytest.mark.parametrize("action", ["refund", "Refund", "remove_from_cart", "remove_from_wishlist"])
@pytest.mark.parametrize("event", ["Purchase", "PlaceAnOrder", "CompletePayment"])
def test_what_takes_an_order_back_never_becomes_an_order(shop: Any, match: str, action: str, event: str) -> None:
    connection = shop.mapping(match, event)
    word = "remove_from_wish_list" if action == "remove_from_wishlist" else action.lower()
    assert shop.said(connection, shop.commerce(action, event_name="Undo")) == [f"skipped unsupported_action {word}"]
    assert shop.said(connection, shop.commerce("purchase", event_name="Undo")) == [event]


def test_a_refund_may_become_something_else(shop: Any) -> None:
    connection = shop.mapping("{product_action: refund}", "Contact")
    assert shop.said(connection, shop.commerce("refund")) == ["Contact"]


def test_hundreds_of_mappings_find_the_same_as_one_by_one(shop: Any) -> None:
    """The index under attributes, products, names and actions changes the speed only."""
    lines = ["custom_mappings:"]
    for number in range(60):
        lines += [
            f"  - match: {{message_type: custom_event, event: E{number}}}",
            "    send: Lead",
            f"  - match: {{message_type: custom_event, attributes: {{a{number % 7}: v{number}}}}}",
            "    send: Contact",
            f"  - match: {{product_action: purchase, attributes: {{a: v{number}}}}}",
            "    send: Subscribe",
            f"  - match: {{product_action: purchase, products: {{id: p{number}}}}}",
            "    send: Purchase",
        ]
    connection = shop.read("\n".join(lines))
    assert shop.said(connection, shop.custom_event("e17", attributes={"a3": "V10", "a4": "x"})) == ["Contact", "Lead"]
    assert shop.said(connection, shop.custom_event("e17", attributes={"a4": "V10"})) == ["Lead"]
    bought = shop.commerce(attributes={"a": ["v59", "v3"]}, products=[{"id": "P8"}, {"id": "p7"}])
    assert shop.said(connection, bought) == [
        "Subscribe",
        "Purchase",
        "skipped duplicate_event Purchase",
        "skipped duplicate_event Subscribe",
    ]


def test_the_event_types_of_a_mapping_are_those_of_the_tables() -> None:
    assert set(get_args(MessageType)) <= set(EVENT_TYPES)
