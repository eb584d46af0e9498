"""The whole pipeline on one screen: read, forward, record."""

import copy

import apache_beam as beam

from pipeline.records import RecordOutcomes, Records
from pipeline.sources import ReadResult
from transforms.connection import Connection
from transforms.forward import ALL_EVENTS, OVER_HTTP, Scope, Sending, forward
from transforms.latency import CountLatency
from transforms.streaming import Stream


def build(
    pipeline: beam.Pipeline,
    read: beam.PTransform,
    connection: Connection,
    records: Records,
    scope: Scope = ALL_EVENTS,
    sending: Sending = OVER_HTTP,
    stream: Stream | None = None,
    record: beam.PTransform | None = None,
) -> None:
    """Adds all steps to a pipeline.

    Every step's outcomes are recorded where they arise: a Flatten before one recorder would be a stage boundary, at
    which the local runner holds everything in memory.

    Args:
      pipeline: an empty pipeline.
      read: the only step that knows where messages come from: `ReadMessages`, or what returns messages alone.
      connection: what is sent, where to, and how.
      records: ledger, dead letters, quarantine.
      scope: which events are sent; the default is all that the connection wants.
      sending: what carries requests, or that nothing is sent.
      stream: how to deal with unbounded messages; None: they are bounded.
      record: the last step; None: `RecordOutcomes(records)`, and for a stream `CountLatency`.
    """
    source = pipeline | "ReadMessages" >> read
    files = isinstance(source, ReadResult)
    messages = source.messages if files else source
    keep_original = records.quarantine is not None
    outcomes = forward(messages, connection, scope, sending, stream, keep_original)
    steps = {"read": source.outcomes} if files else {}
    for step, ended in {**steps, **outcomes.branches()}.items():
        _ = ended | f"Record{step.capitalize()}" >> copy.copy(record or RecordOutcomes(records))
    if stream is not None and record is None:
        _ = outcomes.write | "CountLatency" >> CountLatency()
