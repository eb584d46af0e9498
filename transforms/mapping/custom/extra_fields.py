"""The types of a batch with the fields that only custom mappings read; decoded for connections that have mappings.

What is read here beyond `transforms.model` ends in `custom.mapper`: an event that leaves the step of decoding holds
none of it.
"""

from collections.abc import Collection
from typing import Any, cast

import msgspec

from transforms.mapping.mparticle_json import Batch, BatchTypes, Event
from transforms.model import EventData, Product, ProductAction

# The fields of an event's data that are read for mappings only; the other event fields are of its product action.
DATA_FIELDS = ("event_name", "screen_name", "custom_event_type")


def batch_types(
    data_fields: Collection[str], action_fields: Collection[str], product_fields: Collection[str]
) -> BatchTypes:
    """Returns the types for a connection with mappings: the usual ones and the fields that they read besides.

    Args:
      data_fields: of an event; its attributes are always read.
      action_fields: of a product action.
      product_fields: of a product.
    """
    product, action = Product, ProductAction
    if product_fields:
        product = cast(type[Product], _extended("ExtendedProduct", Product, product_fields))
    if action_fields or product_fields:
        products = ("products", tuple[product | None, ...] | None, None)  # type: ignore[valid-type]
        action = cast(type[ProductAction], _extended("ExtendedAction", ProductAction, action_fields, products))
    data = _extended(
        "ExtendedData",
        EventData,
        data_fields,
        ("product_action", action | None, None),
        ("custom_attributes", dict[str, Any] | None, None),
    )
    event = msgspec.defstruct("ExtendedEvent", [("data", data | None, None)], bases=(Event,), gc=False)
    events = ("events", list[event | None] | None, None)  # type: ignore[valid-type]
    batch = msgspec.defstruct("ExtendedBatch", [events], bases=(Batch,), gc=False)
    return BatchTypes(
        read=msgspec.json.Decoder(cast(type[Batch], batch)).decode,
        data=cast(type[EventData], data),
        action=action,
        product=product,
    )


def _extended(
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
