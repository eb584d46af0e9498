"""Flags of `run` that are for history: which folders are read, and a run that sends nothing."""

import argparse

from pipeline.partitions import DEFAULT_SLACK
from pipeline.problems import UsageError, shown
from pipeline.values import BOOLEANS
from pipeline.windows import slack_ms


def add_partition_flags(parser: argparse.ArgumentParser) -> None:
    """Adds `--date_partition` and `--partition_slack`."""
    group = parser.add_argument_group("folders by day")
    group.add_argument(
        "--date_partition",
        action="store_true",
        help="read only folders whose day may hold events of the time window: event_date=, dt=, date=, "
        "year=/month=/day=, or YYYY-MM-DD; files in other folders are read as always",
    )
    group.add_argument(
        "--partition_slack",
        metavar="DURATION",
        help=f"how far a folder's day may be from its events, such as 2d or 36h (default: {DEFAULT_SLACK})",
    )


def partition_slack(arguments: argparse.Namespace) -> int | None:
    """Returns the slack in milliseconds, None if all folders are read.

    Raises:
      UsageError: the flags do not fit together.
    """
    if not arguments.date_partition:
        if arguments.partition_slack is not None:
            raise UsageError("--partition_slack: works with --date_partition only; add it, or leave out the slack.")
        return None
    if arguments.since is None and arguments.until is None:
        raise UsageError("--date_partition: needs --since or --until, which say what days are wanted.")
    return slack_ms(DEFAULT_SLACK if arguments.partition_slack is None else arguments.partition_slack)


def dry_run(arguments: argparse.Namespace) -> bool:
    """Returns whether nothing is to be sent.

    Raises:
      UsageError: neither true nor false: nothing may be sent by mistake.
    """
    wanted = BOOLEANS.get(arguments.dry_run.strip().lower())
    if wanted is None:
        raise UsageError(f"--dry_run: {shown(arguments.dry_run)} is not allowed; true, false or nothing is needed.")
    return wanted


def prices(arguments: argparse.Namespace) -> str | None:
    """Returns the price file.

    Raises:
      UsageError: there is one and no dry run to use it.
    """
    if arguments.prices is not None and not dry_run(arguments):
        raise UsageError("--prices: works with --dry_run only; add it, or leave out the price file.")
    path: str | None = arguments.prices
    return path


def add_dry_run_flags(parser: argparse.ArgumentParser) -> None:
    """Adds `--dry_run` and `--prices`."""
    group = parser.add_argument_group("dry run")
    group.add_argument(
        "--dry_run",
        nargs="?",
        const="true",
        default="false",
        metavar="true|false",
        help="send nothing and write no ledger; say what would be sent: events, coverage, samples, requests, bytes, "
        "time at the budget, cost on Dataflow. Needs no token. "
        "With --runner DataflowRunner, also for a stream: build the graph only, and ask nothing of Google Cloud",
    )
    group.add_argument(
        "--prices",
        metavar="FILE",
        help="price file for the cost (default: pipeline/dataflow_prices.yaml, which says from when it is)",
    )
