"""The whole batch run against the plain loop over the same functions, on one core.

Three shapes in turn, several rounds, side by side in one run:

    plain     read Parquet, map, join into request bodies, in a plain loop
    null      the whole pipeline on the local runner, to a sender that sends nothing
    sandbox   the same, over HTTP to the sandbox on the other core

    python benchmarks/batch.py [--events 400000] [--rounds 3] [--out FILE]

To reach: null ≥ 0.85 of plain, sandbox ≥ 0.75 of plain.
"""

import argparse
import os
import statistics
import tempfile
from pathlib import Path

import common
import runs

from sandbox.tiktok.control import Sandbox


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=400_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out")
    arguments = parser.parse_args()
    rates: dict[str, list[float]] = {"plain": [], "null": [], "sandbox": []}
    with tempfile.TemporaryDirectory() as name, Sandbox() as sandbox:
        folder = Path(name)
        files = runs.write_purchases(folder, arguments.events)
        null = runs.connection(runs.write_token(folder))
        real = runs.connection(runs.write_token(folder, sandbox.token), api_url=sandbox.api_url)
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(sandbox.pid, {cores[-1]})
        with runs.one_core():
            for _ in range(arguments.rounds):
                rates["plain"].append(arguments.events / runs.plain_loop(files, null))
                rates["null"].append(arguments.events / runs.run(files, null, transport=runs.NullTransport).seconds)
                sandbox.reset()
                rates["sandbox"].append(arguments.events / runs.run(files, real).seconds)
                print("  ".join(f"{shape} {rate[-1]:,.0f}/s" for shape, rate in rates.items()))
    ratios = {
        shape: statistics.median(rate / plain for rate, plain in zip(rates[shape], rates["plain"], strict=True))
        for shape in ("null", "sandbox")
    }
    for shape, reach in (("null", 0.85), ("sandbox", 0.75)):
        print(f"{shape}: {ratios[shape]:.2f} of the plain loop (to reach: {reach})")
    figures = {f"{shape}_events_per_second": round(statistics.median(rate)) for shape, rate in rates.items()}
    figures |= {f"{shape}_ratio": round(ratio, 3) for shape, ratio in ratios.items()}
    common.finish("batch", runs.SEED, {"events": arguments.events, "rounds": rates, **figures}, arguments.out)


if __name__ == "__main__":
    main()
