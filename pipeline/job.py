"""Runs one job: everything that can be refused is refused before it starts, and its counts are told at its end."""

import functools
import logging
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib import metadata

import apache_beam as beam
import msgspec
from apache_beam.io.filesystems import FileSystems
from apache_beam.metrics.metric import MetricResults
from apache_beam.options.pipeline_options import PipelineOptions
from rich.console import Console

from pipeline.again import duplicates_step, skip_step
from pipeline.dryrun import estimate, read_samples
from pipeline.flow import build
from pipeline.journal import keep_journal
from pipeline.options import RunOptions, beam_runner
from pipeline.partitions import Partitions
from pipeline.prices import Prices, read_prices
from pipeline.problems import UsageError
from pipeline.progress import PROGRESS, CountedTransport, ProgressDisplay
from pipeline.records import Records
from pipeline.row_groups import TimeWindow
from pipeline.rowfiles import WriteError
from pipeline.sources import FileInfo, Layout, ReadMessages, expand_patterns
from pipeline.summary import Summary, exit_code, read_counters, render, summarize, write_summary
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
    runner, beam_options = beam_settings(options)
    try:
        prices = read_prices(options.prices) if options.dry_run else None
        read = _read(options)
        files = _expected(read)
        records = checked_records(options)
        if not options.dry_run:
            check_token(options, runner)
    except (ValueError, WriteError, TokenReferenceError) as error:
        raise UsageError(str(error)) from error

    def add_steps(pipeline: beam.Pipeline) -> None:
        build(
            pipeline,
            read,
            connection,
            records,
            options.since_ms,
            options.until_ms,
            functools.partial(CountedTransport, transport),
            options.dry_run,
            skip_step(options, read),
            duplicates_step(options, runner, beam_options),
        )

    return carry_out(options, beam_options, add_steps, "run", files, prices=prices)


def carry_out(
    options: RunOptions,
    beam_options: PipelineOptions,
    add_steps: Callable[[beam.Pipeline], None],
    command: str,
    files: Sequence[FileInfo],
    task: str | None = None,
    prices: Prices | None = None,
) -> int:
    """Runs a pipeline to its end, tells its counts, and returns the exit code.

    Args:
      options: of the run.
      beam_options: Beam's.
      add_steps: fills the pipeline; called when the run has its lock, so that it sees what runs before have recorded.
      command: `run` or `replay`, for the manifest.
      files: the input, for the manifest.
      task: what is locked, if it is no window of events.
      prices: of a dry run's estimate.

    Raises:
      UsageError: another run is at work on the same.
    """
    with keep_journal(options, command, files, beam_options, task) as finish:
        began = time.monotonic()
        pipeline = beam.Pipeline(options=beam_options)
        add_steps(pipeline)
        with _progress(options, beam_runner(options.runner), files if command == "run" else ()):
            result = pipeline.run()
            result.wait_until_finish()
        summary = _summary(options, result.metrics(), time.monotonic() - began, prices)
        finish(summary)
    return _report(summary, options.summary)


def beam_settings(options: RunOptions) -> tuple[str, PipelineOptions]:
    """Returns Beam's name of the runner and Beam's options, which its file systems know from now on too."""
    runner = beam_runner(options.runner)
    beam_options = PipelineOptions(["--no_save_main_session", *options.beam_args, f"--runner={runner}"])
    FileSystems.set_options(beam_options)
    return runner, beam_options


def check_token(options: RunOptions, runner: str) -> None:
    """Resolves the token where this machine is the one that sends.

    Raises:
      TokenReferenceError: it cannot be read.
    """
    if runner == _LOCAL:
        TokenSource(options.connection.access_token or "").get()


def checked_records(options: RunOptions) -> Records:
    """Returns what is recorded; rows carry the version of this package as the version of the mapping.

    Raises:
      ValueError: folders that cannot be the same are.
      WriteError: one cannot be written to.
    """
    if options.dry_run:
        # A ledger is a record of what was sent.
        return Records(run_id=options.run_id, by_event=True)
    records = Records(
        ledger=options.ledger,
        dead_letters=options.dead_letters,
        quarantine=options.quarantine,
        flush_secs=options.ledger_flush_secs,
        run_id=options.run_id,
        connection_name=options.connection.event_source_id,
        event_source_id=options.connection.event_source_id,
        mapping_version=metadata.version("tiktok-events-pipeline"),
    )
    records.check()
    return records


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


def _expected(read: ReadMessages) -> list[FileInfo]:
    """Returns the files that will be read; tells how many are left out.

    Raises:
      NoInputError: a pattern matches no file.
    """
    files = expand_patterns(read.patterns)
    if read.partitions is not None:
        files, pruned = read.partitions.divide(files)
        tell = _log.info if files else _log.warning
        tell("--date_partition: %s of %s files are in folders of the window", len(files), len(files) + len(pruned))
    return files


def _summary(options: RunOptions, metrics: MetricResults, seconds: float, prices: Prices | None) -> Summary:
    counters = read_counters(metrics)
    summary = summarize(counters, seconds, options.run_id)
    if prices is None:
        return summary
    dry_run = estimate(counters, read_samples(metrics), options.connection, prices)
    return msgspec.structs.replace(summary, dry_run=dry_run)


def _report(summary: Summary, path: str | None) -> int:
    """Prints a summary, writes it to a file if one is named, and returns the exit code."""
    Console(file=sys.stdout).print(render(summary))
    if path:
        write_summary(summary, path)
    return exit_code(summary) if summary.adds_up else _FAILED


@contextmanager
def _progress(options: RunOptions, runner: str, files: Sequence[FileInfo]) -> Iterator[None]:
    """Shows progress where the pipeline runs in this process; `files` are those whose reading is counted."""
    elsewhere = runner != _LOCAL or any("multi_processing" in argument for argument in options.beam_args)
    if elsewhere or options.progress is False:
        yield
        return
    PROGRESS.reset()
    PROGRESS.expect(len(files), sum(file.size for file in files))
    with ProgressDisplay():
        yield
