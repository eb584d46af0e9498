"""An identified event in, TikTok's JSON out: exact, and without anything that is not known."""

import json
from hashlib import sha256
from math import inf
from typing import Any

import pytest
from hypothesis import given as examples
from hypothesis import strategies

from transforms.connection import Connection
from transforms.mapping.commerce import read_contents
from transforms.mapping.payload import builder
from transforms.model import EventData, IdentifiedEvent, Outcome, Payload, Product, ProductAction, User
from transforms.vocabulary import Form, MatchKey, Note, Reason, Stage

URL = "https://shop.example.com/thanks"
HASH = "0f" * 32


def event(
    form: Form = Form.WEB, user: User | None = None, action: dict[str, Any] | None = None, **changes: Any
) -> IdentifiedEvent:
    """Returns a purchase; `action` changes its product action, `data` its other fields."""
    product_action = ProductAction(**{"action": "purchase", "total_amount": 20.0, **(action or {})})
    data = {"currency_code": "EUR", "custom_flags": {"TikTok.URL": URL}, **changes.pop("data", {})}
    values = {"event_id": "one", "occurred_at_ms": 1718900123456, **changes}
    return IdentifiedEvent(
        "file#1",
        3,
        form,
        EventData(product_action=product_action, **data),
        user or User(ip="8.8.8.8", user_agent="UA"),
        **values,
    )


def built(given: IdentifiedEvent, **settings: Any) -> Payload:
    """Returns the payload of an event."""
    payload = builder(Connection(event_source_id="P", **settings))(given)
    assert isinstance(payload, Payload), payload
    return payload


def body(given: IdentifiedEvent, **settings: Any) -> Any:
    return json.loads(built(given, **settings).body)


def test_an_event_of_2_0_with_everything() -> None:
    user = User(
        email=HASH,
        phone=HASH,
        external_id=HASH,
        first_name=HASH,
        last_name=HASH,
        zip_code=HASH,
        city="newyork",
        state="ny",
        country="us",
        ip="8.8.8.8",
        user_agent="UA",
        ttp="cookie",
        locale="en-US",
    )
    flags = {"TikTok.URL": URL, "TikTok.Referrer": "https://a.example/", "TikTok.Callback": "E.C.P.x"}
    product = Product(id="A", name="Sock", brand="Acme", category="socks", price=10.0, quantity=2.0)
    action = {"transaction_id": 77, "products": (product,)}
    assert (
        built(event(user=user, action=action, data={"custom_flags": flags}, limited_data_use=True)).body
        == (
            f'{{"event":"PlaceAnOrder","event_time":1718900123,"event_id":"one",'
            f'"user":{{"email":["{HASH}"],"phone":["{HASH}"],"external_id":["{HASH}"],"ttclid":"E.C.P.x",'
            f'"ttp":"cookie",'
            f'"ip":"8.8.8.8","user_agent":"UA","locale":"en-US","first_name":"{HASH}","last_name":"{HASH}",'
            f'"zip_code":"{HASH}","city":"newyork","state":"ny","country":"us"}},'
            f'"properties":{{"contents":[{{"price":10.0,"quantity":2,"content_id":"A","content_name":"Sock",'
            f'"content_category":"socks","brand":"Acme"}}],"content_ids":["A"],"content_type":"product",'
            f'"currency":"EUR",'
            f'"value":20.0,"order_id":"77"}},"page":{{"url":"{URL}","referrer":"https://a.example/"}},'
            f'"limited_data_use":true}}'
        ).encode()
    )


def test_a_legacy_event_with_everything() -> None:
    user = User(email=HASH, phone=HASH, external_id=HASH, ip="8.8.8.8", user_agent="UA", ttp="cookie")
    flags = {"TikTok.URL": URL, "TikTok.Referrer": "https://a.example/", "TikTok.Callback": "E.C.P.x"}
    product = Product(id="A", name="Sock", brand="Acme", category="socks", price=10.0, quantity=2.0)
    action = {"transaction_id": 77, "products": (product,)}
    given = event(Form.LEGACY, user, action, data={"custom_flags": flags}, limited_data_use=True)
    assert (
        built(given, content_type="product_group").body
        == (
            f'{{"type":"track","event":"PlaceAnOrder","event_id":"one","timestamp":"2024-06-20T16:15:23.456Z",'
            f'"context":{{"ad":{{"callback":"E.C.P.x"}},"page":{{"url":"{URL}","referrer":"https://a.example/"}},'
            f'"user":{{"external_id":"{HASH}","phone_number":"{HASH}","email":"{HASH}","ttp":"cookie"}},'
            f'"user_agent":"UA","ip":"8.8.8.8"}},'
            f'"properties":{{"contents":[{{"price":10.0,"quantity":2,"content_type":"product_group","content_id":"A",'
            f'"content_name":"Sock","content_category":"socks"}}],"currency":"EUR","value":20.0}},'
            f'"limited_data_use":true}}'
        ).encode()
    )


def test_an_event_of_which_little_is_known() -> None:
    nothing = {"total_amount": None, "products": None}
    given = event(Form.OFFLINE, User(), nothing, data={"currency_code": None, "custom_flags": None})
    assert body(given) == {
        "event": "PlaceAnOrder",
        "event_time": 1718900123,
        "event_id": "one",
        "properties": {"content_type": "product"},
    }
    given = event(Form.LEGACY, User(), nothing, data={"currency_code": None})
    assert body(given, require_ip_and_user_agent="never") == {
        "type": "track",
        "event": "PlaceAnOrder",
        "event_id": "one",
        "timestamp": "2024-06-20T16:15:23.456Z",
        "context": {"page": {"url": URL}},
    }


def test_the_payload_says_what_later_steps_ask() -> None:
    given = event(match_keys=MatchKey.EMAIL, notes=(Note.UNUSABLE_PHONE,), original=b"o", data={"currency_code": "xau"})
    payload = built(given)
    assert (payload.ref, payload.index, payload.form, payload.original) == ("file#1", 3, Form.WEB, b"o")
    assert (payload.event, payload.event_id, payload.occurred_at_ms) == ("PlaceAnOrder", "one", 1718900123456)
    assert (payload.value, payload.currency, payload.match_keys) == (20.0, "XAU", MatchKey.EMAIL)
    assert payload.notes == (Note.UNUSABLE_PHONE, Note.UNLISTED_CURRENCY)


@pytest.mark.parametrize(
    ("given", "settings", "reason"),
    [
        (event(occurred_at_ms=None), {}, Reason.MISSING_TIMESTAMP),
        (event(Form.LEGACY, User(user_agent="UA")), {}, Reason.MISSING_IP),
        (event(Form.LEGACY, User(ip="8.8.8.8")), {}, Reason.MISSING_USER_AGENT),
        (event(user=User(user_agent="UA")), {"require_ip_and_user_agent": "always"}, Reason.MISSING_IP),
        (event(user=User(ip="8.8.8.8")), {"require_ip_and_user_agent": "always"}, Reason.MISSING_USER_AGENT),
        (event(data={"custom_flags": None}), {}, Reason.MISSING_PAGE_URL),
        (event(data={"custom_flags": {"TikTok.URL": " "}, "page_url": "shop"}), {}, Reason.MISSING_PAGE_URL),
        (event(data={"custom_flags": {"TikTok.URL": "shop.example.com"}}), {}, Reason.INVALID_PAGE_URL),
        (event(data={"custom_flags": {"tiktok.url": ["ftp://x"]}, "page_url": URL}), {}, Reason.INVALID_PAGE_URL),
    ],
)
def test_what_cannot_be_sent_is_rejected(given: IdentifiedEvent, settings: dict[str, Any], reason: Reason) -> None:
    outcome = builder(Connection(event_source_id="P", **settings))(given)
    assert isinstance(outcome, Outcome)
    assert (outcome.stage, outcome.reason, outcome.ref, outcome.index) == (Stage.BUILD, reason, "file#1", 3)
    assert (outcome.event, outcome.event_id, outcome.form) == ("PlaceAnOrder", "one", given.form)


@pytest.mark.parametrize("form", list(Form))
def test_texts_of_products_are_trimmed_and_blank_ones_left_out(form: Form) -> None:
    notes: list[Note] = []
    products = (
        Product(id=" A-1 ", name="  Sock ", brand="\t", category=" "),
        Product(name=" ", brand=" ", category="\n"),
    )
    contents, ids = read_contents(products, "product" if form is Form.LEGACY else None, notes)
    assert ids == ["A-1"]
    (content,) = contents  # the second holds nothing
    assert (content.content_id, content.content_name) == ("A-1", "Sock")
    assert (content.content_category, content.brand) == (None, None)


@pytest.mark.parametrize("form", [Form.WEB, Form.OFFLINE])
def test_events_of_2_0_are_sent_without_address(form: Form) -> None:
    assert "ip" not in body(event(form, User(email=HASH)))["user"]


@pytest.mark.parametrize(
    ("flags", "page_url", "expected"),
    [
        ({"TikTok.URL": f" {URL} "}, None, URL),
        ({"TikTok.URL": "HTTPS://Shop.example.com"}, None, "https://Shop.example.com"),
        ({"TIKTOK.url": URL}, None, URL),
        ({"TikTok.URL": ["", URL]}, None, URL),
        ({"TikTok.URL": "", "x": "y"}, URL, URL),
        ({"TikTok.URL": {"a": URL}}, f" {URL} ", URL),
        ({"TikTok.urX": "https://other.example"}, URL, URL),
        ({"tiktok.url": None, "TIKTOK.URL": URL}, None, URL),
    ],
)
def test_the_page_url_is_found(flags: dict[str, Any], page_url: str | None, expected: str) -> None:
    assert body(event(data={"custom_flags": flags, "page_url": page_url}))["page"] == {"url": expected}


@pytest.mark.parametrize(
    ("flag", "query", "strict", "sent", "notes"),
    [
        ("E.C.P.x", "", False, "E.C.P.x", []),
        (" E.C.P.x ", "", True, "E.C.P.x", []),
        ("abc", "", False, "abc", [Note.UNUSUAL_CLICK_ID]),
        ("abc", "", True, None, [Note.INVALID_CLICK_ID]),
        ("E.C.P.", "", False, None, [Note.INVALID_CLICK_ID]),
        ("E.C.P", "", False, None, [Note.INVALID_CLICK_ID]),
        ("__CLICKID__", "", False, None, [Note.INVALID_CLICK_ID]),
        ("{{ttclid}}", "", False, None, [Note.INVALID_CLICK_ID]),
        ("null", "?ttclid=E.C.P.y", False, "E.C.P.y", [Note.CLICK_ID_FROM_URL]),
        (None, "?a=1&TTCLID=E.C.P.y%2Bz#top", False, "E.C.P.y+z", [Note.CLICK_ID_FROM_URL]),
        (None, "?%74tclid=E.C.P.y", False, "E.C.P.y", [Note.CLICK_ID_FROM_URL]),
        (None, "?ttclid=&ttclid=abc", False, "abc", [Note.CLICK_ID_FROM_URL, Note.UNUSUAL_CLICK_ID]),
        (None, "?ttclid=__CLICKID__", False, None, [Note.INVALID_CLICK_ID]),
        (None, "?xttclid=E.C.P.y", False, None, []),
        (None, "?a=%ff%zz", False, None, []),
        (None, "#ttclid=E.C.P.y", False, None, []),
        ([None, "E.C.P.x"], "", False, "E.C.P.x", []),
        (12345, "", False, "12345", [Note.UNUSUAL_CLICK_ID]),
    ],
)
def test_the_click_id_comes_from_the_flag_else_from_the_url(
    flag: Any, query: str, strict: bool, sent: str | None, notes: list[Note]
) -> None:
    flags = {"TikTok.URL": URL + query, "TikTok.Callback": flag}
    payload = built(event(data={"custom_flags": flags}), strict_click_id=strict)
    assert json.loads(payload.body)["user"].get("ttclid") == sent
    assert list(payload.notes) == notes
    assert bool(payload.match_keys & MatchKey.CLICK_ID) == (sent is not None)


@pytest.mark.parametrize(
    ("product", "expected", "notes"),
    [
        (Product(id="A"), {"quantity": 1, "content_id": "A"}, []),
        (Product(id=12345, price="1.50"), {"price": 1.5, "quantity": 1, "content_id": "12345"}, []),
        (Product(id=12345.0, quantity="2"), {"quantity": 2, "content_id": "12345"}, []),
        (Product(id="A", price=0.0), {"price": 0.0, "quantity": 1, "content_id": "A"}, []),
        (Product(id="A", price=""), {"quantity": 1, "content_id": "A"}, []),
        (Product(id="A", price="free"), {"quantity": 1, "content_id": "A"}, [Note.INVALID_AMOUNT]),
        (Product(id="A", price=-1.0), {"quantity": 1, "content_id": "A"}, [Note.INVALID_AMOUNT]),
        (Product(id="A", price=True), {"quantity": 1, "content_id": "A"}, [Note.INVALID_AMOUNT]),
        (Product(id="A", quantity=0.3), {"quantity": 1, "content_id": "A"}, [Note.FRACTIONAL_QUANTITY]),
        (Product(id="A", quantity=1.2), {"quantity": 2, "content_id": "A"}, [Note.FRACTIONAL_QUANTITY]),
        (Product(id="A", quantity=2.0000000001), {"quantity": 2, "content_id": "A"}, [Note.FRACTIONAL_QUANTITY]),
        (Product(id="A", quantity=1e-9), {"quantity": 1, "content_id": "A"}, [Note.FRACTIONAL_QUANTITY]),
        (Product(id="A", quantity=0.0), {"quantity": 0, "content_id": "A"}, []),
        (Product(id="A", quantity=150.0), {"quantity": 150, "content_id": "A"}, []),
        (Product(id="A", quantity=""), {"quantity": 1, "content_id": "A"}, []),
        (Product(id="A", quantity="two"), {"quantity": 1, "content_id": "A"}, [Note.INVALID_AMOUNT]),
        (Product(id="A", quantity=1e300), {"quantity": 1, "content_id": "A"}, [Note.INVALID_AMOUNT]),
        (
            Product(name=5, brand=6.5, category=7),
            {"quantity": 1, "content_name": "5", "content_category": "7", "brand": "6.5"},
            [],
        ),
        (Product(id=" ", name=""), None, []),
        (Product(), None, []),
        (None, None, []),
    ],
)
def test_a_product_becomes_a_content(product: Any, expected: dict[str, Any] | None, notes: list[Note]) -> None:
    payload = built(event(action={"products": (product,)}))
    assert json.loads(payload.body)["properties"].get("contents") == (None if expected is None else [expected])
    assert list(payload.notes) == notes


def test_a_legacy_content_has_its_type_and_no_brand() -> None:
    given = event(Form.LEGACY, action={"products": (Product(id="A", brand="Acme"), Product(brand="Acme"))})
    assert body(given)["properties"]["contents"] == [{"quantity": 1, "content_type": "product", "content_id": "A"}]


def test_the_same_thing_goes_wrong_twice_and_is_noted_once() -> None:
    bad = Product(id="A", price="x", quantity="x")
    payload = built(event(action={"total_amount": "x", "products": (bad, bad, Product(id="B", quantity=0.5))}))
    assert payload.notes == (Note.INVALID_AMOUNT, Note.FRACTIONAL_QUANTITY, Note.MISSING_VALUE)


ITEMS = (Product(id="A", price=9.99, quantity=2.0), Product(id="B", price="0.02"), None, Product(id="C"))
FROM_ITEMS = [Note.VALUE_FROM_ITEMS]


@pytest.mark.parametrize(
    ("fallback", "total", "zeros", "products", "value", "notes"),
    [
        ("missing", 25.0, False, ITEMS, 25.0, []),
        ("missing", "25", False, ITEMS, 25.0, []),
        ("missing", None, False, ITEMS, 20.0, FROM_ITEMS),
        ("missing", "", False, ITEMS, 20.0, FROM_ITEMS),
        ("missing", "much", False, ITEMS, 20.0, [Note.INVALID_AMOUNT, Note.VALUE_FROM_ITEMS]),
        ("missing", -5.0, False, ITEMS, 20.0, [Note.INVALID_AMOUNT, Note.VALUE_FROM_ITEMS]),
        ("missing", 0.0, False, ITEMS, 0.0, []),
        ("missing", 0.0, True, ITEMS, 20.0, FROM_ITEMS),
        ("missing", "0.00", True, ITEMS, 20.0, FROM_ITEMS),
        ("missing", 0.0, True, (Product(id="A"),), None, [Note.MISSING_VALUE]),
        ("missing", 0.0, True, (Product(id="A", price=0.0),), 0.0, FROM_ITEMS),
        ("missing", None, False, None, None, [Note.MISSING_VALUE]),
        ("missing_or_zero", 0.0, False, ITEMS, 20.0, FROM_ITEMS),
        ("missing_or_zero", 25.0, False, ITEMS, 25.0, []),
        ("never", None, False, ITEMS, None, [Note.MISSING_VALUE]),
        ("never", 0.0, True, ITEMS, 0.0, []),
        (
            "missing",
            None,
            False,
            (Product(id="A", price=29.9, quantity=0.5),),
            14.95,
            [Note.FRACTIONAL_QUANTITY, *FROM_ITEMS],
        ),
        ("missing", None, False, (Product(id="A", price=9.666666666666666, quantity=3.0),), 29.0, FROM_ITEMS),
        ("missing", None, False, (Product(id="A", price=1e308, quantity=10.0),), None, [Note.MISSING_VALUE]),
    ],
)
def test_the_value_is_the_total_or_the_sum_of_the_items(
    fallback: Any, total: Any, zeros: bool, products: Any, value: float | None, notes: list[Note]
) -> None:
    given = event(action={"total_amount": total, "products": products}, sends_zero_for_missing_total=zeros)
    payload = built(given, value_fallback=fallback)
    assert payload.value == json.loads(payload.body)["properties"].get("value") == value
    assert list(payload.notes) == notes


@examples(
    strategies.lists(
        strategies.tuples(strategies.integers(0, 10**7), strategies.integers(1, 100)), min_size=1, max_size=20
    )
)
def test_the_sum_of_amounts_in_cents_is_exact(items: list[tuple[int, int]]) -> None:
    products = tuple(Product(id="A", price=cents / 100, quantity=float(number)) for cents, number in items)
    value = built(event(action={"total_amount": None, "products": products})).value
    assert value == sum(cents * number for cents, number in items) / 100


@pytest.mark.parametrize(
    ("of_event", "of_action", "default", "expected", "notes"),
    [
        ("usd", None, None, "USD", []),
        (" Usd ", "EUR", None, "USD", []),
        (None, "eur", None, "EUR", []),
        ("", "EUR", None, "EUR", []),
        ("dollar", "EUR", None, "EUR", [Note.INVALID_CURRENCY]),
        ("dollar", "euro", "gbp", "GBP", [Note.INVALID_CURRENCY, Note.DEFAULT_CURRENCY]),
        ("12€", None, None, None, [Note.INVALID_CURRENCY, Note.MISSING_CURRENCY]),
        ("ÄÖÜ", None, None, None, [Note.INVALID_CURRENCY, Note.MISSING_CURRENCY]),
        (None, None, None, None, [Note.MISSING_CURRENCY]),
        (None, None, "gbp", "GBP", [Note.DEFAULT_CURRENCY]),
        ("XAU", None, None, "XAU", [Note.UNLISTED_CURRENCY]),
    ],
)
def test_the_currency_is_on_the_event_or_on_the_action_or_the_default(
    of_event: Any, of_action: Any, default: Any, expected: str | None, notes: list[Note]
) -> None:
    payload = built(event(action={"currency": of_action}, data={"currency_code": of_event}), default_currency=default)
    assert payload.currency == json.loads(payload.body)["properties"].get("currency") == expected
    assert list(payload.notes) == notes


def test_an_event_without_id_gets_the_digest_of_its_content() -> None:
    payload = built(event(event_id="", raw=b"content"))
    assert payload.event_id == sha256(b"content").hexdigest()[:32] == json.loads(payload.body)["event_id"]
    assert payload.notes == (Note.DERIVED_EVENT_ID,)


@pytest.mark.parametrize(("ahead_ms", "noted"), [(3_600_000, False), (3_600_001, True), (-(10**9), False)])
def test_a_time_in_the_future_is_sent_and_noted(ahead_ms: int, noted: bool) -> None:
    payload = built(event(received_at_ms=1718900123456 - ahead_ms))
    assert payload.occurred_at_ms == 1718900123456
    assert (Note.IN_THE_FUTURE in payload.notes) == noted


def test_event_names_and_spellings_of_actions() -> None:
    assert built(event(), event_names={"purchase": "Purchase"}).event == "Purchase"
    assert built(event(action={"action": " ADD_TO_WISH_LIST"})).event == "AddToWishlist"


def test_no_infinity_reaches_the_encoder() -> None:
    given = event(action={"total_amount": None, "products": (Product(id="A", price=1.7e308, quantity=2.0),)})
    assert built(given).value is None
    assert b"null" not in built(given).body
    assert inf not in body(given)["properties"].values()
