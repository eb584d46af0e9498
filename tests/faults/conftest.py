"""Whole runs from files to the sandbox over HTTP, with 20,000 purchases and something that goes wrong."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import pyarrow.dataset as ds
import pytest

from pipeline.jobs import run as job
from pipeline.options import RunOptions
from sandbox.shop.generator import purchases, write_ndjson
from sandbox.tiktok.control import Sandbox
from transforms.connection import Connection, Consent

EVENTS = 20_000


@dataclass
class Run:
    """What one run left behind.

    Attributes:
      exit_code: of the command.
      summary: the JSON file.
      rows: the ledger, a dictionary a row.
      accepted: event id → how often TikTok's stand-in counts it.
    """

    exit_code: int
    summary: dict[str, Any]
    rows: list[dict[str, Any]]
    dead_letters: list[dict[str, Any]]
    accepted: dict[str, int]
    stats: Any
    kinds: Counter[str] = field(default_factory=Counter)

    def ids(self, *kinds: str) -> set[str]:
        return {row["event_id"] for row in self.rows if row["kind"] in kinds}


@pytest.fixture(scope="session")
def purchases_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_ndjson(tmp_path_factory.mktemp("input") / "purchases.txt", purchases(EVENTS, seed=7))


@pytest.fixture(scope="session")
def sandbox_process() -> Iterator[Sandbox]:
    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(sandbox_process: Sandbox) -> Sandbox:
    sandbox_process.reset()
    return sandbox_process


@pytest.fixture
def forward(sandbox: Sandbox, purchases_file: Path, tmp_path: Path) -> Callable[..., Run]:
    """Runs the job; whatever goes wrong, the counts must add up and nothing may be lost or accepted twice."""

    def run(file: Path | None = None, run_id: str = "run", **settings: Any) -> Run:
        token = tmp_path / "token"
        if not token.exists():
            token.write_text(sandbox.token)
        connection = Connection(
            **{
                "event_source_id": "PIXEL",
                "access_token": f"file:{token}",
                "api_url": sandbox.api_url,
                "enable_web_migration": True,
                "consent": Consent(ccpa_opt_out="ignore"),
                "max_batch_events": 200,
                "requests_per_second": 1000.0,
                "retry_secs": 60.0,
                **settings,
            }
        )
        folder = tmp_path / run_id
        exit_code = job.run_job(
            RunOptions(
                connection=connection,
                inputs=(str(file or purchases_file),),
                ledger=str(folder / "ledger"),
                dead_letters=str(folder / "dead_letters"),
                summary=str(folder / "summary.json"),
                run_id=run_id,
            )
        )
        rows = ds.dataset(folder / "ledger", format="parquet").to_table().to_pylist()
        dead = folder / "dead_letters"
        letters = ds.dataset(dead, format="parquet").to_table().to_pylist() if any(dead.rglob("*.parquet")) else []
        accepted = {key.event_id: count for key, count in sandbox.accepted().items()}
        stats = sandbox.stats()
        summary = msgspec.json.decode((folder / "summary.json").read_bytes())
        result = Run(exit_code, summary, rows, letters, accepted, stats, Counter(row["kind"] for row in rows))
        check(result)
        return result

    return run


def check(run: Run) -> None:
    """What must hold whatever happens."""
    assert run.summary["adds_up"] is True
    assert run.summary["events"] == len(run.rows)
    in_summary = {(entry["kind"], entry["reason"]): entry["count"] for entry in run.summary["outcomes"]}
    assert in_summary == Counter((row["kind"], row["reason"]) for row in run.rows)
    per_event = Counter((row["input_ref"], row["input_index"]) for row in run.rows)
    assert max(per_event.values()) == 1, "an event has two outcomes"
    # Nothing lost: what is called delivered is there. Nothing hidden: what is there is called delivered or unknown.
    assert run.ids("delivered") <= set(run.accepted)
    assert set(run.accepted) <= run.ids("delivered", "unknown")
    assert set(run.accepted.values()) <= {1}, "accepted twice"
    assert run.stats.keys_accepted_again == 0
    unsettled = run.kinds["undelivered"] + run.kinds["unknown"]
    assert run.exit_code == (3 if unsettled else 0)
    assert len(run.dead_letters) == unsettled + run.kinds["rejected"]
