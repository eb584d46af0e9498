"""Mistakes that people make in a connection's file: none is swallowed, and none hides another."""

from typing import Any

import pytest

SIGN_UP = "{message_type: custom_event, event: Sign Up}"


def mapping(match: str, send: str = "Lead", parameters: str = "{}") -> str:
    return f"custom_mappings:\n  - match: {match}\n    send: {send}\n    parameters: {parameters}\n"


def said(shop: Any, text: str) -> list[str]:
    return [str(problem) for problem in shop.problems(text)]


@pytest.mark.parametrize("condition", ["[pro, null]", "[~]", "[pro, ]", "[null, pro]"])
def test_an_empty_entry_never_takes_its_condition_away(shop: Any, condition: str) -> None:
    """Without the condition the mapping would match every event of its type."""
    text = mapping(f"{{message_type: custom_event, attributes: {{plan: {condition}}}}}")
    if condition == "[pro, ]":
        connection = shop.read(text)  # a comma at the end is no entry
        assert shop.said(connection, shop.custom_event(attributes={"plan": "free"})) == [
            "skipped unsupported_event_type custom_event"
        ]
    else:
        (problem,) = shop.problems(text)
        assert problem.key == "custom_mappings[1].match.attributes.plan"
        assert "an entry of the list is empty" in problem.text


def test_a_constant_is_one_value(shop: Any) -> None:
    assert said(shop, mapping(SIGN_UP, parameters="{description: {constant: [a, b]}}")) == [
        "connection.yaml:6:42: custom_mappings[1].parameters.description.constant: this is a list, but a single value "
        "is needed."
    ]


def test_a_merge_key_is_named_as_what_it_is(shop: Any) -> None:
    text = "custom_mappings:\n  - match: &one\n      <<: *two\n".replace("*two", "{event: Sign Up}")
    assert any(one.startswith("connection.yaml:5:7: merge keys (<<) have no meaning here") for one in said(shop, text))
