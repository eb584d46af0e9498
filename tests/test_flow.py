"""The whole flow over realistic input: what enters leaves, and the same input gives the same bytes, however it runs."""

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pyarrow.dataset as ds
import pytest

from pipeline.errors import CommandError
from pipeline.jobs import run as job
from pipeline.options import RunOptions
from sandbox.shop.generator import batches, write_ndjson, write_parquet
from sandbox.tiktok.control import Sandbox
from transforms.connection import Connection
from transforms.mapping.convert import converter
from transforms.model import Message, Outcome

BATCHES = 3000


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The same messages three times: Parquet, lines, lines in gzip."""
    folder = tmp_path_factory.mktemp("flow")
    messages = list(batches(BATCHES, seed=11))
    write_parquet(folder / "parquet", messages, rows_per_group=700, files=2)
    # What is no single line cannot be in a file of lines; nor can a line be empty.
    lines = [message for message in messages if b"\n" not in message and message.strip()]
    write_parquet(folder / "lines_parquet", lines)
    write_ndjson(folder / "lines.txt", lines)
    write_ndjson(folder / "lines.txt.gz", lines)
    return {name: folder / name for name in ("parquet", "lines_parquet", "lines.txt", "lines.txt.gz")}


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(keep_bodies=True) as sandbox:
        yield sandbox


@pytest.fixture
def run(sandbox: Sandbox, tmp_path: Path) -> Callable[..., tuple[int, dict[str, Any], list[dict[str, Any]]]]:
    def run(
        inputs: list[Path], run_id: str = "run", settings: dict[str, Any] | None = None, **options: Any
    ) -> tuple[int, dict[str, Any], list[dict[str, Any]]]:
        (tmp_path / "token").write_text(sandbox.token)
        connection = Connection(
            **{
                "event_source_id": "PIXEL",
                "access_token": f"file:{tmp_path / 'token'}",
                "api_url": sandbox.api_url,
                "enable_web_migration": True,
                "event_source_type": "feed",
                "default_currency": "EUR",
                "requests_per_second": 500.0,
                **(settings or {}),
            }
        )
        ledger, summary = tmp_path / run_id / "ledger", tmp_path / run_id / "summary.json"
        exit_code = job.run_job(
            RunOptions(
                connection=connection,
                inputs=tuple(str(file) for file in inputs),
                ledger=str(ledger),
                summary=str(summary),
                run_id=run_id,
                **options,
            )
        )
        rows = ds.dataset(ledger, format="parquet").to_table().to_pylist()
        return exit_code, msgspec.json.decode(summary.read_bytes()), rows

    return run


def sent_events(sandbox: Sandbox) -> list[bytes]:
    """Returns every event that was sent, as its own JSON, sorted."""
    events = []
    for kept in sandbox.bodies():
        body = msgspec.json.decode(kept.body, type=dict[str, Any])
        events += [msgspec.json.encode(event) for event in body.get("data") or body["batch"]]
    return sorted(events)


def by_kind(rows: list[dict[str, Any]]) -> Counter[tuple[str, str | None]]:
    return Counter((row["kind"], row["reason"]) for row in rows)


def test_every_unit_that_enters_leaves_as_exactly_one_outcome(
    run: Any, files: dict[str, Path], sandbox: Sandbox
) -> None:
    sandbox.reset()
    exit_code, summary, rows = run([files["parquet"]])
    assert exit_code == 0
    assert summary["adds_up"]
    assert summary["messages"] == BATCHES
    assert summary["events"] == len(rows) > 2 * BATCHES
    per_unit = Counter((row["input_ref"], row["input_index"]) for row in rows)
    assert set(per_unit.values()) == {1}
    assert len({row["input_ref"] for row in rows}) == BATCHES
    delivered = {row["event_id"] for row in rows if row["kind"] == "delivered"}
    assert delivered == {key.event_id for key in sandbox.accepted()}
    assert {row["kind"] for row in rows} == {"delivered", "skipped", "rejected"}


def test_the_same_input_gives_byte_equal_payloads_whatever_the_file_form(
    run: Any, files: dict[str, Path], sandbox: Sandbox
) -> None:
    sent, ended = [], []
    for number, name in enumerate(["lines_parquet", "lines_parquet", "lines.txt", "lines.txt.gz"]):
        sandbox.reset()
        _, _, rows = run([files[name]], run_id=f"run-{number}")
        sent.append(sent_events(sandbox))
        ended.append(by_kind(rows))
    assert len(sent[0]) > 1000
    assert sent[0] == sent[1] == sent[2] == sent[3]
    assert ended[0] == ended[1] == ended[2] == ended[3]


@pytest.mark.parametrize("mode", ["multi_threading", "multi_processing"])
def test_several_workers_give_the_same_outcomes(run: Any, files: dict[str, Path], sandbox: Sandbox, mode: str) -> None:
    sandbox.reset()
    _, alone, rows_alone = run([files["parquet"]], run_id="alone")
    sandbox.reset()
    args = ("--direct_num_workers=2", f"--direct_running_mode={mode}")
    _, together, rows = run([files["parquet"]], run_id="together", beam_args=args)
    assert by_kind(rows) == by_kind(rows_alone)
    assert together["outcomes"] == alone["outcomes"]
    assert together["events"] == alone["events"]
    assert together["adds_up"]


def test_the_run_agrees_with_the_plain_functions(run: Any, files: dict[str, Path], sandbox: Sandbox) -> None:
    sandbox.reset()
    _, _, rows = run([files["lines.txt"]])
    convert = converter(
        Connection(event_source_id="PIXEL", enable_web_migration=True, event_source_type="feed", default_currency="EUR")
    )
    expected: Counter[tuple[str, str | None]] = Counter()
    for number, line in enumerate(files["lines.txt"].read_bytes().splitlines()):
        for result in convert(Message(str(number), line)):
            expected[(result.kind, result.reason) if isinstance(result, Outcome) else ("delivered", None)] += 1
    assert by_kind(rows) == expected


def test_a_corrupt_file_is_one_rejected_outcome_with_its_name_and_does_not_stop_the_others(
    run: Any, files: dict[str, Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    broken = tmp_path / "broken.parquet"
    broken.write_bytes(b"PAR1" + b"no parquet at all" + b"PAR1")
    exit_code, summary, rows = run([broken, files["lines.txt"]])
    named = [row for row in rows if row["reason"] == "unreadable_file"]
    assert [row["input_ref"] for row in named] == [str(broken)]
    assert f"{broken}: the Parquet footer cannot be decoded" in caplog.text
    assert summary["adds_up"]
    assert len(rows) > 1000
    assert exit_code == 0


def test_with_strict_files_a_corrupt_file_stops_the_run_and_is_named(
    run: Any, files: dict[str, Path], tmp_path: Path
) -> None:
    broken = tmp_path / "broken.parquet"
    broken.write_bytes(b"PAR1" + b"no parquet at all" + b"PAR1")
    with pytest.raises(CommandError, match="broken.parquet cannot be read"):
        run([broken], strict_files=True)


def test_a_pattern_without_files_is_refused_before_anything_is_sent(run: Any, tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="matches no file"):
        run([tmp_path / "nothing-*.parquet"])


def test_events_outside_the_time_window_are_skipped(run: Any, files: dict[str, Path]) -> None:
    _, _, everything = run([files["lines.txt"]], run_id="everything")
    middle_ms = sorted(row["event_time"] for row in everything if row["kind"] == "delivered")[500].timestamp() * 1000
    _, _, rows = run([files["lines.txt"]], run_id="window", since_ms=int(middle_ms))
    outside = [row for row in rows if row["reason"] == "outside_time_window"]
    assert len(outside) > 100
    assert all(row["event_time"].timestamp() * 1000 < middle_ms for row in outside)
    assert all(row["event_time"].timestamp() * 1000 >= middle_ms for row in rows if row["kind"] == "delivered")
