"""`replay`: sends dead letters again."""

from pipeline.arguments import parse_replay


def execute(argv: list[str]) -> int:
    """Runs the command and returns its exit code."""
    options = parse_replay(argv)
    # Importing it imports Beam, which takes seconds: a mistake in the command line is reported before.
    from pipeline.replay import replay

    return replay(options)
