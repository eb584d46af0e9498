"""The whole pipeline on one screen: read, forward, record."""

from collections.abc import Callable

import apache_beam as beam

from pipeline.records import RecordOutcomes, Records
from pipeline.sources import ReadMessages
from transforms.connection import Connection
from transforms.forward import forward
from transforms.skip import DropDuplicates, SkipDelivered
from transforms.tiktok.client import EventsApi
from transforms.tiktok.runtime import Transport


def build(
    pipeline: beam.Pipeline,
    read: ReadMessages,
    connection: Connection,
    records: Records,
    since_ms: int | None = None,
    until_ms: int | None = None,
    transport: Callable[[Connection], Transport] = EventsApi,
    dry_run: bool = False,
    skip: SkipDelivered | None = None,
    duplicates: DropDuplicates | None = None,
) -> None:
    """Adds all steps to a pipeline.

    Every step's outcomes are recorded where they arise: a Flatten before one recorder would be a stage boundary, at
    which the local runner holds everything in memory.

    Args:
      pipeline: an empty pipeline.
      read: the only step that knows where messages come from.
      connection: what is sent, where to, and how.
      records: ledger, dead letters, quarantine.
      since_ms: events before this time are skipped, UTC epoch milliseconds.
      until_ms: events at or after this time are skipped.
      transport: makes what carries requests.
      dry_run: send nothing.
      skip: leaves out what earlier runs have delivered.
      duplicates: leaves out what the input holds again.
    """
    source = pipeline | "ReadMessages" >> read
    outcomes = forward(
        source.messages,
        connection,
        since_ms,
        until_ms,
        keep_original=records.quarantine is not None,
        transport=transport,
        dry_run=dry_run,
        skip=skip,
        duplicates=duplicates,
    )
    for step, ended in {"read": source.outcomes, **outcomes.branches()}.items():
        _ = ended | f"Record{step.capitalize()}" >> RecordOutcomes(records)
