"""mParticle's projections → custom mappings; what cannot be carried over is said. Made by hand after the SDKs' form."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline.authoring.projections import SDK_EVENT_FIELDS, SDK_PRODUCT_FIELDS, Imported, import_projections
from pipeline.authoring.sdk_hashes import SdkNames, sdk_hash
from pipeline.cli import main as cli
from pipeline.config.loader import read_connection
from transforms.model import Message


def projection(event: str = "Lead", matches: Any = ..., maps: Any = (), **behavior: Any) -> dict[str, Any]:
    entry = {"message_type": 4, "event_match_type": "String", "event": "Sign Up"}
    return {
        "id": 7,
        "matches": [entry] if matches is ... else matches,
        "behavior": behavior,
        "action": {"projected_event_name": event, "attribute_maps": list(maps)},
    }


def attribute(name: str, value: Any, **fields: Any) -> dict[str, Any]:
    return {"projected_attribute_name": name, "match_type": "String", "value": value, **fields}


def imported(*projections: Any, sample: Any = None) -> Imported:
    messages = [] if sample is None else [Message("m", json.dumps(sample).encode())]
    return import_projections(list(projections), SdkNames(messages, [*SDK_EVENT_FIELDS, *SDK_PRODUCT_FIELDS]))


def test_a_projection_becomes_a_mapping_that_a_connection_takes(shop: Any) -> None:
    maps = [
        attribute("value", "Price", property="EventAttribute", data_type=4, is_required=True),
        attribute("currency", "EUR", match_type="Static"),
        attribute("description", "plan", data_type="String"),
    ]
    entry = {"message_type": 4, "event_match_type": "String", "event": "Sign Up", "attribute_key": "k"}
    result = imported(projection("Subscribe", [{**entry, "attribute_values": ["a", "b"]}], maps))
    assert result.left_out == []
    assert result.mappings == [
        {
            "name": "Subscribe (projection 7)",
            "match": {"message_type": "custom_event", "event": "Sign Up", "attributes": {"k": ["a", "b"]}},
            "send": "Subscribe",
            "parameters": {
                "value": {"event_attribute": "Price", "type": "number", "required": True},
                "currency": {"constant": "EUR"},
                "description": {"event_attribute": "plan"},
            },
        }
    ]
    connection = shop.read(yaml.safe_dump({"custom_mappings": result.mappings}))
    sent = shop.custom_event("sign up", attributes={"k": "B", "Price": "5", "plan": "pro"})
    assert shop.properties(connection, sent) == {"value": 5, "currency": "EUR", "description": "pro"}


def test_products_and_fields_of_an_order() -> None:
    maps = [
        attribute("content_id", "Id", property="ProductField"),
        attribute("price", "Item Price", property="ProductField", data_type=4),
        attribute("content_category", "size", property="ProductAttribute"),
        attribute("value", "Total Amount", property="EventField", data_type=4),
        attribute("currency", "Currency Code", property="EventField"),
    ]
    matches = [
        {"message_type": 16, "event_match_type": "Hash", "event": sdk_hash("16")},
        {"message_type": 16, "property": "ProductField", "property_name": "Category", "property_values": ["shoes"]},
        {"message_type": 16, "property": "ProductAttribute", "property_name": "size", "property_values": ["42"]},
        {"message_type": 16, "property": "EventAttribute", "property_name": "m", "property_values": ["card", "x"]},
    ]
    result = imported(projection("Purchase", matches, maps, selector="foreach"))
    (mapping,) = result.mappings
    assert mapping["match"] == {
        "message_type": "commerce_event",
        "product_action": "purchase",
        "products": {"category": "shoes"},
        "product_attributes": {"size": "42"},
        "attributes": {"m": ["card", "x"]},
    }
    assert mapping["parameters"] == {
        "content_id": {"product_field": "id"},
        "price": {"product_field": "item_price", "type": "number"},
        "content_category": {"product_attribute": "size"},
        "value": {"event_field": "total_amount", "type": "number"},
        "currency": {"event_field": "currency_code"},
    }
    assert result.left_out == [
        "projection 7: one event is sent with all products in `contents`, where the SDK sends one event for each."
    ]


@pytest.mark.parametrize(
    ("text", "number"),
    [("4sign up", "-926268042"), ("16", "1573"), ("", "0")],
)
def test_hashes_are_those_of_java(text: str, number: str) -> None:
    value = 0
    for letter in text:  # as String.hashCode is defined
        value = (31 * value + ord(letter) + 2**31) % 2**32 - 2**31
    assert sdk_hash(text.upper()) == str(value)
    if text in {"16", ""}:
        assert str(value) == number


def test_names_behind_hashes_are_found_in_a_sample() -> None:
    sample = {
        "events": [
            {
                "event_type": "custom_event",
                "data": {
                    "event_name": "Sign Up",
                    "custom_event_type": "transaction",
                    "custom_attributes": {"Plan": "x"},
                },
            },
            {"event_type": "screen_view", "data": {"screen_name": "Pricing"}},
            {
                "event_type": "commerce_event",
                "data": {"product_action": {"action": "purchase"}, "custom_attributes": {"m": 1}},
            },
            None,
        ]
    }
    custom = {"message_type": 4, "event_match_type": "Hash", "event": sdk_hash("4Sign Up")}
    screen = {"message_type": 3, "event_match_type": "Hash", "event": sdk_hash("0Pricing")}
    maps = [attribute("description", sdk_hash("4Sign UpPlan"), match_type="Hash", property="EventAttribute")]
    field = [attribute("content_id", sdk_hash("16Id"), match_type="Hash", property="ProductField")]
    order = {"message_type": 16, "event_match_type": "Hash", "event": sdk_hash("16")}
    projections = (
        projection("Lead", [custom], maps),
        projection("Contact", [screen]),
        projection("Purchase", [order], field),
    )
    result = imported(*projections, sample=sample)
    assert [mapping["match"].get("event") for mapping in result.mappings] == ["Sign Up", "Pricing", None]
    assert result.mappings[0]["parameters"] == {"description": {"event_attribute": "Plan"}}
    assert result.mappings[2]["parameters"] == {"content_id": {"product_field": "id"}}
    without = imported(*projections)
    assert len(without.mappings) == 1
    assert all("give --sample FILE" in text for text in without.left_out[:2])


NOT_CARRIED = {
    "another service's event": (projection("Add to Carts"), 'no event of TikTok. Did you mean "AddToCart"?'),
    "default": (projection(is_default=True), "default projection"),
    "no action": ({"id": 7}, "it is no projection"),
    "not an object": ("x", "entry 1: it is no projection"),
    "no matches": (projection(matches=[]), "no `matches`"),
    "another message type": (projection(matches=[{"message_type": 1}]), "message_type 1"),
    "two names": (
        projection(
            matches=[
                {"message_type": 4, "event_match_type": "String", "event": "A"},
                {"message_type": 4, "event_match_type": "String", "event": "B"},
            ]
        ),
        'want "A" and "B" at once for event',
    ),
    "promotions": (
        projection(
            matches=[
                {"message_type": 16, "property": "PromotionField", "property_name": "Id", "property_values": ["x"]}
            ]
        ),
        "a condition on PromotionField",
    ),
    "condition without values": (projection(matches=[{"message_type": 4, "attribute_key": "a"}]), "names no value"),
    "required attribute that TikTok does not take": (
        projection(maps=[attribute("colour", "c", is_required=True)]),
        'the required attribute "colour"',
    ),
    "refund to purchase": (
        projection("Purchase", [{"message_type": 16, "event_match_type": "Hash", "event": sdk_hash("17")}]),
        "must never be reported as the order Purchase",
    ),
    "matches of no objects": (projection(matches=[5]), "its `matches` is no list of objects"),
    "matches of a number": (projection(matches=5), "its `matches` is no list of objects"),
    "behaviour of a number": ({**projection(), "behavior": [1]}, "its `behavior` is no object"),
    "maps of a number": (
        {**projection(), "action": {"projected_event_name": "Lead", "attribute_maps": 5}},
        "its `attribute_maps` is no list of objects",
    ),
    "an event without its kind": (projection(matches=[{"message_type": 4, "event": "A"}]), "no event_match_type"),
    "a kind without its event": (projection(matches=[{"message_type": 4, "event_match_type": "String"}]), "no event."),
    "a condition on an object": (
        projection(matches=[{"message_type": 4, "attribute_key": "a", "attribute_values": [{}]}]),
        "names no value",
    ),
    "two conditions that no value meets": (
        projection(
            matches=[
                {"message_type": 4, "attribute_key": "a", "attribute_values": ["x"]},
                {"message_type": 4, "attribute_key": "a", "attribute_values": ["y"]},
            ]
        ),
        'want different values of "a" at once',
    ),
    "required constant without a value": (
        projection(maps=[attribute("description", None, match_type="Static", is_required=True)]),
        "its constant is no single value",
    ),
    "required e-mail": (
        projection(maps=[attribute("description", "email", is_required=True)]),
        "TikTok must not get that in clear",
    ),
}


@pytest.mark.parametrize(("given", "part"), NOT_CARRIED.values(), ids=NOT_CARRIED)
def test_what_cannot_mean_the_same_is_not_carried_over(given: Any, part: str) -> None:
    result = imported(given)
    assert result.mappings == []
    assert part in result.left_out[0]


@pytest.mark.parametrize(
    ("maps", "behavior", "part"),
    [
        ([attribute("colour", "c")], {}, 'attribute "colour" left out'),
        ([attribute("description", "email")], {}, "parameter description left out"),
        ([attribute("query", "q")], {}, "Lead takes no parameter"),
        ([attribute("description", "x", property="PromotionField")], {}, "cannot be read by a mapping"),
        ([attribute("description", None, match_type="Static")], {}, "its constant is no single value"),
        ([attribute("description", None)], {}, "it names no attribute"),
        ([attribute("description", "x", match_type="Guess")], {}, 'match_type "Guess" is not known'),
        ([], {"append_unmapped_as_is": True}, "append_unmapped_as_is"),
    ],
)
def test_what_is_less_than_the_whole_is_said(maps: Any, behavior: Any, part: str) -> None:
    result = imported(projection(maps=maps, **behavior))
    assert len(result.mappings) == 1
    assert "parameters" not in result.mappings[0]
    assert part in result.left_out[0]


def test_all_matches_hold_whatever_their_case() -> None:
    result = imported(
        projection(
            matches=[
                {"message_type": 4, "event_match_type": "String", "event": "Order", "attribute_key": "plan"}
                | {"attribute_values": ["Pro", "team", True]},
                {"message_type": 4, "event_match_type": "String", "event": "ORDER", "attribute_key": "plan"}
                | {"attribute_values": ["TEAM", "true", "free"]},
            ]
        )
    )
    assert result.mappings[0]["match"] == {
        "message_type": "custom_event",
        "event": "Order",
        "attributes": {"plan": ["TEAM", "true"]},
    }


def test_constants_and_types_are_those_of_tiktok() -> None:
    maps = [
        attribute("description", True, match_type="Static"),
        attribute("currency", "currency", data_type=1),
        attribute("value", 5, match_type="Static", data_type=4),
    ]
    assert imported(projection(maps=maps)).mappings[0]["parameters"] == {
        "description": {"constant": "true"},
        "currency": {"event_attribute": "currency"},
        "value": {"constant": "5", "type": "number"},
    }


def test_the_same_event_twice_is_carried_over_once() -> None:
    result = imported(projection(), projection())
    assert len(result.mappings) == 1
    assert "two mappings are called" in result.left_out[0]
    result = imported({**projection(), "id": 1}, {**projection(), "id": 2})
    assert "can never send Lead" in result.left_out[0]


@pytest.mark.usefixtures("own_process")
def test_the_command_writes_yaml_and_lists_the_rest(
    shop: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = {"eks": [{"id": 1, "pr": [projection(maps=[attribute("colour", "c")]), projection("Unknown")]}]}
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert cli.main(["import-projections", str(tmp_path / "config.json")]) == 0
    out, err = capsys.readouterr()
    assert [line.partition("not carried over: ")[2] for line in out.splitlines()[:2]] == [
        'projection 7: attribute "colour" left out: it is no parameter of a custom mapping.',
        'projection 7: it sends "Unknown", which is no event of TikTok.',
    ]
    assert err == "".join(f"{line.removeprefix('# ')}\n" for line in out.splitlines()[:2])
    connection = read_connection(shop.write(out)).connection
    assert [mapping.send[0].event for mapping in connection.custom_mappings] == ["Lead"]
    (tmp_path / "config.json").write_text("[]")
    assert cli.main(["import-projections", str(tmp_path / "config.json")]) == 1
    (tmp_path / "config.json").write_text("{")
    assert cli.main(["import-projections", str(tmp_path / "config.json")]) == 1
    assert "is no JSON" in capsys.readouterr().err
