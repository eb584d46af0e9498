"""`python -m pipeline demo`: the whole pipeline on one machine, without any account.

Writes generated mParticle batches as Parquet, starts the stand-in for TikTok, runs `python -m pipeline run` as anybody
would, and shows what became of every event. Exit code 0 if all counts add up, else 1.
"""

import argparse
import json
import os
import secrets
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from sandbox.demo import report as demoreport
from sandbox.demo.report import Holding
from sandbox.shop import generator
from sandbox.tiktok import Sandbox

TOKEN_VARIABLE = "TIKTOK_DEMO_TOKEN"  # noqa: S105 - the name of a variable
EVENT_SOURCE_ID = "DEMO0PIXEL0ID0000000"
# In every folder that the demo made, so that it never removes one that it did not make.
MARKER = ".made-by-the-demo"

# A budget far above the demo's few dozen requests, so that pacing does not set its speed.
CONNECTION = """\
# Events API 2.0 for the web and for data feeds, sent to the stand-in for TikTok.
event_source_id: {event_source_id}
access_token: env:{token_variable}
enable_web_migration: true
event_source_type: web
default_currency: USD
default_phone_region: US
requests_per_second: 500
api_url: {api_url}
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the demo.

    Args:
      argv: the arguments without the program's name; None: those of the process.

    Returns:
      0 if the run settled every event and all counts add up, else 1.
    """
    parser = _parser()
    options = parser.parse_args(argv)
    if options.batches < 1:
        parser.error("--batches: a number from 1 is needed")
    console = Console(highlight=False)
    folder: Path = options.output
    if not recreate(folder):
        console.print(f"{folder} exists and was not made by the demo; choose another --output.", style="red")
        return 1
    _write_input(folder, options.batches, options.seed, console)
    # A token of this run's own: whatever finds it in a file or a log has found a leak.
    with Sandbox(tokens=[f"demo-token-{secrets.token_hex(16)}"]) as sandbox:
        write_connection(folder, sandbox.api_url)
        console.print(f"Stand-in for TikTok: {sandbox.api_url}")
        exit_code = _run(folder, sandbox.token, console)
        if exit_code != 0:
            console.print(f"The run ended with exit code {exit_code}.", style="red")
            if not (folder / "summary.json").exists():
                return 1
        totals = sandbox.totals()
        holding = Holding(frozenset(sandbox.accepted()), totals.accepted, totals.duplicates)
        agrees = report(folder, holding, console)
        _what_next(folder, console)
        if options.keep:
            _wait_for_interrupt(console)
    return 0 if agrees and exit_code == 0 else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tiktok-events demo", description="The pipeline at work, against a stand-in for TikTok on this machine."
    )
    parser.add_argument("--batches", type=int, default=20_000, help="how many mParticle batches (default: 20000)")
    parser.add_argument("--seed", type=int, default=generator.DEFAULT_SEED, help="another seed, other batches")
    parser.add_argument(
        "--output", type=Path, default=Path("demo-output"), help="folder, made anew (default: demo-output)"
    )
    parser.add_argument(
        "--keep", action="store_true", help="keep the stand-in running afterwards, until you press Ctrl-C"
    )
    return parser


def recreate(folder: Path) -> bool:
    """Makes an empty folder; returns False, and touches nothing, if there is one that the demo did not make."""
    if folder.exists():
        if any(folder.iterdir()) and not (folder / MARKER).exists():
            return False
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    (folder / MARKER).touch()
    return True


def _write_input(folder: Path, count: int, seed: int, console: Console) -> None:
    """Writes the batches as Parquet files, and the first few as lines to look at."""
    started = time.perf_counter()
    messages = generator.batches(count, seed)
    paths = generator.write_parquet(folder / "input", messages, rows_per_group=2_500, files=2)
    generator.write_ndjson(folder / "sample.ndjson", generator.batches(min(count, 25), seed))
    size = sum(path.stat().st_size for path in paths)
    took = f"{time.perf_counter() - started:.1f} s"
    console.print(f"Sample data: {count:,} mParticle batches, {size / 1e6:.1f} MB of Parquet, seed {seed} ({took})")


def write_connection(folder: Path, api_url: str) -> None:
    """Writes the connection that the demo uses."""
    text = CONNECTION.format(event_source_id=EVENT_SOURCE_ID, token_variable=TOKEN_VARIABLE, api_url=api_url)
    (folder / "connection.yaml").write_text(text)


def _run(folder: Path, token: str, console: Console) -> int:
    """Runs the pipeline as a program of its own and returns its exit code.

    Its progress and its log appear on this terminal; the tables at its end go to a file, since ours follow.
    """
    command = [
        *("-m", "pipeline", "run"),
        *("--connection", str(folder / "connection.yaml")),
        *("--input", str(folder / "input" / "*.parquet")),
        *("--ledger", str(folder / "ledger")),
        *("--dead_letters", str(folder / "dead_letters")),
        *("--summary", str(folder / "summary.json")),
    ]
    console.print(f"\n[bold]$ {python()} {shlex.join(command)}[/]", soft_wrap=True)
    environment = os.environ | {TOKEN_VARIABLE: token}
    with (folder / "run.txt").open("wb") as tables:
        return subprocess.run([sys.executable, *command], env=environment, stdout=tables, check=False).returncode


def report(folder: Path, holding: Holding, console: Console) -> bool:
    """Prints the tables and the verdict; returns whether everything adds up."""
    summary: dict[str, Any] = json.loads((folder / "summary.json").read_text())
    ledger = demoreport.read_ledger(folder / "ledger")
    for table in (
        demoreport.run_table(summary, console),
        demoreport.outcome_table(summary, console),
        demoreport.coverage_table(summary, ledger, console),
    ):
        console.print()
        console.print(table)
    console.print()
    return demoreport.verdict(demoreport.checks(summary, ledger, holding), holding, console)


def _what_next(folder: Path, console: Console) -> None:
    preview = f"-m pipeline preview {folder / 'sample.ndjson'} --connection {folder / 'connection.yaml'}"
    console.print("\nWhat to look at next:")
    for line in (
        f"{folder / 'run.txt'}: what the run printed, with what to do about each reason",
        f"{folder / 'ledger'}: a row for each outcome (Parquet)",
        f"{folder / 'dead_letters'}: what was rejected, and why (Parquet)",
        f"{python()} {preview}",
    ):
        console.print(f"  {line}", soft_wrap=True)


def python() -> str:
    """Returns this interpreter as one would type it: a path within the working directory, or `python`."""
    program, here = Path(sys.executable), Path.cwd()
    return str(program.relative_to(here)) if program.is_relative_to(here) else "python"


def _wait_for_interrupt(console: Console) -> None:
    console.print("\nThe stand-in keeps running; press Ctrl-C to stop it.")
    try:
        while True:
            time.sleep(3_600)
    except KeyboardInterrupt:
        console.print("Stopped.")


if __name__ == "__main__":
    sys.exit(main())
