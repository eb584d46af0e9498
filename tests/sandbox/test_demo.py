"""The demo: what it shows, whether it notices that something is missing, and once as a whole."""

import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from rich.console import Console

from sandbox.demo import batch as demo
from sandbox.demo import report as demoreport
from sandbox.demo.report import Holding, Ledger

# Programs in a row, of which each takes seconds to start, on a machine that may be busy.
pytestmark = pytest.mark.timeout(180)

ROOT = Path(__file__).resolve().parents[2]

SUMMARY: dict[str, Any] = {
    "messages": 5,
    "events": 10,
    "outcomes": [
        {"kind": "delivered", "reason": None, "count": 6},
        {"kind": "skipped", "reason": "unsupported_action", "count": 1},
        {"kind": "skipped", "reason": "unsupported_event_type", "count": 2},
        {"kind": "rejected", "reason": "missing_page_url", "count": 1},
    ],
    "requests": 2,
    "retries": 0,
    "seconds": 0.5,
    "adds_up": True,
    "coverage": {"Purchase": {"email": 0.5, "ttp": 1.0}, "ViewContent": {"phone": 0.25}},
    "run_id": "r1",
}
KEYS = frozenset(("PIXEL", "ViewContent", str(number)) for number in range(5))
LEDGER = Ledger(
    rows=10,
    kinds={"delivered": 6, "skipped": 3, "rejected": 1},
    keys=KEYS,
    events={"Purchase": 2, "ViewContent": 4},
)
HOLDING = Holding(KEYS, accepted=5, duplicates=1)


def console() -> Console:
    return Console(file=io.StringIO(), width=80, highlight=False)


def printed(target: Console) -> str:
    assert isinstance(target.file, io.StringIO)
    return target.file.getvalue()


def test_a_run_whose_counts_agree_adds_up() -> None:
    target = console()
    assert demoreport.verdict(demoreport.checks(SUMMARY, LEDGER, HOLDING), HOLDING, target)
    assert " ".join(printed(target).split()) == (
        "The counts add up: 10 events in = 10 outcomes, "
        "6 delivered = 5 held by the stand-in + 1 repeats that it dropped."
    )


@pytest.mark.parametrize(
    ("summary", "ledger", "holding", "said"),
    [
        pytest.param({"events": 11}, LEDGER, HOLDING, "events in: 11; outcomes: 10", id="an event without outcome"),
        pytest.param({}, LEDGER._replace(rows=9), HOLDING, "outcomes: 10; ledger rows: 9", id="a row is missing"),
        pytest.param(
            {},
            LEDGER._replace(kinds={"delivered": 6, "skipped": 2, "rejected": 2}),
            HOLDING,
            "skipped: 3; skipped in the ledger: 2",
            id="other kinds in the ledger",
        ),
        pytest.param(
            {},
            LEDGER,
            HOLDING._replace(keys=frozenset(sorted(KEYS)[1:])),
            "different events delivered: 5; of these at the stand-in: 4",
            id="TikTok lacks one",
        ),
        pytest.param(
            {},
            LEDGER,
            HOLDING._replace(keys=KEYS | {("PIXEL", "Purchase", "0")}),
            "different events at the stand-in: 6; of these delivered by the ledger: 5",
            id="TikTok has one that the ledger does not know",
        ),
        pytest.param(
            {},
            LEDGER,
            HOLDING._replace(accepted=6),
            "delivered: 6; accepted + repeats dropped: 7",
            id="TikTok has more",
        ),
    ],
)
def test_whatever_is_missing_is_named(summary: dict[str, Any], ledger: Ledger, holding: Holding, said: str) -> None:
    target = console()
    assert not demoreport.verdict(demoreport.checks(SUMMARY | summary, ledger, holding), holding, target)
    assert "The counts do NOT add up" in printed(target)
    assert said in printed(target)


def test_the_ledger_is_counted_by_kind_key_and_event(tmp_path: Path) -> None:
    rows = {
        "kind": ["delivered", "delivered", "delivered", "skipped", "delivered"],
        "event_source_id": ["P", "P", "P", "P", "Q"],
        "event": ["Purchase", "Purchase", "ViewContent", None, "Purchase"],
        "event_id": ["1", "1", "1", None, "1"],
    }
    for day, part in (("2024-06-20", slice(0, 3)), ("2024-06-21", slice(3, None))):
        folder = tmp_path / f"date={day}"
        folder.mkdir()
        columns = {name: pa.array(values[part], pa.string()) for name, values in rows.items()}
        columns["kind"] = columns["kind"].dictionary_encode()
        pq.write_table(pa.table(columns), folder / "part.parquet")
    assert demoreport.read_ledger(tmp_path) == Ledger(
        rows=5,
        kinds={"delivered": 4, "skipped": 1},
        keys=frozenset({("P", "Purchase", "1"), ("P", "ViewContent", "1"), ("Q", "Purchase", "1")}),
        events={"Purchase": 3, "ViewContent": 1},
    )


def test_outcomes_are_shown_by_kind_and_reason_with_their_share() -> None:
    target = console()
    target.print(demoreport.outcome_table(SUMMARY, target))
    lines = [line.split() for line in printed(target).splitlines()]
    assert lines[2:] == [
        ["delivered", "6", "60.0%"],
        ["skipped", "3", "30.0%"],
        ["unsupported_event_type", "2", "20.0%"],
        ["unsupported_action", "1", "10.0%"],
        ["rejected", "1", "10.0%"],
        ["missing_page_url", "1", "10.0%"],
        ["undelivered", "0", "0.0%"],
        ["unknown", "0", "0.0%"],
    ]


def test_the_run_is_shown_with_its_speed() -> None:
    target = console()
    target.print(demoreport.run_table(SUMMARY, target))
    lines = [line.rsplit(maxsplit=1) for line in printed(target).splitlines() if line.strip()]
    assert ["events per second", "20"] in [[name.strip(), value] for name, value in lines[1:]]


def test_match_keys_are_shown_for_each_tiktok_event_the_most_frequent_first() -> None:
    target = console()
    target.print(demoreport.coverage_table(SUMMARY, LEDGER, target))
    lines = printed(target).splitlines()
    assert [line.split() for line in lines[2:]] == [
        ["ViewContent", "4", "0%", "25%", "0%", "0%", "0%", "0%"],
        ["Purchase", "2", "50%", "0%", "0%", "0%", "100%", "0%"],
    ]
    assert max(map(len, lines)) <= 80


def test_a_folder_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "precious.txt").write_text("mine")
    assert demo.main(["--output", str(tmp_path)]) == 1
    assert (tmp_path / "precious.txt").read_text() == "mine"


@pytest.fixture(scope="module")
def demonstration(tmp_path_factory: pytest.TempPathFactory) -> tuple[subprocess.CompletedProcess[str], Path]:
    """One whole demo as a user would start it, in a folder that another demo has left."""
    folder = tmp_path_factory.mktemp("demo") / "demo-output"
    command = [sys.executable, "-m", "pipeline", "demo", "--batches", "400", "--seed", "3", "--output", str(folder)]
    folder.mkdir()
    (folder / demo.MARKER).touch()
    (folder / "left-over").touch()
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False), folder


Demonstration = tuple[subprocess.CompletedProcess[str], Path]


def test_the_demo_adds_up_and_says_so(demonstration: Demonstration) -> None:
    done, _ = demonstration
    assert done.returncode == 0, done.stdout + done.stderr
    assert "The counts add up: " in done.stdout


def test_the_demo_makes_its_folder_anew(demonstration: Demonstration) -> None:
    _, folder = demonstration
    assert not (folder / "left-over").exists()


def test_the_demo_shows_every_kind_of_outcome_and_every_mapped_event(demonstration: Demonstration) -> None:
    done, folder = demonstration
    for word in (*demoreport.KINDS, "ViewContent", "AddToCart", "AddToWishlist", "InitiateCheckout", "PlaceAnOrder"):
        assert word in done.stdout
    counts = demoreport.kind_counts(json.loads((folder / "summary.json").read_text()))
    assert counts["delivered"] > counts["skipped"] > counts["rejected"] > 0
    assert counts["undelivered"] == counts["unknown"] == 0


def test_the_demo_fits_80_columns_and_has_no_colours_without_a_terminal(demonstration: Demonstration) -> None:
    done, folder = demonstration
    assert "\x1b" not in done.stdout
    assert [line for line in done.stdout.splitlines() if len(line) > 80 and str(folder) not in line] == []


def test_the_preview_that_the_demo_recommends_works(demonstration: Demonstration) -> None:
    done, folder = demonstration
    command = next(line for line in done.stdout.splitlines() if "pipeline preview" in line).split()
    preview = subprocess.run([sys.executable, *command[1:]], cwd=ROOT, capture_output=True, text=True, check=False)
    assert preview.returncode == 0, preview.stderr
    assert "ViewContent" in preview.stdout


def test_the_demo_leaves_its_token_nowhere(demonstration: Demonstration) -> None:
    done, folder = demonstration
    written = b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())
    assert b"access_token: env:" in written
    assert b"demo-token-" not in written + done.stdout.encode() + done.stderr.encode()
