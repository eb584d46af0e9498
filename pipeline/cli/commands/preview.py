"""`preview`: for each event of some messages, what would be sent, or why not.

It goes through the same functions as a run and sends nothing. No Beam is loaded, so that it answers at once.
"""

import argparse
import sys
import textwrap
from collections import Counter
from typing import Protocol, TextIO

import msgspec

from pipeline.arguments import (
    StrictParser,
    add_layout_flags,
    add_shared_flags,
    add_window_flags,
    number_above_zero,
    read_and_warn,
    window,
)
from pipeline.authoring import ExplainedPreview, Explanation, Preview, previews
from pipeline.cli.console import coloured, has_colours
from pipeline.errors import EXIT_SETTLED
from pipeline.sources import read_local
from transforms.model import Outcome, Payload
from transforms.vocabulary import Note, Reason

_DESCRIPTION = """Shows what would be sent for the messages of a file, and why the rest would not. Sends nothing.

examples:
  tiktok-events preview batch.json --connection connection.yaml
  tiktok-events preview batch.json --event_source_id A1T8T4UYGVIQA8ORZMX9 --json
  tiktok-events preview batch.json --connection connection.yaml --explain
  tiktok-events preview export.parquet --connection connection.yaml --rows 5
  zcat batches.ndjson.gz | tiktok-events preview - --connection connection.yaml --json"""


_COLOURS = {"send": "32", "skipped": "33", "rejected": "31"}
_WIDTH = 100
_INDENT = "    "


class _Writer(Protocol):
    def write(self, ref: str, preview: Preview, result: Payload | Outcome) -> None:
        """Shows one result of the message `ref`."""
        ...

    def close(self) -> None:
        """Ends the output."""
        ...


def execute(argv: list[str]) -> int:
    """Runs the command and returns its exit code."""
    arguments = _parser().parse_strictly(argv)
    since_ms, until_ms = window(arguments)
    connection = read_and_warn(arguments)
    writer = _writer(arguments)
    messages = read_local(arguments.files, arguments.layout, arguments.column, arguments.rows)
    for ref, preview, result in previews(messages, connection, since_ms, until_ms, explain=arguments.explain):
        writer.write(ref, preview, result)
    writer.close()
    return EXIT_SETTLED


class _JsonLines:
    """One JSON object a line."""

    def write(self, ref: str, preview: Preview, result: Payload | Outcome) -> None:
        """Writes the preview."""
        sys.stdout.buffer.write(msgspec.json.encode(preview) + b"\n")

    def close(self) -> None:
        """Sends what is buffered."""
        sys.stdout.buffer.flush()


def _writer(arguments: argparse.Namespace) -> _Writer:
    if arguments.json:
        return _JsonLines()
    return _Paragraphs(sys.stdout)


class _Paragraphs:
    """For people: a paragraph for each event, with the reason's remedy and what each note means."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._colours = has_colours(stream)
        self._counts: Counter[str] = Counter()
        self._message: int | None = None

    def write(self, ref: str, preview: Preview, result: Payload | Outcome) -> None:
        """Writes one paragraph, under its message's heading."""
        if preview.message != self._message:
            self._message = preview.message
            self._line(self._bold(f"message {preview.message}  {ref}"))
        self._counts[preview.action] += 1
        unit = "the whole message" if preview.event is None else f"event {preview.event}"
        action = coloured(preview.action, _COLOURS.get(preview.action, "0"), enabled=self._colours)
        self._line(f"  {unit}: {action} {self._headline(preview, result)}".rstrip())
        if preview.reason is not None:
            self._wrapped(Reason(preview.reason).remedy)
        for note in preview.notes:
            self._wrapped(f"{note}: {Note(note).meaning}")
        if preview.body is not None:
            body = msgspec.json.format(bytes(preview.body), indent=2).decode()
            self._line(textwrap.indent(body, _INDENT))
        if isinstance(preview, ExplainedPreview):
            self._explain(preview.explanation)
        self._line("")

    def close(self) -> None:
        """Writes the totals."""
        counts = [f"{count:,} {action}" for action, count in self._counts.items()]
        self._line(self._bold(", ".join(counts) or "no messages"))
        self._stream.flush()

    def _headline(self, preview: Preview, result: Payload | Outcome) -> str:
        if isinstance(result, Payload):
            return f"{self._bold(result.event)} to {preview.path} ({result.form}), event_id {result.event_id}"
        known = [word for word in (result.event, result.detail, result.message) if word]
        return f"{preview.reason}" + (f" ({', '.join(known)})" if known else "")

    def _explain(self, explanation: Explanation) -> None:
        """Writes which mappings matched and which did not, and where each field comes from."""
        for trace in explanation.mappings:
            if not trace.matched:
                self._wrapped(
                    f"- {trace.mapping}: does not match, because this does not hold: {'; '.join(trace.failed)}"
                )
                continue
            self._wrapped(f"+ {trace.mapping}: matches")
            for event in trace.events:
                self._line(f"{_INDENT}  {event.event}: {event.result}")
                for one in event.parameters:
                    self._line(f"{_INDENT}    {one.parameter} <- {one.source}: {one.result}")
        if explanation.others:
            self._wrapped(f"{explanation.others} custom mapping(s) are for other types of events")
        width = max(map(len, explanation.fields), default=0)
        for path, source in explanation.fields.items():
            self._line(f"{_INDENT}{path:<{width}}  <- {source}")

    def _wrapped(self, text: str) -> None:
        self._line(
            textwrap.fill(text, _WIDTH, initial_indent=_INDENT, subsequent_indent=_INDENT, break_long_words=False)
        )

    def _bold(self, text: str) -> str:
        return coloured(text, "1", enabled=self._colours)

    def _line(self, text: str) -> None:
        self._stream.write(f"{text}\n")


def _parser() -> StrictParser:
    parser = StrictParser("preview FILE…", _DESCRIPTION)
    parser.add_argument(
        "files", metavar="FILE", nargs="+", help="one JSON message or one a line, also gzip, or Parquet; - is stdin"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object a line, for programs")
    parser.add_argument(
        "--explain", action="store_true", help="also show which mapping matched, which did not and why, and all sources"
    )
    add_window_flags(parser)
    add_layout_flags(parser)
    parser.add_argument(
        "--rows",
        type=number_above_zero(int),
        metavar="N",
        help="messages of each file to show (default: all; of Parquet 20)",
    )
    add_shared_flags(parser)
    return parser
