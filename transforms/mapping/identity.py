"""Who an event is about: raw identities in, hashed ones out. Raw identities end here.

Everything below depends on the batch alone, so it is done once for all its events. Source of the fields: the
customer's specification, sections 3 to 5; of the rules: TikTok's Events API as transcribed by bububa/tiktok-business
051f6c0 (`model/event/track.go`): SHA-256 of the UTF-8 text, in lower-case hex.
"""

from collections.abc import Callable
from hashlib import sha256
from typing import Any, NamedTuple

from transforms.connection import Connection
from transforms.mapping import normalise, tables
from transforms.mapping.phone import e164
from transforms.mapping.values import first_scalar, is_hash
from transforms.model import BatchContext, EventData, Form, IdentifiedEvent, MatchKey, MParticleEvent, Note, User

_EMAIL, _PHONE, _EXTERNAL_ID = int(MatchKey.EMAIL), int(MatchKey.PHONE), int(MatchKey.EXTERNAL_ID)
_TTP, _IP_AND_USER_AGENT = int(MatchKey.TTP), int(MatchKey.IP_AND_USER_AGENT)
_IDENTIFIERS = _EMAIL | _PHONE | _EXTERNAL_ID

_FIRST_NAME, _LAST_NAME, _ZIP, _CITY, _STATE, _COUNTRY = tables.USER_ATTRIBUTES
_ATTRIBUTE_BY_LOWER = {attribute.lower(): attribute for attribute in tables.USER_ATTRIBUTES}

_NO_DATA = EventData()


class _Identity(NamedTuple):
    """What the events of one batch have in common once it is hashed."""

    batch: BatchContext
    form: Form
    user: User
    limited_data_use: bool
    match_keys: int
    notes: tuple[Note, ...]


def hasher(connection: Connection) -> Callable[[MParticleEvent], IdentifiedEvent]:
    """Returns the function that replaces an event's batch by a hashed user, for one connection."""
    identify = _identifier(connection)
    last: _Identity | None = None

    def hash_identities(event: MParticleEvent) -> IdentifiedEvent:
        """Returns the event with its user; the events of one batch share one user."""
        nonlocal last
        batch = event.batch
        known = last
        if known is None or known.batch is not batch:
            last = known = identify(batch)
        return IdentifiedEvent(
            event.ref,
            event.index,
            known.form,
            event.data or _NO_DATA,
            known.user,
            event.raw,
            batch.sends_zero_for_missing_total,
            batch.received_at_ms,
            known.limited_data_use,
            known.match_keys,
            known.notes,
            event.original,
            event.event_id,
            event.occurred_at_ms,
        )

    return hash_identities


def _identifier(connection: Connection) -> Callable[[BatchContext], _Identity]:
    """Returns the function that hashes the identities of a batch."""
    email_type = connection.email_identity_type
    phone_type = connection.phone_identity_type
    external_type = connection.external_identity_type
    lower_external_id = connection.external_id_case == "lower"
    region = connection.default_phone_region.upper() if connection.default_phone_region else None
    source = None if connection.input == "auto" else connection.input
    forms = {word: connection.form(word) for word in ("web", "feed", "app")}
    limits = connection.consent.ccpa_opt_out == "limit"
    fields_of = {Form.LEGACY: False, Form.WEB: True, Form.OFFLINE: connection.send_user_fields_offline}

    def identify(batch: BatchContext) -> _Identity:
        """Returns what TikTok may know about the user of a batch, and what had to be left out."""
        form = forms[source or batch.input]
        identities = batch.identities
        notes: list[Note] = []
        keys = 0
        email = phone = external_id = ip = ttp = locale = None
        if (value := identities.get(email_type)) is not None:
            email = _email(value)
            if email is None:
                notes.append(Note.UNUSABLE_EMAIL)
            else:
                keys = _EMAIL
        if (value := identities.get(phone_type)) is not None:
            phone = _phone(value, region)
            if phone is None:
                notes.append(Note.UNUSABLE_PHONE)
            else:
                keys |= _PHONE
        if (value := identities.get(external_type)) is not None:
            external_id = _external_id(value, lower_external_id)
            if external_id is None:
                notes.append(Note.UNUSABLE_EXTERNAL_ID)
            else:
                keys |= _EXTERNAL_ID
        if not keys:
            notes.append(Note.NO_IDENTIFIER)
        if batch.ip:
            ip = normalise.public_ip(batch.ip)
            if ip is None and not batch.ip.isspace():
                notes.append(Note.INVALID_IP)
        user_agent = _raw(batch.user_agent)
        if ip is not None and user_agent is not None:
            keys |= _IP_AND_USER_AGENT
        elif form is Form.WEB:
            notes.append(Note.WEAKLY_MATCHABLE)
        if form is not Form.OFFLINE:
            ttp = _raw(batch.ttp)
            if ttp is not None:
                keys |= _TTP
        limited = limits and batch.ccpa_opted_out
        if limited:
            notes.append(Note.LIMITED_DATA_USE)
        if form is Form.WEB:
            locale = batch.locale
        first_name = last_name = zip_code = city = state = country = None
        if fields_of[form] and batch.attributes:
            first_name, last_name, zip_code, city, state, country = _user_fields(batch.attributes)
        user = User(
            email,
            phone,
            external_id,
            first_name,
            last_name,
            zip_code,
            city,
            state,
            country,
            ip,
            user_agent,
            ttp,
            locale,
        )
        return _Identity(batch, form, user, limited, keys, tuple(notes))

    return identify


def _sha256(value: str) -> str:
    """Returns the SHA-256 of a text as 64 lower-case hex digits."""
    return sha256(value.encode()).hexdigest()


def _email(value: str) -> str | None:
    """Returns a hashed e-mail: trimmed and in lower case, nothing else (no folding of dots or plus signs)."""
    value = value.strip().lower()
    if is_hash(value):
        return value
    return None if value in tables.JUNK or not value else _sha256(value)


def _phone(value: str, region: str | None) -> str | None:
    """Returns a hashed phone: E.164 with its plus sign, which other networks strip and TikTok does not."""
    value = value.strip()
    if is_hash(value):
        return value.lower()
    number = e164(value, region)
    return None if number is None else _sha256(number)


def _external_id(value: str, lower: bool) -> str | None:
    """Returns a hashed external id; its case must equal what the site's pixel sends, hence the setting.

    Source: tiktok/gtm-template-eapi 089e34e, `template.js` (trimmed, case kept).
    """
    value = value.strip()
    if is_hash(value):
        return value.lower()
    if not value or value.lower() in tables.JUNK:
        return None
    return _sha256(value.lower() if lower else value)


def _raw(value: str | None) -> str | None:
    """Returns what TikTok takes as it is (user agent, `_ttp` cookie), None if there is nothing or a placeholder."""
    if value is None:
        return None
    value = value.strip()
    return None if not value or value.lower() in tables.JUNK else value


def _hashed(value: str, normalised: str | None) -> str | None:
    """Returns a hashed name or zip; one that came hashed passes."""
    if len(value) >= 64 and is_hash(value.strip()):
        return value.strip().lower()
    return None if normalised is None else _sha256(normalised)


def _user_fields(attributes: dict[str, Any]) -> tuple[str | None, ...]:
    """Returns first name, last name and zip hashed, city, state and country plain.

    Source: the customer's specification, section 5; names are never sent in clear.
    """
    first, last, code, city, state, country = _attributes(attributes)
    in_country = normalise.country(country) if country is not None else None
    return (
        _hashed(first, normalise.name(first)) if first is not None else None,
        _hashed(last, normalise.name(last)) if last is not None else None,
        _hashed(code, normalise.zip_code(code, in_country)) if code is not None else None,
        normalise.name(city) if city is not None else None,
        normalise.state(state, in_country) if state is not None else None,
        in_country,
    )


def _attributes(attributes: dict[str, Any]) -> list[str | None]:
    """Returns the six attributes as text, found in any case: SDKs write `$FirstName`, servers `$firstname`."""
    found = {}
    for key, value in attributes.items():
        if key[:1] == "$":
            name = _ATTRIBUTE_BY_LOWER.get(key.lower())
            if name is not None and (name not in found or key == name):
                text = None if type(value) is bool else first_scalar(value)
                if text is not None:
                    found[name] = text
    return [found.get(name) for name in tables.USER_ATTRIBUTES]
