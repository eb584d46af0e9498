"""A stream at a steady rate: latency from publication to acceptance, and the pipeline's memory over time.

    python benchmarks/stream_soak.py [--seconds 60] [--rate 1000] [--max_wait_secs 5] [--out FILE]

To reach: p95 ≤ max_wait_secs + 1 s; memory flat over 15 minutes (--seconds 900).
"""

import argparse
import statistics
import tempfile
import threading
import time
from pathlib import Path

import common
import runs
import streams

from sandbox.pubsub.publisher import PubSub
from sandbox.shop.generator import purchases
from sandbox.tiktok.control import Sandbox

# Caches and buffers are full after that; what grows later is a leak.
WARM_SECS = 20.0


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--rate", type=int, default=1_000)
    parser.add_argument("--max_wait_secs", type=float, default=5.0)
    parser.add_argument("--out")
    arguments = parser.parse_args()
    times: dict[str, float] = {}
    memory: list[tuple[float, float]] = []
    count = arguments.seconds * arguments.rate
    with tempfile.TemporaryDirectory() as name, Sandbox() as sandbox, PubSub() as server:
        folder = Path(name)
        subscription = server.subscription("purchases")
        streams.apart(sandbox, server)
        flags = ["--subscription", subscription, "--ledger", str(folder / "ledger")]
        process = streams.start(folder, sandbox, server, flags, arguments.max_wait_secs)
        messages = streams.stamped(purchases(count, runs.SEED, int(time.time() * 1_000)), times)
        publisher = threading.Thread(target=server.publish, args=("purchases", messages, arguments.rate))
        time.sleep(5)  # imports; in service a stream runs before its messages come
        began = time.monotonic()
        publisher.start()
        while publisher.is_alive() or server.stats(subscription).held:
            memory.append((time.monotonic() - began, streams.resident_mib(process.pid)))
            time.sleep(1)
            if len(memory) % 60 == 0:
                print(f"{memory[-1][0]:6.0f} s  {memory[-1][1]:,.0f} MiB  {len(times):,} published", flush=True)
        publisher.join()
        process.terminate()
        exit_code = process.wait(60)
        waits = streams.latencies(times, sandbox)
        again = sandbox.stats().keys_accepted_again
    if exit_code or len(waits) != count or again:
        raise RuntimeError(f"exit code {exit_code}, {len(waits):,} of {count:,} accepted, {again} accepted twice")
    warm = [mib for at, mib in memory if at >= min(WARM_SECS, arguments.seconds / 2)]
    tenth = max(1, len(warm) // 10)
    first, last = statistics.median(warm[:tenth]), statistics.median(warm[-tenth:])
    found = streams.percentiles(waits)
    print(f"{count:,} messages at {arguments.rate:,}/s: publication → accepted {found}, longest {waits[-1]:.2f} s")
    print(f"(to reach: p95 ≤ {arguments.max_wait_secs + 1:g} s)")
    print(f"memory: {first:,.0f} MiB at first, {last:,.0f} MiB at last, {max(warm):,.0f} MiB at most")
    figures = {
        "messages": count,
        "rate": arguments.rate,
        "max_wait_secs": arguments.max_wait_secs,
        "latency_secs": found,
        "longest_secs": round(waits[-1], 3),
        "memory_mib": {"first": round(first), "last": round(last), "most": round(max(warm))},
        "memory_growth_ratio": round(last / first, 3),
    }
    common.finish("stream_soak", runs.SEED, figures, arguments.out)


if __name__ == "__main__":
    main()
