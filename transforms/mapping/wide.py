"""The batch with the fields that only custom mappings read; decoded for connections that have mappings, never else.

What is read here beyond `transforms.parts` ends in `transforms.mapping.custom`: an event that leaves the step of
decoding holds none of it.
"""

from collections.abc import Callable, Collection
from typing import Any, NamedTuple, cast

import msgspec

from transforms.mapping import wire
from transforms.parts import EventData, Product, ProductAction


class Kinds(NamedTuple):
    """Types that a batch is read into.

    Attributes:
      read: JSON → the batch.
      data: type of `events[].data`.
      action: type of its `product_action`.
      product: type of the products in it.
    """

    read: Callable[[bytes], wire.Batch]
    data: type[EventData]
    action: type[ProductAction]
    product: type[Product]


NARROW = Kinds(wire.read, EventData, ProductAction, Product)

# Fields of an event that say what it is, or what anyone may have written into it.
DATA_FIELDS = ("event_name", "screen_name", "custom_event_type")


def kinds(data_fields: Collection[str], action_fields: Collection[str], product_fields: Collection[str]) -> Kinds:
    """Returns the types for a connection with mappings: the usual ones and the fields that they read besides.

    Args:
      data_fields: of an event; its attributes are always read.
      action_fields: of a product action.
      product_fields: of a product.
    """
    product, action = Product, ProductAction
    if product_fields:
        product = cast(type[Product], _wider("WideProduct", Product, product_fields))
    if action_fields or product_fields:
        products = ("products", tuple[product | None, ...] | None, None)  # type: ignore[valid-type]
        action = cast(type[ProductAction], _wider("WideAction", ProductAction, action_fields, products))
    data = _wider(
        "WideData",
        EventData,
        data_fields,
        ("product_action", action | None, None),
        ("custom_attributes", dict[str, Any] | None, None),
    )
    event = msgspec.defstruct("WideEvent", [("data", data | None, None)], bases=(wire.Event,), gc=False)
    events = ("events", list[event | None] | None, None)  # type: ignore[valid-type]
    batch = msgspec.defstruct("WideBatch", [events], bases=(wire.Batch,), gc=False)
    return Kinds(
        msgspec.json.Decoder(cast(type[wire.Batch], batch)).decode, cast(type[EventData], data), action, product
    )


def _wider(
    name: str, base: type[msgspec.Struct], fields: Collection[str], *replaced: tuple[str, Any, Any]
) -> type[msgspec.Struct]:
    """Returns a struct with more fields, of any type, and with other types for some of its own."""
    added = [(field, Any, None) for field in sorted(fields)]
    return msgspec.defstruct(
        name,
        [*replaced, *added],
        bases=(base,),
        frozen=True,
        gc=False,
        namespace={"__repr__": lambda _: f"{name}()"},
    )
