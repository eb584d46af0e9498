"""`replay`: the command line → `ReplayOptions`, then the replay."""

import argparse
import datetime

from pipeline.arguments.beam_flags import check_beam_args, graph_check_args
from pipeline.arguments.flag_groups import (
    add_flush_flag,
    add_shared_flags,
    add_unknown_flags,
    flush_seconds,
    megabytes,
    missing_token,
    read_and_warn,
    refuse_empty,
    whole_number,
    window,
)
from pipeline.arguments.parser import StrictParser
from pipeline.errors import UsageError
from pipeline.options import DEFAULT_RUNNER, RUNNERS, ReplayOptions, beam_runner, new_run_id
from pipeline.wording import plain, shown, suggestion
from transforms.vocabulary import Reason

_DESCRIPTION = """Sends dead letters again, through the same delivery and into the same ledger.

Of the letters of one event the newest stands for it; what the ledger says is delivered is left out. What fails again is
a dead letter again, with all its attempts; after --max_attempts, or when TikTok refuses an event twice for the same
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
    beam_args = check_beam_args(rest, parser.flags(), runner)
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
        ledger_flush_secs=flush_seconds(arguments.ledger_flush_secs),
        runner=arguments.runner,
        beam_args=beam_args,
        progress=arguments.progress,
        resend_unknown=arguments.resend_unknown,
        ledger_memory_mb=megabytes(arguments.ledger_memory_mb),
        drop_duplicates=True,
        run_id=arguments.run_id or new_run_id(datetime.datetime.now(datetime.UTC)),
        reasons=frozenset(_reason(word) for text in arguments.reason or () for word in text.split(",")),
        recorded_since_ms=since_ms,
        recorded_until_ms=until_ms,
        max_attempts=whole_number("--max_attempts", arguments.max_attempts, 1, 1_000_000),
    )


def _reason(text: str) -> str:
    for reason in Reason:
        if plain(reason) == plain(text):
            return reason
    raise UsageError(f"--reason: {shown(text)} is no reason of a dead letter.{suggestion(text, list(Reason))}")


def replay_parser() -> StrictParser:
    """Returns the parser of the command line."""
    parser = StrictParser("replay --dead_letters DIR", _DESCRIPTION)
    group = parser.add_argument_group("letters")
    group.add_argument("--dead_letters", metavar="DIR", help="the folder that `run --dead_letters` wrote (required)")
    group.add_argument(
        "--reason",
        action="append",
        metavar="REASON",
        help="only letters that ended for it; may be given several times, or several joined by commas",
    )
    group.add_argument("--since", metavar="TIME", help="only letters recorded at this ISO 8601 date or time or later")
    group.add_argument("--until", metavar="TIME", help="only letters recorded before it; a date is its first moment")
    group.add_argument("--timezone", default="UTC", metavar="ZONE", help="zone of times without offset (default: UTC)")
    group.add_argument(
        "--quarantine",
        metavar="DIR",
        help="the folder that `run --quarantine` wrote: rejected messages are mapped again with this connection",
    )
    group.add_argument(
        "--max_attempts",
        default="100",
        metavar="NUMBER",
        help="park an event that so many requests have carried, in all runs together (default: 100)",
    )
    group.add_argument(
        "--ledger",
        metavar="DIR",
        help="the ledger of the runs, which says what is delivered and gets the outcomes (default: one of the replays "
        f"alone, DEAD_LETTERS/{_LEDGER_OF_ITS_OWN})",
    )
    add_unknown_flags(group)
    _add_job(parser.add_argument_group("job"))
    add_shared_flags(parser)
    return parser


def _add_job(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--runner",
        default=DEFAULT_RUNNER,
        metavar="NAME",
        help=f"where the pipeline runs (default: {DEFAULT_RUNNER}, which is FnApiRunner here): {', '.join(RUNNERS)}",
    )
    group.add_argument("--run_id", metavar="TEXT", help="names the replay in the ledger (default: time and digits)")
    group.add_argument(
        "--dry_run",
        action="store_true",
        help="with --runner DataflowRunner: build the graph for Dataflow only, and start nothing",
    )
    group.add_argument("--summary", metavar="FILE", help="write the counts there (JSON)")
    group.add_argument("--progress", action="store_true", default=None, help="show progress (default: on a terminal)")
    group.add_argument("--no_progress", dest="progress", action="store_false", help="show no progress")
    add_flush_flag(group)
