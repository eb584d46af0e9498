"""A waiting subscription emptied into the stand-in for TikTok, on one core; beside Beam's own direct path.

    python benchmarks/stream.py [--messages 100000] [--beam_messages 3000] [--rounds 3] [--out FILE]

Beam's own path is what its `DirectRunner` chooses for Pub/Sub, `ReadFromPubSub` on `BundleBasedDirectRunner`, with the
same steps behind it, up to the sends; it takes ten messages at a time, and sends after each ten. For both the clock
runs from the first message handed out to the last acceptance.

To reach: 8,000 messages a second.
"""

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import apache_beam as beam
import common
import runs
import streams
from apache_beam.options.pipeline_options import PipelineOptions

from pipeline.sources.pubsub.read_subscription import ReadFromDataflow
from sandbox.pubsub.publisher import PubSub
from sandbox.shop.generator import purchases
from sandbox.tiktok.control import Sandbox
from transforms.batch_payloads import BatchPayloads
from transforms.steps import BuildPayloads, DecodeMessages, HashIdentities, SelectEvents
from transforms.streaming import Stream
from transforms.tiktok import EventsApi, TokenSource
from transforms.write_to_tiktok import _DeliverFn

_LIMIT_SECS = 120.0


def run_beams_path(subscription: str, token: str, api_url: str, max_wait_secs: float) -> None:
    """Runs until it is killed."""
    options = PipelineOptions(["--streaming", "--runner=BundleBasedDirectRunner"])
    pipeline = beam.Pipeline(options=options)
    settings = runs.connection(token, api_url=api_url, max_wait_secs=max_wait_secs)
    # The same reader as on Dataflow.
    decoded = pipeline | ReadFromDataflow(subscription) | DecodeMessages()
    selected = decoded.passed | SelectEvents(settings)
    hashed = selected.passed | HashIdentities(settings)
    payloads = (hashed.passed | BuildPayloads(settings)).passed
    # Up to the sends: this runner knows no lists of elements, which the step behind them makes.
    _ = (
        payloads
        | BatchPayloads(settings, Stream())
        | beam.ParDo(_DeliverFn(settings, EventsApi, Stream(), TokenSource))
    )
    pipeline.run().wait_until_finish()


def measure(messages: list[bytes], own: bool, max_wait_secs: float) -> float:
    """Returns messages a second."""
    with tempfile.TemporaryDirectory() as name, Sandbox() as sandbox, PubSub() as server:
        folder = Path(name)
        subscription = server.subscription("purchases")
        server.publish("purchases", messages)
        streams.apart(sandbox, server)
        if own:
            flags = ["--subscription", subscription, "--ledger", str(folder / "ledger")]
            process = streams.start(folder, sandbox, server, flags, max_wait_secs)
        else:
            token = runs.write_token(folder, sandbox.token)
            command = [sys.executable, __file__, "--run_beams_path", subscription, token, sandbox.api_url]
            process = streams.on_its_core([*command, "--max_wait_secs", str(max_wait_secs)], server)
        try:
            _wait(lambda: server.stats(subscription).handed_out > 0)
            began = time.monotonic()
            _wait(lambda: sandbox.totals().accepted >= len(messages))
            took = time.monotonic() - began
            if own:
                _wait(lambda: server.stats(subscription).held == 0)
        finally:
            process.kill()
            process.wait()
        return len(messages) / took


def _wait(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + _LIMIT_SECS
    while not condition():
        if time.monotonic() > end:
            raise RuntimeError("it did not happen in time")
        time.sleep(0.05)


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--messages", type=int, default=100_000)
    parser.add_argument("--beam_messages", type=int, default=3_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--max_wait_secs", type=float, default=1.0)
    parser.add_argument("--out")
    parser.add_argument("--run_beams_path", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.run_beams_path:
        run_beams_path(*arguments.run_beams_path, arguments.max_wait_secs)
        return
    messages = list(purchases(arguments.messages, runs.SEED))
    rates: dict[str, list[float]] = {"own": [], "beam": []}
    for _ in range(arguments.rounds):
        rates["own"].append(measure(messages, True, arguments.max_wait_secs))
        rates["beam"].append(measure(messages[: arguments.beam_messages], False, arguments.max_wait_secs))
        print(f"own {rates['own'][-1]:,.0f}/s  Beam's own path {rates['beam'][-1]:,.0f}/s", flush=True)
    own, beams = statistics.median(rates["own"]), statistics.median(rates["beam"])
    print(f"{own:,.0f} messages/s on one core (to reach: 8,000), {own / beams:.1f} × Beam's own path")
    figures = {
        "messages": arguments.messages,
        "messages_per_second": round(own),
        "beam_messages_per_second": round(beams),
        "ratio": round(own / beams, 2),
        "rounds": {name: [round(rate) for rate in found] for name, found in rates.items()},
    }
    common.finish("stream", runs.SEED, figures, arguments.out)


if __name__ == "__main__":
    main()
