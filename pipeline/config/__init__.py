"""Connection files.

In: YAML and flags. Out: a checked `Connection`, or every problem with its place; the JSON Schema of such files.
"""

from pipeline.config.conversion import BOOLEANS, bare, convert, definition, item_path
from pipeline.config.json_schema import connection_schema
from pipeline.config.loader import Read, places_of, read_connection, read_text
from pipeline.config.tiktok_events import RETIRED_EVENTS, STANDARD_EVENTS, own_spelling
from pipeline.config.validate_cases import check_cases
from pipeline.config.validate_mappings import check_mappings
from pipeline.config.validation import possible_forms
from pipeline.config.yaml_nodes import Items, Scalar, Table, parse

__all__ = [
    "BOOLEANS",
    "Items",
    "RETIRED_EVENTS",
    "Read",
    "STANDARD_EVENTS",
    "Scalar",
    "Table",
    "bare",
    "check_cases",
    "check_mappings",
    "connection_schema",
    "convert",
    "definition",
    "item_path",
    "own_spelling",
    "parse",
    "places_of",
    "possible_forms",
    "read_connection",
    "read_text",
]
