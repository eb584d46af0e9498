"""Messages → what would become of each of their events, with the request that would carry it.

An explanation adds how each custom mapping fared, and where each field of a payload comes from, in words.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from transforms.connection import Connection
from transforms.mapping import converter
from transforms.mapping.custom import Trace, traced_mapper
from transforms.model import Message, Outcome, Payload
from transforms.tiktok import endpoint_path, make_envelope
from transforms.vocabulary import Form, Note, Reason

# Field of an event in Events API 2.0 → its source. Source: the rules in `transforms/mapping`.
_TRACK_SOURCES = {
    "event_time": "data.timestamp_unixtime_ms",
    "user.ttclid": 'custom flag "TikTok.Callback"',
    "user.ttp": "partner_identities.tiktok_cookie_id",
    "user.ip": "ip of the batch",
    "user.user_agent": "device_info.http_header_user_agent",
    "user.locale": "device_info.locale_language and locale_country",
    "user.first_name": "user attribute $FirstName, hashed",
    "user.last_name": "user attribute $LastName, hashed",
    "user.zip_code": "user attribute $Zip, hashed",
    "user.city": "user attribute $City",
    "user.state": "user attribute $State",
    "user.country": "user attribute $Country",
    "page.url": 'custom flag "TikTok.URL"',
    "page.referrer": 'custom flag "TikTok.Referrer"',
}
# The same for the legacy form.
_LEGACY_SOURCES = {
    "type": "always track",
    "timestamp": "data.timestamp_unixtime_ms",
    "context.ad.callback": 'custom flag "TikTok.Callback"',
    "context.page.url": 'custom flag "TikTok.URL"',
    "context.page.referrer": 'custom flag "TikTok.Referrer"',
    "context.user.ttp": "partner_identities.tiktok_cookie_id",
    "context.ip": "ip of the batch",
    "context.user_agent": "device_info.http_header_user_agent",
}
_COMMON_SOURCES = {
    "event_id": "data.source_message_id, else data.event_id",
    "limited_data_use": "consent_state.ccpa, by consent.ccpa_opt_out",
    "properties.content_type": "setting content_type",
    "properties.content_ids": "products[].id",
    "properties.currency": "data.currency_code",
    "properties.value": "product_action.total_amount",
    "properties.order_id": "product_action.transaction_id",
    "properties.contents[].price": "products[].price",
    "properties.contents[].quantity": "products[].quantity, else 1",
    "properties.contents[].content_type": "setting content_type",
    "properties.contents[].content_id": "products[].id",
    "properties.contents[].content_name": "products[].name",
    "properties.contents[].content_category": "products[].category",
    "properties.contents[].brand": "products[].brand",
}
# Decisions that give a field another source: the note, the last word of the field's path, the source.
_SOURCES_BY_NOTE = (
    (Note.DERIVED_EVENT_ID, "event_id", "digest of the event's own content"),
    (Note.CLICK_ID_FROM_URL, "ttclid", "the page URL's parameter ttclid"),
    (Note.CLICK_ID_FROM_URL, "callback", "the page URL's parameter ttclid"),
    (Note.PAGE_URL_FALLBACK, "url", "data.page_url"),
    (Note.VALUE_FROM_ITEMS, "value", "sum of price × quantity"),
    (Note.DEFAULT_CURRENCY, "currency", "setting default_currency"),
)
# TikTok's field → the parameter that it is made of, where the names differ.
_PARAMETER_NAMES = {"search_string": "query", "content_ids": "content_id"}


class Preview(msgspec.Struct, frozen=True):
    """What would become of one event, or of a message without events; the fields of `--json` in their order.

    Attributes:
      message: number of the message, from 0 over all files.
      event: position in the message; None: the message as a whole.
      action: `send`, `skipped` or `rejected`.
      reason: why it would not be sent.
      path: the endpoint, relative to `api_url`.
      body: the request as it would be with this event alone.
      notes: what the mapping had to decide.
    """

    message: int
    event: int | None
    action: str
    reason: Reason | None
    path: str | None
    body: msgspec.Raw | None
    notes: tuple[Note, ...]

    def __repr__(self) -> str:
        """Returns the position and the action only."""
        return f"Preview(message={self.message}, event={self.event}, action={self.action!r})"


class Explanation(msgspec.Struct, frozen=True):
    """Why an event becomes what it becomes.

    Attributes:
      mappings: custom mappings that are for this type of event, and how each fared.
      others: number of custom mappings that are for other types of events.
      fields: path of each field that is sent → where it comes from.
    """

    mappings: tuple[Trace, ...]
    others: int
    fields: dict[str, str]


class ExplainedPreview(Preview, frozen=True):
    """A preview with its explanation, which stands last in `--json`."""

    explanation: Explanation


def previews(
    messages: Iterable[Message],
    connection: Connection,
    since_ms: int | None = None,
    until_ms: int | None = None,
    *,
    explain: bool = False,
) -> Iterator[tuple[str, Preview, Payload | Outcome]]:
    """Yields, for each unit in its order, the message's reference, what is shown, and the result itself.

    Args:
      messages: what to preview.
      connection: the settings.
      since_ms: events before are outside the time window.
      until_ms: events at this time or later are outside the time window.
      explain: yield `ExplainedPreview`s.
    """
    watch = traced_mapper(connection) if explain else None
    convert = converter(connection, since_ms, until_ms, mapper=None if watch is None else watch.mapper)
    envelopes = {form: make_envelope(connection, form) for form in Form}
    for number, message in enumerate(messages):
        if watch is not None:
            watch.seen.clear()
        for result in convert(message):
            if isinstance(result, Payload):
                body = msgspec.Raw(envelopes[result.form].join([result.body]))
                preview = Preview(
                    message=number,
                    event=result.index,
                    action="send",
                    reason=None,
                    path=endpoint_path(result.form),
                    body=body,
                    notes=result.notes,
                )
            else:
                preview = Preview(
                    message=number,
                    event=result.index,
                    action=result.kind,
                    reason=result.reason,
                    path=None,
                    body=None,
                    notes=result.notes,
                )
            if explain:
                traces = watch.seen.get(preview.event if preview.event is not None else -1, ()) if watch else ()
                explanation = Explanation(
                    mappings=traces,
                    others=len(watch.labels) - len(traces) if watch else 0,
                    fields=_fields(result, connection, traces),
                )
                preview = ExplainedPreview(explanation=explanation, **msgspec.structs.asdict(preview))
            yield message.ref, preview, result


def _fields(result: Payload | Outcome, connection: Connection, traces: tuple[Trace, ...]) -> dict[str, str]:
    """Returns where each field of a payload comes from; nothing for an event that is not sent."""
    if not isinstance(result, Payload):
        return {}
    made = next(
        (
            (trace.mapping, event.parameters)
            for trace in traces
            for event in trace.events
            if event.event == result.event and event.result == "sent"
        ),
        None,
    )
    custom = None if made is None else {one.parameter: one.source for one in made[1]}
    fields = _field_sources(msgspec.json.decode(result.body), result.form, connection, result.notes, custom)
    if made is not None:
        fields["event"] = f"custom mapping: {made[0]}"
    return fields


def _field_sources(
    body: Mapping[str, Any],
    form: Form,
    connection: Connection,
    notes: tuple[Note, ...],
    custom: Mapping[str, str] | None,
) -> dict[str, str]:
    """Returns the source of each field of an event, by its path; `[]` stands for every item of a list.

    Args:
      body: the event as TikTok will get it.
      form: the request that carries it.
      connection: which identities are sent as what.
      notes: what the mapping decided.
      custom: parameter → source of the custom mapping that made the event; None for the default mapping.
    """
    of_form = _LEGACY_SOURCES if form is Form.LEGACY else _TRACK_SOURCES
    known = {**_COMMON_SOURCES, **of_form, **_identities(form, connection)}
    known["event"] = "product action" if custom is None else "custom mapping"
    sources: dict[str, str] = {}
    for place in dict.fromkeys(_paths(body)):
        name = place.rsplit(".", 1)[-1].removesuffix("[]")
        source = known.get(place, "")
        if custom is not None and place.startswith("properties."):
            source = custom.get(_PARAMETER_NAMES.get(name, name), "")
        decided = [text for note, field, text in _SOURCES_BY_NOTE if note in notes and field == name]
        sources[place] = decided[0] if decided else source
    return sources


def _identities(form: Form, connection: Connection) -> dict[str, str]:
    parent, phone = ("context.user", "phone_number") if form is Form.LEGACY else ("user", "phone")
    return {
        f"{parent}.email": f"identity {connection.email_identity_type}, hashed",
        f"{parent}.{phone}": f"identity {connection.phone_identity_type}, hashed",
        f"{parent}.external_id": f"identity {connection.external_identity_type}, hashed",
    }


def _paths(value: Any, place: str = "") -> Iterator[str]:
    """Yields the path of every value; a list of single values is one value."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _paths(inner, f"{place}.{key}" if place else key)
    elif isinstance(value, list) and any(isinstance(item, dict) for item in value):
        for item in value:
            yield from _paths(item, f"{place}[]")
    else:
        yield place
