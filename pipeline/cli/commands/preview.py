"""`preview`: for each event of some messages, what would be sent, or why not.

It goes through the same functions as a run and sends nothing. No Beam is loaded, so that it answers at once.
"""

import argparse
import sys
from typing import Protocol

import msgspec

from pipeline.arguments import (
    StrictParser,
    add_layout_flags,
    add_shared_flags,
    add_window_flags,
    layout_name,
    read_and_warn,
    rows_wanted,
    window,
)
from pipeline.authoring import Preview, previews
from pipeline.errors import EXIT_SETTLED
from pipeline.sources import read_local
from transforms.model import Outcome, Payload

_DESCRIPTION = """Shows what would be sent for the messages of a file, and why the rest would not. Sends nothing.

examples:
  tiktok-events preview batch.json --connection connection.yaml
  tiktok-events preview batch.json --event_source_id A1T8T4UYGVIQA8ORZMX9 --json
  tiktok-events preview batch.json --connection connection.yaml --explain
  tiktok-events preview export.parquet --connection connection.yaml --rows 5
  zcat batches.ndjson.gz | tiktok-events preview - --connection connection.yaml --json"""


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
    messages = read_local(arguments.files, layout_name(arguments.layout), arguments.column, rows_wanted(arguments))
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
    # The readable form needs the sentences of reasons and notes, which cost time to find.
    from pipeline.cli.paragraphs import Paragraphs

    return Paragraphs(sys.stdout)


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
    parser.add_argument("--rows", metavar="N", help="messages of each file to show (default: all; of Parquet 20)")
    add_shared_flags(parser)
    return parser
