"""Runs one job: everything that can be refused is refused before it starts, and its counts are printed at its end."""

import functools
import logging
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING

import apache_beam as beam
import msgspec
from apache_beam.metrics.metric import MetricResults
from apache_beam.options.pipeline_options import PipelineOptions
from rich.console import Console

from pipeline.dataflow import translate_submission_errors, translate_watch_errors
from pipeline.errors import EXIT_FAILURE, CommandError, UsageError
from pipeline.jobs.deduplication import duplicates_step, skip_step
from pipeline.jobs.describe import describe_job, is_described, is_graph_check
from pipeline.jobs.graph import build
from pipeline.jobs.preflight import beam_settings, check_buckets, check_outputs, check_token, checked_records
from pipeline.ledger import Summary, described_journal, keep_journal
from pipeline.options import LOCAL_RUNNER, RunOptions, beam_runner
from pipeline.reporting import (
    Prices,
    ProgressDisplay,
    estimate,
    exit_code,
    read_counters,
    read_prices,
    read_samples,
    render_summary,
    summarize,
    write_summary,
)
from pipeline.runtime import PROGRESS, CountedTransport, files_until_stopped, is_stopping
from pipeline.sources import Layout, Partitions, ReadMessages, TimeWindow
from pipeline.storage import FileInfo, expand_patterns
from transforms.connection import Connection
from transforms.forward import Scope, Sending
from transforms.tiktok import EventsApi, TokenSource, Transport

if TYPE_CHECKING:
    from pipeline.jobs.stream import StreamPlan

_log = logging.getLogger(__name__)


def run_job(
    options: RunOptions,
    transport: Callable[[Connection], Transport] = EventsApi,
    tokens: Callable[[str], TokenSource] = TokenSource,
) -> int:
    """Runs a job to its end and returns the exit code: 0 all settled, 1 failure, 3 something undelivered or unknown.

    A job that is only described (`pipeline.jobs.describe`) ends with 0 once it is.

    Args:
      options: what to do.
      transport: makes what carries requests.
      tokens: makes the source of the token from its reference.

    Raises:
      UsageError: a folder, a pattern, a subscription or the token reference cannot be used; nothing has been sent.
    """
    if options.subscription is not None or options.topic is not None:
        return _run_stream(options, transport, tokens)
    runner, beam_options = beam_settings(options)
    try:
        prices = read_prices(options.prices) if options.dry_run else None
        read = _read(options)
        files = [] if is_graph_check(beam_options) else _expected(read)
        check_outputs(options)
        if not is_graph_check(beam_options):
            check_buckets(options)
        records = checked_records(options, beam_options)
        if not options.dry_run:
            check_token(options, beam_options, tokens)
    except (ValueError, RuntimeError) as error:
        raise UsageError(str(error)) from error

    def add_steps(pipeline: beam.Pipeline) -> None:
        scope = Scope(
            options.since_ms,
            options.until_ms,
            skip_step(options, read),
            duplicates_step(options, runner, beam_options),
        )
        sending = Sending(functools.partial(CountedTransport, transport), tokens, options.dry_run)
        build(pipeline, read, options.connection, records, scope, sending)

    if is_graph_check(beam_options):
        return describe_job(beam_options, add_steps)
    if is_described(beam_options):
        with described_journal(options, "run", files):
            return describe_job(beam_options, add_steps)
    with keep_journal(options, "run", files, beam_options) as finish:
        summary = run_pipeline(options, beam_options, add_steps, files, prices, files_until_stopped())
        finish(summary, is_stopping())
    remedy = "run it again for the rest, with --skip_delivered if the run keeps a ledger"
    return report_run(summary, options.summary, "the input", remedy)


def _run_stream(
    options: RunOptions, transport: Callable[[Connection], Transport], tokens: Callable[[str], TokenSource]
) -> int:
    """Runs a stream until it is to end. It keeps no journal: what it has not settled, Pub/Sub delivers again."""
    # Here, because files need no client of Pub/Sub.
    from pipeline.jobs.stream import running

    planned, beam_options, add_steps = plan_stream(options, transport, tokens)
    if is_described(beam_options):
        return describe_job(beam_options, add_steps)
    summary = run_pipeline(options, beam_options, add_steps, beside=running(planned))
    return report(summary, options.summary)


def plan_stream(
    options: RunOptions,
    transport: Callable[[Connection], Transport] = EventsApi,
    tokens: Callable[[str], TokenSource] = TokenSource,
) -> "tuple[StreamPlan, PipelineOptions, Callable[[beam.Pipeline], None]]":
    """Returns how to run a stream, Beam's options, and what fills the pipeline.

    Raises:
      UsageError: a folder, a subscription or the token reference cannot be used.
    """
    from pipeline.jobs.stream import plan

    runner, beam_options = beam_settings(options, "--streaming")
    try:
        check_outputs(options)
        if not is_graph_check(beam_options):
            check_buckets(options)
        records = checked_records(options, beam_options)
        check_token(options, beam_options, tokens)
        planned = plan(options, runner, records)
    except (ValueError, RuntimeError) as error:
        raise UsageError(str(error)) from error

    def add_steps(pipeline: beam.Pipeline) -> None:
        build(
            pipeline,
            planned.read,
            options.connection,
            records,
            Scope(options.since_ms, options.until_ms),
            Sending(functools.partial(CountedTransport, transport), tokens),
            planned.stream,
            planned.record,
        )

    return planned, beam_options, add_steps


def run_pipeline(
    options: RunOptions,
    beam_options: PipelineOptions,
    add_steps: Callable[[beam.Pipeline], None],
    files: Sequence[FileInfo] = (),
    prices: Prices | None = None,
    beside: AbstractContextManager[None] | None = None,
) -> Summary:
    """Runs a pipeline to its end and returns its counts.

    Args:
      options: of the run.
      beam_options: Beam's.
      add_steps: fills the pipeline; called now, so that it sees what runs before have recorded.
      files: those whose reading is counted, for the progress.
      prices: of a dry run's estimate.
      beside: entered while the pipeline runs.

    Raises:
      CommandError: Dataflow, where the pipeline was to run, refuses or cannot be reached.
    """
    began = time.monotonic()
    pipeline = beam.Pipeline(options=beam_options)
    add_steps(pipeline)
    with _progress(options, files), beside or nullcontext():
        with translate_submission_errors(beam_options, "start"):
            result = pipeline.run()
        with translate_watch_errors(beam_options):
            result.wait_until_finish()
    with translate_submission_errors(beam_options, "read the counts of"):
        return _summary(options, result.metrics(), time.monotonic() - began, prices)


def report(summary: Summary, path: str | None) -> int:
    """Prints a summary, writes it to a file if one is named, and returns the exit code."""
    Console(file=sys.stdout).print(render_summary(summary))
    if path:
        write_summary(summary, path)
    return exit_code(summary) if summary.adds_up else EXIT_FAILURE


def report_run(summary: Summary, path: str | None, what: str, remedy: str) -> int:
    """Reports as `report` does.

    Args:
      summary: of what was read.
      path: as for `report`.
      what: was read.
      remedy: what to do if a signal ended it early.

    Raises:
      CommandError: a signal ended it early.
    """
    code = report(summary, path)
    if is_stopping():
        raise CommandError(f"stopped before the end of {what}. What was read is settled; {remedy}.")
    return code


def _read(options: RunOptions) -> ReadMessages:
    """Returns the step that reads."""
    partitions = None
    if options.partition_slack_ms is not None:
        partitions = Partitions(options.since_ms, options.until_ms, options.partition_slack_ms)
    return ReadMessages(
        patterns=list(options.inputs),
        layout=Layout(options.layout),
        column=options.column,
        strict_files=options.strict_files,
        window=TimeWindow(options.since_ms, options.until_ms),
        partitions=partitions,
    )


def _expected(read: ReadMessages) -> list[FileInfo]:
    """Returns the files that will be read; logs how many are left out.

    Raises:
      NoInputError: a pattern matches no file.
    """
    files = expand_patterns(read.patterns)
    if read.partitions is not None:
        files, pruned = read.partitions.divide(files)
        log = _log.info if files else _log.warning
        log("--date_partition: %s of %s files are in folders of the window", len(files), len(files) + len(pruned))
    return files


def _summary(options: RunOptions, metrics: MetricResults, seconds: float, prices: Prices | None) -> Summary:
    counters = read_counters(metrics)
    summary = summarize(counters, seconds, options.run_id)
    if prices is None:
        return summary
    dry_run = estimate(counters, read_samples(metrics), options.connection, prices)
    return msgspec.structs.replace(summary, dry_run=dry_run)


@contextmanager
def _progress(options: RunOptions, files: Sequence[FileInfo]) -> Iterator[None]:
    """Shows progress where the pipeline runs in this process."""
    elsewhere = beam_runner(options.runner) != LOCAL_RUNNER or any(
        "multi_processing" in word for word in options.beam_args
    )
    if elsewhere or options.progress is False:
        yield
        return
    PROGRESS.reset()
    PROGRESS.expect(len(files), sum(file.size for file in files))
    with ProgressDisplay():
        yield
