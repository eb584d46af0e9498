"""What types of keys cannot express: which single values a connection may have, and which pairs are impossible.

Each rule looks at values that already have the right type; it refuses or warns through the report, naming the remedy.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

from pipeline.config.tiktok_events import check_event
from pipeline.config.validate_cases import check_cases
from pipeline.config.validate_mappings import check_mappings, in_own_spelling
from pipeline.errors import Report
from pipeline.wording import plain, shown, suggestion
from transforms.connection import MAX_BATCH_EVENTS, Connection
from transforms.mapping.tables import (
    ACTION_SPELLINGS,
    CURRENCIES,
    ENVIRONMENTS,
    PRODUCT_ACTIONS,
    PURCHASE_LIKE_EVENTS,
)
from transforms.tiktok import Budget, TokenReferenceError, check_api_url, check_proxy_url, parse_reference
from transforms.vocabulary import Form

# fmt: off
# Regions that a phone without country code may be of: ISO 3166-1 alpha-2, and XK (Kosovo), which has a country calling
# code but no entry there. A library knows them too, but loading it takes longer than all the rest of reading a
# connection.
REGIONS = {
    "AD", "AE", "AF", "AG", "AI", "AL", "AM", "AO", "AQ", "AR", "AS", "AT", "AU", "AW", "AX", "AZ", "BA",
    "BB", "BD", "BE", "BF", "BG", "BH", "BI", "BJ", "BL", "BM", "BN", "BO", "BQ", "BR", "BS", "BT", "BV",
    "BW", "BY", "BZ", "CA", "CC", "CD", "CF", "CG", "CH", "CI", "CK", "CL", "CM", "CN", "CO", "CR", "CU",
    "CV", "CW", "CX", "CY", "CZ", "DE", "DJ", "DK", "DM", "DO", "DZ", "EC", "EE", "EG", "EH", "ER", "ES",
    "ET", "FI", "FJ", "FK", "FM", "FO", "FR", "GA", "GB", "GD", "GE", "GF", "GG", "GH", "GI", "GL", "GM",
    "GN", "GP", "GQ", "GR", "GS", "GT", "GU", "GW", "GY", "HK", "HM", "HN", "HR", "HT", "HU", "ID", "IE",
    "IL", "IM", "IN", "IO", "IQ", "IR", "IS", "IT", "JE", "JM", "JO", "JP", "KE", "KG", "KH", "KI", "KM",
    "KN", "KP", "KR", "KW", "KY", "KZ", "LA", "LB", "LC", "LI", "LK", "LR", "LS", "LT", "LU", "LV", "LY",
    "MA", "MC", "MD", "ME", "MF", "MG", "MH", "MK", "ML", "MM", "MN", "MO", "MP", "MQ", "MR", "MS", "MT",
    "MU", "MV", "MW", "MX", "MY", "MZ", "NA", "NC", "NE", "NF", "NG", "NI", "NL", "NO", "NP", "NR", "NU",
    "NZ", "OM", "PA", "PE", "PF", "PG", "PH", "PK", "PL", "PM", "PN", "PR", "PS", "PT", "PW", "PY", "QA",
    "RE", "RO", "RS", "RU", "RW", "SA", "SB", "SC", "SD", "SE", "SG", "SH", "SI", "SJ", "SK", "SL", "SM",
    "SN", "SO", "SR", "SS", "ST", "SV", "SX", "SY", "SZ", "TC", "TD", "TF", "TG", "TH", "TJ", "TK", "TL",
    "TM", "TN", "TO", "TR", "TT", "TV", "TW", "TZ", "UA", "UG", "UM", "US", "UY", "UZ", "VA", "VC", "VE",
    "VG", "VI", "VN", "VU", "WF", "WS", "XK", "YE", "YT", "ZA", "ZM", "ZW",
}
# fmt: on

_ID = re.compile(r"[A-Za-z0-9_-]+")

# A value rule: the value, where it was written, the report → the value to use.
ValueRule = Callable[[Any, str, Report], Any]


def check_values(values: dict[str, Any], places: Mapping[str, str], report: Report) -> None:
    """Checks and normalises single values in place; the bad ones are taken out."""
    for key, rule in _RULES.items():
        if key in values:
            before = len(report.problems)
            values[key] = rule(values[key], places.get(key, ""), report)
            if len(report.problems) > before:
                report.bad_keys.add(key)
                del values[key]
    if "event_names" in values:
        values["event_names"] = _event_names(values["event_names"], places, report)
    if "custom_mappings" in values:
        values["custom_mappings"] = in_own_spelling(values["custom_mappings"])
    check_mappings(values.get("custom_mappings", ()), places, report)
    check_cases(values.get("cases", ()), places, report)


def _access_token(reference: str, where: str, report: Report) -> str:
    try:
        return str(parse_reference(reference))
    except TokenReferenceError as error:
        # Its text names the remedy and repeats nothing that may be a token.
        report.refuse(where, "access_token", str(error).removeprefix("access_token: "))
        return reference


def _identifier(key: str) -> ValueRule:
    def rule(value: str, where: str, report: Report) -> str:
        if not _ID.fullmatch(value):
            text = f"{shown(value)} cannot be one: letters, digits, - and _ only. Copy it from Events Manager."
            report.refuse(where, key, text)
        return value

    return rule


def _environments(values: tuple[str, ...], where: str, report: Report) -> tuple[str, ...]:
    known = []
    for value in values:
        name = next((name for name in ENVIRONMENTS if plain(name) == plain(value)), None)
        if name is None:
            hint = suggestion(value, ENVIRONMENTS)
            text = f"{shown(value)} is no environment of mParticle; one of {', '.join(ENVIRONMENTS)} is needed.{hint}"
            report.refuse(where, "environments", text)
        else:
            known.append(name)
    return tuple(dict.fromkeys(known))


def _currency(value: str, where: str, report: Report) -> str:
    code = value.upper()
    if code in CURRENCIES:
        return code
    # Loading the list costs more than all the rest of reading a connection; it is needed for rare currencies only.
    from pycountry import currencies

    if currencies.get(alpha_3=code) is None:
        hint = suggestion(code, CURRENCIES)
        report.refuse(where, "default_currency", f"{shown(value)} is no currency of ISO 4217, such as EUR.{hint}")
    else:
        text = f"{code} is not in TikTok's list of currencies; it is sent all the same."
        report.warn(where, "default_currency", text)
    return code


def _region(value: str, where: str, report: Report) -> str:
    code = value.upper()
    if code not in REGIONS:
        hint = ' Did you mean "GB"?' if code == "UK" else ""
        text = f"{shown(value)} is no region; two letters of ISO 3166-1 are needed, such as US, GB or BR.{hint}"
        report.refuse(where, "default_phone_region", text)
    return code


def _api_url(value: str, where: str, report: Report) -> str:
    try:
        check_api_url(value)
    except ValueError as error:
        report.refuse(where, "api_url", str(error).removeprefix("api_url: "))
    return value if value.endswith("/") else f"{value}/"


def _proxy_url(value: str, where: str, report: Report) -> str:
    try:
        check_proxy_url(value)
    except ValueError as error:
        report.refuse(where, "proxy_url", str(error).removeprefix("proxy_url: "))
    return value


def _event_names(names: Mapping[str, str], places: Mapping[str, str], report: Report) -> dict[str, str]:
    """Returns the names by canonical action; refuses what mParticle or TikTok does not know."""
    spellings = {plain(name): name for name in PRODUCT_ACTIONS} | {plain(k): v for k, v in ACTION_SPELLINGS.items()}
    known: dict[str, str] = {}
    for written, event in names.items():
        key = f"event_names.{shown(written)[1:-1]}"
        where = places.get(f"event_names.{written}", places.get("event_names", ""))
        action = spellings.get(plain(written))
        if action is None:
            hint = suggestion(written, PRODUCT_ACTIONS)
            report.refuse(where, key, f"no product action of mParticle; one of {', '.join(PRODUCT_ACTIONS)}.{hint}")
        elif action in known:
            report.refuse(where, key, f"{action} is named twice in two spellings; remove one of the two.")
        elif (action == "refund" or action.startswith("remove_")) and plain(event) in PURCHASE_LIKE_EVENTS:
            text = f"a {action} must never be reported as the order {event}; remove the line: it is skipped then."
            report.refuse(where, key, text)
        else:
            known[action] = check_event(event, where, key, report)
    return known


_RULES: dict[str, ValueRule] = {
    "event_source_id": _identifier("event_source_id"),
    "access_token": _access_token,
    "environments": _environments,
    "default_currency": _currency,
    "default_phone_region": _region,
    "test_event_code": _identifier("test_event_code"),
    "api_url": _api_url,
    "proxy_url": _proxy_url,
}


def check_pairs(connection: Connection, places: Mapping[str, str], report: Report) -> None:
    """Refuses impossible pairs and warns of settings that have no effect. Pairs with a bad key are left alone."""
    forms = possible_forms(connection)
    if forms == {Form.LEGACY} and not {"max_batch_events", "input", "event_source_type"} & report.bad_keys:
        limit = MAX_BATCH_EVENTS[Form.LEGACY]
        if (connection.max_batch_events or 0) > limit:
            report.refuse(
                places["max_batch_events"],
                "max_batch_events",
                f"{connection.max_batch_events} is above the limit of the legacy endpoint ({limit}), and this "
                "connection sends only there. Lower it, or use Events API 2.0: enable_web_migration: true (web), "
                "event_source_type: web (feeds).",
            )
    for key, changed, effective, text in _dependent(connection, forms):
        if key in places and changed and not effective and not {key, "input"} & report.bad_keys:
            report.warn(places[key], key, f"this has no effect: {text}")
    if connection.consent.ccpa_opt_out == "limit" and Form.OFFLINE in forms:
        report.warn(
            places.get("consent.ccpa_opt_out", ""),
            "consent.ccpa_opt_out",
            "offline events cannot be limited; after an opt-out they are dropped.",
        )
    budget = Budget(connection.requests_per_second)
    if budget.used != connection.requests_per_second:
        report.warn(
            places.get("requests_per_second", ""),
            "requests_per_second",
            f"whole seconds hold whole requests, so of these {connection.requests_per_second:g} a second "
            f"{budget.used:.3g} are used.",
        )
    if "development" in connection.environments and connection.test_event_code is None:
        report.warn(
            places.get("environments", ""),
            "environments",
            "development events are sent as live events; set test_event_code to keep them apart.",
        )


def possible_forms(connection: Connection) -> set[Form]:
    """Returns the request forms that may go out, as the inputs allow."""
    sources = ("web", "feed") if connection.input == "auto" else (connection.input,)
    return {connection.form(source) for source in sources}


def _dependent(connection: Connection, forms: set[Form]) -> list[tuple[str, bool, bool, str]]:
    """Returns the settings that depend on others: key, whether it is changed, whether it can matter, why it cannot."""
    required = connection.require_ip_and_user_agent
    return [
        (
            "enable_web_migration",
            connection.enable_web_migration,
            connection.input != "feed",
            "it is for web input, and input is feed.",
        ),
        (
            "event_source_type",
            connection.event_source_type != "legacy_pixel_batch_web",
            connection.input != "web",
            "it is for feeds, and input is web.",
        ),
        (
            "send_user_fields_offline",
            connection.send_user_fields_offline,
            Form.OFFLINE in forms,
            "nothing is sent with event_source offline; that needs a feed and event_source_type: feed.",
        ),
        (
            "require_ip_and_user_agent",
            required != "legacy",
            forms != {Form.OFFLINE},
            "it is about web events, and this connection sends offline events only.",
        ),
        (
            "consent.gdpr_missing",
            connection.consent.gdpr_missing != "send",
            connection.consent.gdpr_purpose is not None,
            "no purpose is asked for; set consent.gdpr_purpose.",
        ),
    ]
