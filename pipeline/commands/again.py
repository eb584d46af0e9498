"""The flags of safe re-processing, which `run` and `replay` share."""

import argparse

from pipeline.problems import UsageError, shown


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
