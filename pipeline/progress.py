"""Progress of a run in this process: what became of how many events, on a terminal or as lines of a log.

`RecordOutcomes` adds to `PROGRESS` a few times a second, on every runner; nobody looks at it on a remote worker.
"""

import sys
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self, TextIO

from rich.console import Console
from rich.live import Live
from rich.spinner import Spinner
from rich.text import Text

from transforms.model import Kind

# Seconds between two lines in a log, and between two looks at a terminal.
LINE_SECS = 10.0
TERMINAL_SECS = 0.25


class Progress:
    """Counts of a process by kind. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts = dict.fromkeys(Kind, 0)

    def add(self, kind: Kind, count: int) -> None:
        """Adds outcomes of a kind."""
        with self._lock:
            self._counts[kind] += count

    def current(self) -> dict[Kind, int]:
        """Returns the counts of all kinds."""
        with self._lock:
            return dict(self._counts)

    def reset(self) -> None:
        """Forgets everything."""
        with self._lock:
            self._counts = dict.fromkeys(Kind, 0)


PROGRESS = Progress()


class ProgressDisplay:
    """Shows progress until the `with` block ends: a line that changes on a terminal, now and then a line elsewhere.

        with ProgressDisplay():
            result = pipeline.run()

    Args:
      progress: whose counts.
      stream: where to; standard error, so that standard output stays clean.
      interval_secs: time between two looks; None: as fits the stream.
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
        self._before: dict[Kind, int] = {}

    def __enter__(self) -> Self:
        """Starts the display."""
        self._started = self._clock()
        self._before = self._progress.current()
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
        counts = {kind: count - self._before.get(kind, 0) for kind, count in self._progress.current().items()}
        total = sum(counts.values())
        secs = max(self._clock() - self._started, 0.001)
        shown = [f"{count:,} {kind}" for kind, count in counts.items() if count or kind is Kind.DELIVERED]
        return f"{total:,} events, {total / secs:,.0f}/s: {', '.join(shown)}"

    def _show(self) -> None:
        if not self._terminal:
            while not self._stop.wait(self._interval_secs):
                self._console.print(self.line(), highlight=False, markup=False, soft_wrap=True)
            return
        spinner = Spinner("dots")
        with Live(spinner, console=self._console, transient=True, redirect_stdout=False, redirect_stderr=False):
            while not self._stop.wait(self._interval_secs):
                spinner.update(text=Text(self.line()))
