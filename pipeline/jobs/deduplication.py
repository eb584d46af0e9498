"""Deduplication: options → the steps that leave out what earlier runs, or this one, have sent."""

import logging

from apache_beam.options.pipeline_options import DirectOptions, PipelineOptions

from pipeline.ledger import JoinLedger, LoadDeliveryHistory, find_parts, history_from_matches, ledger_files, table_bytes
from pipeline.options import LOCAL_RUNNER, RunOptions
from pipeline.sources import ReadMessages
from transforms.deduplicate import DropDuplicates, SkipDelivered

_log = logging.getLogger(__name__)


def skip_step(options: RunOptions, read: ReadMessages) -> SkipDelivered | None:
    """Returns the step that leaves out what is delivered by the ledger; None if that is not wanted.

    The ledger is looked at now: what others write into it later is not seen.

    Raises:
      UsageError: the ledger cannot be read.
    """
    if not options.skip_delivered or options.ledger is None:
        return None
    source = options.connection.event_source_id
    files = ledger_files(options.ledger, options.since_ms)
    parts = tuple(find_parts(files, source, options.since_ms, options.until_ms))
    rows, megabytes = sum(part.rows for part in parts), table_bytes(parts) / 1_000_000
    how = "held in memory"
    if megabytes > options.ledger_memory_mb:
        how = f"joined with the input: {megabytes:,.0f} MB would exceed --ledger_memory_mb {options.ledger_memory_mb}"
    _log.info("%s: %d rows in %d of %d files matter; %s", options.ledger, rows, len(parts), len(files), how)
    if megabytes > options.ledger_memory_mb:
        return SkipDelivered(
            source,
            join=JoinLedger(read, options.connection, parts),
            joined=history_from_matches,
            resend_unknown=options.resend_unknown,
        )
    return SkipDelivered(source, LoadDeliveryHistory(parts, source), resend_unknown=options.resend_unknown)


def duplicates_step(options: RunOptions, runner: str, beam_options: PipelineOptions) -> DropDuplicates | None:
    """Returns the step that leaves out repeats inside the input; None if that is not wanted."""
    if not options.drop_duplicates:
        return None
    direct = beam_options.view_as(DirectOptions)
    one_process = runner == LOCAL_RUNNER and direct.direct_running_mode != "multi_processing"
    return DropDuplicates(options.connection.event_source_id, one_process)
