"""One node of YAML (or one flag's text) and the type of its key → the value, or a problem that names what is allowed.

The types are those of `transforms.connection.Connection`, read by `msgspec.inspect`: nothing about a single key is
written here. Words are accepted in every case and spacing ("Legacy Pixel Batch Web", "customerid"). Two kinds of keys
have no type of their own: single values of any kind (conditions and constants of custom mappings), and whatever JSON
can hold (the events of cases).
"""

import re
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any, Literal, TypeVar, get_args

import msgspec.inspect as types
from msgspec import UNSET

from pipeline.config.yaml_nodes import Node, Style, YamlList, YamlMapping, YamlScalar
from pipeline.errors import Report
from pipeline.wording import plain, shown, suggestion
from transforms.connection import Connection, IdentityType
from transforms.mapping.tables import identity_type

_T = TypeVar("_T")

# Keys whose value is never repeated in a message.
_SECRET_KEYS = {"access_token"}

# YAML 1.1 and 1.2 together, in any case.
BOOLEANS = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}

_INTEGER = re.compile(r"[-+]?\d[\d_]*", re.ASCII)
_DECIMAL = re.compile(r"[-+]?(\d[\d_]*\.?\d*|\.\d+)([eE][-+]?\d+)?", re.ASCII)
_LEADING_ZERO = re.compile(r"[-+]?0\d", re.ASCII)

# No event of a shop's has so many; aliases within aliases soon do.
_MAX_VALUES = 10_000

_IDENTITIES = frozenset(get_args(IdentityType))


@cache
def connection_definition() -> types.StructType:
    """Returns the definition of a connection: its keys, their types, defaults and descriptions."""
    struct = types.type_info(Connection)
    if not isinstance(struct, types.StructType):
        raise TypeError("Connection is no struct")
    return struct


def without_none(kind: types.Type) -> types.Type:
    """Returns the type without its description and without `None`.

    >>> without_none(types.type_info(int | None))
    IntType(gt=None, ge=None, lt=None, le=None, multiple_of=None)
    """
    if isinstance(kind, types.Metadata):
        return without_none(kind.type)
    if isinstance(kind, types.UnionType):
        return without_none(next(member for member in kind.types if not isinstance(member, types.NoneType)))
    return kind


def convert_node(node: Node, kind: types.Type, key: str, report: Report) -> Any:
    """Returns the value of a node, `UNSET` if it is not given (null) or cannot be one.

    Args:
      node: what was written.
      kind: the type of the key.
      key: path of the key, for messages.
      report: takes the problems.
    """
    if takes_any_value(kind):
        return _any_value(node, kind, key, report)
    kind = without_none(kind)
    if isinstance(kind, types.AnyType):
        return _any_json(node, key, report)
    if isinstance(node, YamlScalar) and node.style is Style.NULL:
        return UNSET
    if isinstance(kind, types.StructType):
        return _struct(node, kind, key, report)
    if isinstance(kind, types.DictType):
        return _dictionary(node, kind, key, report)
    if isinstance(kind, types.VarTupleType):
        return _list(node, kind, key, report)
    if isinstance(node, YamlScalar):
        return _scalar(node, kind, key, report)
    report.refuse(node.where, key, f"this is {_shape(node)}, but {_wanted(kind)} is needed.")
    return UNSET


def struct_values(node: Node, kind: types.StructType, key: str, report: Report) -> dict[str, Any] | None:
    """Returns the values that are given for a struct's fields, by name; None if the node is no mapping.

    In lists of structs, an entry of which nothing can be read is None.
    """
    if not isinstance(node, YamlMapping):
        example = next((field.name for field in kind.fields), "key")
        report.refuse(node.where, key, f"this is {_shape(node)}, but keys and values are needed: {example}: …")
        return None
    fields = {field.name: field for field in kind.fields}
    values: dict[str, Any] = {}
    for name, value_node in node.entries:
        path = f"{key}.{name.text}" if key else name.text
        field = fields.get(name.text)
        if field is None:
            report.refuse(name.where, shown(path)[1:-1], f"unknown key.{suggestion(name.text, fields)}")
            continue
        value = _readable(value_node, field.type, path, report)
        if value is not UNSET:
            values[name.text] = value
    return values


def _readable(node: Node, kind: types.Type, key: str, report: Report) -> Any:
    """Returns the value of a node, or what can be read of one that has a problem: more problems may be in it."""
    value = convert_node(node, kind, key, report)
    return report.partial.pop(key, UNSET) if value is UNSET else value


def _struct(node: Node, kind: types.StructType, key: str, report: Report) -> Any:
    """Returns a struct; a single value may stand for its first field, where the struct allows it."""
    required = [field for field in kind.fields if field.required]
    if isinstance(node, YamlScalar) and getattr(kind.cls, "may_be_one_word", False):
        value = convert_node(node, required[0].type, key, report)
        return UNSET if value is UNSET else kind.cls(value)
    before = len(report.problems)
    fields = struct_values(node, kind, key, report)
    if fields is None:
        return UNSET
    if len(report.problems) == before:
        for field in required:
            if field.name not in fields:
                schema = (field.type.extra_json_schema if isinstance(field.type, types.Metadata) else None) or {}
                text = f"missing: {schema.get('description')}. Write `{field.name}: …`."
                report.refuse(node.where, f"{key}.{field.name}", text)
    if len(report.problems) == before:
        return kind.cls(**fields)
    if all(field.name in fields for field in required):
        report.partial[key] = kind.cls(**fields)
    return UNSET


def _dictionary(node: Node, kind: types.DictType, key: str, report: Report) -> Any:
    if not isinstance(node, YamlMapping):
        text = f"this is {_shape(node)}, but keys and values are needed: {{key: value}}."
        report.refuse(node.where, key, text)
        return UNSET
    if isinstance(without_none(kind.value_type), types.AnyType):
        return _any_json(node, key, report)
    values: dict[Any, Any] = {}
    for name, value_node in node.entries:
        path = f"{key}.{shown(name.text)[1:-1]}"
        entry_key = _scalar(name, without_none(kind.key_type), path, report)
        if entry_key is UNSET:
            report.bad_keys.add(key)
            continue
        if entry_key in values:
            report.refuse(name.where, path, "this key occurs twice in two spellings; remove one of the two.")
        if isinstance(value_node, YamlScalar) and value_node.style is Style.NULL:
            report.refuse(value_node.where, path, "no value is given; give one, or remove the key.")
        value = _readable(value_node, kind.value_type, path, report)
        if value is UNSET:
            report.bad_keys.add(key)
        else:
            values[entry_key] = value
    return values


def _list(node: Node, kind: types.VarTupleType, key: str, report: Report) -> Any:
    item_kind = without_none(kind.item_type)
    if isinstance(node, YamlMapping) and isinstance(item_kind, types.StructType):
        node = YamlList(node.where, (node,))
    if isinstance(node, YamlMapping):
        report.refuse(node.where, key, "these are keys and values, but a list is needed: [first, second].")
        return UNSET
    if isinstance(node, YamlScalar):
        parts = [part.strip() for part in node.text.split(",")]
        node = YamlList(node.where, tuple(YamlScalar(node.where, part) for part in parts if part))
    if kind.min_length and len(node.nodes) < kind.min_length:
        report.refuse(node.where, key, "the list is empty; name at least one value, or remove the key.")
        return UNSET
    if isinstance(item_kind, types.StructType):
        values = [
            convert_node(item, item_kind, item_path(key, number), report)
            if not (isinstance(item, YamlScalar) and item.style is Style.NULL)
            else _empty_item(item, key, report)
            for number, item in enumerate(node.nodes)
        ]
    else:
        values = [convert_node(item, kind.item_type, key, report) for item in node.nodes]
    if any(value is UNSET for value in values):
        report.bad_keys.add(key)
        if isinstance(item_kind, types.StructType):
            paths = [item_path(key, number) for number in range(len(values))]
            report.partial[key] = tuple(
                report.partial.pop(path, None) if value is UNSET else value
                for path, value in zip(paths, values, strict=True)
            )
        return UNSET
    return tuple(values) if isinstance(item_kind, types.StructType) else tuple(dict.fromkeys(values))


def _empty_item(item: YamlScalar, key: str, report: Report) -> Any:
    report.refuse(item.where, key, "an entry of the list is empty; fill it, or remove its dash.")
    return UNSET


def _scalar(node: YamlScalar, kind: types.Type, key: str, report: Report) -> Any:
    text = node.text.strip()
    value: Any = UNSET
    if isinstance(kind, types.LiteralType):
        value = _choice(text, kind)
    elif isinstance(kind, types.BoolType):
        value = BOOLEANS.get(text.lower(), UNSET)
    elif isinstance(kind, types.IntType):
        value = int(text) if _INTEGER.fullmatch(text) else UNSET
    elif isinstance(kind, types.FloatType):
        value = float(text) if _DECIMAL.fullmatch(text) else UNSET
    elif isinstance(kind, types.StrType):
        value = _text(node, text, key, report)
        if value is UNSET:
            return UNSET
    if value is UNSET or not _in_range(value, kind):
        given = "the value" if key in _SECRET_KEYS else shown(node.text)
        hint = suggestion(text, map(str, kind.values)) if isinstance(kind, types.LiteralType) else ""
        report.refuse(node.where, key, f"{given} is not allowed; {_wanted(kind)} is needed.{hint}")
        return UNSET
    return value


def _text(node: YamlScalar, text: str, key: str, report: Report) -> Any:
    if node.style is Style.BOOLEAN:
        report.refuse(node.where, key, f"{text} is a boolean, but text is needed; quote it if it is meant: '{text}'.")
        return UNSET
    if not text:
        report.refuse(node.where, key, "the text is empty; give a value, or null for none.")
        return UNSET
    return text


def _choice(text: str, kind: types.LiteralType) -> Any:
    if frozenset(kind.values) == _IDENTITIES:
        return identity_type(text) or UNSET
    return next((value for value in kind.values if plain(str(value)) == plain(text)), UNSET)


def _in_range(value: Any, kind: types.Type) -> bool:
    if not isinstance(kind, types.IntType | types.FloatType):
        return True
    return (
        (kind.gt is None or value > kind.gt)
        and (kind.ge is None or value >= kind.ge)
        and (kind.lt is None or value < kind.lt)
        and (kind.le is None or value <= kind.le)
    )


def _wanted(kind: types.Type) -> str:
    """Returns what a type allows, in words."""
    if isinstance(kind, types.LiteralType):
        return f"one of {', '.join(map(str, kind.values))}"
    if isinstance(kind, types.BoolType):
        return "true or false"
    if isinstance(kind, types.IntType | types.FloatType):
        noun = "a whole number" if isinstance(kind, types.IntType) else "a number"
        limits = [
            f"{word} {limit:,}"
            for word, limit in (
                ("above", kind.gt),
                ("from", kind.ge),
                ("below", kind.lt),
                ("up to", kind.le),
            )
            if limit is not None
        ]
        return " ".join([noun, *limits])
    return "text"


def _shape(node: Node) -> Literal["a single value", "a list", "a mapping"]:
    if isinstance(node, YamlScalar):
        return "a single value"
    return "a list" if isinstance(node, YamlList) else "a mapping"


def takes_any_value(kind: types.Type) -> bool:
    """Returns whether a key takes any single value, or also several (`Written`, `Condition` of custom mappings)."""
    if isinstance(kind, types.Metadata):
        return takes_any_value(kind.type)
    return isinstance(kind, types.UnionType) and {types.StrType, types.BoolType} <= set(map(type, kind.types))


def takes_several(kind: types.Type) -> bool:
    """Returns whether such a key takes a list of values as well."""
    inner = kind.type if isinstance(kind, types.Metadata) else kind
    return isinstance(inner, types.UnionType) and any(isinstance(one, types.VarTupleType) for one in inner.types)


def _any_value(node: Node, kind: types.Type, key: str, report: Report) -> Any:
    """Returns the text of a single value, or the texts of a list; what they mean is decided where they are used.

    Args:
      node: what was written.
      kind: the type of the key.
      key: path of the key, for messages.
      report: takes the problems.
    """
    if isinstance(node, YamlList) and not takes_several(kind):
        report.refuse(node.where, key, "this is a list, but a single value is needed.")
        return UNSET
    if isinstance(node, YamlList):
        if any(isinstance(item, YamlList) for item in node.nodes):
            report.refuse(node.where, key, "this is a list in a list, but single values are needed: [first, second].")
            return UNSET
        empty = next((item for item in node.nodes if isinstance(item, YamlScalar) and item.style is Style.NULL), None)
        if empty is not None:
            # Left out in silence, it would take the whole condition with it, and the mapping would match everything.
            report.refuse(empty.where, key, "an entry of the list is empty; fill it, or remove it.")
            return UNSET
        texts = [_any_value(item, kind, key, report) for item in node.nodes]
        if not texts:
            report.refuse(node.where, key, "the list is empty; name at least one value, or remove the key.")
        return UNSET if not texts or UNSET in texts else tuple(texts)
    if isinstance(node, YamlMapping):
        or_several = " or a list of them" if takes_several(kind) else ""
        report.refuse(node.where, key, f"this is a mapping, but a single value{or_several} is needed.")
        return UNSET
    if node.style is Style.NULL:
        return UNSET
    return node.text.lower() if node.style is Style.BOOLEAN else node.text


def _any_json(node: Node, key: str, report: Report) -> Any:
    """Returns a value of any shape, `UNSET` if it is too large."""
    if _size(node, {}) > _MAX_VALUES:
        report.refuse(node.where, key, f"this holds more than {_MAX_VALUES:,} values; write less, or fewer aliases.")
        return UNSET
    return _plain_value(node)


def _size(node: Node, sizes: dict[int, int]) -> int:
    """Returns how many values a node stands for, each alias counted as what it stands for."""
    if isinstance(node, YamlScalar):
        return 1
    if id(node) not in sizes:
        inner = [value for _, value in node.entries] if isinstance(node, YamlMapping) else node.nodes
        sizes[id(node)] = 1 + sum(_size(value, sizes) for value in inner)
    return sizes[id(node)]


def _plain_value(node: Node) -> Any:
    """Returns a node as JSON would have it, for keys that take anything: YAML's numbers, booleans and nulls count.

    A number with a leading zero stays text, because it is a code and no number.
    """
    if isinstance(node, YamlMapping):
        return {key.text: _plain_value(value) for key, value in node.entries}
    if isinstance(node, YamlList):
        return [_plain_value(item) for item in node.nodes]
    if node.style is Style.NULL:
        return None
    if node.style is Style.BOOLEAN:
        return node.text.lower() == "true"
    if node.style is Style.TEXT and not _LEADING_ZERO.match(node.text):
        if _INTEGER.fullmatch(node.text) and "_" not in node.text:
            return int(node.text)
        if _DECIMAL.fullmatch(node.text) and "_" not in node.text:
            return float(node.text)
    return node.text


def read_items(items: Iterable[_T | None]) -> Iterator[tuple[int, _T]]:
    """Yields the entries of a list of structs that could be read, with their positions from 0."""
    return ((number, item) for number, item in enumerate(items) if item is not None)


def item_path(key: str, number: int) -> str:
    """Returns the path of an item of a list, counted from 1 as people do.

    >>> item_path("custom_mappings", 0)
    'custom_mappings[1]'
    """
    return f"{key}[{number + 1}]"


def key_place(path: str) -> str:
    """Returns under which name the place of a key, not of its value, is kept."""
    return f"{path}:key"
