"""What a batch says about all its events: input, identities, consent, locale, the Web SDK's zeros."""

from collections.abc import Callable
from typing import Any

import pytest

from transforms.mapping import batch_context
from transforms.model import BatchContext, MParticleEvent

Event = Callable[[Any], MParticleEvent]
Context = Callable[..., BatchContext]


@pytest.fixture
def read(batch: dict[str, Any], event: Event) -> Context:
    """Returns the reader of the context of a batch with some fields changed."""
    return lambda **changes: event(batch | changes).batch


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, "web"),
        ({"source_info": {"channel": "javascript"}}, "web"),
        ({"source_info": {"channel": "server_to_server"}}, "web"),
        ({"source_info": {"channel": "partner"}}, "feed"),
        ({"source_info": {"channel": " Partner "}}, "feed"),
        ({"device_info": {"platform": "out_of_band"}}, "feed"),
        ({"application_info": {"os": "OutOfBand"}}, "feed"),
        ({"source_info": {"channel": "native"}}, "app"),
        ({"device_info": {"platform": "iOS"}}, "app"),
        ({"device_info": {"platform": "tvOS"}}, "app"),
        ({"device_info": {"platform": "Android"}, "source_info": {"channel": "server_to_server"}}, "app"),
        ({"device_info": {"platform": "iOS"}, "source_info": {"channel": "partner"}}, "feed"),
        ({"device_info": {"platform": "desktop"}, "application_info": {"os": "Desktop"}}, "web"),
        ({"source_info": {"channel": "web|site"}, "device_info": None, "application_info": None}, "web"),
    ],
)
def test_feed_beats_app_beats_web(read: Context, changes: dict[str, Any], expected: str) -> None:
    assert read(**changes).input == expected


def test_words_are_never_taken_for_others(read: Context) -> None:
    for _ in range(2):  # the second time they are known
        assert read(source_info={"channel": "partner"}, device_info={"platform": "web"}).input == "feed"
        assert read(source_info={"channel": "partner|web"}, device_info={"platform": None}).input == "web"
        assert read(source_info={"channel": "web"}, device_info={"platform": "partner"}).input == "web"


def test_a_sender_of_ever_new_words_meets_a_limit(read: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch_context, "_MAX_KEPT", len(batch_context._read))
    assert read(source_info={"channel": "never seen before"}).input == "web"
    assert not any("never seen before" in words for words in batch_context._read)


def test_the_mark_of_a_feed_may_be_on_any_event_of_the_batch(batch: dict[str, Any], event: Event) -> None:
    marked = {"event_type": "screen_view", "data": {"custom_attributes": {"mParticle Source Feed": "POS"}}}
    plain = {"event_type": "screen_view", "data": {"custom_attributes": {"mParticle Source": "POS"}}}
    assert event(batch | {"events": [*batch["events"], None, {"data": None}, marked]}).batch.input == "feed"
    assert event(batch | {"events": [*batch["events"], plain]}).batch.input == "web"


def test_the_mark_is_found_however_json_writes_it(batch: dict[str, Any], decoded: Callable[[Any], list[Any]]) -> None:
    text = b'{"events":[{"event_type":"x","data":{"custom_attributes":{"mParticle\\u0020Source Feed":"POS"}}}]}'
    assert decoded(text)[0].batch.input == "feed"
    assert decoded(text.replace(b'"POS"', b"null"))[0].batch.input == "web"
    assert decoded(text.replace(b'"POS"', b'" "'))[0].batch.input == "web"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("production", "production"),
        ("Production ", "production"),
        (None, "production"),
        ("", "production"),
        ("development", "development"),
        ("qa", "qa"),
        (5, "unknown"),  # what cannot be read is not taken for production
    ],
)
def test_an_absent_environment_is_production(read: Context, given: Any, expected: str) -> None:
    assert read(environment=given).environment == expected


@pytest.mark.parametrize(
    ("language", "country", "expected"),
    [
        ("en", "US", "en-US"),
        (" EN", "us ", "en-US"),
        ("fil", "PH", "fil-PH"),
        ("de", None, "de"),
        ("de", "Germany", "de"),
        ("de", "Ö1", "de"),
        ("english", "US", None),
        ("é1", "FR", None),
        ("12", "34", None),
        (None, "US", None),
    ],
)
def test_the_locale_is_a_bcp_47_tag(read: Context, language: Any, country: Any, expected: str | None) -> None:
    assert read(device_info={"locale_language": language, "locale_country": country}).locale == expected


@pytest.mark.parametrize(
    ("version", "channel", "expected"),
    [
        ("2.71.2", "javascript", True),
        ("2.9.0", None, True),
        ("v2.71", None, True),
        ("2.72.0", "javascript", False),
        ("2.72", "javascript", False),
        ("2.72.0-rc.1", "javascript", False),
        ("10.0.0", "javascript", False),
        ("2.71.2", "server_to_server", False),
        ("2.x", "javascript", False),
        ("", "javascript", False),
        (None, "javascript", False),
    ],
)
def test_a_web_sdk_before_2_72_writes_0_for_a_missing_total(
    read: Context, version: Any, channel: Any, expected: bool
) -> None:
    batch = read(sdk_version=version, source_info={"channel": channel})
    assert batch.sends_zero_for_missing_total is expected


def test_no_other_sdk_has_these_zeros(read: Context) -> None:
    assert not read(sdk_version="1.0.0", device_info={"platform": "iOS"}).sends_zero_for_missing_total
    assert not read(sdk_version="1.0.0", application_info={"os": "OutOfBand"}).sends_zero_for_missing_total


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([{"identity_type": "email", "identity": "a"}], {"email": "a"}),
        ([{"identity_type": "Customer ID", "identity": "a"}], {"customer_id": "a"}),
        ([{"identity_type": "email", "identity": 5}], {"email": "5"}),
        ([{"identity_type": "email", "identity": 5.5}], {}),
        ([{"identity_type": "email", "identity": None}, None, "text"], {}),
        ([{"identity_type": "email", "identity": "a"}, {"identity_type": "shoe", "identity": "b"}], {"email": "a"}),
        ([{"identity_type": None, "identity": "a"}, {"identity_type": 5, "identity": "b"}, {}], {}),
        (
            {"customerid": "a", "email": " ", "other2": 7, "shoe": "b", "alias": None},
            {"customer_id": "a", "other_id_2": "7"},
        ),
        ({"customer_id": "a", "customer": "null"}, {"customer_id": "a"}),
        ([], {}),
        (None, {}),
        ("text", {}),
    ],
)
def test_both_forms_of_identities_are_read(read: Context, given: Any, expected: dict[str, str]) -> None:
    assert read(user_identities=given).identities == expected


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        ([("a", 2), ("b", 1)], "a"),
        ([("a", "1"), ("b", "2")], "b"),
        ([("a", None), ("b", None)], "b"),
        ([("a", 1), ("b", None)], "a"),
        ([("a", 1), ("b", 1)], "b"),
        ([("a", 1), ("", 2)], "a"),
        ([("a", 1), (None, 2)], "a"),
        ([("a", 1), ("undefined", 2)], "a"),
        ([("undefined", 2), ("a", 1)], "a"),
    ],
)
def test_of_a_type_that_comes_twice_the_newest_real_value_counts(
    read: Context, entries: list[tuple[Any, Any]], expected: str
) -> None:
    identities = [{"identity_type": "email", "identity": value, "timestamp_unixtime_ms": ms} for value, ms in entries]
    assert read(user_identities=identities).identities == {"email": expected}


@pytest.mark.parametrize(
    ("state", "gdpr", "opted_out", "unreadable"),
    [
        (None, {}, False, False),
        ({}, {}, False, False),
        ({"gdpr": None, "ccpa": None}, {}, False, False),
        ({"gdpr": {"Marketing": {"consented": True}}}, {"marketing": True}, False, False),
        ({"gdpr": {"marketing": {"consented": False}}}, {"marketing": False}, False, False),
        ({"gdpr": {"marketing": {}}}, {"marketing": False}, False, False),
        ({"gdpr": {"marketing": None}}, {}, False, False),
        (
            {"gdpr": {"marketing": {"consented": True}, "MARKETING ": {"consented": False}}},
            {"marketing": False},
            False,
            False,
        ),
        ({"ccpa": {"data_sale_opt_out": {"consented": True}}}, {}, True, False),
        ({"ccpa": {"data_sale_opt_out": {"consented": False}}}, {}, False, False),
        ({"ccpa": {"data_sale_opt_out": None}}, {}, False, False),
        ({"ccpa": {"data_sale_opt_out": {}}}, {}, False, False),
        ("yes", {}, False, True),
        ({"gdpr": []}, {}, False, True),
        ({"gdpr": {"marketing": True}}, {}, False, True),
        ({"gdpr": {"marketing": {"consented": "true"}}}, {}, False, True),
        ({"ccpa": {"data_sale_opt_out": {"consented": 1}}}, {}, False, True),
    ],
)
def test_consent_is_read_all_or_nothing(
    read: Context, state: Any, gdpr: dict[str, bool], opted_out: bool, unreadable: bool
) -> None:
    batch = read(consent_state=state)
    assert (batch.gdpr, batch.ccpa_opted_out, batch.consent_unreadable) == (gdpr, opted_out, unreadable)


def test_a_batch_knows_whether_it_has_one_event(batch: dict[str, Any], event: Event) -> None:
    assert event(batch).batch.has_one_event
    assert not event(batch | {"events": batch["events"] * 2}).batch.has_one_event
