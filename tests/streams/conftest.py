"""Servers for the tests of streams, and runs over them: in this process, or as a program that can be killed."""

import contextlib
import itertools
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import go_programs
import googles_pubsub
import msgspec
import pyarrow.dataset as ds
import pytest

from pipeline.jobs import run as job
from pipeline.options import RunOptions
from sandbox.pubsub.publisher import PubSub, PubSubClient
from sandbox.tiktok.control import Sandbox
from transforms.connection import Connection, Consent

ROOT = Path(__file__).resolve().parents[2]
_NUMBERS = itertools.count(1)


@pytest.fixture(scope="session")
def pubsub_process() -> Iterator[PubSub]:
    with PubSub() as server:
        yield server


@pytest.fixture
def pubsub(pubsub_process: PubSub, monkeypatch: pytest.MonkeyPatch) -> PubSub:
    monkeypatch.setenv("PUBSUB_EMULATOR_HOST", pubsub_process.address)
    return pubsub_process


@pytest.fixture(scope="session")
def googles_process() -> Iterator[PubSubClient]:
    yield from googles_pubsub.client()


@pytest.fixture(params=["own", "googles"])
def any_pubsub(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> PubSubClient:
    """The stand-in, then Google's own fake."""
    names = {"own": "pubsub_process", "googles": "googles_process"}
    server: PubSubClient = request.getfixturevalue(names[request.param])
    monkeypatch.setenv("PUBSUB_EMULATOR_HOST", server.address)
    return server


@pytest.fixture(scope="session")
def sandbox_process() -> Iterator[Sandbox]:
    with Sandbox(keep_bodies=False) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(sandbox_process: Sandbox) -> Sandbox:
    sandbox_process.reset()
    return sandbox_process


@pytest.fixture
def name() -> str:
    """A topic and subscription of each test's own."""
    return f"orders-{os.getpid()}-{next(_NUMBERS)}"


@pytest.fixture(scope="session")
def prism_args() -> tuple[str, ...]:
    """Flags for Beam's Prism runner, built from its Go module."""
    try:
        return ("--prism_location", str(go_programs.install(go_programs.PRISM)), "--prism_log_level", "error")
    except go_programs.ServerUnavailableError as error:
        pytest.skip(str(error))


def settings(sandbox: Sandbox, folder: Path, **changes: Any) -> dict[str, Any]:
    """Returns a connection's settings: Events API 2.0, a budget out of the way, short waits."""
    token = folder / "token"
    if not token.exists():
        token.write_text(sandbox.token)
    return {
        "event_source_id": "PIXEL",
        "access_token": f"file:{token}",
        "api_url": sandbox.api_url,
        "enable_web_migration": True,
        "event_source_type": "feed",
        "requests_per_second": 500.0,
        "max_wait_secs": 0.5,
        "retry_secs": 120.0,
        **changes,
    }


@dataclass
class Ended:
    """What a stream left behind."""

    exit_code: int
    summary: dict[str, Any]
    folder: Path

    def rows(self, kind: str = "ledger") -> list[dict[str, Any]]:
        return rows(self.folder / kind)

    @property
    def outcomes(self) -> dict[tuple[str, str | None], int]:
        return {(one["kind"], one["reason"]): one["count"] for one in self.summary["outcomes"]}


def rows(folder: Path) -> list[dict[str, Any]]:
    """Returns the rows of all Parquet files of a folder."""
    if not any(folder.rglob("*.parquet")):
        return []
    found: list[dict[str, Any]] = ds.dataset(folder, format="parquet").to_table().to_pylist()
    return found


@pytest.fixture
def run_stream(sandbox: Sandbox, tmp_path: Path) -> Callable[..., Ended]:
    """Runs a stream in this process until its bounds; keyword arguments are fields of `RunOptions`."""

    def run(
        changes: dict[str, Any] | None = None,
        run_id: str = "run",
        arguments: dict[str, Any] | None = None,
        **options: Any,
    ) -> Ended:
        folder = tmp_path / run_id
        connection = Connection(
            **settings(sandbox, tmp_path, **{"consent": Consent(ccpa_opt_out="ignore"), **(changes or {})})
        )
        given = {
            "ledger": str(folder / "ledger"),
            "dead_letters": str(folder / "dead_letters"),
            "ledger_flush_secs": 1.0,
            "summary": str(folder / "summary.json"),
            **options,
        }
        exit_code = job.run_job(RunOptions(connection=connection, run_id=run_id, **given), **(arguments or {}))
        return Ended(exit_code, msgspec.json.decode((folder / "summary.json").read_bytes()), folder)

    return run


class StreamProcess:
    """`python -m pipeline run --subscription …` as a program of its own; kill it as you like."""

    def __init__(self, folder: Path, connection: dict[str, Any], flags: list[str]) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / "connection.yaml"
        path.write_text(json.dumps(connection))  # JSON is YAML
        self._log = (folder / "log.txt").open("ab")
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-m", "pipeline", "run", "--connection", str(path)),
                *("--ledger", str(folder / "ledger"), "--dead_letters", str(folder / "dead_letters")),
                *("--ledger_flush_secs", "1", "--summary", str(folder / "summary.json"), "--no_progress", *flags),
            ],
            cwd=ROOT,
            stdout=self._log,
            stderr=self._log,
            start_new_session=True,
        )

    def kill(self) -> None:
        """Ends it with SIGKILL."""
        self.process.kill()
        self.wait()

    def terminate(self) -> int:
        """SIGTERM; returns the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.wait()

    def wait(self, secs: float = 120.0) -> int:
        code = self.process.wait(secs)
        # What it had started itself (Prism) outlives a SIGKILL.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self._log.close()
        return code

    @property
    def log(self) -> str:
        return (self.folder / "log.txt").read_text()


@pytest.fixture
def start_stream(sandbox: Sandbox, tmp_path: Path) -> Iterator[Callable[..., StreamProcess]]:
    """Starts streams as programs, and ends what still runs after the test."""
    started: list[StreamProcess] = []

    def start(subscription: str, *flags: str, **changes: Any) -> StreamProcess:
        connection = settings(sandbox, tmp_path, **{"consent": {"ccpa_opt_out": "ignore"}, **changes})
        process = StreamProcess(tmp_path / "stream", connection, ["--subscription", subscription, *flags])
        started.append(process)
        return process

    yield start
    for process in started:
        if process.process.poll() is None:
            process.kill()


def until(condition: Callable[[], bool], secs: float = 60.0) -> None:
    """Returns when something is true; fails if it is not within some time."""
    end = time.monotonic() + secs
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.05)


@pytest.fixture
def eventually() -> Callable[..., None]:
    return until


def in_background(action: Callable[[], Any]) -> threading.Thread:
    thread = threading.Thread(target=action, daemon=True)
    thread.start()
    return thread


@pytest.fixture
def background() -> Callable[[Callable[[], Any]], threading.Thread]:
    return in_background


@dataclass
class Live:
    """All that a test of a running program needs.

    Attributes:
      name: of a topic and subscription of this test's own, not made yet.
      start: subscription and flags → a running `StreamProcess`.
      background: runs a function in a thread.
      eventually: waits until a function returns True.
      ledger_rows: returns the rows of the ledger of all that was started.
    """

    pubsub: PubSub
    sandbox: Sandbox
    name: str
    start: Callable[..., StreamProcess]
    background: Callable[[Callable[[], Any]], threading.Thread]
    eventually: Callable[..., None]
    ledger_rows: Callable[[], list[dict[str, Any]]]


@pytest.fixture
def live(
    pubsub: PubSub, sandbox: Sandbox, name: str, start_stream: Callable[..., StreamProcess], tmp_path: Path
) -> Live:
    return Live(pubsub, sandbox, name, start_stream, in_background, until, lambda: rows(tmp_path / "stream" / "ledger"))
