"""When a custom mapping matches: its conditions as functions; `index` finds those that an event has to look at.

Names and values are compared without case, names of attributes exactly. Source: mparticle-android-sdk eb2b4c87,
`CustomMappingMatch.java`.
"""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import msgspec

from transforms.custom_mappings import Condition, Match
from transforms.mapping import tables
from transforms.mapping.custom.parameter_sources import product_attribute
from transforms.mapping.select import canonical_action
from transforms.mapping.values import first_scalar, scalar

Products = tuple[Any, ...]


class ConditionCheck(NamedTuple):
    """One condition of a mapping.

    Attributes:
      label: what must hold, in words.
      holds: event data (or a product) → whether it does.
    """

    label: str
    holds: Callable[[Any], bool]


class Matcher(msgspec.Struct, frozen=True):
    """The conditions of one mapping.

    Attributes:
      position: of the mapping in the connection, from 0.
      setting: the conditions as they were written.
      message_type: the event type that the mapping is for.
      checks: conditions on the event's data.
      remaining: those of them that the index does not answer.
      product_checks: conditions on a product, all of which must hold.
    """

    position: int
    setting: Match
    message_type: str
    checks: tuple[ConditionCheck, ...]
    remaining: tuple[ConditionCheck, ...]
    product_checks: tuple[ConditionCheck, ...]

    def products(self, data: Any) -> Products | None:
        """Returns the products that the mapping is about (none, if the event has none), None if it does not match.

        Asked of mappings that the index has found, so that name or action are known to be right.
        """
        for _, holds in self.remaining:
            if not holds(data):
                return None
        products = products_of(data)
        if self.product_checks:
            return tuple(filter(self.takes, products)) or None
        return products

    def takes(self, product: Any) -> bool:
        """Returns whether the conditions on products hold for one."""
        return product is not None and all(check.holds(product) for check in self.product_checks)


def matcher(position: int, match: Match, events: Iterable[str]) -> Matcher:
    """Returns the conditions of a mapping as functions.

    Args:
      position: of the mapping in the connection, from 0.
      match: the conditions.
      events: the TikTok events that the mapping sends; none of them may make an order of a refund.
    """
    checks = tuple(_checks(match, events))
    is_indexed = match.product_action is not None or match.event is not None
    return Matcher(
        position=position,
        setting=match,
        message_type=message_type(match),
        checks=checks,
        remaining=checks[1:] if is_indexed else checks,
        product_checks=tuple(_product_checks(match)),
    )


def message_type(match: Match) -> str:
    """Returns the event type that a mapping is for; with a product action it may be left out."""
    return match.message_type or tables.COMMERCE_EVENT


def _checks(match: Match, events: Iterable[str]) -> Iterable[ConditionCheck]:
    """Yields the conditions on an event, the quickest first."""
    if match.product_action is not None:
        action = canonical_action(match.product_action)
        yield ConditionCheck(f"product action {action}", lambda data: action_of(data) == action)
    if match.event is not None:
        name = folded(match.event)
        yield ConditionCheck(f'name "{match.event}"', lambda data: name_of(data) == name)
    if match.custom_event_type is not None:
        kind = canonical_action(match.custom_event_type)
        yield ConditionCheck(
            f"custom event type {match.custom_event_type}",
            lambda data: type(data.custom_event_type) is str and canonical_action(data.custom_event_type) == kind,
        )
    for key, condition in match.attributes.items():
        yield _attribute_check(key, wanted(condition))
    is_commerce = message_type(match) == tables.COMMERCE_EVENT and match.product_action is None
    if is_commerce and any(event.lower() in tables.PURCHASE_LIKE_EVENTS for event in events):
        yield ConditionCheck(
            "no refund, which never becomes an order", lambda data: action_of(data) not in tables.TAKEN_BACK_ACTIONS
        )


def _attribute_check(key: str, values: frozenset[str]) -> ConditionCheck:
    return ConditionCheck(
        f'attribute "{key}" is {spelled(values)}',
        lambda data: has_value((data.custom_attributes or {}).get(key), values),
    )


def _product_checks(match: Match) -> Iterable[ConditionCheck]:
    """Yields the conditions on a product."""
    for key, condition in match.products.items():
        yield _product_check(key, wanted(condition))
    for key, condition in match.product_attributes.items():
        yield _product_attribute_check(key, wanted(condition))


def _product_check(key: str, values: frozenset[str]) -> ConditionCheck:
    name = "price" if key == "item_price" else key
    return ConditionCheck(
        f"product {name} is {spelled(values)}", lambda product: has_value(getattr(product, name), values)
    )


def _product_attribute_check(key: str, values: frozenset[str]) -> ConditionCheck:
    return ConditionCheck(
        f'product attribute "{key}" is {spelled(values)}',
        lambda product: has_value(product_attribute(product, key), values),
    )


def wanted(condition: Condition) -> frozenset[str]:
    """Returns the values of a condition, of which one must fit, without case."""
    values = condition if isinstance(condition, tuple) else (condition,)
    return frozenset(folded(scalar(value) or "") for value in values)


def spelled(values: frozenset[str]) -> str:
    """Returns the values of a condition in words."""
    return " or ".join(f'"{value}"' for value in sorted(values))


def folded(text: str) -> str:
    """Returns a name or a value as they are compared."""
    return text.strip().casefold()


def has_value(value: Any, values: frozenset[str]) -> bool:
    """Returns whether an attribute is one of the values; of a list one element must be."""
    if type(value) is str:  # nearly every attribute is text
        return folded(value) in values
    entries = value if type(value) is list else (value,)
    return any(text is not None and folded(text) in values for text in map(scalar, entries))


def action_of(data: Any) -> str | None:
    """Returns the product action of an event in its first spelling."""
    action = data.product_action
    return None if action is None or action.action is None else canonical_action(action.action)


def name_of(data: Any) -> str | None:
    """Returns the name of an event, or of its screen, as it is compared."""
    name = first_scalar(data.event_name) or first_scalar(data.screen_name)
    return None if name is None else name.casefold()


def products_of(data: Any) -> Products:
    """Returns the products of an event."""
    action = data.product_action
    return () if action is None else action.products or ()
