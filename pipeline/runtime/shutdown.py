"""Ending a run early: the first SIGTERM or SIGINT ends reading, and what was read is settled; the second ends all."""

import logging
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

_log = logging.getLogger(__name__)

# Set while a run over files, or a replay, of this process is to end; its readers look at it.
_REQUESTED = threading.Event()


def is_stopping() -> bool:
    """Returns whether no more of the input is to be read."""
    return _REQUESTED.is_set()


@contextmanager
def files_until_stopped() -> Iterator[None]:
    """Lets signals end the reading of files inside the `with` block; `is_stopping` returns it until the next one."""
    _REQUESTED.clear()
    with stopped_by_signals(_REQUESTED.set):
        yield


@contextmanager
def stopped_by_signals(stop: Callable[[], None]) -> Iterator[None]:
    """Lets the first SIGTERM or SIGINT call a function; the second one does what it did before."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}

    def on_signal(number: int, _: FrameType | None) -> None:
        for one, handler in before.items():
            signal.signal(one, handler)
        _log.warning("%s: ending after what was read; again to end at once.", signal.Signals(number).name)
        stop()

    for number in before:
        signal.signal(number, on_signal)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
