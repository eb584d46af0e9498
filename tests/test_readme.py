"""The README: what it shows works, and what it names exists."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from sandbox import generator
from sandbox.control import Sandbox
from transforms.mapping.custom.parameters import EVENT_PARAMETERS

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text("utf-8")


def test_every_file_that_it_names_exists() -> None:
    names = set(re.findall(r"`((?:transforms|pipeline|sandbox|tests|benchmarks|examples|\.ci)/[\w./]*)`", README))
    assert len(names) > 20
    assert [name for name in sorted(names) if not (ROOT / name).exists()] == []


def test_the_python_example_delivers(tmp_path: Path) -> None:
    example = next(block for block in re.findall(r"```python\n(.*?)```", README, re.DOTALL) if "import" in block)
    generator.write_ndjson(tmp_path / "batches.txt", generator.purchases(20))
    with Sandbox() as sandbox:
        program = example.replace('"env:TIKTOK_TOKEN",', f'"env:TIKTOK_TOKEN", api_url="{sandbox.api_url}",')
        (tmp_path / "example.py").write_text(program)
        done = subprocess.run(
            [sys.executable, "example.py"],
            cwd=tmp_path,
            env=os.environ | {"TIKTOK_TOKEN": sandbox.token, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.splitlines() == ["delivered None PlaceAnOrder"] * 20
        assert sandbox.totals().accepted == 20


def test_the_connection_that_it_shows_is_valid(tmp_path: Path) -> None:
    shown = re.findall(r"```yaml\n(.*?)```", README, re.DOTALL)[0]
    (tmp_path / "acme.yaml").write_text(shown)
    message = generator.write_ndjson(tmp_path / "batch.json", generator.purchases(1))
    command = [sys.executable, "-m", "pipeline", "preview", str(message), "--connection", str(tmp_path / "acme.yaml")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "PlaceAnOrder" in done.stdout


def test_the_mapping_that_it_shows_passes_its_cases(tmp_path: Path) -> None:
    (tmp_path / "shop.yaml").write_text(re.findall(r"```yaml\n(.*?)```", README, re.DOTALL)[1])
    command = [sys.executable, "-m", "pipeline", "test", str(tmp_path / "shop.yaml")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.endswith("2 passed, 0 failed\n")


def test_it_says_which_parameters_each_event_takes() -> None:
    rows = re.findall(r"(?m)^\| ([A-Z][\w, ]+) \| ((?:`.*|–)) \|$", README.split("## Custom event mappings")[1])
    said = {event: set(re.findall(r"`(\w+)`", taken)) for events, taken in rows for event in events.split(", ")}
    taken = {event: set(parameters) - {"description"} for event, parameters in EVENT_PARAMETERS.items()}
    del taken["SubmitForm"]  # retired, the same as Lead
    assert said == taken


@pytest.mark.parametrize(
    "flag", sorted(set(re.findall(r"--[a-z]+(?:_[a-z]+)*", README.split("## Run it on files")[1].split("\n## ")[0])))
)
def test_every_flag_that_it_names_for_run_exists(flag: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pipeline", "run", "--help"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert re.search(rf"{flag}\b", done.stdout)
