"""`reconcile`: what became of everything, by day and event, and whether the ledger agrees with the runs."""

import datetime
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from pipeline.arguments import StrictParser, add_recording_window_flags, add_verbose_flag, window
from pipeline.errors import EXIT_SETTLED, EXIT_UNSETTLED, UsageError

if TYPE_CHECKING:
    from rich.table import Table

    from pipeline.ledger import DayCount, Reconciliation, RunCheck

_DESCRIPTION = """Counts the ledger by day of recording (UTC) and event, and compares each run with its own summary.

In every line: in = delivered + skipped + rejected + undelivered + unknown. Exit code 0: the ledger holds exactly what
the runs counted; 3: it does not, or a run did not finish and no later one has done its window.

examples:
  tiktok-events reconcile --ledger ledger --since 2024-06-20 --until 2024-06-27
  tiktok-events reconcile --ledger gs://acme-tiktok/ledger --json"""


def execute(argv: list[str]) -> int:
    """Runs the command and returns its exit code."""
    parser = StrictParser("reconcile --ledger DIR", _DESCRIPTION)
    parser.add_argument("--ledger", metavar="DIR", help="the folder that `run --ledger` wrote (required)")
    add_recording_window_flags(parser, "outcomes")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of tables")
    add_verbose_flag(parser)
    arguments = parser.parse_strictly(argv)
    if not arguments.ledger:
        raise UsageError("--ledger is missing: name the folder that `run --ledger` wrote.")
    since_ms, until_ms = window(arguments)
    # Reading Parquet loads Beam's file systems, which takes seconds: a mistake in the command line is reported before.
    from pipeline.ledger import reconcile_ledger

    found = reconcile_ledger(arguments.ledger, since_ms, until_ms, datetime.datetime.now(datetime.UTC))
    if not found.days and not found.runs:
        raise UsageError(f"--ledger {arguments.ledger}: nothing was recorded there in this time. Check path and time.")
    if arguments.json:
        import msgspec

        sys.stdout.write(msgspec.json.encode(found).decode() + "\n")
    else:
        _print(found)
    return EXIT_SETTLED if found.adds_up else EXIT_UNSETTLED


def _print(found: "Reconciliation") -> None:
    from rich.console import Console

    # Tables are as wide as their content where nobody looks at a terminal.
    console = Console(file=sys.stdout, width=None if sys.stdout.isatty() else 200)
    console.print(_day_table(found.days))
    console.print()
    console.print(_run_table(found.runs))
    agreement = "adds up: the ledger holds exactly what the runs counted."
    words = agreement if found.adds_up else "DOES NOT ADD UP: see the notes."
    console.print(f"\n{words}", style="" if found.adds_up else "bold red", highlight=False)


def _day_table(days: "Sequence[DayCount]") -> "Table":
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("day", "event"):
        table.add_column(name)
    for name in ("in", "delivered", "skipped", "rejected", "undelivered", "unknown"):
        table.add_column(name, justify="right")
    table.add_column("skipped because", overflow="fold")
    for day in days:
        numbers = (day.entered, day.delivered, sum(day.skipped.values()), day.rejected, day.undelivered, day.unknown)
        reasons = ", ".join(f"{reason} {count:,}" for reason, count in day.skipped.items())
        table.add_row(day.day, day.event or "(none)", *(f"{number:,}" for number in numbers), reasons)
    return table


def _run_table(runs: "Sequence[RunCheck]") -> "Table":
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("run", "state"):
        table.add_column(name)
    for name in ("by the run", "in the ledger", "repeated rows"):
        table.add_column(name, justify="right")
    table.add_column("agrees")
    table.add_column("note", overflow="fold")
    words = {True: "yes", False: "NO", None: "-"}
    for run in runs:
        counted = "-" if run.summary is None else f"{run.summary:,}"
        table.add_row(
            run.run_id, run.state or "-", counted, f"{run.ledger:,}", f"{run.repeated:,}", words[run.agrees], run.note
        )
    return table
