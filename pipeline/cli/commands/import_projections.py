"""`import-projections`: mParticle's projections (JSON) → custom mappings (YAML), and what could not be carried over."""

import sys

import msgspec
import yaml

from pipeline.arguments import StrictParser, add_verbose_flag
from pipeline.authoring import SDK_EVENT_FIELDS, SDK_PRODUCT_FIELDS, SdkNames, import_projections
from pipeline.config import read_text
from pipeline.errors import EXIT_SETTLED, CommandError
from pipeline.sources import read_local

_DESCRIPTION = """Writes mParticle's projections as `custom_mappings` of a connection, to standard output.

FILE is the JSON of one projection, of a list of them, or an SDK's configuration with them in it. SDK configurations
name events by hashes; --sample takes messages of the shop, in which the names are found. What cannot be carried over is
listed on standard error, and as comments above the mappings.

examples:
  tiktok-events import-projections projections.json > mappings.yaml
  tiktok-events import-projections config.json --sample batches.ndjson"""


def execute(argv: list[str]) -> int:
    """Runs the command and returns its exit code."""
    parser = StrictParser("import-projections FILE", _DESCRIPTION)
    parser.add_argument("file", metavar="FILE", help="projections as JSON")
    parser.add_argument(
        "--sample",
        dest="samples",
        metavar="FILE",
        action="append",
        default=[],
        help="messages of the shop, to find the names behind hashes; may be given several times",
    )
    add_verbose_flag(parser)
    arguments = parser.parse_strictly(argv)
    try:
        document = msgspec.json.decode(read_text(arguments.file))
    except msgspec.DecodeError as error:
        raise CommandError(f"{arguments.file} is no JSON: {error}") from error
    names = SdkNames(read_local(arguments.samples), [*SDK_EVENT_FIELDS, *SDK_PRODUCT_FIELDS])
    imported = import_projections(document, names)
    lines = [f"not carried over: {text}".replace("\n", " ") for text in imported.left_out]
    sys.stderr.writelines(f"{line}\n" for line in lines)
    if not imported.mappings:
        raise CommandError(f"{arguments.file}: no projection could be carried over.")
    sys.stdout.writelines(f"# {line}\n" for line in lines)
    sys.stdout.write(
        yaml.safe_dump({"custom_mappings": imported.mappings}, sort_keys=False, allow_unicode=True, width=110)
    )
    return EXIT_SETTLED
