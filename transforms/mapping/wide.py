"""The batch with the fields that only custom mappings read; decoded for connections that have mappings, never else.

What is read here beyond `transforms.model` ends in `transforms.mapping.custom`: an event that leaves the step of
decoding holds none of it.
"""

from collections.abc import Callable
from typing import Any, NamedTuple, cast

import msgspec

from transforms.mapping import wire
from transforms.model import EventData, Product, ProductAction


class WideProduct(Product, frozen=True, gc=False):
    """A product with all its fields. Source: mParticle's batch schema, `products[]`."""

    variant: Any = None
    position: Any = None
    coupon_code: Any = None
    total_product_amount: Any = None
    custom_attributes: Any = None

    def __repr__(self) -> str:
        """Returns the type's name only."""
        return "WideProduct()"


class WideAction(ProductAction, frozen=True, gc=False):
    """A product action with all its fields. Source: mParticle's batch schema, `product_action`."""

    products: tuple[WideProduct | None, ...] | None = None
    affiliation: Any = None
    coupon_code: Any = None
    shipping_amount: Any = None
    tax_amount: Any = None
    checkout_step: Any = None
    checkout_options: Any = None
    product_action_list: Any = None
    product_list_source: Any = None

    def __repr__(self) -> str:
        """Returns the type's name only."""
        return "WideAction()"


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


def kinds(*, reads_action: bool) -> Kinds:
    """Returns the types for a connection with mappings.

    Args:
      reads_action: a mapping reads fields of product actions or products that the default mapping does not read.
    """
    action, product = (WideAction, WideProduct) if reads_action else (ProductAction, Product)
    # Made by call, because a static type may not narrow a field of its base to something else.
    data = msgspec.defstruct(
        "WideData",
        [
            ("product_action", action | None, None),
            ("custom_attributes", dict[str, Any] | None, None),
            ("event_name", Any, None),
            ("screen_name", Any, None),
            ("custom_event_type", Any, None),
        ],
        bases=(EventData,),
        frozen=True,
        gc=False,
        namespace={"__repr__": lambda _: "WideData()"},
    )
    event = msgspec.defstruct("WideEvent", [("data", data | None, None)], bases=(wire.Event,), gc=False)
    batch = msgspec.defstruct("WideBatch", [("events", list[event | None] | None, None)], bases=(wire.Batch,), gc=False)  # type: ignore[valid-type]
    return Kinds(
        msgspec.json.Decoder(cast(type[wire.Batch], batch)).decode, cast(type[EventData], data), action, product
    )
