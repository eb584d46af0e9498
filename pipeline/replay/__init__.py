"""Dead letters, sent again.

In: `ReplayOptions` and a folder of dead letters. Out: their new outcomes, in the same ledger.
"""

from pipeline.replay.job import replay

__all__ = [
    "replay",
]
