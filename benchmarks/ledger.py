"""What a ledger costs: the whole batch run with and without one, to a sender that sends nothing.

Rounds of four runs, side by side: off and on, on one core (the writer's thread shares it with the run) and on all.

    python benchmarks/ledger.py [--events 300000] [--rounds 3] [--out FILE]

To reach: on ≤ 10 % slower than off.
"""

import argparse
import contextlib
import shutil
import tempfile
import time
from pathlib import Path

import common
import runs

from pipeline.records.record_outcomes import Records


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=300_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out")
    arguments = parser.parse_args()
    events = arguments.events
    # Where, and by which clock → case → microseconds an event, by round.
    micros: dict[str, dict[str, list[float]]] = {}
    bytes_a_row = 0.0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files = runs.write_purchases(folder, events)
        settings = runs.connection(runs.write_token(folder))
        ledger = folder / "ledger"
        for number in range(arguments.rounds):
            for where in ("one core", "all cores"):
                # In turns, so that neither is always the first.
                for case in ("off", "on") if number % 2 else ("on", "off"):
                    shutil.rmtree(ledger, ignore_errors=True)
                    records = Records(ledger=str(ledger) if case == "on" else None, run_id="benchmark")
                    began = time.process_time()
                    with runs.one_core() if where == "one core" else contextlib.nullcontext():
                        wall_secs = runs.run(files, settings, records, runs.NullTransport).seconds
                    cpu_secs = time.process_time() - began
                    for clock, secs in (("wall", wall_secs), ("processor", cpu_secs)):
                        cases = micros.setdefault(f"{where}, {clock}", {"off": [], "on": []})
                        cases[case].append(round(secs / events * 1e6, 2))
                    if case == "on":
                        bytes_a_row = sum(path.stat().st_size for path in ledger.rglob("*.parquet")) / events
            print("; ".join(f"{what}: off {us['off'][-1]} on {us['on'][-1]} µs" for what, us in micros.items()))
    ratios = {}
    for what, us in micros.items():
        # The machine's other load only ever adds: of each case the quickest run is nearest to the truth.
        off, on = min(us["off"]), min(us["on"])
        ratios[what] = round(on / off, 3)
        print(f"{what}: {on - off:.2f} µs a row, {on / off - 1:.1%} more (to reach: 10 %)")
    print(f"{bytes_a_row:.0f} bytes a row")
    figures = {"events": events, "micros_per_event": micros, "ratios": ratios, "bytes_a_row": round(bytes_a_row, 1)}
    common.finish("ledger", runs.SEED, figures, arguments.out)


if __name__ == "__main__":
    main()
