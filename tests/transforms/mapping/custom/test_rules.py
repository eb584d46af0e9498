"""What is refused when a connection is read: file, line and column, the nearest valid name, and the remedy."""

from typing import Any

import pytest

from transforms.mapping.parameters import EVENT_PARAMETERS, PARAMETER_TYPES
from transforms.mapping.tables import RETIRED_EVENTS, STANDARD_EVENTS

SIGN_UP = "{message_type: custom_event, event: Sign Up}"

# The table of the specification, section 8; `description` goes with every event.
SHOPPING = {"price", "quantity", "currency", "value", "content_id", "content_name", "content_category"}
TABLE = {
    **dict.fromkeys(
        (
            "AddPaymentInfo",
            "AddToCart",
            "AddToWishlist",
            "CompletePayment",
            "InitiateCheckout",
            "PlaceAnOrder",
            "ViewContent",
        ),
        SHOPPING,
    ),
    **dict.fromkeys(("ClickButton", "Contact", "Download"), set[str]()),
    "Search": {"query"},
    "Subscribe": {"currency", "value"},
}


@pytest.mark.parametrize("event", TABLE)
def test_each_event_takes_the_parameters_of_the_specification(shop: Any, event: str) -> None:
    for parameter in PARAMETER_TYPES:
        constant = {"currency": "EUR", "value": "1", "price": "1", "quantity": "1"}.get(parameter, "x")
        text = (
            f"custom_mappings:\n  - match: {SIGN_UP}\n    send: {event}\n"
            f"    parameters:\n      {parameter}: {{constant: {constant}}}\n"
        )
        if parameter in TABLE[event] | {"description"}:
            assert shop.read(text)
        else:
            (problem,) = shop.problems(text)
            assert problem.where == "connection.yaml:7:7"
            assert problem.text.startswith(f'{event} takes no parameter "{parameter}"; it takes ')


def test_every_event_that_may_be_named_has_its_parameters() -> None:
    assert set(EVENT_PARAMETERS) == {*STANDARD_EVENTS, *RETIRED_EVENTS}
    assert all("description" in parameters for parameters in EVENT_PARAMETERS.values())
    assert {name for parameters in EVENT_PARAMETERS.values() for name in parameters} == set(PARAMETER_TYPES)


# YAML from the third line on, the line of `custom_mappings:` being the third → place, key, part of the text.
REFUSED = {
    "unknown parameter": (
        f"- match: {SIGN_UP}\n  send: Search\n  parameters:\n    querry: {{event_attribute: q}}",
        ("7:5", "custom_mappings[1].parameters.querry", 'Did you mean "query"?'),
    ),
    "unknown event": (
        f"- match: {SIGN_UP}\n  send: Serch",
        ("5:9", "custom_mappings[1].send", 'Did you mean "Search"?'),
    ),
    "event of no name": (
        f"- match: {SIGN_UP}\n  send: [Lead, viewcontents]",
        ("5:16", "custom_mappings[1].send[2]", 'Did you mean "ViewContent"?'),
    ),
    "event twice in two spellings": (
        f"- match: {SIGN_UP}\n  send: [Lead, lead]",
        ("5:16", "custom_mappings[1].send[2]", "twice"),
    ),
    "reserved event": (f"- match: {SIGN_UP}\n  send: StartCheckout", ("5:9", "custom_mappings[1].send", "reserved")),
    "event twice": (f"- match: {SIGN_UP}\n  send: [Lead, Lead]", ("5:16", "custom_mappings[1].send[2]", "twice")),
    "no event": ("- match: {product_action: purchase}", ("4:3", "custom_mappings[1].send", "missing: TikTok's event")),
    "empty list of events": (f"- match: {SIGN_UP}\n  send: []", ("5:9", "custom_mappings[1].send", "at least one")),
    "no match": ("- send: Lead", ("4:3", "custom_mappings[1].match", "missing: which events")),
    "match without condition": ("- match: {}\n  send: Lead", ("4:3", "custom_mappings[1].match", "every event")),
    "no message type": (
        "- match: {event: Sign Up}\n  send: Lead",
        ("4:3", "custom_mappings[1].match", "message_type: custom_event"),
    ),
    "unknown message type": (
        "- match: {message_type: custom_evnt}\n  send: Lead",
        ("4:25", "custom_mappings[1].match.message_type", 'Did you mean "custom_event"?'),
    ),
    "unknown key": (
        f"- match: {SIGN_UP}\n  sends: Lead\n  send: Lead",
        ("5:3", "custom_mappings[1].sends", 'unknown key. Did you mean "send"?'),
    ),
    "unknown key of a parameter": (
        f"- match: {SIGN_UP}\n  send: Lead\n  parameters: {{description: {{event_atribute: a}}}}",
        ("6:30", "custom_mappings[1].parameters.description.event_atribute", 'Did you mean "event_attribute"?'),
    ),
    "refund to purchase": (
        "- match: {product_action: refund}\n  send: Purchase",
        ("5:9", "custom_mappings[1].send", "must never be reported as the order Purchase"),
    ),
    "refund to retired purchase": (
        "- match: {product_action: Refund}\n  send: [Lead, CompletePayment]",
        ("5:16", "custom_mappings[1].send[2]", "must never be reported as the order CompletePayment"),
    ),
    "refund by type to purchase": (
        "- match: {message_type: commerce_event, custom_event_type: refund}\n  send: PlaceAnOrder",
        ("5:9", "custom_mappings[1].send", "must never"),
    ),
    "refund by name to purchase": (
        "- match: {message_type: custom_event, event: Order Refunded}\n  send: {event: Purchase}",
        ("5:17", "custom_mappings[1].send", "must never"),
    ),
    "removed to purchase": (
        "- match: {product_action: remove_from_cart}\n  send: Purchase",
        ("5:9", "custom_mappings[1].send", "must never"),
    ),
    "required without source": (
        f"- match: {SIGN_UP}\n  send: Lead\n  parameters:\n    description: {{required: true}}",
        ("7:5", "custom_mappings[1].parameters.description", "required, but it has no source"),
    ),
    "no source": (
        f"- match: {SIGN_UP}\n  send: Lead\n  parameters:\n    description: {{type: string}}",
        ("7:5", "custom_mappings[1].parameters.description", "no source; give one of event_attribute"),
    ),
    "two sources": (
        f"- match: {SIGN_UP}\n  send: Lead\n  parameters:\n    description: {{event_attribute: a, constant: b}}",
        ("7:49", "custom_mappings[1].parameters.description.constant", "2 sources"),
    ),
    "product of a custom event": (
        f"- match: {SIGN_UP}\n  send: ViewContent\n  parameters:\n    content_id: {{product_field: id}}",
        ("7:33", "custom_mappings[1].parameters.content_id.product_field", "a custom_event has no products"),
    ),
    "total from products": (
        "- match: {product_action: purchase}\n  send: Purchase\n  parameters:\n    value: {product_field: price}\n"
        "    currency: {constant: EUR}",
        ("7:28", "custom_mappings[1].parameters.value.product_field", "event_field: total_amount"),
    ),
    "unknown product field": (
        "- match: {product_action: purchase}\n  send: Purchase\n  parameters:\n    content_id: {product_field: idd}",
        ("7:33", "custom_mappings[1].parameters.content_id.product_field", 'Did you mean "id"?'),
    ),
    "order field of a screen": (
        "- match: {message_type: screen_view}\n  send: Lead\n  parameters:\n    description: {event_field: tax_amount}",
        ("7:32", "custom_mappings[1].parameters.description.event_field", "only screen_name"),
    ),
    "number as text": (
        f"- match: {SIGN_UP}\n  send: Subscribe\n  parameters:\n    currency: {{constant: EUR}}\n"
        "    value: {event_attribute: a, type: string}",
        ("8:39", "custom_mappings[1].parameters.value.type", "use number or integer"),
    ),
    "constant that is no number": (
        f"- match: {SIGN_UP}\n  send: Subscribe\n  parameters:\n    currency: {{constant: EUR}}\n"
        "    value: {constant: total}",
        ("8:23", "custom_mappings[1].parameters.value.constant", "a number from 0 up is needed"),
    ),
    "constant that is no currency": (
        f"- match: {SIGN_UP}\n  send: Subscribe\n  parameters:\n    currency: {{constant: Euro}}",
        ("7:26", "custom_mappings[1].parameters.currency.constant", "a currency code such as EUR is needed"),
    ),
    "e-mail in clear": (
        f"- match: {SIGN_UP}\n  send: Lead\n  parameters:\n    description: {{event_attribute: E-Mail}}",
        ("7:36", "custom_mappings[1].parameters.description.event_attribute", "TikTok must not get that in clear"),
    ),
    "name in clear": (
        f"- match: {SIGN_UP}\n  send: Lead\n  parameters:\n    description: {{user_attribute: $firstname}}",
        ("7:35", "custom_mappings[1].parameters.description.user_attribute", "TikTok must not get that in clear"),
    ),
    "condition on a product of a screen": (
        "- match: {message_type: screen_view, products: {id: A}}\n  send: Lead",
        ("4:38", "custom_mappings[1].match.products", "a screen_view has no products"),
    ),
    "condition on an unknown product field": (
        "- match: {product_action: purchase, products: {categori: A}}\n  send: Lead",
        ("4:48", "custom_mappings[1].match.products.categori", 'Did you mean "category"?'),
    ),
    "custom event type of a commerce event": (
        "- match: {message_type: commerce_event, custom_event_type: navigation}\n  send: Lead",
        ("4:41", "custom_mappings[1].match.custom_event_type", "never has the type navigation"),
    ),
    "commerce type of a custom event": (
        "- match: {message_type: custom_event, custom_event_type: purchase}\n  send: Lead",
        ("4:39", "custom_mappings[1].match.custom_event_type", "never has the type purchase"),
    ),
    "two actions at once": (
        "- match: {product_action: purchase, custom_event_type: checkout}\n  send: Lead",
        ("4:37", "custom_mappings[1].match.custom_event_type", "never in one event"),
    ),
    "empty condition": (
        "- match: {message_type: custom_event, attributes: {plan: []}}\n  send: Lead",
        ("4:58", "custom_mappings[1].match.attributes.plan", "the list is empty"),
    ),
    "condition without value": (
        "- match: {message_type: custom_event, attributes: {plan: }}\n  send: Lead",
        ("4:57", "custom_mappings[1].match.attributes.plan", "no value is given"),
    ),
    "the same twice": (
        f"- match: {SIGN_UP}\n  send: Lead\n"
        "- match: {message_type: custom_event, event: SIGN UP}\n  send: [Contact, Lead]",
        ("6:3", "custom_mappings[2].send", "at connection.yaml:4:3 matches the same events"),
    ),
    "the special one last": (
        f"- match: {SIGN_UP}\n  send: Lead\n"
        "- match: {message_type: custom_event, event: sign up, attributes: {plan: pro}}\n  send: Lead",
        ("6:3", "custom_mappings[2].send", "put the more special one first"),
    ),
    "fewer values last": (
        "- match: {message_type: custom_event, attributes: {plan: [pro, team]}}\n  send: Lead\n"
        "- match: {message_type: custom_event, attributes: {plan: PRO}}\n  send: Lead",
        ("6:3", "custom_mappings[2].send", "can never send Lead"),
    ),
    "default yes and no": (
        "- match: {product_action: purchase}\n  send: Lead\n"
        "- match: {product_action: purchase}\n  send: Contact\n  also_default: true",
        ("8:17", "custom_mappings[2].also_default", "says the opposite"),
    ),
    "two of one name": (
        f"- name: x\n  match: {SIGN_UP}\n  send: Lead\n- name: x\n  match: {{product_action: click}}\n  send: Lead",
        ("7:9", "custom_mappings[2].name", 'two mappings are called "x", the first at connection.yaml:4:3'),
    ),
    "an empty entry": ("-\n", ("4:2", "custom_mappings", "remove its dash")),
    "a word": ("- Lead", ("4:3", "custom_mappings[1]", "keys and values are needed")),
}


@pytest.mark.parametrize(("text", "expected"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_meant_is_refused_at_its_place(shop: Any, text: str, expected: tuple[str, str, str]) -> None:
    found = shop.problems(f"custom_mappings:\n{text}\n")
    place, key, part = expected
    assert [(one.where, one.key) for one in found] == [(f"connection.yaml:{place}", key)], found
    assert part in found[0].text


def test_events_are_taken_in_any_case_and_spacing_and_sent_as_tiktok_writes_them(shop: Any) -> None:
    connection = shop.read(
        f"custom_mappings:\n- match: {SIGN_UP}\n  send: [lead, Complete Registration, view_content]\n"
    )
    (mapping,) = connection.custom_mappings
    assert [target.event for target in mapping.send] == ["Lead", "CompleteRegistration", "ViewContent"]


def test_everything_is_said_at_once(shop: Any) -> None:
    texts = [
        REFUSED[name][0] for name in ("unknown event", "refund to purchase", "e-mail in clear", "two actions at once")
    ]
    assert len(shop.problems("custom_mappings:\n" + "\n".join(texts))) == 4


@pytest.mark.parametrize(
    "text",
    [
        # The special one first: each of them can be meant.
        f"- match: {{message_type: custom_event, event: Sign Up, attributes: {{a: b}}}}\n  send: Lead\n"
        f"- match: {SIGN_UP}\n  send: Lead",
        # The first one may lack its required parameter.
        f"- match: {SIGN_UP}\n  send: Lead\n  parameters: {{description: {{event_attribute: a, required: true}}}}\n"
        "- match: {message_type: custom_event, event: Sign Up, attributes: {a: b}}\n  send: Lead",
        f"- match: {SIGN_UP}\n  send: Lead\n- match: {SIGN_UP}\n  send: Contact",
        "- match: {product_action: refund}\n  send: Contact",
        "- match: {message_type: custom_event, event: Non-refundable Booking}\n  send: Purchase",
    ],
)
def test_what_can_be_meant_is_taken(shop: Any, text: str) -> None:
    assert shop.read(f"custom_mappings:\n{text}\n")


@pytest.mark.parametrize(("event", "successor"), RETIRED_EVENTS.items())
def test_a_retired_event_is_a_warning_with_its_successor(shop: Any, event: str, successor: str | None) -> None:
    (warning,) = shop.warnings(f"custom_mappings:\n  - match: {SIGN_UP}\n    send: {event}\n")
    assert f"TikTok retired {event}" in warning
    assert (f"write `{successor}`" if successor else "no successor") in warning


@pytest.mark.parametrize(
    ("parameters", "also_default", "part"),
    [
        ("{value: {event_field: total_amount}}", "false", "without a currency"),
        ("{currency: {constant: xxx}}", "false", "not in TikTok's list"),
        ("{}", "true", "an order is sent twice"),
    ],
)
def test_what_is_probably_not_meant_is_a_warning(shop: Any, parameters: str, also_default: str, part: str) -> None:
    text = (
        "custom_mappings:\n  - match: {product_action: purchase}\n    send: Purchase\n"
        f"    also_default: {also_default}\n    parameters: {parameters}\n"
    )
    (warning,) = shop.warnings(text)
    assert part in warning


def test_mappings_can_be_given_as_a_flag(shop: Any) -> None:
    from pipeline.config.loader import read_connection
    from pipeline.errors import ConfigurationError

    flags = {"custom_mappings": "[{match: {product_action: click}, send: Lead}]"}
    connection, _ = read_connection(shop.write(""), flags)
    assert connection.custom_mappings[0].send[0].event == "Lead"
    with pytest.raises(ConfigurationError, match="--custom_mappings: custom_mappings\\[1\\].send: .*Lead"):
        read_connection(shop.write(""), {"custom_mappings": "[{match: {product_action: click}, send: Leed}]"})


def test_a_list_in_a_list_is_no_condition(shop: Any) -> None:
    levels = "".join(f"      x{n}: &x{n} [{', '.join([f'*x{n - 1}'] * 9)}]\n" for n in range(1, 30))
    text = "custom_mappings:\n  - send: Lead\n    match:\n     message_type: custom_event\n     attributes:\n"
    found = shop.problems(f"{text}      x0: &x0 [x]\n{levels}")
    assert {one.text for one in found} == {"this is a list in a list, but single values are needed: [first, second]."}
