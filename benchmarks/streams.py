"""What the benchmarks of streams share: the stand-ins, the pipeline as a program, its memory, and latencies."""

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import msgspec
import runs

from sandbox.pubsub.publisher import PubSub
from sandbox.tiktok.control import Sandbox

CONNECTION = """\
event_source_id: PIXEL
access_token: {token}
api_url: {api_url}
enable_web_migration: true
consent: {{ccpa_opt_out: ignore}}
requests_per_second: 1000
max_wait_secs: {max_wait_secs}
"""

# What the pipeline runs on; server, publisher and the stand-in for TikTok have the other cores.
PIPELINE_CORE = min(os.sched_getaffinity(0))
OTHER_CORES = os.sched_getaffinity(0) - {PIPELINE_CORE} or {PIPELINE_CORE}


def apart(*servers: Sandbox | PubSub) -> None:
    """Keeps servers, and this process, off the pipeline's core."""
    for pid in (0, *(server.pid for server in servers)):
        os.sched_setaffinity(pid, OTHER_CORES)


def start(folder: Path, sandbox: Sandbox, server: PubSub, flags: list[str], max_wait_secs: float) -> subprocess.Popen:
    """Starts the pipeline as a program on a core of its own."""
    path = folder / "connection.yaml"
    token = runs.write_token(folder, sandbox.token)
    path.write_text(CONNECTION.format(token=token, api_url=sandbox.api_url, max_wait_secs=max_wait_secs))
    command = [sys.executable, "-m", "pipeline", "run", "--connection", str(path), "--no_progress", *flags]
    return on_its_core(command, server)


def on_its_core(command: list[str], server: PubSub) -> subprocess.Popen:
    """Starts a program that reads from a server, on the pipeline's core."""
    process = subprocess.Popen(  # noqa: S603  # this project
        command,
        cwd=Path(__file__).parents[1],
        env=os.environ | {"PUBSUB_EMULATOR_HOST": server.address},
        stdout=subprocess.DEVNULL,
    )
    os.sched_setaffinity(process.pid, {PIPELINE_CORE})
    return process


def resident_mib(pid: int) -> float:
    """Returns the memory that a process holds now."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def stamped(messages: Iterable[bytes], times: dict[str, float]) -> Iterator[bytes]:
    """Yields messages, and notes by their event's id when each of them went out."""
    for message in messages:
        (event,) = msgspec.json.decode(message)["events"]
        times[event["data"]["source_message_id"]] = time.time()
        yield message


def latencies(times: Mapping[str, float], sandbox: Sandbox) -> list[float]:
    """Returns the seconds from publication to acceptance by the stand-in for TikTok, sorted."""
    return sorted(
        one.first_accepted - times[key.event_id]
        for key, one in sandbox.accepted_in_detail().items()
        if key.event_id in times
    )


def percentiles(values: list[float]) -> dict[str, float]:
    """Returns p50, p95 and p99."""
    cuts = statistics.quantiles(values, n=100)
    return {f"p{share}": round(cuts[share - 1], 3) for share in (50, 95, 99)}
