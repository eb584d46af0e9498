"""Counts of reading, beside messages and outcomes: what was read, what was left unread, what is damaged."""

from collections import Counter

# Names of counters, beside those of `transforms.counters`.
FILES = "files"
PARTS = "file_parts"
ROW_GROUPS = "row_groups"
ROWS = "rows"
BYTES = "bytes_read"
# Of use while a run lasts, and not counted by Beam.
OF_PROGRESS = frozenset({ROW_GROUPS, BYTES})

# The first word is the family under which a summary shows them.
PRUNED = "pruned"
PRUNED_FILES = "pruned:files"
PRUNED_BYTES = "pruned:bytes"
PRUNED_ROW_GROUPS = "pruned:row_groups"
PRUNED_ROWS = "pruned:rows"

# Family of fields whose JSON text is cut off: `cut_off:FIELD`.
CUT_OFF = "cut_off"


class ReadReport:
    """Counts of one reader. Not thread-safe.

    Attributes:
      counts: by the name of a counter.
    """

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()

    def add(self, name: str, count: int = 1) -> None:
        """Adds to a counter."""
        self.counts[name] += count

    def add_cut_off(self, columns: Counter[str]) -> None:
        """Adds, and takes away, texts that are cut off."""
        for name, count in columns.items():
            self.add(f"{CUT_OFF}:{name}", count)
        columns.clear()

    def take(self) -> dict[str, int]:
        """Returns what was counted since the last call."""
        counts = {name: count for name, count in self.counts.items() if count}
        self.counts.clear()
        return counts
