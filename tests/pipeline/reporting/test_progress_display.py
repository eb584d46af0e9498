"""The display of progress, on a terminal and in a log."""

import io
import threading

from pipeline.reporting.progress_display import ProgressDisplay
from pipeline.runtime.progress import Progress
from transforms.vocabulary import Kind


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Stream(io.StringIO):
    """Sets an event when something was written."""

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


def test_a_line_has_how_many_how_fast_and_what_became_of_them() -> None:
    progress, clock = Progress(), Clock()
    progress.add(Kind.DELIVERED, 5_000)  # of an earlier run in this process
    with ProgressDisplay(progress, Stream(terminal=False), interval_secs=60, clock=clock) as display:
        assert display.line() == "0 events, 0/s: 0 delivered"
        progress.add(Kind.DELIVERED, 12_000)
        progress.add(Kind.UNDELIVERED, 500)
        clock.now += 5
        assert display.line() == "12,500 events, 2,500/s: 12,000 delivered, 500 undelivered"


def test_a_line_has_files_row_groups_requests_and_the_time_left() -> None:
    progress, clock = Progress(), Clock()
    progress.expect(files=12, size=4_000)
    with ProgressDisplay(progress, Stream(terminal=False), interval_secs=60, clock=clock) as display:
        progress.add(Kind.DELIVERED, 3_000)
        progress.add_read({"files": 3, "row_groups": 40, "bytes_read": 1_000, "rows": 3_000})
        progress.add_request()
        progress.add_request()
        clock.now += 50
        assert display.line() == (
            "3,000 events, 60/s: 3,000 delivered; 2 requests; 3 of 12 files, 40 row groups; 25%, 2 min 30 s left"
        )
        progress.add_read({"bytes_read": 3_000})
        assert "left" not in display.line()


def test_no_time_is_guessed_before_there_is_something_to_go_by() -> None:
    progress, clock = Progress(), Clock()
    progress.expect(files=1, size=1_000_000)
    with ProgressDisplay(progress, Stream(terminal=False), interval_secs=60, clock=clock) as display:
        progress.add(Kind.DELIVERED, 1)
        progress.add_read({"bytes_read": 500})
        clock.now += 1
        assert display.line() == "1 events, 1/s: 1 delivered; 0 of 1 files"


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
