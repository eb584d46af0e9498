"""Progress of a run in this process: what became of how many events, on a terminal or as lines of a log.

The steps that read and record add to `PROGRESS` on every runner; nobody looks at it on a remote worker. How much is
left follows from the bytes of the files: reading waits for everything behind it, so it does not run ahead.
"""

import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Self, TextIO

from rich.console import Console
from rich.live import Live
from rich.spinner import Spinner
from rich.text import Text

from pipeline.source_report import BYTES, FILES, ROW_GROUPS
from transforms.connection import Connection
from transforms.counters import REQUESTS
from transforms.tiktok import ApiReply, RequestBody, Transport
from transforms.vocabulary import Form, Kind

# Seconds between two lines in a log, and between two looks at a terminal.
LINE_SECS = 10.0
TERMINAL_SECS = 0.25

# The time left is told from this share of the input on; before, it would be a guess.
_LEAST_DONE = 0.01

_EXPECTED_FILES, _EXPECTED_BYTES = "expected_files", "expected_bytes"


class Progress:
    """Counts of a process: outcomes by kind, what was read, and requests. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()

    def add(self, kind: Kind, count: int) -> None:
        """Adds outcomes of a kind."""
        self.add_read({kind: count})

    def add_read(self, counts: Mapping[str, int]) -> None:
        """Adds what was read, by the names of `source_report`."""
        with self._lock:
            self._counts.update(counts)

    def add_request(self) -> None:
        """Adds a request that was answered, or will never be."""
        self.add_read({REQUESTS: 1})

    def expect(self, files: int, size: int) -> None:
        """Says how many files and bytes will be read, so that the time left can be told."""
        self.add_read({_EXPECTED_FILES: files, _EXPECTED_BYTES: size})

    def counts(self) -> Counter[str]:
        """Returns all counts by name."""
        with self._lock:
            return self._counts.copy()

    def current(self) -> dict[Kind, int]:
        """Returns the counts of all kinds."""
        counts = self.counts()
        return {kind: counts[kind] for kind in Kind}

    def reset(self) -> None:
        """Forgets everything."""
        with self._lock:
            self._counts.clear()


PROGRESS = Progress()


class CountedTransport:
    """Carries requests as another transport does, and counts them in `PROGRESS`.

    Args:
      transport: makes the other one.
      connection: for it.
    """

    def __init__(self, transport: Callable[[Connection], Transport], connection: Connection) -> None:
        self._transport = transport(connection)

    def post(self, form: Form, body: RequestBody, token: str) -> ApiReply:
        """Returns the reply of the other one."""
        try:
            return self._transport.post(form, body, token)
        finally:
            PROGRESS.add_request()


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
        if expected[_EXPECTED_FILES]:
            line += f"; {counts[FILES]:,} of {expected[_EXPECTED_FILES]:,} files"
        if counts[ROW_GROUPS]:
            line += f", {counts[ROW_GROUPS]:,} row groups"
        done = counts[BYTES] / expected[_EXPECTED_BYTES] if expected[_EXPECTED_BYTES] else 0.0
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
