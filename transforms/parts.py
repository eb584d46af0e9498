"""What the values of `transforms.model` are made of: an event's data, what custom mappings make of it, batch and user.

Frozen msgspec structs. None of them flows by itself, and none shows in its `repr` what may be about a person.
"""

from typing import Any

import msgspec

from transforms.vocabulary import Note, Reason


class Product(msgspec.Struct, frozen=True, gc=False):
    """`product_action.products[]` as mParticle sends it; numbers may arrive as text."""

    id: str | int | float | bool | None = None
    name: str | int | float | bool | None = None
    brand: str | int | float | bool | None = None
    category: str | int | float | bool | None = None
    price: float | str | bool | None = None
    quantity: float | str | bool | None = None

    def __repr__(self) -> str:
        """Returns the type's name only."""
        return "Product()"


class ProductAction(msgspec.Struct, frozen=True, gc=False):
    """`data.product_action` of a commerce event."""

    action: str | None = None
    transaction_id: str | int | float | bool | None = None
    total_amount: float | str | bool | None = None
    currency: str | None = None
    products: tuple[Product | None, ...] | None = None

    def __repr__(self) -> str:
        """Returns the type's name only: a sender may write anything into an action."""
        return "ProductAction()"


class Present(msgspec.Struct, frozen=True, gc=False):
    """An object of which only its presence matters; its fields are skipped on decoding."""


class FeedMark(msgspec.Struct, frozen=True, gc=False):
    """`custom_attributes`, of which only mParticle's mark on the events of a data feed is read."""

    source_feed: Any = msgspec.field(default=None, name="mParticle Source Feed")

    def __repr__(self) -> str:
        """Returns the type's name only."""
        return "FeedMark()"


class EventData(msgspec.Struct, frozen=True, gc=False):
    """`events[].data`: the fields that a rule reads (mParticle's names), everything else is skipped on decoding."""

    # In the order in which mParticle writes them: a decoder finds the next field fastest.
    product_action: ProductAction | None = None
    promotion_action: Present | None = None
    product_impressions: tuple[Present | None, ...] | None = None
    currency_code: str | None = None
    custom_flags: dict[str, Any] | None = None
    page_url: str | None = None
    timestamp_unixtime_ms: int | float | str | None = None
    event_id: int | float | str | None = None
    source_message_id: str | int | None = None
    custom_attributes: FeedMark | None = None

    def __repr__(self) -> str:
        """Returns the type's name only: identities and URLs may be inside."""
        return "EventData()"


class CustomContent(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """An item of `contents` as a custom mapping made it, with TikTok's names: it goes out as it is."""

    price: float | None = None
    quantity: int | None = None
    content_id: str | None = None
    content_name: str | None = None
    content_category: str | None = None

    def __repr__(self) -> str:
        """Returns the type's name only."""
        return "CustomContent()"


class CustomProperties(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """The parameters as a custom mapping made them, in the order of Events API 2.0: there they go out as they are.

    A search goes out under both names that TikTok's pages give it: `search_string` (newer) and `query` (older).
    """

    contents: list[CustomContent] | None = None
    content_ids: list[str] | None = None
    currency: str | None = None
    value: float | None = None
    search_string: str | None = None
    query: str | None = None
    description: str | None = None

    def __repr__(self) -> str:
        """Returns the type's name only."""
        return "CustomProperties()"


class CustomEvent(msgspec.Struct, frozen=True, gc=False):
    """What one custom mapping makes of an event: parameters that TikTok gets, or why it gets none.

    Attributes:
      event: TikTok's event; empty if another mapping sends this event already.
      properties: the parameters, in TikTok's types; None if there is none.
      notes: what had to be decided.
      reason: why this event is not sent; None if it is.
      detail: the parameter (or the event) that the reason is about.
    """

    event: str
    properties: CustomProperties | None = None
    notes: tuple[Note, ...] = ()
    reason: Reason | None = None
    detail: str | None = None

    def __repr__(self) -> str:
        """Returns the event and what became of it, no parameter."""
        return f"CustomEvent(event={self.event!r}, reason={self.reason!r}, detail={self.detail!r})"


class BatchContext(msgspec.Struct, frozen=True, gc=False):
    """What a batch says about all its events; raw identities are in here.

    Attributes:
      input: `web`, `feed` or `app`, as `auto` reads it (the customer's specification, section 2).
      identities: identity type (canonical spelling) → value, the newest of each type; junk not yet removed.
      attributes: `user_attributes` as sent.
      gdpr: purpose (lower case) → consented.
      ccpa_opted_out: True if `data_sale_opt_out.consented` is true, which means opted OUT.
      consent_unreadable: consent_state was there and could not be read.
      locale: BCP 47, from the device's language and country.
      sends_zero_for_missing_total: the batch is of a Web SDK before 2.72.0.
      received_at_ms: the batch's own time, if it has one.
      has_one_event: nobody else will ask about this batch, so that nothing needs to be kept about it.
    """

    environment: str = "production"
    input: str = "web"
    ip: str | None = None
    user_agent: str | None = None
    identities: dict[str, str] = {}
    attributes: dict[str, Any] = {}
    gdpr: dict[str, bool] = {}
    ccpa_opted_out: bool = False
    consent_unreadable: bool = False
    ttp: str | None = None
    locale: str | None = None
    sends_zero_for_missing_total: bool = False
    received_at_ms: int | None = None
    has_one_event: bool = False

    def __repr__(self) -> str:
        """Returns the type and the input only."""
        return f"BatchContext(input={self.input!r})"


class User(msgspec.Struct, frozen=True, gc=False):
    """Who an event is about, ready to be sent: identifiers hashed, places normalised.

    Attributes:
      email, phone, external_id, first_name, last_name, zip_code: SHA-256, 64 lower-case hex digits.
      city, state, country, ip, user_agent, ttp, locale: plain, as TikTok wants them.
    """

    email: str | None = None
    phone: str | None = None
    external_id: str | None = None
    first_name: str | None = None
    last_name: str | None = None
    zip_code: str | None = None
    city: str | None = None
    state: str | None = None
    country: str | None = None
    ip: str | None = None
    user_agent: str | None = None
    ttp: str | None = None
    locale: str | None = None

    def __repr__(self) -> str:
        """Returns which fields are set, not their values."""
        present = ", ".join(name for name in self.__struct_fields__ if getattr(self, name) is not None)
        return f"User({present})"
