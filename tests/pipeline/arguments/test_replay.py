"""The command line of `replay`: everything that can be refused is refused before anything starts."""

import pytest

from pipeline.arguments.replay import parse_replay
from pipeline.errors import UsageError
from pipeline.options import ReplayOptions

CONNECTION = ["--event_source_id", "PIXEL", "--access_token", "env:TOKEN"]


def replay(*arguments: str) -> ReplayOptions:
    return parse_replay([*CONNECTION, "--dead_letters", "dead/", *arguments])


def test_replay_keeps_a_ledger_of_its_own_unless_one_is_named() -> None:
    assert replay().ledger == "dead/_replays"
    assert replay("--ledger", "ledger").ledger == "ledger"
    assert replay().dead_letters == "dead/"
    assert replay().inputs == ("dead/",)
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
        (["--max_attempts", "0"], '--max_attempts: "0" is not allowed; a whole number from 1 to 1000000 is needed.'),
        (["--ledger_memory_mb", "x"], "--ledger_memory_mb"),
        (["--dead_leters", "x"], "unknown flag"),
    ],
)
def test_replay_refuses_what_cannot_work(arguments: list[str], said: str) -> None:
    with pytest.raises(UsageError) as refused:
        replay(*arguments)
    assert said in str(refused.value)


def test_replay_needs_dead_letters_and_a_token() -> None:
    with pytest.raises(UsageError, match="--dead_letters is missing"):
        parse_replay(CONNECTION)
    with pytest.raises(UsageError, match="access_token is missing"):
        parse_replay(["--event_source_id", "PIXEL", "--dead_letters", "dead"])


def test_a_replay_has_a_dry_run_on_dataflow_only() -> None:
    argv = [*CONNECTION, "--dead_letters", "dead-letters", "--dry_run"]
    assert "--dry_run=True" in parse_replay([*argv, "--runner", "DataflowRunner"]).beam_args
    with pytest.raises(UsageError, match="with --runner DataflowRunner only"):
        parse_replay(argv)
