"""The pipeline at work on one machine, against the stand-ins.

In: flags. Out: a run over generated batches or a generated stream, and a report of what became of it.
"""

__all__ = ["batch", "stream"]
