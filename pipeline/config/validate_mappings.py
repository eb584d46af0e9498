"""What types of custom mappings cannot express: events and parameters that do not exist, and what can never be meant.

Every problem names file, line and column, the nearest valid name, and the remedy. A parameter comes from one source
that its event has, of a type that fits, and that identifies nobody.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import combinations
from typing import get_args

from msgspec.structs import replace

from pipeline.config.conversion import item_path, key_place, read_items
from pipeline.config.tiktok_events import check_event, own_spelling
from pipeline.errors import Report
from pipeline.wording import shown, suggestion
from transforms.custom_mappings import SOURCES, Condition, CustomMapping, Match, Parameter, ProductField, Target
from transforms.mapping import canonical_action, has_contact
from transforms.mapping.custom import (
    CONTENT_PARAMETERS,
    EVENT_PARAMETERS,
    PARAMETER_TYPES,
    coercer,
    folded,
    is_personal,
    label,
    message_type,
    wanted,
)
from transforms.mapping.tables import (
    COMMERCE_EVENT,
    PURCHASE_LIKE_EVENTS,
    RETIRED_EVENTS,
    STANDARD_EVENTS,
    TAKEN_BACK_ACTIONS,
    counted_as,
)
from transforms.vocabulary import Note

# Which fields an event has that is no commerce event.
_FIELDS = {"custom_event": ("event_name",), "screen_view": ("screen_name",)}

# What custom events have; the other types are of commerce events. Source: mParticle's batch schema.
_CUSTOM_TYPES = frozenset(
    {
        *("navigation", "location", "search", "transaction", "user_content", "user_preference", "social", "media"),
        *("other", "attribution", "unknown"),
    }
)
# The words of a name, however they are joined: "Order Refunded", order_refunded, OrderRefunded.
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
_REFUND_WORDS = frozenset({"refund", "refunds", "refunded", "refunding"})
_PRODUCT_FIELDS = get_args(ProductField)

# Path of a setting below the mapping, text: adds a problem.
_Refuse = Callable[[str, str], None]


def in_own_spelling(mappings: Sequence[CustomMapping | None]) -> tuple[CustomMapping | None, ...]:
    """Returns the mappings with TikTok's events as TikTok writes them."""
    return tuple(
        mapping and replace(mapping, send=tuple(target and _in_own_spelling(target) for target in mapping.send))
        for mapping in mappings
    )


def _in_own_spelling(target: Target) -> Target:
    return replace(target, event=own_spelling(target.event))


def check_mappings(mappings: Sequence[CustomMapping | None], places: Mapping[str, str], report: Report) -> None:
    """Refuses what cannot be meant, and warns of what probably is not.

    Args:
      mappings: of the right types; None where nothing can be read, as in their `send`.
      places: where each setting was written.
      report: takes what is found.
    """
    _check_names(mappings, places, report)
    sound = []
    for position, mapping in read_items(mappings):
        path = item_path("custom_mappings", position)
        _check_mapping(mapping, path, places, report)
        if not report.is_bad(path):
            sound.append((position, mapping))
    for (one, first), (other, second) in combinations(sound, 2):
        _check_pair(one, first, other, second, places, report)


def _check_names(mappings: Sequence[CustomMapping | None], places: Mapping[str, str], report: Report) -> None:
    """Refuses a name that two mappings have, because reports name mappings by it."""
    first: dict[str, str] = {}
    for position, mapping in read_items(mappings):
        path = item_path("custom_mappings", position)
        if mapping.name is None and report.is_bad(path):
            continue
        name = label(position, mapping)
        if name in first:
            text = f"two mappings are called {shown(name)}, the first at {first[name]}; give them two names."
            report.refuse(places.get(f"{path}.name", places.get(path, "")), f"{path}.name", text)
        first.setdefault(name, places.get(path, "its place"))


def _check_mapping(mapping: CustomMapping, path: str, places: Mapping[str, str], report: Report) -> None:
    def refuse(inner: str, text: str) -> None:
        key = f"{path}.{inner}"
        where = places.get(key_place(key)) or places.get(f"{path}.{inner.split('.')[0]}") or places.get(path, "")
        report.refuse(where, key, text)

    if not report.is_bad(f"{path}.match"):
        _check_match(mapping.match, refuse)
    known: list[str] = []
    for number, target in read_items(mapping.send):
        key = item_path("send", number) if f"{path}.{item_path('send', number)}" in places else "send"
        where = places.get(f"{path}.{key}.event") or places.get(f"{path}.{key}", places.get(path, ""))
        check_event(target.event, where, f"{path}.{key}", report)
        twin = next((event for event in known if counted_as(event) == counted_as(target.event)), None)
        if twin == target.event:
            report.refuse(where, f"{path}.{key}", f"{target.event} is named twice; TikTok takes one for each event.")
        elif twin is not None:
            text = f"{twin} and {target.event} are one event under its old and its new name, which would count twice."
            report.refuse(where, f"{path}.{key}", f"{text} Keep {counted_as(twin)}.")
        elif target.event in STANDARD_EVENTS or target.event in RETIRED_EVENTS:
            known.append(target.event)
            if target.event.lower() in PURCHASE_LIKE_EVENTS and _takes_back(mapping.match):
                text = (
                    f"what takes an order back must never be reported as the order {target.event}; send nothing for it."
                )
                report.refuse(where, f"{path}.{key}", text)
        _check_target(target, mapping, path, key, places, report)
    is_order = any(event.lower() in PURCHASE_LIKE_EVENTS for event in known)
    if is_order and mapping.also_default and canonical_action(mapping.match.product_action or "") == "purchase":
        key = f"{path}.also_default"
        report.warn(
            places.get(key, ""),
            key,
            "an order is sent twice, by the mapping and by its default; two different names count it twice.",
        )


def _check_match(match: Match, refuse: _Refuse) -> None:
    """Refuses conditions that no event can meet."""
    kind = message_type(match)
    if match == Match():
        refuse("match", "without a condition it would match every event; name at least `message_type`.")
        return
    if match.message_type is None and match.product_action is None:
        refuse("match", "missing: message_type. Write `message_type: custom_event`, screen_view or commerce_event.")
        return
    if kind != COMMERCE_EVENT:
        for name in ("product_action", "products", "product_attributes"):
            if getattr(match, name):
                refuse(f"match.{name}", f"a {kind} has no products, so this can never match; remove it.")
    if match.custom_event_type is not None:
        _check_event_type(match, match.custom_event_type, kind, refuse)
    for name in match.products:
        if name not in _PRODUCT_FIELDS:
            text = f"no field of a product; one of {', '.join(_PRODUCT_FIELDS)}; others are product_attributes."
            refuse(f"match.products.{name}", f"{text}{suggestion(name, _PRODUCT_FIELDS)}")


def _check_event_type(match: Match, event_type: str, kind: str, refuse: _Refuse) -> None:
    """Refuses a `custom_event_type` that no event of this kind has."""
    is_custom = event_type in _CUSTOM_TYPES
    if kind == "screen_view" or is_custom is (kind == COMMERCE_EVENT):
        text = f"a {kind} never has the type {event_type}, so this can never match; remove it."
        refuse("match.custom_event_type", text)
    elif match.product_action is not None and canonical_action(event_type) != canonical_action(match.product_action):
        text = f"{event_type} and the product action {match.product_action} are never in one event."
        refuse("match.custom_event_type", f"{text} Remove one of the two.")


def _takes_back(match: Match) -> bool:
    """Returns whether a mapping is for events that undo an order."""
    return (
        canonical_action(match.product_action or "") in TAKEN_BACK_ACTIONS
        or canonical_action(match.custom_event_type or "") in TAKEN_BACK_ACTIONS
        or _is_refund(match.event or "")
        or any(all(map(_is_refund, _texts(condition))) for condition in match.attributes.values())
    )


def _is_refund(text: str) -> bool:
    return any(word.lower() in _REFUND_WORDS for word in _WORD.findall(text))


def _texts(condition: Condition) -> tuple[str, ...]:
    return tuple(map(str, condition if isinstance(condition, tuple) else (condition,)))


def _check_target(
    target: Target, mapping: CustomMapping, path: str, key: str, places: Mapping[str, str], report: Report
) -> None:
    """Refuses parameters that the event does not take, and sources that cannot give them."""
    allowed = EVENT_PARAMETERS.get(target.event)
    for parent, parameters in (
        (f"{path}.parameters", mapping.parameters),
        (f"{path}.{key}.parameters", target.parameters),
    ):
        for name, setting in parameters.items():
            inner = f"{parent}.{name}"
            where = places.get(key_place(inner), places.get(path, ""))
            if allowed is not None and name not in allowed:
                taken = ", ".join(allowed)
                text = f"{target.event} takes no parameter {shown(name)}; it takes {taken}.{suggestion(name, allowed)}"
                if len(mapping.send) > 1 and parameters is mapping.parameters:
                    text += " To give it to one of the events only, write it under that event in `send`."
                report.refuse(where, inner, text)
            elif name in PARAMETER_TYPES and not report.is_bad(inner):
                _check_parameter(name, setting, message_type(mapping.match), inner, where, places, report)
    both = {**mapping.parameters, **target.parameters}
    if "value" in both and "currency" not in both:
        where = places.get(key_place(f"{path}.parameters.value"), places.get(path, ""))
        text = (
            f"{target.event} is sent with a value and without a currency, which TikTok cannot use; map `currency` too."
        )
        report.warn(where, f"{path}.parameters.value", text)


def _check_parameter(
    name: str,
    setting: Parameter,
    message_type: str,
    key: str,
    where: str,
    places: Mapping[str, str],
    report: Report,
) -> None:
    """Refuses a parameter whose source cannot give it.

    Args:
      name: TikTok's parameter, which the event takes.
      setting: where it comes from.
      message_type: of the events that the mapping matches.
      key: path of the parameter.
      where: its place.
      places: where each setting was written.
      report: takes what is found.
    """
    for inner, text in _parameter_problems(name, setting, message_type):
        path = f"{key}.{inner}" if inner else key
        report.refuse(places.get(path, where) if inner else where, path, text)
    code = setting.constant
    if name == "currency" and isinstance(code, str) and f"{key}.constant" not in report.bad_keys:
        notes: list[Note] = []
        coercer(name, None)(code, notes)
        if notes:
            report.warn(where, key, f"{code.upper()} is not in TikTok's list of currencies; it is sent all the same.")


def _parameter_problems(name: str, setting: Parameter, message_type: str) -> Iterator[tuple[str, str]]:
    """Yields what is wrong: the setting below the parameter, and the sentence."""
    sources = [source for source in SOURCES if getattr(setting, source) is not None]
    if not sources:
        needed = "required, but it has no source" if setting.required else "it has no source"
        yield "", f"{needed}; give one of {', '.join(SOURCES)}."
    elif len(sources) > 1:
        yield sources[1], f"it has {len(sources)} sources ({', '.join(sources)}); keep one."
    else:
        yield from _source_problems(name, setting, message_type, sources[0])
        yield from _value_problems(name, setting, sources[0])
        yield from _privacy_problems(setting, sources[0])


def _source_problems(name: str, setting: Parameter, message_type: str, source: str) -> Iterator[tuple[str, str]]:
    """Yields what is wrong with a source: the event does not have it."""
    if source in {"product_field", "product_attribute"}:
        if message_type != COMMERCE_EVENT:
            yield source, f"a {message_type} has no products; use event_attribute."
        elif name not in CONTENT_PARAMETERS:
            text = f"{name} is one for the whole event; products give {', '.join(CONTENT_PARAMETERS)} only."
            yield source, f"{text} For a total use event_field: total_amount."
    fields = _FIELDS.get(message_type)
    if setting.event_field is not None and fields is not None and setting.event_field not in fields:
        yield source, f"a {message_type} has no such field, only {', '.join(fields)}; use event_attribute."


def _value_problems(name: str, setting: Parameter, source: str) -> Iterator[tuple[str, str]]:
    """Yields what is wrong with a type or a constant: TikTok does not take it."""
    needed = PARAMETER_TYPES[name]
    if needed != "string" and setting.type in {"string", "boolean"}:
        yield "type", f"TikTok takes {name} as a number, so {setting.type} cannot be meant; use number or integer."
    elif name == "currency" and setting.type not in {None, "string"}:
        yield "type", f"TikTok takes currency as text, so {setting.type} cannot be meant; remove it."
    elif setting.constant is not None and coercer(name, setting.type)(setting.constant, []) is None:
        example = "a currency code such as EUR" if name == "currency" else _needed(setting.type or needed)
        yield source, f"{shown(str(setting.constant))} cannot be sent as {name}; {example} is needed."
    elif setting.constant is not None and has_contact(str(setting.constant)):
        yield source, "an e-mail address or a phone, which TikTok must not get in clear. Write something else."


def _privacy_problems(setting: Parameter, source: str) -> Iterator[tuple[str, str]]:
    """Yields what is wrong with an attribute: it identifies a person."""
    attribute = setting.event_attribute or setting.user_attribute or setting.custom_flag or setting.product_attribute
    if attribute is not None and is_personal(
        attribute, of_user=source == "user_attribute", of_product=source == "product_attribute"
    ):
        text = (
            f"{shown(attribute)} says who someone is, and TikTok must not get that in clear; it gets identities hashed"
        )
        yield source, f"{text} by itself. Use another attribute."


def _needed(kind: str) -> str:
    """Returns what a constant must be, in words; TikTok takes no sign in amounts."""
    return {"number": "a number from 0 up", "integer": "a whole number from 0 up", "boolean": "true or false"}.get(
        kind, "a text that is not empty"
    )


def _check_pair(
    one: int, first: CustomMapping, other: int, second: CustomMapping, places: Mapping[str, str], report: Report
) -> None:
    """Refuses two mappings of which the second can never send one of its events."""
    general, special = _conditions(first.match), _conditions(second.match)
    if not all(key in special and special[key] <= values for key, values in general.items()):
        return
    same = general == special
    path = item_path("custom_mappings", other)
    where = places.get(path, "")
    named = f"{label(one, first)} at {places.get(item_path('custom_mappings', one), 'its place')}"
    before = len(report.problems)
    required = {
        counted_as(target.event)
        for target in first.send
        if any(setting.required for setting in {**first.parameters, **target.parameters}.values())
    }
    sent = {counted_as(target.event): target.event for target in first.send}
    for target in second.send:
        event = counted_as(target.event)
        if event in sent and (same or event not in required):
            begun = (
                f"this can never send {target.event}" if sent[event] == target.event else f"{event} would count twice"
            )
            already = "it" if sent[event] == target.event else sent[event]
            report.refuse(
                where,
                f"{path}.send",
                f"{begun}: {named} matches {'the same' if same else 'all of these'} events and sends {already} "
                f"already. Remove one of the two{'' if same else ', or put the more special one first'}.",
            )
    if same and first.also_default is not second.also_default and len(report.problems) == before:
        text = f"{named} matches the same events and says the opposite; one of the two has no effect."
        report.refuse(places.get(f"{path}.also_default", where), f"{path}.also_default", text)


def _conditions(match: Match) -> dict[str, frozenset[str]]:
    """Returns the conditions of a mapping, each with the values that meet it."""
    return dict(_each_condition(match))


def _each_condition(match: Match) -> Iterator[tuple[str, frozenset[str]]]:
    yield "message_type", frozenset({message_type(match)})
    if match.event is not None:
        yield "event", frozenset({folded(match.event)})
    for name in ("custom_event_type", "product_action"):
        value = getattr(match, name)
        if value is not None:
            yield name, frozenset({canonical_action(value)})
    for name in ("attributes", "products", "product_attributes"):
        for key, condition in getattr(match, name).items():
            yield f"{name}.{key}", wanted(condition)
