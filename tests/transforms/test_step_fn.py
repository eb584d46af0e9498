"""What lifts a step: a defect of ours costs one value, is told once, and shows no value."""

from collections.abc import Callable, Iterator
from typing import Any

import apache_beam as beam
import pytest
from apache_beam.testing import test_pipeline
from apache_beam.testing.util import assert_that

from transforms.model import Message, MParticleEvent, Outcome
from transforms.step_fn import StepFn, split
from transforms.vocabulary import Kind, Reason, Stage


class _FragileFn(StepFn[Message]):
    """A step with a defect that some values meet."""

    stage = Stage.DECODE
    output = MParticleEvent

    def make(self) -> Callable[[Message], Any]:
        def step(message: Message) -> Any:
            if b"canary" in message.data:
                raise KeyError(message.data)
            return Outcome(Kind.SKIPPED, Stage.DECODE, Reason.EMPTY_MESSAGE, message.ref)

        return step

    def process_batch(self, batch: list[Message]) -> Iterator[list[MParticleEvent]]:
        return self._outcomes_and_passed(batch)


def check_fragile(outcomes: list[Outcome]) -> None:
    ended = {outcome.ref: (outcome.kind, outcome.reason, outcome.detail) for outcome in outcomes}
    assert ended == {
        "a": (Kind.SKIPPED, Reason.EMPTY_MESSAGE, None),
        "b": (Kind.REJECTED, Reason.INTERNAL_ERROR, "KeyError"),
        "c": (Kind.SKIPPED, Reason.EMPTY_MESSAGE, None),
        "d": (Kind.REJECTED, Reason.INTERNAL_ERROR, "KeyError"),
    }


def test_a_defect_rejects_one_value_and_is_told_once_without_it(caplog: pytest.LogCaptureFixture) -> None:
    messages = [Message("a", b"1"), Message("b", b"canary"), Message("c", b"2"), Message("d", b"canary")]
    with test_pipeline.TestPipeline("FnApiRunner") as pipeline:
        parted = split(pipeline | beam.Create(messages), _FragileFn())
        assert_that(parted.outcomes, check_fragile)
    told = [record.getMessage() for record in caplog.records if record.name == "transforms.step_fn"]
    assert len(told) == 1
    assert told[0].startswith("A defect in DecodeMessages, please report it: KeyError at ")
    assert "canary" not in caplog.text
