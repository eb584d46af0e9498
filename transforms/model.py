"""Every value that flows through the pipeline, in order of appearance.

All of them are frozen msgspec structs with one common coder (`transforms.coders`), so what crosses a shuffle is a
compact MessagePack array and never a pickle. Fields that may hold something about a person are left out of `repr`.
What they are made of stands in `transforms.parts`.

Times inside the pipeline are UTC epoch milliseconds; they are converted at the two edges only.
"""

from typing import Any, ClassVar

import msgspec

from transforms.parts import BatchContext, CustomEvent, EventData, User
from transforms.vocabulary import Form, Kind, Note, Reason, Stage


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
        another event, which tell nothing of this one.
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
