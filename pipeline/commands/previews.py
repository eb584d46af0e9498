"""Messages → what would become of each of their events, with the request that would carry it."""

from collections.abc import Iterable, Iterator

import msgspec

from pipeline.commands.fieldsources import field_sources
from transforms.connection import Connection
from transforms.mapping.convert import converter
from transforms.mapping.explain import Trace, watched
from transforms.model import Message, Outcome, Payload
from transforms.tiktok import endpoint_path, make_envelope
from transforms.vocabulary import Form, Note, Reason


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
    watch = watched(connection) if explain else None
    convert = converter(connection, since_ms, until_ms, mapper=None if watch is None else watch.mapper)
    envelopes = {form: make_envelope(connection, form) for form in Form}
    for number, message in enumerate(messages):
        if watch is not None:
            watch.seen.clear()
        for result in convert(message):
            if isinstance(result, Payload):
                body = msgspec.Raw(envelopes[result.form].join([result.body]))
                preview = Preview(number, result.index, "send", None, endpoint_path(result.form), body, result.notes)
            else:
                preview = Preview(number, result.index, result.kind, result.reason, None, None, result.notes)
            if explain:
                traces = watch.seen.get(preview.event if preview.event is not None else -1, ()) if watch else ()
                explanation = Explanation(
                    traces, len(watch.labels) - len(traces) if watch else 0, _fields(result, connection, traces)
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
    fields = field_sources(msgspec.json.decode(result.body), result.form, connection, result.notes, custom)
    if made is not None:
        fields["event"] = f"custom mapping: {made[0]}"
    return fields
