"""A connection from a YAML file and from flags."""

from collections.abc import Callable
from pathlib import Path

import msgspec
import pycountry
import pytest

from pipeline.config.loader import read_connection
from pipeline.config.validation import REGIONS
from pipeline.errors import ConfigurationError, Finding
from transforms.connection import Connection, Consent

# Looks like a secret in every respect; must never come back in a message.
CANARY = "act.CanaryCanary4f1d9e0b"

Write = Callable[[str], str]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Writes a connection file and returns its name, relative to the current folder."""
    monkeypatch.chdir(tmp_path)

    def write(text: str) -> str:
        (tmp_path / "connection.yaml").write_text(text, "utf-8")
        return "connection.yaml"

    return write


def problems(path: str | None, flags: dict[str, str] | None = None) -> list[Finding]:
    with pytest.raises(ConfigurationError) as caught:
        read_connection(path, flags)
    return list(caught.value.problems)


def test_every_key_can_be_written_in_the_file(write: Write) -> None:
    path = write(
        """
access_token: env:TIKTOK_TOKEN
event_source_id: A1T8T4UYGVIQA8ORZMX9
input: feed
event_source_type: Feed
enable_web_migration: false
email_identity_type: Other 2
external_identity_type: Customer ID
phone_identity_type: phone_number_2
content_type: product_group
event_names: {purchase: Purchase, Add To Cart: AddToCart}
default_currency: eur
default_phone_region: NO
value_fallback: missing_or_zero
external_id_case: lower
strict_click_id: yes
require_ip_and_user_agent: legacy
send_user_fields_offline: true
environments: [production, Development]
consent: {gdpr_purpose: marketing, gdpr_missing: drop, ccpa_opt_out: ignore}
test_event_code: TEST04030
partner_name: AcmePartner
requests_per_second: 20
max_batch_events: 200
max_request_bytes: 500_000
max_wait_secs: 2.5
retry_secs: 60
connect_timeout_secs: 3
read_timeout_secs: 10
max_in_flight: 4
gzip_requests: on
api_url: http://127.0.0.1:8080/open_api/v1.3
codes: {40050: success}
"""
    )
    connection, warnings = read_connection(path)
    assert warnings == []
    assert connection == Connection(
        access_token="env:TIKTOK_TOKEN",
        event_source_id="A1T8T4UYGVIQA8ORZMX9",
        input="feed",
        event_source_type="feed",
        enable_web_migration=False,
        email_identity_type="other_id_2",
        external_identity_type="customer_id",
        phone_identity_type="phone_number_2",
        content_type="product_group",
        event_names={"purchase": "Purchase", "add_to_cart": "AddToCart"},
        default_currency="EUR",
        default_phone_region="NO",
        value_fallback="missing_or_zero",
        external_id_case="lower",
        strict_click_id=True,
        require_ip_and_user_agent="legacy",
        send_user_fields_offline=True,
        environments=("production", "development"),
        consent=Consent(gdpr_purpose="marketing", gdpr_missing="drop", ccpa_opt_out="ignore"),
        test_event_code="TEST04030",
        partner_name="AcmePartner",
        requests_per_second=20.0,
        max_batch_events=200,
        max_request_bytes=500_000,
        max_wait_secs=2.5,
        retry_secs=60.0,
        connect_timeout_secs=3.0,
        read_timeout_secs=10.0,
        max_in_flight=4,
        gzip_requests=True,
        api_url="http://127.0.0.1:8080/open_api/v1.3/",
        codes={40050: "success"},
    )


def test_every_key_can_be_given_as_a_flag() -> None:
    flags = {
        "access_token": "file:/etc/secrets/tiktok",
        "event_source_id": "A1T8T4UYGVIQA8ORZMX9",
        "enable_web_migration": "true",
        "event_names": "{purchase: Purchase}",
        "environments": "production, development",
        "consent": "{gdpr_purpose: marketing, ccpa_opt_out: limit}",
        "consent.gdpr_missing": "drop",
        "codes": "{40050: success}",
        "test_event_code": "TEST1",
        "max_batch_events": "1000",
    }
    connection, warnings = read_connection(None, flags)
    assert warnings == []
    assert connection == Connection(
        access_token="file:/etc/secrets/tiktok",
        event_source_id="A1T8T4UYGVIQA8ORZMX9",
        enable_web_migration=True,
        event_names={"purchase": "Purchase"},
        environments=("production", "development"),
        consent=Consent(gdpr_purpose="marketing", gdpr_missing="drop", ccpa_opt_out="limit"),
        codes={40050: "success"},
        test_event_code="TEST1",
        max_batch_events=1000,
    )


def test_a_flag_wins_over_the_file(write: Write) -> None:
    path = write("event_source_id: FROMFILE\nevent_names: {purchase: Purchase, checkout: InitiateCheckout}\n")
    flags = {"event_source_id": "FROMFLAG", "event_names": "{purchase: CompletePayment}"}
    connection = read_connection(path, flags).connection
    assert connection.event_source_id == "FROMFLAG"
    assert connection.event_names == {"purchase": "CompletePayment"}


def test_a_flag_may_repair_a_bad_value_of_the_file(write: Write) -> None:
    path = write("event_source_id: A1\ninput: wbe\n")
    assert read_connection(path, {"input": "web"}).connection.input == "web"


@pytest.mark.parametrize("flags", [{"consent.ccpa_opt_out": "limit"}, {"consent": "{ccpa_opt_out: limit}"}])
def test_a_flag_for_one_consent_key_keeps_the_others_of_the_file(write: Write, flags: dict[str, str]) -> None:
    path = write("event_source_id: A1\nconsent: {gdpr_purpose: marketing, ccpa_opt_out: drop}\n")
    consent = read_connection(path, flags).connection.consent
    assert consent == Consent(gdpr_purpose="marketing", ccpa_opt_out="limit")


def test_null_takes_the_default(write: Write) -> None:
    path = write(
        "event_source_id: A1\ntest_event_code: TEST1\ndefault_currency:\nevent_names:\n  # purchase: Purchase\n"
    )
    connection = read_connection(path, {"test_event_code": "null"}).connection
    assert connection == Connection(event_source_id="A1")


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


def test_all_problems_are_told_at_once_in_the_order_of_the_file(write: Write) -> None:
    path = write(
        "input: wbe\n"
        "event_sorce_id: A1\n"
        "consent:\n"
        "  gdpr_missing: dorp\n"
        "max_batch_events: many\n"
        "strict_click_id: maybe\n"
        "environments: {}\n"
    )
    found = [(finding.where, finding.key) for finding in problems(path)]
    assert found == [
        ("connection.yaml", "event_source_id"),
        ("connection.yaml:1:8", "input"),
        ("connection.yaml:2:1", "event_sorce_id"),
        ("connection.yaml:4:17", "consent.gdpr_missing"),
        ("connection.yaml:5:19", "max_batch_events"),
        ("connection.yaml:6:18", "strict_click_id"),
        ("connection.yaml:7:15", "environments"),
    ]


def test_a_problem_is_one_line_with_place_value_what_is_allowed_and_the_nearest(write: Write) -> None:
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
        ("proxy_url: proxy.example:3128", "write http://HOST:PORT or https://HOST:PORT"),
        ("proxy_url: http://me:pw@proxy.example:3128", "set HTTPS_PROXY on the workers"),
        ('ca_file: ""', "ca_file"),
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
def test_a_wrong_value_is_refused_with_its_remedy(write: Write, written: str, said: str) -> None:
    (problem,) = problems(write(f"event_source_id: A1\n{written}\n"))
    assert problem.where.startswith("connection.yaml:2:")
    assert said in str(problem)


def test_names_of_events_are_taken_in_any_case_and_spacing(write: Write) -> None:
    path = write("event_source_id: A1\nevent_names: {Purchase: purchase, add to cart: Add To Cart, checkout: LEAD}\n")
    connection, _ = read_connection(path, None)
    assert connection.event_names == {"purchase": "Purchase", "add_to_cart": "AddToCart", "checkout": "Lead"}


def test_endless_nesting_is_refused(write: Write) -> None:
    problem, *_ = problems(write("a: " + "[" * 20_000))
    assert "nested deeper than any setting" in str(problem)


def test_flags_are_refused_by_their_name() -> None:
    found = problems(None, {"event_source_id": "A1", "inptu": "web", "consent.gdpr_missing": "dorp"})
    assert [str(problem) for problem in found] == [
        '--consent.gdpr_missing: "dorp" is not allowed; one of drop, send is needed. Did you mean "drop"?',
        '--inptu: unknown flag. Did you mean "input"?',
    ]


def test_a_missing_id_names_key_and_flag(write: Write) -> None:
    (problem,) = problems(write("input: web\n"))
    assert "Write `event_source_id: A1T8T4UYGVIQA8ORZMX9`" in problem.text
    assert "--event_source_id A1T8T4UYGVIQA8ORZMX9" in problem.text


@pytest.mark.parametrize(
    ("text", "where", "said"),
    [
        ("event_source_id: A1\nevent_source_id: A2\n", "2:1", "this key occurs twice, first at connection.yaml:1:1"),
        ("event_source_id: A1\ninput: 'web\n", "3:1", "this is not YAML"),
        ("event_source_id: A1\n\tinput: web\n", "2:1", "this is not YAML"),
        ("event_source_id: A1\n---\ninput: web\n", "2:1", "this is not YAML"),
        ("event_source_id: A1\ninput: !!python/name:os.system web\n", "2:8", "a tag (a word after !) has no meaning"),
        ("event_source_id: A1\n? [a, b]\n: 1\n", "2:3", "a key is a list or a mapping"),
        ("event_source_id: A1\n<<: {input: web}\n", "2:1", "merge keys (<<) have no meaning"),
    ],
    ids=["twice", "quote", "tab", "documents", "tag", "key", "merge"],
)
def test_yaml_that_cannot_be_used_is_refused_with_its_place(write: Write, text: str, where: str, said: str) -> None:
    found = [problem for problem in problems(write(text)) if problem.where == f"connection.yaml:{where}"]
    assert len(found) == 1
    assert said in found[0].text


def test_aliases_cannot_grow_without_bound(write: Write) -> None:
    levels = "".join(f"x{n}: &x{n} [{', '.join([f'*x{n - 1}'] * 9)}]\n" for n in range(1, 30))
    found = problems(write(f"event_source_id: A1\nx0: &x0 [x]\n{levels}"))
    assert {problem.text.split(".")[0] for problem in found} == {"unknown key"}


def test_an_alias_of_what_it_is_part_of_is_refused(write: Write) -> None:
    found = problems(write("event_source_id: A1\nconsent: &a {gdpr_purpose: *a}\n"))
    assert "an alias refers to what it is part of" in found[0].text


def test_an_empty_file_misses_the_id(write: Write) -> None:
    assert [problem.key for problem in problems(write("# nothing yet\n"))] == ["event_source_id"]


def test_a_file_that_is_not_there_is_refused(write: Write) -> None:
    write("")
    assert str(problems("conection.yaml")[0]) == "conection.yaml: cannot be read: No such file or directory."


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "connection.yaml"
    path.write_bytes(b"event_source_id: \xff\n")
    assert "byte 17 is not UTF-8" in problems(str(path))[0].text


def test_a_byte_order_mark_is_harmless(tmp_path: Path) -> None:
    path = tmp_path / "connection.yaml"
    path.write_bytes(b"\xef\xbb\xbfevent_source_id: A1\n")
    assert read_connection(str(path)).connection.event_source_id == "A1"


@pytest.mark.parametrize(
    "text",
    [
        f"access_token: {CANARY}",
        f"access_token: env:{CANARY}",
        f"access_token: [{CANARY}]",
        f"access_token: {{{CANARY}: 1}}",
        f"access_token: *{CANARY}",
        f"access_token: !{CANARY} x",
        f"access_token: '{CANARY}",
        f"access_token: {CANARY}: x",
        f"access_tokn: {CANARY}",
        f"consent: {{access_token: {CANARY}}}",
        f"codes: {{access_token: {CANARY}}}",
        f"event_names: {{access_token: {CANARY}}}",
        f"api_url: https://{CANARY}@example.com/?x=1",
        f"proxy_url: http://{CANARY}@proxy.example:3128",
        CANARY,
    ],
)
def test_a_bare_token_is_refused_and_never_repeated(write: Write, text: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        read_connection(write(f"event_source_id: A1\n{text}\n"))
    assert CANARY not in str(caught.value)
    assert CANARY[4:] not in str(caught.value)


@pytest.mark.parametrize("flag", ["access_token", "acess_token", "consent.access_token"])
def test_a_bare_token_behind_a_flag_is_refused_and_never_repeated(flag: str) -> None:
    found = problems(None, {"event_source_id": "A1", flag: CANARY})
    assert found[0].where == f"--{flag}"
    assert CANARY not in str(found)


def test_a_long_run_of_letters_and_digits_is_not_repeated_either() -> None:
    token = "0123456789abcdef0123456789abcdef01234567"
    assert token not in str(problems(None, {"event_source_id": "A1", "input": token}))


def test_a_connection_shows_the_reference_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIKTOK_TOKEN", CANARY)
    connection = read_connection(None, {"event_source_id": "A1", "access_token": "env:TIKTOK_TOKEN"}).connection
    for text in (repr(connection), str(connection), msgspec.json.encode(connection).decode()):
        assert "env:TIKTOK_TOKEN" in text
        assert CANARY not in text


def test_environment_variables_are_not_put_in(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PARTNER", "Acme")
    connection = read_connection(write("event_source_id: A1\npartner_name: $PARTNER\n")).connection
    assert connection.partner_name == "$PARTNER"


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
