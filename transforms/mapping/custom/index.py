"""Finds the custom mappings of an event, so that it looks at few of them, however many a connection has.

By event type, then by product action or name, then by the value of an attribute or of a product field.
"""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from transforms.mapping import tables
from transforms.mapping.custom.conditions import Matcher, action_of, folded, name_of, wanted
from transforms.mapping.custom.parameter_sources import known_field
from transforms.mapping.select import canonical_action
from transforms.mapping.values import scalar

# An event's data → the positions of the mappings that may match; one may come twice, and they have no order.
Find = Callable[[Any], tuple[int, ...]]

# Value of an attribute or a product field, as it is compared → positions.
_Table = dict[str, tuple[int, ...]]


class Index(NamedTuple):
    """The functions that find mappings.

    Attributes:
      by_type: event type → the one for events of this type.
      by_action: product action, as mParticle spells it → a quicker one for commerce events with this action.
    """

    by_type: dict[str, Find]
    by_action: dict[str | None, Find]


def build_index(matchers: Iterable[Matcher]) -> Index:
    """Returns the functions that find the mappings of an event."""
    types: dict[str, list[Matcher]] = {}
    for mapping in matchers:
        types.setdefault(mapping.message_type, []).append(mapping)
    finders = {kind: _finders(mappings) for kind, mappings in types.items()}
    by_action: dict[str | None, Find] = {}
    if tables.COMMERCE_EVENT in finders:
        of_action, others = finders[tables.COMMERCE_EVENT]
        by_action |= {word: _joined(of_action.get(canonical_action(word)), others) for word in tables.PRODUCT_ACTIONS}
    return Index({kind: _of_any_action(*found) for kind, found in finders.items()}, by_action)


def _finders(matchers: Iterable[Matcher]) -> tuple[dict[str, Find], Find | None]:
    """Returns the functions for the mappings of one event type: by product action, and for those without one."""
    of_action: dict[str, _Group] = {}
    of_name: dict[str, _Group] = {}
    others = _Group()
    for mapping in matchers:
        match = mapping.setting
        if match.product_action is not None:
            group = of_action.setdefault(canonical_action(match.product_action), _Group())
        elif match.event is not None:
            group = of_name.setdefault(folded(match.event), _Group())
        else:
            group = others
        group.add(mapping)
    by_name = {name: group.finder() for name, group in of_name.items()}

    def find_by_name(data: Any) -> tuple[int, ...]:
        return by_name.get(name_of(data) or "", _nothing)(data)

    of_others = None if others.is_empty() else others.finder()
    by_action = {action: group.finder() for action, group in of_action.items()}
    return by_action, _joined(of_others, find_by_name if by_name else None)


def _of_any_action(by_action: dict[str, Find], others: Find | None) -> Find:
    def find(data: Any) -> tuple[int, ...]:
        return by_action.get(action_of(data) or "", _nothing)(data)

    return _joined(find if by_action else None, others)


def _joined(first: Find | None, second: Find | None) -> Find:
    """Returns the function that finds what either of two finds."""
    if first is None or second is None:
        return first or second or _nothing

    def find(data: Any) -> tuple[int, ...]:
        return first(data) + second(data)

    return find


def _nothing(data: Any) -> tuple[int, ...]:
    return ()


class _Group:
    """Mappings that share an event type and a name or an action, found by the value of an attribute or a product field.

    A mapping is entered under its first condition of that kind, so that an event looks at few mappings however many
    there are.
    """

    def __init__(self) -> None:
        self.always: tuple[int, ...] = ()
        self.by_attribute: dict[str, _Table] = {}
        self.by_product: dict[str, _Table] = {}

    def is_empty(self) -> bool:
        """Returns whether there is no mapping in it."""
        return not (self.always or self.by_attribute or self.by_product)

    def add(self, mapping: Matcher) -> None:
        """Enters a mapping."""
        match = mapping.setting
        fields = {known_field(name): condition for name, condition in match.products.items()}
        for keyed, conditions in ((self.by_attribute, match.attributes), (self.by_product, fields)):
            for key, condition in conditions.items():
                table = keyed.setdefault(key, {})
                for value in wanted(condition):
                    table[value] = (*table.get(value, ()), mapping.position)
                return
        self.always += (mapping.position,)

    def finder(self) -> Find:
        """Returns the function that finds the mappings of an event of this group."""
        always, by_attribute, by_product = self.always, self.by_attribute, tuple(self.by_product.items())

        def find(data: Any) -> tuple[int, ...]:
            found = always
            attributes = data.custom_attributes
            if attributes and by_attribute:
                for key, value in attributes.items():
                    if key in by_attribute:
                        found += _look_up(value, by_attribute[key])
            action = data.product_action
            if by_product and action is not None:
                for product in action.products or ():
                    if product is not None:
                        for field, table in by_product:
                            found += _look_up(getattr(product, field), table)
            return found

        return find


def _look_up(value: Any, table: _Table) -> tuple[int, ...]:
    """Returns the mappings that are entered under a value, or under an element of a list."""
    if type(value) is str:  # nearly every value is text
        return table.get(folded(value), ())
    found: tuple[int, ...] = ()
    for text in map(scalar, value if type(value) is list else (value,)):
        if text is not None:
            found += table.get(folded(text), ())
    return found
