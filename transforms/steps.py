"""The four mapping steps as PTransforms: thin, each a pure function of `transforms.mapping` and what lifts it.

Each returns a `Split`: what goes on, and the outcomes of what ended here. Every event that comes in is in
exactly one of the two.
"""

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import apache_beam as beam
from apache_beam.metrics import Metrics
from apache_beam.pvalue import TaggedOutput

from transforms.connection import Connection
from transforms.counters import MESSAGES, NAMESPACE, UNITS
from transforms.mapping import builder, decode_message, hasher, selector
from transforms.mapping.custom import compile_mapper, compile_mappings
from transforms.model import IdentifiedEvent, Message, MParticleEvent, Outcome, Payload, Units
from transforms.step_fn import OUTCOMES, SplitHint, StepFn, split, typed
from transforms.vocabulary import Stage

# Tag of how many units each message has.
UNITS_OF_MESSAGES = "units_of_messages"


@dataclass
class DecodeMessages(beam.PTransform):
    """Messages → events. One `MParticleEvent` or `Outcome` per event, one `Outcome` per message without events.

    An event that custom mappings match becomes one `MParticleEvent` for each TikTok event that they name.

    Attributes:
      keep_original: keep the message with what may be rejected, for a quarantine.
      connection: its custom mappings; None: there are none.
      register_units: takes `Units`, how many events and outcomes each message has become; for acknowledging messages.
    """

    keep_original: bool = False
    connection: Connection | None = None
    register_units: beam.PTransform | None = None

    def __post_init__(self) -> None:
        if self.connection is not None:
            compile_mappings(self.connection)  # raises here, not in a worker

    def expand(self, messages: beam.PCollection[Message]) -> SplitHint:
        """Returns the events, in the window and with the timestamp of their message."""
        fn = _DecodeFn(self.keep_original, self.connection, self.register_units is not None)
        if self.register_units is None:
            return split(messages, fn)
        results = messages | beam.ParDo(fn).with_outputs(OUTCOMES, UNITS_OF_MESSAGES, main="passed")
        results[UNITS_OF_MESSAGES].element_type = Units
        _ = results[UNITS_OF_MESSAGES] | "RegisterUnits" >> self.register_units
        return typed(results, fn)


@dataclass
class SelectEvents(beam.PTransform):
    """Events → those that are ours to send.

    Attributes:
      connection: environments, input, consent policy and supported actions.
      since_ms, until_ms: half-open window of event times, UTC epoch milliseconds; None: open.
    """

    connection: Connection
    since_ms: int | None = None
    until_ms: int | None = None

    def expand(self, events: beam.PCollection[MParticleEvent]) -> SplitHint:
        """Returns the selected events, in the window and with the timestamp of their message."""
        return split(events, _SelectFn(self.connection, self.since_ms, self.until_ms))


@dataclass
class HashIdentities(beam.PTransform):
    """Events → events whose identities are hashed. Nothing raw about a person leaves this step.

    Attributes:
      connection: identity types, phone region, case of external ids.
    """

    connection: Connection

    def expand(self, events: beam.PCollection[MParticleEvent]) -> SplitHint:
        """Returns the events, in the window and with the timestamp of their message."""
        return split(events, _HashFn(self.connection))


@dataclass
class BuildPayloads(beam.PTransform):
    """Events → payloads, encoded once, as TikTok will get them.

    Attributes:
      connection: names, currency, value and click id rules.
    """

    connection: Connection

    def expand(self, events: beam.PCollection[IdentifiedEvent]) -> SplitHint:
        """Returns the payloads, in the window and with the timestamp of their message."""
        return split(events, _BuildFn(self.connection))


class _DecodeFn(StepFn[Message]):
    stage = Stage.DECODE
    output = MParticleEvent

    def __init__(self, keep_original: bool, connection: Connection | None, tells_units: bool) -> None:
        self._keep_original = keep_original
        self._connection = connection
        self._tells_units = tells_units
        self._messages = Metrics.counter(NAMESPACE, MESSAGES)
        self._units = Metrics.counter(NAMESPACE, UNITS)

    def make(self) -> Callable[[Message], list[MParticleEvent | Outcome]]:
        mapper = None if self._connection is None else compile_mapper(self._connection)
        return functools.partial(decode_message, keep_original=self._keep_original, mapper=mapper)

    def process_batch(self, batch: list[Message]) -> Iterator[list[MParticleEvent]]:
        passed: list[MParticleEvent] = []
        ended: list[Outcome] = []
        units: list[Units] | None = [] if self._tells_units else None
        step = self._step
        for message in batch:
            try:
                results = step(message)
            except Exception as error:  # noqa: BLE001  # as in `StepFn`
                results = [self._defect(message, error)]
            if units is not None:
                units.append(Units(message.ref, len(results)))
            for result in results:
                if type(result) is Outcome:
                    ended.append(result)
                else:
                    passed.append(result)
        self._messages.inc(len(batch))
        self._units.inc(len(passed) + len(ended))
        if units:
            yield TaggedOutput(UNITS_OF_MESSAGES, units)
        if ended:
            yield TaggedOutput(OUTCOMES, ended)
        if passed:
            yield passed


class _SelectFn(StepFn[MParticleEvent]):
    stage = Stage.SELECT
    output = MParticleEvent

    def __init__(self, connection: Connection, since_ms: int | None, until_ms: int | None) -> None:
        self._settings = (connection, since_ms, until_ms)

    def make(self) -> Callable[[MParticleEvent], Outcome | None]:
        return selector(*self._settings)

    def process_batch(self, batch: list[MParticleEvent]) -> Iterator[list[MParticleEvent]]:
        return self._outcomes_and_passed(batch)


class _HashFn(StepFn[MParticleEvent]):
    stage = Stage.HASH
    output = IdentifiedEvent

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def make(self) -> Callable[[MParticleEvent], IdentifiedEvent]:
        return hasher(self._connection)

    def process_batch(self, batch: list[MParticleEvent]) -> Iterator[list[IdentifiedEvent]]:
        return self._outcomes_and_passed(batch)


class _BuildFn(StepFn[IdentifiedEvent]):
    stage = Stage.BUILD
    output = Payload

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def make(self) -> Callable[[IdentifiedEvent], Payload | Outcome]:
        return builder(self._connection)

    def process_batch(self, batch: list[IdentifiedEvent]) -> Iterator[list[Payload]]:
        return self._outcomes_and_passed(batch)
