"""The slow way to read a message: what the typed way refuses is read field by field, so that little is lost.

A wrong type in a field that rules can live without counts as an absent field; one bad event never costs its batch.
Only what breaks the meaning of an event (data, product action or products of a wrong type) makes it unreadable.
"""

import json
from collections.abc import Mapping
from functools import cache
from math import isfinite
from typing import Any, TypeVar

import msgspec

from transforms.gunzip import GZIP_MAGIC, GunzipError, gunzip
from transforms.mapping import mparticle_json, tables
from transforms.mapping.mparticle_json import DEFAULT_TYPES, BatchTypes
from transforms.model import EventData
from transforms.vocabulary import Reason

_BOM = b"\xef\xbb\xbf"

# A batch stays below about 1 MB and Pub/Sub takes at most 10 MB; more than this is a decompression bomb.
_MAX_BYTES = 64 * 1024 * 1024

# Longer integers are read as floats: they are no ids, and Python refuses to read thousands of digits.
_MAX_INTEGER_CHARS = 40

T = TypeVar("T", bound=msgspec.Struct)


def _plain(data: bytes) -> bytes | None:
    """Returns the message without compression and byte order mark; None if it is damaged or not UTF-8."""
    if data[:2] == GZIP_MAGIC:
        try:
            data = b"".join(gunzip((data,), _MAX_BYTES))
        except GunzipError:
            return None
    if data[:3] == _BOM:
        data = data[3:]
    try:
        data.decode()
    except UnicodeDecodeError:
        return None
    return data


def parse_json(data: bytes) -> Any:
    """Returns the message as plain values.

    What msgspec refuses is read too: numbers beyond a double, and the NaN and Infinity that Python and pandas write (as
    text, which no rule takes for an amount), and halves of surrogate pairs (as U+FFFD; they arise when a script cuts a
    text inside an emoji).

    Raises:
      ValueError: not JSON.
    """
    try:
        return msgspec.json.decode(data)
    except msgspec.DecodeError:
        text = data.decode()
        return _scrubbed(json.loads(text, parse_float=_number, parse_int=_number, parse_constant=str))


def _number(text: str) -> float | int | str:
    """Returns a number, as the text that it was if no double can hold it."""
    if len(text) <= _MAX_INTEGER_CHARS and text.lstrip("-").isdigit():
        return int(text)
    number = float(text)
    return number if isfinite(number) else text


def _scrubbed(document: Any) -> Any:
    """Returns the document with every lone surrogate replaced; they cannot be encoded as UTF-8.

    Walks without recursion, because newer Pythons read JSON that is nested deeper than their own call stack.
    """
    root = [document]
    waiting: list[list[Any] | dict[Any, Any]] = [root]
    while waiting:
        holder = waiting.pop()
        if type(holder) is dict:
            entries = [(_whole(key), value) for key, value in holder.items()]
            holder.clear()
            holder.update(entries)
        for place, value in holder.items() if type(holder) is dict else enumerate(holder):
            if type(value) is str:
                holder[place] = _whole(value)
            elif type(value) in (list, dict):
                waiting.append(value)
    return root[0]


def _whole(text: str) -> str:
    """Returns the text with every half of a surrogate pair replaced by U+FFFD."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def read_leniently(data: bytes, types: BatchTypes = DEFAULT_TYPES) -> tuple[bytes, mparticle_json.Batch] | Reason:
    """Returns the message as plain JSON and what can be read of its batch, or why nothing can.

    Args:
      data: the message.
      types: what to read of an event.
    """
    plain = _plain(data)
    if plain is None:
        return Reason.UNREADABLE_MESSAGE
    if not plain.strip():
        return Reason.EMPTY_MESSAGE
    try:
        message = parse_json(plain)
    except ValueError:
        return Reason.UNREADABLE_MESSAGE
    if type(message) is not dict:
        return Reason.NOT_A_BATCH
    batch = _fitting(mparticle_json.Batch, message, skip=("events", "user_identities", "consent_state"))
    events = message.get("events")
    if type(events) is list:
        batch.events = [_event(event, types) for event in events]
    batch.device_info = _object(mparticle_json.Device, message.get("device_info"))
    batch.application_info = _object(mparticle_json.Application, message.get("application_info"))
    batch.source_info = _object(mparticle_json.SourceInfo, message.get("source_info"))
    batch.partner_identities = _object(mparticle_json.Partners, message.get("partner_identities"))
    batch.consent_state = _consent_state(message.get("consent_state"))
    identities = message.get("user_identities")
    if type(identities) is list:
        batch.user_identities = [None for _ in identities]  # the reader of identities goes back to the message
    elif type(identities) is dict:
        batch.user_identities = identities
    if batch.environment is None and message.get("environment") is not None:
        batch.environment = "unknown"  # an environment that cannot be read is not taken for production
    return plain, batch


def _fitting(struct: type[T], source: Mapping[str, Any], skip: tuple[str, ...] = ()) -> T:
    """Returns the struct with those fields of the source that fit; the others keep their defaults."""
    values = {}
    for field in _fields(struct):
        if field.encode_name in source and field.encode_name not in skip:
            try:
                values[field.name] = msgspec.convert(source[field.encode_name], field.type)
            except msgspec.ValidationError:
                continue
    return struct(**values)


@cache
def _fields(struct: type[msgspec.Struct]) -> tuple[msgspec.structs.FieldInfo, ...]:
    return msgspec.structs.fields(struct)


def _object(struct: type[T], value: Any) -> T | None:
    """Returns the struct if the value is an object at all."""
    return _fitting(struct, value) if type(value) is dict else None


def _consent_state(value: Any) -> mparticle_json.ConsentState | None:
    """Returns the consent state; unlike other fields it is all or nothing, because a guess could break the law."""
    try:
        return msgspec.convert(value, mparticle_json.ConsentState | None)
    except msgspec.ValidationError:
        return mparticle_json.BadConsentState()


def _event(event: Any, types: BatchTypes) -> mparticle_json.Event | None:
    """Returns one event, a `BadEvent` if its meaning is lost."""
    if event is None:
        return None
    if type(event) is not dict:
        return mparticle_json.BadEvent(fault="event")
    event_type, data = event.get("event_type"), event.get("data")
    if type(event_type) is not str:
        return mparticle_json.BadEvent(fault="event_type")
    if data is None:
        return mparticle_json.Event(event_type=event_type)
    if event_type != tables.COMMERCE_EVENT:
        return mparticle_json.Event(data=_object(types.data, data) or types.data(), event_type=event_type)
    content = _commerce_data(data, types)
    return (
        mparticle_json.BadEvent(fault=content)
        if isinstance(content, str)
        else mparticle_json.Event(data=content, event_type=event_type)
    )


def _commerce_data(data: Any, types: BatchTypes) -> EventData | str:
    """Returns the data of a commerce event, or the field by which its meaning is lost."""
    if type(data) is not dict:
        return "data"
    action = data.get("product_action")
    if action is not None and type(action) is not dict:
        return "product_action"
    products = action.get("products") if action else None
    if products is not None and type(products) is not list:
        return "products"
    content = _fitting(types.data, data, skip=("product_action",))
    if action is not None:
        product_action = _fitting(types.action, action, skip=("products",))
        if products is not None:
            kept = tuple(_object(types.product, product) for product in products)
            product_action = msgspec.structs.replace(product_action, products=kept)
        content = msgspec.structs.replace(content, product_action=product_action)
    return content
