"""What a custom mapping gives TikTok: the parameters of one event, or the required one that is missing.

Each target becomes one plain Python function, written out source by source, as `dataclasses` writes out `__init__`: a
loop over closures took four times as long.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from transforms.custom import Parameter
from transforms.mapping.matching import Products
from transforms.mapping.parameters import CONTENT_PARAMETERS, PARAMETER_TYPES
from transforms.mapping.sources import NAMES, Source, compile_source
from transforms.model import BatchContext, CustomContent, CustomEvent, Note, Reason

# In the order of `CustomEvent`.
_OF_EVENT = ("currency", "value", "query", "description")
_INDENT = "    "


class Target(NamedTuple):
    """One TikTok event of a mapping, compiled.

    Attributes:
      event: TikTok's name.
      sources: its parameters.
      resolve: event data, products and batch → what TikTok gets.
    """

    event: str
    sources: tuple[Source, ...]
    resolve: Callable[[Any, Products, BatchContext], CustomEvent]


def compile_target(event: str, parameters: dict[str, Parameter], default_currency: str | None) -> Target:
    """Returns one TikTok event of a mapping.

    Args:
      event: TikTok's name.
      parameters: parameter → source, checked.
      default_currency: for an event whose mapped currency is missing.

    Raises:
      ValueError: no such parameter; a connection that was read from a file has known ones only.
    """
    unknown = [name for name in parameters if name not in PARAMETER_TYPES]
    if unknown:
        raise ValueError(f"custom_mappings: {event} takes no parameter {unknown[0]!r}; known are {[*PARAMETER_TYPES]}")
    sources = {name: compile_source(name, setting) for name, setting in parameters.items()}
    code = "\n".join(["def resolve(data, products, batch):", *_body(event, sources, default_currency)])
    names: dict[str, Any] = {
        **NAMES,
        **{f"slow_{name}": source.slow for name, source in sources.items()},
        "CustomContent": CustomContent,
        "CustomEvent": CustomEvent,
        "DEFAULT_CURRENCY": Note.DEFAULT_CURRENCY,
        "missing": _missing,
    }
    # The code is made of our own words; what a user wrote stands in it as a literal only.
    exec(code, names)  # noqa: S102
    return Target(event, tuple(sources.values()), names["resolve"])


def _missing(event: str, parameter: str) -> CustomEvent:
    return CustomEvent(event, reason=Reason.MISSING_PARAMETER, detail=parameter)


def _body(event: str, sources: dict[str, Source], default_currency: str | None) -> Iterator[str]:
    """Yields the lines of the function."""
    yield f"{_INDENT}notes = []"
    for name, source in sources.items():
        if source.of_product:
            continue
        yield from _read(source, 1)
        if name == "currency" and default_currency is not None:
            yield f"{_INDENT}if currency is None:"
            yield f"{_INDENT * 2}currency = {default_currency!r}"
            yield f"{_INDENT * 2}notes.append(DEFAULT_CURRENCY)"
        elif source.required:
            yield f"{_INDENT}if {name} is None:"
            yield f"{_INDENT * 2}return missing({event!r}, {name!r})"
    yield from _contents(event, [source for name, source in sources.items() if name in CONTENT_PARAMETERS])
    values = ", ".join(name if name in sources else "None" for name in _OF_EVENT)
    yield f"{_INDENT}notes = tuple(dict.fromkeys(notes)) if notes else ()"
    yield f"{_INDENT}return CustomEvent({event!r}, tuple(contents), {values}, notes)"


def _contents(event: str, sources: list[Source]) -> Iterator[str]:
    """Yields the lines that make the contents: an item for each product if one is read from products, else exactly one.

    A product that lacks a required parameter is left out, as is one that has none of those that are read from it.
    """
    yield f"{_INDENT}contents = []"
    if not sources:
        return
    of_product = [source for source in sources if source.of_product]
    depth = 2 if of_product else 1
    required = [source.parameter for source in of_product if source.required]
    if of_product:
        yield f"{_INDENT}lacking = {required[0]!r}" if required else f"{_INDENT}lacking = None"
        yield f"{_INDENT}for product in products:"
        yield f"{_INDENT * 2}if product is None:"
        yield f"{_INDENT * 3}continue"
    for source in of_product:
        yield from _read(source, depth)
        if source.required:
            yield f"{_INDENT * depth}if {source.parameter} is None:"
            yield f"{_INDENT * (depth + 1)}lacking = {source.parameter!r}"
            yield f"{_INDENT * (depth + 1)}continue"
    given = " or ".join(f"{source.parameter} is not None" for source in of_product or sources)
    values = ", ".join(_names_or_none(CONTENT_PARAMETERS, sources))
    yield f"{_INDENT * depth}if {given}:"
    yield f"{_INDENT * (depth + 1)}contents.append(CustomContent({values}))"
    if required:
        yield f"{_INDENT}if not contents:"
        yield f"{_INDENT * 2}return missing({event!r}, lacking)"


def _names_or_none(names: Iterable[str], sources: list[Source]) -> Iterator[str]:
    known = {source.parameter for source in sources}
    return (name if name in known else "None" for name in names)


def _read(source: Source, depth: int) -> Iterator[str]:
    """Yields the lines that read one parameter into a variable of its name."""
    yield f"{_INDENT * depth}sent = {source.sent}"
    yield f"{_INDENT * depth}{source.parameter} = {source.quick}"
