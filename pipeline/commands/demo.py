"""`demo`: the pipeline at work against the stand-in for TikTok, which is a program of its own."""

from pipeline.commands import standalone


def execute(argv: list[str]) -> int:
    """Runs the demo's own command line and returns its exit code."""
    return standalone.run("sandbox.demo", argv)
