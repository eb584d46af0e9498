"""The values of the pipeline: first what they are made of, then every value that flows, in order of appearance.

All of them are frozen msgspec structs. What flows has one common coder (`transforms.coders`), so that a compact
MessagePack array crosses a shuffle and never a pickle. Fields that may hold something about a person are left out of
`repr`.

Times inside the pipeline are UTC epoch milliseconds; they are converted at the two edges only.
"""

from typing import Any, ClassVar

import msgspec

from transforms.vocabulary import Form, Kind, Note, Reason, Stage


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
    """What all events of a batch share; raw identities are in here.

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


class _Value(msgspec.Struct, frozen=True, array_like=True, tag=True, gc=False):
    """Base of what flows: MessagePack arrays tagged with the type's name; `repr` shows only harmless fields."""

    _shown: ClassVar[tuple[str, ...]] = ()

    def __repr__(self) -> str:
        """Returns the type and the fields named by `_shown`, never a value of a person."""
        fields = ", ".join(f"{name}={getattr(self, name)!r}" for name in self._shown)
        return f"{type(self).__name__}({fields})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        """Returns the same fields for rich's pretty printer."""
        return [(name, getattr(self, name)) for name in self._shown]


class Message(_Value, frozen=True):
    """One message of the input, not yet read.

    Attributes:
      ref: where it came from: `FILE#ROW` or a Pub/Sub message id. No personal data.
      data: UTF-8 JSON, possibly gzip.
    """

    _shown: ClassVar[tuple[str, ...]] = ("ref",)
    ref: str
    data: bytes


class Units(_Value, frozen=True):
    """So many units of one message: how many it has, or how many of them are recorded.

    Attributes:
      ref: the message's reference.
      count: at least 1.
    """

    _shown: ClassVar[tuple[str, ...]] = ("ref", "count")
    ref: str
    count: int


class MParticleEvent(_Value, frozen=True):
    """One event of a batch, decoded; its batch's identities are still raw.

    An event that custom mappings match is one of these for each TikTok event that they name: equal but for `custom`.

    Attributes:
      ref: the message's reference.
      index: position in the message's `events`, from 0.
      event_type: mParticle's, for example `commerce_event`.
      data: the decoded data of a commerce event or of one that a custom mapping matches, None for every other one.
      raw: the event's own content in canonical form, only if it has no `event_id` (its digest becomes the id).
      original: the whole message, only if the run keeps a quarantine.
      event_id: what TikTok will deduplicate on, empty if the event brings no id of its own.
      occurred_at_ms: the event's own time, None if it is missing or out of range.
      custom: what a custom mapping makes of it; None: the default mapping is for it.
    """

    _shown: ClassVar[tuple[str, ...]] = ("ref", "index", "custom")
    ref: str
    index: int
    event_type: str
    batch: BatchContext
    data: EventData | None = None
    raw: bytes = b""
    original: bytes | None = None
    event_id: str = ""
    occurred_at_ms: int | None = None
    custom: CustomEvent | None = None


class IdentifiedEvent(_Value, frozen=True):
    """An event whose identities are hashed; raw identities are gone from here on.

    Attributes:
      form: the request that will carry it.
      sends_zero_for_missing_total: as in `BatchContext`.
      received_at_ms: as in `BatchContext`.
      limited_data_use: send with `limited_data_use: true` (CCPA opt-out, policy `limit`).
      match_keys: bits of `MatchKey` that follow from the batch alone.
      notes: what hashing had to decide.
      event_id: as in `MParticleEvent`.
      occurred_at_ms: as in `MParticleEvent`.
      custom: as in `MParticleEvent`.
    """

    _shown: ClassVar[tuple[str, ...]] = ("ref", "index", "form", "match_keys", "notes", "custom")
    ref: str
    index: int
    form: Form
    data: EventData
    user: User
    raw: bytes = b""
    sends_zero_for_missing_total: bool = False
    received_at_ms: int | None = None
    limited_data_use: bool = False
    match_keys: int = 0
    notes: tuple[Note, ...] = ()
    original: bytes | None = None
    event_id: str = ""
    occurred_at_ms: int | None = None
    custom: CustomEvent | None = None


class Payload(_Value, frozen=True):
    """One event as TikTok will get it, encoded once; free of raw identities.

    Attributes:
      form: the request that carries it.
      event: TikTok's event name.
      event_id: what TikTok deduplicates on, together with the event source and the name.
      occurred_at_ms: the event's own time.
      body: the JSON object of this one event; a request is these, joined by commas, in an envelope.
      ref: the message's reference.
      index: position in the message.
      match_keys: bits of `MatchKey`.
      value: the order's total in `currency`, if there is one.
      attempts: of earlier runs (replays); see `Outcome`.
      original: the whole message, only if the run keeps a quarantine.
    """

    _shown: ClassVar[tuple[str, ...]] = ("form", "event", "event_id", "occurred_at_ms", "ref", "index", "match_keys")
    form: Form
    event: str
    event_id: str
    occurred_at_ms: int
    body: bytes
    ref: str = ""
    index: int = 0
    match_keys: int = 0
    value: float | None = None
    currency: str | None = None
    notes: tuple[Note, ...] = ()
    attempts: int = 0
    original: bytes | None = None


class Fragment(_Value, frozen=True):
    """Payloads of one form on their way into one request.

    Attributes:
      form: the request that will carry them.
      payloads: at least one, within the limits of a request.
      body_bytes: sum of the payloads' bodies and of the commas between them.
      shard: which share of the request budget will send them.
    """

    _shown: ClassVar[tuple[str, ...]] = ("form", "body_bytes", "shard")
    form: Form
    payloads: list[Payload]
    body_bytes: int
    shard: int = 0


class Outcome(_Value, frozen=True):
    """How one unit ended. Every unit that enters the pipeline leaves as exactly one of these.

    Attributes:
      kind: what became of it.
      stage: the step that ended it.
      reason: None only for `delivered`.
      ref: the message's reference (for files that cannot be read: the file's name).
      index: position in the message, None for a message as a whole.
      detail: a bounded word for counting: product action, event type, field or class of trouble.
      form, event, event_id, occurred_at_ms, match_keys, value, currency, notes: as in `Payload`, once known.
      code: TikTok's code, if it answered one.
      message: TikTok's or the reader's message, values removed.
      request_id: TikTok's log id of the last reply.
      attempts: requests that carried the event, those of earlier runs included; not those that were refused because of
        another event, which mean nothing for this one.
      sent_at_ms: start of the last request that carried it.
      first_sent_at_ms: start of the first request of this run that carried it.
      payload: the finished payload, for outcomes of the write stage.
      original: the whole message, only if the run keeps a quarantine.
      answered_at_ms: when the last reply to it was complete.
    """

    _shown: ClassVar[tuple[str, ...]] = (
        "kind",
        "stage",
        "reason",
        "ref",
        "index",
        "detail",
        "event",
        "event_id",
        "code",
        "request_id",
        "attempts",
    )
    kind: Kind
    stage: Stage
    reason: Reason | None
    ref: str
    index: int | None = None
    detail: str | None = None
    form: Form | None = None
    event: str | None = None
    event_id: str | None = None
    occurred_at_ms: int | None = None
    match_keys: int = 0
    value: float | None = None
    currency: str | None = None
    notes: tuple[Note, ...] = ()
    code: int | None = None
    message: str | None = None
    request_id: str | None = None
    attempts: int = 0
    sent_at_ms: int | None = None
    first_sent_at_ms: int | None = None
    payload: bytes | None = None
    original: bytes | None = None
    answered_at_ms: int | None = None
