"""YAML text → nodes with their places, so that every message can name line and column.

Scalars stay the text that was written: `event_source_id: 0123` keeps its zero, `default_phone_region: NO` is Norway.
What a text means is decided later by the type of its key (`pipeline.config.conversion`). Only the core of YAML
is read: no tags, no merge keys, no second document; a key may occur once.
"""

import re
from enum import StrEnum, unique

import msgspec
import yaml

from pipeline.errors import Report

# Plain scalars that mean "not given". Source: YAML 1.2.2, section 10.3.2 (core schema).
_NULLS = {"", "~", "null", "Null", "NULL"}
_BOOLEANS = {"true", "True", "TRUE", "false", "False", "FALSE"}
_TAGS = {f"tag:yaml.org,2002:{name}" for name in ("str", "int", "float", "bool", "null", "seq", "map")}


@unique
class Style(StrEnum):
    """What a scalar looks like, before its key's type is known."""

    TEXT = "text"
    QUOTED = "quoted"
    BOOLEAN = "boolean"
    NULL = "null"


class YamlScalar(msgspec.Struct, frozen=True):
    """A single value, as it was written.

    Attributes:
      where: `FILE:LINE:COLUMN` or the flag.
      text: without quotes.
    """

    where: str
    text: str
    style: Style = Style.TEXT


class YamlList(msgspec.Struct, frozen=True):
    """A list of values."""

    where: str
    nodes: tuple["Node", ...]


class YamlMapping(msgspec.Struct, frozen=True):
    """Keys and values in the order of the file; each key once."""

    where: str
    entries: tuple[tuple[YamlScalar, "Node"], ...]


Node = YamlScalar | YamlList | YamlMapping


def parse_yaml(text: str, source: str, report: Report, key: str = "", *, marks: bool = True) -> Node | None:
    """Reads one YAML document.

    Args:
      text: the document.
      source: the file's name, or the flag whose value the text is.
      report: takes every problem of the text.
      key: the setting that the text is the value of, for messages; empty for a whole file.
      marks: whether places have line and column.

    Returns:
      The document's node, or None if it is empty or unreadable.
    """
    try:
        root = yaml.compose(text, Loader=yaml.BaseLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        report.refuse(_place(source, mark if marks else None), key, f"this is not YAML: {_reason(error)}.")
        return None
    except yaml.reader.ReaderError as error:
        report.refuse(source, key, f"character {error.position} may not occur in YAML; save the file as UTF-8 text.")
        return None
    except RecursionError:
        report.refuse(source, key, "this is nested deeper than any setting; close the brackets.")
        return None
    return None if root is None else _Reading(source, report, key, marks).node(root, ())


class _Reading:
    """One pass over the nodes of a document."""

    def __init__(self, source: str, report: Report, key: str, marks: bool) -> None:
        self.source = source
        self.report = report
        self.key = key
        self.marks = marks
        # Aliases share one node: read once, so that nested aliases cannot grow without bound.
        self.done: dict[int, Node] = {}

    def node(self, node: yaml.Node, parents: tuple[int, ...]) -> Node:
        """Returns our node for one of PyYAML's."""
        where = _place(self.source, node.start_mark if self.marks else None)
        if id(node) in self.done:
            return self.done[id(node)]
        if node.tag not in _TAGS:
            self.report.refuse(where, self.key, "a tag (a word after !) has no meaning here; remove it.")
        if id(node) in parents:
            self.report.refuse(where, self.key, "an alias refers to what it is part of; write the value out.")
            return YamlScalar(where, "", Style.NULL)
        parents = (*parents, id(node))
        read: Node
        if isinstance(node, yaml.MappingNode):
            read = self._table(node, where, parents)
        elif isinstance(node, yaml.SequenceNode):
            read = YamlList(where, tuple(self.node(item, parents) for item in node.value))
        else:
            is_plain = isinstance(node, yaml.ScalarNode) and node.style is None
            read = YamlScalar(where, node.value, _style(node.value) if is_plain else Style.QUOTED)
        self.done[id(node)] = read
        return read

    def _table(self, node: yaml.MappingNode, where: str, parents: tuple[int, ...]) -> YamlMapping:
        entries: dict[str, tuple[YamlScalar, Node]] = {}
        for key_node, value_node in node.value:
            key = self.node(key_node, parents)
            if not isinstance(key, YamlScalar):
                self.report.refuse(key.where, self.key, "a key is a list or a mapping; keys are single words.")
                continue
            if key.text == "<<" and key.style is Style.TEXT:
                text = "merge keys (<<) have no meaning here; write the keys out, or give the whole value as an alias."
                self.report.refuse(key.where, self.key, text)
                continue
            if key.text in entries:
                first = entries[key.text][0].where
                self.report.refuse(
                    key.where, key.text, f"this key occurs twice, first at {first}; remove one of the two."
                )
                continue
            entries[key.text] = (key, self.node(value_node, parents))
        return YamlMapping(where, tuple(entries.values()))


def _style(text: str) -> Style:
    if text in _NULLS:
        return Style.NULL
    return Style.BOOLEAN if text in _BOOLEANS else Style.TEXT


def _place(source: str, mark: yaml.Mark | None) -> str:
    return source if mark is None else f"{source}:{mark.line + 1}:{mark.column + 1}"


def _reason(error: yaml.MarkedYAMLError) -> str:
    """Returns PyYAML's problem without the words of the file, which may be a token."""
    reason = error.problem or error.context or "it cannot be read"
    return re.sub(r"(['\"]).{2,}\1", "…", reason)
