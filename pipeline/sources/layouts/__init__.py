"""How messages lie in Parquet files.

In: a file's columns and rows. Out: the layout that they have, and the JSON of a message for each row.
"""

from pipeline.sources.layouts.detect import recognise, refine
from pipeline.sources.layouts.table import Layout, Table, TimeColumn, UnknownLayoutError
from pipeline.sources.layouts.warehouse_row import RowReader
from pipeline.sources.layouts.warehouse_table import lacks_of_row, row_to_batch, text_reader
from pipeline.sources.layouts.warehouse_values import unit_and_ms

__all__ = [
    "Layout",
    "RowReader",
    "Table",
    "TimeColumn",
    "UnknownLayoutError",
    "lacks_of_row",
    "recognise",
    "refine",
    "row_to_batch",
    "text_reader",
    "unit_and_ms",
]
