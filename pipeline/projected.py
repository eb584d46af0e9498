"""The two halves of a projection: which events it matches, and which attributes it gives the outgoing event."""

from typing import Any

from pipeline.problems import plain, shown
from pipeline.sdkhashes import Names
from transforms.mapping.custom import PARAMETER_TYPES, folded

_MESSAGE_TYPES = {"3": "screen_view", "4": "custom_event", "16": "commerce_event"}
_DATA_TYPES = {"1": "string", "2": "integer", "3": "boolean", "4": "number"}
_DATA_TYPES |= {"string": "string", "int": "integer", "bool": "boolean", "double": "number", "float": "number"}

# Fields by their names in the SDKs. Source: mparticle-android-sdk eb2b4c87, `CommerceEventUtils.Constants`.
EVENT_FIELDS = {
    "Transaction Id": "transaction_id",
    "Affiliation": "affiliation",
    "Coupon Code": "coupon_code",
    "Total Amount": "total_amount",
    "Shipping Amount": "shipping_amount",
    "Tax Amount": "tax_amount",
    "Currency Code": "currency_code",
    "Checkout Step": "checkout_step",
    "Checkout Options": "checkout_options",
    "Product Action List": "product_action_list",
    "Product List Source": "product_list_source",
}
PRODUCT_FIELDS = {
    "Id": "id",
    "Name": "name",
    "Brand": "brand",
    "Category": "category",
    "Variant": "variant",
    "Position": "position",
    "Item Price": "item_price",
    "Quantity": "quantity",
    "Coupon Code": "coupon_code",
    "Total Product Amount": "total_product_amount",
}
_EVENT_FIELD = {plain(name): field for name, field in EVENT_FIELDS.items()}
_PRODUCT_FIELD = {plain(name): field for name, field in PRODUCT_FIELDS.items()}


class NotCarriedError(Exception):
    """No mapping can mean what a projection says; the text is the reason."""


def objects(holder: dict[str, Any], key: str) -> list[dict[str, Any]]:
    """Returns the objects of a list, of which an object alone may stand for one; none if the key is absent or null.

    Raises:
      NotCarriedError: it holds something else, whose meaning would be lost.
    """
    value = holder.get(key)
    entries = [value] if isinstance(value, dict) else value or []
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise NotCarriedError(f"its `{key}` is no list of objects.")
    return entries


def match_of(projection: dict[str, Any], names: Names) -> dict[str, Any]:
    """Returns the conditions of a projection as a mapping's `match`.

    Raises:
      NotCarriedError: a condition cannot be said, so that the mapping would match more than it should.
    """
    entries = objects(projection, "matches") or objects(projection, "match")
    match: dict[str, Any] = {}
    for entry in entries:
        message_type = _MESSAGE_TYPES.get(str(entry.get("message_type")))
        if message_type is None:
            raise NotCarriedError(f"message_type {entry.get('message_type')} is no screen, custom or commerce event.")
        _set(match, "message_type", message_type)
        _event_condition(match, entry, names)
        _value_condition(match, entry, names)
    if not match:
        raise NotCarriedError("it has no `matches`.")
    return match


def _event_condition(match: dict[str, Any], entry: dict[str, Any], names: Names) -> None:
    kind, event = str(entry.get("event_match_type") or ""), entry.get("event")
    if event in (None, "") and not kind:
        return
    if event in (None, "") or not isinstance(event, str | int):
        raise NotCarriedError(f"event_match_type {shown(kind)} is given, and no event.")
    if not kind:
        raise NotCarriedError(f"the event {shown(str(event))} is given, and no event_match_type.")
    if kind == "String":
        _set(match, "event", str(event))
    elif kind == "Hash":
        named = names.events.get(str(event))
        if named is None:
            raise NotCarriedError(
                f"the hash {event} stands for an event that is not in the sample; give --sample FILE."
            )
        if named.name is not None:
            _set(match, "event", named.name)
        if named.product_action is not None:
            _set(match, "product_action", named.product_action)
    else:
        raise NotCarriedError(f"event_match_type {shown(kind)} is not known.")


def _value_condition(match: dict[str, Any], entry: dict[str, Any], names: Names) -> None:
    if entry.get("attribute_key"):
        values = entry.get("attribute_values", entry.get("attribute_value"))
        _add(match, "attributes", str(entry["attribute_key"]), values)
    location = entry.get("property")
    if not location:
        return
    name = _name(entry.get("property_name"), hashed=entry.get("event_match_type") == "Hash", names=names)
    values = entry.get("property_values", entry.get("property_value"))
    if location == "EventAttribute":
        _add(match, "attributes", name, values)
    elif location == "ProductAttribute":
        _add(match, "product_attributes", name, values)
    elif location == "ProductField" and plain(name) in _PRODUCT_FIELD:
        _add(match, "products", _PRODUCT_FIELD[plain(name)], values)
    else:
        raise NotCarriedError(f"a condition on {location} {shown(name)} cannot be said in a mapping.")


def _name(name: Any, *, hashed: bool, names: Names) -> str:
    """Returns the name of an attribute or field, which may be hashed."""
    known = names.attributes.get(str(name))
    if known is not None:
        return known
    if hashed and str(name).lstrip("-").isdigit():
        raise NotCarriedError(f"the hash {name} stands for an attribute that is not in the sample; give --sample FILE.")
    return str(name)


def _add(match: dict[str, Any], key: str, name: str, values: Any) -> None:
    """Adds a condition; of two on one attribute both must hold, so that the values are left that are in both."""
    entries = values if isinstance(values, list) else [values]
    if values in (None, [], "") or not all(isinstance(entry, str | int | float) for entry in entries):
        raise NotCarriedError(f"the condition on {shown(name)} names no value.")
    texts = list(dict.fromkeys(map(_text, entries)))
    known = match.setdefault(key, {}).get(name)
    if known is not None:
        allowed = {folded(one) for one in (known if isinstance(known, list) else [known])}
        texts = [text for text in texts if folded(text) in allowed]
    if not texts:
        raise NotCarriedError(f"its matches want different values of {shown(name)} at once.")
    match[key][name] = texts[0] if len(texts) == 1 else texts


def _text(value: Any) -> str:
    """Returns a value of JSON as mParticle writes it into an attribute."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _set(match: dict[str, Any], key: str, value: str) -> None:
    if folded(match.setdefault(key, value)) != folded(value):
        raise NotCarriedError(f"its matches want {shown(match[key])} and {shown(value)} at once for {key}.")


def parameters_of(
    attribute_maps: list[dict[str, Any]], message_type: str, names: Names
) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """Returns the parameters of a projection, and remarks on those that TikTok does not take.

    Raises:
      NotCarriedError: a required one cannot be given.
    """
    known = {plain(name): name for name in PARAMETER_TYPES}
    parameters: dict[str, dict[str, Any]] = {}
    remarks: list[str] = []
    for entry in attribute_maps:
        said = str(entry.get("projected_attribute_name") or "")
        name = known.get(plain(said))
        try:
            if name is None:
                raise NotCarriedError("it is no parameter of a custom mapping.")
            setting = _source(entry, message_type, names)
        except NotCarriedError as reason:
            if entry.get("is_required"):
                raise NotCarriedError(f"the required attribute {shown(said)}: {reason}") from None
            remarks.append(f"attribute {shown(said)} left out: {reason}")
            continue
        declared = _DATA_TYPES.get(str(entry.get("data_type")).lower())
        # TikTok's own type decides where it is stricter; text is the default of both.
        is_text = PARAMETER_TYPES[name] == "string"
        if name != "currency" and (declared in {"integer", "number"} or (declared == "boolean" and is_text)):
            setting["type"] = declared
        if entry.get("is_required"):
            setting["required"] = True
        if name in parameters:
            remarks.append(f"attribute {shown(said)} is given twice; the last one counts.")
        parameters[name] = setting
    return parameters, remarks


def _source(entry: dict[str, Any], message_type: str, names: Names) -> dict[str, Any]:
    """Returns the source of one attribute."""
    kind, value = str(entry.get("match_type") or "String"), entry.get("value")
    if kind == "Static":
        if not isinstance(value, str | int | float):
            raise NotCarriedError("its constant is no single value.")
        return {"constant": _text(value)}
    if kind == "Field":
        return {"event_field": "screen_name" if message_type == "screen_view" else "event_name"}
    if kind not in {"String", "Hash"}:
        raise NotCarriedError(f"match_type {shown(kind)} is not known.")
    if value in (None, "") or not isinstance(value, str | int):
        raise NotCarriedError("it names no attribute.")
    location = entry.get("property") or "EventAttribute"
    name = _name(value, hashed=kind == "Hash", names=names)
    if location == "EventAttribute":
        return {"event_attribute": name}
    if location == "ProductAttribute":
        return {"product_attribute": name}
    table = {"EventField": _EVENT_FIELD, "ProductField": _PRODUCT_FIELD}.get(str(location), {})
    if plain(name) not in table:
        raise NotCarriedError(f"{location} {shown(name)} cannot be read by a mapping.")
    return {"event_field" if location == "EventField" else "product_field": table[plain(name)]}
