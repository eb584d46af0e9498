"""`make demo-stream`: a minute of a live stream on one machine, without any account.

Starts the stand-ins for Pub/Sub and TikTok, publishes generated mParticle batches at a rate, runs `python -m pipeline
run --subscription …` as anybody would, ends it with SIGTERM, and shows what became of every event, and how long it took
from publication to acceptance. Exit code 0 if all counts add up, else 1.
"""

import argparse
import os
import secrets
import shlex
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import pyarrow.dataset as ds
from rich.console import Console
from rich.table import Table

from sandbox.demo import batch as demo
from sandbox.demo import report as demoreport
from sandbox.demo.report import Holding
from sandbox.pubsub import PubSub
from sandbox.shop import generator
from sandbox.tiktok import Sandbox

_TOPIC = "mparticle"

# A program starts in some seconds; messages that came meanwhile would show its start, not the stream.
_START_SECS = 30.0
_END_SECS = 120.0

_MAX_WAIT_SECS = 2


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the demo.

    Args:
      argv: the arguments without the program's name; None: those of the process.

    Returns:
      0 if the stream settled every event and all counts add up, else 1.
    """
    parser = _parser()
    options = parser.parse_args(argv)
    if options.seconds < 1 or options.rate < 1:
        parser.error("--seconds and --rate: numbers from 1 are needed")
    console = Console(highlight=False)
    folder: Path = options.output
    if not demo.recreate(folder):
        console.print(f"{folder} exists and was not made by the demo; choose another --output.", style="red")
        return 1
    with Sandbox(tokens=[f"demo-token-{secrets.token_hex(16)}"]) as sandbox, PubSub() as server:
        subscription = server.subscription(_TOPIC)
        demo.write_connection(folder, sandbox.api_url)
        console.print(f"Stand-in for TikTok: {sandbox.api_url}, for Pub/Sub: PUBSUB_EMULATOR_HOST={server.address}")
        published: dict[str, float] = {}
        exit_code = _run(folder, sandbox, server, subscription, options, published, console)
        if exit_code != 0:
            console.print(f"The stream ended with exit code {exit_code}.", style="red")
            if not (folder / "summary.json").exists():
                return 1
        totals = sandbox.totals()
        holding = Holding(frozenset(sandbox.accepted()), totals.accepted, totals.duplicates)
        agrees = demo.report(folder, holding, console)
        console.print()
        console.print(_latency_table(_latencies(folder, sandbox, published), console))
        left = server.stats(subscription)
        acknowledged = left.held == 0 and left.acknowledged == len(published)
        console.print(
            f"\nPub/Sub: {len(published):,} published, {left.acknowledged:,} acknowledged, {left.held:,} left.",
            style="" if acknowledged else "bold red",
        )
    return 0 if agrees and acknowledged and exit_code == 0 else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="sandbox.demo.stream", description="A stream at work, against stand-ins for Pub/Sub and TikTok."
    )
    parser.add_argument("--seconds", type=int, default=60, help="how long messages are published (default: 60)")
    parser.add_argument("--rate", type=int, default=500, help="messages a second (default: 500)")
    parser.add_argument("--seed", type=int, default=generator.DEFAULT_SEED, help="another seed, other batches")
    parser.add_argument(
        "--output", type=Path, default=Path("demo-output"), help="folder, made anew (default: demo-output)"
    )
    return parser


def _run(
    folder: Path,
    sandbox: Sandbox,
    server: PubSub,
    subscription: str,
    options: argparse.Namespace,
    published: dict[str, float],
    console: Console,
) -> int:
    """Runs the pipeline as a program of its own, publishes, ends it, and returns its exit code."""
    command = [
        *("-m", "pipeline", "run"),
        *("--connection", str(folder / "connection.yaml")),
        *("--subscription", subscription),
        *("--max_wait_secs", str(_MAX_WAIT_SECS)),
        *("--ledger", str(folder / "ledger")),
        *("--dead_letters", str(folder / "dead_letters")),
        *("--summary", str(folder / "summary.json")),
    ]
    console.print(f"\n[bold]$ {demo.python()} {shlex.join(command)}[/]", soft_wrap=True)
    environment = os.environ | {demo.TOKEN_VARIABLE: sandbox.token, "PUBSUB_EMULATOR_HOST": server.address}
    with (folder / "run.txt").open("wb") as tables:
        stream = subprocess.Popen([sys.executable, *command], env=environment, stdout=tables)
        try:
            # The first message only shows that the stream runs; all others are measured.
            _publish(server, options.seed, 1, None, published)
            _wait(lambda: server.stats(subscription).handed_out > 0 or stream.poll() is not None, _START_SECS)
            console.print(f"Publishing {options.rate:,} messages a second for {options.seconds} s, then SIGTERM")
            _publish(server, options.seed + 1, options.rate * options.seconds, options.rate, published)
            _wait(lambda: server.stats(subscription).held == 0 or stream.poll() is not None, _END_SECS)
        except KeyboardInterrupt:
            console.print("Ending early.")
        if stream.poll() is None:
            stream.send_signal(signal.SIGTERM)
        return stream.wait(_END_SECS)


def _publish(server: PubSub, seed: int, count: int, per_second: int | None, published: dict[str, float]) -> None:
    """Publishes batches, and notes when each went out; the stand-in numbers messages in their order."""
    first = len(published) + 1
    now_ms = int(time.time() * 1_000)
    # Batches are four seconds apart in a file; in a stream they happen when they are published.
    messages = generator.batches(count, seed, now_ms, every_ms=max(1, 1_000 // (per_second or 1_000)))

    def stamped() -> Iterator[bytes]:
        for number, message in enumerate(messages, first):
            published[str(number)] = time.time()
            yield message

    server.publish(_TOPIC, stamped(), per_second)


def _wait(condition: Callable[[], bool], secs: float) -> None:
    end = time.monotonic() + secs
    while not condition() and time.monotonic() < end:
        time.sleep(0.1)


def _latencies(folder: Path, sandbox: Sandbox, published: Mapping[str, float]) -> list[float]:
    """Returns the seconds from the publication of a message to the acceptance of each of its events."""
    columns = ["kind", "event_source_id", "event", "event_id", "input_ref"]
    rows = ds.dataset(folder / "ledger", format="parquet").to_table(columns=columns).to_pylist()
    accepted = sandbox.accepted_in_detail()
    found = []
    for row in rows:
        key = (row["event_source_id"], row["event"], row["event_id"])
        # A repeat was accepted with the first one, before it was published.
        if row["kind"] == "delivered" and key in accepted and row["input_ref"] in published:
            found.append(accepted[key].first_accepted - published[row["input_ref"]])
    return sorted(wait for wait in found if wait > 0)


def _latency_table(waits: list[float], console: Console) -> Table:
    table = demoreport.empty_table(console, "Publication → accepted by the stand-in, seconds")
    for heading in ("p50", "p95", "p99", "longest"):
        table.add_column(heading, justify="right")
    if len(waits) > 1:
        cuts = statistics.quantiles(waits, n=100)
        table.add_row(*(f"{value:.2f}" for value in (cuts[49], cuts[94], cuts[98], waits[-1])))
    return table


if __name__ == "__main__":
    sys.exit(main())
