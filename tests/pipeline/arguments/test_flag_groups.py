"""The flags of `run` and `replay` about what was sent before: a mistake is told before anything starts."""

from pathlib import Path
from typing import Any

import pytest

from pipeline.cli.commands.replay import parse_replay
from pipeline.cli.commands.run import parse_run
from pipeline.errors import UsageError

CONNECTION = ["--event_source_id", "PIXEL", "--access_token", "env:TOKEN"]


def run(*arguments: str) -> Any:
    return parse_run([*CONNECTION, "--input", "in/*.txt", *arguments])


def replay(*arguments: str) -> Any:
    return parse_replay([*CONNECTION, "--dead_letters", "letters/", *arguments])


def test_run_by_default_skips_nothing() -> None:
    options = run()
    assert (options.skip_delivered, options.resend_unknown, options.drop_duplicates) == (False, False, False)
    assert options.ledger_memory_mb == 512


def test_run_takes_them_all() -> None:
    options = run(
        *("--ledger", "ledger", "--skip_delivered", "--resend_unknown", "--drop_duplicates"),
        *("--ledger_memory_mb", "64"),
    )
    assert (options.skip_delivered, options.resend_unknown, options.drop_duplicates) == (True, True, True)
    assert options.ledger_memory_mb == 64


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--skip_delivered"], "--skip_delivered needs --ledger"),
        (["--ledger", "ledger", "--resend_unknown"], "--resend_unknown belongs to --skip_delivered"),
        (["--ledger_memory_mb", "lots"], '--ledger_memory_mb: "lots" is not allowed; a whole number from 0'),
        (["--ledger_memory_mb", "-1"], "--ledger_memory_mb"),
    ],
)
def test_run_refuses_what_cannot_work(arguments: list[str], said: str) -> None:
    with pytest.raises(UsageError) as refused:
        run(*arguments)
    assert said in str(refused.value)


def test_replay_keeps_a_ledger_of_its_own_unless_one_is_named() -> None:
    assert replay().ledger == "letters/_replays"
    assert replay("--ledger", "ledger").ledger == "ledger"
    assert replay().dead_letters == "letters/"
    assert replay().inputs == ("letters/",)
    assert replay().max_attempts == 100


def test_replay_takes_reasons_in_any_spelling_and_times_of_recording() -> None:
    options = replay(
        *("--reason", "Missing Page URL", "--reason", "outage", "--since", "2024-06-20", "--until", "2024-06-21"),
        *("--max_attempts", "7", "--quarantine", "q", "--resend_unknown", "--run_id", "mine"),
    )
    assert options.reasons == {"missing_page_url", "outage"}
    assert (options.recorded_since_ms, options.recorded_until_ms) == (1718841600000, 1718928000000)
    assert (options.since_ms, options.until_ms) == (None, None)
    assert (options.max_attempts, options.quarantine, options.resend_unknown) == (7, "q", True)
    assert options.run_id == "mine"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--reason", "outtage"], '"outtage" is no reason of a dead letter. Did you mean "outage"?'),
        (["--max_attempts", "0"], "--max_attempts"),
        (["--ledger_memory_mb", "x"], "--ledger_memory_mb"),
        (["--dead_leters", "x"], "unknown flag"),
    ],
)
def test_replay_refuses_what_cannot_work(arguments: list[str], said: str) -> None:
    with pytest.raises(UsageError) as refused:
        replay(*arguments)
    assert said in str(refused.value)


def test_replay_needs_letters_and_a_token(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--dead_letters is missing"):
        parse_replay(CONNECTION)
    with pytest.raises(UsageError, match="access_token is missing"):
        parse_replay(["--event_source_id", "PIXEL", "--dead_letters", "letters"])
