"""Runs as processes of their own that are killed, or whose disk fills up: no event is lost, none counted twice."""

import os
import random
import re
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import pyarrow.dataset as ds
import pytest

from sandbox.shop.generator import purchases, write_ndjson
from sandbox.tiktok.faults import Delay

# Programs in a row, of which each takes seconds to start, on a machine that may be busy.
pytestmark = pytest.mark.timeout(180)

ROOT = Path(__file__).resolve().parents[2]
BATCH = 50
REQUESTS_PER_SECOND = 10
FLUSH_SECS = 0.5
IN_FLIGHT = 8
HOURS_SECS = 2 * 3600


def command(shop: Any, file: Path, number: int) -> list[str]:
    """Returns a run as an operator starts it."""
    settings = msgspec.to_builtins(
        shop.connection(max_batch_events=BATCH, requests_per_second=float(REQUESTS_PER_SECOND), max_in_flight=IN_FLIGHT)
    )
    connection = shop.folder / "connection.yaml"
    connection.write_bytes(msgspec.yaml.encode({key: value for key, value in settings.items() if value}))
    return [
        *(sys.executable, "-m", "pipeline", "run", "--connection", str(connection), "--input", str(file)),
        *("--ledger", str(shop.ledger), "--skip_delivered", "--ledger_flush_secs", str(FLUSH_SECS)),
        *("--run_id", f"run-{number}", "--no_progress"),
    ]


Start = Callable[[Path, int], "subprocess.Popen[str]"]


@pytest.fixture
def start(shop: Any) -> Iterator[Start]:
    """Starts runs as processes, and ends what still runs after the test."""
    started: list[subprocess.Popen[str]] = []

    def run(file: Path, number: int) -> "subprocess.Popen[str]":
        started.append(
            subprocess.Popen(
                command(shop, file, number),
                cwd=ROOT,
                env=os.environ | {"PYTHONPATH": str(ROOT)},
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
            )
        )
        return started[-1]

    yield run
    for process in started:
        if process.poll() is None:
            process.kill()
            process.communicate()


def delivered(shop: Any) -> set[str]:
    """Returns what the ledger calls delivered."""
    if not any(shop.ledger.rglob("*.parquet")):
        return set()
    rows = ds.dataset(shop.ledger, format="parquet").to_table(columns=["event_id", "kind"]).to_pylist()
    return {row["event_id"] for row in rows if row["kind"] == "delivered"}


def wait_until(condition: Callable[[], bool], secs: float = 60.0) -> None:
    deadline = time.monotonic() + secs
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("kills", "events"), [(2, 2_000), pytest.param(20, 16_000, marks=pytest.mark.slow)], ids=["2 kills", "20 kills"]
)
def test_runs_that_are_killed_at_random_moments_deliver_each_event_once(
    shop: Any, start: Start, kills: int, events: int
) -> None:
    """Every second kill comes while a request is on its way that TikTok has accepted and not answered."""
    file = write_ndjson(shop.folder / "input.txt", purchases(events, seed=3))
    moments = random.Random(20)  # noqa: S311  # moments, no secrets
    unrecorded: dict[str, float] = {}  # event id → wall clock at which TikTok got it
    offset_secs, told = 0.0, []
    for number in range(kills):
        if number % 2:
            shop.sandbox.fault(Delay(secs=5, skip=moments.randrange(10), limit=1))
            process = start(file, number)
            wait_until(lambda: shop.sandbox.applied()[-1].hit == 1)
        else:
            process = start(file, number)
            time.sleep(moments.uniform(1.0, 5.0))
        process.kill()
        told.append(process.communicate()[1])
        time.sleep(0.3)  # what is on its way arrives
        known = delivered(shop)
        new = {
            key.event_id: accepted.first_accepted - offset_secs
            for key, accepted in shop.sandbox.accepted_in_detail().items()
            if key.event_id not in known and key.event_id not in unrecorded
        }
        assert len(new) <= (FLUSH_SECS + 1.0) * REQUESTS_PER_SECOND * BATCH + IN_FLIGHT * BATCH
        unrecorded |= new
        # The next run comes two hours later by TikTok's clock: all of them within 48 hours.
        shop.sandbox.advance_clock(HOURS_SECS)
        offset_secs += HOURS_SECS

    last = start(file, kills)
    told.append(last.communicate(timeout=120)[1])
    assert last.returncode == 0, told[-1]
    assert delivered(shop) == {key.event_id for key in shop.sandbox.accepted()}
    assert len(delivered(shop)) == events

    shop.sandbox.advance_clock(7 * 86400)
    again = start(file, kills + 1)
    again.communicate(timeout=120)
    assert again.returncode == 0
    assert shop.times_accepted() == {1: events}

    # What was sent and not recorded was sent in the time that the next run named.
    manifests = [msgspec.json.decode(path.read_bytes()) for path in (shop.ledger / "_manifests").glob("*.json")]
    spans = [
        tuple(datetime.fromisoformat(manifest["unrecorded"][edge]).timestamp() for edge in ("since", "until"))
        for manifest in manifests
        if manifest["unrecorded"]
    ]
    assert unrecorded, "no run was killed while it sent"
    assert [at for at in unrecorded.values() if not any(since <= at <= until for since, until in spans)] == []
    assert {manifest["state"] for manifest in manifests} == {"died", "finished"}
    for manifest in manifests:
        if manifest["state"] == "died":
            assert f"Run {manifest['run_id']} did not finish (died)" in "".join(told)
    assert list((shop.ledger / "_locks").glob("*.lock")) == []


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="only Linux limits the files of a process that runs")
def test_a_disk_that_fills_up_in_mid_run_ends_it_with_a_clear_error_and_the_next_run_goes_on(
    shop: Any, start: Start
) -> None:
    events = 2_000
    file = write_ndjson(shop.folder / "input.txt", purchases(events, seed=4))
    process = start(file, 0)
    wait_until(lambda: any(shop.ledger.rglob("*.parquet")))
    # From now on no file of that process may grow above 64 bytes: it is opened, and writing into it fails.
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (64, 64))
    told = process.communicate(timeout=60)[1]
    assert process.returncode == 1
    assert re.search(rf"^error: cannot write {shop.ledger}/date=.+File too large.+the space left", told, re.MULTILINE)
    assert "Traceback" not in told
    recorded, accepted = delivered(shop), shop.sandbox.accepted_in_detail()
    times = {key.event_id: one.first_accepted for key, one in accepted.items()}
    assert recorded < set(times)
    assert 0 < len(recorded) < len(times) < events
    assert list(shop.ledger.rglob("*.tmp")) == []

    later = start(file, 1)
    told = later.communicate(timeout=60)[1]
    assert later.returncode == 0, told
    assert "Run run-0 did not finish (died). What it sent between" in told
    span = msgspec.json.decode((shop.ledger / "_manifests" / "run-0.json").read_bytes())["unrecorded"]
    since, until = (datetime.fromisoformat(span[edge]).timestamp() for edge in ("since", "until"))
    assert [at for event_id, at in times.items() if event_id not in recorded and not since <= at <= until] == []
    assert delivered(shop) == {key.event_id for key in shop.sandbox.accepted()}
    assert shop.times_accepted() == {1: events}
