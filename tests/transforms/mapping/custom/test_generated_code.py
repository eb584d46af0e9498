"""The code that is generated for mappings: made of our own words, whatever a user wrote; and it finds what it must."""

import itertools
from collections.abc import Callable, Iterable
from types import CodeType
from typing import Any

import pytest

from transforms.connection import Connection
from transforms.custom_mappings import CustomMapping, Match, Parameter, Target
from transforms.mapping.index import index
from transforms.mapping.matching import Matcher, matcher
from transforms.mapping.resolve import compile_target
from transforms.mapping.sources import compile_source

# Each would do harm, break the code or change its meaning if it stood in it.
HOSTILE = (
    "it's",
    'a "b" {c} \\',
    "x'); raise SystemExit  #",
    "{slow}",
    "\n    raise SystemExit",
    "value",
    "notes",
    "__import__('os').abort()",
)


def words(code: CodeType) -> set[str]:
    """Returns every constant text and every name in a piece of code and in what is nested in it."""
    found = {*code.co_names, *code.co_varnames}
    for constant in code.co_consts:
        if isinstance(constant, str):
            found.add(constant)
        elif isinstance(constant, CodeType):
            found |= words(constant)
    return found


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize(
    "source", ["event_attribute", "user_attribute", "custom_flag", "product_attribute", "constant"]
)
def test_what_a_user_wrote_is_no_part_of_the_code_of_a_target(source: str, text: str) -> None:
    setting = Parameter(**{source: text})
    harmless = Parameter(**{source: "harmless"})
    made = compile_target(text, {"content_name": setting, "content_id": setting}, text)
    expected = compile_target("Lead", {"content_name": harmless, "content_id": harmless}, "EUR")
    assert made.resolve.__code__.co_code == expected.resolve.__code__.co_code
    assert words(made.resolve.__code__) == words(expected.resolve.__code__)
    read, expected_read = compile_source("content_id", setting).read, compile_source("content_id", harmless).read
    if source != "constant":
        assert words(read.__code__) == words(expected_read.__code__)  # type: ignore[attr-defined]


@pytest.mark.parametrize("text", HOSTILE)
def test_what_a_user_wrote_is_no_part_of_the_code_of_the_index(text: str) -> None:
    made, expected = (
        found(
            Match(message_type="custom_event", attributes={word: word}), Match("custom_event", attributes={"b": word})
        )
        for word in (text, "harmless")
    )
    assert words(made.__code__) == words(expected.__code__)  # type: ignore[attr-defined]


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
        index(matchers(Match(product_action="purchase", products={field: "x"})))


def matchers(*matches: Match) -> Iterable[Matcher]:
    return (matcher(position, match, ["Lead"]) for position, match in enumerate(matches))


def found(*matches: Match) -> Callable[[Any], tuple[int, ...]]:
    """Returns the function that finds mappings of custom events."""
    return index(matchers(*matches)).by_type["custom_event"]


@pytest.mark.parametrize("count", [1, 4, 5, 30])
def test_few_and_many_attributes_are_looked_up_alike(shop: Any, count: int) -> None:
    """With few of them each is looked up in code of its own, with many those that the event has."""
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
