"""`check`: reads a connection, resolves its token, lists what to consider, and asks TikTok if that is wanted."""

import argparse
import os
import sys
import time
from typing import Any

import msgspec

from pipeline.arguments import INPUTS, StrictParser, add_layout_flags, add_shared_flags, checked_connection
from pipeline.authoring import CheckReport, ProbeReply, TokenState, advise
from pipeline.cli.console import coloured, has_colours
from pipeline.config import possible_forms
from pipeline.errors import EXIT_FAILURE, EXIT_SETTLED, ConfigurationError, UsageError
from pipeline.sources import InputReport, local_files
from transforms.connection import Connection
from transforms.tiktok import TokenReferenceError, TokenSource, endpoint_path

_DESCRIPTION = """Checks a connection: its settings, its access token (never shown), and what should be considered.

With --lint every custom mapping is tried on the events of a sample, or else of the cases.
With --online one test event is sent with --test_event_code, for each request form that the connection uses; a live
event is never sent.

examples:
  tiktok-events check connection.yaml
  tiktok-events check connection.yaml --lint --sample batches.ndjson
  tiktok-events check connection.yaml --online --test_event_code TEST04030
  tiktok-events check connection.yaml --input 'exports/**/*.parquet'"""


def execute(argv: list[str]) -> int:
    """Runs the command and returns its exit code."""
    arguments = _parser().parse_strictly(argv)
    if arguments.file and arguments.connection:
        raise UsageError("check: name the connection once, as CONNECTION or as --connection FILE.")
    source = arguments.file or arguments.connection or "flags"
    kinds = [word for word in arguments.input or () if not _names_files(word)]
    try:
        connection, warnings = checked_connection(arguments, arguments.file, {"input": kinds[-1]} if kinds else {})
    except ConfigurationError as error:
        if arguments.json:
            _print_json(CheckReport(ok=False, problems=error.problems))
        raise
    if arguments.online and connection.test_event_code is None:
        raise UsageError("--online needs --test_event_code CODE (Events Manager, Test events): no live event is sent.")
    token, state = _token(connection)
    notes = [*warnings, *advise(connection, source)]
    if arguments.lint or arguments.samples:
        # The mapping is needed for this only.
        from pipeline.authoring import lint_mappings

        notes += lint_mappings(connection, source, arguments.file or arguments.connection, arguments.samples)
    online = None
    if arguments.online and token is not None:
        # The HTTP client and the mapping are needed for this only.
        from pipeline.authoring import send_test_events

        online = send_test_events(connection, token, time.time_ns() // 1_000_000)
    inputs = _inputs(arguments)
    report = CheckReport(
        ok=state.resolved
        and all(answer.accepted for answer in online or [])
        and all(entry.problem is None for entry in inputs or []),
        connection=connection,
        paths=sorted({endpoint_path(form) for form in possible_forms(connection)}),
        token=state,
        warnings=tuple(notes),
        online=online,
        inputs=inputs,
    )
    if arguments.json:
        _print_json(report)
    else:
        _print_lines(report, source)
    return EXIT_SETTLED if report.ok else EXIT_FAILURE


def _names_files(word: str) -> bool:
    """Returns whether a word of `--input` names files; the others are words of the connection's key, or meant to be."""
    return word.lower() not in INPUTS and (os.path.exists(word) or any(sign in word for sign in "/.*?["))


def _inputs(arguments: argparse.Namespace) -> list[InputReport] | None:
    """Returns what is seen of the files of `--input`, None without them."""
    patterns = [word for word in arguments.input or () if _names_files(word)]
    if not patterns:
        return None
    # Only now, because pyarrow takes a while to load.
    from pipeline.sources import inspect_local

    return inspect_local(local_files(patterns), arguments.layout, arguments.column)


def _token(connection: Connection) -> tuple[str | None, TokenState]:
    """Returns the token, for the test event only, and what may be shown of it."""
    reference = connection.access_token
    if reference is None:
        problem = "no access_token: `preview` works, `run` does not. Set a reference, such as env:TIKTOK_TOKEN."
        return None, TokenState(reference=None, resolved=False, problem=problem)
    try:
        token = TokenSource(reference).get()
    except TokenReferenceError as error:
        return None, TokenState(reference=reference, resolved=False, problem=str(error))
    return token, TokenState(reference=reference, resolved=True, characters=len(token))


def _print_json(report: CheckReport) -> None:
    sys.stdout.write(msgspec.json.encode(report).decode() + "\n")


def _print_lines(report: CheckReport, source: str) -> None:
    colours = has_colours(sys.stdout)
    labels = {
        "ok": coloured("ok      ", "32", enabled=colours),
        "failed": coloured("failed  ", "31", enabled=colours),
        "warning": coloured("warning ", "33", enabled=colours),
    }
    lines = [f"{labels['ok']} connection: {source} can be used; events go to {', '.join(report.paths)}"]
    if report.token is not None:
        state = f"resolved ({report.token.characters} characters)" if report.token.resolved else report.token.problem
        lines.append(f"{labels['ok' if report.token.resolved else 'failed']} token: {state}")
    lines += [
        f"{labels['ok' if answer.accepted else 'failed']} TikTok: {_answer(answer)}" for answer in report.online or []
    ]
    for entry in report.inputs or []:
        lines += [f"{labels['failed' if entry.problem else 'ok']} input: {_seen(entry)}"]
        lines += [f"{labels['warning']} {entry.example}: lacks {lack}" for lack in entry.lacks]
    lines += [f"{labels['warning']} {warning}" for warning in report.warnings]
    sys.stdout.write("\n".join(lines) + "\n")


def _seen(entry: InputReport) -> str:
    """Returns what was seen of files that are read in the same way."""
    files = entry.example + (f" and {entry.files - 1:,} more files" if entry.files > 1 else "")
    if entry.problem:
        return f"{files}: {entry.problem}"
    return f"{files}: layout {entry.layout}" + ("" if entry.rows is None else f", {entry.rows:,} rows")


def _answer(answer: ProbeReply) -> str:
    named: dict[str, Any] = {
        "code": " ".join(str(part) for part in (answer.code, answer.name) if part is not None),
        "message": answer.message,
        "request id": answer.request_id,
    }
    details = ", ".join(f"{name} {value}" for name, value in named.items() if value)
    verdict = "accepted the test event" if answer.accepted else f"did not accept the test event ({answer.reply_class})"
    return f"{answer.path} ({answer.form}) {verdict}; {details}. {answer.remedy or ''}".rstrip()


def _parser() -> StrictParser:
    parser = StrictParser("check CONNECTION", _DESCRIPTION)
    parser.add_argument("file", metavar="CONNECTION", nargs="?", help="connection file, as --connection")
    parser.add_argument(
        "--lint", action="store_true", help="warn of custom mappings that no case, or no sample, matches"
    )
    parser.add_argument(
        "--sample",
        dest="samples",
        metavar="FILE",
        action="append",
        default=[],
        help="messages of the shop, for --lint: JSON, one or one a line, also gzip; may be given several times",
    )
    parser.add_argument("--online", action="store_true", help="send a test event; needs --test_event_code")
    parser.add_argument("--json", action="store_true", help="one JSON object, for programs")
    parser.add_argument(
        "--input",
        action="append",
        metavar="FILE",
        help="files, folders or globs of this machine: show their layout and what it lacks. As a word, the "
        "connection's key: the mParticle input the events come from; auto reads it from each batch (default: auto; "
        "example: web)",
    )
    add_layout_flags(parser)
    add_shared_flags(parser, leave_out=["input"])
    return parser
