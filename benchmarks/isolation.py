"""What invalid events cost: 1 % of them, named by TikTok or found by halves, against none.

    python benchmarks/isolation.py [--events 1000000] [--rounds 3] [--out FILE]

To reach: named, ≥ 0.6 of the speed without (the budget of requests decides long before); by halves, at most
2 k ⌈log₂ B⌉ extra requests for k bad events in requests of B, which is counted on a tenth of the events. Enough events
that the end of a run, when the last bundle holds few shards of the budget, counts little (a quarter of a second).

"Bare sockets" is what the named case would be at best: a run without invalid events, beside which threads send as many
requests with as many bytes as the named case has more, through sockets, and do nothing else: no HTTP library, no look
at the reply, no outcome.
"""

import argparse
import logging
import math
import os
import socket
import statistics
import tempfile
import threading
import time
from pathlib import Path
from urllib.parse import urlsplit

import common
import runs

from pipeline.reporting.summary import Summary
from sandbox.tiktok.control import Sandbox
from sandbox.tiktok.faults import InvalidEvents
from transforms.connection import Connection

BATCH = 1000


def post(url: str, count: int, body_bytes: int, secs: float) -> None:
    """Sends so many requests of so many bytes, spread over a time. The stand-in refuses them, on its own core."""
    address = urlsplit(url)
    body = b"x" * body_bytes
    head = f"POST {address.path}event/track/ HTTP/1.1\r\nHost: {address.netloc}\r\nContent-Length: {body_bytes}\r\n\r\n"
    with socket.create_connection((address.hostname, address.port)) as connection:
        began = time.monotonic()
        for number in range(count):
            # Spread evenly: all at once would meet a mapping that has not begun.
            time.sleep(max(0.0, began + secs * number / count - time.monotonic()))
            connection.sendall(head.encode())
            connection.sendall(body)
            if not connection.recv(1 << 16).startswith(b"HTTP/1.1 200"):
                raise RuntimeError("the stand-in does not answer")


def run_beside(url: str, files: Path, settings: Connection, count: int, body_bytes: int, secs: float) -> Summary:
    """Runs while as many threads as the pipeline has send requests to the same stand-in."""
    threads = settings.max_in_flight
    share = (url, count // threads, body_bytes, secs)
    posting = [threading.Thread(target=post, args=share) for _ in range(threads)]
    for thread in posting:
        thread.start()
    summary = runs.run(files, settings)
    for thread in posting:
        thread.join()
    return summary


def rejected(summary: Summary) -> int:
    """Returns how many events of a run were rejected."""
    return sum(entry.count for entry in summary.outcomes if entry.kind == "rejected")


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--share", type=float, default=0.01)
    parser.add_argument("--out")
    arguments = parser.parse_args()
    # What is logged of refused requests: written, as in production, but not here.
    logging.basicConfig(stream=open(os.devnull, "w"))  # noqa: SIM115  # open to the end of the process
    events, invalid = arguments.events, InvalidEvents(share=arguments.share)
    rates: dict[str, list[float]] = {"none": [], "named": [], "bare sockets": []}
    with tempfile.TemporaryDirectory() as name, Sandbox() as sandbox:
        folder = Path(name)
        files = runs.write_purchases(folder, events)
        few = runs.write_purchases(folder, events // 10)
        settings = runs.connection(runs.write_token(folder, sandbox.token), api_url=sandbox.api_url)
        os.sched_setaffinity(sandbox.pid, {max(os.sched_getaffinity(0))})
        with runs.one_core():
            for _ in range(arguments.rounds):
                sandbox.reset()
                none = runs.run(files, settings)
                none_bytes = sandbox.stats().body_bytes
                sandbox.reset()
                sandbox.set_faults(invalid)
                named = runs.run(files, settings)
                named_bytes = sandbox.stats().body_bytes
                sandbox.reset()
                extra = named.requests - none.requests
                beside = run_beside(
                    sandbox.api_url, files, settings, extra, (named_bytes - none_bytes) // extra, none.seconds
                )
                for case, summary in zip(rates, (none, named, beside), strict=True):
                    rates[case].append(events / summary.seconds)
                print("  ".join(f"{case} {rate[-1]:,.0f}/s" for case, rate in rates.items()))
            sandbox.reset()
            few_none = runs.run(few, settings)
            sandbox.reset()
            sandbox.settings(index_text=False)
            sandbox.set_faults(invalid)
            halves = runs.run(few, settings)
    ratios = {
        case: statistics.median(rate / none for rate, none in zip(rates[case], rates["none"], strict=True))
        for case in ("named", "bare sockets")
    }
    bad, found = rejected(named), rejected(halves)
    half_extra, allowed = halves.requests - few_none.requests, 2 * found * math.ceil(math.log2(BATCH))
    print(
        f"named: {ratios['named']:.2f} of the speed without (to reach: 0.6); {bad:,} rejected, {extra:,} extra requests"
    )
    print(f"bare sockets, for the extra requests of the named case: {ratios['bare sockets']:.2f}")
    print(f"by halves: {found:,} rejected, {half_extra:,} extra requests, allowed {allowed:,}")
    figures = {
        "events": events,
        "rounds": rates,
        "ratios": {case: round(ratio, 3) for case, ratio in ratios.items()},
        "named": {"rejected": bad, "extra_requests": extra, "body_bytes": {"none": none_bytes, "named": named_bytes}},
        "by_halves": {"events": events // 10, "rejected": found, "extra_requests": half_extra, "allowed": allowed},
    }
    common.finish("isolation", runs.SEED, figures, arguments.out)


if __name__ == "__main__":
    main()
