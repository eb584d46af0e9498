"""The batch as mParticle writes it, typed: JSON in, `Batch` out. `lenient_decode` reads a batch that does not fit.

Both forms are read: the outgoing one (Pub/Sub, files: identities are a list, int64 are text) and the inbound one
(Raw Data Feed: identities are an object, int64 are numbers). Fields that no rule reads are skipped, whatever they hold.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec

from transforms.model import EventData, Product, ProductAction


class _Part(msgspec.Struct, gc=False):
    """Base of what is read of a batch; `repr` shows no value."""

    def __repr__(self) -> str:
        """Returns the type's name only."""
        return f"{type(self).__name__}()"


class Identity(_Part, gc=False):
    """An entry of `user_identities` in the outgoing form; its time is read only where a type comes twice."""

    identity_type: str
    identity: str


class Device(_Part, gc=False):
    """`device_info`."""

    platform: str | None = None
    http_header_user_agent: str | None = None
    locale_language: str | None = None
    locale_country: str | None = None


class Application(_Part, gc=False):
    """`application_info`."""

    os: str | None = None


class SourceInfo(_Part, gc=False):
    """`source_info`."""

    channel: str | None = None


class Partners(_Part, gc=False):
    """`partner_identities`; `tiktok_cookie_id` is the `_ttp` cookie.

    Source: mparticle-web-sdk v2.71.2, `integrationCapture.ts`.
    """

    tiktok_cookie_id: str | None = None


class Decision(_Part, gc=False):
    """One purpose of a consent state."""

    consented: bool | None = None


class Ccpa(_Part, gc=False):
    """`consent_state.ccpa`, which knows one purpose."""

    data_sale_opt_out: Decision | None = None


class ConsentState(_Part, gc=False):
    """`consent_state`."""

    gdpr: dict[str, Decision | None] | None = None
    ccpa: Ccpa | None = None


class BadConsentState(ConsentState, gc=False):
    """A `consent_state` that cannot be read; never decoded, made by `lenient_decode` only."""


class Event(_Part, gc=False):
    """An element of `events`."""

    data: EventData | None = None
    event_type: str | None = None


class BadEvent(Event, gc=False):
    """An element of `events` that cannot be read; never decoded, made by `lenient_decode` only.

    Attributes:
      fault: the field that broke it, a bounded word.
    """

    fault: str = "event"


class Batch(_Part, gc=False):
    """The fields of a batch that a rule reads."""

    # In the order in which mParticle writes them: a decoder finds the next field fastest.
    events: list[Event | None] | None = None
    device_info: Device | None = None
    application_info: Application | None = None
    user_attributes: dict[str, Any] | None = None
    user_identities: list[Identity | None] | dict[str, Any] | None = None
    partner_identities: Partners | None = None
    consent_state: ConsentState | None = None
    environment: str | None = None
    ip: str | None = None
    sdk_version: str | None = None
    source_info: SourceInfo | None = None
    timestamp_unixtime_ms: int | str | float | None = None


class BatchTypes(NamedTuple):
    """The types that a batch is read into.

    Attributes:
      read: JSON → the batch.
      data: type of `events[].data`.
      action: type of its `product_action`.
      product: type of the products in it.
    """

    read: Callable[[bytes], Batch]
    data: type[EventData]
    action: type[ProductAction]
    product: type[Product]


read_batch = msgspec.json.Decoder(Batch).decode

# The types of a connection without custom mappings.
DEFAULT_TYPES = BatchTypes(read=read_batch, data=EventData, action=ProductAction, product=Product)
