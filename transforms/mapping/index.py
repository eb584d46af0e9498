"""Finds the custom mappings of an event, so that it looks at few of them, however many a connection has.

By event type, then by product action or name, then by the value of an attribute or of a product field.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from transforms.mapping.matching import Matcher, Products, action_of, folded, name_of, wanted
from transforms.mapping.select import canonical_action
from transforms.mapping.values import scalar

# Adds the mappings that may match an event, by its data.
_Find = Callable[[Any, list[Matcher]], None]


class _Group:
    """Mappings that share an event type and a name or an action, found by the value of an attribute or a product field.

    A mapping is entered under its first condition of that kind, so that an event looks at few mappings however many
    there are.
    """

    def __init__(self) -> None:
        self.always: list[Matcher] = []
        self.by_attribute: dict[str, dict[str, list[Matcher]]] = {}
        self.by_product: dict[str, dict[str, list[Matcher]]] = {}

    def add(self, mapping: Matcher) -> None:
        """Enters a mapping."""
        match = mapping.setting
        for table, conditions in ((self.by_attribute, match.attributes), (self.by_product, match.products)):
            for key, condition in conditions.items():
                values = table.setdefault("price" if key == "item_price" else key, {})
                for value in wanted(condition):
                    values.setdefault(value, []).append(mapping)
                return
        self.always.append(mapping)

    def finder(self) -> _Find:
        """Returns the function that adds the mappings that may match an event."""
        always, by_attribute = self.always, self.by_attribute
        attribute_tables, product_tables = tuple(by_attribute.items()), tuple(self.by_product.items())

        def find(data: Any, found: list[Matcher]) -> None:
            if always:
                found += always
            attributes = data.custom_attributes
            if attribute_tables and attributes:
                if len(attribute_tables) > len(attributes):
                    for key, value in attributes.items():
                        if key in by_attribute:
                            _look_up(value, by_attribute[key], found)
                else:
                    for key, values in attribute_tables:
                        value = attributes.get(key)
                        if value.__class__ is str:  # nearly every attribute is text
                            found += values.get(value.strip().casefold(), ())
                        elif value is not None:
                            _look_up(value, values, found)
            if product_tables and data.product_action is not None:
                for product in data.product_action.products or ():
                    if product is not None:
                        for key, values in product_tables:
                            value = getattr(product, key)
                            if value.__class__ is str:
                                found += values.get(value.strip().casefold(), ())
                            elif value is not None:
                                _look_up(value, values, found)

        return find


def _look_up(value: Any, values: dict[str, list[Matcher]], found: list[Matcher]) -> None:
    for text in map(scalar, value if type(value) is list else (value,)):
        if text is not None:
            found += values.get(folded(text), ())


class _Type(NamedTuple):
    """The mappings of one event type."""

    by_action: dict[str, _Find]
    by_name: dict[str, _Find]
    others: _Find | None


def _type(matchers: Iterable[Matcher]) -> _Type:
    by_action: dict[str, _Group] = {}
    by_name: dict[str, _Group] = {}
    others: _Group | None = None
    for mapping in matchers:
        match = mapping.setting
        if match.product_action is not None:
            group = by_action.setdefault(canonical_action(match.product_action), _Group())
        elif match.event is not None:
            group = by_name.setdefault(folded(match.event), _Group())
        else:
            group = others = others or _Group()
        group.add(mapping)
    return _Type(
        {action: group.finder() for action, group in by_action.items()},
        {name: group.finder() for name, group in by_name.items()},
        None if others is None else others.finder(),
    )


def finder(matchers: Sequence[Matcher]) -> Callable[[str, Any], list[tuple[int, Products]]]:
    """Returns the function that finds an event's mappings: position and products of each, in the connection's order."""
    mappings = {mapping.position: mapping for mapping in matchers}
    types = {
        kind: _type(mapping for mapping in matchers if mapping.message_type == kind)
        for kind in {mapping.message_type for mapping in matchers}
    }

    def find(event_type: str, data: Any) -> list[tuple[int, Products]]:
        """Returns the mappings that match, with the products that they are about."""
        of_type = types.get(event_type)
        if of_type is None or data is None:
            return []
        found: list[Matcher] = []
        by_action, by_name, others = of_type
        if by_action and data.product_action is not None:
            action = data.product_action.action
            group = by_action.get(action) or by_action.get(action_of(data) or "")
            if group is not None:
                group(data, found)
        if by_name:
            group = by_name.get(name_of(data) or "")
            if group is not None:
                group(data, found)
        if others is not None:
            others(data, found)
        matches = []
        if not found:
            return []
        if len(found) > 1:  # two products, or two elements of a list, may lead to the same mapping
            found = [mappings[position] for position in sorted({mapping.position for mapping in found})]
        for mapping in found:
            if not mapping.remaining and not mapping.product_checks:
                action = data.product_action
                matches.append((mapping.position, () if action is None else action.products or ()))
                continue
            products = mapping.products(data)
            if products is not None:
                matches.append((mapping.position, products))
        return matches

    return find
