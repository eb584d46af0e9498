"""The JSON objects that go out, field by field: the item of a legacy request and the item of Events API 2.0.

Sources: `pixel/batch/` as in tiktok-business-api-sdk f809c39 (`PixelbatchBatch.md` and the pages it names);
`event/track/` as transcribed by bububa/tiktok-business 051f6c0 (`model/event/track.go`), names and places as in
segmentio/action-destinations 970a17e. A field at its default stays out of the JSON.
"""

import msgspec

from transforms.model import CustomContent, CustomProperties


class _Json(msgspec.Struct, omit_defaults=True, gc=False):
    """Base of what goes out; `repr` shows no value."""

    def __repr__(self) -> str:
        """Returns the type's name only."""
        return f"{type(self).__name__}()"


class Content(_Json, omit_defaults=True, gc=False):
    """An item of `properties.contents`; the legacy request has `content_type` here, Events API 2.0 has `brand`."""

    price: float | None = None
    quantity: int | None = None
    content_type: str | None = None
    content_id: str | None = None
    content_name: str | None = None
    content_category: str | None = None
    brand: str | None = None


# A custom mapping makes its contents in an earlier step.
Contents = list[Content] | list[CustomContent]


class Page(_Json, omit_defaults=True, gc=False):
    """`page`, of both forms."""

    url: str | None = None
    referrer: str | None = None


class Ad(_Json, omit_defaults=True, gc=False):
    """`context.ad` of the legacy form; `callback` is the click id."""

    callback: str


class LegacyUser(_Json, omit_defaults=True, gc=False):
    """`context.user` of the legacy form; hashes are text, not lists."""

    external_id: str | None = None
    phone_number: str | None = None
    email: str | None = None
    ttp: str | None = None


class LegacyContext(_Json, omit_defaults=True, gc=False):
    """`context` of the legacy form."""

    ad: Ad | None = None
    page: Page | None = None
    user: LegacyUser | None = None
    user_agent: str | None = None
    ip: str | None = None


class LegacyProperties(_Json, omit_defaults=True, gc=False):
    """`properties` of the legacy form."""

    contents: Contents | None = None
    currency: str | None = None
    value: float | None = None


class MappedLegacyProperties(LegacyProperties, omit_defaults=True, gc=False):
    """`properties` of an event that a custom mapping made; apart, so that the others pay nothing for its fields."""

    query: str | None = None
    description: str | None = None


class LegacyEvent(_Json, omit_defaults=True, gc=False):
    """An item of `batch`; `limited_data_use` has its place here according to TikTok's Postman collection."""

    type: str
    event: str
    event_id: str
    timestamp: str
    context: LegacyContext | None = None
    properties: LegacyProperties | None = None
    limited_data_use: bool = False


class TrackUser(_Json, omit_defaults=True, gc=False):
    """`user` of Events API 2.0."""

    email: list[str] | None = None
    phone: list[str] | None = None
    external_id: list[str] | None = None
    ttclid: str | None = None
    ttp: str | None = None
    ip: str | None = None
    user_agent: str | None = None
    locale: str | None = None
    first_name: str | None = None
    last_name: str | None = None
    zip_code: str | None = None
    city: str | None = None
    state: str | None = None
    country: str | None = None


class TrackProperties(_Json, omit_defaults=True, gc=False):
    """`properties` of Events API 2.0."""

    contents: Contents | None = None
    content_ids: list[str] | None = None
    content_type: str | None = None
    currency: str | None = None
    value: float | None = None
    order_id: str | None = None


class TrackEvent(_Json, omit_defaults=True, gc=False):
    """An item of `data`."""

    event: str
    event_time: int
    event_id: str
    user: TrackUser | None = None
    properties: TrackProperties | CustomProperties | None = None
    page: Page | None = None
    limited_data_use: bool = False


encode = msgspec.json.Encoder().encode
