"""Finds the custom mappings of an event, so that it looks at few of them, however many a connection has.

By event type, then by product action or name, then by the value of an attribute or of a product field.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from transforms.mapping import tables
from transforms.mapping.matching import Matcher, action_of, folded, name_of, wanted
from transforms.mapping.select import canonical_action
from transforms.mapping.values import scalar

# An event's data → the positions of the mappings that may match; one may come twice, and they have no order.
Find = Callable[[Any], tuple[int, ...]]

# Value of an attribute or a product field, as it is compared → positions.
_Table = dict[str, tuple[int, ...]]


def finders(matchers: Iterable[Matcher]) -> Mapping[str, Find]:
    """Returns event type → the function that finds the mappings of an event of this type."""
    types: dict[str, list[Matcher]] = {}
    for mapping in matchers:
        types.setdefault(mapping.message_type, []).append(mapping)
    return {kind: _finder(mappings) for kind, mappings in types.items()}


def _finder(matchers: Iterable[Matcher]) -> Find:
    """Returns the function that finds the mappings of an event, all of them for its type."""
    action_groups: dict[str, _Group] = {}
    name_groups: dict[str, _Group] = {}
    others: _Group | None = None
    for mapping in matchers:
        match = mapping.setting
        if match.product_action is not None:
            group = action_groups.setdefault(canonical_action(match.product_action), _Group())
        elif match.event is not None:
            group = name_groups.setdefault(folded(match.event), _Group())
        else:
            group = others = others or _Group()
        group.add(mapping)
    by_action: dict[str | None, Find] = {action: group.finder() for action, group in action_groups.items()}
    by_name = {name: group.finder() for name, group in name_groups.items()}
    of_others = _nothing if others is None else others.finder()
    # Nearly every action comes in a spelling that is known, so that nothing has to be made of it.
    by_spelling = by_action | {word: by_action.get(canonical_action(word), _nothing) for word in tables.PRODUCT_ACTIONS}

    def find_by_action(data: Any) -> tuple[int, ...]:
        action = data.product_action
        if action is None:
            return ()
        find = by_spelling.get(action.action)
        return find(data) if find is not None else by_action.get(action_of(data), _nothing)(data)

    def find_by_name(data: Any) -> tuple[int, ...]:
        return by_name.get(name_of(data) or "", _nothing)(data)

    def find_any(data: Any) -> tuple[int, ...]:
        found = of_others(data)
        if by_action:
            found += find_by_action(data)
        return found + find_by_name(data) if by_name else found

    if others is None and not by_name:
        return find_by_action
    if others is None and not by_action:
        return find_by_name
    return find_any


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

    def add(self, mapping: Matcher) -> None:
        """Enters a mapping."""
        match = mapping.setting
        for tables_by_key, conditions in ((self.by_attribute, match.attributes), (self.by_product, match.products)):
            for key, condition in conditions.items():
                table = tables_by_key.setdefault("price" if key == "item_price" else key, {})
                for value in wanted(condition):
                    table[value] = (*table.get(value, ()), mapping.position)
                return
        self.always += (mapping.position,)

    def finder(self) -> Find:
        """Returns the function that finds the mappings of an event of this group."""
        always, by_attribute = self.always, self.by_attribute
        attribute_tables, product_tables = tuple(by_attribute.items()), tuple(self.by_product.items())

        def find_always(data: Any) -> tuple[int, ...]:
            return always

        def find(data: Any) -> tuple[int, ...]:
            found = always
            attributes = data.custom_attributes
            if attribute_tables and attributes:
                if len(attribute_tables) > len(attributes):
                    for key, value in attributes.items():
                        if key in by_attribute:
                            found += _look_up(value, by_attribute[key])
                else:
                    for key, table in attribute_tables:
                        value = attributes.get(key)
                        if value.__class__ is str:  # nearly every attribute is text
                            positions = table.get(value.strip().casefold())
                            if positions is not None:
                                found += positions
                        elif value is not None:
                            found += _look_up(value, table)
            if product_tables and data.product_action is not None:
                for product in data.product_action.products or ():
                    if product is not None:
                        for key, table in product_tables:
                            value = getattr(product, key)
                            if value.__class__ is str:
                                positions = table.get(value.strip().casefold())
                                if positions is not None:
                                    found += positions
                            elif value is not None:
                                found += _look_up(value, table)
            return found

        return find if attribute_tables or product_tables else find_always


def _look_up(value: Any, table: _Table) -> tuple[int, ...]:
    found: tuple[int, ...] = ()
    for text in map(scalar, value if type(value) is list else (value,)):
        if text is not None:
            found += table.get(folded(text), ())
    return found
