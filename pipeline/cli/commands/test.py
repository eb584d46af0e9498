"""`test`: runs the cases of a connection, so that the people who write mappings see that they do what is meant."""

import sys
from pathlib import Path

from pipeline.arguments import StrictParser, add_shared_flags, read_and_warn
from pipeline.authoring import CaseResult, cases_of, junit_report, run_cases
from pipeline.cli.console import coloured, has_colours
from pipeline.errors import EXIT_FAILURE, EXIT_SETTLED, UsageError
from pipeline.storage import local_path

_DESCRIPTION = """Runs the cases of a connection: an event in, its payload (or the reason for none) out. Sends nothing.

Cases are in the connection under `cases:`, in CONNECTION.cases.yaml beside it, and in the folder CONNECTION.cases.
Exit code 0 if all pass, 1 if one fails.

examples:
  tiktok-events test shop.yaml
  tiktok-events test shop.yaml --junit results.xml"""


def execute(argv: list[str]) -> int:
    """Runs the command and returns its exit code."""
    arguments = _parser().parse_strictly(argv)
    if arguments.file and arguments.connection:
        raise UsageError("test: name the connection once, as CONNECTION or as --connection FILE.")
    path = arguments.file or arguments.connection
    connection = read_and_warn(arguments, path=path)
    cases = cases_of(path, connection.cases, arguments.cases_files)
    if not cases:
        name = f"{Path(path).stem}.cases.yaml" if path else "a file for --cases_file"
        raise UsageError(f"{path or 'the connection'} has no cases; write `cases:` into it, or {name} beside it.")
    results = []
    for result in run_cases(connection, cases):
        _print(result)
        results.append(result)
    failed = sum(bool(result.problems) for result in results)
    sys.stdout.write(f"{len(results) - failed} passed, {failed} failed\n")
    if arguments.junit:
        Path(local_path(arguments.junit)).write_bytes(junit_report(path or "connection", results))
    return EXIT_FAILURE if failed else EXIT_SETTLED


def _print(result: CaseResult) -> None:
    colours = has_colours(sys.stdout)
    if not result.problems:
        sys.stdout.write(f"{coloured('ok    ', '32', enabled=colours)} {result.name}\n")
        return
    sys.stdout.write(f"{coloured('FAILED', '31', enabled=colours)} {result.name}  ({result.where})\n")
    sys.stdout.writelines(f"         {problem}\n" for problem in result.problems)


def _parser() -> StrictParser:
    parser = StrictParser("test CONNECTION", _DESCRIPTION)
    parser.add_argument("file", metavar="CONNECTION", nargs="?", help="connection file, as --connection")
    parser.add_argument(
        "--cases_file",
        dest="cases_files",
        metavar="FILE",
        action="append",
        default=[],
        help="another file of cases; may be given several times",
    )
    parser.add_argument("--junit", metavar="FILE", help="write the results as JUnit XML, for CI")
    add_shared_flags(parser)
    return parser
