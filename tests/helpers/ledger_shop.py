"""A shop whose events are run, run again and replayed against the sandbox, over real sockets and real Parquet."""

import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import pyarrow.dataset as ds
import pytest

from pipeline.jobs import run as job
from pipeline.options import ReplayOptions, RunOptions
from pipeline.replay.job import replay
from sandbox.shop.generator import purchases, write_ndjson
from sandbox.tiktok.control import Sandbox
from sandbox.tiktok.faults import Answer, InvalidEvents
from transforms.connection import Connection, Consent

ROOT = Path(__file__).resolve().parents[2]
WEEK_SECS = 7 * 86400


@dataclass
class Shop:
    """One ledger, one folder of dead letters, and the sandbox that plays TikTok.

    Attributes:
      runs: how many runs and replays there were.
    """

    folder: Path
    sandbox: Sandbox
    settings: dict[str, Any] = field(default_factory=dict)
    runs: int = 0

    @property
    def ledger(self) -> Path:
        return self.folder / "ledger"

    @property
    def dead_letters(self) -> Path:
        return self.folder / "dead_letters"

    def connection(self, **changes: Any) -> Connection:
        token = self.folder / "token"
        token.write_text(self.sandbox.token)
        return Connection(
            **{
                "event_source_id": "PIXEL",
                "access_token": f"file:{token}",
                "api_url": self.sandbox.api_url,
                "enable_web_migration": True,
                "consent": Consent(ccpa_opt_out="ignore"),
                "max_batch_events": 100,
                "requests_per_second": 500.0,
                "retry_secs": 1.5,
                **self.settings,
                **changes,
            }
        )

    def write(self, messages: Sequence[bytes], name: str = "input.txt") -> Path:
        return write_ndjson(self.folder / name, messages)

    def run(self, file: Path, connection: Connection | None = None, **options: Any) -> dict[str, int]:
        """Runs over a file; returns how many units ended how, after checking that the counts add up."""
        return self._summary(
            lambda shared: job.run_job(RunOptions(inputs=(str(file),), **{**shared, **options})), connection
        )

    def replay(self, connection: Connection | None = None, **options: Any) -> dict[str, int]:
        """Replays the dead letters."""
        return self._summary(
            lambda shared: replay(
                ReplayOptions(inputs=(str(self.dead_letters),), drop_duplicates=True, **{**shared, **options})
            ),
            connection,
        )

    def start_replay(self, *flags: str, **changes: Any) -> "subprocess.Popen[str]":
        """Starts a replay as an operator does, in a process of its own.

        Args:
          flags: further ones.
          changes: to the connection.
        """
        self.runs += 1
        settings = msgspec.to_builtins(self.connection(**changes))
        connection = self.folder / "connection.yaml"
        connection.write_bytes(msgspec.yaml.encode({key: value for key, value in settings.items() if value}))
        return subprocess.Popen(
            [
                *(sys.executable, "-m", "pipeline", "replay", "--connection", str(connection), "--no_progress"),
                *("--dead_letters", str(self.dead_letters), "--ledger", str(self.ledger)),
                *("--run_id", f"run-{self.runs}", "--summary", str(self.folder / f"summary-{self.runs}.json"), *flags),
            ],
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )

    def _summary(self, work: Any, connection: Connection | None) -> dict[str, int]:
        self.runs += 1
        summary = self.folder / f"summary-{self.runs}.json"
        shared = {
            "connection": connection or self.connection(),
            "ledger": str(self.ledger),
            "dead_letters": str(self.dead_letters),
            "summary": str(summary),
            "run_id": f"run-{self.runs}",
        }
        self.exit_code = work(shared)
        counts = json.loads(summary.read_text())
        assert counts["adds_up"]
        return {entry["reason"] or entry["kind"]: entry["count"] for entry in counts["outcomes"]}

    def rows(self, run: int | None = None) -> list[dict[str, Any]]:
        """Returns the ledger's rows, of one run or of all."""
        rows = ds.dataset(self.ledger, format="parquet").to_table().to_pylist()
        return [row for row in rows if run is None or row["run_id"] == f"run-{run}"]

    def letters(self, run: int | None = None) -> list[dict[str, Any]]:
        """Returns the dead letters, of one run or of all."""
        if not any(self.dead_letters.rglob("*.parquet")):
            return []
        letters = ds.dataset(self.dead_letters, format="parquet").to_table().to_pylist()
        return [letter for letter in letters if run is None or letter["run_id"] == f"run-{run}"]

    def manifest(self, run: int) -> dict[str, Any]:
        return msgspec.json.decode((self.ledger / "_manifests" / f"run-{run}.json").read_bytes())

    def times_accepted(self) -> Counter[int]:
        """Returns how many events TikTok counts how often."""
        return Counter(self.sandbox.accepted().values())


@pytest.fixture(scope="session")
def sandbox_process() -> Iterator[Sandbox]:
    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def shop(sandbox_process: Sandbox, tmp_path: Path) -> Shop:
    sandbox_process.reset()
    return Shop(tmp_path, sandbox_process)


@pytest.fixture(scope="session")
def orders() -> list[bytes]:
    """1,000 messages, one purchase each."""
    return list(purchases(1000, seed=7))


@pytest.fixture(scope="session")
def worked_once(sandbox_process: Sandbox, orders: list[bytes], tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """A shop with a run that had everything, and a replay; to be copied."""
    shop = Shop(tmp_path_factory.mktemp("worked"), sandbox_process)
    sandbox_process.reset()
    sandbox_process.fault(Answer(code=50000, status=500, skip=6), InvalidEvents(share=0.02, seed=1))
    messages = [b"no JSON", b"{}", *orders[:900]]
    shop.run(shop.write(messages), shop.connection(max_in_flight=1), drop_duplicates=True)
    sandbox_process.set_faults()
    shop.replay()
    return shop


@pytest.fixture
def worked(worked_once: Shop, shop: Shop) -> Shop:
    """A shop of the test's own with a run that had everything, and a replay."""
    shutil.copytree(worked_once.folder, shop.folder, dirs_exist_ok=True)
    shop.runs = worked_once.runs
    return shop
