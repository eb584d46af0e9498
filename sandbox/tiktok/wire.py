"""The two request bodies as TikTok documents them: JSON types, required fields, lengths. Unknown fields are accepted.

Types are checked while the JSON is decoded, strictly: a number is no string, `2.0` is no integer, null is no value.
What a type cannot express (hashes, addresses, names) is checked by `sandbox.tiktok.rules`.

Sources: Events API 2.0, "Report events" (portal page 1771101303285761), as `bububa/tiktok-business` 051f6c0,
`model/event/track.go`, transcribes it; legacy Events API 1.0, `tiktok/tiktok-business-api-sdk` f809c39,
`python_sdk/docs/PixelbatchBody.md`, `PixelbatchBatch.md`, `PixelContent.md`, `PixelProperties.md`.
"""

from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

# "Milliseconds" is the usual mistake: 9,999,999,999 seconds is the year 2286, and no millisecond time since 1970-04.
_LATEST_SECS = 9_999_999_999

Text = Annotated[str, Meta(min_length=1)]
Texts = Annotated[list[str], Meta(min_length=1)]
# One value or several. Source: arrays in `track.go`; the official tag `tiktok/gtm-template-eapi` sends plain strings.
TextOrTexts = Texts | str
ContentType = Literal["product", "product_group"]
Currency = Annotated[str, Meta(min_length=3, max_length=3)]


class Page(msgspec.Struct, gc=False):
    """`page`: where it happened."""

    url: str
    referrer: str | UnsetType = UNSET


class Content(msgspec.Struct, gc=False):
    """`contents[]`; "content_id: Not a valid string" is the best known refusal of all."""

    price: float | UnsetType = UNSET
    quantity: int | UnsetType = UNSET
    content_id: str | UnsetType = UNSET
    content_name: str | UnsetType = UNSET
    content_category: str | UnsetType = UNSET
    brand: str | UnsetType = UNSET
    content_type: ContentType | UnsetType = UNSET
    status: str | UnsetType = UNSET


class TrackUser(msgspec.Struct, gc=False):
    """`data[].user`; the first six are personal and must be hashed."""

    email: TextOrTexts | UnsetType = UNSET
    phone: TextOrTexts | UnsetType = UNSET
    external_id: TextOrTexts | UnsetType = UNSET
    first_name: str | UnsetType = UNSET
    last_name: str | UnsetType = UNSET
    zip_code: str | UnsetType = UNSET
    ttclid: str | UnsetType = UNSET
    ttp: str | UnsetType = UNSET
    ip: str | UnsetType = UNSET
    user_agent: str | UnsetType = UNSET
    locale: str | UnsetType = UNSET
    city: str | UnsetType = UNSET
    state: str | UnsetType = UNSET
    country: str | UnsetType = UNSET
    idfa: str | UnsetType = UNSET
    idfv: str | UnsetType = UNSET
    gaid: str | UnsetType = UNSET
    att_status: Literal["AUTHORIZED", "DENIED", "NOT_DETERMINED", "RESTRICTED", "NOT_APPLICABLE"] | UnsetType = UNSET


class TrackProperties(msgspec.Struct, gc=False):
    """`data[].properties`."""

    contents: list[Content] | UnsetType = UNSET
    content_ids: list[str] | UnsetType = UNSET
    content_type: ContentType | UnsetType = UNSET
    num_items: int | UnsetType = UNSET
    currency: Currency | UnsetType = UNSET
    value: float | UnsetType = UNSET
    description: str | UnsetType = UNSET
    order_id: str | UnsetType = UNSET
    shop_id: str | UnsetType = UNSET
    search_string: str | UnsetType = UNSET
    query: str | UnsetType = UNSET
    delivery_category: str | UnsetType = UNSET
    predicted_ltv: float | UnsetType = UNSET


class App(msgspec.Struct, gc=False):
    """`data[].app`, required for `event_source: app`."""

    app_id: Text


class Lead(msgspec.Struct, gc=False):
    """`data[].lead`, required for `event_source: crm`."""

    lead_id: Text
    lead_event_source: str | UnsetType = UNSET


class TrackEvent(msgspec.Struct, gc=False):
    """`data[]`; an `event_id` that is not given is empty here."""

    event: Text
    event_time: Annotated[int, Meta(ge=0, le=_LATEST_SECS)]
    event_id: Text = ""
    user: TrackUser | UnsetType = UNSET
    properties: TrackProperties | UnsetType = UNSET
    page: Page | UnsetType = UNSET
    limited_data_use: bool | UnsetType = UNSET
    app: App | UnsetType = UNSET
    lead: Lead | UnsetType = UNSET


class TrackRequest(msgspec.Struct, gc=False):
    """The body of `event/track/`."""

    event_source: Literal["web", "app", "offline", "crm"]
    event_source_id: Text
    data: list[TrackEvent]
    test_event_code: Text | UnsetType = UNSET
    partner_name: Text | UnsetType = UNSET


class LegacyUser(msgspec.Struct, gc=False):
    """`context.user`: strings, where 2.0 takes arrays."""

    external_id: str | UnsetType = UNSET
    phone_number: str | UnsetType = UNSET
    email: str | UnsetType = UNSET
    ttp: str | UnsetType = UNSET


class LegacyAd(msgspec.Struct, gc=False):
    """`context.ad`."""

    callback: str | UnsetType = UNSET


class LegacyContext(msgspec.Struct, gc=False):
    """`context`. mParticle's page on TikTok requires the page's address, the SDK does not: the stricter one holds."""

    page: Page
    ad: LegacyAd | UnsetType = UNSET
    user: LegacyUser | UnsetType = UNSET
    user_agent: str | UnsetType = UNSET
    ip: str | UnsetType = UNSET


class LegacyProperties(msgspec.Struct, gc=False):
    """`properties`."""

    contents: list[Content] | UnsetType = UNSET
    currency: Currency | UnsetType = UNSET
    value: float | UnsetType = UNSET
    description: str | UnsetType = UNSET
    query: str | UnsetType = UNSET


class LegacyEvent(msgspec.Struct, gc=False):
    """`batch[]`; an `event_id` that is not given is empty here."""

    type: Literal["track"]
    event: Text
    context: LegacyContext
    event_id: Text = ""
    timestamp: Annotated[datetime, Meta(tz=True)] | UnsetType = UNSET
    properties: LegacyProperties | UnsetType = UNSET


class LegacyRequest(msgspec.Struct, gc=False):
    """The body of `pixel/batch/`."""

    pixel_code: Text
    batch: list[LegacyEvent]
    test_event_code: Text | UnsetType = UNSET
    partner_name: Text | UnsetType = UNSET


decode_track = msgspec.json.Decoder(TrackRequest).decode
decode_legacy = msgspec.json.Decoder(LegacyRequest).decode
