"""A connection from a YAML file and from flags."""

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from pipeline.config.loader import read_connection
from pipeline.errors import ConfigurationError, Finding
from transforms.connection import Connection, Consent

# Looks like a secret in every respect; must never come back in a message.
CANARY = "act.CanaryCanary4f1d9e0b"

Write = Callable[[str], str]
Problems = Callable[..., list[Finding]]


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


def test_all_problems_are_told_at_once_in_the_order_of_the_file(write: Write, problems: Problems) -> None:
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


def test_flags_are_refused_by_their_name(problems: Problems) -> None:
    found = problems(None, {"event_source_id": "A1", "inptu": "web", "consent.gdpr_missing": "dorp"})
    assert [str(problem) for problem in found] == [
        '--consent.gdpr_missing: "dorp" is not allowed; one of drop, send is needed. Did you mean "drop"?',
        '--inptu: unknown flag. Did you mean "input"?',
    ]


def test_a_missing_id_names_key_and_flag(write: Write, problems: Problems) -> None:
    (problem,) = problems(write("input: web\n"))
    assert "Write `event_source_id: A1T8T4UYGVIQA8ORZMX9`" in problem.text
    assert "--event_source_id A1T8T4UYGVIQA8ORZMX9" in problem.text


def test_an_empty_file_misses_the_id(write: Write, problems: Problems) -> None:
    assert [problem.key for problem in problems(write("# nothing yet\n"))] == ["event_source_id"]


def test_a_file_that_is_not_there_is_refused(write: Write, problems: Problems) -> None:
    write("")
    assert str(problems("conection.yaml")[0]) == "conection.yaml: cannot be read: No such file or directory."


def test_a_file_that_is_no_text_is_refused(tmp_path: Path, problems: Problems) -> None:
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
def test_a_bare_token_behind_a_flag_is_refused_and_never_repeated(flag: str, problems: Problems) -> None:
    found = problems(None, {"event_source_id": "A1", flag: CANARY})
    assert found[0].where == f"--{flag}"
    assert CANARY not in str(found)


def test_a_long_run_of_letters_and_digits_is_not_repeated_either(problems: Problems) -> None:
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
