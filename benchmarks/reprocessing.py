"""What `--skip_delivered` costs with a ledger of ten million rows: whole batch runs to a sender that sends nothing.

Each run is a process of its own, so that its peak memory is its own; off and on in turns, side by side.

    python benchmarks/reprocessing.py [--events 1000000] [--rows 10000000] [--rounds 2] [--folder DIR] [--out FILE]

To reach: ≤ 15 % of the throughput, ≤ 1 GB of memory in all. The table is made once a process, whatever the length of
the run; the figure for the run with the look-ups alone is given beside the one for everything. `--folder` keeps input
and ledger for the next time; making the ledger takes about a minute.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import common
import runs

from pipeline.delivered import LoadSettled, ledger_files, relevant
from pipeline.records import Records
from pipeline.rowfiles import RowFiles
from transforms.model import Form, Kind, Outcome, Stage
from transforms.skip import DropDuplicates, SkipDelivered

_EVENT = "PlaceAnOrder"
_LIST = 1_000
# 2024-06-20: when the ledger's events happened, one a second from there on.
_FIRST_MS = 1_718_841_600_000


def write_ledger(folder: Path, rows: int) -> Path:
    """Returns a ledger of delivered events, written by the step that writes all ledgers; made only once."""
    wanted = folder / f"ledger-{rows}"
    if wanted.exists():
        return wanted
    unfinished = folder / f"unfinished-ledger-{rows}"
    ((_, collector, layout),) = Records(ledger=str(unfinished), event_source_id="PIXEL", run_id="made").kinds()
    with ThreadPoolExecutor(1) as pool:
        files = RowFiles(pool, str(unfinished), collector, layout, "made")
        for start in range(0, rows, _LIST):
            outcomes = [
                Outcome(
                    Kind.DELIVERED,
                    Stage.WRITE,
                    None,
                    f"gs://acme-exports/2024-06-20/AcmeStore_1.txt#{number}",
                    0,
                    form=Form.WEB,
                    event=_EVENT,
                    event_id=str(uuid.UUID(int=number * 0x9E3779B97F4A7C15F39CC0605CEDC835 % 2**128)),
                    occurred_at_ms=_FIRST_MS + number * 1_000,
                    attempts=1,
                    sent_at_ms=_FIRST_MS,
                    first_sent_at_ms=_FIRST_MS,
                )
                for number in range(start, start + _LIST)
            ]
            if files.add(outcomes):
                files.flush(time.time())
        files.flush(time.time())
        files.wait()
    unfinished.rename(wanted)
    return wanted


def measure(folder: Path, events: int, rows: int, case: str) -> None:
    """Runs once and prints the figures as JSON."""
    parts = tuple(relevant(ledger_files(str(write_ledger(folder, rows))), "PIXEL"))
    load = LoadSettled(parts, "PIXEL")
    began, began_cpu = time.perf_counter(), time.process_time()
    if case == "load":
        load()
    else:
        settings = runs.connection(runs.write_token(folder))
        skip = SkipDelivered("PIXEL", load) if case == "skip" else None
        duplicates = DropDuplicates("PIXEL", one_process=True) if case == "duplicates" else None
        files = runs.write_purchases(folder, events)
        runs.run(files, settings, None, runs.NullTransport, skip=skip, duplicates=duplicates)
    figures = {
        "wall": round(time.perf_counter() - began, 2),
        "processor": round(time.process_time() - began_cpu, 2),
        "peak_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }
    print(json.dumps(figures))


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--folder", help="keep input and ledger there")
    parser.add_argument("--out")
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(arguments.folder or name)
        folder.mkdir(parents=True, exist_ok=True)
        if arguments.measure:
            measure(folder, arguments.events, arguments.rows, arguments.measure)
            return
        runs.write_purchases(folder, arguments.events)
        write_ledger(folder, arguments.rows)
        compare(arguments, folder)


def compare(arguments: argparse.Namespace, folder: Path) -> None:
    """Runs all cases in turns and prints what each costs."""
    found: dict[str, list[dict[str, float]]] = {"off": [], "load": [], "skip": [], "duplicates": []}
    for number in range(arguments.rounds):
        for case in found if number % 2 else reversed(found):
            command = [sys.executable, __file__, "--folder", str(folder), "--measure", case]
            command += ["--events", str(arguments.events), "--rows", str(arguments.rows)]
            output = subprocess.run(command, check=True, capture_output=True, text=True).stdout  # noqa: S603  # this file
            found[case].append(json.loads(output.splitlines()[-1]))
            print(f"{case}: {output.splitlines()[-1]}", flush=True)
    figures: dict[str, Any] = {"events": arguments.events, "rows": arguments.rows, "runs": found}
    for clock in ("processor", "wall"):
        # The machine's other load only ever adds: of each case the quickest run is nearest to the truth.
        off, load, skip, duplicates = (min(one[clock] for one in runs_of) for runs_of in found.values())
        lookups = skip - load
        longer = 10_000_000 / arguments.events
        figures[clock] = {
            "events_per_second": round(arguments.events / off),
            "lookups_ratio": round(lookups / off, 3),
            "load_seconds": load,
            "ratio": round(skip / off, 3),
            "ratio_of_ten_million_events": round((longer * lookups + load) / (longer * off), 3),
            "duplicates_ratio": round(duplicates / off, 3),
        }
        print(f"by the {clock} clock: off {arguments.events / off:,.0f} events/s")
        print(
            f"  --skip_delivered: look-ups {lookups / off - 1:.1%} of the time; the table {load:.1f} s, once a process"
        )
        print(f"    all of it, of a run of {arguments.events:,} events: {skip / off - 1:.1%}")
        print(f"    of one of 10,000,000: {figures[clock]['ratio_of_ten_million_events'] - 1:.1%} (to reach: 15 %)")
        print(f"  --drop_duplicates: {duplicates / off - 1:.1%}")
    figures["peak_mib"] = max(one["peak_mib"] for one in found["skip"])
    print(f"memory: {figures['peak_mib']:,} MiB at most (to reach: 1 GB)")
    common.finish("reprocessing", runs.SEED, figures, arguments.out)


if __name__ == "__main__":
    main()
