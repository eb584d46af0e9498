"""The JSON Schema of a connection's file, made from the definition of `Connection`: editors complete and check with it.

It takes what the reader takes (`pipeline.config.conversion`): words in any case and spacing, one value in place of a
list, texts that look like numbers. What needs a look at the whole (impossible pairs, parameters that an event does not
take) is left to `check`.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any, get_args

import msgspec
import msgspec.inspect as types
from msgspec import NODEFAULT, UNSET

from pipeline.config.conversion import BOOLEANS, connection_definition, takes_any_value, takes_several, without_none
from transforms.connection import IdentityType
from transforms.custom_mappings import (
    SOURCES,
    Case,
    CustomMapping,
    Expected,
    Match,
    MessageType,
    Parameter,
    ProductField,
    Target,
)
from transforms.mapping.custom import EVENT_PARAMETERS, PARAMETER_TYPES
from transforms.mapping.tables import COMMERCE_EVENT, IDENTITY_TYPE_BY_SPELLING, RETIRED_EVENTS, STANDARD_EVENTS
from transforms.vocabulary import Reason

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_NULL = {"type": "null"}
# A number that YAML takes for text, such as 500_000.
_NUMBER_TEXT = {"type": "string", "pattern": r"^[-+]?[0-9][0-9_]*\.?[0-9_]*([eE][-+]?[0-9]+)?$"}
_SINGLE = {"type": ["string", "number", "boolean"]}
Schema = dict[str, Any]


def connection_schema() -> Schema:
    """Returns the schema of a connection's file."""
    made = _Schemas()
    root = made.struct(connection_definition())
    return {
        "$schema": _DIALECT,
        "title": "Connection of mParticle to TikTok's Events API",
        **root,
        "$defs": made.definitions,
    }


class _Schemas:
    """Collects the schemas of the structs that a connection is made of."""

    def __init__(self) -> None:
        self.definitions: dict[str, Schema] = {}

    def struct(self, kind: types.StructType) -> Schema:
        """Returns the schema of a struct in place."""
        properties: dict[str, Schema] = {}
        for field in kind.fields:
            described = dict(field.type.extra_json_schema or {}) if isinstance(field.type, types.Metadata) else {}
            schema = self.of(field.type)
            if not field.required:
                schema = _any_of(schema, _NULL)
            default = field.default_factory() if field.default_factory is not NODEFAULT else field.default
            if default not in (NODEFAULT, UNSET, None, (), {}) and isinstance(default, str | int | float | bool):
                described["default"] = default
            # Keys that are numbers, such as those of `codes`, are texts in JSON.
            properties[field.name] = {**msgspec.to_builtins(described, str_keys=True), **schema}
        schema = {"type": "object", "properties": properties, "additionalProperties": False}
        required = [field.name for field in kind.fields if field.required]
        if required:
            schema["required"] = required
        refine = _REFINEMENTS.get(kind.cls)
        if refine is not None:
            refine(schema)
        return schema

    def of(self, kind: types.Type) -> Schema:
        """Returns the schema of a key's value."""
        if takes_any_value(kind):
            return self._written(kind)
        kind = without_none(kind)
        if isinstance(kind, types.StructType):
            return self._reference(kind)
        if isinstance(kind, types.VarTupleType):
            return self._list(kind)
        if isinstance(kind, types.DictType):
            return self._dictionary(kind)
        if isinstance(kind, types.LiteralType):
            return _choice(kind)
        if isinstance(kind, types.BoolType):
            return {"anyOf": [{"type": "boolean"}, {"type": "string", "pattern": _pattern(BOOLEANS)}]}
        if isinstance(kind, types.IntType | types.FloatType):
            return {"anyOf": [_number(kind), _NUMBER_TEXT]}
        if isinstance(kind, types.StrType):
            # An id of digits only is a number to YAML.
            return {"type": ["string", "number"], "minLength": 1}
        return {}

    def _reference(self, kind: types.StructType) -> Schema:
        name = kind.cls.__name__
        if name not in self.definitions:
            self.definitions[name] = {}
            self.definitions[name] = self.struct(kind)
        return {"$ref": f"#/$defs/{name}"}

    def _written(self, kind: types.Type) -> Schema:
        several: Schema = {"type": "array", "items": _SINGLE, "minItems": 1}
        return {"anyOf": [_SINGLE, several]} if takes_several(kind) else dict(_SINGLE)

    def _dictionary(self, kind: types.DictType) -> Schema:
        schema: Schema = {"type": "object", "additionalProperties": self.of(kind.value_type)}
        value = without_none(kind.value_type)
        if isinstance(value, types.StructType) and value.cls is Parameter:
            # Named one by one, so that an editor offers them.
            schema["properties"] = {name: schema["additionalProperties"] for name in PARAMETER_TYPES}
            schema["additionalProperties"] = False
        return schema

    def _list(self, kind: types.VarTupleType) -> Schema:
        item = without_none(kind.item_type)
        items = self.of(item)
        if isinstance(item, types.StructType) and getattr(item.cls, "may_be_one_word", False):
            items = _any_of(_events(), items)
        listed: Schema = {"type": "array", "items": items}
        if kind.min_length:
            listed["minItems"] = kind.min_length
        if not isinstance(item, types.StructType):
            return {"anyOf": [listed, {"type": ["string", "number"]}]}
        if getattr(item.cls, "may_be_one_word", False):
            return _any_of(listed, items, _several_events())
        return {"anyOf": [listed, items]}


def _any_of(*schemas: Schema) -> Schema:
    """Returns a schema that takes what one of the others takes, flat."""
    parts: list[Schema] = []
    for schema in schemas:
        parts += schema["anyOf"] if set(schema) == {"anyOf"} else [schema]
    return {"anyOf": parts}


def _choice(kind: types.LiteralType) -> Schema:
    values = [str(value) for value in kind.values]
    spellings: Iterable[str] = values
    if set(values) == set(get_args(IdentityType)):
        spellings = IDENTITY_TYPE_BY_SPELLING
    return {"anyOf": [{"type": "string", "enum": values}, {"type": "string", "pattern": _pattern(spellings)}]}


def _pattern(words: Iterable[str]) -> str:
    """Returns a pattern that takes the words in any case, spacing and punctuation, as the reader does."""
    spellings = sorted({re.sub(r"[\W_]+", "", word).lower() for word in words})
    either = "|".join("[^a-zA-Z0-9]*".join(map(_letter, word)) for word in spellings)
    return f"^[^a-zA-Z0-9]*({either})[^a-zA-Z0-9]*$"


def _letter(letter: str) -> str:
    return f"[{letter}{letter.upper()}]" if letter.isalpha() else letter


def _number(kind: types.IntType | types.FloatType) -> Schema:
    schema: Schema = {"type": "integer" if isinstance(kind, types.IntType) else "number"}
    limits = {"minimum": kind.ge, "exclusiveMinimum": kind.gt, "maximum": kind.le, "exclusiveMaximum": kind.lt}
    return schema | {name: limit for name, limit in limits.items() if limit is not None}


def _events(events: Iterable[str] = (*STANDARD_EVENTS, *RETIRED_EVENTS)) -> Schema:
    """Returns the schema of a text that names one of TikTok's events, in any spelling; editors offer TikTok's own."""
    names = list(events)
    return {"anyOf": [{"type": "string", "enum": names}, {"type": "string", "pattern": _pattern(names)}]}


def _several_events() -> Schema:
    """Returns the schema of a text that names several events, with commas between them."""
    name = _pattern([*STANDARD_EVENTS, *RETIRED_EVENTS]).strip("^$").replace("[^a-zA-Z0-9]", "[^a-zA-Z0-9,]")
    return {"type": "string", "pattern": f"^{name}(,{name})+,?$"}


def _given(*names: str) -> Schema:
    """Returns what holds if all of these keys are there and not null."""
    return {"required": list(names), "properties": {name: {"not": _NULL} for name in names}}


def _one_source(schema: Schema) -> None:
    schema["oneOf"] = [_given(name) for name in SOURCES]


def _with_condition(schema: Schema) -> None:
    schema["minProperties"] = 1
    products = schema["properties"]["products"]["anyOf"][0]
    products["propertyNames"] = {"enum": list(get_args(ProductField))}
    schema["anyOf"] = [_given("message_type"), _given("product_action")]
    others = [word for word in get_args(MessageType) if word != COMMERCE_EVENT]
    empty = {"anyOf": [_NULL, {"maxProperties": 0, "type": "object"}]}
    schema["if"] = {"required": ["message_type"], "properties": {"message_type": _words(others)}}
    schema["then"] = {"properties": {"product_action": _NULL, "products": empty, "product_attributes": empty}}


def _words(words: Iterable[str]) -> Schema:
    return {"type": "string", "pattern": _pattern(words)}


def _known_event(schema: Schema) -> None:
    schema["properties"]["event"] = {**_described(schema, "event"), **_events()}
    schema["allOf"] = [
        {"if": {"required": ["event"], "properties": {"event": _words(events)}}, "then": _takes(taken)}
        for taken, events in _by_parameters()
    ]


def _fitting_parameters(schema: Schema) -> None:
    """Adds that the parameters of a mapping are those that every event of it takes."""
    schema["allOf"] = []
    for taken, events in _by_parameters():
        named = {"anyOf": [_words(events), {"type": "object", "properties": {"event": _words(events)}}]}
        sends = {"anyOf": [named, {"type": "array", "contains": named}]}
        schema["allOf"].append({"if": {"required": ["send"], "properties": {"send": sends}}, "then": _takes(taken)})


def _takes(taken: tuple[str, ...]) -> Schema:
    return {"properties": {"parameters": {"propertyNames": {"enum": list(taken)}}}}


def _by_parameters() -> Iterator[tuple[tuple[str, ...], list[str]]]:
    """Yields each list of parameters with the events that take it."""
    for taken in dict.fromkeys(EVENT_PARAMETERS.values()):
        yield taken, [event for event, parameters in EVENT_PARAMETERS.items() if parameters == taken]


def _event_or_message(schema: Schema) -> None:
    schema["oneOf"] = [_given("event"), _given("message")]
    schema["required"] = [*schema["required"], "expect"]


def _described(schema: Schema, name: str) -> Schema:
    """Returns what is value_shown about a key, without what its values are."""
    return {key: value for key, value in schema["properties"][name].items() if key in {"description", "examples"}}


def _known_words(schema: Schema) -> None:
    schema["minProperties"] = 1
    schema["properties"]["event"] = {**_described(schema, "event"), **_any_of(_events(), _NULL)}
    schema["properties"]["reason"] = {**_described(schema, "reason"), "anyOf": [{"enum": list(Reason)}, _NULL]}
    sent = [_given(name) for name in ("event", "payload", "contains")]
    schema["if"] = _given("outcome")
    schema["then"] = {"not": {"anyOf": sent}}
    schema["else"] = {"anyOf": sent, "not": {"anyOf": [_given("payload", "contains"), _given("reason")]}}


# What a schema can express beyond the types.
_REFINEMENTS: dict[type, Callable[[Schema], None]] = {
    Parameter: _one_source,
    Match: _with_condition,
    Target: _known_event,
    CustomMapping: _fitting_parameters,
    Case: _event_or_message,
    Expected: _known_words,
}
