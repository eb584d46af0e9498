"""Which custom mappings an event meets, and what each of them makes of it; compiled once into plain functions.

A decoded event in; out come the units that leave the step of decoding: one for each TikTok event that the mappings
name, and the event itself where its default mapping applies. So a message's number of units is known at once, and every
later step turns one unit into one payload or one outcome.

Semantics, after mparticle-android-sdk eb2b4c87 (`CustomMapping.java`, `CustomMappingMatch.java`) unless marked as ours:
all conditions must hold; every mapping that matches gives its events; conditions on products narrow their list; a
missing required parameter drops the event; the default mapping applies if no mapping gave anything, and with
`also_default`. Ours: one event holds all products; of two mappings that give the same TikTok event the first one wins,
because TikTok takes one event of a name and an id; a refund never matches a mapping to an order.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from transforms.connection import Connection
from transforms.custom import CustomMapping, Parameter
from transforms.mapping import tables, wide
from transforms.mapping.matching import Matcher, Products, finder, matcher
from transforms.mapping.parameters import CONTENT_PARAMETERS
from transforms.mapping.select import canonical_action, event_names
from transforms.mapping.sources import NARROW_FIELDS, Source, compile_source
from transforms.model import (
    BatchContext,
    CustomContent,
    CustomEvent,
    EventData,
    MParticleEvent,
    Note,
    Product,
    ProductAction,
    Reason,
)


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


class Compiled(NamedTuple):
    """One mapping.

    Attributes:
      label: its name, or its position and its events.
      matcher: which events.
      targets: what it sends.
      also_default: the default mapping applies as well.
    """

    label: str
    matcher: Matcher
    targets: tuple[Target, ...]
    also_default: bool


class Mapper(NamedTuple):
    """The mappings of a connection.

    Attributes:
      kinds: the types into which a batch must be read for them.
      message_types: event types that may match.
      units: a decoded event and its data → the units it becomes, at least one.
    """

    kinds: wide.Kinds
    message_types: frozenset[str]
    units: Callable[[MParticleEvent, Any], list[MParticleEvent]]


def mapper(connection: Connection) -> Mapper | None:
    """Returns the mappings of a connection, None if it has none."""
    compiled = compile_mappings(connection)
    if not compiled:
        return None
    find = finder([mapping.matcher for mapping in compiled])
    defaults = event_names(connection)
    reads_action = any(map(_reads_action, connection.custom_mappings))

    def units(event: MParticleEvent, data: Any) -> list[MParticleEvent]:
        """Returns what an event becomes; nothing that only mappings read is left in it."""
        plain = None if data is None else _plain(data, is_wide=reads_action)
        is_commerce = event.event_type == tables.COMMERCE_EVENT
        own = _unit(event, plain if is_commerce else None, None)
        matches = find(event.event_type, data) if plain is not None else ()
        if not matches:
            return [own]
        customs: list[CustomEvent] = []
        sent: set[str] = set()
        wants_default = False
        for position, products in matches:
            mapping = compiled[position]
            wants_default = wants_default or mapping.also_default
            for target in mapping.targets:
                custom = (
                    _duplicate(target.event) if target.event in sent else target.resolve(data, products, event.batch)
                )
                if custom.reason is None:
                    sent.add(custom.event)
                customs.append(custom)
        results = [
            # Another mapping made up for what is missing here: the name belongs to the event that is sent.
            _unit(event, plain, custom if custom.reason is None or custom.event not in sent else _nameless(custom))
            for custom in customs
        ]
        action = None if data.product_action is None else data.product_action.action
        default = defaults.get(canonical_action(action)) if is_commerce and action is not None else None
        if default is not None and (wants_default or not sent):
            results.append(_unit(event, plain, _duplicate(default)) if default in sent else own)
        return results

    return Mapper(
        wide.kinds(reads_action=reads_action), frozenset(mapping.matcher.message_type for mapping in compiled), units
    )


def compile_mappings(connection: Connection) -> tuple[Compiled, ...]:
    """Returns the mappings of a connection as functions, in its order."""
    default_currency = connection.default_currency.strip().upper() if connection.default_currency else None
    return tuple(
        _compiled(position, mapping, default_currency) for position, mapping in enumerate(connection.custom_mappings)
    )


def label(position: int, mapping: CustomMapping) -> str:
    """Returns what reports call a mapping."""
    return mapping.name or f"mapping {position + 1} ({', '.join(target.event for target in mapping.send)})"


def _compiled(position: int, mapping: CustomMapping, default_currency: str | None) -> Compiled:
    targets = tuple(
        _target(target.event, {**mapping.parameters, **target.parameters}, default_currency) for target in mapping.send
    )
    return Compiled(
        label(position, mapping),
        matcher(position, mapping.match, [target.event for target in targets]),
        targets,
        mapping.also_default,
    )


def _target(event: str, parameters: dict[str, Parameter], default_currency: str | None) -> Target:
    sources = tuple(compile_source(name, setting) for name, setting in parameters.items())
    of_event = tuple(source for source in sources if source.parameter not in CONTENT_PARAMETERS)
    of_content = tuple(source for source in sources if source.parameter in CONTENT_PARAMETERS)
    reads_products = any(source.of_product for source in of_content)
    shared = tuple(source for source in of_content if not source.of_product)
    of_each = tuple(source for source in of_content if source.of_product)

    def resolve(data: Any, products: Products, batch: BatchContext) -> CustomEvent:
        """Returns the event's parameters, or which one is missing."""
        notes: list[Note] = []
        values: dict[str, Any] = {}
        for source in of_event:
            value = source.value(data, None, batch, notes)
            if value is not None:
                values[source.parameter] = value
            elif source.parameter == "currency" and default_currency is not None:
                values["currency"] = default_currency
                notes.append(Note.DEFAULT_CURRENCY)
            elif source.required:
                return _missing(event, source.parameter)
        contents: tuple[CustomContent, ...] = ()
        if of_content:
            common: dict[str, Any] = {}
            for source in shared:
                value = source.value(data, None, batch, notes)
                if value is not None:
                    common[source.parameter] = value
                elif source.required:
                    return _missing(event, source.parameter)
            if not reads_products:
                contents = (CustomContent(**common),) if common else ()
            else:
                contents, lacking = _contents(of_each, common, data, products, batch, notes)
                if lacking is not None and not contents:
                    return _missing(event, lacking)
        return CustomEvent(event, contents, notes=tuple(dict.fromkeys(notes)), **values)

    return Target(event, sources, resolve)


def _contents(
    sources: tuple[Source, ...],
    common: dict[str, Any],
    data: Any,
    products: Products,
    batch: BatchContext,
    notes: list[Note],
) -> tuple[tuple[CustomContent, ...], str | None]:
    """Returns an item for each product, and a required parameter that a product lacks (or all do, for there is none).

    A product that lacks a required parameter is left out, as is one that has none of the parameters.
    """
    contents = []
    lacking = next((source.parameter for source in sources if source.required), None) if not products else None
    for product in products:
        if product is None:
            continue
        values = dict(common)
        lacks = None
        for source in sources:
            value = source.value(data, product, batch, notes)
            if value is not None:
                values[source.parameter] = value
            elif source.required:
                lacks = lacking = source.parameter
        if lacks is None and len(values) > len(common):
            contents.append(CustomContent(**values))
    return tuple(contents), lacking


def _missing(event: str, parameter: str) -> CustomEvent:
    return CustomEvent(event, reason=Reason.MISSING_PARAMETER, detail=parameter)


def _duplicate(event: str) -> CustomEvent:
    # Without its name: a ledger knows an event by name and id, and these are of the event that is sent.
    return CustomEvent("", reason=Reason.DUPLICATE_EVENT, detail=event)


def _nameless(custom: CustomEvent) -> CustomEvent:
    return CustomEvent("", reason=custom.reason, detail=custom.detail)


def _unit(event: MParticleEvent, data: EventData | None, custom: CustomEvent | None) -> MParticleEvent:
    return MParticleEvent(
        event.ref,
        event.index,
        event.event_type,
        event.batch,
        data,
        event.raw,
        event.original,
        event.event_id,
        event.occurred_at_ms,
        custom,
    )


def _plain(data: Any, *, is_wide: bool) -> EventData:
    """Returns the data without what only mappings read: attributes of events and products may say who someone is."""
    action = data.product_action
    if is_wide and action is not None:
        products = action.products
        if products is not None:
            products = tuple(
                None if one is None else Product(one.id, one.name, one.brand, one.category, one.price, one.quantity)
                for one in products
            )
        action = ProductAction(action.action, action.transaction_id, action.total_amount, action.currency, products)
    return EventData(
        action,
        data.promotion_action,
        data.product_impressions,
        data.currency_code,
        data.custom_flags,
        data.page_url,
        data.timestamp_unixtime_ms,
        data.event_id,
        data.source_message_id,
    )


def _reads_action(mapping: CustomMapping) -> bool:
    """Says whether a mapping reads more of product actions than the default mapping does."""
    match = mapping.match
    if match.product_attributes or not NARROW_FIELDS.issuperset(match.products):
        return True
    settings = [*mapping.parameters.values(), *(one for target in mapping.send for one in target.parameters.values())]
    fields = {one.product_field for one in settings} | {one.event_field for one in settings}
    return any(one.product_attribute for one in settings) or not NARROW_FIELDS.issuperset(fields - {None})
