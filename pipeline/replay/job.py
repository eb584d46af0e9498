"""Replays dead letters: through the same delivery, into the same ledger, and back to the dead letters if they fail."""

import logging
from collections.abc import Callable, Sequence

import apache_beam as beam

from pipeline.errors import UsageError
from pipeline.jobs import (
    beam_settings,
    check_buckets,
    check_outputs,
    check_token,
    checked_records,
    describe_job,
    duplicates_step,
    is_described,
    is_graph_check,
    report_run,
    run_pipeline,
)
from pipeline.ledger import (
    ROW_FILES,
    LoadDeliveryHistory,
    dead_letter_filter,
    described_journal,
    epoch_ms,
    find_parts,
    keep_journal,
    ledger_files,
    list_files,
    list_paths,
    open_parquet,
    row_group_ranges,
    table_bytes,
)
from pipeline.options import ReplayOptions
from pipeline.records import RecordOutcomes, Records
from pipeline.replay.park import ParkRefused
from pipeline.replay.plan import Selection, SharedPlan
from pipeline.replay.read_dead_letters import ReadDeadLetters
from pipeline.runtime import files_until_stopped, is_stopping
from pipeline.storage import WriteError
from transforms.connection import Connection
from transforms.deduplicate import DropDuplicates, SkipDelivered
from transforms.tiktok import EventsApi, TokenReferenceError, Transport
from transforms.write_to_tiktok import WriteToTikTok

_log = logging.getLogger(__name__)


def replay(options: ReplayOptions, transport: Callable[[Connection], Transport] = EventsApi) -> int:
    """Replays to the end and returns the exit code, as `pipeline.jobs.run_job` does.

    Args:
      options: what to do; `inputs` is the folder of dead letters, and a ledger is named.
      transport: makes what carries requests.

    Raises:
      UsageError: a folder or the token reference cannot be used; nothing has been sent.
      CommandError: a signal ended it early; what it had read is settled.
    """
    runner, beam_options = beam_settings(options)
    (folder,) = options.inputs
    files = list_files(folder)
    if not files:
        raise UsageError(f"--dead_letters {folder}: holds no dead letters ({ROW_FILES}). Check the path.")
    selection = Selection(
        dead_letters=tuple(file.path for file in files),
        quarantine=_originals(options.quarantine),
        event_source_id=options.connection.event_source_id,
        reasons=options.reasons,
        since_ms=options.recorded_since_ms,
        until_ms=options.recorded_until_ms,
    )
    try:
        check_outputs(options)
        if not is_graph_check(beam_options):
            check_buckets(options)
        records = checked_records(options, beam_options)
        check_token(options, beam_options)
    except (ValueError, WriteError, TokenReferenceError) as error:
        raise UsageError(str(error)) from error

    def add_steps(pipeline: beam.Pipeline) -> None:
        duplicates = duplicates_step(options, runner, beam_options)
        plan = SharedPlan(selection)
        build(pipeline, options, plan, records, _skip_step(options, plan), duplicates, transport)

    narrowed = dead_letter_filter(options, bool(selection.quarantine))
    if is_graph_check(beam_options):
        return describe_job(beam_options, add_steps)
    if is_described(beam_options):
        with described_journal(options, "replay", files, narrowed):
            return describe_job(beam_options, add_steps)
    with keep_journal(options, "replay", files, beam_options, "replay", narrowed) as finish:
        summary = run_pipeline(options, beam_options, add_steps, beside=files_until_stopped())
        finish(summary, is_stopping())
    remedy = "replay again for the rest, with the same flags: what is delivered is left out"
    return report_run(summary, options.summary, "the dead letters", remedy)


def _originals(quarantine: str | None) -> tuple[str, ...]:
    """Returns the files of the quarantine, if one is named."""
    if quarantine is None:
        return ()
    found = tuple(list_paths(quarantine))
    if not found:
        # No mistake where nothing was rejected so far.
        _log.warning(
            "--quarantine %s: holds no originals (%s), so letters without a payload are left out (no_payload). "
            "Check the path.",
            quarantine,
            ROW_FILES,
        )
    return found


def build(
    pipeline: beam.Pipeline,
    options: ReplayOptions,
    plan: SharedPlan,
    records: Records,
    skip: SkipDelivered,
    duplicates: DropDuplicates | None,
    transport: Callable[[Connection], Transport] = EventsApi,
) -> None:
    """Adds all steps of a replay to a pipeline: read, leave out what is settled, send, park, record."""
    read = pipeline | "ReadDeadLetters" >> ReadDeadLetters(plan, options.connection, options.max_attempts)
    skipped = read.passed | "SkipDelivered" >> skip
    branches = {"Read": read.outcomes, "Skip": skipped.outcomes}
    payloads = skipped.passed
    if duplicates is not None:
        dropped = payloads | "DropDuplicates" >> duplicates
        payloads, branches["Duplicates"] = dropped.passed, dropped.outcomes
    written = payloads | "WriteToTikTok" >> WriteToTikTok(options.connection, transport)
    branches["Write"] = written | "ParkRefused" >> ParkRefused(plan)
    for name, outcomes in branches.items():
        _ = outcomes | f"Record{name}" >> RecordOutcomes(records)


def _skip_step(options: ReplayOptions, plan: SharedPlan) -> SkipDelivered:
    """Returns the step that leaves out what has been delivered, by the ledger as it is now.

    What TikTok may have since more than 48 h is left out too, by ledger and dead letters.

    Raises:
      UsageError: the ledger needs more memory than it may have.
    """
    if options.ledger is None:
        raise ValueError("a replay needs a ledger")
    source = options.connection.event_source_id
    since_ms = _earliest_event_ms(plan.selection.dead_letters)
    parts = tuple(find_parts(ledger_files(options.ledger, since_ms), source, since_ms))
    megabytes = table_bytes(parts) / 1_000_000
    if megabytes > options.ledger_memory_mb:
        raise UsageError(
            f"--ledger_memory_mb {options.ledger_memory_mb}: the ledger since the earliest of these letters needs "
            f"{megabytes:,.0f} MB. Allow so much."
        )
    return SkipDelivered(
        source, LoadDeliveryHistory(parts, source, plan.unknown), resend_unknown=options.resend_unknown
    )


def _earliest_event_ms(paths: Sequence[str]) -> int | None:
    """Returns the time of the earliest event of files, by their statistics; None if they have none."""
    earliest: list[int] = []
    for path in paths:
        with open_parquet(path) as file:
            earliest += [
                epoch_ms(ranges["event_time"][0]) for ranges in row_group_ranges(file) if "event_time" in ranges
            ]
    return min(earliest, default=None)
