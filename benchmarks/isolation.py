"""What invalid events cost: 1 % of them, named by TikTok or found by halves, against none.

    python benchmarks/isolation.py [--events 200000] [--rounds 3] [--out FILE]

To reach: named, ≤ 10 % fewer events a second; by halves, at most 2 k ⌈log₂ B⌉ extra requests for k bad events in
requests of B.

"The HTTP library alone" is what the named case would be at best: a connection pool of `requests` posts as many extra
requests with as many bytes to the same stand-in, and nothing else is done for them. A run is bound by its one core, so
this processor time is added to the time of the run without invalid events.
"""

import argparse
import contextlib
import functools
import logging
import math
import os
import statistics
import tempfile
import time
from pathlib import Path

import common
import requests
import runs
from requests.adapters import HTTPAdapter

from sandbox.control import Sandbox
from sandbox.faults import InvalidEvents

BATCH = 1000


def library_secs(url: str, count: int, body_bytes: int) -> float:
    """Returns the processor time of posting so many bodies, of so many bytes in all, through a pool of `requests`.

    Nothing else is done: no token, no joining, no look at the reply. The stand-in refuses them, on its own core.
    """
    body = b"x" * (body_bytes // count)
    with contextlib.closing(HTTPAdapter()) as adapter:
        prepared = requests.Request("POST", url).prepare()
        pool = adapter.get_connection_with_tls_context(prepared, verify=True, proxies={})
        post = functools.partial(pool.urlopen, "POST", prepared.path_url, body, retries=False)
        post()
        began = time.process_time()
        for _ in range(count):
            post()
        return time.process_time() - began


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--share", type=float, default=0.01)
    parser.add_argument("--out")
    arguments = parser.parse_args()
    # A line for each refused request, some ten thousand: written, as in production, but not here.
    logging.basicConfig(stream=open(os.devnull, "w"))  # noqa: SIM115  # open to the end of the process
    rates: dict[str, list[float]] = {"none": [], "named": [], "by halves": []}
    requests_of: dict[str, int] = {}
    rejected: dict[str, int] = {}
    sent_bytes: dict[str, int] = {}
    alone: list[float] = []
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
                    requests_of[case] = summary.requests
                    sent_bytes[case] = sandbox.stats().body_bytes
                    rejected[case] = sum(entry.count for entry in summary.outcomes if entry.kind == "rejected")
                extra, extra_bytes = (each["named"] - each["none"] for each in (requests_of, sent_bytes))
                none_secs = arguments.events / rates["none"][-1]
                secs = library_secs(f"{sandbox.api_url}event/track/", extra, extra_bytes)
                alone.append(none_secs / (none_secs + secs))
                print("  ".join(f"{case} {rate[-1]:,.0f}/s" for case, rate in rates.items()))
    figures: dict[str, object] = {"events": arguments.events, "rounds": rates, "requests": requests_of}
    for case in ("named", "by halves"):
        ratio = statistics.median(rate / none for rate, none in zip(rates[case], rates["none"], strict=True))
        extra = requests_of[case] - requests_of["none"]
        allowed = 2 * rejected[case] * math.ceil(math.log2(BATCH))
        print(f"{case}: {ratio:.2f} of the speed without; {rejected[case]:,} rejected, {extra:,} extra requests")
        figures[case.replace(" ", "_")] = {"ratio": round(ratio, 3), "extra_requests": extra, "allowed": allowed}
    print(f"the HTTP library alone, for the extra requests of the named case: {statistics.median(alone):.2f}")
    figures["library_alone"] = {"ratio": round(statistics.median(alone), 3), "body_bytes": sent_bytes}
    common.finish("isolation", runs.SEED, figures, arguments.out)


if __name__ == "__main__":
    main()
