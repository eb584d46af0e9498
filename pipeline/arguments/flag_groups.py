"""What several commands share: their common flags, and reading the connection that the flags describe.

The flags of safe re-processing, which `run` and `replay` share.

Flags of `run` that are for history: which folders are read, and a run that sends nothing.

The flags of `run` that are about streams: their names, and which pairs cannot work.
"""

import argparse
import logging
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from pipeline.arguments.parser import add_connection_flags, connection_flags
from pipeline.arguments.time_window import slack_ms, time_window
from pipeline.config import BOOLEANS, Read, read_connection
from pipeline.errors import UsageError
from pipeline.options import LAYOUTS
from pipeline.sources import DEFAULT_SLACK
from pipeline.wording import plain, shown, suggestion
from transforms.connection import Connection


def add_again_flags(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of `run` about what was sent before."""
    group = parser.add_argument_group("what was sent before")
    group.add_argument(
        "--skip_delivered", action="store_true", help="leave out what the ledger says is delivered (needs --ledger)"
    )
    add_unknown_flags(group)
    group.add_argument(
        "--drop_duplicates",
        action="store_true",
        help="leave out repeats inside the input: 32 to 64 bytes of memory an event on one machine; with several "
        "worker processes a shuffle of all events, which takes about as long as the run itself",
    )


def add_unknown_flags(group: argparse._ArgumentGroup) -> None:
    """Adds `--resend_unknown` and `--ledger_memory_mb`."""
    group.add_argument(
        "--resend_unknown",
        action="store_true",
        help="send also what TikTok may have since more than 48 h and would count twice (default: hold it)",
    )
    group.add_argument(
        "--ledger_memory_mb",
        default="512",
        metavar="NUMBER",
        help="memory for the ledger's keys in each worker process, 32 bytes an event; above it the input is read a "
        "second time and joined with the ledger (default: 512)",
    )


def add_flush_flag(group: argparse._ArgumentGroup) -> None:
    """Adds `--ledger_flush_secs`."""
    group.add_argument(
        "--ledger_flush_secs",
        default="10",
        metavar="SECONDS",
        help="close ledger files after this time at the latest (default: 10)",
    )


def check_again_flags(arguments: argparse.Namespace) -> None:
    """Refuses flags that would do nothing.

    Raises:
      UsageError: a flag lacks the one that it belongs to.
    """
    if arguments.skip_delivered and not arguments.ledger:
        raise UsageError("--skip_delivered needs --ledger: the folder that says what was delivered.")
    if arguments.resend_unknown and not arguments.skip_delivered:
        raise UsageError("--resend_unknown belongs to --skip_delivered: without that, nothing is held back.")


def flush_seconds(text: str) -> float:
    """Returns a number of seconds from 0.1 to an hour: what is longer would lose that much when a run is killed.

    Raises:
      UsageError: it is none.
    """
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0.1 <= seconds <= 3600:
        raise UsageError(
            f"--ledger_flush_secs: {shown(text)} is not allowed; a number of seconds from 0.1 to 3600 is needed."
        )
    return seconds


def megabytes(text: str) -> int:
    """Returns a number of megabytes.

    Raises:
      UsageError: it is none.
    """
    return whole_number("--ledger_memory_mb", text, 0, 1_000_000)


def whole_number(flag: str, text: str, least: int, most: int) -> int:
    """Returns a whole number of a range.

    Raises:
      UsageError: it is none.
    """
    number = int(text) if text.isascii() and text.isdecimal() else -1
    if not least <= number <= most:
        raise UsageError(f"{flag}: {shown(text)} is not allowed; a whole number from {least} to {most} is needed.")
    return number


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


# Where a stream can run: on Dataflow, or in this process. Source: Pub/Sub, "Resource names", for the form of names.
_LOCAL_RUNNERS = ("FnApiRunner", "PrismRunner")
_NAME = re.compile(r"projects/[a-z0-9.:-]{6,}/(subscriptions|topics)/[A-Za-z][A-Za-z0-9._~+%-]{2,254}")

# What is about files only: flag, and what it is when it was not given.
OF_FILES = {
    "layout": "auto",
    "column": None,
    "strict_files": False,
    "date_partition": False,
    "dry_run": "false",
    "skip_delivered": False,
    "drop_duplicates": False,
}


def add_stream_flags(parser: argparse.ArgumentParser) -> None:
    """Adds the flags."""
    group = parser.add_argument_group("stream", "Instead of files; SIGTERM and Ctrl-C end it after what was read.")
    group.add_argument("--subscription", metavar="NAME", help="projects/PROJECT/subscriptions/NAME, read until stopped")
    group.add_argument(
        "--topic", metavar="NAME", help="projects/PROJECT/topics/NAME: a subscription is made, and removed at the end"
    )
    group.add_argument("--max_messages", metavar="N", help="end after so many messages (default: never)")
    group.add_argument("--max_seconds", metavar="SECONDS", help="end after so long (default: never)")


def read_stream(
    arguments: argparse.Namespace, runner: str, beam_args: Sequence[str], has_files: bool
) -> dict[str, Any]:
    """Returns the fields of `RunOptions` that are about a stream; none if files are read.

    Args:
      arguments: parsed.
      runner: Beam's name.
      beam_args: flags for Beam.
      has_files: `--input` names some.

    Raises:
      UsageError: a name or number cannot be used, or flags that do not go together.
    """
    _check_name("--subscription", arguments.subscription, "subscriptions")
    _check_name("--topic", arguments.topic, "topics")
    _check_name("--dead_letter_topic", arguments.dead_letter_topic, "topics")
    if not (arguments.subscription or arguments.topic):
        for flag in ("max_messages", "max_seconds"):
            if getattr(arguments, flag) is not None:
                raise UsageError(f"--{flag} is for streams; give --subscription too, or remove it.")
        return {}
    if arguments.subscription and arguments.topic:
        raise UsageError("--subscription and --topic: give one of them.")
    if has_files:
        raise UsageError("--input and --subscription: one run reads files or a stream; start two.")
    for flag, unset in OF_FILES.items():
        # On Dataflow it means the check of a graph.
        is_graph_check = flag == "dry_run" and runner == "DataflowRunner"
        if getattr(arguments, flag) != unset and not is_graph_check:
            raise UsageError(f"--{flag} is for files; remove it from a stream.")
    _check_runner(arguments, runner, beam_args)
    return {
        "subscription": arguments.subscription,
        "topic": arguments.topic,
        "max_messages": _number("--max_messages", arguments.max_messages, int),
        "max_seconds": _number("--max_seconds", arguments.max_seconds, float),
    }


def _check_runner(arguments: argparse.Namespace, runner: str, beam_args: Sequence[str]) -> None:
    if runner == "DataflowRunner":
        for flag in ("max_messages", "max_seconds"):
            if getattr(arguments, flag) is not None:
                raise UsageError(f"--{flag}: a stream on Dataflow ends with `launch --drain JOB`; remove it.")
        if any("streaming_mode_exactly_once" in word for word in beam_args):
            raise UsageError(
                "--dataflow_service_options streaming_mode_exactly_once: remove it. A stream runs at least once: event "
                "ids make a repeat harmless, and a request that was sent cannot be taken back."
            )
        return
    if runner not in _LOCAL_RUNNERS:
        raise UsageError(
            f"--runner {runner} cannot read a stream safely: a cancelled job loses messages that it has acknowledged. "
            "Use DataflowRunner, or DirectRunner in this process; for files it works."
        )
    if any("multi_processing" in word for word in beam_args):
        raise UsageError(
            "--direct_running_mode multi_processing: a stream needs one process, which knows what is not acknowledged "
            "yet; remove it, and start several runs on the same subscription instead."
        )


def _check_name(flag: str, name: str | None, kind: str) -> None:
    if name is None:
        return
    found = _NAME.fullmatch(name)
    if found is None or found[1] != kind:
        raise UsageError(f"{flag}: {shown(name)} is no full name, such as projects/acme-prod/{kind}/mparticle.")


def _number(flag: str, text: str | None, kind: type[int] | type[float]) -> float | None:
    if text is None:
        return None
    try:
        number = kind(text)
    except ValueError:
        number = 0
    if not 0 < number < 1e12:
        raise UsageError(f"{flag}: {shown(text)} is not allowed; a number above 0 is needed.")
    return number


# `--input` has two meanings: files, and the connection's key, whose few words are not names of files.
INPUTS = ("auto", "web", "feed")

_log = logging.getLogger(__name__)


def add_shared_flags(parser: argparse.ArgumentParser, leave_out: Collection[str] = ()) -> None:
    """Adds the connection's flags, but for the keys of `leave_out`, and `--verbose`."""
    add_connection_flags(parser, leave_out)
    parser.add_argument("--verbose", action="store_true", help="more log lines, and tracebacks of errors")


def add_window_flags(parser: argparse.ArgumentParser) -> None:
    """Adds `--since`, `--until` and `--timezone`."""
    group = parser.add_argument_group("time window", "By the event's own time; --since is part of it, --until is not.")
    group.add_argument(
        "--since", metavar="TIME", help="ISO 8601 date or time, such as 2024-06-20, or a duration before now: -1d, -36h"
    )
    group.add_argument("--until", metavar="TIME", help="the same; a date is its first moment")
    group.add_argument(
        "--timezone", default="UTC", metavar="ZONE", help="zone of times without offset and of days (default: UTC)"
    )


def add_layout_flags(parser: argparse.ArgumentParser | argparse._ArgumentGroup) -> None:
    """Adds `--layout` and `--column`."""
    parser.add_argument(
        "--layout",
        default="auto",
        metavar="|".join(LAYOUTS),
        help="how messages lie in Parquet files (default: auto, by the columns)",
    )
    parser.add_argument("--column", metavar="NAME", help="Parquet column with the JSON (default: found by itself)")


def layout_name(text: str) -> str:
    """Returns the layout that a text names.

    Raises:
      UsageError: it names none.
    """
    for layout in LAYOUTS:
        if plain(layout) == plain(text):
            return layout
    hint = suggestion(text, LAYOUTS)
    raise UsageError(f"--layout: {shown(text)} is no layout; one of {', '.join(LAYOUTS)} is needed.{hint}")


def names_in(words: Iterable[str]) -> list[str]:
    """Returns the names of files of a flag's values; several in one value are joined by commas, as templates do.

    A comma is a legal character of a name, so it divides only where a new `gs://` begins.

    >>> names_in(["gs://a/x,y.gz,gs://b/*", "c,d.parquet"])
    ['gs://a/x,y.gz', 'gs://b/*', 'c,d.parquet']
    """
    return [name for word in words for name in re.split(r", *(?=gs://)", word)]


def rows_wanted(arguments: argparse.Namespace, flag: str = "rows") -> int | None:
    """Returns the number behind a flag, None if it is not given.

    Raises:
      UsageError: it is no number above 0.
    """
    text: str | None = getattr(arguments, flag)
    if text is None:
        return None
    if not text.isdecimal() or not int(text):
        raise UsageError(f"--{flag}: {shown(text)} is not allowed; a number above 0 is needed.")
    return int(text)


def missing_token(command: str, runner: str) -> UsageError:
    """Returns the error of a connection that names no token; workers on Dataflow have no variables of this machine."""
    on_dataflow = runner == "DataflowRunner"
    example = "projects/acme-prod/secrets/tiktok-token/versions/latest" if on_dataflow else "env:TIKTOK_TOKEN"
    return UsageError(
        f"access_token is missing: `{command}` needs a reference to the token, such as {example}, in the connection "
        "file or as --access_token."
    )


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


def window(arguments: argparse.Namespace) -> tuple[int | None, int | None]:
    """Returns `--since` and `--until` in UTC epoch milliseconds."""
    return time_window(arguments.since, arguments.until, arguments.timezone)


def read(arguments: argparse.Namespace, path: str | None = None, flags: Mapping[str, str] | None = None) -> Read:
    """Returns the connection of `--connection` and the flags, with its warnings.

    Args:
      arguments: of a parser with `add_shared_flags`.
      path: instead of `--connection`.
      flags: keys that the command has read itself.
    """
    return read_connection(path or arguments.connection, {**connection_flags(arguments), **(flags or {})})


def read_and_warn(
    arguments: argparse.Namespace, flags: Mapping[str, str] | None = None, path: str | None = None
) -> Connection:
    """Returns the connection as `read` does; its warnings are logged."""
    connection, warnings = read(arguments, path, flags)
    for warning in warnings:
        _log.warning("%s", warning)
    return connection
