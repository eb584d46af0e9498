"""mParticle's projections, the form in which its SDKs get custom mappings → custom mappings of a connection.

What comes out can be read as a connection's `custom_mappings`; what cannot be carried over is reported, never dropped
in silence. A projection has two halves: which events it matches, and which attributes it gives the outgoing event.

Source: mparticle-android-sdk eb2b4c87, `CustomMapping.java` and `CustomMappingMatch.java`; the Apple SDK has the same
form.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec

from pipeline.authoring.sdk_hashes import SdkNames
from pipeline.config import check_mappings
from pipeline.errors import Report
from pipeline.wording import plain, shown, suggestion
from transforms.custom_mappings import CustomMapping
from transforms.mapping.custom import PARAMETER_TYPES, folded
from transforms.mapping.tables import RETIRED_EVENTS, STANDARD_EVENTS

_MESSAGE_TYPES = {"3": "screen_view", "4": "custom_event", "16": "commerce_event"}
_DATA_TYPES = {"1": "string", "2": "integer", "3": "boolean", "4": "number"}
_DATA_TYPES |= {"string": "string", "int": "integer", "bool": "boolean", "double": "number", "float": "number"}

# Fields by their names in the SDKs. Source: mparticle-android-sdk eb2b4c87, `CommerceEventUtils.Constants`.
SDK_EVENT_FIELDS = {
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
SDK_PRODUCT_FIELDS = {
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
_EVENT_FIELD = {plain(name): field for name, field in SDK_EVENT_FIELDS.items()}
_PRODUCT_FIELD = {plain(name): field for name, field in SDK_PRODUCT_FIELDS.items()}


class NotCarriedError(Exception):
    """No mapping can mean the same as a projection; the text is the reason."""


class Imported(NamedTuple):
    """What became of projections.

    Attributes:
      mappings: as a connection's file writes them.
      left_out: what could not be carried over, a sentence each.
    """

    mappings: list[dict[str, Any]]
    left_out: list[str]


def import_projections(document: Any, names: SdkNames) -> Imported:
    """Returns the mappings of projections.

    Args:
      document: projections as a list, one alone, or an SDK's configuration around them (`pr`, `eks[].pr`).
      names: what hashes stand for.
    """
    mappings: list[dict[str, Any]] = []
    left_out: list[str] = []
    for position, projection in enumerate(_projections(document)):
        title = f"projection {_id(projection, position)}" if isinstance(projection, dict) else f"entry {position + 1}"
        try:
            mapping, remarks = _mapping(projection, title, names)
        except NotCarriedError as reason:
            left_out.append(f"{title}: {reason}")
            continue
        remarks += _made_valid(mapping, mappings)
        left_out += [f"{title}: {remark}" for remark in remarks]
        if mapping:
            mappings.append(mapping)
    return Imported(mappings, left_out)


def _projections(document: Any) -> Iterator[Any]:
    """Yields the projections of a document, wherever it keeps them."""
    if isinstance(document, list):
        for entry in document:
            yield from _projections(entry) if isinstance(entry, dict) and _is_around(entry) else (entry,)
    elif isinstance(document, dict):
        if not _is_around(document):
            yield document
            return
        for key in ("pr", "projections", "eks"):
            if isinstance(document.get(key), list):
                yield from _projections(document[key])


def _is_around(entry: dict[str, Any]) -> bool:
    return "action" not in entry and any(isinstance(entry.get(key), list) for key in ("pr", "projections", "eks"))


def _id(projection: dict[str, Any], position: int) -> str:
    """Returns what a projection is called, on one line; its position from 1 if it has no id."""
    given = projection.get("id")
    return " ".join(str(given).split()) if isinstance(given, str | int) else str(position + 1)


def _mapping(projection: Any, title: str, names: SdkNames) -> tuple[dict[str, Any], list[str]]:
    """Returns a projection as a mapping, and remarks on what was left out; `title` becomes part of its name.

    Raises:
      NotCarriedError: no mapping can mean the same.
    """
    if not isinstance(projection, dict) or not isinstance(projection.get("action"), dict):
        raise NotCarriedError("it is no projection (no `action`).")
    behavior = projection.get("behavior") or projection.get("behaviors") or {}
    if not isinstance(behavior, dict):
        raise NotCarriedError("its `behavior` is no object.")
    if behavior.get("is_default"):
        raise NotCarriedError("it is the default projection; the default mapping of this program takes its place.")
    action = projection["action"]
    event = _event(action.get("projected_event_name"))
    match = _match_of(projection, names)
    parameters, remarks = _parameters_of(_objects(action, "attribute_maps"), match["message_type"], names)
    if behavior.get("append_unmapped_as_is"):
        remarks.append("append_unmapped_as_is: TikTok takes known parameters only, so no others are sent.")
    reads_products = any(
        key in setting for setting in parameters.values() for key in ("product_field", "product_attribute")
    )
    if reads_products and behavior.get("selector") == "last":
        remarks.append("selector last: the event is sent with all products, not with the last one.")
    elif reads_products:
        remarks.append("one event is sent with all products in `contents`, where the SDK sends one event for each.")
    mapping: dict[str, Any] = {
        "name": f"{event} ({title})",
        "match": match,
        "send": event,
    }
    if parameters:
        mapping["parameters"] = parameters
    return mapping, remarks


def _event(name: Any) -> str:
    known = {plain(event): event for event in (*STANDARD_EVENTS, *RETIRED_EVENTS)}
    event = known.get(plain(name)) if isinstance(name, str) else None
    if event is None:
        given = shown(name) if isinstance(name, str) else "nothing"
        hint = suggestion(name, known.values()) if isinstance(name, str) else ""
        raise NotCarriedError(f"it sends {given}, which is no event of TikTok.{hint}")
    return event


def _match_of(projection: dict[str, Any], names: SdkNames) -> dict[str, Any]:
    """Returns the conditions of a projection as a mapping's `match`.

    Raises:
      NotCarriedError: a condition cannot be expressed, so that the mapping would match more than it should.
    """
    entries = _objects(projection, "matches") or _objects(projection, "match")
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


def _event_condition(match: dict[str, Any], entry: dict[str, Any], names: SdkNames) -> None:
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


def _value_condition(match: dict[str, Any], entry: dict[str, Any], names: SdkNames) -> None:
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


def _name(name: Any, *, hashed: bool, names: SdkNames) -> str:
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


def _set(match: dict[str, Any], key: str, value: str) -> None:
    if folded(match.setdefault(key, value)) != folded(value):
        raise NotCarriedError(f"its matches want {shown(match[key])} and {shown(value)} at once for {key}.")


def _parameters_of(
    attribute_maps: list[dict[str, Any]], message_type: str, names: SdkNames
) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """Returns the parameters of a projection, and remarks on those that TikTok does not take.

    Raises:
      NotCarriedError: a required one cannot be given.
    """
    known = {plain(name): name for name in PARAMETER_TYPES}
    parameters: dict[str, dict[str, Any]] = {}
    remarks: list[str] = []
    for entry in attribute_maps:
        given = str(entry.get("projected_attribute_name") or "")
        name = known.get(plain(given))
        try:
            if name is None:
                raise NotCarriedError("it is no parameter of a custom mapping.")
            setting = _source(entry, message_type, names)
        except NotCarriedError as reason:
            if entry.get("is_required"):
                raise NotCarriedError(f"the required attribute {shown(given)}: {reason}") from None
            remarks.append(f"attribute {shown(given)} left out: {reason}")
            continue
        declared = _DATA_TYPES.get(str(entry.get("data_type")).lower())
        # TikTok's own type decides where it is stricter; text is the default of both.
        is_text = PARAMETER_TYPES[name] == "string"
        if name != "currency" and (declared in {"integer", "number"} or (declared == "boolean" and is_text)):
            setting["type"] = declared
        if entry.get("is_required"):
            setting["required"] = True
        if name in parameters:
            remarks.append(f"attribute {shown(given)} is given twice; the last one counts.")
        parameters[name] = setting
    return parameters, remarks


def _source(entry: dict[str, Any], message_type: str, names: SdkNames) -> dict[str, Any]:
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


def _objects(parent: dict[str, Any], key: str) -> list[dict[str, Any]]:
    """Returns the objects of a list, of which an object alone may stand for one; none if the key is absent or null.

    Raises:
      NotCarriedError: it holds something else, whose meaning would be lost.
    """
    value = parent.get(key)
    entries = [value] if isinstance(value, dict) else value or []
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise NotCarriedError(f"its `{key}` is no list of objects.")
    return entries


def _text(value: Any) -> str:
    """Returns a value of JSON as mParticle writes it into an attribute."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _made_valid(mapping: dict[str, Any], others: list[dict[str, Any]]) -> list[str]:
    """Takes out of a mapping what a connection would refuse, the mapping itself (emptied) if need be; returns what."""
    remarks = []
    while mapping:
        own = f"custom_mappings[{len(others) + 1}]"
        report = Report()
        check_mappings([msgspec.convert(_with_list(one), CustomMapping) for one in (*others, mapping)], {}, report)
        problem = next((one for one in report.problems if one.key.startswith(own)), None)
        if problem is None:
            break
        inner = problem.key.removeprefix(f"{own}.").split(".")
        parameter = inner[1] if inner[0] == "parameters" and len(inner) > 1 else None
        if parameter in mapping.get("parameters", {}) and not mapping["parameters"][parameter].get("required"):
            remarks.append(f"parameter {parameter} left out: {problem.text}")
            del mapping["parameters"][parameter]
            if not mapping["parameters"]:
                del mapping["parameters"]
        else:
            remarks.append(problem.text)
            mapping.clear()
    return remarks


def _with_list(mapping: dict[str, Any]) -> dict[str, Any]:
    """Returns a mapping as its struct is converted from: one event is a list of one."""
    return {**mapping, "send": [{"event": mapping["send"]}]}
