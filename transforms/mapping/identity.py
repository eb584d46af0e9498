"""Who an event is about: raw identities in, hashed ones out. Raw identities end here.

Everything below depends on the batch alone, so it is done once for all its events. Source of the fields: the
customer's specification, sections 3 to 5; of the rules: TikTok's Events API as transcribed by bububa/tiktok-business
051f6c0 (`model/event/track.go`): SHA-256 of the UTF-8 text, in lower-case hex.
"""

from collections.abc import Callable
from hashlib import sha256
from operator import itemgetter
from typing import Any

from transforms.connection import Connection
from transforms.mapping import normalise, tables
from transforms.mapping.normalise import public_ip
from transforms.mapping.phone import e164
from transforms.mapping.tables import JUNK, JUNK_NAMES
from transforms.mapping.values import first_scalar, is_hash
from transforms.model import BatchContext, EventData, IdentifiedEvent, MParticleEvent, User
from transforms.vocabulary import Form, MatchKey, Note

_EMAIL, _PHONE, _EXTERNAL_ID = int(MatchKey.EMAIL), int(MatchKey.PHONE), int(MatchKey.EXTERNAL_ID)
_TTP, _IP_AND_USER_AGENT = int(MatchKey.TTP), int(MatchKey.IP_AND_USER_AGENT)

_all_six = itemgetter(*tables.USER_ATTRIBUTES)
_ATTRIBUTE_BY_LOWER = {attribute.lower(): attribute for attribute in tables.USER_ATTRIBUTES}

_NO_DATA = EventData()

# Longer texts need no look at the list.
_LONGEST_JUNK = max(map(len, JUNK))

# A place: city, state, country.
_Place = tuple[str | None, str | None, str | None]
_NO_FIELDS = (None, None, None, (None, None, None))

# Places repeat, so what was made of them is kept; at the limit it starts anew. They are sent in clear. Nothing that is
# sent hashed is ever kept: raw, it lives between decode and hash only.
_MAX_KEPT = 10_000
_places: dict[str, _Place] = {}


def hasher(connection: Connection) -> Callable[[MParticleEvent], IdentifiedEvent]:
    """Returns the function that replaces an event's batch by a hashed user, for one connection."""
    email_type = connection.email_identity_type
    phone_type = connection.phone_identity_type
    external_type = connection.external_identity_type
    lowers_external_id = connection.external_id_case == "lower"
    region = connection.default_phone_region.upper() if connection.default_phone_region else None
    limits = connection.consent.ccpa_opt_out == "limit"
    plans = {source: _plan(connection, source) for source in ("web", "feed", "app")}
    last: tuple[BatchContext, IdentifiedEvent] | None = None

    def hash_identities(event: MParticleEvent) -> IdentifiedEvent:
        """Returns the event with what TikTok may know about its user, and what had to be left out."""
        nonlocal last
        batch = event.batch
        if last is not None and last[0] is batch:
            return _of_same_batch(last[1], event)
        form, is_web, sends_fields, sends_ttp = plans[batch.input]
        identities = batch.identities
        notes: list[Note] = []
        email = _email(identities.get(email_type), notes)
        phone = _phone(identities.get(phone_type), region, notes)
        external_id = _external_id(identities.get(external_type), lowers_external_id, notes)
        if email is None and phone is None and external_id is None:
            notes.append(Note.NO_IDENTIFIER)
        ip = _ip(batch.ip, notes)
        # TikTok takes the user agent as it is.
        user_agent = _not_junk(batch.user_agent)
        if is_web and (ip is None or user_agent is None):
            notes.append(Note.WEAKLY_MATCHABLE)
        ttp = _not_junk(batch.ttp) if sends_ttp else None
        limited = limits and batch.ccpa_opted_out
        if limited:
            notes.append(Note.LIMITED_DATA_USE)
        if sends_fields and batch.attributes:
            first_name, last_name, code, (city, state, country) = _user_fields(batch.attributes)
        else:
            first_name = last_name = code = city = state = country = None
        locale = batch.locale if is_web else None
        # By position, as below: with names the two structs take 100 ns more (`tests/mapping/test_fields.py`).
        user = User(
            email, phone, external_id, first_name, last_name, code, city, state, country, ip, user_agent, ttp, locale
        )
        identified = IdentifiedEvent(
            event.ref,
            event.index,
            form,
            event.data or _NO_DATA,
            user,
            event.raw,
            batch.sends_zero_for_missing_total,
            batch.received_at_ms,
            limited,
            _match_keys(user),
            tuple(notes) if notes else (),
            event.original,
            event.event_id,
            event.occurred_at_ms,
            event.custom,
        )
        if not batch.has_one_event:  # else nobody asks again, and memory that is free at once is the quickest
            last = (batch, identified)
        return identified

    return hash_identities


def _email(given: str | None, notes: list[Note]) -> str | None:
    """Returns the hash of an e-mail address: trimmed and in lower case, without folding of dots or plus signs."""
    if given is None:
        return None
    value = given.strip().lower()
    if value not in JUNK:
        return value if len(value) == 64 and is_hash(value) else sha256(value.encode()).hexdigest()
    if value:
        notes.append(Note.UNUSABLE_EMAIL)
    return None


def _phone(given: str | None, region: str | None, notes: list[Note]) -> str | None:
    """Returns the hash of a phone: of E.164 with its plus sign, which other networks strip and TikTok does not."""
    if given is None:
        return None
    value = given.strip()
    if len(value) == 64 and is_hash(value) and value.lower() not in JUNK:
        return value.lower()
    number = e164(value, region)
    if number is not None:
        return sha256(number).hexdigest()
    if value:
        notes.append(Note.UNUSABLE_PHONE)
    return None


def _external_id(given: str | None, lowers: bool, notes: list[Note]) -> str | None:
    """Returns the hash of an external id.

    Its case must equal what the site's pixel sends, hence the setting; the default is that of TikTok's own tag. Source:
    tiktok/gtm-template-eapi 089e34e, `template.js` (trimmed, case kept).
    """
    if given is None:
        return None
    value = given.strip()
    if value.lower() not in JUNK:
        if lowers:
            value = value.lower()
        return sha256(value.encode()).hexdigest() if len(value) != 64 else _passed_or_hashed(value, value)
    if value:
        notes.append(Note.UNUSABLE_EXTERNAL_ID)
    return None


def _ip(given: str | None, notes: list[Note]) -> str | None:
    """Returns an IP address if it is public."""
    if given is None:
        return None
    ip = public_ip(given)
    if ip is None and given.strip():
        notes.append(Note.INVALID_IP)
    return ip


def _not_junk(given: str | None) -> str | None:
    """Returns a text that is sent as it is."""
    if given is None:
        return None
    value = given.strip()
    return value if len(value) > _LONGEST_JUNK or value not in JUNK else None


def _match_keys(user: User) -> int:
    """Returns the bits of `MatchKey` that follow from the batch alone."""
    keys = 0
    if user.email is not None:
        keys |= _EMAIL
    if user.phone is not None:
        keys |= _PHONE
    if user.external_id is not None:
        keys |= _EXTERNAL_ID
    if user.ttp is not None:
        keys |= _TTP
    if user.ip is not None and user.user_agent is not None:
        keys |= _IP_AND_USER_AGENT
    return keys


def _of_same_batch(known: IdentifiedEvent, event: MParticleEvent) -> IdentifiedEvent:
    """Returns the event with the user of another event of its batch."""
    return IdentifiedEvent(
        event.ref,
        event.index,
        known.form,
        event.data or _NO_DATA,
        known.user,
        event.raw,
        known.sends_zero_for_missing_total,
        known.received_at_ms,
        known.limited_data_use,
        known.match_keys,
        known.notes,
        event.original,
        event.event_id,
        event.occurred_at_ms,
        event.custom,
    )


def _plan(connection: Connection, source: str) -> tuple[Form, bool, bool, bool]:
    """Returns the form for a batch's input; whether it is Events API 2.0 of the web, takes names and takes `ttp`."""
    form = connection.form(source if connection.input == "auto" else connection.input)
    is_web, is_offline = form is Form.WEB, form is Form.OFFLINE
    return form, is_web, is_web or (is_offline and connection.send_user_fields_offline), not is_offline


def _user_fields(attributes: dict[str, Any]) -> tuple[str | None, str | None, str | None, _Place]:
    """Returns first name, last name and zip hashed, and the place.

    Source: the customer's specification, section 5; names are never sent in clear.
    """
    usual = False
    if len(attributes) >= len(tables.USER_ATTRIBUTES):
        try:
            first, last, code, *place = _all_six(attributes)
            where = "\0".join(place)
            usual = type(first) is str and type(last) is str and type(code) is str
        except (KeyError, TypeError):  # not all six under these names, or not all of them text
            usual = False
    if not usual:
        texts = _attributes(attributes)
        if not texts:
            return _NO_FIELDS
        first, last, code, *place = (texts.get(name, "") for name in tables.USER_ATTRIBUTES)
        where = "\0".join(place)
    found = _places.get(where) or _place(where, *place)
    return _name(first), _name(last), _zip_code(code, found[2]), found


def _name(value: str) -> str | None:
    """Returns a hashed first or last name."""
    if value.isalpha() and value.isascii() and len(value) < 64:  # nothing to take away
        folded = value.lower()
        return None if folded in JUNK_NAMES else sha256(folded.encode()).hexdigest()
    return _passed_or_hashed(value, normalise.name(value))


def _zip_code(value: str, in_country: str | None) -> str | None:
    """Returns a hashed postal code."""
    if len(value) == 5 and value.isdigit() and value.isascii():  # nothing to take away
        return sha256(value.encode()).hexdigest()
    return _passed_or_hashed(value, normalise.zip_code(value, in_country))


def _place(where: str, city: str, state: str, country: str) -> _Place:
    """Returns city, state and country, which are sent as they are; `where` is the three of them, joined by NUL."""
    in_country = normalise.country(country)
    place = (normalise.name(city), normalise.state(state, in_country), in_country)
    if len(_places) >= _MAX_KEPT:
        _places.clear()
    if where.count("\0") == 2:  # none of the three has a NUL itself
        _places[where] = place
    return place


def _passed_or_hashed(value: str, normalised: str | None) -> str | None:
    """Returns the hash of a normalised value; a value that came hashed passes."""
    if len(value) >= 64 and is_hash(value.strip()):
        digest = value.strip().lower()
        return None if digest in JUNK else digest
    return None if normalised is None else sha256(normalised.encode()).hexdigest()


def _attributes(attributes: dict[str, Any]) -> dict[str, str]:
    """Returns those of the six that are there, found in any case: SDKs write `$FirstName`, servers `$firstname`."""
    found: dict[str, str] = {}
    for key, value in attributes.items():
        if key[:1] == "$":
            name = _ATTRIBUTE_BY_LOWER.get(key.lower())
            if name is not None and (key == name or name not in found):
                text = None if type(value) is bool else first_scalar(value)
                if text is not None:
                    found[name] = text
    return found
