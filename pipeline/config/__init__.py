"""Connection files.

In: YAML and flags. Out: a checked `Connection`, or every problem with its place; the JSON Schema of such files.
"""

from pipeline.config.case_files import places_in_file, read_case_file
from pipeline.config.conversion import BOOLEANS, connection_definition, item_path, without_none
from pipeline.config.json_schema import connection_schema
from pipeline.config.loader import CheckedConnection, read_connection, read_text
from pipeline.config.tiktok_events import own_spelling
from pipeline.config.validate_mappings import check_mappings
from pipeline.config.validation import possible_forms

__all__ = [
    "BOOLEANS",
    "CheckedConnection",
    "check_mappings",
    "connection_definition",
    "connection_schema",
    "item_path",
    "own_spelling",
    "places_in_file",
    "possible_forms",
    "read_case_file",
    "read_connection",
    "read_text",
    "without_none",
]
