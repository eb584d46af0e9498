"""What all events of a batch share: who, from where, under which consent. Raw values, not yet judged."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from transforms.mapping import mparticle_json, tables
from transforms.mapping.lenient_decode import parse_json
from transforms.mapping.values import epoch_ms, given, identifier, integer
from transforms.model import BatchContext

_FEED_ATTRIBUTE = tables.FEED_ATTRIBUTE
_TYPES: Mapping[Any, str] = tables.IDENTITY_TYPE_BY_SPELLING

# Metadata and partners may be absent ("Include Metadata" off).
_NO_DEVICE = mparticle_json.Device()
_NO_SOURCE_INFO = mparticle_json.SourceInfo()
_NO_APPLICATION = mparticle_json.Application()
_NO_PARTNERS = mparticle_json.Partners()

# Channel, platform, operating system, language and country, from which input and locale follow.
_Words = tuple[str | None, str | None, str | None, str | None, str | None]

# Few combinations of them come, and each is looked at once; a sender that invents words all the time meets the limit.
_MAX_KEPT = 10_000
_read: dict[_Words, tuple[str, str | None]] = {}


def read_context(batch: mparticle_json.Batch, events: list[mparticle_json.Event | None], data: bytes) -> BatchContext:
    """Returns what the events of a batch have in common.

    Args:
      batch: the batch, decoded.
      events: its events.
      data: the JSON it was decoded from, for what the types leave out.
    """
    # Absent means production. Source: mParticle's JSON reference, `environment`.
    environment = "production"
    if batch.environment is not None and batch.environment != "production":
        environment = batch.environment.strip().lower() or "production"
    device = batch.device_info or _NO_DEVICE
    info = batch.source_info or _NO_SOURCE_INFO
    system = batch.application_info or _NO_APPLICATION
    words = (info.channel, device.platform, system.os, device.locale_language, device.locale_country)
    source, locale = _read.get(words) or _read_words(words)
    if _is_of_feed(events):
        source = "feed"
    gdpr: dict[str, bool] = {}
    opted_out = unreadable = sends_zero = False
    if batch.consent_state is not None:
        gdpr, opted_out = _gdpr(batch.consent_state), _opted_out(batch.consent_state)
        unreadable = type(batch.consent_state) is mparticle_json.BadConsentState
    if batch.sdk_version is not None and source == "web":
        sends_zero = _sends_zero(batch.sdk_version, info.channel)
    # By position: with names it takes 40 ns more (`tests/mapping/test_fields.py` holds each field to its name).
    return BatchContext(
        environment,
        source,
        batch.ip,
        device.http_header_user_agent,
        _identities(batch.user_identities, data) if batch.user_identities else {},
        batch.user_attributes or {},
        gdpr,
        opted_out,
        unreadable,
        (batch.partner_identities or _NO_PARTNERS).tiktok_cookie_id,
        locale,
        sends_zero,
        epoch_ms(batch.timestamp_unixtime_ms),
        len(events) == 1,
    )


def _is_of_feed(events: list[mparticle_json.Event | None]) -> bool:
    """Returns whether an event has mParticle's mark of a data feed.

    Source: the customer's specification, section 2 (custom attribute `mParticle Source Feed`).
    """
    for event in events:
        if event is not None and event.data is not None:
            attributes: Any = event.data.custom_attributes  # read wholly where custom mappings need them
            if attributes is not None:
                is_whole = attributes.__class__ is dict
                if given(attributes.get(_FEED_ATTRIBUTE) if is_whole else attributes.source_feed):
                    return True
    return False


def _identities(entries: Any, data: bytes) -> dict[str, str]:
    """Returns identity type → value: the newest of each type.

    Args:
      entries: a list as in the outgoing form, or an object as in the inbound form.
      data: the JSON they were decoded from.
    """
    identities: dict[str, str] = {}
    try:
        for entry in entries:
            identities[_TYPES[entry.identity_type]] = entry.identity
    except (AttributeError, KeyError):  # the inbound form, a null entry, another spelling
        pass
    else:
        if len(identities) == len(entries):  # no type twice
            return identities
    return _newest(parse_json(data)["user_identities"] if isinstance(entries, list) else entries)


def _read_words(words: _Words) -> tuple[str, str | None]:
    """Returns input and locale."""
    channel, platform, system, language, country = words
    result = (
        _input(_word(channel), _word(platform), _word(system)),
        _locale((language or "").strip(), (country or "").strip()),
    )
    if len(_read) < _MAX_KEPT:
        _read[words] = result
    return result


def _input(channel: str, platform: str, system: str) -> str:
    """Returns `feed`, `app` or `web`; feed beats app, app beats web, and `server_to_server` means none of them.

    Source: the customer's specification, section 2.
    """
    if channel == tables.FEED_CHANNEL or platform == tables.FEED_PLATFORM or system == tables.FEED_OS:
        return "feed"
    return "app" if channel == tables.APP_CHANNEL or platform in tables.APP_PLATFORMS else "web"


def _word(word: str | None) -> str:
    """Returns a word of mParticle's in one spelling: `OutOfBand` and `out_of_band` are the same."""
    return "".join((word or "").split()).lower().replace("_", "")


def _locale(language: str, country: str) -> str | None:
    """Returns a BCP 47 tag such as `en-US`, None if the language does not look like one."""
    if len(language) not in (2, 3) or not language.isascii() or not language.isalpha():
        return None
    if len(country) != 2 or not country.isascii() or not country.isalpha():
        return language.lower()
    return f"{language.lower()}-{country.upper()}"


@lru_cache(maxsize=1_000)  # few releases come, over and over
def _sends_zero(sdk_version: str, channel: str | None) -> bool:
    """Returns whether the batch is of a Web SDK that wrote a total of 0 when the site gave no revenue."""
    if _word(channel) not in tables.WEB_SDK_CHANNELS:
        return False
    release = sdk_version.strip().lower().removeprefix("v").partition("-")[0]
    numbers = tuple(integer(part) if part.isdecimal() else None for part in release.split("."))
    return None not in numbers and (*numbers, 0, 0) < tables.FIRST_WEB_SDK_WITH_TOTAL


def _gdpr(state: mparticle_json.ConsentState) -> dict[str, bool]:
    """Returns purpose → agreed to. A purpose without a decision counts as refused, as does one refused in any case."""
    agreed: dict[str, bool] = {}
    for purpose, decision in (state.gdpr or {}).items():
        if decision is not None:
            name = purpose.strip().lower()
            agreed[name] = decision.consented is True and agreed.get(name, True)
    return agreed


def _opted_out(state: mparticle_json.ConsentState) -> bool:
    """Returns whether the person opted OUT of data sale, which is what `consented: true` means there.

    Source: mParticle documentation, "Data privacy controls" ("missing or false: data may flow").
    """
    sale = state.ccpa.data_sale_opt_out if state.ccpa is not None else None
    return sale is not None and sale.consented is True


def _newest(entries: list[Any] | dict[str, Any]) -> dict[str, str]:
    """Returns identity type → value: the newest of each type, the last if times do not decide; junk only if need be.

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
            rank = (text not in tables.JUNK, integer(entry.get("timestamp_unixtime_ms")) or 0)
            if name not in best or rank >= best[name][0]:
                best[name] = (rank, text)
    return {name: text for name, (_, text) in best.items()}
