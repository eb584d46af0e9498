"""Bytes of one message in, one entry per event out: an `MParticleEvent`, or the `Outcome` of what cannot be one.

Source of the forms: mParticle's JSON reference and Events API schema; `wire` holds the fields that are read. Most
messages fit those types and are decoded in one pass; the others go through `salvage`.
"""

import json
from typing import Any

import msgspec

from transforms.mapping import salvage, tables, wire
from transforms.mapping.context import read_context
from transforms.mapping.custom import Mapper
from transforms.mapping.tables import JUNK
from transforms.mapping.values import epoch_ms, identifier
from transforms.mapping.wide import NARROW
from transforms.model import Message, MParticleEvent, Outcome
from transforms.parts import BatchContext, EventData
from transforms.vocabulary import Kind, Reason, Stage

# Nothing to look at for these; every other reason of this step is a rejection.
_SKIPPED = frozenset(
    {Reason.EMPTY_MESSAGE, Reason.NO_EVENTS, Reason.ALIAS_REQUEST, Reason.VALIDATION_RESULT, Reason.EMPTY_EVENT}
)

# mParticle's ids are 64 random bits; 0 is how protobuf writes "none".
_NO_ID = "0"


def decode(
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
            batch = wire.read(data) if mapper is None else mapper.read(data)
        except (msgspec.DecodeError, UnicodeDecodeError):
            salvaged = salvage.read(data, NARROW if mapper is None else mapper.kinds)
            if isinstance(salvaged, Reason):
                return [_ended(message, salvaged, keep_original)]
            data, batch = salvaged
        if not batch.events:
            return [_ended(message, _without_events(data), keep_original)]
        ref = message.ref
        original = message.data if keep_original else None
        context = read_context(batch, batch.events, data)
        entries: list[MParticleEvent | Outcome] = []
        for index, event in enumerate(batch.events):
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
            custom = None
            if mapper is not None:
                units = mapper.units(index, "commerce_event", content, context)
                if units is not None:
                    page = EventData(None, None, None, None, content.custom_flags, content.page_url)
                    if isinstance(units, list):
                        for one in units:
                            kept = content if one is None else page
                            entries.append(
                                MParticleEvent(
                                    ref, index, "commerce_event", context, kept, raw, original, event_id, at_ms, one
                                )
                            )
                        continue
                    custom, content = units, page
            entries.append(
                MParticleEvent(ref, index, "commerce_event", context, content, raw, original, event_id, at_ms, custom)
            )
        return entries
    except RecursionError:  # nested too deep for every JSON reader there is here
        return [_ended(message, Reason.UNREADABLE_MESSAGE, keep_original)]


def _other_event(
    message: Message,
    index: int,
    event: wire.Event | None,
    context: BatchContext,
    original: bytes | None,
    mapper: Mapper | None,
    data: bytes,
) -> list[MParticleEvent | Outcome]:
    """Returns the entries of an event that is not a commerce event, or has nothing to say."""
    keep_original = original is not None
    if event is None:
        return [_ended(message, Reason.EMPTY_EVENT, keep_original, index)]
    if event.event_type is None:
        fault = event.fault if isinstance(event, wire.BadEvent) else "event_type"
        return [_ended(message, Reason.MALFORMED_EVENT, keep_original, index, fault)]
    event_type = event.event_type.strip().lower()
    if event_type == tables.VALIDATION_RESULT:
        return [_ended(message, Reason.VALIDATION_RESULT, keep_original, index)]
    content = event.data
    if content is None:
        return [_ended(message, Reason.EMPTY_EVENT, keep_original, index)]
    event_id, at_ms = _event_id(content), epoch_ms(content.timestamp_unixtime_ms)
    raw, page = b"", None
    units = None
    if mapper is not None:
        units = mapper.units(index, event_type, content, context)
        if not event_id and event_type in mapper.message_types:
            raw = _own_content(data, index)
    if units is not None:
        page = EventData(None, None, None, None, content.custom_flags, content.page_url)
    return [
        MParticleEvent(
            message.ref,
            index,
            event_type,
            context,
            None if custom is None else page,
            raw,
            original,
            event_id,
            at_ms,
            custom,
        )
        for custom in (units if isinstance(units, list) else (units,))
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
    batch = salvage.parse(data)
    content = [identifier(batch.get("mpid")), batch["events"][index]["data"]]
    return json.dumps(content, sort_keys=True, separators=(",", ":")).encode()


def _without_events(data: bytes) -> Reason:
    """Returns what a message is that holds no events."""
    message = salvage.parse(data)
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
    return Outcome(kind, Stage.DECODE, reason, message.ref, index, detail, original=original)
