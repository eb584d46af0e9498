"""The way of an event from message to outcome, on one screen."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import apache_beam as beam
from apache_beam.transforms.window import GlobalWindows

from transforms.connection import Connection
from transforms.deduplicate import DropDuplicates, SkipDelivered
from transforms.dry_run import SimulateDelivery
from transforms.model import Message, Outcome
from transforms.steps import BuildPayloads, DecodeMessages, HashIdentities, SelectEvents
from transforms.streaming import Stream
from transforms.tiktok import EventsApi, TokenSource, Transport
from transforms.write_to_tiktok import WriteToTikTok


class Outcomes(NamedTuple):
    """What became of everything that entered, by the step that ended it; together: one outcome for each unit.

    Kept apart because bringing them together (a Flatten) costs more than all mapping steps on a local runner. Who wants
    one PCollection flattens: `tuple(outcomes.branches().values()) | beam.Flatten()`.
    """

    decode: beam.PCollection
    select: beam.PCollection
    hash: beam.PCollection
    build: beam.PCollection
    write: beam.PCollection
    skip: beam.PCollection | None = None
    duplicates: beam.PCollection | None = None

    def branches(self) -> dict[str, beam.PCollection]:
        """Returns the collections that there are, by the step's name."""
        return {name: outcomes for name, outcomes in self._asdict().items() if outcomes is not None}


@dataclass(frozen=True)
class Scope:
    """Which of the events that the connection wants are sent.

    Attributes:
      since_ms: events before this time are skipped, UTC epoch milliseconds.
      until_ms: events at or after this time are skipped.
      skip: leaves out what earlier runs have delivered.
      duplicates: leaves out what the input holds again.
    """

    since_ms: int | None = None
    until_ms: int | None = None
    skip: SkipDelivered | None = None
    duplicates: DropDuplicates | None = None


@dataclass(frozen=True)
class Sending:
    """What carries requests to TikTok, and whether any are made.

    Attributes:
      transport: makes what carries requests.
      tokens: makes the source of the token from its reference.
      dry_run: send nothing; what would be sent is skipped as `dry_run`.
    """

    transport: Callable[[Connection], Transport] = EventsApi
    tokens: Callable[[str], TokenSource] = TokenSource
    dry_run: bool = False


ALL_EVENTS = Scope()
OVER_HTTP = Sending()


def forward(
    messages: beam.PCollection[Message],
    connection: Connection,
    scope: Scope = ALL_EVENTS,
    sending: Sending = OVER_HTTP,
    stream: Stream | None = None,
    keep_original: bool = False,
) -> Outcomes:
    """Forwards mParticle messages to TikTok.

    Args:
      messages: mParticle batches in any of their forms.
      connection: what is sent, where to, and how.
      scope: which events are sent; the default is all that the connection wants.
      sending: what carries requests, or that nothing is sent.
      stream: how to deal with unbounded messages; None: they are bounded.
      keep_original: keep the message with outcomes that are `rejected`, for a quarantine.

    Returns:
      The outcomes of every step.
    """
    decoded = messages | "DecodeMessages" >> DecodeMessages(keep_original, connection, stream and stream.register_units)
    selected = decoded.passed | "SelectEvents" >> SelectEvents(connection, scope.since_ms, scope.until_ms)
    hashed = selected.passed | "HashIdentities" >> HashIdentities(connection)
    built = hashed.passed | "BuildPayloads" >> BuildPayloads(connection)
    payloads = built.passed
    skipped = dropped = None
    if scope.skip is not None:
        payloads, skipped = payloads | "SkipDelivered" >> scope.skip
    if scope.duplicates is not None:
        payloads, dropped = payloads | "DropDuplicates" >> scope.duplicates
    if sending.dry_run:
        write: beam.PTransform = SimulateDelivery(connection)
    else:
        write = WriteToTikTok(connection, sending.transport, stream, sending.tokens)
    written = payloads | "WriteToTikTok" >> write
    return Outcomes(decoded.outcomes, selected.outcomes, hashed.outcomes, built.outcomes, written, skipped, dropped)


@dataclass
class ForwardToTikTok(beam.PTransform):
    """mParticle messages → outcomes, for use in any pipeline.

        outcomes = messages | ForwardToTikTok(connection)

    Output: one `Outcome` for each event, and for each message that cannot be read or holds none; global window.

    Attributes:
      connection: what is sent, where to, and how.
      stream: how to deal with unbounded messages; None: they are bounded.
    """

    connection: Connection
    stream: Stream | None = None

    def expand(self, messages: beam.PCollection[Message]) -> beam.PCollection[Outcome]:
        """Returns the outcomes of all steps together."""
        if messages.windowing.windowfn != GlobalWindows():
            # Outcomes of the writing step are in the global window, and a Flatten needs all in the same.
            messages = messages | "GlobalWindow" >> beam.WindowInto(GlobalWindows())
        outcomes = forward(messages, self.connection, stream=self.stream)
        return tuple(outcomes.branches().values()) | "Outcomes" >> beam.Flatten()
