"""`demo`: the pipeline at work against the stand-in for TikTok, which is a program of its own."""

from pipeline.cli.other_programs import run_program


def execute(argv: list[str]) -> int:
    """Runs the demo's own command line and returns its exit code."""
    return run_program("sandbox.demo.batch", argv)
