"""Bytes of one message in, one entry per event out: an `MParticleEvent`, or the `Outcome` of what cannot be one.

Source of the forms: mParticle's JSON reference and Events API schema; `wire` holds the fields that are read. Most
messages fit those types and are decoded in one pass; the others go through `salvage`.
"""

import json

import msgspec

from transforms.mapping import salvage, tables, wire
from transforms.mapping.context import read_context
from transforms.mapping.values import epoch_ms, identifier
from transforms.model import EventData, Kind, Message, MParticleEvent, Outcome, Reason, Stage

# Nothing to look at for these; every other reason of this step is a rejection.
_SKIPPED = frozenset(
    {Reason.EMPTY_MESSAGE, Reason.NO_EVENTS, Reason.ALIAS_REQUEST, Reason.VALIDATION_RESULT, Reason.EMPTY_EVENT}
)

# mParticle's ids are 64 random bits; 0 is how protobuf writes "none".
_NO_ID = "0"


def decode(message: Message, *, keep_original: bool = False) -> list[MParticleEvent | Outcome]:
    """Returns one entry per event of the message, or one Outcome for a message without events that can be read.

    Args:
      message: UTF-8 JSON of one batch, in the outgoing or the inbound form, possibly gzip.
      keep_original: keep the whole message with what may be rejected, for a quarantine.
    """
    try:
        data = message.data
        if not data.isascii():
            plain = salvage.plain(data)
            if plain is None:
                return [_ended(message, Reason.UNREADABLE_MESSAGE, keep_original)]
            data = plain
        try:
            batch = wire.read(data)
        except msgspec.DecodeError:
            salvaged = salvage.read(data)
            if isinstance(salvaged, Reason):
                return [_ended(message, salvaged, keep_original)]
            batch = salvaged
        if not batch.events or batch.request_type is not None or batch.event_type is not None:
            reason = _not_events(batch, data)
            if reason is not None:
                return [_ended(message, reason, keep_original)]
        return _entries(message, data, batch, keep_original)
    except RecursionError:  # nested too deep for every JSON reader there is here
        return [_ended(message, Reason.UNREADABLE_MESSAGE, keep_original)]


def _entries(message: Message, data: bytes, batch: wire.Batch, keep_original: bool) -> list[MParticleEvent | Outcome]:
    """Returns one entry per element of `events`."""
    ref = message.ref
    original = message.data if keep_original else None
    context = read_context(batch)
    entries: list[MParticleEvent | Outcome] = []
    for index, event in enumerate(batch.events or ()):
        if event is None:
            entries.append(_ended(message, Reason.EMPTY_EVENT, keep_original, index))
            continue
        event_type, content = event.event_type, event.data
        if event_type is None:
            fault = event.fault if isinstance(event, wire.BadEvent) else "event_type"
            entries.append(_ended(message, Reason.MALFORMED_EVENT, keep_original, index, fault))
            continue
        if event_type != tables.COMMERCE_EVENT:
            event_type = event_type.strip().lower()
        if event_type == tables.VALIDATION_RESULT:
            entries.append(_ended(message, Reason.VALIDATION_RESULT, keep_original, index))
        elif content is None:
            entries.append(_ended(message, Reason.EMPTY_EVENT, keep_original, index))
        else:
            event_id = _event_id(content)
            at_ms = epoch_ms(content.timestamp_unixtime_ms)
            if event_type == tables.COMMERCE_EVENT:
                raw = b"" if event_id else _own_content(data, index)
                entries.append(MParticleEvent(ref, index, event_type, context, content, raw, original, event_id, at_ms))
            else:
                entries.append(MParticleEvent(ref, index, event_type, context, None, b"", original, event_id, at_ms))
    return entries


def _event_id(data: EventData) -> str:
    """Returns the id by which TikTok will know the event again, empty if the event brings none.

    Source: the customer's specification, section 3 (`source_message_id`, else mParticle's `event_id`). The first stays
    the same when mParticle sends an event again in another batch, the second does not
    (mparticle-apple-sdk issue 787).
    """
    from_source = identifier(data.source_message_id)
    if from_source is not None and from_source.lower() not in tables.JUNK:
        return from_source
    from_mparticle = identifier(data.event_id)
    return from_mparticle if from_mparticle is not None and from_mparticle != _NO_ID else ""


def _own_content(data: bytes, index: int) -> bytes:
    """Returns an event's content in a form that spaces and the order of keys do not change, with its person's mpid."""
    batch = salvage.parse(data)
    content = [identifier(batch.get("mpid")), batch["events"][index]["data"]]
    return json.dumps(content, sort_keys=True, separators=(",", ":")).encode()


def _not_events(batch: wire.Batch, data: bytes) -> Reason | None:
    """Returns what a message is if it is not a batch with events."""
    if batch.request_type is not None and batch.request_type.strip().lower() == tables.ALIAS_REQUEST:
        return Reason.ALIAS_REQUEST
    if batch.event_type is not None and batch.event_type.strip().lower() == tables.VALIDATION_RESULT:
        return Reason.VALIDATION_RESULT
    if batch.events:
        return None
    message = salvage.parse(data)
    if not message:
        return Reason.EMPTY_MESSAGE
    known = message.get("events") in (None, []) and not tables.BATCH_FIELDS.isdisjoint(message)
    return Reason.NO_EVENTS if known else Reason.NOT_A_BATCH


def _ended(
    message: Message, reason: Reason, keep_original: bool, index: int | None = None, detail: str | None = None
) -> Outcome:
    """Returns the outcome of an event, or of the message as a whole."""
    kind = Kind.SKIPPED if reason in _SKIPPED else Kind.REJECTED
    original = message.data if keep_original and kind is Kind.REJECTED else None
    return Outcome(kind, Stage.DECODE, reason, message.ref, index, detail, original=original)
