"""Where a mapped parameter comes from: one setting in, a function out that reads, checks and types its value.

A value that cannot be of the parameter's type, and one that says who someone is, count as missing. Source of the
semantics: mparticle-android-sdk eb2b4c87, `CustomMapping.java` (a wrongly typed attribute is left out).
"""

import re
from collections.abc import Callable
from math import ceil
from typing import Any, NamedTuple

from transforms.custom import Parameter
from transforms.mapping import tables
from transforms.mapping.page import read_flag
from transforms.mapping.parameters import PARAMETER_TYPES
from transforms.mapping.values import amount, first_scalar, given, scalar
from transforms.model import BatchContext, Note

# TikTok's `quantity` is an int, as in `commerce`.
_MAX_QUANTITY = 2.0**31 - 1

# An address anywhere in a text; a phone with its country code, or one that is written like a phone.
_EMAIL = re.compile(r"[^\s@<>\"']+@[^\s@<>\"']+\.[^\s@<>\"']+")
_PHONE = re.compile(r"\+\s?\d[\d\s().-]{6,18}\d(?!\d)|\(\d{3}\)\s?\d{3}[\s.-]\d{4}|\b\d{3}[\s.-]\d{3}[\s.-]\d{4}\b")

# User attributes whose value may not turn up in another attribute. Source: `tables.USER_ATTRIBUTES` without places.
_NAMES = ("$firstname", "$lastname", "$zip", "$mobile", "$address")
_CONTACTS = ("email", "mobile_number", "phone_number_2", "phone_number_3")

_BOOLEANS = {"true": True, "false": False}

_PRODUCT_FIELDS = {"item_price": "price"}
_ACTION_FIELDS = frozenset(
    {
        "transaction_id",
        "affiliation",
        "coupon_code",
        "total_amount",
        "shipping_amount",
        "tax_amount",
        "checkout_step",
        "checkout_options",
        "product_action_list",
        "product_list_source",
    }
)
# What the types of the default mapping read already.
NARROW_FIELDS = frozenset(
    {
        *("id", "name", "brand", "category", "price", "item_price", "quantity"),
        *("event_name", "screen_name", "transaction_id", "total_amount", "currency", "currency_code"),
    }
)

# A source's function: the event's data, the product (None outside contents) and the batch → the value as it was sent.
_Read = Callable[[Any, Any, BatchContext], Any]


class Source(NamedTuple):
    """One parameter of one TikTok event, compiled.

    Attributes:
      parameter: TikTok's name.
      label: where it comes from, in words.
      of_product: it is read from each product.
      required: without a value the event (or the product) is left out.
      read: returns the value as mParticle sent it.
      value: returns the value in TikTok's type, None if there is none; takes what had to be decided.
    """

    parameter: str
    label: str
    of_product: bool
    required: bool
    read: _Read
    value: Callable[[Any, Any, BatchContext, list[Note]], Any]


def compile_source(name: str, setting: Parameter) -> Source:
    """Returns the function of one parameter.

    Args:
      name: TikTok's parameter.
      setting: checked by `pipeline.mapping_rules`: one source, of a type that fits.
    """
    label, read, from_attribute = _reader(setting)
    of_product = setting.product_field is not None or setting.product_attribute is not None
    to_tiktok = converter(name, setting.type)
    if setting.constant is not None:
        constant = to_tiktok(setting.constant, [])

        def fixed(data: Any, product: Any, batch: BatchContext, notes: list[Note]) -> Any:
            return constant

        return Source(name, label, False, setting.required, read, fixed)
    guarded = from_attribute and PARAMETER_TYPES[name] == "string"
    of_user = setting.user_attribute is not None

    def value(data: Any, product: Any, batch: BatchContext, notes: list[Note]) -> Any:
        sent = read(data, product, batch)
        if not given(sent):
            return None
        typed = to_tiktok(sent, notes)
        if typed is None:
            notes.append(Note.MISTYPED_PARAMETER)
        elif guarded and tells_who(typed, batch, of_user=of_user):
            notes.append(Note.PERSONAL_VALUE)
            return None
        return typed

    return Source(name, label, of_product, setting.required, read, value)


def _reader(setting: Parameter) -> tuple[str, _Read, bool]:
    """Returns where a parameter comes from, in words; the function that reads it; whether people may be in it."""
    name: str
    if setting.event_attribute is not None:
        name = setting.event_attribute
        return f'event attribute "{name}"', lambda data, product, batch: (data.custom_attributes or {}).get(name), True
    if setting.user_attribute is not None:
        name = setting.user_attribute
        return f'user attribute "{name}"', lambda data, product, batch: _in_any_case(batch.attributes, name), True
    if setting.custom_flag is not None:
        name = setting.custom_flag
        return f'custom flag "{name}"', lambda data, product, batch: read_flag(data.custom_flags or {}, name), True
    if setting.product_attribute is not None:
        name = setting.product_attribute
        return f'product attribute "{name}"', lambda data, product, batch: product_attribute(product, name), True
    if setting.product_field is not None:
        name = _PRODUCT_FIELDS.get(setting.product_field, setting.product_field)
        return f"product field {name}", lambda data, product, batch: getattr(product, name), False
    if setting.event_field is not None:
        name = setting.event_field
        return f"event field {name}", _event_field(name), name in {"event_name", "screen_name"}
    return "constant", lambda data, product, batch: setting.constant, False


def _event_field(name: str) -> _Read:
    if name in {"currency", "currency_code"}:
        # As in `commerce.read_currency`: on the event by the schema, on the product action by the specification.
        return lambda data, product, batch: data.currency_code or getattr(data.product_action, "currency", None)
    if name in _ACTION_FIELDS:
        return lambda data, product, batch: getattr(data.product_action, name, None)
    return lambda data, product, batch: getattr(data, name)


def product_attribute(product: Any, name: str) -> Any:
    """Returns a custom attribute of a product, None if there is none."""
    attributes = product.custom_attributes
    return attributes.get(name) if type(attributes) is dict else None


def _in_any_case(attributes: dict[str, Any], name: str) -> Any:
    """Returns a user attribute: SDKs and servers write its name in different case."""
    value = attributes.get(name)
    if value is not None:
        return value
    folded = name.casefold()
    return next((value for key, value in attributes.items() if key.casefold() == folded and value is not None), None)


def converter(name: str, declared: str | None) -> Callable[[Any, list[Note]], Any]:
    """Returns the function that brings a value into the type of a parameter, None if it cannot be.

    Args:
      name: TikTok's parameter.
      declared: the setting `type`; none: the parameter's own.
    """
    wanted = PARAMETER_TYPES[name]
    if name == "currency":
        return lambda sent, notes: _currency(first_scalar(sent), notes)
    if wanted == "number":
        return lambda sent, notes: _number(sent, whole=declared == "integer")
    if wanted == "integer":
        return lambda sent, notes: _quantity(sent, notes, whole=declared == "integer")
    if declared in {"number", "integer"}:
        return lambda sent, notes: scalar(_number(sent, whole=declared == "integer"))
    if declared == "boolean":
        return lambda sent, notes: scalar(_BOOLEANS.get((first_scalar(sent) or "").lower()))
    return lambda sent, notes: first_scalar(sent)


def _number(sent: Any, *, whole: bool) -> float | None:
    number = amount(first_scalar(sent) if type(sent) is list else sent)
    return None if number is None or (whole and not number.is_integer()) else number


def _quantity(sent: Any, notes: list[Note], *, whole: bool) -> int | None:
    """Returns a number of pieces; a fraction is rounded up, as in the default mapping, unless it must be whole."""
    number = _number(sent, whole=whole)
    if number is None or number > _MAX_QUANTITY:
        return None
    if number.is_integer():
        return int(number)
    notes.append(Note.FRACTIONAL_QUANTITY)
    return ceil(number)


def _currency(text: str | None, notes: list[Note]) -> str | None:
    code = (text or "").upper()
    if len(code) != 3 or not code.isascii() or not code.isalpha():
        return None
    if code not in tables.CURRENCIES:
        notes.append(Note.UNLISTED_CURRENCY)
    return code


def tells_who(text: str, batch: BatchContext, *, of_user: bool) -> bool:
    """Says whether a text names a person: an e-mail address, a phone, or what this batch knows the person by.

    Args:
      text: of an attribute that would be sent in clear.
      batch: raw identities and attributes.
      of_user: the attribute is one of the person, so that all identities are compared; an attribute of an event may
        equal a customer's number by chance, as the ids of products do.
    """
    if "@" in text and _EMAIL.search(text):
        return True
    if len(text) > 8 and _PHONE.search(text):
        return True
    folded = text.strip().casefold()
    identities = batch.identities
    kinds = identities if of_user else _CONTACTS
    if any((identities.get(kind) or "").strip().casefold() == folded for kind in kinds):
        return True
    for key, value in batch.attributes.items():
        if key[:1] == "$" and key.lower() in _NAMES and (first_scalar(value) or "").casefold() == folded:
            return True
    return False
