"""Flags that several commands share, one group after the other, with what reads and checks them."""

import argparse
from collections.abc import Collection

from pipeline.arguments.connection_flags import add_connection_flags
from pipeline.arguments.flag_types import decimal_number, one_of, whole_number
from pipeline.arguments.parser import FlagGroup, StrictParser
from pipeline.arguments.time_window import moment, time_window, time_zone
from pipeline.errors import UsageError
from pipeline.options import DEFAULT_RUNNER, LAYOUT_NAMES, RUNNERS

# `--input` has two meanings: files, and the connection's key, whose few words are not names of files.
INPUTS = ("auto", "web", "feed")


def add_shared_flags(parser: StrictParser, leave_out: Collection[str] = ()) -> None:
    """Adds the connection's flags, but for the keys of `leave_out`, and `--verbose`."""
    add_connection_flags(parser, leave_out)
    add_verbose_flag(parser)


def add_verbose_flag(parser: StrictParser) -> None:
    """Adds `--verbose`."""
    parser.add_argument("--verbose", action="store_true", help="more log lines, and tracebacks of errors")


def missing_token(command: str, runner: str) -> UsageError:
    """Returns the error of a connection that names no token; workers on Dataflow have no variables of this machine."""
    on_dataflow = runner == "DataflowRunner"
    example = "projects/acme-prod/secrets/tiktok-token/versions/latest" if on_dataflow else "env:TIKTOK_TOKEN"
    return UsageError(
        f"access_token is missing: `{command}` needs a reference to the token, such as {example}, in the connection "
        "file or as --access_token."
    )


def add_layout_flags(group: StrictParser | FlagGroup) -> None:
    """Adds `--layout` and `--column`."""
    group.add_argument(
        "--layout",
        type=one_of(LAYOUT_NAMES, "layout"),
        default="auto",
        metavar="NAME",
        help=f"how messages lie in Parquet files: {', '.join(LAYOUT_NAMES)} (default: auto, by the columns)",
    )
    group.add_argument("--column", metavar="NAME", help="Parquet column with the JSON (default: found by itself)")


def add_window_flags(parser: StrictParser) -> None:
    """Adds `--since`, `--until` and `--timezone` of events."""
    group = parser.flag_group("time window", "By the event's own time; --since is part of it, --until is not.")
    group.add_argument(
        "--since",
        type=moment,
        metavar="TIME",
        help="ISO 8601 date or time, such as 2024-06-20, or a duration before now: -1d, -36h",
    )
    group.add_argument("--until", type=moment, metavar="TIME", help="the same; a date is its first moment")
    add_timezone_flag(group, "zone of times without offset and of days (default: UTC)")


def add_recording_window_flags(group: StrictParser | FlagGroup, what: str) -> None:
    """Adds `--since`, `--until` and `--timezone` of what was recorded.

    Args:
      group: takes the flags.
      what: is chosen by the time of its recording, for example `dead letters`.
    """
    group.add_argument(
        "--since", type=moment, metavar="TIME", help=f"only {what} recorded at this ISO 8601 date or time or later"
    )
    group.add_argument(
        "--until", type=moment, metavar="TIME", help=f"only {what} recorded before it; a date is its first moment"
    )
    add_timezone_flag(group, "zone of times without offset (default: UTC)")


def add_timezone_flag(group: StrictParser | FlagGroup, text: str) -> None:
    """Adds `--timezone` with its help."""
    group.add_argument("--timezone", type=time_zone, default=time_zone("UTC"), metavar="ZONE", help=text)


def window(arguments: argparse.Namespace) -> tuple[int | None, int | None]:
    """Returns `--since` and `--until` in UTC epoch milliseconds."""
    return time_window(arguments.since, arguments.until, arguments.timezone)


def add_history_flags(group: FlagGroup) -> None:
    """Adds `--resend_unknown` and `--ledger_memory_mb`, about what was sent before."""
    group.add_argument(
        "--resend_unknown",
        action="store_true",
        help="send also what TikTok may have since more than 48 h and would count twice (default: hold it)",
    )
    group.add_argument(
        "--ledger_memory_mb",
        type=whole_number(0, 1_000_000),
        default=512,
        metavar="NUMBER",
        help="memory for the ledger's keys in each worker process, 32 bytes an event; above it the input is read a "
        "second time and joined with the ledger (default: 512)",
    )


def add_flush_flag(group: FlagGroup) -> None:
    """Adds `--ledger_flush_secs`: what is longer than an hour would lose that much when a run is killed."""
    group.add_argument(
        "--ledger_flush_secs",
        type=decimal_number(0.1, 3600, "seconds"),
        default=10.0,
        metavar="SECONDS",
        help="close ledger files after this time at the latest (default: 10)",
    )


def add_summary_flag(group: FlagGroup) -> None:
    """Adds `--summary`."""
    group.add_argument("--summary", metavar="FILE", help="write the counts there (JSON)")


def refuse_empty(arguments: argparse.Namespace, *names: str) -> None:
    """Refuses flags whose value is empty: nothing would be written, and nobody would notice.

    Raises:
      UsageError: one is.
    """
    for name in names:
        value = getattr(arguments, name)
        if value is not None and not value.strip():
            raise UsageError(
                f"--{name} is empty: give a path, or leave the flag out. Is a variable of the shell unset?"
            )


def add_job_flags(group: FlagGroup, what: str) -> None:
    """Adds `--runner`, `--run_id`, `--progress` and `--no_progress`.

    Args:
      group: takes the flags.
      what: the run is called so in their help.
    """
    group.add_argument(
        "--runner",
        default=DEFAULT_RUNNER,
        metavar="NAME",
        help=f"where the pipeline runs (default: {DEFAULT_RUNNER}, which is FnApiRunner here): {', '.join(RUNNERS)}",
    )
    group.add_argument(
        "--run_id", metavar="TEXT", help=f"names the {what} in ledger and summary (default: time and digits)"
    )
    group.add_argument(
        "--progress",
        action="store_true",
        default=None,
        help="show progress (default: a line that changes on a terminal, lines now and then elsewhere)",
    )
    group.add_argument("--no_progress", dest="progress", action="store_false", help="show no progress")
