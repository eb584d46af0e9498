"""The command line as a whole: exit codes, and errors as one readable block."""

import io
import json
import logging
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.arguments.connection_flags import settings
from pipeline.cli import main as cli
from pipeline.cli.console import set_up_logging
from pipeline.cli.main import run_program
from pipeline.errors import CommandError
from sandbox.shop.generator import purchases, write_ndjson
from sandbox.tiktok.control import Sandbox
from sandbox.tiktok.faults import Answer

ROOT = Path(__file__).resolve().parents[3]
CANARY = "act.CanaryCanary4f1d9e0b"


pytestmark = pytest.mark.usefixtures("own_process")


def test_without_a_command_the_commands_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([]) == 2
    listed = capsys.readouterr().out
    assert [name for name in cli.COMMANDS if f"\n  {name} " in listed] == list(cli.COMMANDS)
    assert cli.main(["--help"]) == 0


def test_an_unknown_command_is_refused_with_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["preveiw"]) == 2
    error = capsys.readouterr().err
    assert error == (
        f'error: "preveiw" is no command; one of {", ".join(cli.COMMANDS)} is needed. Did you mean "preview"?\n'
    )


@pytest.mark.parametrize("command", ["run", "preview", "check", "test"])
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


def test_an_error_from_inside_a_step_is_told_without_what_beam_adds(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "stand_in_step.py").write_text(
        "from pipeline.errors import UsageError\n"
        "def execute(argv):\n    raise UsageError(\"no file matches. [while running 'ReadMessages/FindFiles']\")\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setitem(cli.COMMANDS, "stand_in_step", "")
    monkeypatch.setattr("pipeline.cli.commands.__path__", [str(tmp_path)])
    assert cli.main(["stand_in_step"]) == 2
    assert capsys.readouterr().err == "error: no file matches.\n"


def test_a_defect_is_told_by_its_place_and_not_by_its_text(capsys: pytest.CaptureFixture[str]) -> None:
    cli.main(["--help"])
    try:
        {"bob@example.com": 1}["alice@example.com"]
    except KeyError as error:
        sys.excepthook(type(error), error, error.__traceback__)
    told = capsys.readouterr().err
    assert told.startswith("error: KeyError at test_main.py:")
    assert "alice" not in told


def test_a_reader_that_goes_away_causes_no_traceback(tmp_path: Path) -> None:
    """As in `tiktok-events … | head`."""
    program = (
        "import sys; from pipeline.cli.main import main, COMMANDS; COMMANDS.update(x='y' * 1_000_000)\n"
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
    assert run_program("stand_in", []) == 0
    assert run_program("stand_in", ["--port", "1", "x"]) == 3


def test_a_program_that_is_not_installed_is_an_error() -> None:
    with pytest.raises(CommandError) as caught:
        run_program("not_installed.demo", [])
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
    logging.getLogger("pipeline.jobs.run").info("our news")
    logging.getLogger("pipeline.jobs.run").debug("our detail")
    lines = [line.split(" ", 1)[1] for line in stream.getvalue().splitlines()]
    assert lines == ["WARNING urllib3 a library's warning", "INFO pipeline.jobs.run our news"]


def test_tracebacks_of_libraries_are_for_the_verbose() -> None:
    brief, verbose = io.StringIO(), io.StringIO()
    for stream in (brief, verbose):
        set_up_logging(verbose=stream is verbose, stream=stream)
        try:
            raise ValueError("inside")
        except ValueError:
            logging.getLogger("apache_beam.utils.retry").warning("again\n Traceback of it", exc_info=True)
            logging.getLogger("apache_beam.runners.common").exception("told by the command too")
    assert brief.getvalue().splitlines()[0].endswith(" WARNING apache_beam.utils.retry again")
    assert len(brief.getvalue().splitlines()) == 1
    assert "ValueError: inside" in verbose.getvalue()


def test_verbose_logs_more() -> None:
    stream = io.StringIO()
    set_up_logging(verbose=True, stream=stream)
    logging.getLogger("urllib3").info("a library's detail")
    logging.getLogger("transforms.write_to_tiktok").debug("our detail")
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


def test_a_run_ends_with_0_when_all_is_settled_and_with_3_when_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    events = write_ndjson(tmp_path / "purchases.txt", purchases(20, seed=1))
    monkeypatch.setenv("TIKTOK_TOKEN", CANARY)
    with Sandbox(tokens=[CANARY]) as sandbox:
        argv = ["run", "--event_source_id", "A1", "--access_token", "env:TIKTOK_TOKEN", "--input", str(events)]
        argv += ["--api_url", sandbox.api_url, "--retry_secs", "0", "--summary", str(tmp_path / "summary.json")]
        assert cli.main(argv) == 0
        accepted = len(sandbox.accepted())
        sandbox.set_faults(Answer(code=50000, status=500))
        assert cli.main(argv) == 3
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert {"kind": "undelivered", "reason": "outage", "count": accepted} in summary["outcomes"]
    captured = capsys.readouterr()
    assert CANARY not in captured.out + captured.err
