"""An identified event in, TikTok's JSON of it out, encoded once; or the `Outcome` of one that cannot be sent.

What is not known is left out: no null, no empty text, list or object ever goes out.

What every event needs is built by position: with names each struct takes 40 to 100 ns more, together 3 % of an event's
mapping. `tests/mapping/test_fields.py` holds each value to the field of its name.
"""

from collections.abc import Callable
from hashlib import sha256
from typing import Any

from transforms.connection import Connection
from transforms.mapping.commerce import read_contents, read_currency, value_rule
from transforms.mapping.page import SCHEMES, click_id, read_flag, web_url
from transforms.mapping.select import canonical_action, event_names
from transforms.mapping.tables import CLICK_ID_FLAG, CLICK_ID_PREFIX, CURRENCIES, REFERRER_FLAG, URL_FLAG
from transforms.mapping.tiktok_json import (
    Ad,
    Content,
    LegacyContext,
    LegacyEvent,
    LegacyProperties,
    LegacyUser,
    MappedLegacyProperties,
    Page,
    TrackEvent,
    TrackProperties,
    TrackUser,
    encode,
)
from transforms.mapping.values import identifier, iso_8601
from transforms.model import (
    CustomEvent,
    CustomProperties,
    EventData,
    IdentifiedEvent,
    Outcome,
    Payload,
    ProductAction,
    User,
)
from transforms.vocabulary import Form, Kind, MatchKey, Note, Reason, Stage

# Looking up a member of an enum costs more than comparing it.
_LEGACY, _WEB = Form.LEGACY, Form.WEB
_CLICK_ID = int(MatchKey.CLICK_ID)
_NO_ACTION = ProductAction()
_NO_LEGACY_USER = LegacyUser()
_NOBODY = User()

# What every click id of TikTok's starts with.
_USUAL_CLICK_ID = CLICK_ID_PREFIX + "."
_NO_FLAGS: dict[str, Any] = {}

# A sender's clock that is wrong by less than this is not worth a note.
_FUTURE_MS = 3_600_000

# Hex digits kept of the digest that stands in for a missing id: 128 bits, as in a UUID.
_DERIVED_ID_DIGITS = 32

# What `read_properties` makes: of the legacy form, of Events API 2.0, and of a custom mapping for either.
_Properties = LegacyProperties | TrackProperties | CustomProperties
_ReadProperties = Callable[[IdentifiedEvent, bool, list[Note]], tuple[_Properties | None, float | None, str | None]]


def builder(connection: Connection) -> Callable[[IdentifiedEvent], Payload | Outcome]:
    """Returns the function that builds payloads for one connection; its events have passed `select`."""
    names = event_names(connection)
    strict = connection.strict_click_id
    legacy_needs_address = connection.require_ip_and_user_agent != "never"
    web_needs_address = connection.require_ip_and_user_agent == "always"
    read_properties = _properties_reader(connection)

    def build(event: IdentifiedEvent) -> Payload | Outcome:
        """Returns the event as TikTok wants it."""
        form, data, user, custom = event.form, event.data, event.user, event.custom
        if custom is None:
            word = (data.product_action or _NO_ACTION).action or ""
            name = names.get(word) or names[canonical_action(word)]
        else:
            name = custom.event
        at_ms = event.occurred_at_ms
        if at_ms is None:
            return _rejected(event, name, Reason.MISSING_TIMESTAMP)
        legacy, web = form is _LEGACY, form is _WEB
        if (user.ip is None or user.user_agent is None) and (
            (legacy and legacy_needs_address) or (web and web_needs_address)
        ):
            return _rejected(event, name, Reason.MISSING_IP if user.ip is None else Reason.MISSING_USER_AGENT)
        notes: list[Note] = []
        page = click = None
        keys = event.match_keys
        if legacy or web:
            where = _read_page(data, notes)
            if isinstance(where, Reason):
                return _rejected(event, name, where)
            page = where
            click = _read_click_id(data.custom_flags or _NO_FLAGS, page.url, strict, notes)
            if click is not None:
                keys |= _CLICK_ID
        properties, value, currency = read_properties(event, legacy, notes)
        event_id = event.event_id
        if not event_id:
            event_id = sha256(event.raw).hexdigest()[:_DERIVED_ID_DIGITS]
            notes.append(Note.DERIVED_EVENT_ID)
        if event.received_at_ms is not None and at_ms - event.received_at_ms > _FUTURE_MS:
            notes.append(Note.IN_THE_FUTURE)
        make = _legacy_event if legacy else _track_event
        return Payload(
            form,
            name,
            event_id,
            at_ms,
            encode(make(name, event_id, at_ms, user, click, page, properties, event.limited_data_use)),
            event.ref,
            event.index,
            keys,
            value,
            currency,
            (*event.notes, *notes) if notes else event.notes,
            0,
            event.original,
        )

    return build


def _read_page(data: EventData, notes: list[Note]) -> Page | Reason:
    """Returns where the event happened, or why that is not known. Most flags come as text under their own name."""
    flags = data.custom_flags or _NO_FLAGS
    url, referrer = flags.get(URL_FLAG), flags.get(REFERRER_FLAG)
    url = url.strip() if type(url) is str else read_flag(flags, URL_FLAG)
    referrer = referrer.strip() if type(referrer) is str else read_flag(flags, REFERRER_FLAG)
    if not url:
        url = web_url(data.page_url.strip()) if data.page_url else None
        if url is None:
            return Reason.MISSING_PAGE_URL
        notes.append(Note.PAGE_URL_FALLBACK)
    elif not url.startswith(SCHEMES):
        url = web_url(url)
        if url is None:
            return Reason.INVALID_PAGE_URL
    return Page(url, referrer or None)


def _read_click_id(flags: dict[str, Any], url: str | None, strict: bool, notes: list[Note]) -> str | None:
    """Returns the click id; nearly always it stands as text in its flag, as TikTok writes it."""
    click = flags.get(CLICK_ID_FLAG)
    click = click.strip() if type(click) is str else ""
    if click.startswith(_USUAL_CLICK_ID) and click != _USUAL_CLICK_ID:
        return click
    return click_id(read_flag(flags, CLICK_ID_FLAG), url, strict, notes)


def _properties_reader(connection: Connection) -> _ReadProperties:
    """Returns the function that makes the properties of an event, with its value and its currency."""
    content_type = connection.content_type
    default_currency = connection.default_currency.strip().upper() if connection.default_currency else None
    read_value = value_rule(connection.value_fallback)

    def read_properties(
        event: IdentifiedEvent, legacy: bool, notes: list[Note]
    ) -> tuple[_Properties | None, float | None, str | None]:
        if event.custom is not None:
            return _mapped_properties(event.custom, legacy, notes)
        data = event.data
        action = data.product_action or _NO_ACTION
        contents, content_ids = read_contents(action.products or (), content_type if legacy else None, notes)
        value = action.total_amount
        if type(value) is not float or value <= 0.0:
            value = read_value(action, event.sends_zero_for_missing_total, notes)
        currency = data.currency_code
        if currency not in CURRENCIES:
            currency = read_currency(currency, action.currency, default_currency, notes)
        if legacy:
            return _legacy_properties(contents, currency, value), value, currency
        order_id = action.transaction_id
        properties = TrackProperties(
            contents or None,
            content_ids or None,
            content_type,
            currency,
            value,
            order_id.strip() or None if type(order_id) is str else identifier(order_id),
        )
        return properties, value, currency

    return read_properties


def _mapped_properties(
    custom: CustomEvent, legacy: bool, notes: list[Note]
) -> tuple[_Properties | None, float | None, str | None]:
    """Returns the properties of an event that a custom mapping made, with its value and its currency."""
    notes += custom.notes
    mapped = custom.properties
    if mapped is None:
        return None, None, None
    if not legacy:
        return mapped, mapped.value, mapped.currency
    properties = MappedLegacyProperties(
        contents=mapped.contents,
        currency=mapped.currency,
        value=mapped.value,
        query=mapped.query,
        description=mapped.description,
    )
    return properties, mapped.value, mapped.currency


def _legacy_properties(contents: list[Content], currency: str | None, value: float | None) -> LegacyProperties | None:
    """Returns the properties for the legacy form, None if there is none."""
    if not contents and currency is None and value is None:
        return None
    return LegacyProperties(contents or None, currency, value)


def _legacy_event(
    name: str,
    event_id: str,
    at_ms: int,
    user: User,
    click: str | None,
    page: Page | None,
    properties: Any,
    limited_data_use: bool,
) -> LegacyEvent:
    """Returns the item of a legacy request."""
    ad = None if click is None else Ad(click)
    context = LegacyContext(ad, page, _legacy_user(user), user.user_agent, user.ip)
    return LegacyEvent("track", name, event_id, iso_8601(at_ms), context, properties, limited_data_use)


def _track_event(
    name: str,
    event_id: str,
    at_ms: int,
    user: User,
    click: str | None,
    page: Page | None,
    properties: Any,
    limited_data_use: bool,
) -> TrackEvent:
    """Returns the item of a request of Events API 2.0."""
    made = None
    if click is not None or user != _NOBODY:
        made = TrackUser(
            None if user.email is None else [user.email],
            None if user.phone is None else [user.phone],
            None if user.external_id is None else [user.external_id],
            click,
            user.ttp,
            user.ip,
            user.user_agent,
            user.locale,
            user.first_name,
            user.last_name,
            user.zip_code,
            user.city,
            user.state,
            user.country,
        )
    return TrackEvent(name, at_ms // 1000, event_id, made, properties, page, limited_data_use)


def _legacy_user(user: User) -> LegacyUser | None:
    """Returns the identifiers for the legacy form, None if there is none."""
    made = LegacyUser(user.external_id, user.phone, user.email, user.ttp)
    return made if made != _NO_LEGACY_USER else None


def _rejected(event: IdentifiedEvent, name: str, reason: Reason) -> Outcome:
    """Returns the outcome of an event that cannot be sent."""
    return Outcome(
        kind=Kind.REJECTED,
        stage=Stage.BUILD,
        reason=reason,
        ref=event.ref,
        index=event.index,
        form=event.form,
        event=name,
        event_id=event.event_id or None,
        occurred_at_ms=event.occurred_at_ms,
        match_keys=event.match_keys,
        notes=event.notes,
        original=event.original,
    )
