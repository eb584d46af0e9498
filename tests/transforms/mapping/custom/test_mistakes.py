"""Mistakes that people make in a connection's file: none is swallowed, and none hides another."""

from pathlib import Path
from typing import Any

import pytest

from pipeline.authoring.cases import cases_of
from pipeline.errors import ConfigurationError

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


def test_a_wrong_word_in_one_mapping_does_not_hide_what_is_wrong_in_it_and_in_the_others(shop: Any) -> None:
    text = """custom_mappings:
  - match: {message_type: custom_evnt, event: A}
    send: Purchas
    parameters:
      valeu: {event_attribut: q}
  - mach: {message_type: custom_event}
    send: Lead
  - match: {message_type: custom_event, product_action: purchase}
    send: [Leed, {evnt: Lead}, Search]
    parameters:
      query: {event_attribute: a, constant: 3}
  - match: {message_type: screen_view}
    send: Lead
  - match: {message_type: screen_view}
    send: Lead
"""
    assert [(one.where, one.key) for one in shop.problems(text)] == [
        ("connection.yaml:4:27", "custom_mappings[1].match.message_type"),
        ("connection.yaml:5:11", "custom_mappings[1].send"),
        ("connection.yaml:7:15", "custom_mappings[1].parameters.valeu.event_attribut"),
        ("connection.yaml:8:5", "custom_mappings[2].mach"),
        ("connection.yaml:10:41", "custom_mappings[3].match.product_action"),
        ("connection.yaml:11:12", "custom_mappings[3].send[1]"),
        ("connection.yaml:11:19", "custom_mappings[3].send[2].evnt"),
        ("connection.yaml:13:45", "custom_mappings[3].parameters.query.constant"),
        ("connection.yaml:16:5", "custom_mappings[5].send"),
    ]


CASES = """cases:
  - name: a
    event: {event_type: custom_event, data: {event_name: x}}
    expect: {outcome: skiped}
  - name: a
    event: {event_type: custom_event, data: [1]}
    expect: {event: Leed}
  - {event: {}}
  - name: b
    event: {event_type: custom_event, data: {event_name: x}}
    batch: {events: []}
    expect: [{outcome: skipped, reason: no_event}, 5]
"""


def test_a_wrong_word_in_one_case_does_not_hide_the_others(shop: Any) -> None:
    assert [(one.where, one.key) for one in shop.problems(CASES)] == [
        ("connection.yaml:6:23", "cases[1].expect[1].outcome"),
        ("connection.yaml:7:5", "cases[2].name"),
        ("connection.yaml:7:5", "cases[2].event.data"),
        ("connection.yaml:9:13", "cases[2].expect[1].event"),
        ("connection.yaml:10:5", "cases[3].name"),
        ("connection.yaml:11:5", "cases[4].batch.events"),
        ("connection.yaml:14:14", "cases[4].expect[1].reason"),
        ("connection.yaml:14:52", "cases[4].expect[2]"),
    ]


def test_nor_in_a_file_beside_the_connection(shop: Any, tmp_path: Path) -> None:
    path = shop.write(CASES.partition("\n")[0] + " []\n")
    (tmp_path / "connection.cases.yaml").write_text(CASES, "utf-8")
    with pytest.raises(ConfigurationError) as caught:
        cases_of(path, [])
    assert len(caught.value.problems) == 8


@pytest.mark.parametrize(
    "match",
    [
        "{message_type: custom_event, event: OrderRefunded}",
        "{message_type: custom_event, event: refund_order}",
        "{message_type: custom_event, event: order-REFUND}",
        "{message_type: custom_event, event: Order, attributes: {status: Refunded}}",
        "{message_type: custom_event, event: Order, attributes: {status: [refunded, partial refund]}}",
        "{message_type: commerce_event, attributes: {kind: refund}}",
    ],
)
def test_a_refund_in_any_spelling_never_becomes_an_order(shop: Any, match: str) -> None:
    (problem,) = shop.problems(mapping(match, "Purchase"))
    assert "must never be reported as the order Purchase" in problem.text
    assert shop.read(mapping(match, "Lead"))


@pytest.mark.parametrize(
    "match",
    [
        "{message_type: custom_event, event: Refundable Ticket Bought}",
        "{message_type: custom_event, event: Order, attributes: {status: [paid, refunded]}}",
    ],
)
def test_a_word_that_is_like_refund_may_be_an_order(shop: Any, match: str) -> None:
    assert shop.read(mapping(match, "Purchase"))


@pytest.mark.parametrize(("old", "new"), [("CompletePayment", "Purchase"), ("SubmitForm", "Lead")])
def test_the_old_and_the_new_name_of_an_event_are_never_both_meant(shop: Any, old: str, new: str) -> None:
    """TikTok turns the old one into the new one, and would count the event twice."""
    for send in (f"[{old}, {new}]", f"[{new}, {old}]"):
        (problem,) = shop.problems(mapping(SIGN_UP, send))
        assert problem.where == f"connection.yaml:5:{13 + len(send.partition(',')[0])}"
        assert problem.text.endswith(f"Keep {new}.")
    text = mapping(SIGN_UP, old) + f"  - name: second\n    match: {SIGN_UP}\n    send: {new}\n"
    (problem,) = shop.problems(text)
    assert problem.text.startswith(
        f"{new} would count twice: mapping 1 ({old}) at connection.yaml:4:5 matches the same"
    )


def test_an_event_without_a_converted_name_may_stand_beside_its_successor(shop: Any) -> None:
    assert shop.read(mapping("{product_action: purchase}", "[PlaceAnOrder, Purchase]"))
