"""The command line of `run` → `RunOptions`."""

import argparse
import datetime
import re
from collections.abc import Iterable

from pipeline.arguments.beam_flags import check_beam_args, graph_check_args
from pipeline.arguments.connection_flags import read_and_warn
from pipeline.arguments.flag_groups import (
    INPUTS,
    add_flush_flag,
    add_history_flags,
    add_job_flags,
    add_layout_flags,
    add_shared_flags,
    add_summary_flag,
    add_window_flags,
    missing_token,
    refuse_empty,
    window,
)
from pipeline.arguments.parser import FlagGroup, StrictParser
from pipeline.arguments.stream_flags import add_stream_flags, is_stream
from pipeline.arguments.time_window import slack_ms
from pipeline.errors import UsageError
from pipeline.options import RunOptions, beam_runner, new_run_id
from pipeline.sources import DEFAULT_SLACK

_DESCRIPTION = """Sends the commerce events of files, or of a Pub/Sub subscription, to TikTok.

Each event ends as exactly one outcome: delivered, skipped, rejected, undelivered or unknown. Flags that are not listed
here go to Beam (--project, --temp_location, --direct_num_workers …).

examples:
  tiktok-events run --connection connection.yaml --input 'exports/*.parquet' --ledger ledger
  tiktok-events run --connection connection.yaml --input 'gs://acme-export/2024-06-*/*.txt.gz' \\
      --since 2024-06-01 --until 2024-07-01 --timezone Europe/Berlin --summary summary.json
  tiktok-events run --connection connection.yaml --input 'gs://acme-export/**' --since -1d --date_partition --dry_run
  tiktok-events run --connection connection.yaml --input 'gs://acme-export/**' --runner DataflowRunner --dry_run
  tiktok-events run --connection connection.yaml --subscription projects/acme-prod/subscriptions/mparticle \\
      --ledger gs://acme-ledger/tiktok --dead_letters gs://acme-ledger/dead-letters"""


def parse_run(argv: list[str]) -> RunOptions:
    """Returns what the command line asks for.

    Raises:
      UsageError: a mistake in the command line or in the connection.
    """
    parser = run_parser()
    arguments, rest = parser.parse_leniently(argv)
    runner = beam_runner(arguments.runner)
    since_ms, until_ms = window(arguments)
    beam_args = check_beam_args(rest, parser.flag_names(), runner)
    if arguments.prices is not None and not arguments.dry_run:
        raise UsageError("--prices: works with --dry_run only; add it, or leave out the price file.")
    graph_only = runner == "DataflowRunner" and arguments.dry_run
    if graph_only:
        beam_args = graph_check_args(beam_args)
        if arguments.prices is not None:
            raise UsageError("--prices: the check of a graph has no costs; remove it, or choose another --runner.")
    given = _names_in(arguments.input or ())
    files = tuple(word for word in given if word.lower() not in INPUTS)
    # Only now, so that a misspelt --input is reported by its name.
    if not is_stream(arguments, runner, beam_args, bool(files)) and not files:
        raise UsageError(
            "--input is missing: name files or globs, such as --input 'exports/*.parquet', or a --subscription."
        )
    kinds = [word for word in given if word.lower() in INPUTS]
    connection = read_and_warn(arguments, {"input": kinds[-1]} if kinds else {})
    sends_nothing = arguments.dry_run and not graph_only
    if connection.access_token is None and not sends_nothing:
        raise missing_token("run", runner)
    _check_history_flags(arguments)
    refuse_empty(arguments, "ledger", "dead_letters", "quarantine", "summary")
    return RunOptions(
        connection=connection,
        inputs=files,
        subscription=arguments.subscription,
        topic=arguments.topic,
        max_messages=arguments.max_messages,
        max_seconds=arguments.max_seconds,
        ledger=arguments.ledger,
        dead_letters=arguments.dead_letters,
        quarantine=arguments.quarantine,
        summary=arguments.summary,
        since_ms=since_ms,
        until_ms=until_ms,
        ledger_flush_secs=arguments.ledger_flush_secs,
        strict_files=arguments.strict_files,
        runner=arguments.runner,
        beam_args=beam_args,
        layout=arguments.layout,
        column=arguments.column,
        progress=arguments.progress,
        partition_slack_ms=_partition_slack(arguments),
        dry_run=sends_nothing,
        prices=arguments.prices,
        skip_delivered=arguments.skip_delivered,
        resend_unknown=arguments.resend_unknown,
        ledger_memory_mb=arguments.ledger_memory_mb,
        drop_duplicates=arguments.drop_duplicates,
        dead_letter_topic=arguments.dead_letter_topic,
        run_id=arguments.run_id or new_run_id(datetime.datetime.now(datetime.UTC)),
    )


def _names_in(words: Iterable[str]) -> list[str]:
    """Returns the names of files of a flag's values; several in one value are joined by commas, as templates do.

    A comma is a legal character of a name, so it divides only where a new `gs://` begins.

    >>> _names_in(["gs://a/x,y.gz,gs://b/*", "c,d.parquet"])
    ['gs://a/x,y.gz', 'gs://b/*', 'c,d.parquet']
    """
    return [name for word in words for name in re.split(r", *(?=gs://)", word)]


def _partition_slack(arguments: argparse.Namespace) -> int | None:
    """Returns the slack in milliseconds, None if all folders are read.

    Raises:
      UsageError: the flags do not fit together.
    """
    if not arguments.date_partition:
        if arguments.partition_slack is not None:
            raise UsageError("--partition_slack: works with --date_partition only; add it, or leave out the slack.")
        return None
    if arguments.since is None and arguments.until is None:
        raise UsageError("--date_partition: needs --since or --until, which name the days that are wanted.")
    return slack_ms(DEFAULT_SLACK) if arguments.partition_slack is None else int(arguments.partition_slack)


def _check_history_flags(arguments: argparse.Namespace) -> None:
    """Refuses flags that would do nothing.

    Raises:
      UsageError: a flag lacks the one that it belongs to.
    """
    if arguments.skip_delivered and not arguments.ledger:
        raise UsageError("--skip_delivered needs --ledger: the folder that holds what was delivered.")
    if arguments.resend_unknown and not arguments.skip_delivered:
        raise UsageError("--resend_unknown belongs to --skip_delivered: without that, nothing is held back.")


def run_parser() -> StrictParser:
    """Returns the parser of the command line."""
    parser = StrictParser("run --input GLOB | --subscription NAME", _DESCRIPTION)
    _add_file_flags(parser.flag_group("files"))
    add_stream_flags(parser)
    _add_output_flags(parser.flag_group("outputs"))
    add_window_flags(parser)
    _add_partition_flags(parser.flag_group("folders by day"))
    _add_dry_run_flags(parser.flag_group("dry run"))
    _add_repeat_flags(parser.flag_group("what was sent before"))
    add_job_flags(parser.flag_group("job"), "run")
    add_shared_flags(parser, leave_out=["input"])
    return parser


def _add_file_flags(group: FlagGroup) -> None:
    group.add_argument(
        "--input",
        action="append",
        metavar="GLOB",
        help="Parquet, NDJSON or .gz files, local or gs://; may be given several times, or several gs:// names joined "
        "by commas. The words "
        f"{', '.join(INPUTS)} are the connection's key `input` instead; a file of that name is ./web",
    )
    add_layout_flags(group)
    group.add_argument(
        "--strict_files", action="store_true", help="stop at a file that cannot be read (default: count it, go on)"
    )


def _add_output_flags(group: FlagGroup) -> None:
    group.add_argument("--ledger", metavar="DIR", help="write one row an outcome there (Parquet, no personal data)")
    add_flush_flag(group)
    group.add_argument("--dead_letters", metavar="DIR", help="write what was not delivered there, ready to be replayed")
    group.add_argument(
        "--quarantine", metavar="DIR", help="write originals of rejected messages there; personal data: restrict it"
    )
    add_summary_flag(group)
    group.add_argument(
        "--dead_letter_topic",
        metavar="NAME",
        help="publish what was not delivered there: payload, with kind, reason, code and so on as attributes",
    )


def _add_partition_flags(group: FlagGroup) -> None:
    group.add_argument(
        "--date_partition",
        action="store_true",
        help="read only folders whose day may hold events of the time window: event_date=, dt=, date=, "
        "year=/month=/day=, or YYYY-MM-DD; files in other folders are read as always",
    )
    group.add_argument(
        "--partition_slack",
        type=slack_ms,
        metavar="DURATION",
        help=f"how far a folder's day may be from its events, such as 2d or 36h (default: {DEFAULT_SLACK})",
    )


def _add_dry_run_flags(group: FlagGroup) -> None:
    group.add_argument(
        "--dry_run",
        action="store_true",
        help="send nothing and write no ledger; show what would be sent: events, coverage, samples, requests, bytes, "
        "time at the budget, cost on Dataflow. Needs no token. "
        "With --runner DataflowRunner, also for a stream: build the graph only, and ask nothing of Google Cloud",
    )
    group.add_argument(
        "--prices",
        metavar="FILE",
        help="price file for the cost (default: one that comes with this program and names its day)",
    )


def _add_repeat_flags(group: FlagGroup) -> None:
    group.add_argument(
        "--skip_delivered", action="store_true", help="leave out what is delivered by the ledger (needs --ledger)"
    )
    add_history_flags(group)
    group.add_argument(
        "--drop_duplicates",
        action="store_true",
        help="leave out repeats inside the input: 32 to 64 bytes of memory an event on one machine; with several "
        "worker processes a shuffle of all events, which takes about as long as the run itself",
    )
