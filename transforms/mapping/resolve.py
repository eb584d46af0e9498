"""What a custom mapping gives TikTok: the parameters of one event, or the required one that is missing.

Each target becomes one plain Python function, written out source by source, as `dataclasses` writes out `__init__`: a
loop over closures took four times as long. The code is made of our own words; what a user wrote (names of events and
attributes, constants) is never part of it, but a value under a name of ours.

Nothing that was not mapped is added, in particular no content type. Source: rudder-transformer issues 3383 and 3545
(customers asked for no default there).
"""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any, NamedTuple

from transforms.custom_mappings import Parameter
from transforms.mapping.matching import Products
from transforms.mapping.parameters import CONTENT_PARAMETERS, PARAMETER_TYPES
from transforms.mapping.sources import NAMES, Source, compile_source
from transforms.parts import BatchContext, CustomContent, CustomEvent, CustomProperties
from transforms.vocabulary import Note, Reason

# In the order of `CustomProperties`, after the contents and their ids.
_OF_EVENT = ("currency", "value", "query", "query", "description")
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
    code = "\n".join(["def resolve(data, products, batch):", *_body(sources, default_currency is not None)])
    names: dict[str, Any] = {
        **NAMES,
        "CustomContent": CustomContent,
        "CustomEvent": CustomEvent,
        "CustomProperties": CustomProperties,
        "DEFAULT_CURRENCY": Note.DEFAULT_CURRENCY,
        "EVENT": event,
        "USUAL_CURRENCY": default_currency,
        "missing": partial(_missing, event),
    }
    for source in sources.values():
        names |= source.names
    exec(code, names)  # noqa: S102
    return Target(event, tuple(sources.values()), names["resolve"])


def _missing(event: str, parameter: str) -> CustomEvent:
    return CustomEvent(event, reason=Reason.MISSING_PARAMETER, detail=parameter)


def _body(sources: dict[str, Source], has_default_currency: bool) -> Iterator[str]:
    """Yields the lines of the function."""
    yield f"{_INDENT}notes = None"
    for name, source in sources.items():
        if source.of_product:
            continue
        yield from _read(source, 1)
        if name == "currency" and has_default_currency:
            yield f"{_INDENT}if currency is None:"
            yield f"{_INDENT * 2}currency = USUAL_CURRENCY"
            yield f"{_INDENT * 2}notes = [*(notes or ()), DEFAULT_CURRENCY]"
        elif source.required:
            yield f"{_INDENT}if {name} is None:"
            yield f"{_INDENT * 2}return missing({name!r})"
    content_sources = [source for name, source in sources.items() if name in CONTENT_PARAMETERS]
    if content_sources:
        yield from _contents(content_sources)
    values = [
        "contents or None" if content_sources else "None",
        "content_ids or None" if "content_id" in sources else "None",
        *_names_or_none(_OF_EVENT, sources),
    ]
    given = ["contents"] if content_sources else []
    given += [f"{name} is not None" for name in dict.fromkeys(_OF_EVENT) if name in sources]
    made = f"CustomProperties({', '.join(values)}) if {' or '.join(given)} else None" if given else "None"
    yield f"{_INDENT}properties = {made}"
    yield f"{_INDENT}return CustomEvent(EVENT, properties, tuple(dict.fromkeys(notes)) if notes else ())"


def _contents(sources: list[Source]) -> Iterator[str]:
    """Yields the lines that make the contents: an item for each product if one is read from products, else exactly one.

    A product that lacks a required parameter is left out, as is one that has none of those that are read from it.
    """
    yield f"{_INDENT}contents = []"
    has_ids = any(source.parameter == "content_id" for source in sources)
    if has_ids:
        yield f"{_INDENT}content_ids = []"
    of_product = [source for source in sources if source.of_product]
    depth = 2 if of_product else 1
    required = [source.parameter for source in of_product if source.required]
    if required:
        yield f"{_INDENT}lacking = {required[0]!r}"
    if of_product:
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
    values = ", ".join(_names_or_none(CONTENT_PARAMETERS, {source.parameter for source in sources}))
    yield f"{_INDENT * depth}if {given}:"
    yield f"{_INDENT * (depth + 1)}contents.append(CustomContent({values}))"
    if has_ids:
        yield f"{_INDENT * (depth + 1)}if content_id is not None:"
        yield f"{_INDENT * (depth + 2)}content_ids.append(content_id)"
    if required:
        yield f"{_INDENT}if not contents:"
        yield f"{_INDENT * 2}return missing(lacking)"


def _names_or_none(names: Iterable[str], known: Iterable[str]) -> Iterator[str]:
    return (name if name in known else "None" for name in names)


def _read(source: Source, depth: int) -> Iterator[str]:
    """Yields the lines that read one parameter into a variable of its name."""
    yield f"{_INDENT * depth}sent = {source.sent}"
    yield f"{_INDENT * depth}{source.parameter} = {source.quick}"
