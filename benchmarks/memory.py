"""Memory of a whole batch run while its input grows: each size in a process of its own, peak resident memory.

    python benchmarks/memory.py [--events 100000 300000 1000000] [--ledger] [--out FILE]

To reach: flat, within 15 % of the smallest.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import common
import runs

from pipeline.records.record_outcomes import Records


def measure(folder: Path, events: int, ledger: bool) -> None:
    """Runs once and prints the figures as JSON."""
    records = Records(ledger=str(folder / f"ledger-{events}")) if ledger else None
    settings = runs.connection(runs.write_token(folder))
    summary = runs.run(folder / f"purchases-{events}", settings, records, runs.NullTransport)
    peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    figures = {"events": events, "peak_mib": round(peak_mib), "events_per_second": round(events / summary.seconds)}
    print(json.dumps(figures))


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, nargs="+", default=[100_000, 300_000, 1_000_000])
    parser.add_argument("--ledger", action="store_true", help="with a ledger")
    parser.add_argument("--folder", help="keep the input there")
    parser.add_argument("--out")
    parser.add_argument("--measure", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        measure(Path(arguments.folder), arguments.measure, arguments.ledger)
        return
    sizes = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(arguments.folder or name)
        folder.mkdir(parents=True, exist_ok=True)
        for events in arguments.events:
            runs.write_purchases(folder, events)
            command = [sys.executable, __file__, "--folder", str(folder), "--measure", str(events)]
            command += ["--ledger"] if arguments.ledger else []
            output = subprocess.run(command, check=True, capture_output=True, text=True).stdout  # noqa: S603  # this file
            sizes.append(json.loads(output.splitlines()[-1]))
            peak_mib, rate = sizes[-1]["peak_mib"], sizes[-1]["events_per_second"]
            print(f"{events:>12,} events: {peak_mib:,} MiB at most, {rate:,} events/s")
    growth = max(size["peak_mib"] for size in sizes) / sizes[0]["peak_mib"]
    print(f"largest: {growth:.2f} of the smallest (to reach: 1.15)")
    common.finish("memory", runs.SEED, {"sizes": sizes, "growth_ratio": round(growth, 3)}, arguments.out)


if __name__ == "__main__":
    main()
