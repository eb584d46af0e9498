"""What `--skip_delivered` costs with a ledger of ten million rows: whole batch runs to a sender that sends nothing.

Off and on in turns, in one process on one core with the table in memory; loading it is measured by itself, and the
memory in a process that does everything once.

    python benchmarks/reprocessing.py [--events 200000] [--rows 10000000] [--rounds 5] [--folder DIR] [--out FILE]

To reach: ≤ 15 % of the throughput, ≤ 1 GB of memory in all. `--folder` keeps input and ledger for the next time; making
the ledger takes about a minute.
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

from pipeline.ledger.delivered import LedgerPart, LoadDeliveryHistory, find_parts, ledger_files
from pipeline.records.parquet_files import RowFiles
from pipeline.records.record_outcomes import Records
from transforms.deduplicate import DropDuplicates, SkipDelivered
from transforms.model import Outcome
from transforms.vocabulary import Form, Kind, Stage

_EVENT = "PlaceAnOrder"
_LIST = 1_000
_CASES = ("off", "skip", "duplicates")
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


def whole_run(folder: Path, events: int, rows: int) -> None:
    """Runs once with all that belongs to it, and prints the memory and the seconds of loading."""
    load = LoadDeliveryHistory(_parts(folder, rows), "PIXEL")
    files, settings = runs.write_purchases(folder, events), runs.connection(runs.write_token(folder))
    runs.run(files, settings, None, runs.NullTransport, skip=SkipDelivered("PIXEL", load))
    print(json.dumps({"peak_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)}))


def compare(folder: Path, events: int, rows: int, rounds: int) -> None:
    """Runs all cases in turns, in this process with the table in memory, and prints the figures of each."""
    began, began_cpu = time.perf_counter(), time.process_time()
    runs.remember(LoadDeliveryHistory(_parts(folder, rows), "PIXEL")())
    loading = {"wall": time.perf_counter() - began, "processor": time.process_time() - began_cpu}
    files, settings = runs.write_purchases(folder, events), runs.connection(runs.write_token(folder))
    runs.run(files, settings, None, runs.NullTransport)  # the first run of a process takes longer
    found: dict[str, dict[str, list[float]]] = {case: {"wall": [], "processor": []} for case in _CASES}
    for number in range(rounds):
        for case in _CASES if number % 2 else reversed(_CASES):
            skip = SkipDelivered("PIXEL", runs.remembered) if case == "skip" else None
            duplicates = DropDuplicates("PIXEL", one_process=True) if case == "duplicates" else None
            began, began_cpu = time.perf_counter(), time.process_time()
            with runs.one_core():
                runs.run(files, settings, None, runs.NullTransport, skip=skip, duplicates=duplicates)
            found[case]["wall"].append(round(time.perf_counter() - began, 3))
            found[case]["processor"].append(round(time.process_time() - began_cpu, 3))
    print(json.dumps({"loading": loading, "runs": found}))


def _parts(folder: Path, rows: int) -> tuple[LedgerPart, ...]:
    return tuple(find_parts(ledger_files(str(write_ledger(folder, rows))), "PIXEL"))


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=200_000)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--folder", help="keep input and ledger there")
    parser.add_argument("--out")
    parser.add_argument("--child", choices=["whole", "compare"], help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(arguments.folder or name)
        folder.mkdir(parents=True, exist_ok=True)
        if arguments.child == "whole":
            whole_run(folder, arguments.events, arguments.rows)
        elif arguments.child == "compare":
            compare(folder, arguments.events, arguments.rows, arguments.rounds)
        else:
            runs.write_purchases(folder, arguments.events)
            write_ledger(folder, arguments.rows)
            report(arguments, folder)


def report(arguments: argparse.Namespace, folder: Path) -> None:
    """Has both children measure, and prints what it comes to."""

    def child(name: str) -> Any:
        command = [
            sys.executable,
            __file__,
            "--folder",
            str(folder),
            "--child",
            name,
            "--rounds",
            str(arguments.rounds),
        ]
        command += ["--events", str(arguments.events), "--rows", str(arguments.rows)]
        output = subprocess.run(command, check=True, capture_output=True, text=True).stdout  # noqa: S603  # this file
        return json.loads(output.splitlines()[-1])

    found, peak_mib = child("compare"), child("whole")["peak_mib"]
    figures: dict[str, Any] = {"events": arguments.events, "rows": arguments.rows, **found, "peak_mib": peak_mib}
    for clock in ("processor", "wall"):
        # The machine's other load only ever adds: of each case the quickest run is nearest to the truth.
        off, skip, duplicates = (min(found["runs"][case][clock]) for case in _CASES)
        loading = found["loading"][clock]
        # Loading counts once in a run of ten million events, which is as long as the ledger.
        whole = skip / off + loading / (off / arguments.events * 10_000_000)
        figures[clock] = {
            "events_per_second": round(arguments.events / off),
            "lookups_ratio": round(skip / off, 3),
            "loading_seconds": round(loading, 2),
            "ratio": round(whole, 3),
            "duplicates_ratio": round(duplicates / off, 3),
        }
        print(f"by the {clock} clock: off {arguments.events / off:,.0f} events/s")
        print(f"  --skip_delivered: look-ups {skip / off - 1:.1%}; loading the table {loading:.1f} s, once a process;")
        print(f"    together {whole - 1:.1%} of a run of 10,000,000 events (to reach: 15 %)")
        print(f"  --drop_duplicates: {duplicates / off - 1:.1%}")
    print(f"memory: {peak_mib:,} MiB at most (to reach: 1 GB)")
    common.finish("reprocessing", runs.SEED, figures, arguments.out)


if __name__ == "__main__":
    main()
