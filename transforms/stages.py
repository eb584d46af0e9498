"""The four mapping steps as PTransforms: thin, and batched, because an element through a DoFn costs half a microsecond.

Each returns a `Split`: what goes on, and the outcomes of what ended here. Every event that comes in is in
exactly one of the two.
"""

import functools
import logging
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

import apache_beam as beam
from apache_beam import typehints
from apache_beam.metrics import Metrics
from apache_beam.pvalue import TaggedOutput

from transforms import coders as coders  # registers the coder of all values
from transforms.connection import Connection
from transforms.counters import MESSAGES, NAMESPACE, UNITS
from transforms.mapping import custom, decode, identity, payload, select
from transforms.model import IdentifiedEvent, Message, MParticleEvent, Outcome, Payload, Units
from transforms.vocabulary import Kind, Reason, Stage

_log = logging.getLogger(__name__)

# Tag of the outcomes of a step that also has a main output.
OUTCOMES = "outcomes"
# Tag of how many units each message has.
UNITS_OF_MESSAGES = "units_of_messages"

In = TypeVar("In", Message, MParticleEvent, IdentifiedEvent, Payload)


class Split(NamedTuple):
    """What a mapping step returns.

    Attributes:
      passed: what goes on to the next step.
      outcomes: `Outcome`s of what ended in this step.
    """

    passed: beam.PCollection
    outcomes: beam.PCollection


if TYPE_CHECKING:
    SplitHint = Split
else:
    # Beam reads the hint of `expand`, knows PCollections only, and logs a warning for a tuple of them.
    SplitHint = Any


@dataclass
class DecodeMessages(beam.PTransform):
    """Messages → events. One `MParticleEvent` or `Outcome` per event, one `Outcome` per message without events.

    An event that custom mappings match becomes one `MParticleEvent` for each TikTok event that they name.

    Attributes:
      keep_original: keep the message with what may be rejected, for a quarantine.
      connection: its custom mappings; None: there are none.
      tell_units: takes `Units`, how many events and outcomes each message has become; for acknowledging messages.
    """

    keep_original: bool = False
    connection: Connection | None = None
    tell_units: beam.PTransform | None = None

    def __post_init__(self) -> None:
        if self.connection is not None:
            custom.compile_mappings(self.connection)  # raises here, not in a worker

    def expand(self, messages: beam.PCollection[Message]) -> SplitHint:
        """Returns the events, in the window and with the timestamp of their message."""
        fn = _DecodeFn(self.keep_original, self.connection, self.tell_units is not None)
        if self.tell_units is None:
            return split(messages, fn)
        results = messages | beam.ParDo(fn).with_outputs(OUTCOMES, UNITS_OF_MESSAGES, main="passed")
        results[UNITS_OF_MESSAGES].element_type = Units
        _ = results[UNITS_OF_MESSAGES] | "TellUnits" >> self.tell_units
        return _typed(results, fn)


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


def split(values: beam.PCollection, fn: Any, *side_inputs: Any) -> Split:
    """Applies a step and parts what passed from what ended: the only place where tags are made.

    Args:
      values: what the step takes.
      fn: a `StepFn`, or a DoFn that yields tagged outcomes and has `output`, the type of what passes.
      side_inputs: further arguments of the step.
    """
    return _typed(values | beam.ParDo(fn, *side_inputs).with_outputs(OUTCOMES, main="passed"), fn)


def _typed(results: Any, fn: Any) -> Split:
    results.passed.element_type = fn.output
    results[OUTCOMES].element_type = Outcome
    return Split(results.passed, results[OUTCOMES])


class StepFn(beam.DoFn, Generic[In]):
    """Lifts a pure step on one value to batches. A defect of the step rejects the value, not its neighbours."""

    stage: Stage
    output: type

    def infer_output_type(self, input_type: Any) -> type:
        """Returns the type of what passes."""
        return self.output

    def get_input_batch_type(self, input_element_type: Any) -> Any:
        """Returns a list of whatever the input's element type is: Beam does not always know it."""
        return typehints.List[input_element_type]

    def setup(self) -> None:
        """Makes the step."""
        self._step = self.make()
        self._told: set[tuple[str, str]] = set()

    def make(self) -> Callable[[Any], Any]:
        """Returns the step: a value in; a value, an outcome or a list of both out; None lets the value pass."""
        raise NotImplementedError

    def process(self, value: In) -> Iterator[Any]:
        """Takes single values too: a producer's `finish_bundle` can't hand them to `process_batch` without loss."""
        return self.one(self.process_batch([value]))

    @staticmethod
    def one(results: Iterator[Any]) -> Iterator[Any]:
        """Yields one by one what `process_batch` has yielded as lists."""
        for result in results:
            if isinstance(result, TaggedOutput):
                yield from (TaggedOutput(result.tag, one) for one in result.value)
            else:
                yield from result

    def process_batch(self, batch: list[In]) -> Iterator[Any]:
        """Takes a batch of values; yields the outcomes of those that end here, and those that pass."""
        raise NotImplementedError

    def _outcomes_and_passed(self, batch: list[In]) -> Iterator[Any]:
        passed: list[Any] = []
        ended: list[Outcome] = []
        step = self._step
        for value in batch:
            try:
                result = step(value)
            except Exception as error:  # noqa: BLE001  # a defect of ours must not stop a stream or lose neighbours
                result = self._defect(value, error)
            if result is None:
                passed.append(value)
            elif type(result) is Outcome:
                ended.append(result)
            else:
                passed.append(result)
        if ended:
            yield TaggedOutput(OUTCOMES, ended)
        if passed:
            yield passed

    def _defect(self, value: In, error: Exception) -> Outcome:
        return defect(self.stage, value, error, self._told)


def defect(stage: Stage, value: Any, error: Exception, told: set[tuple[str, str]]) -> Outcome:
    """Returns the outcome of a value that met a defect; logs where, never what, and each place once.

    Args:
      stage: the step that has the defect.
      value: a message or an event.
      error: what was raised.
      told: the places that have been logged; grows.
    """
    where = "; ".join(f"{frame.filename}:{frame.lineno}" for frame in traceback.extract_tb(error.__traceback__))
    if (type(error).__name__, where) not in told:
        told.add((type(error).__name__, where))
        _log.error("A defect in %s, please report it: %s at %s", stage, type(error).__name__, where)
    return Outcome(
        Kind.REJECTED,
        stage,
        Reason.INTERNAL_ERROR,
        value.ref,
        getattr(value, "index", None),
        type(error).__name__,
        original=getattr(value, "original", None),
    )


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
        mapper = None if self._connection is None else custom.mapper(self._connection)
        return functools.partial(decode.decode, keep_original=self._keep_original, mapper=mapper)

    def process_batch(self, batch: list[Message]) -> Iterator[list[MParticleEvent]]:
        passed: list[MParticleEvent] = []
        ended: list[Outcome] = []
        units: list[Units] | None = [] if self._tells_units else None
        step = self._step
        for message in batch:
            try:
                results = step(message)
            except Exception as error:  # noqa: BLE001  # as above
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
        return select.selector(*self._settings)

    def process_batch(self, batch: list[MParticleEvent]) -> Iterator[list[MParticleEvent]]:
        return self._outcomes_and_passed(batch)


class _HashFn(StepFn[MParticleEvent]):
    stage = Stage.HASH
    output = IdentifiedEvent

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def make(self) -> Callable[[MParticleEvent], IdentifiedEvent]:
        return identity.hasher(self._connection)

    def process_batch(self, batch: list[MParticleEvent]) -> Iterator[list[IdentifiedEvent]]:
        return self._outcomes_and_passed(batch)


class _BuildFn(StepFn[IdentifiedEvent]):
    stage = Stage.BUILD
    output = Payload

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def make(self) -> Callable[[IdentifiedEvent], Payload | Outcome]:
        return payload.builder(self._connection)

    def process_batch(self, batch: list[IdentifiedEvent]) -> Iterator[list[Payload]]:
        return self._outcomes_and_passed(batch)
