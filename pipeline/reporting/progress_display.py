"""The display of a run's progress: a line that changes on a terminal, lines in a log elsewhere.

How much is left follows from the bytes of the files: reading waits for everything behind it, so it does not run ahead.
"""

import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from types import TracebackType
from typing import Self, TextIO

from rich.console import Console
from rich.live import Live
from rich.spinner import Spinner
from rich.text import Text

from pipeline.runtime import BYTES, EXPECTED_BYTES, EXPECTED_FILES, FILES, PROGRESS, ROW_GROUPS, Progress
from transforms.counters import REQUESTS
from transforms.vocabulary import Kind

# Seconds between two lines in a log, and between two changes on a terminal.
LINE_SECS = 10.0
TERMINAL_SECS = 0.25

# The time left is shown from this share of the input on; before, it would be a guess.
_LEAST_DONE = 0.01


class ProgressDisplay:
    """Shows progress until the `with` block ends: a line that changes on a terminal, now and then a line elsewhere.

        with ProgressDisplay():
            result = pipeline.run()

    Args:
      progress: whose counts.
      stream: where to; standard error, so that standard output stays clean.
      interval_secs: time between two lines or changes; None: as fits the stream.
      clock: seconds, monotonic.
    """

    def __init__(
        self,
        progress: Progress = PROGRESS,
        stream: TextIO | None = None,
        interval_secs: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._progress = progress
        self._console = Console(file=stream or sys.stderr)
        self._terminal = self._console.is_terminal
        self._interval_secs = interval_secs or (TERMINAL_SECS if self._terminal else LINE_SECS)
        self._clock = clock
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._show, name="progress", daemon=True)
        self._started = 0.0
        self._before: Counter[str] = Counter()

    def __enter__(self) -> Self:
        """Starts the display."""
        self._started = self._clock()
        self._before = self._progress.counts()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Ends the display."""
        self._stop.set()
        self._thread.join()

    def line(self) -> str:
        """Returns the progress since the start in one line."""
        counts = self._progress.counts()
        counts.subtract(self._before)
        total = sum(counts[kind] for kind in Kind)
        secs = max(self._clock() - self._started, 0.001)
        shown = [f"{counts[kind]:,} {kind}" for kind in Kind if counts[kind] or kind is Kind.DELIVERED]
        line = f"{total:,} events, {total / secs:,.0f}/s: {', '.join(shown)}"
        if counts[REQUESTS]:
            line += f"; {counts[REQUESTS]:,} requests"
        expected = self._progress.counts()
        if expected[EXPECTED_FILES]:
            line += f"; {counts[FILES]:,} of {expected[EXPECTED_FILES]:,} files"
        if counts[ROW_GROUPS]:
            line += f", {counts[ROW_GROUPS]:,} row groups"
        done = counts[BYTES] / expected[EXPECTED_BYTES] if expected[EXPECTED_BYTES] else 0.0
        if total and _LEAST_DONE <= done < 1:
            line += f"; {done:.0%}, {_duration(secs * (1 - done) / done)} left"
        return line

    def _show(self) -> None:
        if not self._terminal:
            while not self._stop.wait(self._interval_secs):
                self._console.print(self.line(), highlight=False, markup=False, soft_wrap=True)
            return
        spinner = Spinner("dots")
        with Live(spinner, console=self._console, transient=True, redirect_stdout=False, redirect_stderr=False):
            while not self._stop.wait(self._interval_secs):
                spinner.update(text=Text(self.line()))


def _duration(secs: float) -> str:
    """Returns a time for people, in the two units that matter.

    >>> _duration(42.4), _duration(250), _duration(7_300)
    ('42 s', '4 min 10 s', '2 h 1 min')
    """
    minutes, seconds = divmod(round(secs), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours:,} h {minutes} min"
    return f"{minutes} min {seconds} s" if minutes else f"{seconds} s"
