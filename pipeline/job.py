"""Runs one job: everything that can be refused is refused before it starts, and its counts are told at its end."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from importlib import metadata
from typing import TYPE_CHECKING

import apache_beam as beam
from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import PipelineOptions
from rich.console import Console

from pipeline.flow import build
from pipeline.options import RunOptions, beam_runner
from pipeline.problems import UsageError
from pipeline.progress import ProgressDisplay
from pipeline.records import Records
from pipeline.sources import Layout, ReadMessages, expand_patterns
from pipeline.summary import exit_code, read_counters, render, summarize, write_summary
from transforms.connection import Connection
from transforms.tiktok.client import EventsApi
from transforms.tiktok.runtime import Transport
from transforms.tiktok.token import TokenSource

if TYPE_CHECKING:
    from pipeline.streaming import Plan

_LOCAL = "FnApiRunner"
_FAILED = 1


def run(
    options: RunOptions,
    transport: Callable[[Connection], Transport] = EventsApi,
    tokens: Callable[[str], TokenSource] = TokenSource,
) -> int:
    """Runs a job to its end and returns the exit code: 0 all settled, 1 failure, 3 something undelivered or unknown.

    Args:
      options: what to do.
      transport: makes what carries requests.
      tokens: makes the source of the token from its reference.

    Raises:
      UsageError: a folder, a pattern or the token reference cannot be used; nothing has been sent.
    """
    connection = options.connection
    runner = beam_runner(options.runner)
    streams = options.subscription is not None or options.topic is not None
    flags = ["--no_save_main_session", *options.beam_args, f"--runner={runner}", *(["--streaming"] if streams else [])]
    beam_options = PipelineOptions(flags)
    FileSystems.set_options(beam_options)
    try:
        if not streams:
            expand_patterns(options.inputs)
        records = _records(options)
        records.check()
        if runner == _LOCAL:
            tokens(connection.access_token or "").get()
        plan = _plan_stream(options, runner, records) if streams else None
    except (ValueError, RuntimeError) as error:
        raise UsageError(str(error)) from error
    began = time.monotonic()
    pipeline = beam.Pipeline(options=beam_options)
    window = (options.since_ms, options.until_ms)
    if plan is None:
        read = ReadMessages(list(options.inputs), Layout(options.layout), options.column, options.strict_files)
        build(pipeline, read, connection, records, *window, transport, tokens=tokens)
    else:
        build(pipeline, plan.read, connection, records, *window, transport, plan.stream, plan.record, tokens)
    with _progress(options, runner), _running(plan):
        result = pipeline.run()
        result.wait_until_finish()
    summary = summarize(read_counters(result.metrics()), time.monotonic() - began, options.run_id)
    if options.summary:
        write_summary(summary, options.summary)
    Console(file=sys.stdout).print(render(summary))
    return exit_code(summary) if summary.adds_up else _FAILED


def _plan_stream(options: RunOptions, runner: str, records: Records) -> "Plan":
    # Apart from the rest, because a batch needs no client of Pub/Sub.
    from pipeline.streaming import plan

    return plan(options, runner, records)


def _running(plan: "Plan | None") -> AbstractContextManager[None]:
    if plan is None:
        return nullcontext()
    from pipeline.streaming import running

    return running(plan)


def _records(options: RunOptions) -> Records:
    """Returns what is recorded; rows carry the version of this package as the version of the mapping."""
    return Records(
        ledger=options.ledger,
        dead_letters=options.dead_letters,
        quarantine=options.quarantine,
        dead_letter_topic=options.dead_letter_topic,
        flush_secs=options.ledger_flush_secs,
        run_id=options.run_id,
        connection_name=options.connection.event_source_id,
        event_source_id=options.connection.event_source_id,
        mapping_version=metadata.version("tiktok-events-pipeline"),
    )


@contextmanager
def _progress(options: RunOptions, runner: str) -> Iterator[None]:
    """Shows progress where the pipeline runs in this process."""
    wanted = sys.stderr.isatty() if options.progress is None else options.progress
    if runner != _LOCAL or not wanted:
        yield
        return
    with ProgressDisplay():
        yield
