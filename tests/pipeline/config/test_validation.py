"""What is doubtful or impossible about values that have the right type."""

from collections.abc import Callable

import pycountry
import pytest

from pipeline.config.loader import read_connection
from pipeline.config.validation import REGIONS

Write = Callable[[str], str]


def test_names_of_events_are_taken_in_any_case_and_spacing(write: Write) -> None:
    path = write("event_source_id: A1\nevent_names: {Purchase: purchase, add to cart: Add To Cart, checkout: LEAD}\n")
    connection, _ = read_connection(path, None)
    assert connection.event_names == {"purchase": "Purchase", "add_to_cart": "AddToCart", "checkout": "Lead"}


@pytest.mark.parametrize(
    ("flags", "key", "said"),
    [
        ({"event_names": "{purchase: CompletePayment}"}, "event_names.purchase", "its present name is Purchase"),
        ({"event_names": "{checkout: SubmitForm}"}, "event_names.checkout", "its present name is Lead"),
        ({"event_names": "{view_detail: ClickButton}"}, "event_names.view_detail", "it has no successor"),
        ({"default_currency": "XAF"}, "default_currency", "XAF is not in TikTok's list of currencies"),
        ({"input": "feed", "enable_web_migration": "true"}, "enable_web_migration", "it is for web input"),
        ({"input": "web", "event_source_type": "feed"}, "event_source_type", "it is for feeds"),
        ({"send_user_fields_offline": "true"}, "send_user_fields_offline", "needs a feed and event_source_type: feed"),
        (
            {"input": "feed", "event_source_type": "feed", "require_ip_and_user_agent": "always"},
            "require_ip_and_user_agent",
            "sends offline events only",
        ),
        ({"consent.gdpr_missing": "drop"}, "consent.gdpr_missing", "no purpose is asked for"),
        (
            {"input": "feed", "event_source_type": "feed", "consent.ccpa_opt_out": "limit"},
            "consent.ccpa_opt_out",
            "offline events cannot be limited",
        ),
        ({"environments": "development"}, "environments", "development events are sent as live events"),
        ({"requests_per_second": "10.5"}, "requests_per_second", "of these 10.5 a second 10 are used"),
        ({"requests_per_second": "0.7"}, "requests_per_second", "of these 0.7 a second 0.5 are used"),
    ],
)
def test_what_is_doubtful_is_a_warning(flags: dict[str, str], key: str, said: str) -> None:
    warnings = read_connection(None, {"event_source_id": "A1", **flags}).warnings
    assert [warning.key for warning in warnings] == [key]
    assert said in warnings[0].text


@pytest.mark.parametrize(
    "flags",
    [
        {"input": "web", "enable_web_migration": "true"},
        {"input": "feed", "event_source_type": "web"},
        {"input": "feed", "event_source_type": "feed"},
        # Of both inputs one is not legacy.
        {"event_source_type": "web"},
    ],
)
def test_more_than_50_events_are_allowed_where_events_api_2_may_be_used(flags: dict[str, str]) -> None:
    flags = {"event_source_id": "A1", "max_batch_events": "1000", **flags}
    assert read_connection(None, flags).connection.max_batch_events == 1000


def test_every_region_of_iso_3166_is_known() -> None:
    assert {country.alpha_2 for country in pycountry.countries} | {"XK"} == REGIONS


def test_defaults_written_out_cause_no_warning(write: Write) -> None:
    path = write(
        "event_source_id: A1\ninput: web\nevent_source_type: legacy_pixel_batch_web\nsend_user_fields_offline: false\n"
        "require_ip_and_user_agent: legacy\nconsent: {gdpr_purpose: null, gdpr_missing: send, ccpa_opt_out: drop}\n"
    )
    assert read_connection(path).warnings == []
