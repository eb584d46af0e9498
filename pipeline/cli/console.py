"""The look of what commands show: log lines for people or for programs, and colours where they are seen."""

import copy
import logging
import os
import sys
from typing import TextIO

# Our own packages; everything else is a library and logs from WARNING on.
_OWN_LOGGERS = ("pipeline", "transforms", "sandbox")

_LEVEL_COLOURS = {logging.WARNING: "33", logging.ERROR: "31", logging.CRITICAL: "31"}


def has_colours(stream: TextIO) -> bool:
    """Returns whether to colour what goes to a stream: a terminal, and NO_COLOR is not set (no-color.org)."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def coloured(text: str, code: str, *, enabled: bool) -> str:
    """Returns the text in an ANSI colour.

    Args:
      text: without colours.
      code: SGR parameters, for example `31` (red) or `1` (bold).
      enabled: False: the text as it is.
    """
    return f"\x1b[{code}m{text}\x1b[0m" if enabled else text


class _BriefFormatter(logging.Formatter):
    """One line a record, without traceback unless that is wanted; libraries put tracebacks into messages too."""

    def __init__(self, layout: str, times: str, *, verbose: bool, colours: bool = False) -> None:
        super().__init__(layout, times)
        self._verbose = verbose
        self._colours = colours

    def format(self, record: logging.LogRecord) -> str:
        """Returns the record as a line."""
        shown = copy.copy(record)
        shown.level = coloured(record.levelname.lower(), _LEVEL_COLOURS.get(record.levelno, "2"), enabled=self._colours)
        if not self._verbose:
            shown.exc_info = shown.exc_text = shown.stack_info = None
            if not record.name.startswith(_OWN_LOGGERS):
                shown.msg, shown.args = record.getMessage().split("\n", 1)[0], None
        return super().format(shown)


def set_up_logging(*, verbose: bool, stream: TextIO | None = None) -> None:
    """Sends log lines to standard error: ours from INFO on, those of libraries from WARNING on, without tracebacks.

    Args:
      verbose: ours from DEBUG on, libraries from INFO on, with tracebacks.
      stream: instead of standard error.
    """
    target = sys.stderr if stream is None else stream
    handler = logging.StreamHandler(target)
    if target.isatty():
        colours = has_colours(target)
        layout = _BriefFormatter("%(asctime)s %(level)s  %(message)s", "%H:%M:%S", verbose=verbose, colours=colours)
    else:
        layout = _BriefFormatter(
            "%(asctime)s %(levelname)s %(name)s %(message)s", "%Y-%m-%dT%H:%M:%S%z", verbose=verbose
        )
    handler.setFormatter(layout)
    logging.basicConfig(level=logging.INFO if verbose else logging.WARNING, handlers=[handler], force=True)
    # An exception in a step is reported twice: by this logger, with its traceback, and by the command that it ends.
    logging.getLogger("apache_beam.runners.common").setLevel(logging.NOTSET if verbose else logging.CRITICAL)
    for name in _OWN_LOGGERS:
        logging.getLogger(name).setLevel(logging.DEBUG if verbose else logging.INFO)
