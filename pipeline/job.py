"""Runs one job: everything that can be refused is refused before it starts, and its counts are told at its end."""

import functools
import logging
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import metadata

import apache_beam as beam
import msgspec
from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import PipelineOptions
from rich.console import Console

from pipeline.dryrun import estimate, read_samples
from pipeline.flow import build
from pipeline.options import RunOptions, beam_runner
from pipeline.partitions import Partitions
from pipeline.prices import read_prices
from pipeline.problems import UsageError
from pipeline.progress import PROGRESS, CountedTransport, ProgressDisplay
from pipeline.records import Records
from pipeline.row_groups import TimeWindow
from pipeline.rowfiles import WriteError
from pipeline.sources import Layout, ReadMessages, expand_patterns
from pipeline.summary import exit_code, read_counters, render, summarize, write_summary
from transforms.connection import Connection
from transforms.tiktok.client import EventsApi
from transforms.tiktok.runtime import Transport
from transforms.tiktok.token import TokenReferenceError, TokenSource

_log = logging.getLogger(__name__)

_LOCAL = "FnApiRunner"
_FAILED = 1


def run(options: RunOptions, transport: Callable[[Connection], Transport] = EventsApi) -> int:
    """Runs a job to its end and returns the exit code: 0 all settled, 1 failure, 3 something undelivered or unknown.

    Args:
      options: what to do.
      transport: makes what carries requests.

    Raises:
      UsageError: a folder, a pattern or the token reference cannot be used; nothing has been sent.
    """
    connection = options.connection
    runner = beam_runner(options.runner)
    beam_options = PipelineOptions(["--no_save_main_session", *options.beam_args, f"--runner={runner}"])
    FileSystems.set_options(beam_options)
    try:
        prices = read_prices(options.prices) if options.dry_run else None
        read = _read(options)
        expected = _expected(read)
        records = _records(options)
        records.check()
        if runner == _LOCAL and not options.dry_run:
            TokenSource(connection.access_token or "").get()
    except (ValueError, WriteError, TokenReferenceError) as error:
        raise UsageError(str(error)) from error
    began = time.monotonic()
    pipeline = beam.Pipeline(options=beam_options)
    counted = functools.partial(CountedTransport, transport)
    build(pipeline, read, connection, records, options.since_ms, options.until_ms, counted, options.dry_run)
    with _progress(options, runner, expected):
        result = pipeline.run()
        result.wait_until_finish()
    counters = read_counters(result.metrics())
    summary = summarize(counters, time.monotonic() - began, options.run_id)
    if prices is not None:
        dry_run = estimate(counters, read_samples(result.metrics()), connection, prices)
        summary = msgspec.structs.replace(summary, dry_run=dry_run)
    if options.summary:
        write_summary(summary, options.summary)
    Console(file=sys.stdout).print(render(summary))
    return exit_code(summary) if summary.adds_up else _FAILED


def _read(options: RunOptions) -> ReadMessages:
    """Returns the step that reads."""
    partitions = None
    if options.partition_slack_ms is not None:
        partitions = Partitions(options.since_ms, options.until_ms, options.partition_slack_ms)
    return ReadMessages(
        list(options.inputs),
        Layout(options.layout),
        options.column,
        options.strict_files,
        TimeWindow(options.since_ms, options.until_ms),
        partitions,
    )


def _expected(read: ReadMessages) -> tuple[int, int]:
    """Returns how many files will be read and their bytes; tells what is left out.

    Raises:
      NoInputError: a pattern matches no file.
    """
    files = expand_patterns(read.patterns)
    if read.partitions is not None:
        files, pruned = read.partitions.divide(files)
        tell = _log.info if files else _log.warning
        tell("--date_partition: %s of %s files are in folders of the window", len(files), len(files) + len(pruned))
    return len(files), sum(file.size for file in files)


def _records(options: RunOptions) -> Records:
    """Returns what is recorded; rows carry the version of this package as the version of the mapping."""
    if options.dry_run:
        # A ledger is a record of what was sent.
        return Records(run_id=options.run_id, by_event=True)
    return Records(
        ledger=options.ledger,
        dead_letters=options.dead_letters,
        quarantine=options.quarantine,
        flush_secs=options.ledger_flush_secs,
        run_id=options.run_id,
        connection_name=options.connection.event_source_id,
        event_source_id=options.connection.event_source_id,
        mapping_version=metadata.version("tiktok-events-pipeline"),
    )


@contextmanager
def _progress(options: RunOptions, runner: str, expected: tuple[int, int]) -> Iterator[None]:
    """Shows progress where the pipeline runs in this process."""
    elsewhere = runner != _LOCAL or any("multi_processing" in argument for argument in options.beam_args)
    if elsewhere or options.progress is False:
        yield
        return
    PROGRESS.reset()
    PROGRESS.expect(*expected)
    with ProgressDisplay():
        yield
