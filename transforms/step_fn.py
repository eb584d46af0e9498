"""What all steps share: a pure function on one value in, a batched DoFn out that parts what passes from what ends.

Batched, because an element through a DoFn costs half a microsecond.
"""

import logging
import traceback
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

import apache_beam as beam
from apache_beam import typehints
from apache_beam.pvalue import TaggedOutput

from transforms import coders as coders  # registers the coder of all values
from transforms.model import IdentifiedEvent, Message, MParticleEvent, Outcome, Payload
from transforms.vocabulary import Kind, Reason, Stage

_log = logging.getLogger(__name__)

# Tag of the outcomes of a step that also has a main output.
OUTCOMES = "outcomes"

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


def split(values: beam.PCollection, fn: Any, *side_inputs: Any) -> Split:
    """Applies a step and parts what passed from what ended: the only place where tags are made.

    Args:
      values: what the step takes.
      fn: a `StepFn`, or a DoFn that yields tagged outcomes and has `output`, the type of what passes.
      side_inputs: further arguments of the step.
    """
    return typed(values | beam.ParDo(fn, *side_inputs).with_outputs(OUTCOMES, main="passed"), fn)


def typed(results: Any, fn: Any) -> Split:
    """Returns the two main outputs of a step, with their element types.

    Args:
      results: the step's outputs, `passed` the main one.
      fn: the step, as for `split`.
    """
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
        self._logged: set[tuple[str, str]] = set()

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
        return defect(self.stage, value, error, self._logged)


def defect(stage: Stage, value: Any, error: Exception, logged: set[tuple[str, str]]) -> Outcome:
    """Returns the outcome of a value that met a defect; logs where, never what, and each place once.

    Args:
      stage: the step that has the defect.
      value: a message or an event.
      error: what was raised.
      logged: the places that have been logged; grows.
    """
    where = "; ".join(f"{frame.filename}:{frame.lineno}" for frame in traceback.extract_tb(error.__traceback__))
    if (type(error).__name__, where) not in logged:
        logged.add((type(error).__name__, where))
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
