"""Values of keys: accepted spellings, and what is refused with its remedy."""

from collections.abc import Callable

import pytest

from pipeline.config.loader import read_connection
from pipeline.errors import Finding

Write = Callable[[str], str]
Problems = Callable[..., list[Finding]]


@pytest.mark.parametrize("written", ["0123", "71234567890", "1e5", "0x1F", "007", "'0123'"])
def test_an_id_that_looks_like_a_number_keeps_its_text(write: Write, written: str) -> None:
    path = write(f"event_source_id: {written}\n")
    assert read_connection(path).connection.event_source_id == written.strip("'")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("Legacy Pixel Batch Web", "legacy_pixel_batch_web"),
        ("legacy_pixel_batch_web", "legacy_pixel_batch_web"),
        ("LEGACY-PIXEL-BATCH-WEB", "legacy_pixel_batch_web"),
        ("Feed", "feed"),
        ("WEB", "web"),
    ],
)
def test_event_source_types_are_accepted_in_any_case_and_spacing(given: str, expected: str) -> None:
    flags = {"event_source_id": "A1", "event_source_type": given}
    assert read_connection(None, flags).connection.event_source_type == expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("Customer ID", "customer_id"),
        ("customerid", "customer_id"),
        ("Other 2", "other_id_2"),
        ("other2", "other_id_2"),
        ("other_id_2", "other_id_2"),
        ("Email", "email"),
        ("Mobile Number", "mobile_number"),
    ],
)
def test_identity_types_are_accepted_in_every_spelling(given: str, expected: str) -> None:
    flags = {"event_source_id": "A1", "external_identity_type": given}
    assert read_connection(None, flags).connection.external_identity_type == expected


@pytest.mark.parametrize(("given", "expected"), [("true", True), ("Yes", True), ("on", True), ("FALSE", False)])
def test_booleans_are_accepted_in_their_usual_spellings(given: str, expected: bool) -> None:
    flags = {"event_source_id": "A1", "enable_web_migration": given}
    assert read_connection(None, flags).connection.enable_web_migration is expected


def test_a_problem_is_one_line_with_place_value_what_is_allowed_and_the_nearest(
    write: Write, problems: Problems
) -> None:
    (problem,) = problems(write("event_source_id: A1\ninput: wbe\n"))
    assert str(problem) == (
        'connection.yaml:2:8: input: "wbe" is not allowed; one of auto, feed, web is needed. Did you mean "web"?'
    )


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("event_sorce_type: web", 'unknown key. Did you mean "event_source_type"?'),
        ("consent: {gdpr_purposes: x}", 'unknown key. Did you mean "gdpr_purpose"?'),
        ("Input: web", 'unknown key. Did you mean "input"?'),
        ("case: []", "unknown key."),
        ("input: [web]", "this is a list, but one of auto, feed, web is needed."),
        ("consent: drop", "this is a single value, but keys and values are needed: gdpr_purpose: …"),
        ("codes: 40050", "this is a single value, but keys and values are needed: {key: value}."),
        ("environments: []", "the list is empty; name at least one value, or remove the key."),
        ("environments: prod", "is no environment of mParticle"),
        ("partner_name: true", "true is a boolean, but text is needed; quote it if it is meant: 'true'."),
        ("partner_name: ''", "the text is empty; give a value, or null for none."),
        ("max_in_flight: 0", '"0" is not allowed; a whole number from 1 up to 64 is needed.'),
        ("max_in_flight: 2.5", '"2.5" is not allowed; a whole number from 1 up to 64 is needed.'),
        ("requests_per_second: 0", '"0" is not allowed; a number above 0 up to 1,000 is needed.'),
        ("requests_per_second: nan", '"nan" is not allowed; a number above 0 up to 1,000 is needed.'),
        ("codes: {x: success}", '"x" is not allowed; a whole number is needed.'),
        ("codes: {40050: sucess}", 'Did you mean "success"?'),
        ("codes: {40050: ~}", "no value is given; give one, or remove the key."),
        ("default_currency: EURO", '"EURO" is no currency of ISO 4217, such as EUR. Did you mean "EUR"?'),
        (
            "default_phone_region: USA",
            '"USA" is no region; two letters of ISO 3166-1 are needed, such as US, GB or BR.',
        ),
        ("default_phone_region: UK", 'Did you mean "GB"?'),
        ("email_identity_type: e-mial", 'Did you mean "email"?'),
        ("test_event_code: TEST 1", "letters, digits, - and _ only"),
        ("api_url: http://example.com/", "use https://; http:// is for loopback addresses only"),
        ("api_url: ftp://example.com/", "write https://HOST/PATH/"),
        ("api_url: https://exa mple.com/", "write https://HOST/PATH/"),
        ('api_url: "https://exa\\tmple.com/"', "write https://HOST/PATH/"),
        ("api_url: https://exa_mple..com/", "write https://HOST/PATH/"),
        ("api_url: https://me:pw@example.com/", "leave out user and password"),
        ("event_names: {purchas: Purchase}", 'Did you mean "purchase"?'),
        ("event_names: {refund: Purchase}", "a refund must never be reported as the order Purchase"),
        ("event_names: {refund: PlaceAnOrder}", "a refund must never be reported as the order PlaceAnOrder"),
        ("event_names: {purchase: Purchas}", 'is no standard event of TikTok. Did you mean "Purchase"?'),
        ("event_names: {checkout: Checkout}", "Checkout is reserved, TikTok turns it into PlaceAnOrder by itself"),
        ("event_names: {checkout: Xyz}", "is no standard event of TikTok; one of AddPaymentInfo, AddToCart"),
        ("event_names: {checkout: Lead, Check Out: Lead}", "checkout is named twice in two spellings"),
        ("max_batch_events: 51", "51 is above the limit of the legacy endpoint (50)"),
    ],
)
def test_a_wrong_value_is_refused_with_its_remedy(write: Write, written: str, said: str, problems: Problems) -> None:
    (problem,) = problems(write(f"event_source_id: A1\n{written}\n"))
    assert problem.where.startswith("connection.yaml:2:")
    assert said in str(problem)
