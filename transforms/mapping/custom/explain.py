"""Why a custom mapping matches an event or does not, and what each of its parameters found; for `preview` and `check`.

The same conditions and sources are asked as in a run. No value of an attribute is repeated, only what became of it.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

from transforms.connection import Connection
from transforms.mapping.custom.conditions import Products, products_of
from transforms.mapping.custom.mapper import CompiledMapping, compile_mapper, compile_mappings
from transforms.mapping.custom.parameter_sources import ParameterSource
from transforms.mapping.decode import MappedEvent, Mapper
from transforms.mapping.tables import counted_as
from transforms.mapping.values import given
from transforms.model import BatchContext
from transforms.vocabulary import Note


class ParameterTrace(msgspec.Struct, frozen=True):
    """One parameter: where it is read and what became of it (`given`, `missing`, …)."""

    parameter: str
    source: str
    result: str


class EventTrace(msgspec.Struct, frozen=True):
    """One TikTok event of a mapping that matched.

    Attributes:
      event: TikTok's name.
      result: `sent`, or why it is not; later steps may still end it (consent, no page URL).
      parameters: in the order of the connection.
    """

    event: str
    result: str
    parameters: tuple[ParameterTrace, ...]


class Trace(msgspec.Struct, frozen=True):
    """One mapping and one event.

    Attributes:
      mapping: its name, or its position and its events.
      matched: whether all conditions hold.
      failed: the conditions that do not hold.
      events: what it sends; empty if it does not match.
    """

    mapping: str
    matched: bool
    failed: tuple[str, ...] = ()
    events: tuple[EventTrace, ...] = ()


class TracedMapper(NamedTuple):
    """A mapper that keeps a record of what it sees.

    Attributes:
      mapper: for `converter`.
      labels: of all mappings, in the connection's order.
      seen: position of an event in its message → its traces; to be cleared for the next message.
    """

    mapper: Mapper
    labels: tuple[str, ...]
    seen: dict[int, tuple[Trace, ...]]


def traced_mapper(connection: Connection) -> TracedMapper | None:
    """Returns the mapper of a connection with a record of every event that it sees; None without mappings."""
    inner = compile_mapper(connection)
    if inner is None:
        return None
    compiled = compile_mappings(connection)
    seen: dict[int, tuple[Trace, ...]] = {}
    map_event = inner.map_event

    def trace(index: int, event_type: str, data: Any, batch: BatchContext) -> MappedEvent:
        seen[index] = explain(compiled, event_type, data, batch)
        return map_event(index, event_type, data, batch)

    return TracedMapper(
        mapper=msgspec.structs.replace(inner, map_event=trace),
        labels=tuple(mapping.label for mapping in compiled),
        seen=seen,
    )


def explain(compiled: Sequence[CompiledMapping], event_type: str, data: Any, batch: BatchContext) -> tuple[Trace, ...]:
    """Returns a trace for each mapping that is for this type of event."""
    traces = []
    sent: set[str] = set()
    for mapping in compiled:
        matcher = mapping.matcher
        if matcher.message_type != event_type:
            continue
        failed = [check.label for check in matcher.checks if not check.holds(data)]
        products = products_of(data)
        if matcher.product_checks and not any(map(matcher.takes, products)):
            failed.append(" and ".join(check.label for check in matcher.product_checks))
        if failed:
            traces.append(Trace(mapping=mapping.label, matched=False, failed=tuple(failed)))
            continue
        kept = matcher.products(data) or ()
        events = []
        for target in mapping.targets:
            parameters = tuple(_parameter(source, data, kept, batch) for source in target.sources)
            if counted_as(target.event) in sent:
                result = "another mapping sends it already"
            else:
                custom = target.resolve(data, kept, batch)
                result = "sent" if custom.reason is None else f"not sent: {custom.detail} is required and missing"
                if custom.reason is None:
                    sent.add(counted_as(target.event))
            events.append(EventTrace(event=target.event, result=result, parameters=parameters))
        traces.append(Trace(mapping=mapping.label, matched=True, events=tuple(events)))
    return tuple(traces)


def _parameter(source: ParameterSource, data: Any, products: Products, batch: BatchContext) -> ParameterTrace:
    if not source.of_product:
        return ParameterTrace(parameter=source.parameter, source=source.label, result=_result(source, data, batch))
    items = [product for product in products if product is not None]
    results = [_result(source, product, batch) for product in items]
    count = results.count("given")
    if items and count == len(items):
        result = f"given by {_products_word(count)}"
    elif items:
        others = next(one for one in results if one != "given")
        result = f"given by {count} of {_products_word(len(items))}, else {others}"
    else:
        result = "missing: the event has no products"
    return ParameterTrace(parameter=source.parameter, source=source.label, result=result)


def _products_word(count: int) -> str:
    return "1 product" if count == 1 else f"{count} products"


def _result(source: ParameterSource, holder: Any, batch: BatchContext) -> str:
    notes: list[Note] = []
    sent = source.read(holder, batch)
    if source.convert(sent, batch, notes) is not None:
        return "given"
    if not given(sent):
        return "missing"
    return "left out: it identifies a person" if Note.PERSONAL_VALUE in notes else "left out: of another type"
