"""`diff`: a sample of messages through two connections, and what would change."""

import logging
import sys
from typing import Any

import msgspec

from pipeline.arguments import StrictParser, add_layout_flags, add_verbose_flag, number_above_zero
from pipeline.authoring import Change, Differences, FieldDifference, compare
from pipeline.config import read_connection
from pipeline.errors import EXIT_SETTLED, UsageError
from pipeline.sources import local_files, sample_local
from transforms.connection import Connection

_log = logging.getLogger(__name__)

_DESCRIPTION = """Maps the same messages through two connections; shows what differs: outcomes, fields, value, coverage.

Values that may reveal something about a person are compared and never shown. Sends nothing.

examples:
  tiktok-events diff --connection today.yaml --connection tomorrow.yaml exports/
  tiktok-events diff --connection a.yaml --connection b.yaml 'exports/*.parquet' --sample 5000 --json"""

_DEFAULT_SAMPLE = 1_000


def execute(argv: list[str]) -> int:
    """Runs the command and returns its exit code."""
    arguments = _parser().parse_strictly(argv)
    files = arguments.connections or []
    if len(files) != 2:
        raise UsageError(f"diff: two connections are needed (--connection A --connection B), {len(files)} are named.")
    first, second = ((file, _connection(file)) for file in files)
    messages = sample_local(local_files(arguments.files), arguments.layout, arguments.column, arguments.sample)
    found = compare(messages, first, second)
    if arguments.json:
        sys.stdout.write(msgspec.json.encode(found).decode() + "\n")
    else:
        sys.stdout.write("\n".join(_lines(found)) + "\n")
    return EXIT_SETTLED


def _connection(file: str) -> Connection:
    connection, warnings = read_connection(file)
    for warning in warnings:
        _log.warning("%s", warning)
    return connection


def _lines(found: Differences) -> list[str]:
    """Returns the report for people."""
    a, b = found.a, found.b
    lines = [f"A {a.connection}", f"B {b.connection}", ""]
    lines.append(f"{found.messages:,} messages, {found.units:,} events; {found.equal:,} end alike")
    lines += _section("what becomes of events", [_moved(change) for change in found.moved])
    lines += _section("fields of events that both would send", [_field(field) for field in found.fields])
    names = sorted({*a.events, *b.events})
    lines += _section("events", [_pair(name, a.events.get(name, 0), b.events.get(name, 0)) for name in names])
    currencies = sorted({*a.value, *b.value})
    lines += _section("value", [_pair(name, a.value.get(name, 0.0), b.value.get(name, 0.0)) for name in currencies])
    lines += _section("coverage (of the events that would be sent)", _coverage(found))
    return lines


def _section(title: str, lines: list[str]) -> list[str]:
    return ["", title, *(f"  {line}" for line in lines or ["no difference"])]


def _moved(change: Change) -> str:
    return f"{change.count:>9,}  {change.a} → {change.b}"


def _field(field: FieldDifference) -> str:
    counts = [(field.changed, "changed"), (field.only_a, "only in A"), (field.only_b, "only in B")]
    text = f"{field.field}: " + ", ".join(f"{count:,} {word}" for count, word in counts if count)
    shown = [f"{_word(change.a)} → {_word(change.b)} ({change.count:,})" for change in field.values]
    return text + (f"; {', '.join(shown)}" if shown else "")


def _word(value: Any) -> str:
    return "nothing" if value is None else str(value)


def _pair(name: str, a: float, b: float) -> str:
    change = "" if a == b else f" ({b - a:+,.10g})"
    return f"{name}: {a:,.10g} → {b:,.10g}{change}"


def _coverage(found: Differences) -> list[str]:
    """Returns a line for each share that differs; an event that one side does not send has none there."""
    lines = []
    for event in sorted({*found.a.coverage, *found.b.coverage}):
        a, b = found.a.coverage.get(event), found.b.coverage.get(event)
        lines += [
            f"{event}, {key}: {_share(a, key)} → {_share(b, key)}"
            for key in {**(a or {}), **(b or {})}
            if (a or {}).get(key, 0.0) != (b or {}).get(key, 0.0)
        ]
    return lines


def _share(shares: dict[str, float] | None, key: str) -> str:
    return "no event" if shares is None else f"{shares.get(key, 0.0):.1%}"


def _parser() -> StrictParser:
    parser = StrictParser("diff INPUT…", _DESCRIPTION)
    parser.usage = "tiktok-events diff --connection A --connection B INPUT… [FLAGS]"
    parser.add_argument("files", metavar="INPUT", nargs="+", help="files, folders or globs of this machine")
    parser.add_argument(
        "--connection", dest="connections", action="append", metavar="FILE", help="connection file; given twice"
    )
    parser.add_argument(
        "--sample",
        type=number_above_zero(int),
        default=_DEFAULT_SAMPLE,
        metavar="N",
        help=f"messages at most, from the beginning of each file in equal parts (default: {_DEFAULT_SAMPLE:,})",
    )
    parser.add_argument("--json", action="store_true", help="one JSON object, for programs")
    add_layout_flags(parser)
    add_verbose_flag(parser)
    return parser
