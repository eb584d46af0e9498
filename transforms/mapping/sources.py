"""Where a mapped parameter comes from: one setting in, a function out that reads, checks and types its value.

A value that cannot be of the parameter's type (`typed`), and one that says who someone is, count as missing.
"""

from collections.abc import Callable
from typing import Any, NamedTuple, get_args

from transforms.custom_mappings import EventField, Parameter, ProductField
from transforms.mapping import tables
from transforms.mapping.commerce import USUAL_QUANTITIES
from transforms.mapping.contacts import has_address
from transforms.mapping.page import read_flag
from transforms.mapping.parameters import PARAMETER_TYPES
from transforms.mapping.personal import is_phone_of, tells_who
from transforms.mapping.typed import converter
from transforms.mapping.values import given
from transforms.parts import BatchContext
from transforms.vocabulary import Note

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
        *("transaction_id", "total_amount", "currency", "currency_code"),
    }
)

# A source's function: the event's data, the product (None outside contents) and the batch → the value as it was sent.
_Read = Callable[[Any, Any, BatchContext], Any]
_Slow = Callable[[Any, BatchContext, list[Note]], Any]


class Source(NamedTuple):
    """One parameter of one TikTok event.

    Attributes:
      parameter: TikTok's name.
      label: where it comes from, in words.
      of_product: it is read from each product.
      required: without a value the event (or the product) is left out.
      sent: a Python expression over `data`, `product` and `batch` that reads the value as mParticle sent it.
      quick: a Python expression over `sent` that knows the usual form of the value at a glance and asks `slow` else.
      names: what these expressions refer to besides `NAMES`, such as the name of an attribute.
      read: what `sent` says, as a function.
      slow: returns the value in TikTok's type, None if there is none; takes what had to be decided.
    """

    parameter: str
    label: str
    of_product: bool
    required: bool
    sent: str
    quick: str
    names: dict[str, Any]
    read: _Read
    slow: _Slow


def compile_source(name: str, setting: Parameter) -> Source:
    """Returns one parameter, compiled.

    Args:
      name: TikTok's parameter.
      setting: checked by `pipeline.config.validate_mappings`: one source, of a type that fits.
    """
    origin = f"origin_{name}"
    label, sent, from_attribute, known = _expression(setting, origin)
    names = {} if known is None else {origin: known}
    # The expression is made of our own words; what a user wrote is behind the name of `origin`.
    read: _Read = eval(f"lambda data, product, batch: {sent}", {**NAMES, **names})  # noqa: S307
    of_product = setting.product_field is not None or setting.product_attribute is not None
    to_tiktok = converter(name, setting.type)
    if setting.constant is not None:
        constant = to_tiktok(setting.constant, [])
        return Source(
            name,
            label,
            False,
            setting.required,
            origin,
            "sent",
            {origin: constant},
            read,
            lambda sent, batch, notes: constant,
        )
    is_text = PARAMETER_TYPES[name] == "string" and name != "currency"
    guarded = from_attribute and is_text
    of_user = setting.user_attribute is not None
    is_personal = _guard(from_attribute, is_text, of_user=of_user)

    def slow(sent: Any, batch: BatchContext, notes: list[Note]) -> Any:
        if not given(sent):
            return None
        typed = to_tiktok(sent, notes) if sent.__class__ is not str or not is_plain_text else sent.strip()
        if typed is None:
            notes.append(Note.MISTYPED_PARAMETER)
        elif is_personal(sent, typed, batch):
            notes.append(Note.PERSONAL_VALUE)
            return None
        return typed

    form = _form(name, setting.type)
    is_plain_text = form == "text"
    if guarded:
        form = "word" if is_plain_text and not of_user else ""
    ask = f"slow_{name}"
    quick = _QUICK.get(form, "{slow}").format(slow=f"{ask}(sent, batch, notes := notes or [])")
    return Source(name, label, of_product, setting.required, sent, quick, {**names, ask: slow}, read, slow)


# Forms of values that nearly every event has, and how they are known.
_QUICK = {
    "currency": "sent if sent.__class__ is str and sent in CURRENCIES else {slow}",
    # Fewer digits than a phone has, which somebody may have put into an attribute.
    "number": "sent if sent.__class__ is float and 0.0 < sent < 1000000.0 else {slow}",
    "quantity": "(USUAL_QUANTITIES.get(sent) if sent.__class__ is float else None) or {slow}",
    "text": "(sent.strip() or None) if sent.__class__ is str and '@' not in sent and '+' not in sent else {slow}",
    # Letters are no address and no phone, and without attributes such as `$FirstName` they are nobody's name.
    "word": "sent if sent.__class__ is str and sent.isalpha() and sent.isascii() "
    'and "$" not in "".join(batch.attributes) else {slow}',
}


def _form(name: str, declared: str | None) -> str:
    if name == "currency":
        return "currency"
    wanted = PARAMETER_TYPES[name]
    if wanted == "number" and declared != "integer":
        return "number"
    if wanted == "integer":
        return "quantity"
    return "text" if wanted == "string" and declared in {None, "string"} else ""


def _expression(setting: Parameter, origin: str) -> tuple[str, str, bool, Any]:
    """Returns where a parameter comes from.

    That is: in words; as an expression, in which `origin` stands for what the user wrote; whether people may be in it;
    what the user wrote.
    """
    if setting.event_attribute is not None:
        name = setting.event_attribute
        return f'event attribute "{name}"', f"(data.custom_attributes or NOTHING).get({origin})", True, name
    if setting.user_attribute is not None:
        name = setting.user_attribute
        return f'user attribute "{name}"', f"in_any_case(batch.attributes, {origin})", True, name
    if setting.custom_flag is not None:
        name = setting.custom_flag
        return f'custom flag "{name}"', f"read_flag(data.custom_flags or NOTHING, {origin})", True, name
    if setting.product_attribute is not None:
        name = setting.product_attribute
        return f'product attribute "{name}"', f"product_attribute(product, {origin})", True, name
    if setting.product_field is not None:
        name = known_field(setting.product_field)
        return f"product field {name}", f"product.{name}", False, None
    if setting.event_field is not None:
        name = _known(setting.event_field, get_args(EventField))
        return f"event field {name}", _field_expression(name), name in {"event_name", "screen_name"}, None
    return "constant", origin, False, setting.constant


def known_field(name: str) -> str:
    """Returns the name of a product field as mParticle writes it, which may stand in generated code as it is.

    Raises:
      ValueError: it is none; a connection that was read from a file has known fields only.
    """
    return _PRODUCT_FIELDS.get(_known(name, get_args(ProductField)), name)


def _known(name: str, fields: tuple[str, ...]) -> str:
    if name not in fields:
        raise ValueError(f"custom_mappings: {name!r} is no field")
    return name


def _field_expression(name: str) -> str:
    if name in {"currency", "currency_code"}:
        # As in `commerce.read_currency`: on the event by the schema, on the product action by the specification.
        return "data.currency_code or (data.product_action and data.product_action.currency)"
    if name in _ACTION_FIELDS:
        return f"data.product_action and data.product_action.{name}"
    return f"data.{name}"


def product_attribute(product: Any, name: str) -> Any:
    """Returns a custom attribute of a product, None if there is none."""
    attributes = product.custom_attributes
    return attributes.get(name) if type(attributes) is dict else None


def in_any_case(attributes: dict[str, Any], name: str) -> Any:
    """Returns a user attribute: SDKs and servers write its name in different case."""
    value = attributes.get(name)
    if value is not None:
        return value
    folded = name.casefold()
    return next((value for key, value in attributes.items() if key.casefold() == folded and value is not None), None)


# What the expressions refer to.
NAMES: dict[str, Any] = {
    "NOTHING": {},
    "CURRENCIES": tables.CURRENCIES,
    "USUAL_QUANTITIES": USUAL_QUANTITIES,
    "in_any_case": in_any_case,
    "product_attribute": product_attribute,
    "read_flag": read_flag,
}


def _guard(from_attribute: bool, is_text: bool, *, of_user: bool) -> Callable[[Any, Any, BatchContext], bool]:
    """Returns the function that says whether a value may not go out in clear: as it was sent, and in TikTok's type.

    An address may stand in any text; names, and phones without their country code, in what anyone may have written.
    """
    if from_attribute and is_text:
        return lambda sent, typed, batch: tells_who(typed, batch, of_user=of_user)
    if is_text:
        return lambda sent, typed, batch: has_address(typed)
    if from_attribute:
        return lambda sent, typed, batch: is_phone_of(str(sent), batch)
    return lambda sent, typed, batch: False
