"""The customer's specification, row by row, over messages of a small shop."""

import gzip
import json
from hashlib import sha256
from typing import Any

import pytest

from transforms.connection import Connection, Consent
from transforms.mapping.tables import identity_type
from transforms.model import Outcome, Payload
from transforms.vocabulary import Form

WEB = {"enable_web_migration": True}
OFFLINE = {"input": "feed", "event_source_type": "feed"}
URL = "https://shop.example.com/thanks"


def digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()


# Section 2: which request goes out


@pytest.mark.parametrize(
    ("settings", "form"),
    [
        ({"input": "web", "enable_web_migration": False}, Form.LEGACY),
        ({"input": "web", "enable_web_migration": True}, Form.WEB),
        ({"input": "feed", "event_source_type": "legacy_pixel_batch_web"}, Form.LEGACY),
        ({"input": "feed", "event_source_type": "web"}, Form.WEB),
        ({"input": "feed", "event_source_type": "feed"}, Form.OFFLINE),
        ({}, Form.LEGACY),
        ({"input": "feed"}, Form.LEGACY),
        ({"input": "web", "event_source_type": "feed"}, Form.LEGACY),
        ({"input": "feed", "enable_web_migration": True}, Form.LEGACY),
    ],
)
def test_input_and_settings_decide_the_request(shop: Any, settings: dict[str, Any], form: Form) -> None:
    payload = shop.payload(shop.message(), **settings)
    assert payload.form is form
    assert ("first_name" in payload.body.decode()) is (form is Form.WEB)
    assert ("context" in json.loads(payload.body)) is (form is Form.LEGACY)


def test_content_type_is_a_setting(shop: Any) -> None:
    legacy = shop.body(shop.message(), content_type="product_group")
    assert [content["content_type"] for content in legacy["properties"]["contents"]] == ["product_group"] * 2
    assert "content_type" not in legacy["properties"]
    track = shop.body(shop.message(), content_type="product_group", **WEB)
    assert track["properties"]["content_type"] == "product_group"
    assert all("content_type" not in content for content in track["properties"]["contents"])
    assert shop.body(shop.message(), **WEB)["properties"]["content_type"] == "product"


# Section 2: which input a message came from

MARKED = {"custom_attributes": {"mParticle Source Feed": "Shopify"}}
NATIVE = ("iOS", "ios", "Android", "tvOS", "roku", "smart_tv", "xbox", "fire_tv")


def with_sign(shop: Any, sign: str, batch: dict[str, Any]) -> dict[str, Any]:
    """Returns a message with one more sign of its input."""
    if sign == "mark":
        batch["events"] = [shop.event(**MARKED)]
    elif sign == "mark on another event":
        other = {"event_type": "screen_view", "data": {**MARKED, "timestamp_unixtime_ms": 1}}
        batch["events"] = [*batch["events"], other]
    else:
        holder, field, value = sign.split(".")
        batch[holder] = {**batch.get(holder, {}), field: value}
    return batch


FEED_SIGNS = [
    "mark",
    "mark on another event",
    "application_info.os.OutOfBand",
    "device_info.platform.out_of_band",
    "source_info.channel.partner",
]
APP_SIGNS = ["source_info.channel.native", *(f"device_info.platform.{name}" for name in NATIVE)]


@pytest.mark.parametrize("sign", FEED_SIGNS)
def test_auto_takes_each_sign_of_a_feed(shop: Any, sign: str) -> None:
    entries = shop.entries(with_sign(shop, sign, shop.message()), event_source_type="feed")
    assert isinstance(entries[0], Payload)
    assert entries[0].form is Form.OFFLINE


@pytest.mark.parametrize("sign", APP_SIGNS)
def test_a_batch_of_a_native_app_is_skipped_whatever_the_setting(shop: Any, sign: str) -> None:
    for setting in ("auto", "web", "feed"):
        kind, reason, _ = shop.outcome(with_sign(shop, sign, shop.message()), input=setting)
        assert (kind, reason) == ("skipped", "unsupported_input"), setting


@pytest.mark.parametrize("feed", FEED_SIGNS[:3])
@pytest.mark.parametrize("app", ["source_info.channel.native", "device_info.platform.iOS"])
def test_a_sign_of_a_feed_beats_a_sign_of_an_app(shop: Any, feed: str, app: str) -> None:
    message = with_sign(shop, app, with_sign(shop, feed, shop.message()))
    first, *_ = shop.entries(message, event_source_type="feed")
    assert isinstance(first, Payload), first
    assert first.form is Form.OFFLINE


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"source_info": ..., "device_info": ..., "application_info": ...},
        {"source_info": {"channel": "server_to_server"}},
        {"source_info": {"channel": "pixel"}},
        {"source_info": None, "application_info": {"os": "MobileWeb"}},
        {"device_info": {"platform": "desktop"}},
    ],
)
def test_everything_else_is_web(shop: Any, changes: dict[str, Any]) -> None:
    payload = shop.payload(
        shop.message(**changes), event_source_type="feed", require_ip_and_user_agent="never", input="auto"
    )
    assert payload.form is Form.LEGACY


def test_the_setting_beats_the_signs(shop: Any) -> None:
    feed = with_sign(shop, "source_info.channel.partner", shop.message())
    assert shop.payload(feed, input="web", event_source_type="feed").form is Form.LEGACY
    assert shop.payload(shop.message(), **OFFLINE).form is Form.OFFLINE


# Section 2: identity types in every spelling


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("Customer ID", "customer_id"),
        ("customer_id", "customer_id"),
        ("customerid", "customer_id"),
        ("CUSTOMERID", "customer_id"),
        ("customer", "customer_id"),
        ("Mobile Number", "mobile_number"),
        ("mobile_number", "mobile_number"),
        ("mobilenumber", "mobile_number"),
        ("Email", "email"),
        ("Other", "other"),
        ("Other 2", "other_id_2"),
        ("Other2", "other_id_2"),
        ("other2", "other_id_2"),
        ("other_id_2", "other_id_2"),
        ("otheruserid2", "other_id_2"),
        ("Other 10", "other_id_10"),
        ("other_id_10", "other_id_10"),
        ("facebookcustomaudienceid", "facebook_custom_audience_id"),
        ("Facebook Custom Audience ID", "facebook_custom_audience_id"),
        ("phone_number_2", "phone_number_2"),
        ("Phone Number 3", "phone_number_3"),
    ],
)
def test_identity_types_are_known_in_every_spelling(shop: Any, written: str, name: Any) -> None:
    assert identity_type(written) == name
    for identities in ([{"identity_type": written, "identity": "abc"}], {written: "abc"}):
        body = shop.body(shop.message(user_identities=identities), external_identity_type=name, **WEB)
        assert body["user"]["external_id"] == [digest("abc")]


def test_each_identity_type_is_a_setting(shop: Any) -> None:
    identities = shop.identities(
        email="a@example.com", other="B@Example.com", other_id_3="c-3", phone_number_2="+12125550143", customer_id="d"
    )
    user = shop.body(
        shop.message(user_identities=identities),
        email_identity_type="other",
        external_identity_type="other_id_3",
        phone_identity_type="phone_number_2",
        **WEB,
    )["user"]
    assert user["email"] == [digest("b@example.com")]
    assert user["external_id"] == [digest("c-3")]
    assert user["phone"] == [digest("+12125550143")]


def test_a_type_that_comes_twice_gives_its_newest_value(shop: Any) -> None:
    identities = [
        {"identity_type": "email", "identity": "new@example.com", "timestamp_unixtime_ms": "1718000000002"},
        {"identity_type": "email", "identity": "old@example.com", "timestamp_unixtime_ms": "1718000000001"},
    ]
    assert shop.user(shop.message(user_identities=identities))["email"] == [digest("new@example.com")]


# Section 3: event_id


@pytest.mark.parametrize(
    ("own", "made", "sent"),
    [
        ("70f1f6aa", "6644", "70f1f6aa"),
        ("70f1f6aa", ..., "70f1f6aa"),
        (None, "6644003854898401924", "6644003854898401924"),
        ("", 6644003854898401924, "6644003854898401924"),
        (..., -7778608565459706417, "-7778608565459706417"),
        (..., "-7778608565459706417", "-7778608565459706417"),
        (12345, "6644", "12345"),
    ],
)
@pytest.mark.parametrize("settings", [{}, WEB, OFFLINE])
def test_source_message_id_comes_before_event_id(
    shop: Any, own: Any, made: Any, sent: str, settings: dict[str, Any]
) -> None:
    payload = shop.payload(shop.message(shop.event(source_message_id=own, event_id=made)), **settings)
    assert payload.event_id == sent
    assert json.loads(payload.body)["event_id"] == sent


@pytest.mark.parametrize("nothing", [..., None, ""])
def test_without_ids_the_id_is_a_digest_of_the_events_own_content(shop: Any, nothing: Any) -> None:
    ids = {"source_message_id": nothing, "event_id": nothing}
    event = shop.event(**ids)
    first = shop.payload(shop.message(event))
    assert first.event_id
    assert "derived_event_id" in first.notes
    turned = {"data": dict(reversed(event["data"].items())), "event_type": "commerce_event"}
    again = shop.message(turned, batch_id="99", message_id="other", timestamp_unixtime_ms="1718900999999")
    assert shop.payload(again, **WEB).event_id == first.event_id
    entries = shop.entries(shop.message(shop.event("checkout"), event))
    assert entries[1].event_id == first.event_id
    assert shop.payload(shop.message(shop.event(**ids, total=131.13))).event_id != first.event_id
    later = shop.event(**ids, timestamp_unixtime_ms="1718900123457")
    assert shop.payload(shop.message(later)).event_id != first.event_id


# Section 3: time


@pytest.mark.parametrize("given", ["1718900123456", 1718900123456])
def test_the_time_is_iso_8601_in_the_legacy_form_and_integer_seconds_in_2_0(shop: Any, given: Any) -> None:
    message = shop.message(shop.event(timestamp_unixtime_ms=given))
    assert shop.body(message)["timestamp"] == "2024-06-20T16:15:23.456Z"
    for settings in (WEB, OFFLINE):
        seconds = shop.body(message, **settings)["event_time"]
        assert (seconds, type(seconds)) == (1718900123, int)
    assert shop.payload(message).occurred_at_ms == 1718900123456


def test_whole_seconds_keep_their_milliseconds(shop: Any) -> None:
    message = shop.message(shop.event(timestamp_unixtime_ms=1718900123000))
    assert shop.body(message)["timestamp"] == "2024-06-20T16:15:23.000Z"


@pytest.mark.parametrize("given", [..., None, "", "yesterday", 0, "0", -1])
def test_the_time_of_the_batch_never_stands_in(shop: Any, given: Any) -> None:
    message = shop.message(shop.event(timestamp_unixtime_ms=given))
    assert shop.outcome(message)[:2] == ("rejected", "missing_timestamp")


# Section 3: ip and user agent


@pytest.mark.parametrize(
    "ip", ["203.0.113.24", "8.8.8.8", "198.51.100.1", "192.0.2.9", "2001:db8::1", "2606:4700:4700::1111"]
)
def test_a_public_ip_is_sent_in_clear(shop: Any, ip: str) -> None:
    message = shop.message(ip=ip)
    assert shop.body(message)["context"]["ip"] == ip
    assert shop.body(message, **WEB)["user"]["ip"] == ip
    assert shop.body(message, **OFFLINE)["user"]["ip"] == ip


@pytest.mark.parametrize(
    "ip",
    ["10.1.2.3", "172.16.0.1", "172.31.255.255", "192.168.1.1", "127.0.0.1", "169.254.1.1", "100.64.0.1", "0.0.0.0"]
    + ["::1", "fe80::1", "fd00::1", "::", "999.1.1.1", "1.2.3", "1.2.3.4.5", "example.com", "203.0.113.24:80", "x"],
)
def test_a_private_or_malformed_ip_is_left_out(shop: Any, ip: str) -> None:
    payload = shop.payload(shop.message(ip=ip), **WEB)
    assert "ip" not in json.loads(payload.body)["user"]
    assert {"invalid_ip", "weakly_matchable"} <= set(payload.notes)
    assert shop.outcome(shop.message(ip=ip))[:2] == ("rejected", "missing_ip")


def test_the_user_agent_is_sent_in_clear(shop: Any) -> None:
    assert shop.body(shop.message())["context"]["user_agent"] == shop.user_agent
    assert shop.body(shop.message(), **WEB)["user"]["user_agent"] == shop.user_agent
    assert shop.body(shop.message(), **OFFLINE)["user"]["user_agent"] == shop.user_agent


LACKING = [
    ({"ip": ...}, "missing_ip"),
    ({"ip": None}, "missing_ip"),
    ({"ip": ""}, "missing_ip"),
    ({"device_info": ...}, "missing_user_agent"),
    ({"device_info": None}, "missing_user_agent"),
    ({"device_info": {"platform": "web", "http_header_user_agent": ""}}, "missing_user_agent"),
]


@pytest.mark.parametrize(("changes", "reason"), LACKING)
def test_by_default_only_legacy_events_need_ip_and_user_agent(shop: Any, changes: dict[str, Any], reason: str) -> None:
    message = shop.message(**changes)
    assert shop.outcome(message)[:2] == ("rejected", reason)
    assert "weakly_matchable" in shop.payload(message, **WEB).notes
    assert shop.payload(message, **OFFLINE)


@pytest.mark.parametrize(("changes", "reason"), LACKING)
def test_the_setting_turns_the_requirement_either_way(shop: Any, changes: dict[str, Any], reason: str) -> None:
    message = shop.message(**changes)
    for form in ({}, WEB):
        assert shop.outcome(message, require_ip_and_user_agent="always", **form)[:2] == ("rejected", reason)
        assert shop.payload(message, require_ip_and_user_agent="never", **form)


# Section 4: identifiers


@pytest.mark.parametrize(
    ("phone", "number"),
    [
        ("+12125550142", "+12125550142"),
        ("+1 (212) 555-0142", "+12125550142"),
        ("1-212-555-0142", None),
        ("+44 (0)20 7946 0018", "+442079460018"),
        ("+15555555555", "+15555555555"),
        ("800-555-1111", None),
        ("12345", None),
        ("+1", None),
        ("call me", None),
    ],
)
def test_a_phone_becomes_e_164_or_is_left_out_and_counted(shop: Any, phone: str, number: str | None) -> None:
    payload = shop.payload(shop.message(user_identities=shop.identities(mobile_number=phone)), **WEB)
    sent = json.loads(payload.body)["user"].get("phone")
    assert sent == (None if number is None else [digest(number)])
    assert ("unusable_phone" in payload.notes) is (number is None)


@pytest.mark.parametrize(
    ("region", "phone", "number"),
    [
        ("US", "800-555-1111", "+18005551111"),
        ("US", "1-212-555-0142", "+12125550142"),
        ("us", "(212) 555-0142", "+12125550142"),
        ("GB", "020 7946 0018", "+442079460018"),
        ("GB", "00 44 20 7946 0018", "+442079460018"),
        ("US", "+442079460018", "+442079460018"),
        ("DE", "030 123456", "+4930123456"),
    ],
)
def test_the_default_region_completes_national_phones(shop: Any, region: str, phone: str, number: str) -> None:
    message = shop.message(user_identities=shop.identities(mobile_number=phone))
    assert shop.body(message, default_phone_region=region, **WEB)["user"]["phone"] == [digest(number)]


@pytest.mark.parametrize(("case", "sent"), [("keep", "Cust-A"), ("lower", "cust-a")])
def test_the_case_of_external_ids_is_a_setting(shop: Any, case: str, sent: str) -> None:
    message = shop.message(user_identities=shop.identities(customer_id=" Cust-A "))
    assert shop.body(message, external_id_case=case, **WEB)["user"]["external_id"] == [digest(sent)]


def test_identifiers_are_text_in_legacy_and_lists_in_2_0(shop: Any) -> None:
    legacy = shop.body(shop.message())["context"]["user"]
    assert legacy["email"] == digest("ada.lovelace@example.com")
    assert legacy["phone_number"] == digest("+12125550142")
    assert legacy["external_id"] == digest("CUST-00042")
    for settings in (WEB, OFFLINE):
        user = shop.body(shop.message(), **settings)["user"]
        assert user["email"] == [digest("ada.lovelace@example.com")]
        assert user["phone"] == [digest("+12125550142")]
        assert user["external_id"] == [digest("CUST-00042")]


@pytest.mark.parametrize("nobody", [..., None, [], {}])
@pytest.mark.parametrize("settings", [{}, WEB, OFFLINE])
def test_an_anonymous_event_is_sent_and_counted(shop: Any, nobody: Any, settings: dict[str, Any]) -> None:
    payload = shop.payload(shop.message(user_identities=nobody), **settings)
    assert "no_identifier" in payload.notes
    assert payload.match_keys & 7 == 0


# Section 5: user fields


FIELDS = {"first_name", "last_name", "city", "state", "country", "zip_code"}


def test_user_fields_go_with_web_events_of_2_0_only(shop: Any) -> None:
    user = shop.body(shop.message(), **WEB)["user"]
    assert {name: user[name] for name in FIELDS} == {
        "first_name": digest("ada"),
        "last_name": digest("lovelace"),
        "city": "newyork",
        "state": "ny",
        "country": "us",
        "zip_code": "078208096eee07cc032151a47736f76ef0cb6c6f3a39855321f90bbda2187a44",
    }
    assert not FIELDS & set(shop.body(shop.message())["context"]["user"])
    assert not FIELDS & set(shop.body(shop.message(), **OFFLINE)["user"])


def test_a_setting_sends_user_fields_offline_too(shop: Any) -> None:
    user = shop.body(shop.message(), send_user_fields_offline=True, **OFFLINE)["user"]
    assert set(user) >= FIELDS
    assert not FIELDS & set(shop.body(shop.message(), send_user_fields_offline=True)["context"]["user"])


def test_offline_events_have_no_click_id_cookie_locale_and_page(shop: Any) -> None:
    body = shop.body(shop.message(), **OFFLINE)
    assert "page" not in body
    assert set(body["user"]) == {"email", "phone", "external_id", "ip", "user_agent"}


@pytest.mark.parametrize(
    ("attribute", "value", "field", "sent"),
    [
        ("$FirstName", "Ada", "first_name", digest("ada")),
        ("$firstname", "  JOSÉ ", "first_name", digest("josé")),
        ("$FIRSTNAME", "Jean-Luc", "first_name", digest("jeanluc")),
        ("$lastName", "O'Neil", "last_name", digest("oneil")),
        ("$city", "São Paulo", "city", "sãopaulo"),
        ("$City", "東京", "city", "東京"),
        ("$City", "St. John's", "city", "stjohns"),
        ("$state", "CA", "state", "ca"),
        ("$country", "United States", "country", "us"),
        ("$country", "USA", "country", "us"),
        ("$Country", "us", "country", "us"),
        ("$Country", "Germany", "country", "de"),
        ("$country", ["GB"], "country", "gb"),
        ("$zip", "SW1A 1AA", "zip_code", digest("sw1a1aa")),
        ("$Zip", "10016-1234", "zip_code", digest("10016")),
        ("$Zip", "US1234", "zip_code", digest("us1234")),
        ("$Zip", 10016, "zip_code", digest("10016")),
    ],
)
def test_user_attributes_are_found_in_any_case_and_normalised(
    shop: Any, attribute: str, value: Any, field: str, sent: str
) -> None:
    assert shop.user(shop.message(user_attributes={attribute: value}))[field] == sent


def test_the_cookie_and_the_locale_are_sent_beyond_the_specification(shop: Any) -> None:
    user = shop.body(shop.message(), **WEB)["user"]
    assert (user["ttp"], user["locale"]) == ("2ZwCyQbNJ0rFp2n5cH0cBq1nQkT", "en-US")


# Section 6: actions


@pytest.mark.parametrize(
    ("action", "event"),
    [
        ("add_to_cart", "AddToCart"),
        ("add_to_wishlist", "AddToWishlist"),
        ("purchase", "PlaceAnOrder"),
        ("checkout", "InitiateCheckout"),
        ("view_detail", "ViewContent"),
    ],
)
def test_five_actions_are_forwarded(shop: Any, action: str, event: str) -> None:
    for settings in ({}, WEB, OFFLINE):
        for spelling in (action, action.upper()):
            payload = shop.payload(shop.message(shop.event(spelling)), **settings)
            assert payload.event == json.loads(payload.body)["event"] == event


def test_the_legacy_form_says_track(shop: Any) -> None:
    assert shop.body(shop.message())["type"] == "track"


def test_add_to_wish_list_is_the_same_action(shop: Any) -> None:
    assert shop.body(shop.message(shop.event("add_to_wish_list")))["event"] == "AddToWishlist"


@pytest.mark.parametrize(
    "action",
    ["refund", "remove_from_cart", "remove_from_wish_list", "remove_from_wishlist", "click", "checkout_option"]
    + ["unknown", "Refund", "something_new", "AddToCart", ""],
)
def test_every_other_action_is_skipped(shop: Any, action: str) -> None:
    for settings in ({}, WEB, OFFLINE):
        kind, reason, detail = shop.outcome(shop.message(shop.event(action)), **settings)
        assert (kind, reason) == ("skipped", "unsupported_action"), settings
        if action in ("refund", "remove_from_cart", "click", "checkout_option", "unknown"):
            assert detail == action, settings


def test_both_spellings_of_an_action_are_counted_as_one(shop: Any) -> None:
    one, other = (shop.outcome(shop.message(shop.event(f"remove_from_{word}"))) for word in ("wish_list", "wishlist"))
    assert one == other


@pytest.mark.parametrize(
    ("data", "detail"),
    [
        ({"promotion_action": {"action": "view", "promotions": []}}, "promotion"),
        ({"product_impressions": [{"product_impression_list": "x", "products": []}]}, "impression"),
        ({}, "none"),
    ],
)
def test_promotions_and_impressions_are_skipped(shop: Any, data: dict[str, Any], detail: str) -> None:
    event = shop.event(product_action=None, **data)
    assert shop.outcome(shop.message(event)) == ("skipped", "unsupported_action", detail)


def test_event_names_override_a_target(shop: Any) -> None:
    names = {"purchase": "Purchase"}
    assert shop.body(shop.message(), event_names=names)["event"] == "Purchase"
    assert shop.body(shop.message(shop.event("checkout")), event_names=names)["event"] == "InitiateCheckout"


@pytest.mark.parametrize("target", ["Purchase", "PlaceAnOrder", "CompletePayment", "purchase"])
@pytest.mark.parametrize("action", ["refund", "Refund", " REFUND "])
def test_a_refund_is_never_mapped_to_a_purchase(shop: Any, action: str, target: str) -> None:
    entry = shop.outcome(shop.message(shop.event("refund")), event_names={action: target})
    assert entry[:2] == ("skipped", "unsupported_action")


# Section 6: currency


@pytest.mark.parametrize(
    ("of_event", "of_action", "sent"),
    [
        ("USD", ..., "USD"),
        ("usd", ..., "USD"),
        (" eur ", ..., "EUR"),
        (..., "gbp", "GBP"),
        (None, "GBP", "GBP"),
        ("", "GBP", "GBP"),
        ("JPY", "GBP", "JPY"),
    ],
)
def test_currency_is_on_the_event_or_on_the_action(shop: Any, of_event: Any, of_action: Any, sent: str) -> None:
    message = shop.message(shop.event(currency_code=of_event, extra={"currency": of_action}))
    for settings in ({}, WEB, OFFLINE):
        assert shop.body(message, default_currency="CHF", **settings)["properties"]["currency"] == sent


@pytest.mark.parametrize("given", [..., None, "", " "])
def test_a_missing_currency_is_the_default_or_left_out_and_counted(shop: Any, given: Any) -> None:
    message = shop.message(shop.event(currency_code=given))
    payload = shop.payload(message, default_currency="eur")
    assert payload.currency == json.loads(payload.body)["properties"]["currency"] == "EUR"
    assert "default_currency" in payload.notes
    payload = shop.payload(message)
    assert "currency" not in json.loads(payload.body)["properties"]
    assert "missing_currency" in payload.notes


def test_a_currency_outside_tiktoks_list_is_sent_and_reported(shop: Any) -> None:
    payload = shop.payload(shop.message(shop.event(currency_code="xaf")), **WEB)
    assert json.loads(payload.body)["properties"]["currency"] == "XAF"
    assert "unlisted_currency" in payload.notes


@pytest.mark.parametrize("given", ["dollars", "US", "U$D", "123"])
def test_what_is_no_currency_is_left_out(shop: Any, given: str) -> None:
    payload = shop.payload(shop.message(shop.event(currency_code=given)))
    assert "currency" not in json.loads(payload.body)["properties"]
    assert "invalid_currency" in payload.notes


# Section 6: value


OLD, NEW = "2.71.2", "2.72.0"
ITEMS = 118.9  # 1 × 89.9 + 2 × 14.5


@pytest.mark.parametrize(
    ("fallback", "total", "sdk", "value"),
    [
        ("missing", 131.12, OLD, 131.12),
        ("missing", "131.12", NEW, 131.12),
        ("missing", ..., NEW, ITEMS),
        ("missing", None, NEW, ITEMS),
        ("missing", "", NEW, ITEMS),
        ("missing", 0, NEW, 0.0),
        ("missing", "0", NEW, 0.0),
        ("missing", 0, ..., 0.0),
        ("missing", 0, OLD, ITEMS),
        ("missing", 0.0, OLD, ITEMS),
        ("missing", "0", OLD, ITEMS),
        ("missing", 0, "2.9.1", ITEMS),
        ("missing", 0, "1.99.9", ITEMS),
        ("missing", 0, "2.100.0", 0.0),
        ("missing", 0, "3.0.0", 0.0),
        ("missing_or_zero", 0, NEW, ITEMS),
        ("missing_or_zero", 0, OLD, ITEMS),
        ("missing_or_zero", ..., NEW, ITEMS),
        ("missing_or_zero", 131.12, NEW, 131.12),
        ("never", 131.12, OLD, 131.12),
        ("never", 0, NEW, 0.0),
        ("never", ..., NEW, None),
        ("never", None, OLD, None),
    ],
)
def test_value_fallback(shop: Any, fallback: str, total: Any, sdk: Any, value: float | None) -> None:
    message = shop.message(shop.event(total=total), sdk_version=sdk)
    for settings in ({}, WEB, OFFLINE):
        payload = shop.payload(message, value_fallback=fallback, **settings)
        sent = json.loads(payload.body)["properties"].get("value")
        assert sent == payload.value == value, settings
        assert ("value_from_items" in payload.notes) is (value == ITEMS), settings
        assert ("missing_value" in payload.notes) is (value is None), settings


def test_a_zero_of_another_sender_is_no_zero_of_the_web_sdk(shop: Any) -> None:
    message = shop.message(shop.event(total=0), sdk_version="1.0.0", source_info={"channel": "server_to_server"})
    assert shop.body(message)["properties"]["value"] == 0.0


@pytest.mark.parametrize("products", [None, [], ...])
def test_without_total_and_products_there_is_no_value(shop: Any, products: Any) -> None:
    payload = shop.payload(shop.message(shop.event(total=None, products=products)))
    assert "value" not in json.loads(payload.body).get("properties", {})
    assert "missing_value" in payload.notes


def test_the_fallback_counts_a_missing_quantity_as_one(shop: Any) -> None:
    products = [shop.product(price="10.00", quantity="2"), shop.product(price=5, quantity=None)]
    assert shop.body(shop.message(shop.event(total=None, products=products)))["properties"]["value"] == 25.0


def test_the_fallback_has_no_noise_of_binary_fractions(shop: Any) -> None:
    products = [shop.product(price=0.1, quantity=1), shop.product(price=0.2, quantity=1)]
    assert b'"value":0.3}' in shop.payload(shop.message(shop.event(total=None, products=products))).body


# Section 6: products


def test_products_become_contents(shop: Any) -> None:
    contents = shop.body(shop.message())["properties"]["contents"]
    assert contents[0] == {
        "price": 89.9,
        "quantity": 1,
        "content_type": "product",
        "content_id": "1077218",
        "content_name": "Trail Running Shoe",
        "content_category": "apparel/shoes",
    }
    assert (contents[1]["price"], contents[1]["quantity"], contents[1]["content_id"]) == (14.5, 2, "2030044")


@pytest.mark.parametrize("settings", [WEB, OFFLINE])
def test_2_0_has_brand_content_ids_and_order_id(shop: Any, settings: dict[str, Any]) -> None:
    properties = shop.body(shop.message(), **settings)["properties"]
    assert [content["brand"] for content in properties["contents"]] == ["Acme", "Acme"]
    assert properties["content_ids"] == ["1077218", "2030044"]
    assert properties["order_id"] == "ORD-100045"


@pytest.mark.parametrize(
    ("given", "sent", "rounded"),
    [
        (1, 1, False),
        (2.0, 2, False),
        ("2", 2, False),
        ("3.0", 3, False),
        (..., 1, False),
        (None, 1, False),
        (0.25, 1, True),
        (1.2, 2, True),
        ("2.5", 3, True),
    ],
)
def test_a_quantity_is_an_integer(shop: Any, given: Any, sent: int, rounded: bool) -> None:
    for settings in ({}, WEB):
        payload = shop.payload(shop.message(shop.event(products=[shop.product(quantity=given)])), **settings)
        quantity = json.loads(payload.body)["properties"]["contents"][0]["quantity"]
        assert (quantity, type(quantity)) == (sent, int)
        assert ("fractional_quantity" in payload.notes) is rounded


# Section 7: custom flags


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("https://ref.example.com/", "https://ref.example.com/"),
        (42, "42"),
        (2.5, "2.5"),
        (True, "true"),
        (["", None, "first", "second"], "first"),
        ([7], "7"),
        ("", None),
        (None, None),
        ([], None),
        ({"a": 1}, None),
    ],
)
def test_a_flag_is_a_text_a_number_a_boolean_or_a_list(shop: Any, value: Any, text: str | None) -> None:
    message = shop.message(shop.event(flags={"TikTok.Referrer": value}))
    assert shop.body(message)["context"]["page"].get("referrer") == text
    assert shop.body(message, **WEB)["page"].get("referrer") == text


def test_flags_go_to_their_places(shop: Any) -> None:
    context = shop.body(shop.message())["context"]
    assert context["page"] == {"url": shop.url, "referrer": shop.referrer}
    assert context["ad"] == {"callback": shop.click_id}
    body = shop.body(shop.message(), **WEB)
    assert body["page"] == {"url": shop.url, "referrer": shop.referrer}
    assert body["user"]["ttclid"] == shop.click_id


def test_a_flag_is_found_in_another_case(shop: Any) -> None:
    message = shop.message(shop.event(flags={"TikTok.URL": ..., "tiktok.url": "http://other.example.com/"}))
    assert shop.body(message)["context"]["page"]["url"] == "http://other.example.com/"
    message = shop.message(shop.event(flags={"tiktok.url": "http://other.example.com/"}))
    assert shop.body(message)["context"]["page"]["url"] == shop.url


@pytest.mark.parametrize("flag", [..., "", None, [], [""], {}, "  "])
def test_page_url_stands_in_for_an_absent_flag(shop: Any, flag: Any) -> None:
    for settings, place in (({}, "context"), (WEB, None)):
        event = shop.event(flags={"TikTok.URL": flag}, page_url="https://shop.example.com/page")
        payload = shop.payload(shop.message(event), **settings)
        body = json.loads(payload.body)
        assert (body[place] if place else body)["page"]["url"] == "https://shop.example.com/page"
        assert "page_url_fallback" in payload.notes
        without = shop.message(shop.event(flags={"TikTok.URL": flag}))
        assert shop.outcome(without, **settings)[:2] == ("rejected", "missing_page_url")


def test_without_any_flags_the_page_url_is_missing(shop: Any) -> None:
    for nothing in (..., None, {}):
        assert shop.outcome(shop.message(shop.event(custom_flags=nothing)))[1] == "missing_page_url"


@pytest.mark.parametrize("url", ["shop.example.com", "ftp://shop.example.com", "//shop.example.com", "httpx://a", 5])
@pytest.mark.parametrize("settings", [{}, WEB])
def test_a_page_url_without_scheme_is_rejected(shop: Any, url: Any, settings: dict[str, Any]) -> None:
    event = shop.event(flags={"TikTok.URL": url}, page_url="https://shop.example.com/page")
    assert shop.outcome(shop.message(event), **settings)[:2] == ("rejected", "invalid_page_url")


def test_an_offline_event_needs_no_page(shop: Any) -> None:
    assert shop.payload(shop.message(shop.event(custom_flags=None)), **OFFLINE)


# Section 7: click id


def sent_click_id(shop: Any, message: Any, **settings: Any) -> tuple[str | None, Any]:
    legacy, track = shop.payload(message, **settings), shop.payload(message, **settings, **WEB)
    ad = json.loads(legacy.body)["context"].get("ad", {}).get("callback")
    assert ad == json.loads(track.body)["user"].get("ttclid")
    assert legacy.match_keys & 8 == track.match_keys & 8 == (8 if ad else 0)
    return ad, legacy.notes


@pytest.mark.parametrize(
    ("flag", "strict", "sent", "note"),
    [
        ("E.C.P.abc", False, "E.C.P.abc", None),
        ("E.C.P.abc", True, "E.C.P.abc", None),
        (" E.C.P.abc ", True, "E.C.P.abc", None),
        ("CqQBabc", False, "CqQBabc", "unusual_click_id"),
        ("CqQBabc", True, None, "invalid_click_id"),
        ("e.c.p.abc", True, None, "invalid_click_id"),
        ("__CLICKID__", False, None, "invalid_click_id"),
        ("null", False, None, "invalid_click_id"),
        ("undefined", False, None, "invalid_click_id"),
        ("", False, None, None),
        (..., False, None, None),
        (["", "E.C.P.list"], False, "E.C.P.list", None),
    ],
)
def test_click_ids(shop: Any, flag: Any, strict: bool, sent: str | None, note: str | None) -> None:
    message = shop.message(shop.event(flags={"TikTok.Callback": flag}))
    found, notes = sent_click_id(shop, message, strict_click_id=strict)
    assert found == sent
    assert {word for word in notes if word.endswith("click_id")} == ({note} if note else set())


@pytest.mark.parametrize(
    ("query", "strict", "sent"),
    [
        ("?ttclid=E.C.P.url", False, "E.C.P.url"),
        ("?a=1&ttclid=E.C.P.url&b=2#top", True, "E.C.P.url"),
        ("?TTCLID=E.C.P.url", False, "E.C.P.url"),
        ("?ttclid=E.C.P.a%2Bb", False, "E.C.P.a+b"),
        ("?ttclid=other", False, "other"),
        ("?ttclid=other", True, None),
        ("?ttclid=__CLICKID__", False, None),
        ("?ttclid=", False, None),
        ("?nottclid=E.C.P.url", False, None),
        ("#ttclid=E.C.P.url", False, None),
    ],
)
def test_an_absent_click_id_is_taken_from_the_page_url(shop: Any, query: str, strict: bool, sent: str | None) -> None:
    for flags, page_url in (
        ({"TikTok.Callback": ..., "TikTok.URL": URL + query}, ...),
        ({"TikTok.Callback": "", "TikTok.URL": ...}, URL + query),
    ):
        message = shop.message(shop.event(flags=flags, page_url=page_url))
        found, notes = sent_click_id(shop, message, strict_click_id=strict)
        assert found == sent
        assert ("click_id_from_url" in notes) is (sent is not None)


def test_the_flag_beats_the_page_url(shop: Any) -> None:
    message = shop.message(shop.event(flags={"TikTok.URL": URL + "?ttclid=E.C.P.url"}))
    assert sent_click_id(shop, message)[0] == shop.click_id


# Section 9: consent


def consent(gdpr: Any = ..., opted_out: Any = ...) -> dict[str, Any]:
    state: dict[str, Any] = {}
    if gdpr is not ...:
        state["gdpr"] = {"Marketing": {"consented": gdpr}}
    if opted_out is not ...:
        state["ccpa"] = {"data_sale_opt_out": {"consented": opted_out}}
    return {"consent_state": state}


@pytest.mark.parametrize(
    ("state", "missing", "reason"),
    [
        (consent(gdpr=True), "drop", None),
        (consent(gdpr=True), "send", None),
        (consent(gdpr=False), "send", "consent_gdpr"),
        (consent(gdpr=False), "drop", "consent_gdpr"),
        (consent(), "send", None),
        (consent(), "drop", "consent_gdpr"),
        ({"consent_state": None}, "drop", "consent_gdpr"),
        ({}, "send", None),
        ({}, "drop", "consent_gdpr"),
        ({"consent_state": {"gdpr": {"analytics": {"consented": False}}}}, "send", None),
        ({"consent_state": {"gdpr": {"analytics": {"consented": True}}}}, "drop", "consent_gdpr"),
    ],
)
def test_gdpr_policy(shop: Any, state: dict[str, Any], missing: Any, reason: str | None) -> None:
    policy = Consent(gdpr_purpose="marketing", gdpr_missing=missing)
    for settings in ({}, WEB, OFFLINE):
        (entry,) = shop.entries(shop.message(**state), consent=policy, **settings)
        assert isinstance(entry, Payload if reason is None else Outcome), settings
        assert getattr(entry, "reason", None) == reason, settings


def test_without_a_purpose_gdpr_is_not_asked(shop: Any) -> None:
    assert shop.payload(shop.message(**consent(gdpr=False)))


@pytest.mark.parametrize(
    ("policy", "opted_out", "sent", "limited"),
    [
        ("drop", True, False, None),
        ("limit", True, True, True),
        ("ignore", True, True, False),
        ("drop", False, True, False),
        ("limit", False, True, False),
        ("drop", None, True, False),
        ("drop", ..., True, False),
    ],
)
@pytest.mark.parametrize("settings", [{}, WEB])
def test_ccpa_policy(
    shop: Any, policy: Any, opted_out: Any, sent: bool, limited: bool | None, settings: dict[str, Any]
) -> None:
    message = shop.message(**consent(opted_out=opted_out))
    if not sent:
        assert shop.outcome(message, consent=Consent(ccpa_opt_out=policy), **settings)[:2] == (
            "skipped",
            "consent_ccpa",
        )
        return
    payload = shop.payload(message, consent=Consent(ccpa_opt_out=policy), **settings)
    assert json.loads(payload.body).get("limited_data_use", False) is limited
    assert ("limited_data_use" in payload.notes) is limited


def test_a_ccpa_opt_out_drops_by_default(shop: Any) -> None:
    assert shop.outcome(shop.message(**consent(opted_out=True)))[1] == "consent_ccpa"


@pytest.mark.parametrize("state", ["yes", 1, [], {"ccpa": {"data_sale_opt_out": {"consented": "true"}}}, {"gdpr": 1}])
def test_consent_that_cannot_be_read_is_no_consent(shop: Any, state: Any) -> None:
    message = shop.message(consent_state=state)
    policy = Consent(gdpr_purpose="marketing")
    assert shop.outcome(message, consent=policy)[:2] == ("rejected", "unreadable_consent")
    assert shop.outcome(message)[:2] == ("rejected", "unreadable_consent")


# Section 9: environment, time window, event types, messages


@pytest.mark.parametrize(
    ("given", "sent"), [("production", 1), (..., 1), (None, 1), ("development", 0), ("unknown", 0)]
)
def test_only_production_is_sent_unless_the_setting_says_so(shop: Any, given: Any, sent: int) -> None:
    message = shop.message(environment=given)
    if sent:
        assert shop.payload(message)
        assert shop.outcome(message, environments=("development",))[:2] == ("skipped", "environment")
    else:
        assert shop.outcome(message) == ("skipped", "environment", given)
        assert shop.payload(message, environments=("production", given))


@pytest.mark.parametrize(
    ("since", "until", "sent"),
    [
        (1718900123456, None, True),
        (1718900123457, None, False),
        (None, 1718900123457, True),
        (None, 1718900123456, False),
        (1718900123456, 1718900123457, True),
        (1718900123456, 1718900123456, False),
        (0, None, True),
        (None, 0, False),
    ],
)
def test_the_time_window_is_half_open(shop: Any, since: int | None, until: int | None, sent: bool) -> None:
    (entry,) = shop.entries(shop.message(), since, until)
    assert isinstance(entry, Payload) is sent
    assert sent or entry.reason == "outside_time_window"


@pytest.mark.parametrize("event_type", ["custom_event", "screen_view", "session_start", "opt_out", "something_new"])
def test_other_event_types_are_skipped(shop: Any, event_type: str) -> None:
    message = shop.message({"event_type": event_type, "data": {"timestamp_unixtime_ms": 1718900123456}})
    kind, reason, detail = shop.outcome(message)
    assert (kind, reason) == ("skipped", "unsupported_event_type")
    assert detail in (event_type, "other")


@pytest.mark.parametrize(
    "event", [None, {"event_type": "commerce_event", "data": None}, {"event_type": "custom_event"}]
)
def test_an_event_without_data_is_skipped_alone(shop: Any, event: Any) -> None:
    entries = shop.entries(shop.message(shop.event(), event, shop.event()))
    assert [getattr(entry, "reason", None) for entry in entries] == [None, "empty_event", None]
    assert [entry.index for entry in entries] == [0, 1, 2]


@pytest.mark.parametrize("broken", [5, "text", [], {"event_type": 5}, {"event_type": "commerce_event", "data": "x"}])
def test_a_broken_event_never_costs_its_batch(shop: Any, broken: Any) -> None:
    first, entry, last = shop.entries(shop.message(shop.event(), broken, shop.event()))
    assert isinstance(first, Payload)
    assert isinstance(last, Payload)
    assert (entry.kind, entry.reason) == ("rejected", "malformed_event")


ALIAS = {"request_type": "alias", "request_id": "r", "data": {"source_mpid": 1, "destination_mpid": 2}}


@pytest.mark.parametrize(
    ("data", "kind", "reason"),
    [
        (b"", "skipped", "empty_message"),
        (b" \n", "skipped", "empty_message"),
        (b"{}", "skipped", "empty_message"),
        (b'{"events":[],"mpid":"1"}', "skipped", "no_events"),
        (b'{"events":null,"mpid":"1"}', "skipped", "no_events"),
        (b'{"user_identities":[],"message_type":"events"}', "skipped", "no_events"),
        (json.dumps(ALIAS).encode(), "skipped", "alias_request"),
        (b'{"event_type":"validation_result","data":{}}', "skipped", "validation_result"),
        (b"not json", "rejected", "unreadable_message"),
        (b'{"events":[', "rejected", "unreadable_message"),
        (b"\xff\xfe{}", "rejected", "unreadable_message"),
        (gzip.compress(b'{"events":[]}', mtime=0)[:-9], "rejected", "unreadable_message"),
        (b"\x1f\x8bnot gzip", "rejected", "unreadable_message"),
        (b"[]", "rejected", "not_a_batch"),
        (b"5", "rejected", "not_a_batch"),
        (b'"text"', "rejected", "not_a_batch"),
        (b"null", "rejected", "not_a_batch"),
        (b'{"hello":"world"}', "rejected", "not_a_batch"),
    ],
)
def test_a_message_without_events_has_its_own_reason(shop: Any, data: bytes, kind: str, reason: str) -> None:
    assert shop.outcome(data)[:2] == (kind, reason)


def test_a_validation_result_among_events_is_skipped(shop: Any) -> None:
    event = {"event_type": "validation_result", "data": {"timestamp_unixtime_ms": "1"}}
    assert shop.outcome(shop.message(event))[:2] == ("skipped", "validation_result")


def test_a_message_may_be_gzip(shop: Any) -> None:
    data = json.dumps(shop.message()).encode()
    assert shop.payload(gzip.compress(data)) == shop.payload(data)


# The order of reasons: from the whole batch to the single event


def test_the_most_general_reason_is_given(shop: Any) -> None:
    refused = {"source_info": {"channel": "native"}, "environment": "development", "ip": None}
    state = consent(gdpr=False, opted_out=True)
    settings: dict[str, Any] = {"consent": Consent(gdpr_purpose="marketing")}
    event = shop.event("refund", timestamp_unixtime_ms=None, custom_flags=None)

    def reason() -> str | None:
        (entry,) = shop.entries(shop.message(event, **refused, **state), 1, 2, **settings)
        return getattr(entry, "reason", None)

    assert reason() == "environment"
    refused.pop("environment")
    assert reason() == "unsupported_input"
    refused.pop("source_info")
    event["event_type"] = "screen_view"
    assert reason() == "unsupported_event_type"
    event["event_type"] = "commerce_event"
    assert reason() == "unsupported_action"
    event["data"]["product_action"]["action"] = "purchase"
    assert reason() == "consent_gdpr"
    state = consent(gdpr=True, opted_out=True)
    assert reason() == "consent_ccpa"
    state = {}
    settings = {}
    assert reason() == "missing_timestamp"
    event["data"]["timestamp_unixtime_ms"] = 5
    assert reason() == "outside_time_window"
    event["data"]["timestamp_unixtime_ms"] = 1
    assert reason() in ("missing_ip", "missing_page_url")


def test_defaults_are_those_of_the_specification() -> None:
    connection = Connection(event_source_id="P")
    assert connection.event_source_type == "legacy_pixel_batch_web"
    assert connection.enable_web_migration is False
    assert connection.email_identity_type == "email"
    assert connection.external_identity_type == "customer_id"
    assert connection.phone_identity_type == "mobile_number"
    assert connection.content_type == "product"
    assert connection.input == "auto"
    assert connection.value_fallback == "missing"
