"""What a batch says about all its events: who, from where, under which consent. Raw values, not yet judged."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from transforms.mapping import tables, wire
from transforms.mapping.salvage import parse
from transforms.mapping.values import epoch_ms, given, identifier, integer
from transforms.model import BatchContext

_TYPES: Mapping[str | None, str] = {**tables.IDENTITY_TYPE_BY_SPELLING}

# Distinct values kept by each small cache below; platforms, versions and languages are few.
_CACHE = 256


def read_context(batch: wire.Batch, events: list[wire.Event | None], data: bytes) -> BatchContext:
    """Returns what the events of a batch have in common."""
    environment = batch.environment
    if environment != "production":
        # Absent means production. Source: mParticle's JSON reference, `environment`.
        environment = (environment or "").strip().lower() or "production"
    user_agent = locale = platform = None
    device = batch.device_info
    if device is not None:
        platform = device.platform
        user_agent = device.http_header_user_agent
        locale = _locale(device.locale_language, device.locale_country)
    info, application, partners = batch.source_info, batch.application_info, batch.partner_identities
    channel = None if info is None else info.channel
    source = _input(channel, platform, None if application is None else application.os)
    if source != "feed":
        for event in events:
            # Source: the customer's specification, section 2 (custom attribute `mParticle Source Feed`).
            if event is None or event.data is None or event.data.custom_attributes is None:
                continue
            mark = event.data.custom_attributes.source_feed
            if mark is not None and given(mark):
                source = "feed"
    gdpr: dict[str, bool] = {}
    opted_out = unreadable = False
    state = batch.consent_state
    if state is not None:
        gdpr, opted_out, unreadable = _gdpr(state), _opted_out(state), type(state) is wire.BadConsentState
    version = batch.sdk_version
    return BatchContext(
        environment,
        source,
        batch.ip,
        user_agent,
        _identities(batch.user_identities, data) if batch.user_identities else {},
        batch.user_attributes or {},
        gdpr,
        opted_out,
        unreadable,
        None if partners is None else partners.tiktok_cookie_id,
        locale,
        version is not None and source == "web" and _sends_zero(version, channel),
        epoch_ms(batch.timestamp_unixtime_ms),
    )


@lru_cache(_CACHE)
def _input(channel: str | None, platform: str | None, system: str | None) -> str:
    """Returns `feed`, `app` or `web`; feed beats app, app beats web, and `server_to_server` says nothing.

    Source: the customer's specification, section 2.
    """
    channel, platform, system = (_word(word) for word in (channel, platform, system))
    if channel == tables.FEED_CHANNEL or platform == tables.FEED_PLATFORM or system == tables.FEED_OS:
        return "feed"
    return "app" if channel == tables.APP_CHANNEL or platform in tables.APP_PLATFORMS else "web"


def _word(word: str | None) -> str:
    """Returns a word of mParticle's in one spelling: `OutOfBand` and `out_of_band` are the same."""
    return "".join((word or "").split()).lower().replace("_", "")


@lru_cache(_CACHE)
def _sends_zero(sdk_version: str, channel: str | None) -> bool:
    """Says whether the batch is of a Web SDK that wrote a total of 0 when the site gave no revenue."""
    if _word(channel) not in tables.WEB_SDK_CHANNELS:
        return False
    numbers = [
        int(part) if part.isdecimal() else -1
        for part in sdk_version.strip().lower().lstrip("v").split("-")[0].split(".")
    ]
    return min(numbers) >= 0 and tuple(numbers) < tables.FIRST_WEB_SDK_WITH_TOTAL


@lru_cache(_CACHE)
def _locale(language: str | None, country: str | None) -> str | None:
    """Returns a BCP 47 tag such as `en-US`, None if the language does not look like one."""
    language, country = (language or "").strip(), (country or "").strip()
    if not (len(language) in (2, 3) and language.isascii() and language.isalpha()):
        return None
    if len(country) == 2 and country.isascii() and country.isalpha():
        return f"{language.lower()}-{country.upper()}"
    return language.lower()


def _gdpr(state: wire.ConsentState) -> dict[str, bool]:
    """Returns purpose → agreed to. A purpose without a decision counts as refused, as does one refused in any case."""
    agreed: dict[str, bool] = {}
    for purpose, decision in (state.gdpr or {}).items():
        if decision is not None:
            name = purpose.strip().lower()
            agreed[name] = decision.consented is True and agreed.get(name, True)
    return agreed


def _opted_out(state: wire.ConsentState) -> bool:
    """Says whether the person opted OUT of data sale, which is what `consented: true` means there.

    Source: mParticle documentation, "Data privacy controls" ("missing or false: data may flow").
    """
    sale = state.ccpa.data_sale_opt_out if state.ccpa is not None else None
    return sale is not None and sale.consented is True


def _identities(entries: list[wire.Identity | None] | dict[str, Any], data: bytes) -> dict[str, str]:
    """Returns identity type → value, the newest of each type."""
    if type(entries) is list:
        try:
            found = {_TYPES[entry.identity_type]: entry.identity for entry in entries}
        except (AttributeError, KeyError):
            found = {}
        if len(found) == len(entries) and None not in found.values():
            return found
        entries = parse(data)["user_identities"]  # nulls, other spellings, a type twice
    return _newest(entries)


def _newest(entries: list[Any] | dict[str, Any]) -> dict[str, str]:
    """Returns the newest value of each type, the last one if times do not tell; real values before junk.

    A type that comes twice is not documented by mParticle; this is our reading.
    """
    if isinstance(entries, dict):
        entries = [{"identity_type": name, "identity": value} for name, value in entries.items()]
    best: dict[str, tuple[tuple[bool, int], str]] = {}
    for entry in entries:
        if type(entry) is not dict:
            continue
        spelling, text = entry.get("identity_type"), identifier(entry.get("identity"))
        name = tables.identity_type(spelling) if type(spelling) is str else None
        if name is not None and text is not None:
            rank = (text.lower() not in tables.JUNK, integer(entry.get("timestamp_unixtime_ms")) or 0)
            if name not in best or rank >= best[name][0]:
                best[name] = (rank, text)
    return {name: text for name, (_, text) in best.items()}
