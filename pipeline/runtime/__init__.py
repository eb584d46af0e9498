"""State of this process: what was read and sent so far, and whether it is to stop.

In: counts from steps, signals from outside. Out: progress for a display, and an early end of the input.
"""

from pipeline.runtime.progress import EXPECTED_BYTES, EXPECTED_FILES, PROGRESS, CountedTransport, Progress
from pipeline.runtime.read_counters import (
    BYTES,
    CUT_OFF,
    FILES,
    OF_PROGRESS,
    PARTS,
    PRUNED,
    PRUNED_BYTES,
    PRUNED_FILES,
    PRUNED_ROW_GROUPS,
    PRUNED_ROWS,
    ROW_GROUPS,
    ROWS,
    ReadReport,
)
from pipeline.runtime.shutdown import files_until_stopped, is_stopping, stopped_by_signals

__all__ = [
    "BYTES",
    "CUT_OFF",
    "CountedTransport",
    "EXPECTED_BYTES",
    "EXPECTED_FILES",
    "FILES",
    "OF_PROGRESS",
    "PARTS",
    "PROGRESS",
    "PRUNED",
    "PRUNED_BYTES",
    "PRUNED_FILES",
    "PRUNED_ROWS",
    "PRUNED_ROW_GROUPS",
    "Progress",
    "ROWS",
    "ROW_GROUPS",
    "ReadReport",
    "files_until_stopped",
    "is_stopping",
    "stopped_by_signals",
]
