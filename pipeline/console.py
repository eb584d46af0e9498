"""What commands show: log lines for people on a terminal, plain lines elsewhere, colours only where they are seen."""

import logging
import os
import sys
from typing import TextIO

# Our own packages; everything else is a library and speaks from WARNING on.
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


class _TerminalFormatter(logging.Formatter):
    """`14:03:07 warning  message`, the level coloured."""

    def __init__(self, *, colours: bool) -> None:
        super().__init__("%(asctime)s %(level)s  %(message)s", "%H:%M:%S")
        self._colours = colours

    def format(self, record: logging.LogRecord) -> str:
        """Returns the record as one line, with its traceback if it has one."""
        code = _LEVEL_COLOURS.get(record.levelno, "2")
        record.level = coloured(record.levelname.lower(), code, enabled=self._colours)
        return super().format(record)


def set_up_logging(*, verbose: bool, stream: TextIO | None = None) -> None:
    """Sends log lines to standard error: ours from INFO on, those of libraries from WARNING on.

    Args:
      verbose: ours from DEBUG on, libraries from INFO on.
      stream: instead of standard error.
    """
    target = sys.stderr if stream is None else stream
    handler = logging.StreamHandler(target)
    if target.isatty():
        handler.setFormatter(_TerminalFormatter(colours=has_colours(target)))
    else:
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s", "%Y-%m-%dT%H:%M:%S%z"))
    logging.basicConfig(level=logging.INFO if verbose else logging.WARNING, handlers=[handler], force=True)
    for name in _OWN_LOGGERS:
        logging.getLogger(name).setLevel(logging.DEBUG if verbose else logging.INFO)
