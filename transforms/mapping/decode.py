"""Bytes of one message in, one entry per event out: an `MParticleEvent`, or the `Outcome` of what cannot be one.

Source of the forms: mParticle's JSON reference and Events API schema; `mparticle_json` holds the fields that are read.
Most messages fit those types and are decoded in one pass; the others are read by `lenient_decode`.
"""

import json
from collections.abc import Callable
from typing import Any

import msgspec

from transforms.mapping import tables
from transforms.mapping.batch_context import read_context
from transforms.mapping.lenient_decode import parse_json, read_leniently
from transforms.mapping.mparticle_json import DEFAULT_TYPES, BadEvent, Batch, BatchTypes, Event, read_batch
from transforms.mapping.tables import JUNK
from transforms.mapping.values import epoch_ms, identifier
from transforms.model import BatchContext, CustomEvent, EventData, Message, MParticleEvent, Outcome
from transforms.vocabulary import Kind, Reason, Stage

# Nothing to look at for these; every other reason of this step is a rejection.
_SKIPPED = frozenset(
    {Reason.EMPTY_MESSAGE, Reason.NO_EVENTS, Reason.ALIAS_REQUEST, Reason.VALIDATION_RESULT, Reason.EMPTY_EVENT}
)

# mParticle's ids are 64 random bits; 0 is how protobuf writes "none".
_NO_ID = "0"


# What custom mappings make of an event: a `CustomEvent` for each TikTok event that they name, and None for the event
# itself where its default mapping applies. Alone where it is one thing only, because that is so nearly always.
MappedEvent = CustomEvent | list[CustomEvent | None] | None


class Mapper(msgspec.Struct, frozen=True):
    """What decoding needs of a connection's custom mappings; `custom.compile_mapper` makes it.

    Attributes:
      types: a batch with the fields that the mappings read.
      message_types: event types that may match.
      map_event: an event's position in its message, its type, its data and its batch → what becomes of it. Where that
        is (also) the event itself, nothing that only mappings read is left in its data.
    """

    types: BatchTypes
    message_types: frozenset[str]
    map_event: Callable[[int, str, Any, BatchContext], MappedEvent]


def decode_message(
    message: Message, keep_original: bool = False, mapper: Mapper | None = None
) -> list[MParticleEvent | Outcome]:
    """Returns the units of a message, each of which will have one outcome.

    That is one entry per event; of an event that custom mappings match one entry per TikTok event; and one Outcome for
    a message without events that can be read.

    Args:
      message: UTF-8 JSON of one batch, in the outgoing or the inbound form, possibly gzip.
      keep_original: keep the whole message with what may be rejected, for a quarantine.
      mapper: the connection's custom mappings, if it has any.
    """
    try:
        data = message.data
        try:
            if not data.isascii():
                data.decode()  # the decoder does not look at the text of fields that nobody reads
            batch = read_batch(data) if mapper is None else mapper.types.read(data)
        except (msgspec.DecodeError, UnicodeDecodeError):
            lenient = read_leniently(data, DEFAULT_TYPES if mapper is None else mapper.types)
            if isinstance(lenient, Reason):
                return [_ended(message, lenient, keep_original)]
            data, batch = lenient
        if not batch.events:
            return [_ended(message, _without_events(data), keep_original)]
        return _entries(message, data, batch, batch.events, keep_original, mapper)
    except RecursionError:  # nested too deep for every JSON reader there is here
        return [_ended(message, Reason.UNREADABLE_MESSAGE, keep_original)]


def _entries(
    message: Message,
    data: bytes,
    batch: Batch,
    events: list[Event | None],
    keep_original: bool,
    mapper: Mapper | None,
) -> list[MParticleEvent | Outcome]:
    """Returns the entries of all events of a batch."""
    ref = message.ref
    original = message.data if keep_original else None
    context = read_context(batch, events, data)
    entries: list[MParticleEvent | Outcome] = []
    for index, event in enumerate(events):
        if event is None or event.data is None or event.event_type != "commerce_event":
            entries += _other_event(message, index, event, context, original, mapper, data)
            continue
        content = event.data
        own_id = content.source_message_id
        event_id = own_id.strip() if type(own_id) is str else ""
        if event_id in JUNK:
            event_id = _event_id(content)
        raw = b"" if event_id else _own_content(data, index)
        at_ms = epoch_ms(content.timestamp_unixtime_ms)
        mapped = None if mapper is None else mapper.map_event(index, "commerce_event", content, context)
        if mapped is None:
            # By position: with names it takes 20 to 70 ns more (`tests/mapping/test_fields.py`).
            entries.append(
                MParticleEvent(ref, index, "commerce_event", context, content, raw, original, event_id, at_ms)
            )
            continue
        page = _page_of(content)
        for custom in mapped if isinstance(mapped, list) else (mapped,):
            kept = content if custom is None else page
            entries.append(
                MParticleEvent(ref, index, "commerce_event", context, kept, raw, original, event_id, at_ms, custom)
            )
    return entries


def _page_of(data: EventData) -> EventData:
    """Returns what an event that a custom mapping makes keeps of its data: the rest is in its `CustomEvent`."""
    return EventData(custom_flags=data.custom_flags, page_url=data.page_url)


def _other_event(
    message: Message,
    index: int,
    event: Event | None,
    context: BatchContext,
    original: bytes | None,
    mapper: Mapper | None,
    data: bytes,
) -> list[MParticleEvent | Outcome]:
    """Returns the entries of an event that is not a commerce event, or is empty."""
    keep_original = original is not None
    if event is None:
        return [_ended(message, Reason.EMPTY_EVENT, keep_original, index)]
    if event.event_type is None:
        fault = event.fault if isinstance(event, BadEvent) else "event_type"
        return [_ended(message, Reason.MALFORMED_EVENT, keep_original, index, fault)]
    event_type = event.event_type.strip().lower()
    if event_type == tables.VALIDATION_RESULT:
        return [_ended(message, Reason.VALIDATION_RESULT, keep_original, index)]
    content = event.data
    if content is None:
        return [_ended(message, Reason.EMPTY_EVENT, keep_original, index)]
    event_id = _event_id(content)
    mapped = None
    raw = b""
    if mapper is not None:
        mapped = mapper.map_event(index, event_type, content, context)
        if not event_id and event_type in mapper.message_types:
            raw = _own_content(data, index)
    page = None if mapped is None else _page_of(content)
    return [
        MParticleEvent(
            ref=message.ref,
            index=index,
            event_type=event_type,
            batch=context,
            data=None if custom is None else page,
            raw=raw,
            original=original,
            event_id=event_id,
            occurred_at_ms=epoch_ms(content.timestamp_unixtime_ms),
            custom=custom,
        )
        for custom in (mapped if isinstance(mapped, list) else (mapped,))
    ]


def _event_id(data: EventData) -> str:
    """Returns the id by which TikTok will know the event again, empty if the event brings none.

    Source: the customer's specification, section 3 (`source_message_id`, else mParticle's `event_id`). The first stays
    the same when mParticle sends an event again in another batch, the second does not
    (mparticle-apple-sdk issue 787).
    """
    own_id = identifier(data.source_message_id)
    if own_id is not None and own_id not in JUNK:
        return own_id
    made_id = identifier(data.event_id)
    return made_id if made_id is not None and made_id != _NO_ID else ""


def _own_content(data: bytes, index: int) -> bytes:
    """Returns an event's content in a form that spaces and the order of keys do not change, with its person's mpid."""
    batch = parse_json(data)
    content = [identifier(batch.get("mpid")), batch["events"][index]["data"]]
    return json.dumps(content, sort_keys=True, separators=(",", ":")).encode()


def _without_events(data: bytes) -> Reason:
    """Returns what a message is that holds no events."""
    message = parse_json(data)
    if not message:
        return Reason.EMPTY_MESSAGE
    if _word(message.get("request_type")) == tables.ALIAS_REQUEST:
        return Reason.ALIAS_REQUEST
    if _word(message.get("event_type")) == tables.VALIDATION_RESULT:
        return Reason.VALIDATION_RESULT
    known = message.get("events") in (None, []) and not tables.BATCH_FIELDS.isdisjoint(message)
    return Reason.NO_EVENTS if known else Reason.NOT_A_BATCH


def _word(value: Any) -> str | None:
    """Returns one of mParticle's words, None for what is no text."""
    return value.strip().lower() if type(value) is str else None


def _ended(
    message: Message, reason: Reason, keep_original: bool, index: int | None = None, detail: str | None = None
) -> Outcome:
    """Returns the outcome of an event, or of the message as a whole."""
    kind = Kind.SKIPPED if reason in _SKIPPED else Kind.REJECTED
    original = message.data if keep_original and kind is Kind.REJECTED else None
    return Outcome(
        kind=kind,
        stage=Stage.DECODE,
        reason=reason,
        ref=message.ref,
        index=index,
        detail=detail,
        original=original,
    )
