"""Values without a type of their own: single values of any kind, and whatever JSON can hold.

For conditions and constants of custom mappings, and for the events of their cases.
"""

import re
from typing import Any

import msgspec.inspect as types
from msgspec import UNSET

from pipeline.problems import Report
from pipeline.yamlfile import Items, Node, Scalar, Style, Table

INTEGER = re.compile(r"[-+]?\d[\d_]*", re.ASCII)
NUMBER = re.compile(r"[-+]?(\d[\d_]*\.?\d*|\.\d+)([eE][-+]?\d+)?", re.ASCII)
_LEADING_ZERO = re.compile(r"[-+]?0\d", re.ASCII)

# No event of a shop's has so many; aliases within aliases soon do.
_MAX_VALUES = 10_000


def is_written(kind: types.Type) -> bool:
    """Says whether a key takes any single value, or also several: `Written` and `Condition` of custom mappings."""
    if isinstance(kind, types.Metadata):
        return is_written(kind.type)
    return isinstance(kind, types.UnionType) and {types.StrType, types.BoolType} <= set(map(type, kind.types))


def takes_several(kind: types.Type) -> bool:
    """Says whether such a key takes a list of values as well."""
    inner = kind.type if isinstance(kind, types.Metadata) else kind
    return isinstance(inner, types.UnionType) and any(isinstance(one, types.VarTupleType) for one in inner.types)


def written(node: Node, kind: types.Type, key: str, report: Report) -> Any:
    """Returns the text of a single value, or the texts of a list; what they mean is decided where they are used.

    Args:
      node: what was written.
      kind: the type of the key.
      key: path of the key, for messages.
      report: takes the problems.
    """
    if isinstance(node, Items) and not takes_several(kind):
        report.refuse(node.where, key, "this is a list, but a single value is needed.")
        return UNSET
    if isinstance(node, Items):
        if any(isinstance(item, Items) for item in node.nodes):
            report.refuse(node.where, key, "this is a list in a list, but single values are needed: [first, second].")
            return UNSET
        empty = next((item for item in node.nodes if isinstance(item, Scalar) and item.style is Style.NULL), None)
        if empty is not None:
            # Left out in silence, it would take the whole condition with it, and the mapping would match everything.
            report.refuse(empty.where, key, "an entry of the list is empty; fill it, or remove it.")
            return UNSET
        texts = [written(item, kind, key, report) for item in node.nodes]
        if not texts:
            report.refuse(node.where, key, "the list is empty; name at least one value, or remove the key.")
        return UNSET if not texts or UNSET in texts else tuple(texts)
    if isinstance(node, Table):
        or_several = " or a list of them" if takes_several(kind) else ""
        report.refuse(node.where, key, f"this is a mapping, but a single value{or_several} is needed.")
        return UNSET
    if node.style is Style.NULL:
        return UNSET
    return node.text.lower() if node.style is Style.BOOLEAN else node.text


def anything(node: Node, key: str, report: Report) -> Any:
    """Returns a value of any shape, `UNSET` if it is too large."""
    if _size(node, {}) > _MAX_VALUES:
        report.refuse(node.where, key, f"this holds more than {_MAX_VALUES:,} values; write less, or fewer aliases.")
        return UNSET
    return _plain_value(node)


def _size(node: Node, known: dict[int, int]) -> int:
    """Returns how many values a node stands for, each alias counted as what it stands for."""
    if isinstance(node, Scalar):
        return 1
    if id(node) not in known:
        inner = [value for _, value in node.entries] if isinstance(node, Table) else node.nodes
        known[id(node)] = 1 + sum(_size(value, known) for value in inner)
    return known[id(node)]


def _plain_value(node: Node) -> Any:
    """Returns a node as JSON would have it, for keys that take anything: YAML's numbers, booleans and nulls count.

    A number with a leading zero stays text, because it is a code and no number.
    """
    if isinstance(node, Table):
        return {key.text: _plain_value(value) for key, value in node.entries}
    if isinstance(node, Items):
        return [_plain_value(item) for item in node.nodes]
    if node.style is Style.NULL:
        return None
    if node.style is Style.BOOLEAN:
        return node.text.lower() == "true"
    if node.style is Style.TEXT and not _LEADING_ZERO.match(node.text):
        if INTEGER.fullmatch(node.text) and "_" not in node.text:
            return int(node.text)
        if NUMBER.fullmatch(node.text) and "_" not in node.text:
            return float(node.text)
    return node.text
