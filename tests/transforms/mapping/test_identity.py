"""Who an event is about: hashed once for all events of a batch."""

from hashlib import sha256
from typing import Any

import pytest

from transforms.connection import Connection, Consent
from transforms.mapping import identity
from transforms.mapping.identity import hasher
from transforms.model import BatchContext, IdentifiedEvent, MParticleEvent
from transforms.vocabulary import Form, MatchKey, Note

USER_AGENT = "Mozilla/5.0"
BATCH: dict[str, Any] = {
    "identities": {"email": "ada@example.com", "mobile_number": "+12125550142", "customer_id": "C-1"},
    "attributes": {
        "$FirstName": "Ada",
        "$LastName": "King-Noel",
        "$Zip": "10016-1234",
        "$City": "New York",
        "$State": "New York",
        "$Country": "USA",
    },
    "ip": "203.0.113.24",
    "user_agent": USER_AGENT,
    "ttp": "cookie",
    "locale": "en-US",
}
WEB = {"enable_web_migration": True}
OFFLINE = {"input": "feed", "event_source_type": "feed"}


def sha(text: str) -> str:
    return sha256(text.encode()).hexdigest()


def identified(settings: dict[str, Any], **changes: Any) -> IdentifiedEvent:
    """Returns what becomes of an event of a batch with some fields changed."""
    event = MParticleEvent("r", 0, "commerce_event", BatchContext(**{**BATCH, **changes}))
    return hasher(Connection(event_source_id="P", **settings))(event)


def test_a_web_event_of_2_0_carries_everything() -> None:
    event = identified(WEB)
    user = event.user
    assert (user.email, user.phone, user.external_id) == (sha("ada@example.com"), sha("+12125550142"), sha("C-1"))
    assert (user.first_name, user.last_name, user.zip_code) == (sha("ada"), sha("kingnoel"), sha("10016"))
    assert (user.city, user.state, user.country) == ("newyork", "ny", "us")
    assert (user.ip, user.user_agent, user.ttp, user.locale) == ("203.0.113.24", USER_AGENT, "cookie", "en-US")
    assert (event.form, event.notes) == (Form.WEB, ())
    assert event.match_keys == (
        MatchKey.EMAIL | MatchKey.PHONE | MatchKey.EXTERNAL_ID | MatchKey.TTP | MatchKey.IP_AND_USER_AGENT
    )


def test_a_legacy_event_carries_identifiers_and_cookie() -> None:
    user = identified({}).user
    assert [name for name in user.__struct_fields__ if getattr(user, name) is not None] == [
        "email",
        "phone",
        "external_id",
        "ip",
        "user_agent",
        "ttp",
    ]


def test_an_offline_event_carries_no_cookie_and_no_locale() -> None:
    event = identified(OFFLINE)
    assert (event.form, event.user.ttp, event.user.locale, event.user.city) == (Form.OFFLINE, None, None, None)
    assert not event.match_keys & MatchKey.TTP
    named = identified({**OFFLINE, "send_user_fields_offline": True}).user
    assert (named.first_name, named.city, named.ttp, named.locale) == (sha("ada"), "newyork", None, None)


def test_the_input_of_the_batch_decides_unless_the_setting_does() -> None:
    settings = {"enable_web_migration": True, "event_source_type": "feed"}
    assert identified(settings, input="feed").form is Form.OFFLINE
    assert identified(settings, input="web").form is Form.WEB
    assert identified({**settings, "input": "web"}, input="feed").form is Form.WEB


@pytest.mark.parametrize(
    ("identities", "notes"),
    [
        ({}, [Note.NO_IDENTIFIER]),
        ({"email": " ", "mobile_number": "\t", "customer_id": ""}, [Note.NO_IDENTIFIER]),
        ({"email": "null", "customer_id": "C"}, [Note.UNUSABLE_EMAIL]),
        ({"customer_id": "UNDEFINED", "email": "a"}, [Note.UNUSABLE_EXTERNAL_ID]),
        ({"customer_id": "uNdEfInEd", "email": "a"}, [Note.UNUSABLE_EXTERNAL_ID]),
        ({"mobile_number": "212-555-0142", "email": "a"}, [Note.UNUSABLE_PHONE]),
        ({"mobile_number": "0"}, [Note.UNUSABLE_PHONE, Note.NO_IDENTIFIER]),
    ],
)
def test_what_is_left_out_is_noted(identities: dict[str, str], notes: list[Note]) -> None:
    assert list(identified({}, identities=identities).notes) == notes


@pytest.mark.parametrize(
    ("changes", "notes"),
    [
        ({"ip": "10.0.0.1"}, [Note.INVALID_IP, Note.WEAKLY_MATCHABLE]),
        ({"ip": " "}, [Note.WEAKLY_MATCHABLE]),
        ({"ip": None}, [Note.WEAKLY_MATCHABLE]),
        ({"user_agent": None}, [Note.WEAKLY_MATCHABLE]),
        ({"user_agent": "null"}, [Note.WEAKLY_MATCHABLE]),
        ({"user_agent": " "}, [Note.WEAKLY_MATCHABLE]),
        ({"user_agent": "x" * 500}, []),
        ({"ttp": "undefined"}, []),
        ({"ttp": None}, []),
    ],
)
def test_a_web_event_without_address_is_weakly_matchable(changes: dict[str, Any], notes: list[Note]) -> None:
    assert list(identified(WEB, **changes).notes) == notes
    assert Note.WEAKLY_MATCHABLE not in identified({}, **changes).notes


def test_the_settings_choose_the_identity_types() -> None:
    settings = {"email_identity_type": "other", "phone_identity_type": "alias", "external_identity_type": "google"}
    user = identified(settings, identities={"other": "a@b.c", "alias": "+15555555555", "google": "G"}).user
    assert (user.email, user.phone, user.external_id) == (sha("a@b.c"), sha("+15555555555"), sha("G"))


def test_the_case_of_external_ids_is_kept_unless_configured() -> None:
    assert identified({}, identities={"customer_id": " AbC "}).user.external_id == sha("AbC")
    assert identified({"external_id_case": "lower"}, identities={"customer_id": "AbC"}).user.external_id == sha("abc")


def test_hashed_values_pass_in_lower_case() -> None:
    given, passed = "AB12" * 16, "ab12" * 16
    user = identified(
        WEB,
        identities=dict.fromkeys(("email", "mobile_number", "customer_id"), f" {given} "),
        attributes={"$FirstName": given, "$LastName": f" {given}", "$Zip": given},
    ).user
    assert {user.email, user.phone, user.external_id, user.first_name, user.last_name, user.zip_code} == {passed}


def test_the_hash_of_nothing_is_nothing() -> None:
    nothing = sha("")
    for value in (nothing, f" {nothing.upper()} "):
        user = identified(
            WEB,
            identities={"email": value, "mobile_number": value, "customer_id": value},
            attributes={"$FirstName": value, "$LastName": value, "$Zip": value, "$City": "Rome"},
        )
        assert (user.user.email, user.user.phone, user.user.external_id) == (None, None, None)
        assert (user.user.first_name, user.user.last_name, user.user.zip_code) == (None, None, None)
        assert user.notes == (
            Note.UNUSABLE_EMAIL,
            Note.UNUSABLE_PHONE,
            Note.UNUSABLE_EXTERNAL_ID,
            Note.NO_IDENTIFIER,
        )


def test_a_phone_without_country_needs_the_default_region() -> None:
    phone = {"mobile_number": "(212) 555-0142"}
    assert identified({"default_phone_region": "us"}, identities=phone).user.phone == sha("+12125550142")


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ({"$firstname": "Ada"}, sha("ada")),
        ({"$FIRSTNAME": "Ada"}, sha("ada")),
        ({"$firstname": "Eve", "$FirstName": "Ada"}, sha("ada")),
        ({"$FirstName": "Ada", "$firstname": "Eve"}, sha("ada")),
        ({"$FirstName": ["", "Ada", "Eve"]}, sha("ada")),
        ({"$FirstName": 5}, sha("5")),
        ({"$FirstName": True}, None),
        ({"$FirstName": {"first": "Ada"}}, None),
        ({"$FirstName": "none"}, None),
        ({"$FirstName": "José"}, sha("josé")),
        ({"FirstName": "Ada", "$Age": "36"}, None),
        ({**BATCH["attributes"], "$FirstName": ["Ada"]}, sha("ada")),
        ({**BATCH["attributes"], "$City": ["Paris"]}, sha("ada")),
        ({f"a{number}": "x" for number in range(9)} | {"$firstname": "Ada"}, sha("ada")),
    ],
)
def test_attributes_are_found_in_any_case(attributes: dict[str, Any], expected: str | None) -> None:
    assert identified(WEB, attributes=attributes).user.first_name == expected


@pytest.mark.parametrize(
    ("code", "country", "expected"),
    [("10016", None, "10016"), ("10016-1234", "US", "10016"), ("SW1A 1AA", "GB", "sw1a1aa"), ("n/a", "US", None)],
)
def test_a_zip_is_hashed_as_its_country_writes_it(code: str, country: Any, expected: str | None) -> None:
    user = identified(WEB, attributes={"$Zip": code, "$Country": country}).user
    assert user.zip_code == (None if expected is None else sha(expected))


def test_a_place_with_a_nul_in_it_is_not_taken_for_another() -> None:
    first = identified(WEB, attributes={"$City": "a\0b", "$State": "c"}).user
    second = identified(WEB, attributes={"$City": "a", "$State": "b\0c"}).user
    assert (first.city, first.state, second.city, second.state) == ("ab", "c", "a", "bc")


def test_a_world_of_ever_new_places_meets_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(identity, "_MAX_KEPT", 3)
    for number in range(10):
        assert identified(WEB, attributes={"$City": f"New Town {number}"}).user.city == f"newtown{number}"
    assert len(identity._places) <= 3


def test_the_events_of_one_batch_share_one_user() -> None:
    hash_identities = hasher(Connection(event_source_id="P"))
    first, second = BatchContext(**BATCH), BatchContext(**{**BATCH, "has_one_event": True})
    events = [
        MParticleEvent(f"r{index}", index, "commerce_event", batch, event_id=str(index), occurred_at_ms=index)
        for index, batch in enumerate((first, first, second, first, second))
    ]
    a, b, c, d, e = map(hash_identities, events)
    assert a.user is b.user is d.user
    assert c.user is not e.user
    assert a.user == c.user == e.user
    assert [(event.ref, event.index, event.event_id, event.occurred_at_ms) for event in (a, b, c, d, e)] == [
        (f"r{index}", index, str(index), index) for index in range(5)
    ]


def test_a_limited_use_of_data_is_asked_for_after_an_opt_out() -> None:
    settings = {"consent": Consent(ccpa_opt_out="limit")}
    event = identified(settings, ccpa_opted_out=True)
    assert event.limited_data_use
    assert Note.LIMITED_DATA_USE in event.notes
    assert not identified(settings).limited_data_use
    assert not identified({}, ccpa_opted_out=True).limited_data_use
