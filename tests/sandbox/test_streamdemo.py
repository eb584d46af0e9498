"""`make demo-stream`: a short one adds up and tells how long events took."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

# Programs in a row, of which each takes seconds to start, on a machine that may be busy.
pytestmark = pytest.mark.timeout(180)

ROOT = Path(__file__).resolve().parents[2]


def test_a_short_demo_adds_up(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "sandbox.demo.stream", "--seconds", "4", "--rate", "100"]
    command += ["--output", str(tmp_path / "demo")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "The counts add up:" in done.stdout
    assert "401 published, 401 acknowledged, 0 left." in done.stdout
    found = re.search(r"longest\n *([\d.]+) +([\d.]+) +([\d.]+) +([\d.]+)", done.stdout)
    assert found is not None
    p50, p95, p99, longest = map(float, found.groups())
    assert 0 < p50 <= p95 <= p99 <= longest < 20
    assert "Traceback" not in done.stderr


def test_a_folder_that_the_demo_did_not_make_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    command = [sys.executable, "-m", "sandbox.demo.stream", "--output", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    assert "was not made by the demo" in " ".join(done.stdout.split())
    assert (tmp_path / "mine.txt").read_text() == "mine"
