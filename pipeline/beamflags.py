"""Beam's own flags, parsed strictly. Apart from the rest, because importing Beam's options takes a second."""

import argparse
from collections.abc import Sequence
from typing import NoReturn

from apache_beam.options.pipeline_options import PipelineOptions

from pipeline.flags import refuse_leftovers
from pipeline.problems import UsageError

_PROGRAM = "tiktok-events run"


class _BeamParser(argparse.ArgumentParser):
    """Knows the flags of every option class of Beam's; raises instead of leaving the process."""

    def add_value_provider_argument(self, *names: str, **options: object) -> None:
        """Adds an option of a classic template, which is an ordinary one here."""
        self.add_argument(*names, **options)  # type: ignore[arg-type]

    def error(self, message: str) -> NoReturn:
        """Raises Beam's objection to a value."""
        raise UsageError(f"{_PROGRAM}: {message} (a flag of Beam's).")


def parse_beam_flags(rest: Sequence[str], own_flags: Sequence[str]) -> argparse.Namespace:
    """Returns Beam's flags as Beam would read them.

    Raises:
      UsageError: a flag that neither Beam nor we know, or a value of the wrong type.
    """
    parser = _BeamParser(prog=_PROGRAM, allow_abbrev=False, add_help=False)
    for options in PipelineOptions.__subclasses__():
        options._add_argparse_args(parser)
    namespace, unknown = parser.parse_known_args(rest)
    refuse_leftovers(_PROGRAM, unknown, [*own_flags, *parser._option_string_actions])
    return namespace
