"""The mapping steps as transforms: what passes, what ends, and in which order they may stand."""

import apache_beam as beam
import pytest
from apache_beam.testing import test_pipeline

from transforms.connection import Connection
from transforms.model import Message
from transforms.steps import DecodeMessages, SelectEvents
from transforms.vocabulary import Kind, Reason

GOOD = b'{"environment":"production","events":[{"event_type":"session_start","data":{"x":1}}]}'


def test_each_step_returns_what_passed_and_what_ended() -> None:
    split = [Message("m", GOOD), Message("n", b"no json")] | DecodeMessages()
    assert [event.event_type for event in split.passed] == ["session_start"]
    assert [(outcome.kind, outcome.reason) for outcome in split.outcomes] == [
        (Kind.REJECTED, Reason.UNREADABLE_MESSAGE)
    ]
    split = split.passed | SelectEvents(Connection(event_source_id="PIXEL"))
    assert split.passed == []
    assert [outcome.reason for outcome in split.outcomes] == [Reason.UNSUPPORTED_EVENT_TYPE]


def test_steps_in_the_wrong_order_are_refused_when_the_pipeline_is_built() -> None:
    pipeline = test_pipeline.TestPipeline("FnApiRunner")
    with pytest.raises((beam.typehints.TypeCheckError, TypeError)):
        _ = pipeline | beam.Create([Message("m", GOOD)]) | SelectEvents(Connection(event_source_id="PIXEL"))
