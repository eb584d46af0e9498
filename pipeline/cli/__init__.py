"""The command line.

In: words. Out: text and an exit code. Two entry points: `main`, of `tiktok-events` and `python -m pipeline`, and
`flex_entrypoint`, which Dataflow's launcher starts.
"""

__all__ = ["flex_entrypoint", "main"]
