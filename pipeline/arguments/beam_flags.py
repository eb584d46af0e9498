"""Beam's own flags, which `run` and `replay` pass through.

Beam drops flags that it does not know with a warning only. So what is left of our own flags is parsed here against
Beam's: a flag that neither knows is an error with the nearest name of both.
"""

import argparse
from collections.abc import Sequence
from typing import Any, NoReturn

from pipeline.arguments.parser import refuse_leftovers
from pipeline.errors import UsageError

_PROGRAM = "tiktok-events run"


class _BeamParser(argparse.ArgumentParser):
    """Knows the flags of every option class of Beam's; raises instead of leaving the process."""

    def __init__(self) -> None:
        self.names: list[str] = []
        super().__init__(prog=_PROGRAM, allow_abbrev=False, add_help=False)

    def add_argument(self, *names: Any, **options: Any) -> argparse.Action:
        """Adds a flag and keeps its names."""
        self.names += names
        return super().add_argument(*names, **options)

    def add_value_provider_argument(self, *names: str, **options: Any) -> None:
        """Adds an option of a classic template, which is an ordinary one here."""
        self.add_argument(*names, **options)

    def error(self, message: str) -> NoReturn:
        """Raises Beam's objection to a value."""
        raise UsageError(f"{_PROGRAM}: {message} (a flag of Beam's).")


def check_beam_args(rest: Sequence[str], own_flags: Sequence[str], runner: str) -> tuple[str, ...]:
    """Returns the arguments for Beam, each known to one of its option classes.

    Args:
      rest: what our own flags have left over.
      own_flags: our flags, to choose the nearest name from.
      runner: Beam's name of the runner.

    Raises:
      UsageError: a flag that nobody knows, a value of the wrong type, or a flag that cannot work here.
    """
    names = {word.split("=", 1)[0] for word in rest if word.startswith("--")}
    if "--streaming" in names:
        raise UsageError("--streaming: remove it; files are read as a batch, a --subscription as a stream.")
    if runner == "PrismRunner" and "--prism_location" not in names:
        raise UsageError(
            "--runner PrismRunner: give --prism_location PATH, the program built from Beam's Go module; Beam would try "
            "to download it. DirectRunner needs none."
        )
    if any("data_buffer_time_limit_ms" in word for word in rest):
        raise UsageError("--experiments data_buffer_time_limit_ms: remove it; Beam loses parts of events with it.")
    if not rest:
        return ()
    _parse(rest, own_flags)
    return tuple(rest)


def _parse(rest: Sequence[str], own_flags: Sequence[str]) -> None:
    """Parses Beam's flags as Beam would.

    Raises:
      UsageError: a flag that neither Beam nor we know, or a value of the wrong type.
    """
    # Importing it takes seconds, and most commands have no flags for Beam.
    from apache_beam.options.pipeline_options import PipelineOptions

    parser = _BeamParser()
    for options in PipelineOptions.__subclasses__():
        # Private by its name only: it is what Beam documents for option classes of one's own. There is no public way
        # to all of Beam's flags; `PipelineOptions` itself drops those that it does not know.
        options._add_argparse_args(parser)
    _, unknown = parser.parse_known_args(rest)
    refuse_leftovers(_PROGRAM, unknown, [*own_flags, *parser.names])


def graph_check_args(beam_args: Sequence[str]) -> tuple[str, ...]:
    """Returns Beam's flags with those that make Dataflow's runner build the graph and leave.

    What Dataflow needs and the graph does not (project, region, bucket) gets stand-ins, and no credentials are looked
    for, so that nothing is asked of Google Cloud.
    """
    stand_ins = {"--project": "graph-check", "--region": "us-central1", "--temp_location": "gs://graph-check/temp"}
    names = {word.split("=", 1)[0] for word in beam_args}
    missing = (f"{flag}={value}" for flag, value in stand_ins.items() if flag not in names)
    return (*beam_args, "--dry_run=True", "--no_auth", *missing)
