"""The whole pipeline on one screen: read, forward, record."""

import copy
from collections.abc import Callable

import apache_beam as beam

from pipeline.records import RecordOutcomes, Records
from pipeline.sources import ReadResult
from transforms.connection import Connection
from transforms.forward import forward
from transforms.latency import CountLatency
from transforms.skip import DropDuplicates, SkipDelivered
from transforms.stream import Stream
from transforms.tiktok.client import EventsApi
from transforms.tiktok.runtime import Transport
from transforms.tiktok.token import TokenSource


def build(
    pipeline: beam.Pipeline,
    read: beam.PTransform,
    connection: Connection,
    records: Records,
    since_ms: int | None = None,
    until_ms: int | None = None,
    transport: Callable[[Connection], Transport] = EventsApi,
    dry_run: bool = False,
    skip: SkipDelivered | None = None,
    duplicates: DropDuplicates | None = None,
    stream: Stream | None = None,
    record: beam.PTransform | None = None,
    tokens: Callable[[str], TokenSource] = TokenSource,
) -> None:
    """Adds all steps to a pipeline.

    Every step's outcomes are recorded where they arise: a Flatten before one recorder would be a stage boundary, at
    which the local runner holds everything in memory.

    Args:
      pipeline: an empty pipeline.
      read: the only step that knows where messages come from: `ReadMessages`, or what returns messages alone.
      connection: what is sent, where to, and how.
      records: ledger, dead letters, quarantine.
      since_ms: events before this time are skipped, UTC epoch milliseconds.
      until_ms: events at or after this time are skipped.
      transport: makes what carries requests.
      dry_run: send nothing.
      skip: leaves out what earlier runs have delivered.
      duplicates: leaves out what the input holds again.
      stream: how to deal with unbounded messages; None: they are bounded.
      record: the last step; None: `RecordOutcomes(records)`, and for a stream `CountLatency`.
      tokens: makes the source of the token from its reference.
    """
    source = pipeline | "ReadMessages" >> read
    files = isinstance(source, ReadResult)
    outcomes = forward(
        source.messages if files else source,
        connection,
        since_ms,
        until_ms,
        keep_original=records.quarantine is not None,
        transport=transport,
        dry_run=dry_run,
        skip=skip,
        duplicates=duplicates,
        stream=stream,
        tokens=tokens,
    )
    steps = {"read": source.outcomes} if files else {}
    for step, ended in {**steps, **outcomes.branches()}.items():
        _ = ended | f"Record{step.capitalize()}" >> copy.copy(record or RecordOutcomes(records))
    if stream is not None and record is None:
        _ = outcomes.write | "CountLatency" >> CountLatency()
