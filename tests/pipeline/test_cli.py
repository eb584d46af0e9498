"""The command line as a whole: exit codes, and errors as one readable block."""

import io
import logging
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline import cli
from pipeline.commands import standalone
from pipeline.console import set_up_logging
from pipeline.docstrings import member_docs
from pipeline.flags import settings
from pipeline.problems import CommandError
from transforms.model import Note, Reason

ROOT = Path(__file__).resolve().parents[2]
CANARY = "act.CanaryCanary4f1d9e0b"


@pytest.fixture(autouse=True)
def _restored_process() -> Iterator[None]:
    """Puts back what a command sets for its whole process."""
    hook, root = sys.excepthook, logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    sys.excepthook = hook
    root.handlers[:], root.level = handlers, level


def test_without_a_command_the_commands_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([]) == 2
    listed = capsys.readouterr().out
    assert [name for name in cli.COMMANDS if f"\n  {name} " in listed] == list(cli.COMMANDS)
    assert cli.main(["--help"]) == 0


def test_an_unknown_command_is_refused_with_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["preveiw"]) == 2
    error = capsys.readouterr().err
    assert error == (
        'error: "preveiw" is no command; one of run, preview, check, demo, sandbox is needed. Did you mean "preview"?\n'
    )


@pytest.mark.parametrize("command", ["run", "preview", "check"])
def test_help_lists_every_key_of_the_connection_with_its_default(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main([command, "--help"])
    assert caught.value.code == 0
    text = " ".join(capsys.readouterr().out.split())
    for setting in settings():
        assert f"--{setting.name} " in text
        # `--input` of a run names files first.
        if (command, setting.name) != ("run", "input"):
            assert setting.description in text
    assert "(default: legacy_pixel_batch_web; example: web)" in text
    assert "--requests_per_second NUMBER budget of requests of the whole job (default: 10; example: 20)" in text


@pytest.mark.parametrize("command", ["run", "preview", "check"])
def test_a_mistake_ends_with_code_2_one_block_and_no_traceback(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main([command, "--conection", CANARY, "x"]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith(f"error: tiktok-events {command}: unknown flag --conection. Did you mean")
    assert "Traceback" not in captured.err
    assert CANARY not in captured.err


def test_verbose_shows_the_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["check", "--verbose", "missing.yaml"]) == 2
    error = capsys.readouterr().err
    assert "Traceback" in error
    assert error.endswith("missing.yaml: cannot be read: No such file or directory.\n")


@pytest.mark.parametrize("command", ["run", "preview", "check"])
@pytest.mark.parametrize("form", ["--access_token={}", "--acess_token={}", "--test_event_code=TEST --json={}"])
def test_no_error_repeats_what_may_be_a_token(
    command: str, form: str, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    files = ["--input", "x"] if command == "run" else ["x"] if command == "preview" else []
    argv = [command, *files, "--event_source_id", "A1", *form.format(CANARY).split()]
    assert cli.main(argv) == 2
    captured = capsys.readouterr()
    assert CANARY not in captured.out + captured.err + caplog.text


def test_a_defect_is_told_by_its_place_and_not_by_its_text(capsys: pytest.CaptureFixture[str]) -> None:
    cli.main(["--help"])
    try:
        {"bob@example.com": 1}["alice@example.com"]
    except KeyError as error:
        sys.excepthook(type(error), error, error.__traceback__)
    told = capsys.readouterr().err
    assert told.startswith("error: KeyError at test_cli.py:")
    assert "alice" not in told


def test_a_reader_that_goes_away_causes_no_traceback(tmp_path: Path) -> None:
    """As in `tiktok-events … | head`."""
    program = (
        "import sys; from pipeline.cli import main, COMMANDS; COMMANDS.update(x='y' * 1_000_000)\n"
        "sys.exit(max(main(['--help']) for _ in range(9)))"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.read(10)
        process.stdout.close()
        error = process.stderr.read()
        assert process.wait(30) == 1
    assert error == b""


def test_the_module_can_be_run() -> None:
    done = subprocess.run([sys.executable, "-m", "pipeline", "nothing"], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith('error: "nothing" is no command')


def test_a_program_of_its_own_is_started_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "stand_in.py").write_text("def main(argv):\n    return None if not argv else len(argv)\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert standalone.run("stand_in", []) == 0
    assert standalone.run("stand_in", ["--port", "1", "x"]) == 3


def test_a_program_that_is_not_installed_is_an_error() -> None:
    with pytest.raises(CommandError) as caught:
        standalone.run("not_installed.demo", [])
    assert "the package `not_installed` is not installed here" in str(caught.value)
    assert caught.value.exit_code == 1


def test_the_sandbox_shows_its_own_help(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(["sandbox", "--help"])
    assert caught.value.code == 0
    assert "usage:" in capsys.readouterr().out


def test_libraries_log_from_warning_on_and_plainly_when_nobody_watches() -> None:
    stream = io.StringIO()
    set_up_logging(verbose=False, stream=stream)
    logging.getLogger("urllib3").info("a library's detail")
    logging.getLogger("urllib3").warning("a library's warning")
    logging.getLogger("pipeline.job").info("our news")
    logging.getLogger("pipeline.job").debug("our detail")
    lines = [line.split(" ", 1)[1] for line in stream.getvalue().splitlines()]
    assert lines == ["WARNING urllib3 a library's warning", "INFO pipeline.job our news"]


def test_verbose_logs_more() -> None:
    stream = io.StringIO()
    set_up_logging(verbose=True, stream=stream)
    logging.getLogger("urllib3").info("a library's detail")
    logging.getLogger("transforms.deliver").debug("our detail")
    assert len(stream.getvalue().splitlines()) == 2


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_gets_short_lines_with_colours_unless_no_color_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    coloured, plain = Terminal(), Terminal()
    set_up_logging(verbose=False, stream=coloured)
    logging.getLogger("pipeline").warning("look")
    assert coloured.getvalue()[8:] == " \x1b[33mwarning\x1b[0m  look\n"
    monkeypatch.setenv("NO_COLOR", "1")
    set_up_logging(verbose=False, stream=plain)
    logging.getLogger("pipeline").warning("look")
    assert plain.getvalue()[8:] == " warning  look\n"


def test_every_reason_and_every_note_has_its_sentence() -> None:
    assert set(member_docs(Reason)) == {reason.value for reason in Reason}
    assert set(member_docs(Note)) == {note.value for note in Note}
    assert member_docs(Reason)["outage"] == (
        "TikTok could not be reached or kept failing for `retry_secs`. Replay later."
    )
