"""What invalid events cost: 1 % of them, named by TikTok or found by halves, against none.

    python benchmarks/isolation.py [--events 200000] [--rounds 3] [--out FILE]

To reach: named, ≤ 10 % fewer events a second; by halves, at most 2 k ⌈log₂ B⌉ extra requests for k bad events in
requests of B.
"""

import argparse
import math
import os
import statistics
import tempfile
from pathlib import Path

import common
import runs

from sandbox.control import Sandbox
from sandbox.faults import InvalidEvents

BATCH = 1000


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--share", type=float, default=0.01)
    parser.add_argument("--out")
    arguments = parser.parse_args()
    rates: dict[str, list[float]] = {"none": [], "named": [], "by halves": []}
    requests: dict[str, int] = {}
    rejected: dict[str, int] = {}
    with tempfile.TemporaryDirectory() as name, Sandbox() as sandbox:
        folder = Path(name)
        files = runs.write_purchases(folder, arguments.events)
        settings = runs.connection(runs.write_token(folder, sandbox.token), api_url=sandbox.api_url)
        os.sched_setaffinity(sandbox.pid, {max(os.sched_getaffinity(0))})
        with runs.one_core():
            for _ in range(arguments.rounds):
                for case in rates:
                    sandbox.reset()
                    sandbox.settings(index_text=case == "named")
                    if case != "none":
                        sandbox.set_faults(InvalidEvents(share=arguments.share))
                    summary = runs.run(files, settings)
                    rates[case].append(arguments.events / summary.seconds)
                    requests[case] = summary.requests
                    rejected[case] = sum(entry.count for entry in summary.outcomes if entry.kind == "rejected")
                print("  ".join(f"{case} {rate[-1]:,.0f}/s" for case, rate in rates.items()))
    figures: dict[str, object] = {"events": arguments.events, "rounds": rates, "requests": requests}
    for case in ("named", "by halves"):
        ratio = statistics.median(rate / none for rate, none in zip(rates[case], rates["none"], strict=True))
        extra = requests[case] - requests["none"]
        allowed = 2 * rejected[case] * math.ceil(math.log2(BATCH))
        print(f"{case}: {ratio:.2f} of the speed without; {rejected[case]:,} rejected, {extra:,} extra requests")
        figures[case.replace(" ", "_")] = {"ratio": round(ratio, 3), "extra_requests": extra, "allowed": allowed}
    common.finish("isolation", runs.SEED, figures, arguments.out)


if __name__ == "__main__":
    main()
