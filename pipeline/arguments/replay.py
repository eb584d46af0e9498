"""The command line of `replay` → `ReplayOptions`."""

import datetime

from pipeline.arguments.beam_flags import check_beam_args, graph_check_args
from pipeline.arguments.connection_flags import read_and_warn
from pipeline.arguments.flag_groups import (
    add_flush_flag,
    add_history_flags,
    add_job_flags,
    add_recording_window_flags,
    add_shared_flags,
    add_summary_flag,
    missing_token,
    refuse_empty,
    window,
)
from pipeline.arguments.flag_types import flattened, several_of, whole_number
from pipeline.arguments.parser import StrictParser
from pipeline.errors import UsageError
from pipeline.options import ReplayOptions, beam_runner, new_run_id
from transforms.vocabulary import Reason

_DESCRIPTION = """Sends dead letters again, through the same delivery and into the same ledger.

Of the dead letters of one event the newest stands for it; what is delivered by the ledger is left out. What fails again
is a dead letter again, with all its attempts; after --max_attempts, or when TikTok refuses an event twice for the same
reason, it is parked: it stays among the dead letters, and only --reason parked takes it again.

examples:
  tiktok-events replay --connection connection.yaml --dead_letters dead_letters --ledger ledger
  tiktok-events replay --connection connection.yaml --dead_letters dead_letters --ledger ledger \\
      --reason outage --reason throttled --since 2024-06-20T08:00Z
  tiktok-events replay --connection connection.yaml --dead_letters dead_letters --ledger ledger \\
      --reason missing_page_url --quarantine quarantine"""

_LEDGER_OF_ITS_OWN = "_replays"


def parse_replay(argv: list[str]) -> ReplayOptions:
    """Returns what the command line asks for.

    Raises:
      UsageError: a mistake in the command line or in the connection.
    """
    parser = replay_parser()
    arguments, rest = parser.parse_leniently(argv)
    runner = beam_runner(arguments.runner)
    beam_args = check_beam_args(rest, parser.flag_names(), runner)
    if arguments.dry_run:
        if runner != "DataflowRunner":
            raise UsageError("--dry_run: a replay has one with --runner DataflowRunner only; remove it.")
        beam_args = graph_check_args(beam_args)
    since_ms, until_ms = window(arguments)
    refuse_empty(arguments, "ledger", "quarantine", "summary")
    if not arguments.dead_letters:
        raise UsageError("--dead_letters is missing: name the folder that `run --dead_letters` wrote.")
    connection = read_and_warn(arguments)
    if connection.access_token is None:
        raise missing_token("replay", runner)
    return ReplayOptions(
        connection=connection,
        inputs=(arguments.dead_letters,),
        ledger=arguments.ledger or f"{arguments.dead_letters.rstrip('/')}/{_LEDGER_OF_ITS_OWN}",
        dead_letters=arguments.dead_letters,
        quarantine=arguments.quarantine,
        summary=arguments.summary,
        ledger_flush_secs=arguments.ledger_flush_secs,
        runner=arguments.runner,
        beam_args=beam_args,
        progress=arguments.progress,
        resend_unknown=arguments.resend_unknown,
        ledger_memory_mb=arguments.ledger_memory_mb,
        drop_duplicates=True,
        run_id=arguments.run_id or new_run_id(datetime.datetime.now(datetime.UTC)),
        reasons=frozenset(flattened(arguments.reason)),
        recorded_since_ms=since_ms,
        recorded_until_ms=until_ms,
        max_attempts=arguments.max_attempts,
    )


def replay_parser() -> StrictParser:
    """Returns the parser of the command line."""
    parser = StrictParser("replay --dead_letters DIR", _DESCRIPTION)
    group = parser.flag_group("dead letters")
    group.add_argument("--dead_letters", metavar="DIR", help="the folder that `run --dead_letters` wrote (required)")
    group.add_argument(
        "--reason",
        type=several_of(Reason, "is no reason of a dead letter."),
        action="append",
        metavar="REASON",
        help="only dead letters that ended for it; may be given several times, or several joined by commas",
    )
    add_recording_window_flags(group, "dead letters")
    group.add_argument(
        "--quarantine",
        metavar="DIR",
        help="the folder that `run --quarantine` wrote: rejected messages are mapped again with this connection",
    )
    group.add_argument(
        "--max_attempts",
        type=whole_number(1, 1_000_000),
        default=100,
        metavar="NUMBER",
        help="park an event that so many requests have carried, in all runs together (default: 100)",
    )
    group.add_argument(
        "--ledger",
        metavar="DIR",
        help="the ledger of the runs: what it holds as delivered is left out, and it gets the outcomes (default: one "
        f"of the replays alone, DEAD_LETTERS/{_LEDGER_OF_ITS_OWN})",
    )
    add_history_flags(group)
    job = parser.flag_group("job")
    add_job_flags(job, "replay")
    job.add_argument(
        "--dry_run",
        action="store_true",
        help="with --runner DataflowRunner: build the graph for Dataflow only, and start nothing",
    )
    add_summary_flag(job)
    add_flush_flag(job)
    add_shared_flags(parser)
    return parser
