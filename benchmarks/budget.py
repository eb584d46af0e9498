"""The request budget, as the sandbox sees it: started requests in every whole second.

    python benchmarks/budget.py [--per_second 50] [--seconds 10] [--out FILE]

To reach: never above the budget; ≥ 97 % of it used while there is work, also while a tenth of the requests is
throttled.
"""

import argparse
import tempfile
from pathlib import Path

import common
import runs

from sandbox.tiktok.control import Sandbox
from sandbox.tiktok.faults import Answer


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--per_second", type=int, default=50)
    parser.add_argument("--seconds", type=int, default=10, help="at least 4")
    parser.add_argument("--out")
    arguments = parser.parse_args()
    budget, batch = arguments.per_second, 20
    figures: dict[str, object] = {"budget": budget}
    with tempfile.TemporaryDirectory() as name, Sandbox() as sandbox:
        folder = Path(name)
        files = runs.write_purchases(folder, budget * arguments.seconds * batch)
        settings = runs.connection(
            runs.write_token(folder, sandbox.token),
            api_url=sandbox.api_url,
            requests_per_second=float(budget),
            max_batch_events=batch,
        )
        for case, faults in (("undisturbed", []), ("a tenth throttled", [Answer(code=40100, probability=0.1)])):
            sandbox.reset()
            sandbox.set_faults(*faults)
            runs.run(files, settings)
            started = sandbox.stats().started_by_second
            seconds = [started.get(second, 0) for second in range(min(started) + 1, max(started))]
            busy = seconds[: arguments.seconds - 2]  # at the end only retries are left
            most, used = max(seconds), sum(busy) / (budget * len(busy))
            print(f"{case}: at most {most} of {budget} in a second, {used:.1%} used; {seconds}")
            figures[case.replace(" ", "_")] = {"most_in_a_second": most, "used_ratio": round(used, 4)}
    common.finish("budget", runs.SEED, figures, arguments.out)


if __name__ == "__main__":
    main()
