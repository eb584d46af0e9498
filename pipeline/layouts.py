"""How a Parquet table holds mParticle batches: recognised by its columns, turned into the JSON that a stream carries.

Three layouts are read; what comes out has one form, so that every later step knows one kind of message only:

    raw_json        a column of text or bytes holds one batch as JSON; passed on byte by byte
    nested_batch    columns are the fields of a batch (`events` a list of structs); a row is a batch
    nested_event    columns `event_type` and `data` beside the fields of a batch; a row is a batch of one event

Absent fields are JSON nulls, maps are objects, timestamps are epoch milliseconds, 64-bit integers stay integers and
decimals become text. Columns that no rule reads are not read from the file.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum, unique

import pyarrow as pa

from pipeline import layout_values

# Names under which exports keep a whole batch, the likeliest first. mParticle itself writes no Parquet; these are the
# names that Pub/Sub, Kafka and Kinesis sinks and hand-made exports use.
RAW_COLUMNS = ("batch_json", "batch", "payload", "message", "json", "raw", "data", "value")

# The fields of a batch that a rule reads, and the ids by which a person finds it again; the other columns of a table
# stay on the disk. Source: mParticle, "JSON Reference", batch fields.
BATCH_COLUMNS = (
    "events",
    "user_identities",
    "user_attributes",
    "device_info",
    "application_info",
    "source_info",
    "partner_identities",
    "consent_state",
    "environment",
    "ip",
    "sdk_version",
    "timestamp_unixtime_ms",
    "request_type",
    "mpid",
    "batch_id",
    "message_id",
)

# Columns that only mParticle's warehouse tables have. Source: mParticle, "BigQuery", "Redshift" and "Snowflake"
# outputs, table columns.
_WAREHOUSE_COLUMNS = frozenset({"eventid", "messagetypeid", "eventtypeid", "productactiontypeid", "mparticleuserid"})

# How much of a table is named in an error text.
_SHOWN_COLUMNS = 20
_SHOWN_CHARS = 40


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


class UnknownLayoutError(ValueError):
    """The columns hold no batch that can be read; the text names them and the known layouts."""


@dataclass(frozen=True, slots=True)
class Table:
    """How the rows of one table are read.

    Attributes:
      layout: the layout that was found or asked for.
      columns: the columns to read.
      messages: record batch → one JSON text for each row, in the order of the rows; empty for a null.
    """

    layout: Layout
    columns: tuple[str, ...]
    messages: Callable[[pa.RecordBatch], list[bytes]]


def recognise(schema: pa.Schema, layout: Layout = Layout.AUTO, column: str | None = None) -> Table:
    """Returns how a table with this schema is read.

    Args:
      schema: the table's columns.
      layout: the layout that the operator named, or `auto`.
      column: the column that holds the JSON text, if the operator named one; names are compared without case.

    Raises:
      UnknownLayoutError: no known layout fits.
    """
    names = _Names(schema)
    if column is not None and layout in (Layout.AUTO, Layout.RAW_JSON):
        return _raw_json(names, (column,))
    if layout is Layout.RAW_JSON:
        return _raw_json(names, RAW_COLUMNS)
    if layout is Layout.NESTED_BATCH or (layout is Layout.AUTO and names.has("events", layout_values.is_container)):
        return _nested(names, Layout.NESTED_BATCH, ("events",))
    if layout is Layout.NESTED_EVENT or (
        layout is Layout.AUTO
        and names.has("event_type", layout_values.is_text)
        and names.has("data", layout_values.is_container)
    ):
        return _nested(names, Layout.NESTED_EVENT, ("event_type", "data"))
    return _raw_json(names, RAW_COLUMNS)


class _Names:
    """The columns of a table, found without regard to case, as warehouses fold names."""

    def __init__(self, schema: pa.Schema) -> None:
        self._columns = {field.name.casefold(): field for field in reversed(list(schema))}
        self._all = schema.names

    def find(self, name: str) -> str | None:
        """Returns the column's name as the table spells it, None if there is no such column."""
        field = self._columns.get(name.casefold())
        return None if field is None else str(field.name)

    def has(self, name: str, fits: Callable[[pa.DataType], bool]) -> bool:
        """Says whether there is such a column and its type fits."""
        field = self._columns.get(name.casefold())
        return field is not None and fits(field.type)

    def unknown(self, why: str = "match no known layout") -> UnknownLayoutError:
        """Returns the error that names the columns and the known layouts."""
        columns = [name[:_SHOWN_CHARS] for name in self._all[:_SHOWN_COLUMNS]]
        more = len(self._all) - len(columns)
        listed = ", ".join(columns) + (f" and {more} more" if more > 0 else "")
        warehouse = (
            " This looks like one of mParticle's warehouse tables (BigQuery, Redshift, Snowflake), which are not read."
            if len(_WAREHOUSE_COLUMNS.intersection(self._columns)) >= 2
            else ""
        )
        return UnknownLayoutError(
            f"columns {listed or '(none)'} {why}; known: raw_json (a column of text or bytes named "
            f"{', '.join(RAW_COLUMNS)}, or named with --column), nested_batch (column events beside other fields of a "
            f"batch), nested_event (columns event_type and data).{warehouse}"
        )


def _raw_json(names: _Names, wanted: tuple[str, ...]) -> Table:
    """Returns how to read a column of JSON texts: the first of the wanted ones that is text or bytes."""
    for name in wanted:
        exact = names.find(name)
        if exact is not None and names.has(name, layout_values.is_text):
            return Table(Layout.RAW_JSON, (exact,), lambda rows: layout_values.texts(rows.column(0)))
    if len(wanted) == 1:
        raise names.unknown(f"hold no text or bytes named {wanted[0][:_SHOWN_CHARS]} (--column)")
    raise names.unknown()


def _nested(names: _Names, layout: Layout, needed: tuple[str, ...]) -> Table:
    """Returns how to read columns that are fields of a batch."""
    missing = [name for name in needed if names.find(name) is None]
    if missing:
        raise names.unknown(f"lack {' and '.join(missing)}, which the layout {layout} needs")
    fields = [*needed, *(name for name in BATCH_COLUMNS if name not in (*needed, "events"))]
    exact = {column: name for name in fields if (column := names.find(name)) is not None}

    def messages(rows: pa.RecordBatch) -> list[bytes]:
        objects = layout_values.objects(rows.rename_columns([exact[name] for name in rows.schema.names]))
        if layout is Layout.NESTED_EVENT:
            for row in objects:
                row["events"] = [{"event_type": row.pop("event_type"), "data": row.pop("data")}]
        return [layout_values.encode(row) for row in objects]

    return Table(layout, tuple(exact), messages)
