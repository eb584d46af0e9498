"""TikTok's published hash vectors, through whole messages.

Sources: bububa/tiktok-business 051f6c0, `model/event/track.go` (official); segmentio/action-destinations 970a17e and
an open CRM connector (the others). All digests were computed again by hand.
"""

from typing import Any

import pytest

EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

VECTORS = [
    ("email", " ALICE_abc@gmail.com ", "848a771458438fc2ec420560d769fb9b9b86851ee338ec56517baabd79d3bb4f"),
    ("phone", "(+1)2133734253", "9f7ec22d72092cd3c0b58726ed9c2d91b92e51a3f29837508fb2948bb22dd2fd"),
    ("external_id", "user_123", "80fba0ae1c48e3978e43e4efc365e14e12ea0c830ba8ba5b9a2dafc7e3f2ab8b"),
    ("phone", "+15555555555", "910a625c4ba147b544e6bd2f267e130ae14c591b6ba9c25cb8573322dedbebd0"),
    ("phone", "+6281234567890", "62397bbd6a8c9ae53bc914a6017300eb6b13af5be20e4cc9ad2dc3d61ecb24cd"),
    ("external_id", "testid123", "481f202262e9c5ccc48d24e60798fadaa5f6ff1f8369f7ab927c04c3aa682a7f"),
]
TYPES = {"email": "email", "phone": "mobile_number", "external_id": "customer_id"}
LEGACY_NAMES = {"email": "email", "phone": "phone_number", "external_id": "external_id"}
HASHED = "b94d27b9934d3e08a52e52d7da7dabfac484efe37a5380ee9088f7ace2efcde9"

JUNK = [
    "",
    " ",
    "-1",
    "0",
    "00000000-0000-0000-0000-000000000000",
    "<nil>",
    "anon",
    "anonymous",
    "false",
    "n/a",
    "na",
] + ["nil", "none", "null", "true", "undefined", "unknown", "{}", "NULL", "Undefined", "N/A", " null "]


@pytest.mark.parametrize(("field", "raw", "digest"), VECTORS)
@pytest.mark.parametrize("form", ["web", "offline"])
def test_published_vectors_in_events_api_2(shop: Any, form: str, field: str, raw: str, digest: str) -> None:
    message = shop.message(user_identities=shop.identities(**{TYPES[field]: raw}))
    assert shop.user(message, form)[field] == [digest]


@pytest.mark.parametrize(("field", "raw", "digest"), VECTORS)
def test_published_vectors_in_the_legacy_form_are_text(shop: Any, field: str, raw: str, digest: str) -> None:
    message = shop.message(user_identities=shop.identities(**{TYPES[field]: raw}))
    assert shop.user(message, "legacy")[LEGACY_NAMES[field]] == digest


@pytest.mark.parametrize(("field", "raw", "digest"), VECTORS)
def test_published_vectors_in_the_object_form_of_identities(shop: Any, field: str, raw: str, digest: str) -> None:
    assert shop.user(shop.message(user_identities={TYPES[field]: raw}))[field] == [digest]


@pytest.mark.parametrize(
    ("field", "attribute", "raw", "digest"),
    [
        ("first_name", "$FirstName", "test", "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"),
        ("last_name", "$LastName", " Doe ", "799ef92a11af918e3fb741df42934f3b568ed2d93ac1df74f1b8d41a27932a6f"),
        ("zip_code", "$Zip", "10016", "078208096eee07cc032151a47736f76ef0cb6c6f3a39855321f90bbda2187a44"),
    ],
)
def test_published_vectors_of_names_and_zip(shop: Any, field: str, attribute: str, raw: str, digest: str) -> None:
    assert shop.user(shop.message(user_attributes={attribute: raw}))[field] == digest


@pytest.mark.parametrize("form", ["legacy", "web", "offline"])
def test_a_value_that_is_hashed_already_passes_in_lower_case(shop: Any, form: str) -> None:
    failed = []
    for field, kind in TYPES.items():
        expected = (LEGACY_NAMES[field], HASHED) if form == "legacy" else (field, [HASHED])
        for given in (HASHED, HASHED.upper(), f" {HASHED}\n"):
            user = shop.user(shop.message(user_identities=shop.identities(**{kind: given})), form)
            if user.get(expected[0]) != expected[1]:
                failed.append((field, given, user))
    assert failed == []


@pytest.mark.parametrize("form", ["legacy", "web", "offline"])
@pytest.mark.parametrize("as_list", [True, False], ids=["list", "object"])
def test_junk_is_never_hashed(shop: Any, forms: Any, form: str, as_list: bool) -> None:
    failed = []
    for junk in JUNK:
        values = dict.fromkeys(TYPES.values(), junk)
        message = shop.message(user_identities=shop.identities(**values) if as_list else values)
        sent = {"email", "phone", "phone_number", "external_id"} & set(shop.user(message, form))
        if sent or "no_identifier" not in shop.payload(message, **forms[form]).notes:
            failed.append((junk, sent))
    assert failed == []


@pytest.mark.parametrize("form", ["legacy", "web", "offline"])
def test_the_hash_of_the_empty_text_is_in_no_payload(shop: Any, forms: Any, form: str) -> None:
    settings = forms[form] | {"send_user_fields_offline": True}
    failed = []
    for blank in ("", " ", "\t\n", "\u00a0", "---", "''", None, [], [""], {}, False):
        message = shop.message(
            user_identities=shop.identities(**dict.fromkeys(("email", "mobile_number"), blank)),
            user_attributes=dict.fromkeys(("$FirstName", "$LastName", "$Zip", "$City", "$State", "$Country"), blank),
            partner_identities={"tiktok_cookie_id": blank},
        )
        if EMPTY in shop.payload(message, **settings).body.decode():
            failed.append(blank)
    assert failed == []


@pytest.mark.parametrize("form", ["legacy", "web", "offline"])
def test_a_blank_external_id_is_not_hashed(shop: Any, forms: Any, form: str) -> None:
    for blank in ("", " ", "\t\n", "\u00a0", None, [], {}, False):
        message = shop.message(user_identities=shop.identities(customer_id=blank))
        assert "external_id" not in shop.payload(message, **forms[form]).body.decode()
