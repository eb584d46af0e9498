"""Progress of a run, on a terminal and in a log."""

import io
import threading

from pipeline.progress import Progress, ProgressDisplay
from transforms.model import Kind


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Stream(io.StringIO):
    """Tells when something was written."""

    def __init__(self, terminal: bool) -> None:
        super().__init__()
        self.written = threading.Event()
        self._terminal = terminal

    def isatty(self) -> bool:
        return self._terminal

    def write(self, text: str) -> int:
        count = super().write(text)
        if "events" in self.getvalue():
            self.written.set()
        return count


def test_counts_add_up_over_threads() -> None:
    progress = Progress()
    threads = [
        threading.Thread(target=lambda: [progress.add(Kind.DELIVERED, 1) for _ in range(1_000)]) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert progress.current()[Kind.DELIVERED] == 4_000
    progress.reset()
    assert set(progress.current().values()) == {0}


def test_a_line_says_how_many_how_fast_and_what_became_of_them() -> None:
    progress, clock = Progress(), Clock()
    progress.add(Kind.DELIVERED, 5_000)  # of an earlier run in this process
    with ProgressDisplay(progress, Stream(terminal=False), interval_secs=60, clock=clock) as display:
        assert display.line() == "0 events, 0/s: 0 delivered"
        progress.add(Kind.DELIVERED, 12_000)
        progress.add(Kind.UNDELIVERED, 500)
        clock.now += 5
        assert display.line() == "12,500 events, 2,500/s: 12,000 delivered, 500 undelivered"


def test_a_log_gets_plain_lines() -> None:
    progress, stream = Progress(), Stream(terminal=False)
    with ProgressDisplay(progress, stream, interval_secs=0.01, clock=Clock()):
        assert stream.written.wait(10)
    assert "0 events, 0/s: 0 delivered\n" in stream.getvalue()
    assert "\x1b" not in stream.getvalue()


def test_a_terminal_gets_a_line_that_goes_away() -> None:
    progress, stream = Progress(), Stream(terminal=True)
    with ProgressDisplay(progress, stream, interval_secs=0.01, clock=Clock()):
        assert stream.written.wait(10)
    assert "\x1b[" in stream.getvalue()


def test_the_display_ends_at_once() -> None:
    with ProgressDisplay(Progress(), Stream(terminal=False), interval_secs=600):
        pass
    assert not [thread for thread in threading.enumerate() if thread.name == "progress"]
