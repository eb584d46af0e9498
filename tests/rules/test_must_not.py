"""What other senders to TikTok got wrong, one test for each mistake that concerns the mapping.

The numbers are those of the list of known mistakes, drawn from the issues and the code of open senders.
"""

import json
from collections.abc import Iterator
from hashlib import sha256
from typing import Any

import pytest

from transforms.connection import Consent
from transforms.model import Payload

WEB = {"enable_web_migration": True}
OFFLINE = {"input": "feed", "event_source_type": "feed"}
ALL_FORMS = pytest.mark.parametrize("settings", [{}, WEB, OFFLINE], ids=["legacy", "web", "offline"])
HASHED = "b94d27b9934d3e08a52e52d7da7dabfac484efe37a5380ee9088f7ace2efcde9"

# TikTok's standard events of the web, with the old name that the specification asks for.
# Source: ads.tiktok.com/help, "Supported standard events" (2025).
STANDARD = {
    "AddPaymentInfo",
    "AddToCart",
    "AddToWishlist",
    "ApplicationApproval",
    "CompleteRegistration",
    "Contact",
    "CustomizeProduct",
    "Download",
    "FindLocation",
    "InitiateCheckout",
    "Lead",
    "PlaceAnOrder",
    "Purchase",
    "Schedule",
    "Search",
    "StartTrial",
    "SubmitApplication",
    "Subscribe",
    "ViewContent",
}
ACTIONS = (
    "add_to_cart",
    "remove_from_cart",
    "checkout",
    "checkout_option",
    "click",
    "view_detail",
    "purchase",
    "refund",
    "add_to_wishlist",
    "remove_from_wish_list",
    "unknown",
)


def digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Returns every value of a body with its path; empty lists and objects count as values."""
    if isinstance(value, dict) and value:
        for key, item in value.items():
            yield from leaves(item, f"{path}.{key}")
    elif isinstance(value, list) and value:
        for item in value:
            yield from leaves(item, path)
    else:
        yield path, value


# Identity


@ALL_FORMS
def test_13_a_hashed_value_is_not_hashed_again(shop: Any, settings: dict[str, Any]) -> None:
    message = shop.message(
        user_identities=shop.identities(email=HASHED, mobile_number=HASHED, customer_id=HASHED),
        user_attributes={"$FirstName": HASHED, "$LastName": HASHED.upper(), "$Zip": HASHED},
    )
    body = shop.payload(message, send_user_fields_offline=True, **settings).body.decode()
    assert body.count(HASHED) == (3 if not settings else 6)
    assert digest(HASHED) not in body


@ALL_FORMS
def test_14_sixty_four_characters_are_not_a_hash_unless_they_are_hex(shop: Any, settings: dict[str, Any]) -> None:
    email = "a" * 52 + "@example.com"
    assert len(email) == 64
    customer = "z" * 64
    body = shop.payload(
        shop.message(user_identities=shop.identities(email=email, customer_id=customer)), **settings
    ).body.decode()
    assert digest(email) in body
    assert digest(customer) in body
    assert email not in body
    assert customer not in body


@pytest.mark.parametrize(
    "almost", [HASHED[:-1] + " ", HASHED[:31] + " " + HASHED[32:], HASHED[:-1] + "g", "0x" + HASHED[2:]]
)
def test_14_what_only_looks_like_a_hash_is_hashed(shop: Any, almost: str) -> None:
    body = shop.body(shop.message(user_identities=shop.identities(customer_id=almost)), **WEB)
    assert body["user"]["external_id"] == [digest(almost.strip())]


@ALL_FORMS
@pytest.mark.parametrize("empty", ["", "  ", None, [], [None], [""], {}])
def test_15_nothing_empty_is_hashed_or_sent(shop: Any, settings: dict[str, Any], empty: Any) -> None:
    product = dict.fromkeys(("id", "name", "brand", "category"), empty) | {"price": 1.0}
    event = shop.event(
        order=empty,
        products=[product, None, {}],
        flags={"TikTok.Referrer": empty, "TikTok.Callback": empty},
        currency_code=empty,
    )
    message = shop.message(
        event,
        user_identities=shop.identities(email=empty, mobile_number=empty, customer_id=empty),
        user_attributes=dict.fromkeys(("$FirstName", "$LastName", "$City", "$State", "$Country", "$Zip"), empty),
        partner_identities={"tiktok_cookie_id": empty},
    )
    body = shop.body(message, send_user_fields_offline=True, **settings)
    for path, value in leaves(body):
        assert value not in (None, "", [], {}), path
        assert value != digest(""), path


@ALL_FORMS
@pytest.mark.parametrize("products", [None, [], [None], [{}], ...])
def test_15_an_empty_list_of_contents_is_not_sent(shop: Any, settings: dict[str, Any], products: Any) -> None:
    properties = shop.body(shop.message(shop.event(products=products)), **settings)["properties"]
    assert not {"contents", "content_ids"} & set(properties)


@ALL_FORMS
@pytest.mark.parametrize("phone", ["212-555-0142", "2125550142", "12125550142", "0212 5550142"])
def test_16_a_phone_is_not_hashed_without_plus_and_country(shop: Any, settings: dict[str, Any], phone: str) -> None:
    message = shop.message(user_identities=shop.identities(mobile_number=phone))
    body = shop.payload(message, **settings).body.decode()
    digits = "".join(filter(str.isdigit, phone))
    for wrong in (phone, digits, "+" + digits, "+" + digits.lstrip("0")):
        assert digest(wrong) not in body


def test_16_a_national_phone_becomes_e_164_of_its_region(shop: Any) -> None:
    message = shop.message(user_identities=shop.identities(mobile_number="212-555-0142"))
    assert shop.body(message, default_phone_region="US", **WEB)["user"]["phone"] == [digest("+12125550142")]


def test_17_a_phone_of_fifteen_digits_loses_none(shop: Any) -> None:
    phone = "+491234567890123"
    assert len(phone) == 16
    user = shop.user(shop.message(user_identities=shop.identities(mobile_number=phone)))
    assert user["phone"] == [digest(phone)]


@pytest.mark.parametrize("phone", ["00442079460018", "0044 20 7946 0018", "00 44 (0)20 7946-0018"])
@pytest.mark.parametrize("region", ["GB", "DE", None])
def test_18_an_international_prefix_is_no_part_of_the_number(shop: Any, phone: str, region: str | None) -> None:
    message = shop.message(user_identities=shop.identities(mobile_number=phone))
    payload = shop.payload(message, default_phone_region=region, **WEB)
    right = digest("+442079460018")
    assert json.loads(payload.body)["user"].get("phone", [right]) == [right]
    # Without a region the prefix for calls abroad is a guess: the phone may be left out, then it is counted.
    assert ("unusable_phone" in payload.notes) is (right not in payload.body.decode())
    assert region is None or right in payload.body.decode()


@pytest.mark.parametrize(
    "email", [" ada@example.com", "ada@example.com ", "\tada@example.com\r\n", " ADA@Example.COM "]
)
def test_19_an_e_mail_is_trimmed_before_it_is_hashed(shop: Any, email: str) -> None:
    user = shop.user(shop.message(user_identities=shop.identities(email=email)))
    assert user["email"] == [digest("ada@example.com")]


def test_19_an_e_mail_keeps_its_dots_and_plus(shop: Any) -> None:
    user = shop.user(shop.message(user_identities=shop.identities(email="A.d.a+shop@gmail.com")))
    assert user["email"] == [digest("a.d.a+shop@gmail.com")]


@ALL_FORMS
def test_20_several_e_mails_are_not_joined(shop: Any, settings: dict[str, Any]) -> None:
    identities = [
        {"identity_type": "email", "identity": "a@example.com", "timestamp_unixtime_ms": 1},
        {"identity_type": "email", "identity": "b@example.com", "timestamp_unixtime_ms": 2},
    ]
    body = shop.payload(shop.message(user_identities=identities), **settings).body.decode()
    for joined in ("a@example.com,b@example.com", "b@example.com,a@example.com", "a@example.com, b@example.com"):
        assert digest(joined) not in body
    assert digest("b@example.com") in body


@ALL_FORMS
def test_21_names_and_zip_are_never_in_clear_nor_under_other_names(shop: Any, settings: dict[str, Any]) -> None:
    message = shop.message(user_attributes={"$FirstName": "Adalbertine", "$LastName": "Lovelace", "$Zip": "SW1A 1AA"})
    payload = shop.payload(message, send_user_fields_offline=True, **settings)
    text = payload.body.decode().lower()
    assert not [word for word in ("adalbertine", "lovelace", "sw1a") if word in text]
    names = {path.rpartition(".")[2] for path, _ in leaves(json.loads(payload.body))}
    assert not names & {"fn", "ln", "region", "zip", "ct", "st", "em", "ph"}


@pytest.mark.parametrize(
    ("attribute", "value", "field", "sent"),
    [
        ("$City", "São Paulo", "city", "sãopaulo"),
        ("$City", "東京", "city", "東京"),
        ("$City", "Łódź", "city", "łódź"),
        ("$City", "Αθήνα", "city", "αθήνα"),
        ("$FirstName", "Zoë", "first_name", digest("zoë")),
        ("$LastName", "Müller", "last_name", digest("müller")),
        ("$LastName", "王", "last_name", digest("王")),
        ("$State", "Île-de-France", "state", "îledefrance"),
    ],
)
def test_22_letters_outside_ascii_survive(shop: Any, attribute: str, value: str, field: str, sent: str) -> None:
    assert shop.user(shop.message(user_attributes={attribute: value}))[field] == sent


@ALL_FORMS
def test_23_the_case_of_an_external_id_is_kept_unless_configured(shop: Any, settings: dict[str, Any]) -> None:
    message = shop.message(user_identities=shop.identities(customer_id="UsEr_123"))
    assert digest("UsEr_123") in shop.payload(message, **settings).body.decode()
    assert digest("user_123") in shop.payload(message, external_id_case="lower", **settings).body.decode()


def test_24_a_zip_is_not_hashed_in_mixed_case(shop: Any) -> None:
    assert shop.user(shop.message(user_attributes={"$Zip": "US1234"}))["zip_code"] == digest("us1234")


@ALL_FORMS
@pytest.mark.parametrize("name", ["email", "mobile_number"])
def test_25_an_e_mail_or_phone_that_arrives_hashed_is_sent(shop: Any, settings: dict[str, Any], name: str) -> None:
    payload = shop.payload(shop.message(user_identities=shop.identities(**{name: HASHED.upper()})), **settings)
    assert HASHED in payload.body.decode()
    assert payload.match_keys & 7 == {"email": 1, "mobile_number": 2}[name]
    assert not {"unusable_email", "unusable_phone", "no_identifier"} & set(payload.notes)


@pytest.mark.parametrize("nothing", [..., None, {}, {"tiktok_cookie_id": ""}, {"tiktok_cookie_id": None}])
def test_26_a_cookie_is_never_made_up(shop: Any, nothing: Any) -> None:
    message = shop.message(partner_identities=nothing)
    assert "ttp" not in shop.body(message, **WEB)["user"]
    assert "ttp" not in shop.body(message)["context"]["user"]


@pytest.mark.parametrize("dummy", [..., "", "null", "undefined", "none", "0", "__CLICKID__", "{{ttclid}}", "E.C.P."])
def test_26_a_dummy_click_id_is_never_sent(shop: Any, dummy: Any) -> None:
    message = shop.message(shop.event(flags={"TikTok.Callback": dummy}))
    assert "ttclid" not in shop.body(message, **WEB)["user"]
    assert "ad" not in shop.body(message)["context"]


@ALL_FORMS
def test_27_an_advertising_id_is_not_sent_at_all_with_events_of_the_web(shop: Any, settings: dict[str, Any]) -> None:
    ids = {"ios_advertising_id": "AEBE52E7-03EE-455A-B3C4-E57283966239", "android_advertising_id": "38400000-8CF0-11BD"}
    ids["platform"], ids["http_header_user_agent"] = "web", shop.user_agent
    body = shop.payload(shop.message(device_info=ids), **settings).body.decode().lower()
    assert not [word for word in ("idfa", "gaid", "aebe52e7", "38400000", "advertising") if word in body]
    for given in list(ids.values())[:2]:
        assert not [form for form in (given, given.lower(), given.upper()) if digest(form) in body]


def test_28_every_personal_field_is_hashed_whatever_the_settings(shop: Any) -> None:
    for settings in (WEB, OFFLINE, WEB | {"external_id_case": "lower"}):
        user = shop.body(shop.message(), send_user_fields_offline=True, **settings)["user"]
        for name in ("email", "phone", "external_id", "first_name", "last_name", "zip_code"):
            value = user[name][0] if isinstance(user[name], list) else user[name]
            assert len(bytes.fromhex(value)) == 32
            assert value == value.lower()


# Time and id


@pytest.mark.parametrize(
    ("ms", "secs", "iso"),
    [
        (1600372167000, 1600372167, "2020-09-17T19:49:27.000Z"),
        (1718900123999, 1718900123, "2024-06-20T16:15:23.999Z"),
        (2208988800000, 2208988800, "2040-01-01T00:00:00.000Z"),
    ],
)
def test_29_the_events_own_time_is_sent_and_never_narrowed(shop: Any, ms: int, secs: int, iso: str) -> None:
    message = shop.message(shop.event(timestamp_unixtime_ms=ms), timestamp_unixtime_ms=1718900999999)
    assert shop.body(message)["timestamp"] == iso
    assert shop.body(message, **WEB)["event_time"] == shop.body(message, **OFFLINE)["event_time"] == secs


@ALL_FORMS
def test_30_nothing_is_added_to_an_event_id(shop: Any, settings: dict[str, Any]) -> None:
    message = shop.message(shop.event(source_message_id="70f1f6aa_A b"))
    assert {shop.body(message, **settings)["event_id"] for _ in range(3)} == {"70f1f6aa_A b"}


@ALL_FORMS
def test_31_every_event_has_an_id_and_the_same_one_on_each_attempt(shop: Any, settings: dict[str, Any]) -> None:
    message = shop.message(shop.event(source_message_id=..., event_id=...))
    ids = {shop.body(message, **settings)["event_id"] for _ in range(3)}
    assert len(ids) == 1
    assert ids != {""}


def test_31_an_event_that_mparticle_sends_again_keeps_its_id(shop: Any, samples: Any) -> None:
    first, again = (
        samples()[name] for name in ("outbound_01_web_batch_purchase.json", "outbound_09_duplicate_rebatched.json")
    )
    (one,) = [entry for entry in shop.entries(first) if isinstance(entry, Payload)]
    (other,) = [entry for entry in shop.entries(again) if isinstance(entry, Payload)]
    assert one.event_id == other.event_id == "70f1f6aa-8bec-40c7-b48c-1ca253db9fa3"
    assert one.event == other.event == "PlaceAnOrder"


@ALL_FORMS
def test_32_ids_are_text(shop: Any, settings: dict[str, Any]) -> None:
    event = shop.event(
        source_message_id=..., event_id=-7778608565459706417, order=100045, products=[shop.product(1077218)]
    )
    body = shop.body(shop.message(event), **settings)
    assert body["event_id"] == "-7778608565459706417"
    assert body["properties"]["contents"][0]["content_id"] == "1077218"
    if settings:
        assert body["properties"]["order_id"] == "100045"
        assert body["properties"]["content_ids"] == ["1077218"]


# Values


@ALL_FORMS
def test_33_amounts_are_numbers(shop: Any, settings: dict[str, Any]) -> None:
    event = shop.event(total="131.12", products=[shop.product(price="89.90", quantity="2")])
    properties = shop.body(shop.message(event), **settings)["properties"]
    assert (properties["value"], properties["contents"][0]["price"]) == (131.12, 89.9)
    assert properties["contents"][0]["quantity"] == 2


@ALL_FORMS
def test_33_what_is_no_amount_is_never_sent(shop: Any, settings: dict[str, Any]) -> None:
    failed = []
    for junk in ("(null)", "1,50", "$5", "NaN", "Infinity", "1e999", True, {}, [], "-5", -5):
        event = shop.event(total=junk, products=[shop.product(price=junk)])
        body = shop.payload(shop.message(event), **settings).body.decode()
        properties = json.loads(body)["properties"]
        if "value" in properties or "price" in properties["contents"][0] or "(null)" in body:
            failed.append((junk, properties))
    assert failed == []


@ALL_FORMS
def test_34_a_zero_is_a_value(shop: Any, settings: dict[str, Any]) -> None:
    event = shop.event(total=0, products=[shop.product(price=0)])
    body = shop.payload(shop.message(event), **settings).body
    assert b'"value":0.0' in body
    assert b'"price":0.0' in body


@ALL_FORMS
def test_34_a_missing_amount_is_no_zero(shop: Any, settings: dict[str, Any]) -> None:
    event = shop.event(total=None, products=[shop.product(price=None)])
    properties = shop.body(shop.message(event), **settings)["properties"]
    assert "value" not in properties
    assert "price" not in properties["contents"][0]


@ALL_FORMS
def test_35_a_missing_price_stops_nothing(shop: Any, settings: dict[str, Any]) -> None:
    event = shop.event(products=[shop.product(price=...), shop.product("B", price=5)])
    contents = shop.body(shop.message(event), **settings)["properties"]["contents"]
    assert [content.get("price") for content in contents] == [None, 5.0]


@ALL_FORMS
def test_36_the_list_of_ids_is_called_content_ids(shop: Any, settings: dict[str, Any]) -> None:
    payload = shop.payload(shop.message(), **settings)
    assert b"contents_ids" not in payload.body
    assert ("content_ids" in json.loads(payload.body)["properties"]) is bool(settings)


@ALL_FORMS
def test_37_a_custom_event_gets_no_content_type_because_it_is_not_sent(shop: Any, settings: dict[str, Any]) -> None:
    data = {"event_name": "Sign up", "custom_event_type": "other", "timestamp_unixtime_ms": 1718900123456}
    kind, reason, _ = shop.outcome(shop.message({"event_type": "custom_event", "data": data}), **settings)
    assert (kind, reason) == ("skipped", "unsupported_event_type")


def test_38_the_brand_is_kept_where_2_0_takes_it(shop: Any) -> None:
    message = shop.message(shop.event(products=[shop.product(brand="Acme"), shop.product(brand=None)]))
    for settings in (WEB, OFFLINE):
        contents = shop.body(message, **settings)["properties"]["contents"]
        assert [content.get("brand") for content in contents] == ["Acme", None]


# Consent, page, names


@ALL_FORMS
def test_39_consented_in_ccpa_means_opted_out(shop: Any, settings: dict[str, Any]) -> None:
    def state(consented: bool) -> dict[str, Any]:
        return {"ccpa": {"data_sale_opt_out": {"consented": consented}}}

    assert shop.outcome(shop.message(consent_state=state(True)), **settings)[:2] == ("skipped", "consent_ccpa")
    assert shop.payload(shop.message(consent_state=state(False)), **settings)


def test_40_consent_to_location_does_not_remove_the_location(shop: Any) -> None:
    state = {"gdpr": {"location": {"consented": True}}}
    user = shop.user(shop.message(consent_state=state))
    assert (user["city"], user["zip_code"]) == ("newyork", digest("10016"))
    policy = Consent(gdpr_purpose="location")
    assert shop.payload(shop.message(consent_state=state), consent=policy, **WEB)
    refused = {"gdpr": {"location": {"consented": False}}}
    assert shop.outcome(shop.message(consent_state=refused), consent=policy, **WEB)[1] == "consent_gdpr"


@pytest.mark.parametrize("first", ["", " ", [], [""]])
def test_41_an_empty_first_source_does_not_block_the_fallback(shop: Any, first: Any) -> None:
    event = shop.event(
        flags={"TikTok.URL": first, "TikTok.Callback": first},
        page_url="https://shop.example.com/?ttclid=E.C.P.url",
        source_message_id="",
    )
    body = shop.body(shop.message(event), **WEB)
    assert body["page"]["url"] == "https://shop.example.com/?ttclid=E.C.P.url"
    assert body["user"]["ttclid"] == "E.C.P.url"
    assert body["event_id"] == "6644003854898401924"


@ALL_FORMS
def test_42_every_name_that_goes_out_is_a_standard_one(shop: Any, settings: dict[str, Any]) -> None:
    entries = shop.entries(shop.message(*map(shop.event, ACTIONS)), **settings)
    sent = {json.loads(entry.body)["event"] for entry in entries if isinstance(entry, Payload)}
    assert len(sent) == 5
    assert sent <= STANDARD


def test_42_an_app_gets_no_initiate_checkout(shop: Any) -> None:
    for sign in ({"source_info": {"channel": "native"}}, {"device_info": {"platform": "Android"}}):
        assert shop.outcome(shop.message(shop.event("checkout"), **sign))[1] == "unsupported_input"


@ALL_FORMS
def test_43_a_refund_is_no_purchase_and_no_raw_action_is_sent(shop: Any, settings: dict[str, Any]) -> None:
    for action in set(ACTIONS) - {"add_to_cart", "add_to_wishlist", "purchase", "checkout", "view_detail"}:
        assert shop.outcome(shop.message(shop.event(action)), **settings)[:2] == ("skipped", "unsupported_action")
    for target in STANDARD & {"Purchase", "PlaceAnOrder"} | {"CompletePayment"}:
        entry = shop.outcome(shop.message(shop.event("refund")), event_names={"refund": target}, **settings)
        assert entry[:2] == ("skipped", "unsupported_action")
