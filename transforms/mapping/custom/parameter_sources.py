"""Where a mapped parameter comes from: one setting in; out come a function that reads and one that coerces the value.

A value that cannot be of the parameter's type (`coerce`), and one that names a person (`pii`), count as missing.
"""

from collections.abc import Callable
from operator import attrgetter
from typing import Any, NamedTuple, get_args

from transforms.custom_mappings import EventField, Parameter, ProductField
from transforms.mapping import tables
from transforms.mapping.commerce import USUAL_QUANTITIES
from transforms.mapping.custom.coerce import coercer
from transforms.mapping.custom.parameters import PARAMETER_TYPES
from transforms.mapping.page import read_flag
from transforms.mapping.pii import has_address, is_phone_of, names_person
from transforms.mapping.values import given
from transforms.model import BatchContext
from transforms.vocabulary import Note

_OTHER_NAMES = {"item_price": "price"}
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
        *("transaction_id", "total_amount", "currency", "currency_code"),
    }
)

# Numbers below this have fewer digits before the point than a phone has, which somebody may have put into an attribute.
_NO_PHONE_BELOW = 1_000_000.0

_NO_FIELDS: dict[str, Any] = {}

# The event's data (or one of its products) and the batch → the value as mParticle sent it.
Read = Callable[[Any, BatchContext], Any]

# The value as mParticle sent it, the batch and a list for notes → the value in TikTok's type, None if there is none.
Convert = Callable[[Any, BatchContext, list[Note]], Any]

# The value as mParticle sent it, the same in TikTok's type, and the batch → whether it may not be sent in clear.
_IsPersonal = Callable[[Any, Any, BatchContext], bool]


class ParameterSource(NamedTuple):
    """One parameter of one TikTok event.

    Attributes:
      parameter: TikTok's name.
      label: where it comes from, in words.
      of_product: it is read from each product.
      required: without a value the event (or the product) is left out.
      read: returns the value as mParticle sent it, from the event's data, or from a product if it is `of_product`.
      convert: returns that value in TikTok's type.
    """

    parameter: str
    label: str
    of_product: bool
    required: bool
    read: Read
    convert: Convert


class _Origin(NamedTuple):
    """The place that a setting names.

    Attributes:
      label: in words.
      read: as in `ParameterSource`.
      of_product: as in `ParameterSource`.
      of_user: it is an attribute of the person.
      from_attribute: anyone may have written anything into it.
    """

    label: str
    read: Read
    of_product: bool = False
    of_user: bool = False
    from_attribute: bool = False


def compile_source(name: str, setting: Parameter) -> ParameterSource:
    """Returns one parameter as two functions.

    Args:
      name: TikTok's parameter.
      setting: one source, of a type that fits the parameter.

    Raises:
      ValueError: no such field; a connection that was read from a file has known fields only.
    """
    if setting.constant is not None:
        constant = coercer(name, setting.type)(setting.constant, [])
        return ParameterSource(
            parameter=name,
            label="constant",
            of_product=False,
            required=setting.required,
            read=lambda data, batch: setting.constant,
            convert=lambda sent, batch, notes: constant,
        )
    origin = _origin(setting)
    is_text = PARAMETER_TYPES[name] == "string" and name != "currency"
    convert = _checked(
        coercer(name, setting.type),
        _personal_check(origin.from_attribute, is_text, of_user=origin.of_user),
        is_plain_text=is_text and setting.type in {None, "string"},
    )
    return ParameterSource(
        parameter=name,
        label=origin.label,
        of_product=origin.of_product,
        required=setting.required,
        read=origin.read,
        convert=_quickened(convert, name, setting, origin),
    )


def known_field(name: str) -> str:
    """Returns the name of a product field as mParticle writes it.

    Raises:
      ValueError: it is none; a connection that was read from a file has known fields only.
    """
    return _OTHER_NAMES.get(_known(name, get_args(ProductField)), name)


def product_attribute(product: Any, name: str) -> Any:
    """Returns a custom attribute of a product, None if there is none."""
    attributes = product.custom_attributes
    return attributes.get(name) if type(attributes) is dict else None


def _origin(setting: Parameter) -> _Origin:
    """Returns the place that a setting names, unless it is a constant."""
    if setting.event_attribute is not None:
        name = setting.event_attribute
        return _Origin(f'event attribute "{name}"', _event_attribute(name), from_attribute=True)
    if setting.user_attribute is not None:
        name = setting.user_attribute
        return _Origin(f'user attribute "{name}"', _user_attribute(name), of_user=True, from_attribute=True)
    if setting.custom_flag is not None:
        name = setting.custom_flag
        return _Origin(f'custom flag "{name}"', _custom_flag(name), from_attribute=True)
    if setting.product_attribute is not None:
        name = setting.product_attribute
        return _Origin(f'product attribute "{name}"', _product_attribute(name), of_product=True, from_attribute=True)
    if setting.product_field is not None:
        name = known_field(setting.product_field)
        return _Origin(f"product field {name}", _field(name), of_product=True)
    name = _known(setting.event_field, get_args(EventField))
    return _Origin(f"event field {name}", _event_field(name), from_attribute=name in {"event_name", "screen_name"})


def _known(name: str | None, fields: tuple[str, ...]) -> str:
    if name not in fields:
        raise ValueError(f"custom_mappings: {name!r} is no field")
    return name


def _event_attribute(name: str) -> Read:
    def read(data: Any, batch: BatchContext) -> Any:
        return (data.custom_attributes or _NO_FIELDS).get(name)

    return read


def _user_attribute(name: str) -> Read:
    """Returns the function that reads a user attribute: SDKs and servers write its name in different case."""
    folded = name.casefold()

    def read(data: Any, batch: BatchContext) -> Any:
        attributes = batch.attributes
        value = attributes.get(name)
        if value is not None:
            return value
        return next(
            (value for key, value in attributes.items() if key.casefold() == folded and value is not None), None
        )

    return read


def _custom_flag(name: str) -> Read:
    return lambda data, batch: read_flag(data.custom_flags or _NO_FIELDS, name)


def _product_attribute(name: str) -> Read:
    return lambda product, batch: product_attribute(product, name)


def _field(name: str) -> Read:
    value_of = attrgetter(name)
    return lambda holder, batch: value_of(holder)


def _event_field(name: str) -> Read:
    if name in {"currency", "currency_code"}:
        return _currency
    if name not in _ACTION_FIELDS:
        return _field(name)
    value_of = attrgetter(name)

    def read(data: Any, batch: BatchContext) -> Any:
        return None if data.product_action is None else value_of(data.product_action)

    return read


def _currency(data: Any, batch: BatchContext) -> Any:
    """Returns the currency: on the event by mParticle's schema, on the product action by the specification."""
    return data.currency_code or (data.product_action and data.product_action.currency)


def _checked(coerce: Callable[[Any, list[Note]], Any], is_personal: _IsPersonal, *, is_plain_text: bool) -> Convert:
    """Returns the function that coerces a value and leaves out what may not be sent.

    Args:
      coerce: the value's way into TikTok's type.
      is_personal: whether it may not be sent in clear.
      is_plain_text: the parameter is text and any text will do.
    """

    def convert(sent: Any, batch: BatchContext, notes: list[Note]) -> Any:
        if not given(sent):
            return None
        value = sent.strip() if is_plain_text and type(sent) is str else coerce(sent, notes)
        if value is None:
            notes.append(Note.MISTYPED_PARAMETER)
        elif is_personal(sent, value, batch):
            notes.append(Note.PERSONAL_VALUE)
            return None
        return value

    return convert


def _personal_check(from_attribute: bool, is_text: bool, *, of_user: bool) -> _IsPersonal:
    """Returns the function that finds what may not go out in clear.

    An address may stand in any text; names, and phones without their country code, in what anyone may have written.
    """
    if from_attribute and is_text:
        return lambda sent, value, batch: names_person(value, batch, of_user=of_user)
    if is_text:
        return lambda sent, value, batch: has_address(value)
    if from_attribute:
        return lambda sent, value, batch: is_phone_of(str(sent), batch)
    return lambda sent, value, batch: False


def _quickened(convert: Convert, name: str, setting: Parameter, origin: _Origin) -> Convert:
    """Returns `convert` with a short way for the form that nearly every value of such a parameter has.

    The short way gives what the long one gives (`tests/custom/test_parameter_sources.py`).
    """
    if name == "currency":
        return _quick_currency(convert)
    if PARAMETER_TYPES[name] == "integer":
        return _quick_quantity(convert)
    if PARAMETER_TYPES[name] == "number" and setting.type != "integer":
        return _quick_number(convert)
    if PARAMETER_TYPES[name] == "string" and setting.type in {None, "string"} and not origin.from_attribute:
        return _quick_text(convert)
    return convert


def _quick_currency(convert: Convert) -> Convert:
    def quick(sent: Any, batch: BatchContext, notes: list[Note]) -> Any:
        return sent if type(sent) is str and sent in tables.CURRENCIES else convert(sent, batch, notes)

    return quick


def _quick_quantity(convert: Convert) -> Convert:
    def quick(sent: Any, batch: BatchContext, notes: list[Note]) -> Any:
        usual = USUAL_QUANTITIES.get(sent) if type(sent) is float else None
        return convert(sent, batch, notes) if usual is None else usual

    return quick


def _quick_number(convert: Convert) -> Convert:
    def quick(sent: Any, batch: BatchContext, notes: list[Note]) -> Any:
        return sent if type(sent) is float and 0.0 < sent < _NO_PHONE_BELOW else convert(sent, batch, notes)

    return quick


def _quick_text(convert: Convert) -> Convert:
    def quick(sent: Any, batch: BatchContext, notes: list[Note]) -> Any:
        if type(sent) is str and "@" not in sent and "+" not in sent:  # no address, as `has_address` sees it
            return sent.strip() or None
        return convert(sent, batch, notes)

    return quick
