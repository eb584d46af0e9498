"""The JSON Schema of a connection's file, made from the definition of `Connection`: editors complete and check with it.

It takes what the reader takes (`pipeline.values`): words in any case and spacing, one value in place of a list, texts
that look like numbers. What only a look at the whole can tell (impossible pairs, parameters that an event does not
take) is left to `check`.
"""

import re
from collections.abc import Callable, Iterable
from typing import Any, get_args

import msgspec
import msgspec.inspect as types
from msgspec import NODEFAULT, UNSET

from pipeline.event_names import RETIRED_EVENTS, STANDARD_EVENTS
from pipeline.freeform import is_written, takes_several
from pipeline.values import BOOLEANS, bare, definition
from transforms.connection import IdentityType
from transforms.custom import SOURCES, Expected, Match, Parameter, ProductField, Target
from transforms.mapping.parameters import PARAMETER_TYPES
from transforms.mapping.tables import IDENTITY_TYPE_BY_SPELLING
from transforms.model import Reason

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_EVENTS = {"type": "string", "enum": [*STANDARD_EVENTS, *RETIRED_EVENTS]}
_NULL = {"type": "null"}
# A number that YAML takes for text, such as 500_000.
_NUMBER_TEXT = {"type": "string", "pattern": r"^[-+]?[0-9][0-9_]*\.?[0-9_]*([eE][-+]?[0-9]+)?$"}
_SINGLE = {"type": ["string", "number", "boolean"]}
Schema = dict[str, Any]


def connection_schema() -> Schema:
    """Returns the schema of a connection's file."""
    made = _Schemas()
    root = made.struct(definition())
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
        if is_written(kind):
            return self._written(kind)
        kind = bare(kind)
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
        value = bare(kind.value_type)
        if isinstance(value, types.StructType) and value.cls is Parameter:
            # Named one by one, so that an editor offers them.
            schema["properties"] = {name: schema["additionalProperties"] for name in PARAMETER_TYPES}
            schema["additionalProperties"] = False
        return schema

    def _list(self, kind: types.VarTupleType) -> Schema:
        item = bare(kind.item_type)
        items = self.of(item)
        if isinstance(item, types.StructType) and getattr(item.cls, "may_be_one_word", False):
            items = {"anyOf": [_EVENTS, items]}
        listed: Schema = {"type": "array", "items": items}
        if kind.min_length:
            listed["minItems"] = kind.min_length
        single = items if isinstance(item, types.StructType) else {"type": ["string", "number"]}
        return {"anyOf": [listed, single]}


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


def _one_source(schema: Schema) -> None:
    schema["oneOf"] = [{"required": [name]} for name in SOURCES]


def _with_condition(schema: Schema) -> None:
    schema["minProperties"] = 1
    products = schema["properties"]["products"]["anyOf"][0]
    products["propertyNames"] = {"enum": list(get_args(ProductField))}


def _known_event(schema: Schema) -> None:
    schema["properties"]["event"] |= _EVENTS
    schema["properties"]["event"].pop("minLength", None)


def _known_words(schema: Schema) -> None:
    schema["minProperties"] = 1
    schema["properties"]["event"] = {**schema["properties"]["event"], "anyOf": [_EVENTS, _NULL]}
    schema["properties"]["reason"] = {**schema["properties"]["reason"], "anyOf": [{"enum": list(Reason)}, _NULL]}


# What a schema can say beyond the types.
_REFINEMENTS: dict[type, Callable[[Schema], None]] = {
    Parameter: _one_source,
    Match: _with_condition,
    Target: _known_event,
    Expected: _known_words,
}
