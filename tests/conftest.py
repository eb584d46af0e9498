"""What the tests of the command line share, wherever they stand."""

import logging
import os
import signal
import sys
from collections.abc import Iterator

import pytest

# A shell starts what runs in the background with SIGINT ignored, and the programs that tests start would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# What a test may take that is marked slow, whatever its module allows.
_SLOW_SECS = 600


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Returns what `-n auto` means here: two more than there are cores, because many tests wait for others."""
    return (os.cpu_count() or 1) + 2


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Gives slow tests their time."""
    for item in items:
        if item.get_closest_marker("slow"):
            item.add_marker(pytest.mark.timeout(_SLOW_SECS), append=False)


LOGGERS = ("", "pipeline", "transforms", "sandbox", "apache_beam.runners.common")


@pytest.fixture
def own_process() -> Iterator[None]:
    """Puts back what a command sets for its whole process: the hook for exceptions, and logging."""
    hook, handlers = sys.excepthook, logging.getLogger().handlers[:]
    levels = {name: logging.getLogger(name).level for name in LOGGERS}
    yield
    sys.excepthook = hook
    logging.getLogger().handlers[:] = handlers
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)
