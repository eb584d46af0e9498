"""Which custom mappings an event meets, and what each of them makes of it; compiled once into closures.

A decoded event in; out come the units that leave the step of decoding: one for each TikTok event that the mappings
name, and the event itself where its default mapping applies. So a message's number of units is known at once, and every
later step turns one unit into one payload or one outcome.

Semantics, after mparticle-android-sdk eb2b4c87 (`CustomMapping.java`, `CustomMappingMatch.java`) unless marked as ours:
all conditions must hold; every mapping that matches gives its events; conditions on products narrow their list; a
missing required parameter drops the event; the default mapping applies if no mapping gave anything, and with
`also_default`. Ours: one event holds all products; of two mappings that give the same TikTok event the first one wins,
because TikTok takes one event of a name and an id; a refund never matches a mapping to an order.
"""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from msgspec.structs import force_setattr

from transforms.connection import Connection
from transforms.custom_mappings import CustomMapping
from transforms.mapping import tables
from transforms.mapping.custom.conditions import Matcher, Products, action_of, matcher, products_of
from transforms.mapping.custom.extra_fields import DATA_FIELDS, batch_types
from transforms.mapping.custom.index import Find, Index, build_index
from transforms.mapping.custom.parameter_sources import NARROW_FIELDS
from transforms.mapping.custom.resolve import CompiledTarget, compile_target
from transforms.mapping.decode import MappedEvent, Mapper
from transforms.mapping.mparticle_json import BatchTypes
from transforms.mapping.select import event_names
from transforms.mapping.tables import counted_as
from transforms.model import BatchContext, CustomEvent
from transforms.vocabulary import Reason

# Event data, products and batch → what TikTok gets.
_Resolve = Callable[[Any, Products, BatchContext], CustomEvent]


class CompiledMapping(NamedTuple):
    """One mapping.

    Attributes:
      label: its name, or its position and its events.
      matcher: which events.
      targets: what it sends.
      also_default: the default mapping applies as well.
    """

    label: str
    matcher: Matcher
    targets: tuple[CompiledTarget, ...]
    also_default: bool


def compile_mapper(connection: Connection) -> Mapper | None:
    """Returns the mappings of a connection, None if it has none."""
    compiled = compile_mappings(connection)
    if not compiled:
        return None
    types = _types(connection.custom_mappings)
    has_attributes = "custom_attributes" in types.product.__struct_fields__
    index = build_index(mapping.matcher for mapping in compiled)
    usual = tuple(map(_usual, compiled))
    defaults = event_names(connection)

    def map_event(position: int, event_type: str, data: Any, batch: BatchContext) -> MappedEvent:
        """Returns what an event becomes."""
        find = _finder(index, event_type, data)
        found = () if find is None else find(data)
        if len(found) == 1:  # nearly always: one mapping with one event
            resolve = usual[found[0]]
            if resolve is not None:
                custom = resolve(data, products_of(data), batch)
                if custom.reason is None:
                    return custom
        matches = _matches(compiled, found, data) if found else None
        if not matches:
            _strip(data, has_attributes)
            return None
        customs, sent, wants_default = _resolved(matches, data, batch)
        action = action_of(data) if event_type == tables.COMMERCE_EVENT else None  # only commerce events have a default
        default = defaults.get(action) if action is not None else None
        if default is None or (sent and not wants_default):
            return [*customs]
        if counted_as(default) in sent:
            return [*customs, _duplicate(default)]
        _strip(data, has_attributes)
        return [*customs, None]

    return Mapper(
        types=types,
        message_types=frozenset(mapping.matcher.message_type for mapping in compiled),
        map_event=map_event,
    )


def compile_mappings(connection: Connection) -> tuple[CompiledMapping, ...]:
    """Returns the mappings of a connection as functions, in its order."""
    default_currency = connection.default_currency.strip().upper() if connection.default_currency else None
    return tuple(
        _compiled(position, mapping, default_currency) for position, mapping in enumerate(connection.custom_mappings)
    )


def label(position: int, mapping: CustomMapping) -> str:
    """Returns what reports call a mapping."""
    return mapping.name or f"mapping {position + 1} ({', '.join(target.event for target in mapping.send)})"


def _compiled(position: int, mapping: CustomMapping, default_currency: str | None) -> CompiledMapping:
    targets = tuple(
        compile_target(target.event, {**mapping.parameters, **target.parameters}, default_currency)
        for target in mapping.send
    )
    return CompiledMapping(
        label=label(position, mapping),
        matcher=matcher(position, mapping.match, [target.event for target in targets]),
        targets=targets,
        also_default=mapping.also_default,
    )


def _finder(index: Index, event_type: str, data: Any) -> Find | None:
    """Returns the function that finds the mappings of an event."""
    action = data.product_action
    if action is not None and event_type == tables.COMMERCE_EVENT and action.action in index.by_action:
        return index.by_action[action.action]
    return index.by_type.get(event_type)


def _duplicate(event: str) -> CustomEvent:
    # Without its name: a ledger knows an event by name and id, and these are of the event that is sent.
    return CustomEvent("", reason=Reason.DUPLICATE_EVENT, detail=event)


def _nameless(custom: CustomEvent) -> CustomEvent:
    return CustomEvent("", reason=custom.reason, detail=custom.detail)


def _usual(mapping: CompiledMapping) -> _Resolve | None:
    """Returns what makes the event of a mapping that the index answers wholly and that sends one event only."""
    matcher = mapping.matcher
    if matcher.remaining or matcher.product_checks or len(mapping.targets) > 1 or mapping.also_default:
        return None
    return mapping.targets[0].resolve


def _matches(
    compiled: tuple[CompiledMapping, ...], found: tuple[int, ...], data: Any
) -> list[tuple[CompiledMapping, Products]]:
    """Returns the mappings that match, with the products that they are about, in the connection's order."""
    matches = []
    for position in sorted(set(found)):  # two products, or two elements of a list, may lead to the same mapping
        products = compiled[position].matcher.products(data)
        if products is not None:
            matches.append((compiled[position], products))
    return matches


def _resolved(
    matches: list[tuple[CompiledMapping, Products]], data: Any, batch: BatchContext
) -> tuple[list[CustomEvent], set[str], bool]:
    """Returns what all mappings make of an event; what is sent, as TikTok counts it; whether its default goes too."""
    customs: list[CustomEvent] = []
    sent: set[str] = set()
    wants_default = False
    for mapping, products in matches:
        wants_default = wants_default or mapping.also_default
        for target in mapping.targets:
            counted = counted_as(target.event)
            custom = _duplicate(target.event) if counted in sent else target.resolve(data, products, batch)
            if custom.reason is None:
                sent.add(counted)
            customs.append(custom)
    # Where another mapping made up for what is missing, the name belongs to the event that is sent.
    named = [
        custom if custom.reason is None or counted_as(custom.event) not in sent else _nameless(custom)
        for custom in customs
    ]
    return named, sent, wants_default


def _strip(data: Any, has_attributes: bool) -> None:
    """Takes the attributes from an event's data and from its products: anyone may have written anything into them.

    In place, because the data are of this event alone and new ones take four times as long.
    """
    if data.custom_attributes is not None:
        force_setattr(data, "custom_attributes", None)
    if has_attributes and data.product_action is not None:
        for product in data.product_action.products or ():
            if product is not None and product.custom_attributes is not None:
                force_setattr(product, "custom_attributes", None)


def _types(mappings: Iterable[CustomMapping]) -> BatchTypes:
    """Returns the types for what the mappings read."""
    of_data: set[str] = set()
    of_action: set[str] = set()
    of_product: set[str] = set()
    for mapping in mappings:
        match = mapping.match
        if match.event is not None:
            of_data |= {"event_name", "screen_name"}
        if match.custom_event_type is not None:
            of_data.add("custom_event_type")
        of_product |= set(match.products) | ({"custom_attributes"} if match.product_attributes else set())
        targets = (one for target in mapping.send for one in target.parameters.values())
        for setting in (*mapping.parameters.values(), *targets):
            if setting.event_field is not None:
                (of_data if setting.event_field in DATA_FIELDS else of_action).add(setting.event_field)
            if setting.product_field is not None:
                of_product.add(setting.product_field)
            if setting.product_attribute is not None:
                of_product.add("custom_attributes")
    return batch_types(of_data - NARROW_FIELDS, of_action - NARROW_FIELDS, of_product - NARROW_FIELDS)
