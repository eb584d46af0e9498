"""Custom event mappings and their cases, as a connection's file writes them: typed, described, not yet checked.

A mapping names the mParticle events that it matches, the TikTok events that they become, and the source of each
outgoing parameter; a case is an event with what must become of it. Which parameters an event takes is in
`transforms.mapping.custom.parameters`; what is impossible is refused when a file is read.
"""

from typing import Annotated, Any, ClassVar, Literal

import msgspec
from msgspec import Meta

# Event types that may be mapped. Source: the customer's specification, section 8.
MessageType = Literal["custom_event", "screen_view", "commerce_event"]

# Source: mParticle's batch schema, `custom_event_type` of custom events; `attribution` and `unknown` are in the JSON
# reference and in the event models only.
TypeOfCustomEvent = Literal[
    "navigation",
    "location",
    "search",
    "transaction",
    "user_content",
    "user_preference",
    "social",
    "media",
    "other",
    "attribution",
    "unknown",
]

# Source: as above, `custom_event_type` of commerce events.
TypeOfCommerceEvent = Literal[
    "add_to_cart",
    "remove_from_cart",
    "checkout",
    "checkout_option",
    "click",
    "view_detail",
    "purchase",
    "refund",
    "promotion_view",
    "promotion_click",
    "add_to_wishlist",
    "remove_from_wishlist",
    "impression",
]

CustomEventType = Literal[TypeOfCustomEvent, TypeOfCommerceEvent]

# Source: mParticle's batch schema, `product_action.action`.
ProductActionName = Literal[
    "add_to_cart",
    "remove_from_cart",
    "checkout",
    "checkout_option",
    "click",
    "view_detail",
    "purchase",
    "refund",
    "add_to_wishlist",
    "remove_from_wish_list",
    "unknown",
]

# Source: mparticle-android-sdk eb2b4c87, `CommerceEventUtils` (names of product fields; "Item Price" is the price).
ProductField = Literal[
    "id",
    "name",
    "brand",
    "category",
    "variant",
    "position",
    "price",
    "item_price",
    "quantity",
    "coupon_code",
    "total_product_amount",
]

# Source: as above (names of event fields); the names of an event and of a screen are ours to add.
EventField = Literal[
    "event_name",
    "screen_name",
    "transaction_id",
    "affiliation",
    "coupon_code",
    "total_amount",
    "shipping_amount",
    "tax_amount",
    "currency",
    "currency_code",
    "checkout_step",
    "checkout_options",
    "product_action_list",
    "product_list_source",
]

DataType = Literal["string", "number", "integer", "boolean"]

# A single value as people write it, with or without quotes; read as text.
Written = str | bool | int | float

# What an attribute may be: one value or several, of which one must fit.
Condition = Written | tuple[Written, ...]


class Match(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which events a mapping is for; everything that is given must hold."""

    message_type: Annotated[
        MessageType | None,
        Meta(description="mParticle's event type; may be left out with product_action", examples=["custom_event"]),
    ] = None
    event: Annotated[
        str | None,
        Meta(description="name of the event or of the screen, in any case", examples=["Newsletter Signup"]),
    ] = None
    custom_event_type: Annotated[
        CustomEventType | None, Meta(description="mParticle's custom event type", examples=["transaction"])
    ] = None
    product_action: Annotated[
        ProductActionName | None, Meta(description="product action of a commerce event", examples=["purchase"])
    ] = None
    attributes: Annotated[
        dict[str, Condition],
        Meta(
            description="event attributes that must all have the value, or one of the values, in any case",
            examples=[{"plan": ["pro", "team"]}],
        ),
    ] = {}
    products: Annotated[
        dict[str, Condition],
        Meta(
            description="product fields that narrow the list of products; without any left there is no match",
            examples=[{"category": "shoes"}],
        ),
    ] = {}
    product_attributes: Annotated[
        dict[str, Condition],
        Meta(description="the same for custom attributes of products", examples=[{"size": "42"}]),
    ] = {}


class Parameter(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where one outgoing parameter comes from: exactly one source, its type, and whether the event needs it."""

    event_attribute: Annotated[
        str | None, Meta(description="custom attribute of the event, by its exact name", examples=["plan"])
    ] = None
    user_attribute: Annotated[
        str | None,
        Meta(
            description="user attribute, in any case; none that says who someone is",
            examples=["loyalty_tier"],
        ),
    ] = None
    custom_flag: Annotated[str | None, Meta(description="custom flag of the event", examples=["Shop.List"])] = None
    product_field: Annotated[
        ProductField | None, Meta(description="field of each product, for contents", examples=["id"])
    ] = None
    product_attribute: Annotated[
        str | None, Meta(description="custom attribute of each product, for contents", examples=["size"])
    ] = None
    event_field: Annotated[
        EventField | None, Meta(description="field of the event or of its product action", examples=["total_amount"])
    ] = None
    constant: Annotated[Written | None, Meta(description="the same value for every event", examples=["EUR"])] = None
    type: Annotated[
        DataType | None,
        Meta(description="what the value must be; another one counts as missing", examples=["number"]),
    ] = None
    required: Annotated[bool, Meta(description="without a value this event is not sent", examples=[True])] = False


# The keys of a parameter that name its source.
SOURCES = (
    "event_attribute",
    "user_attribute",
    "custom_flag",
    "product_field",
    "product_attribute",
    "event_field",
    "constant",
)


class Target(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One TikTok event of a mapping; a name alone stands for an event with the mapping's parameters only."""

    may_be_one_word: ClassVar[bool] = True

    event: Annotated[str, Meta(description="TikTok's event", examples=["Lead"])]
    parameters: Annotated[
        dict[str, Parameter],
        Meta(
            description="parameters of this event, over those of the mapping",
            examples=[{"value": {"constant": 5}}],
        ),
    ] = {}


class CustomMapping(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One mapping: the events that it matches become one or several TikTok events."""

    match: Annotated[
        Match, Meta(description="which events", examples=[{"message_type": "custom_event", "event": "Signup"}])
    ]
    send: Annotated[
        tuple[Target, ...],
        Meta(description="TikTok's event, or a list of them", examples=["Lead"], min_length=1),
    ]
    name: Annotated[str | None, Meta(description="what reports call it", examples=["Newsletter"])] = None
    parameters: Annotated[
        dict[str, Parameter],
        Meta(
            description="TikTok's parameter to its source",
            examples=[{"description": {"event_attribute": "form"}}],
        ),
    ] = {}
    also_default: Annotated[
        bool, Meta(description="send the event by its default mapping as well", examples=[True])
    ] = False


class Expected(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What must become of an event: a payload, wholly or in part, or an outcome with its reason."""

    event: Annotated[str | None, Meta(description="TikTok's event that is sent", examples=["Lead"])] = None
    payload: Annotated[
        dict[str, Any] | None, Meta(description="the whole payload of the event", examples=[{"event": "Lead"}])
    ] = None
    contains: Annotated[
        dict[str, Any] | None,
        Meta(description="a part of the payload", examples=[{"properties": {"value": 5}}]),
    ] = None
    outcome: Annotated[
        Literal["skipped", "rejected"] | None, Meta(description="the event is not sent", examples=["skipped"])
    ] = None
    reason: Annotated[str | None, Meta(description="why not", examples=["unsupported_event_type"])] = None


class Case(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A test of the mappings: one event or one message in, and what must become of it."""

    name: Annotated[str, Meta(description="what it shows, as a sentence", examples=["A signup is a lead"])]
    event: Annotated[
        dict[str, Any] | None,
        Meta(
            description="one event of mParticle's; time, id and page URL are filled in if they are absent",
            examples=[{"event_type": "custom_event", "data": {"event_name": "Signup"}}],
        ),
    ] = None
    batch: Annotated[
        dict[str, Any],
        Meta(
            description="what the batch around the event says besides ip, user agent and platform",
            examples=[{"user_attributes": {"loyalty_tier": "gold"}}],
        ),
    ] = {}
    message: Annotated[
        dict[str, Any] | None,
        Meta(description="a whole message instead of an event; nothing is filled in", examples=[{"events": []}]),
    ] = None
    expect: Annotated[
        tuple[Expected, ...],
        Meta(description="one entry for each TikTok event or outcome, in order", examples=[[{"event": "Lead"}]]),
    ] = ()


class CaseFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A file beside the connection that holds cases only."""

    cases: Annotated[tuple[Case, ...], Meta(description="tests of the mappings", examples=[[]])] = ()
