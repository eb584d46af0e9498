"""`run`: the command line → `RunOptions`, then the job."""

import argparse
import datetime

from pipeline.arguments.beam_flags import check_beam_args, graph_check_args
from pipeline.arguments.flag_groups import (
    INPUTS,
    add_again_flags,
    add_dry_run_flags,
    add_flush_flag,
    add_layout_flags,
    add_partition_flags,
    add_shared_flags,
    add_stream_flags,
    add_window_flags,
    check_again_flags,
    dry_run,
    flush_seconds,
    layout_name,
    megabytes,
    missing_token,
    names_in,
    partition_slack,
    prices,
    read_and_warn,
    read_stream,
    refuse_empty,
    window,
)
from pipeline.arguments.parser import StrictParser
from pipeline.errors import UsageError
from pipeline.options import DEFAULT_RUNNER, RUNNERS, RunOptions, beam_runner, new_run_id

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
    beam_args = check_beam_args(rest, parser.flags(), runner)
    graph_only = runner == "DataflowRunner" and dry_run(arguments)
    if graph_only:
        beam_args = graph_check_args(beam_args)
        if arguments.prices is not None:
            raise UsageError("--prices: the check of a graph has no costs; remove it, or choose another --runner.")
    given = names_in(arguments.input or ())
    files = tuple(word for word in given if word.lower() not in INPUTS)
    # Only now, so that a misspelt --input is told by its name.
    stream = read_stream(arguments, runner, beam_args, bool(files))
    if not files and not stream:
        raise UsageError(
            "--input is missing: name files or globs, such as --input 'exports/*.parquet', or a --subscription."
        )
    kinds = [word for word in given if word.lower() in INPUTS]
    connection = read_and_warn(arguments, {"input": kinds[-1]} if kinds else {})
    sends_nothing = dry_run(arguments) and not graph_only
    if connection.access_token is None and not sends_nothing:
        raise missing_token("run", runner)
    check_again_flags(arguments)
    refuse_empty(arguments, "ledger", "dead_letters", "quarantine", "summary")
    return RunOptions(
        connection=connection,
        inputs=files,
        ledger=arguments.ledger,
        dead_letters=arguments.dead_letters,
        quarantine=arguments.quarantine,
        summary=arguments.summary,
        since_ms=since_ms,
        until_ms=until_ms,
        ledger_flush_secs=flush_seconds(arguments.ledger_flush_secs),
        strict_files=arguments.strict_files,
        runner=arguments.runner,
        beam_args=beam_args,
        layout=layout_name(arguments.layout),
        column=arguments.column,
        progress=arguments.progress,
        partition_slack_ms=partition_slack(arguments),
        dry_run=sends_nothing,
        prices=prices(arguments),
        skip_delivered=arguments.skip_delivered,
        resend_unknown=arguments.resend_unknown,
        ledger_memory_mb=megabytes(arguments.ledger_memory_mb),
        drop_duplicates=arguments.drop_duplicates,
        dead_letter_topic=arguments.dead_letter_topic,
        **stream,
        run_id=arguments.run_id or new_run_id(datetime.datetime.now(datetime.UTC)),
    )


def run_parser() -> StrictParser:
    """Returns the parser of the command line."""
    parser = StrictParser("run --input GLOB | --subscription NAME", _DESCRIPTION)
    _add_files(parser.add_argument_group("files"))
    add_stream_flags(parser)
    _add_outputs(parser.add_argument_group("outputs"))
    add_window_flags(parser)
    add_partition_flags(parser)
    add_dry_run_flags(parser)
    add_again_flags(parser)
    group = parser.add_argument_group("job")
    runners = ", ".join(RUNNERS)
    group.add_argument(
        "--runner",
        default=DEFAULT_RUNNER,
        metavar="NAME",
        help=f"where the pipeline runs (default: {DEFAULT_RUNNER}, which is FnApiRunner here): {runners}",
    )
    group.add_argument(
        "--run_id", metavar="TEXT", help="names the run in ledger and summary (default: time and digits)"
    )
    group.add_argument("--progress", action="store_true", default=None, help="show progress (default)")
    group.add_argument("--no_progress", dest="progress", action="store_false", help="show no progress")
    add_shared_flags(parser, leave_out=["input"])
    return parser


def _add_files(group: argparse._ArgumentGroup) -> None:
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


def _add_outputs(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--ledger", metavar="DIR", help="write one row an outcome there (Parquet, no personal data)")
    add_flush_flag(group)
    group.add_argument("--dead_letters", metavar="DIR", help="write what was not delivered there, ready to be replayed")
    group.add_argument(
        "--quarantine", metavar="DIR", help="write originals of rejected messages there; personal data: restrict it"
    )
    group.add_argument("--summary", metavar="FILE", help="write the counts there (JSON)")
    group.add_argument(
        "--dead_letter_topic",
        metavar="NAME",
        help="publish what was not delivered there: payload, with kind, reason, code and so on as attributes",
    )
