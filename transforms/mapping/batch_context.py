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
_NO_DEVICE, _NO_SOURCE_INFO, _NO_APPLICATION = (
    mparticle_json.Device(),
    mparticle_json.SourceInfo(),
    mparticle_json.Application(),
)
_NO_PARTNERS = mparticle_json.Partners()

# Input and locale by the five words that they follow from. Few combinations of words come, and each is looked at once; a
# sender that invents words all the time meets the limit.
_MAX_KEPT = 10_000
_read: dict[str, tuple[str, str | None]] = {}


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
    partners = batch.partner_identities or _NO_PARTNERS
    signs = f"{info.channel}|{device.platform}|{system.os}|{device.locale_language}|{device.locale_country}"
    source, locale = _read.get(signs) or _read_signs(signs, info, device, system)
    for event in events:
        # Source: the customer's specification, section 2 (custom attribute `mParticle Source Feed`).
        if event is not None and event.data is not None:
            # Read wholly where custom mappings need them.
            attributes: Any = event.data.custom_attributes
            if attributes is not None:
                is_whole = attributes.__class__ is dict
                mark = attributes.get(_FEED_ATTRIBUTE) if is_whole else attributes.source_feed
                if mark is not None and given(mark):
                    source = "feed"
    identities: dict[str, str] = {}
    entries: Any = batch.user_identities
    if entries:
        try:
            for entry in entries:
                identities[_TYPES[entry.identity_type]] = entry.identity
            usual = len(identities) == len(entries)
        except (AttributeError, KeyError):  # the inbound form, a null entry, another spelling
            usual = False
        if not usual:  # also: a type twice
            identities = _newest(parse_json(data)["user_identities"] if isinstance(entries, list) else entries)
    gdpr: dict[str, bool] = {}
    opted_out = unreadable = sends_zero = False
    if batch.consent_state is not None:
        gdpr, opted_out = _gdpr(batch.consent_state), _opted_out(batch.consent_state)
        unreadable = type(batch.consent_state) is mparticle_json.BadConsentState
    if batch.sdk_version is not None and source == "web":
        sends_zero = _sends_zero(batch.sdk_version, info.channel)
    return BatchContext(
        environment,
        source,
        batch.ip,
        device.http_header_user_agent,
        identities,
        batch.user_attributes or {},
        gdpr,
        opted_out,
        unreadable,
        partners.tiktok_cookie_id,
        locale,
        sends_zero,
        epoch_ms(batch.timestamp_unixtime_ms),
        len(events) == 1,
    )


def _read_signs(
    signs: str, info: mparticle_json.SourceInfo, device: mparticle_json.Device, application: mparticle_json.Application
) -> tuple[str, str | None]:
    """Returns input and locale; `signs` is the words they are read from, joined by bars."""
    result = (
        _input(_word(info.channel), _word(device.platform), _word(application.os)),
        _locale((device.locale_language or "").strip(), (device.locale_country or "").strip()),
    )
    if len(_read) < _MAX_KEPT and signs.count("|") == 4:  # no word has a bar itself
        _read[signs] = result
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
