"""The command line: finds the command, loads only what it needs, and turns errors into one readable block.

Exit codes: 0 all settled · 1 failure · 2 usage or configuration · 3 finished, with undelivered or unknown events.
"""

import importlib
import io
import os
import re
import sys
import textwrap
from collections.abc import Sequence
from types import TracebackType

from pipeline.cli.console import coloured, has_colours, set_up_logging
from pipeline.errors import EXIT_FAILURE, EXIT_SETTLED, EXIT_USAGE, CommandError, UsageError
from pipeline.wording import shown, suggestion

# What Beam adds to the text of every exception that is raised in a step.
_BEAM_SUFFIX = re.compile(r" \[while running '[^']*'\]$")

# Command → what it does; the module is `pipeline.cli.commands.COMMAND`, or one of `_PROGRAMS`.
COMMANDS = {
    "run": "send the commerce events of files to TikTok",
    "replay": "send again what was not delivered, from the dead letters",
    "reconcile": "count by day and event what became of everything; does the ledger agree with the runs?",
    "preview": "show what would be sent for the messages of a file, and why the rest would not",
    "check": "check a connection, its token, and with --online TikTok's answer to a test event",
    "test": "run the cases of a connection: an event in, what becomes of it out",
    "schema": "print the JSON Schema of connection files, for editors",
    "import-projections": "turn mParticle's projections (JSON) into custom mappings (YAML)",
    "diff": "map a sample of messages through two connections, and show what differs",
    "launch": "start the pipeline on Dataflow from a template; update or drain a stream there",
    "demo": "see the pipeline at work, against a stand-in for TikTok on this machine",
    "sandbox": "start the stand-in for TikTok",
}

# Commands that are programs of their own, known by name only: nothing here may depend on them.
_PROGRAMS = {"demo": "sandbox.demo.batch", "sandbox": "sandbox.__main__"}

_USAGE = """usage: tiktok-events COMMAND [--help] [--verbose] …

Forwards mParticle's commerce events to TikTok's Events API.

commands:
{commands}

Exit codes: 0 all settled, 1 failure, 2 usage or configuration, 3 finished with
undelivered or unknown events.
`tiktok-events COMMAND --help` lists the flags of a command.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command and returns the exit code.

    Args:
      argv: the arguments without the program's name; None: those of the process.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    verbose = "--verbose" in arguments
    for stream in (sys.stdout, sys.stderr):
        # A terminal that cannot show a character gets its escape instead of an error.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    if not verbose:
        sys.excepthook = _print_defect
    try:
        return _dispatch(arguments)
    except CommandError as error:
        return _fail(error, _BEAM_SUFFIX.sub("", str(error)), error.exit_code, verbose=verbose)
    except BrokenPipeError:
        # The reader of our output has gone (`preview … | head`): nothing is left to write, also not at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_FAILURE
    except KeyboardInterrupt:
        return _fail(None, "interrupted.", EXIT_FAILURE, verbose=verbose)
    except RuntimeError as error:
        # What interrupts a step is wrapped by Beam.
        if not isinstance(error.__context__, KeyboardInterrupt):
            raise
        return _fail(error, "interrupted.", EXIT_FAILURE, verbose=verbose)
    except OSError as error:
        name = f"{error.filename}: " if error.filename else ""
        return _fail(error, f"{name}{error.strerror or type(error).__name__}.", EXIT_FAILURE, verbose=verbose)


def _dispatch(arguments: list[str]) -> int:
    command, *rest = arguments or ["--help"]
    if command in {"--help", "-h", "help"}:
        lines = "\n".join(
            textwrap.fill(summary, 78, initial_indent=f"  {name:<18} ", subsequent_indent=" " * 21)
            for name, summary in COMMANDS.items()
        )
        sys.stdout.write(_USAGE.format(commands=lines))
        return EXIT_SETTLED if arguments else EXIT_USAGE
    if command not in COMMANDS:
        known = ", ".join(COMMANDS)
        raise UsageError(f"{shown(command)} is no command; one of {known} is needed.{suggestion(command, COMMANDS)}")
    set_up_logging(verbose="--verbose" in rest)
    if command in _PROGRAMS:
        return run_program(_PROGRAMS[command], rest)
    module = importlib.import_module(f"pipeline.cli.commands.{command.replace('-', '_')}")
    exit_code: int = module.execute(rest)
    return exit_code


def run_program(module_name: str, argv: list[str]) -> int:
    """Runs `main(argv)` of a module and returns its exit code.

    Raises:
      CommandError: the module is not installed.
    """
    package = module_name.split(".", maxsplit=1)[0]
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name not in {package, module_name}:
            raise CommandError(
                f"{module_name} needs the package {error.name}, which is not installed; the extra `sandbox` of this "
                "distribution brings it: pip install 'tiktok-events-pipeline[sandbox]'"
            ) from error
        raise CommandError(
            f"the package `{package}` is not installed here; run this command in a checkout of the project."
        ) from error
    exit_code: int | None = module.main(argv)
    return exit_code or 0


def _fail(error: BaseException | None, text: str, exit_code: int, *, verbose: bool) -> int:
    """Writes an error to standard error, with its traceback if that is wanted, and returns the exit code."""
    if verbose and error is not None:
        sys.__excepthook__(type(error), error, error.__traceback__)
    label = coloured("error:", "1;31", enabled=has_colours(sys.stderr))
    sys.stderr.write(f"{label} {text}\n")
    return exit_code


def _print_defect(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Writes where an unforeseen exception came from; its text is left out, because it may hold what people entered."""
    place = ""
    while trace is not None:
        place = f"{os.path.basename(trace.tb_frame.f_code.co_filename)}:{trace.tb_lineno}"
        trace = trace.tb_next
    sys.stderr.write(
        f"error: {kind.__name__} at {place}: a defect of this program, or of a library. "
        "Please report it; --verbose shows the traceback.\n"
    )
