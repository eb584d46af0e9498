"""The end of a run by signals."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.dataset as ds
import pytest

from sandbox.shop.generator import purchases, write_parquet
from sandbox.tiktok.control import Sandbox

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize(("signals", "error"), [(1, "stopped before the end"), (2, "interrupted.")])
def test_an_interrupted_run_says_so_and_hides_nothing_that_it_sent(tmp_path: Path, signals: int, error: str) -> None:
    """The first signal settles what was read, the second ends all: what is under way then is all that is unrecorded."""
    write_parquet(tmp_path / "in", purchases(20_000), rows_per_group=1_000)
    with Sandbox() as sandbox:
        argv = ["--event_source_id", "PIXEL", "--enable_web_migration", "--api_url", sandbox.api_url]
        argv += ["--access_token", "env:TOKEN", "--input", str(tmp_path / "in"), "--ledger", str(tmp_path / "ledger")]
        argv += ["--max_batch_events", "100", "--requests_per_second", "5", "--summary", str(tmp_path / "summary.json")]
        process = subprocess.Popen(
            [sys.executable, "-m", "pipeline", "run", *argv],
            cwd=ROOT,
            env=os.environ | {"TOKEN": sandbox.token},
            stderr=subprocess.PIPE,
            text=True,
        )
        while process.poll() is None and not sandbox.totals().accepted:
            time.sleep(0.05)
        for _ in range(signals):
            process.send_signal(signal.SIGINT)
            time.sleep(0.5)
        _, shown = process.communicate(timeout=60)
        accepted = sandbox.totals().accepted
    assert process.returncode == 1
    assert shown.splitlines()[-1].startswith(f"error: {error}")
    assert "defect" not in shown
    if signals == 1:
        rows = ds.dataset(tmp_path / "ledger", format="parquet", exclude_invalid_files=True).to_table(columns=["kind"])
        assert rows["kind"].to_pylist().count("delivered") == accepted
        assert 0 < accepted < 20_000
        (manifest,) = (tmp_path / "ledger" / "_manifests").iterdir()
        assert json.loads(manifest.read_text())["state"] == "stopped"
        assert json.loads((tmp_path / "summary.json").read_text())["adds_up"] is True
    else:
        # Of the requests that waited for their slot none went out.
        assert accepted <= 100 * 15
