"""What a user writes into a mapping is data, whatever it looks like; and the index finds what it must."""

import itertools
from collections.abc import Iterable
from typing import Any

import pytest

from transforms.connection import Connection
from transforms.custom_mappings import CustomMapping, Match, Parameter, Target
from transforms.mapping.custom.conditions import Matcher, matcher
from transforms.mapping.custom.index import build_index

# Each would do harm, or change what is read, if it were taken for anything but a name or a value.
HOSTILE = (
    "it's",
    'a "b" {c} \\',
    "x'); raise SystemExit  #",
    "{slow}",
    "\n    raise SystemExit",
    "value",
    "notes",
    "__class__",
    "product_action.products",
    "__import__('os').abort()",
)


@pytest.mark.parametrize("text", HOSTILE)
def test_a_source_reads_the_attribute_of_exactly_that_name(shop: Any, text: str) -> None:
    for source in ("event_attribute", "user_attribute", "custom_flag", "product_attribute"):
        made = [read_from(shop, source, text, name) for name in (text, "harmless")]
        assert made == [{"contents": [{"content_name": "found"}]}, None], source


def read_from(shop: Any, source: str, text: str, name: str) -> Any:
    """Returns what is sent by a mapping of the attribute `text`, where an attribute `name` is there."""
    setting = {"content_name": Parameter(**{source: text})}
    mapping = CustomMapping(Match(product_action="purchase"), (Target("Purchase"),), parameters=setting)
    connection = Connection(event_source_id="A", enable_web_migration=True, custom_mappings=(mapping,))
    holder = {name: "found"}
    event = shop.commerce(
        attributes=holder if source == "event_attribute" else {"x": "y"},
        custom_flags={"TikTok.URL": "https://shop.example.com/", **(holder if source == "custom_flag" else {})},
        products=[{"id": "A", "custom_attributes": holder if source == "product_attribute" else {}}],
    )
    return shop.properties(connection, shop.batch(event, user_attributes=holder if source == "user_attribute" else {}))


@pytest.mark.parametrize("text", HOSTILE)
def test_an_event_and_a_constant_go_out_as_they_are_written(shop: Any, text: str) -> None:
    mapping = CustomMapping(
        Match(message_type="custom_event"), (Target(text),), parameters={"description": Parameter(constant=text)}
    )
    connection = Connection(event_source_id="A", enable_web_migration=True, custom_mappings=(mapping,))
    made = shop.body(connection, shop.custom_event())
    assert (made["event"], made["properties"]) == (text, {"description": text.strip()})


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_names_and_values_are_found_as_they_are(shop: Any, text: str) -> None:
    mapping = CustomMapping(
        Match(message_type="custom_event", event=text, attributes={text: text}),
        (Target("Lead"),),
        parameters={
            "description": Parameter(event_attribute=text, required=True),
            "currency": Parameter(constant=text, required=True),
        },
    )
    connection = Connection(event_source_id="A", enable_web_migration=True, custom_mappings=(mapping,))
    event = shop.custom_event(text, attributes={text: text})
    assert shop.said(connection, event) == ["rejected missing_parameter currency"]  # no currency is called like that
    mapping = CustomMapping(mapping.match, mapping.send, parameters={"description": Parameter(constant=text)})
    connection = Connection(event_source_id="A", enable_web_migration=True, custom_mappings=(mapping,))
    assert shop.properties(connection, event) == {"description": text.strip()}


@pytest.mark.parametrize("field", ["id or exit()", "__class__", "class"])
def test_a_product_field_that_is_none_is_refused(field: Any) -> None:
    with pytest.raises(ValueError, match="is no field"):
        build_index(matchers(Match(product_action="purchase", products={field: "x"})))


def matchers(*matches: Match) -> Iterable[Matcher]:
    return (matcher(position, match, ["Lead"]) for position, match in enumerate(matches))


@pytest.mark.parametrize("count", [1, 4, 5, 30])
def test_few_and_many_attributes_are_looked_up_alike(shop: Any, count: int) -> None:
    """The index looks at the attributes that mappings and event have in common."""
    lines = [
        f"  - {{match: {{message_type: custom_event, attributes: {{a{number}: [v, w{number}]}}}}, send: Lead}}"
        for number in range(count)
    ]
    connection = shop.read("\n".join(["custom_mappings:", *lines]))
    twice = ["skipped duplicate_event Lead"] * (count - 1)
    unmapped = ["skipped unsupported_event_type custom_event"]
    last = f"a{count - 1}"
    assert shop.said(connection, shop.custom_event(attributes={f"a{n}": " V" for n in range(count)})) == [
        "Lead",
        *twice,
    ]
    assert shop.said(connection, shop.custom_event(attributes={last: f"W{count - 1}", "b": "v"})) == ["Lead"]
    assert shop.said(connection, shop.custom_event(attributes={last: [None, "x", "v"]})) == ["Lead"]
    for attributes in ({last: "x"}, {last: None}, {last: {}}, {}, None):
        assert shop.said(connection, shop.custom_event(attributes=attributes)) == unmapped


@pytest.mark.parametrize("action", ["purchase", "Purchase", "remove_from_wish_list", "remove_from_wishlist", "x", None])
@pytest.mark.parametrize("name", ["Bought", "other"])
def test_a_commerce_event_meets_the_mappings_of_its_action_those_of_its_name_and_those_without_either(
    shop: Any, action: Any, name: str
) -> None:
    """Whichever kinds of mappings a connection has, and in whatever order they are written."""
    kinds = {
        "Purchase": Match(product_action="purchase"),
        "AddToWishlist": Match(product_action="remove_from_wish_list"),
        "Lead": Match(message_type="commerce_event", event="bought"),
        "Contact": Match(message_type="commerce_event"),
    }
    canonical = {"Purchase": "purchase", "remove_from_wish_list": "remove_from_wishlist"}.get(action, action)
    holds = {
        "Purchase": canonical == "purchase",
        "AddToWishlist": canonical == "remove_from_wishlist",
        "Lead": name == "Bought",
        "Contact": True,
    }
    event = shop.commerce(action, event_name=name)
    default = ["PlaceAnOrder"] if canonical == "purchase" else []
    for count in (1, 2, 3, 4):
        for events in itertools.permutations(kinds, count):
            mappings = tuple(CustomMapping(kinds[one], (Target(one),)) for one in events)
            connection = Connection(event_source_id="A", enable_web_migration=True, custom_mappings=mappings)
            sent = [one for one in shop.said(connection, event) if " " not in one]
            assert sent == ([one for one in events if holds[one]] or default)
