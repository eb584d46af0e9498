"""Messages → what would become of each of their events, with the request that would carry it."""

from collections.abc import Iterable, Iterator

import msgspec

from transforms.connection import Connection
from transforms.mapping.convert import converter
from transforms.model import Form, Message, Note, Outcome, Payload, Reason
from transforms.tiktok.request import envelope, path


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


def previews(
    messages: Iterable[Message], connection: Connection, since_ms: int | None = None, until_ms: int | None = None
) -> Iterator[tuple[str, Preview, Payload | Outcome]]:
    """Yields, for each event in its order, the message's reference, what is shown, and the result itself."""
    convert = converter(connection, since_ms, until_ms)
    envelopes = {form: envelope(connection, form) for form in Form}
    for number, message in enumerate(messages):
        for result in convert(message):
            if isinstance(result, Payload):
                body = msgspec.Raw(envelopes[result.form].join([result.body]))
                preview = Preview(number, result.index, "send", None, path(result.form), body, result.notes)
            else:
                preview = Preview(number, result.index, result.kind, result.reason, None, None, result.notes)
            yield message.ref, preview, result
