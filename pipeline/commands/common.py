"""What several commands share: their common flags, and reading the connection that the flags describe."""

import argparse
import logging
import re
from collections.abc import Collection, Iterable, Mapping

from pipeline.flags import add_connection_flags, connection_flags
from pipeline.options import LAYOUTS
from pipeline.problems import UsageError, plain, shown, suggestion
from pipeline.settings import Read, read_connection
from pipeline.windows import time_window
from transforms.connection import Connection

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
