"""What a batch says about all its events: who, from where, under which consent. Raw values, not yet judged."""

from functools import lru_cache
from typing import Any

from transforms.mapping import tables, wire
from transforms.mapping.values import epoch_ms, given, identifier, integer
from transforms.model import BatchContext

# Distinct values kept by each small cache below; platforms, versions and languages are few.
_CACHE = 256


def read_context(batch: wire.Batch) -> BatchContext:
    """Returns what the events of a batch have in common."""
    environment = batch.environment
    if environment != "production":
        # Absent means production. Source: mParticle's JSON reference, `environment`.
        environment = (environment or "").strip().lower() or "production"
    device, info, partners, state = (
        batch.device_info,
        batch.source_info,
        batch.partner_identities,
        batch.consent_state,
    )
    channel = info.channel if info is not None else None
    platform = device.platform if device is not None else None
    system = batch.application_info.os if batch.application_info is not None else None
    source = "feed" if _marked_as_feed(batch) else _input(channel, platform, system)
    return BatchContext(
        environment,
        source,
        batch.ip,
        device.http_header_user_agent if device is not None else None,
        _identities(batch.user_identities) if batch.user_identities else {},
        batch.user_attributes or {},
        _gdpr(state) if state is not None and state.gdpr else {},
        _opted_out(state) if state is not None else False,
        type(state) is wire.BadConsentState,
        partners.tiktok_cookie_id if partners is not None else None,
        _locale(device.locale_language, device.locale_country) if device is not None else None,
        source == "web" and batch.sdk_version is not None and _sends_zero(batch.sdk_version, channel),
        epoch_ms(batch.timestamp_unixtime_ms),
    )


def _marked_as_feed(batch: wire.Batch) -> bool:
    """Says whether an event carries mParticle's mark of a data feed.

    Source: the customer's specification, section 2 (custom attribute `mParticle Source Feed`).
    """
    for event in batch.events or ():
        if event is not None and event.data is not None:
            mark = event.data.custom_attributes
            if mark is not None and given(mark.source_feed):
                return True
    return False


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


def _identities(entries: list[wire.Identity | None] | dict[str, Any]) -> dict[str, str]:
    """Returns identity type → value. An empty value never displaces another."""
    found: dict[str, str] = {}
    if isinstance(entries, dict):
        for spelling, value in entries.items():
            name, text = tables.identity_type(spelling), identifier(value)
            if name is not None and text is not None and (name not in found or text.lower() not in tables.JUNK):
                found[name] = text
        return found
    for entry in entries:
        if entry is None or not entry.identity or entry.identity_type is None:
            continue
        text = entry.identity if type(entry.identity) is str else identifier(entry.identity)
        name = tables.IDENTITY_TYPE_BY_SPELLING.get(entry.identity_type) or tables.identity_type(entry.identity_type)
        if name is None or text is None or text.isspace():
            continue
        if name in found:
            return _newest(entries)
        found[name] = text
    return found


def _newest(entries: list[wire.Identity | None]) -> dict[str, str]:
    """Returns the newest value of each type, the last one if times do not tell; real values before junk."""
    best: dict[str, tuple[tuple[bool, int], str]] = {}
    for entry in entries:
        if entry is None:
            continue
        name = tables.identity_type(entry.identity_type or "")
        text = identifier(entry.identity)
        if name is None or text is None:
            continue
        rank = (text.lower() not in tables.JUNK, integer(entry.timestamp_unixtime_ms) or 0)
        if name not in best or rank >= best[name][0]:
            best[name] = (rank, text)
    return {name: text for name, (_, text) in best.items()}
