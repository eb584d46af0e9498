"""`run`: sends the events of files or of a subscription."""

from pipeline.arguments import parse_run


def execute(argv: list[str]) -> int:
    """Runs the command and returns its exit code."""
    options = parse_run(argv)
    # Importing the job imports Beam, which takes seconds: a mistake in the command line is reported before.
    from pipeline.jobs import run_job

    return run_job(options)
