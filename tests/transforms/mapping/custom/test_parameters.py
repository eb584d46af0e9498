"""What a mapped event carries: sources, types, both forms of request. Source: the specification, section 8."""

import json
from typing import Any

import pytest

from transforms.connection import Connection
from transforms.custom_mappings import CustomMapping, Match, Parameter, Target
from transforms.mapping.custom.parameter_sources import compile_source
from transforms.model import Payload
from transforms.steps import DecodeMessages

ANY = "{message_type: custom_event}"
BOUGHT = "{product_action: purchase}"


@pytest.mark.parametrize("form", ["web", "legacy", "offline"])
def test_no_default_content_type_and_nothing_else_that_was_not_mapped(shop: Any, form: str) -> None:
    """Must not 37: senders who added a content type to custom events were asked to stop."""
    connection = shop.mapping(BOUGHT, "Purchase", form=form)
    bought = shop.commerce(currency_code="EUR", fields={"transaction_id": "ORD-1"})
    assert shop.properties(connection, bought) is None
    everything = json.dumps(shop.body(connection, bought))
    assert "content_type" not in everything
    assert "ORD-1" not in everything


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ("web", {"search_string": "red shoes", "query": "red shoes", "description": "d"}),
        ("offline", {"search_string": "red shoes", "query": "red shoes", "description": "d"}),
        ("legacy", {"query": "red shoes", "description": "d"}),
    ],
)
def test_a_search_has_the_names_of_its_form(shop: Any, form: str, expected: dict[str, str]) -> None:
    parameters = "{query: {event_attribute: q}, description: {constant: d}}"
    connection = shop.mapping(ANY, "Search", parameters, form)
    assert shop.properties(connection, shop.custom_event(attributes={"q": " red shoes "})) == expected


@pytest.mark.parametrize(("form", "ids"), [("web", ["A", "B"]), ("offline", ["A", "B"]), ("legacy", None)])
def test_one_content_for_each_product_with_ids_in_events_api_2_only(shop: Any, form: str, ids: Any) -> None:
    parameters = (
        "{content_id: {product_field: id}, price: {product_field: item price}, content_category: {constant: c}}"
    )
    connection = shop.mapping(BOUGHT, "Purchase", parameters, form)
    made = shop.properties(connection, shop.commerce(products=[{"id": "A", "price": 1.5}, None, {"id": "B"}]))
    assert made["contents"] == [
        {"price": 1.5, "content_id": "A", "content_category": "c"},
        {"content_id": "B", "content_category": "c"},
    ]
    assert made.get("content_ids") == ids


def test_exactly_one_content_where_no_product_is_read(shop: Any) -> None:
    parameters = "{content_id: {event_attribute: sku}, quantity: {constant: 2}}"
    connection = shop.mapping(BOUGHT, "AddToCart", parameters)
    bought = shop.commerce(attributes={"sku": "S-1"}, products=[{"id": "A"}, {"id": "B"}])
    assert shop.properties(connection, bought) == {
        "contents": [{"quantity": 2, "content_id": "S-1"}],
        "content_ids": ["S-1"],
    }


@pytest.mark.parametrize("products", [[], None, [{"id": "A"}]])
def test_transaction_attributes_survive_whatever_the_products_are(shop: Any, products: Any) -> None:
    """A mapping without product attributes once lost them. Source: mparticle-apple-sdk issue 141."""
    values = "{value: {event_field: Total Amount}, currency: {event_field: currency code}"
    values += ", description: {event_field: Affiliation}}"
    connection = shop.mapping(BOUGHT, "Purchase", values)
    bought = shop.commerce(products=products, total="12.50", currency_code="eur", fields={"affiliation": "web"})
    assert shop.properties(connection, bought) == {"value": 12.5, "currency": "EUR", "description": "web"}
    with_products = values[:-1] + ", content_id: {product_field: variant}}"
    connection = shop.mapping(BOUGHT, "Purchase", with_products)
    assert shop.properties(connection, bought) == {"value": 12.5, "currency": "EUR", "description": "web"}


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("{event_attribute: word}", "of event"),
        ("{event_attribute: Word}", None),
        ("{user_attribute: TIER}", "gold"),
        ("{custom_flag: shop.list}", "spring"),
        ("{event_field: event_name}", "eCommerce - Purchase"),
        ("{event_field: transaction_id}", "ORD-1"),
        ("{event_field: coupon_code}", "SALE"),
        ("{event_field: shipping_amount}", "4.5"),
        ("{event_field: checkout_step}", "2"),
        ("{event_field: product_list_source}", None),
        ("{constant: 7}", "7"),
        ("{constant: true}", "true"),
        ('{constant: "its \\"x\\" {y}"}', 'its "x" {y}'),
    ],
)
def test_every_source_of_an_event_is_read(shop: Any, source: str, expected: Any) -> None:
    connection = shop.mapping(BOUGHT, "Purchase", f"{{description: {source}}}")
    bought = shop.commerce(
        attributes={"word": "of event"},
        event_name="eCommerce - Purchase",
        fields={"transaction_id": "ORD-1", "coupon_code": "SALE", "shipping_amount": 4.5, "checkout_step": 2},
        custom_flags={"TikTok.URL": "https://shop.example.com/", "Shop.List": ["", "spring"]},
    )
    made = shop.properties(connection, shop.batch(bought, user_attributes={"Tier": "gold", "x": 1}))
    assert made == (None if expected is None else {"description": expected})


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("{product_field: name}", "Sock"),
        ("{product_field: brand}", "Acme"),
        ("{product_field: variant}", "blue"),
        ("{product_field: position}", "3"),
        ("{product_field: coupon_code}", "HALF"),
        ("{product_attribute: size}", "42"),
        ("{product_attribute: Size}", None),
    ],
)
def test_every_source_of_a_product_is_read(shop: Any, source: str, expected: Any) -> None:
    connection = shop.mapping(BOUGHT, "Purchase", f"{{content_name: {source}}}")
    product = {"name": "Sock", "brand": "Acme", "variant": " blue ", "position": 3, "coupon_code": "HALF"}
    made = shop.properties(connection, shop.commerce(products=[{**product, "custom_attributes": {"size": 42}}]))
    assert made == (None if expected is None else {"contents": [{"content_name": expected}]})


@pytest.mark.parametrize(
    ("parameter", "declared", "sent", "expected"),
    [
        ("value", None, "9.99", 9.99),
        ("value", None, 0, 0),
        ("value", None, 5, 5),
        ("value", "number", ["x", "1"], None),
        ("value", None, "9,99", None),
        ("value", None, "-1", None),
        ("value", None, True, None),
        ("value", None, "1e999", None),
        ("value", "integer", "7", 7),
        ("value", "integer", "7.5", None),
        ("quantity", None, "1.2", 2),
        ("quantity", None, 3.0, 3),
        ("quantity", None, 500, 500),
        ("quantity", None, 0, 0),
        ("quantity", "integer", 1.2, None),
        ("quantity", None, "1e12", None),
        ("price", None, 2.5, 2.5),
        ("currency", None, " usd ", "USD"),
        ("currency", None, "XXX", "XXX"),
        ("currency", None, "dollar", None),
        ("description", None, 5.0, "5"),
        ("description", None, {"a": 1}, None),
        ("description", None, "", None),
        ("description", "number", "5.50", "5.5"),
        ("description", "number", "five", None),
        ("description", "number", "-3.50", "-3.5"),
        ("description", "number", "--3", None),
        ("description", "number", "-+3", None),
        ("description", "integer", -3, "-3"),
        ("description", "integer", "0012", "12"),
        ("description", "integer", 1234567890123456789012, "1234567890123456789012"),
        ("description", "integer", "9007199254740993", "9007199254740993"),
        ("description", "integer", "1" * 5000, None),
        ("quantity", None, 2.0000000001, 2),
        ("quantity", None, 1e-9, 1),
        ("description", "integer", "5.5", None),
        ("description", "boolean", "TRUE", "true"),
        ("description", "boolean", False, "false"),
        ("description", "boolean", "yes", None),
        ("description", "string", True, "true"),
    ],
)
def test_values_are_of_their_type_or_count_as_missing(
    shop: Any, parameter: str, declared: str | None, sent: Any, expected: Any
) -> None:
    kind = f", type: {declared}" if declared else ""
    event = shop.custom_event(attributes={"a": sent})
    optional, required = (
        shop.mapping(ANY, "ViewContent", f"{{{parameter}: {{event_attribute: a{kind}, required: {word}}}}}")
        for word in ("false", "true")
    )
    made = shop.properties(optional, event)
    content = made["contents"][0] if made and "contents" in made else made
    assert content == (None if expected is None else {parameter: expected})
    if expected is None:
        (result,) = shop.results(required, event)
        assert (result.reason, result.detail) == ("missing_parameter", parameter)
    else:
        assert shop.properties(required, event) == made
        assert type(content[parameter]) in ({str} if isinstance(expected, str) else {int, float})
        assert isinstance(content[parameter], int) or parameter != "quantity"


def test_what_was_left_out_is_noted(shop: Any) -> None:
    connection = shop.mapping(ANY, "ViewContent", "{value: {event_attribute: a}, currency: {event_attribute: b}}")
    assert "mistyped_parameter" in shop.notes(connection, shop.custom_event(attributes={"a": "x", "b": "EUR"}))
    assert "unlisted_currency" in shop.notes(connection, shop.custom_event(attributes={"b": "XXX"}))
    assert "mistyped_parameter" not in shop.notes(connection, shop.custom_event(attributes={"a": " ", "b": None}))


def test_every_note_is_kept_once_in_the_order_of_the_parameters(shop: Any) -> None:
    text = "default_currency: GBP\ncustom_mappings: [{{match: {}, send: ViewContent, parameters: {}}}]"
    parameters = "{value: {event_attribute: a}, currency: {event_attribute: b}, price: {event_attribute: a}"
    connection = shop.read(text.format(ANY, parameters + ", description: {event_attribute: b}}"))
    notes = shop.notes(connection, shop.custom_event(attributes={"a": "x", "b": "ada@example.com"}))
    assert notes[-3:] == ("mistyped_parameter", "default_currency", "personal_value")


def test_the_payload_knows_value_and_currency_for_the_ledger(shop: Any) -> None:
    connection = shop.mapping(ANY, "Subscribe", "{value: {constant: 5}, currency: {constant: eur}}")
    (payload,) = shop.results(connection, shop.custom_event())
    assert isinstance(payload, Payload)
    assert (payload.value, payload.currency, payload.event) == (5.0, "EUR", "Subscribe")


def test_the_default_currency_stands_in_for_a_mapped_one_only(shop: Any) -> None:
    text = "default_currency: GBP\ncustom_mappings: [{{match: {}, send: Subscribe, parameters: {}}}]"
    mapped = shop.read(text.format(ANY, "{value: {constant: 5}, currency: {event_attribute: c, required: true}}"))
    assert shop.properties(mapped, shop.custom_event()) == {"currency": "GBP", "value": 5}
    assert "default_currency" in shop.notes(mapped, shop.custom_event())
    assert shop.properties(mapped, shop.custom_event(attributes={"c": "usd"}))["currency"] == "USD"
    assert shop.properties(shop.read(text.format(ANY, "{value: {constant: 5}}")), shop.custom_event()) == {"value": 5}


def test_a_product_without_a_required_parameter_is_left_out_and_all_of_them_the_event(shop: Any) -> None:
    parameters = "{content_id: {product_field: variant, required: true}, price: {product_field: price}}"
    connection = shop.mapping(BOUGHT, "Purchase", parameters)
    bought = shop.commerce(products=[{"price": 1.0}, {"variant": "V", "price": 2.0}])
    assert shop.properties(connection, bought)["contents"] == [{"price": 2, "content_id": "V"}]
    for products in ([{"price": 1.0}], [], None):
        results = shop.said(connection, shop.commerce(products=products))
        assert results == ["rejected missing_parameter content_id", "PlaceAnOrder"]


def test_code_is_made_of_names_of_fields_only() -> None:
    for field in ("product_field", "event_field"):
        setting = Parameter(**{field: "id or exit()"})
        with pytest.raises(ValueError, match="is no field"):
            compile_source("content_id", setting)


def test_a_mapping_made_in_python_is_refused_before_anything_runs() -> None:
    mapping = CustomMapping(
        Match(message_type="custom_event"), (Target("Lead", {"colour": Parameter(constant="red")}),)
    )
    with pytest.raises(ValueError, match="Lead takes no parameter 'colour'"):
        DecodeMessages(connection=Connection(event_source_id="A", custom_mappings=(mapping,)))


@pytest.mark.parametrize("name", ["it's", 'a "b" {c} \\', "x'); raise SystemExit  #", "{slow}", "\n"])
def test_names_of_attributes_are_literals_whatever_is_in_them(shop: Any, name: str) -> None:
    setting = {"description": Parameter(event_attribute=name), "currency": Parameter(constant="EUR")}
    mapping = CustomMapping(Match(message_type="custom_event"), (Target("Lead"),), parameters=setting)
    connection = Connection(event_source_id="A", enable_web_migration=True, custom_mappings=(mapping,))
    made = shop.properties(connection, shop.custom_event(attributes={name: "found"}))
    assert made == {"currency": "EUR", "description": "found"}


def test_a_target_has_its_own_parameters_over_those_of_the_mapping(shop: Any) -> None:
    send = "[Contact, {event: Subscribe, parameters: {description: {constant: own}, value: {constant: 1}}}]"
    connection = shop.mapping(ANY, send, "{description: {constant: shared}}")
    first, second = (json.loads(result.body) for result in shop.results(connection, shop.custom_event()))
    assert first["properties"] == {"description": "shared"}
    assert second["properties"] == {"value": 1, "description": "own"}


@pytest.mark.parametrize("form", ["web", "legacy", "offline"])
def test_who_and_where_are_those_of_every_event(shop: Any, form: str) -> None:
    connection = shop.mapping(ANY, "Lead", form=form)
    made = shop.body(connection, shop.custom_event())
    user = made["context"]["user"] if form == "legacy" else made["user"]
    address = "b5fc85e55755f9e0d030a10ab4429b6b2944855f9a0d60077fe832becbc41d72"  # SHA-256 of ada@example.com
    assert user["email"] == (address if form == "legacy" else [address])
    assert made["event"] == "Lead"
    assert made["event_id"] == "one"
    page = made["context"]["page"] if form == "legacy" else made.get("page")
    assert page == (None if form == "offline" else {"url": "https://shop.example.com/"})
