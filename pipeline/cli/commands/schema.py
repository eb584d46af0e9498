"""`schema`: prints the JSON Schema of connection files, so that editors complete and check them."""

import json
import sys

from pipeline.arguments import StrictParser, add_verbose_flag
from pipeline.config import connection_schema
from pipeline.errors import EXIT_SETTLED

_DESCRIPTION = """Prints the JSON Schema of connection files.

Editors with the YAML language server take it from a comment in the first line of a connection:
  # yaml-language-server: $schema=connection.schema.json

examples:
  tiktok-events schema > connection.schema.json"""


def execute(argv: list[str]) -> int:
    """Runs the command and returns its exit code."""
    parser = StrictParser("schema", _DESCRIPTION)
    add_verbose_flag(parser)
    parser.parse_strictly(argv)
    sys.stdout.write(json.dumps(connection_schema(), indent=2, ensure_ascii=False) + "\n")
    return EXIT_SETTLED
