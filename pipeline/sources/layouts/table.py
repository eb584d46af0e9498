"""What a recognised table is: its layout, the columns to read, and how its rows become the JSON of batches."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum, unique
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:  # `Layout` is wanted by commands that read no Parquet, and pyarrow takes long to load
    import pyarrow as pa

# What of a table is named in an error text.
_SHOWN_COLUMNS = 20
SHOWN_CHARS = 40


@unique
class Layout(StrEnum):
    """How a table holds batches."""

    AUTO = "auto"
    """Recognised by the names and types of the columns."""
    RAW_JSON = "raw_json"
    """One column holds the batch as JSON text or bytes."""
    NESTED_BATCH = "nested_batch"
    """The columns are the fields of a batch."""
    NESTED_EVENT = "nested_event"
    """Columns `event_type` and `data` beside the fields of a batch."""
    BIGQUERY = "bigquery"
    """mParticle's BigQuery tables: a row is an event, its product action a struct."""
    REDSHIFT = "redshift"
    """mParticle's Redshift tables: a row is an event, its product action JSON text."""
    SNOWFLAKE = "snowflake"
    """mParticle's Snowflake table: a row is an event, in columns or as one column with all of it as JSON."""


# Layouts of mParticle's warehouse tables, which JSON lines can have too.
WAREHOUSE_LAYOUTS = (Layout.BIGQUERY, Layout.REDSHIFT, Layout.SNOWFLAKE)

# Objects of no JSON type (durations, intervals) become text; no rule reads them. NaN and infinities become null.
encode_json = msgspec.json.Encoder(enc_hook=str).encode


class UnknownLayoutError(ValueError):
    """The columns hold no batch that can be read; the text names them and the known layouts."""


@dataclass(frozen=True, slots=True)
class TimeColumn:
    """Where a table has the times of its events.

    Attributes:
      root: the column.
      leaf: the last names of the path to the time inside the column; empty: the column itself.
      any_unit: integers are times in the unit that follows from their size, not in milliseconds.
    """

    root: str
    leaf: str = ""
    any_unit: bool = False

    def is_at(self, path: str) -> bool:
        """Returns whether a path of Parquet's schema leads to the times."""
        return path == self.root if not self.leaf else path.startswith(f"{self.root}.") and path.endswith(self.leaf)


@dataclass(frozen=True, slots=True)
class Table:
    """How the rows of one table are read.

    Attributes:
      layout: the layout that was found or asked for.
      columns: the columns to read.
      messages: record batch → one JSON text for each row, in the order of the rows; empty for a null.
      time: where the events' times are, if the table has them in a column.
      lacks: what no row can hold, each with what follows from it; for people.
      cut_off: column → values whose JSON text is not whole, counted by `messages`; whoever reads the counts clears
        them.
    """

    layout: Layout
    columns: tuple[str, ...]
    messages: "Callable[[pa.RecordBatch], list[bytes]]"
    time: TimeColumn | None = None
    lacks: tuple[str, ...] = ()
    cut_off: Counter[str] = field(default_factory=Counter)


class Columns:
    """The columns of a table, found without regard to case, as warehouses fold names."""

    def __init__(self, schema: "pa.Schema") -> None:
        self._columns = {column.name.casefold(): column for column in reversed(list(schema))}
        self.names: list[str] = schema.names

    def find(self, name: str) -> str | None:
        """Returns the column's name as the table spells it, None if there is no such column."""
        column = self._columns.get(name.casefold())
        return None if column is None else str(column.name)

    def has(self, name: str, fits: "Callable[[pa.DataType], bool]" = lambda _: True) -> bool:
        """Returns whether there is such a column and its type fits."""
        column = self._columns.get(name.casefold())
        return column is not None and fits(column.type)

    def folded(self) -> list[str]:
        """Returns the names in lower case."""
        return list(self._columns)

    def shown(self) -> str:
        """Returns the columns for an error text."""
        columns = [name[:SHOWN_CHARS] for name in self.names[:_SHOWN_COLUMNS]]
        more = len(self.names) - len(columns)
        return (", ".join(columns) + (f" and {more} more" if more > 0 else "")) or "(none)"
