"""The tables: complete, in the spelling in which they are looked up, and sourced."""

import re
from pathlib import Path
from typing import get_args

import pytest

from transforms.connection import IdentityType
from transforms.mapping import tables


def test_there_are_twenty_two_identity_types_and_settings_know_the_same() -> None:
    assert len(tables.IDENTITY_TYPES) == 22
    assert set(tables.IDENTITY_TYPES) == set(get_args(IdentityType))


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("customer_id", "customer_id"),
        ("customerid", "customer_id"),
        ("customer", "customer_id"),
        ("Customer ID", "customer_id"),
        ("CUSTOMER-ID", "customer_id"),
        ("Mobile Number", "mobile_number"),
        ("mobilenumber", "mobile_number"),
        ("Phone Number 2", "phone_number_2"),
        ("other", "other"),
        ("otheruserid", "other"),
        ("Other2", "other_id_2"),
        ("Other 2", "other_id_2"),
        ("other_id_2", "other_id_2"),
        ("otheruserid3", "other_id_3"),
        ("other10", "other_id_10"),
        ("facebookcustomaudienceid", "facebook_custom_audience_id"),
        ("  Email\t", "email"),
        ("other11", None),
        ("device_application_stamp", None),
        ("", None),
    ],
)
def test_an_identity_type_is_known_in_every_spelling(given: str, expected: str | None) -> None:
    assert tables.identity_type(given) == expected


def test_every_identity_type_is_its_own_canonical_spelling() -> None:
    assert len(tables.IDENTITY_TYPES) == 22
    spelled = {name: (name, name.replace("_", " ").title()) for name in tables.IDENTITY_TYPES}
    known = {name: tuple(map(tables.identity_type, spellings)) for name, spellings in spelled.items()}
    assert known == {name: (name, name) for name in tables.IDENTITY_TYPES}


def test_exactly_five_product_actions_are_mapped() -> None:
    assert dict(tables.EVENT_NAMES) == {
        "add_to_cart": "AddToCart",
        "add_to_wishlist": "AddToWishlist",
        "purchase": "PlaceAnOrder",
        "checkout": "InitiateCheckout",
        "view_detail": "ViewContent",
    }
    assert tables.EVENT_NAMES.keys() < set(tables.PRODUCT_ACTIONS)
    assert set(tables.ACTION_SPELLINGS.values()) < set(tables.PRODUCT_ACTIONS)


def test_tiktok_lists_sixty_two_currencies() -> None:
    assert len(tables.CURRENCIES) == 62
    assert all(re.fullmatch("[A-Z]{3}", code) for code in tables.CURRENCIES)


def test_words_that_are_compared_in_lower_case_are_written_so() -> None:
    for words in (
        tables.JUNK_NAMES,
        tables.DUMMY_CLICK_IDS - tables.JUNK,
        tables.APP_PLATFORMS,
        tables.WEB_SDK_CHANNELS,
        tables.PURCHASE_LIKE_EVENTS,
        {tables.FEED_CHANNEL, tables.FEED_OS, tables.FEED_PLATFORM, tables.APP_CHANNEL},
        {*tables.COUNTRY_NAMES, *tables.COUNTRY_NAMES.values(), *tables.STATE_NAMES, *tables.STATE_NAMES.values()},
    ):
        assert {word.lower() for word in words} == set(words)


def test_junk_is_known_as_people_and_languages_write_it() -> None:
    assert {"null", "NULL", "Null", "undefined", "n/a", "N/A", "0", "-1", ""} <= tables.JUNK


def test_every_table_is_used_by_a_rule() -> None:
    own = Path(tables.__file__)
    folders = (own.parent, own.parents[2] / "pipeline")
    rules = "\n".join(path.read_text("utf-8") for folder in folders for path in folder.rglob("*.py") if path != own)
    names = [name for name in vars(tables) if name.isupper() and not name.startswith("_")]
    assert len(names) > 25
    assert [name for name in names if not re.search(rf"\b{name}\b", rules) and not name.endswith("TYPES")] == []


def test_every_table_names_its_source_or_says_that_it_is_ours() -> None:
    text = Path(tables.__file__).read_text("utf-8")
    for paragraph in text.split("\n\n"):
        assigned = re.search(r"^([A-Z][A-Z_]+)\b.*=", paragraph, re.MULTILINE)
        if assigned:
            assert paragraph.lstrip().startswith("#"), f"{assigned[1]} has no comment"
