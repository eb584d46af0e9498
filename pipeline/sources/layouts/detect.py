"""How a Parquet table holds mParticle batches: recognised by its columns, turned into the JSON that a stream carries.

What comes out has one form, so that every later step knows one kind of message only:

    raw_json        a column of text or bytes holds one batch as JSON; passed on byte by byte
    nested_batch    columns are the fields of a batch (`events` a list of structs); a row is a batch
    nested_event    columns `event_type` and `data` beside the fields of a batch; a row is a batch of one event
    bigquery, redshift, snowflake    mParticle's warehouse tables (`warehouse_table`); a row is a batch of one event

Absent fields are JSON nulls, maps are objects, timestamps are epoch milliseconds, 64-bit integers stay integers and
decimals become text. Columns that no rule reads are not read from the file.
"""

from collections.abc import Iterator

import pyarrow as pa

from pipeline.sources.layouts import arrow_json, warehouse_table
from pipeline.sources.layouts.table import (
    SHOWN_CHARS,
    WAREHOUSE_LAYOUTS,
    Columns,
    Layout,
    Table,
    TimeColumn,
    UnknownLayoutError,
    encode_json,
)
from pipeline.sources.layouts.warehouse_columns import NEEDED
from pipeline.sources.layouts.warehouse_row import is_row

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

# Source: mParticle, "JSON Reference", common event fields.
_TIME = "timestamp_unixtime_ms"

# What a table of nested columns may lack, and what follows.
_CONSEQUENCES = {
    "user_identities": "no e-mail, phone and customer id",
    "user_attributes": "no names and places",
    "device_info": "no user agent, without which web events to the legacy endpoint are rejected",
    "ip": "no ip address, without which web events to the legacy endpoint are rejected",
    "consent_state": "neither a GDPR purpose nor a CCPA opt-out can be seen",
    "partner_identities": "no _ttp cookie",
    "environment": "every event counts as production",
}


def recognise(schema: pa.Schema, layout: Layout = Layout.AUTO, column: str | None = None) -> Table:
    """Returns how a table with this schema is read.

    Args:
      schema: the table's columns.
      layout: the layout that the operator named, or `auto`.
      column: the column that holds the JSON text, if the operator named one; names are compared without case.

    Raises:
      UnknownLayoutError: no known layout fits.
    """
    columns = Columns(schema)
    if layout in WAREHOUSE_LAYOUTS or (layout is Layout.AUTO and column is None):
        table = warehouse_table.warehouse_table(columns, layout, column)
        if table is not None:
            return table
    if column is not None and layout in (Layout.AUTO, Layout.RAW_JSON):
        return _raw_json(columns, (column,))
    if layout is Layout.RAW_JSON:
        return _raw_json(columns, RAW_COLUMNS)
    if layout is Layout.NESTED_BATCH or (layout is Layout.AUTO and columns.has("events", arrow_json.is_container)):
        return _nested(columns, Layout.NESTED_BATCH, ("events",))
    if layout is Layout.NESTED_EVENT or (
        layout is Layout.AUTO
        and columns.has("event_type", arrow_json.is_text)
        and columns.has("data", arrow_json.is_container)
    ):
        return _nested(columns, Layout.NESTED_EVENT, ("event_type", "data"))
    return _raw_json(columns, RAW_COLUMNS)


def refine(table: Table, layout: Layout, text: bytes) -> Table:
    """Returns how a table is read after its first text was seen: a column of JSON may hold a warehouse's rows.

    Args:
      table: as `recognise` returned it.
      layout: the layout that the operator named, or `auto`.
      text: the first message that is not empty.
    """
    if layout is Layout.AUTO and table.layout is Layout.RAW_JSON and is_row(text):
        return warehouse_table.variant_table(table.columns[0], text)
    return table


def _unknown(columns: Columns, why: str = "match no known layout") -> UnknownLayoutError:
    """Returns the error that names the columns and the known layouts."""
    return UnknownLayoutError(
        f"columns {columns.shown()} {why}; known: raw_json (a column of text or bytes named "
        f"{', '.join(RAW_COLUMNS)}, or named with --column), nested_batch (column events beside other fields of a "
        "batch), nested_event (columns event_type and data), bigquery, redshift and snowflake (mParticle's warehouse "
        f"tables, with columns {', '.join(NEEDED)})."
    )


def _raw_json(columns: Columns, wanted: tuple[str, ...]) -> Table:
    """Returns how to read a column of JSON texts: the first of the wanted ones that is text or bytes."""
    for name in wanted:
        exact = columns.find(name)
        if exact is not None and columns.has(name, arrow_json.is_text):
            return Table(
                layout=Layout.RAW_JSON, columns=(exact,), messages=lambda rows: arrow_json.texts(rows.column(0))
            )
    if len(wanted) == 1:
        raise _unknown(columns, f"hold no text or bytes named {wanted[0][:SHOWN_CHARS]} (--column)")
    raise _unknown(columns)


def _nested(columns: Columns, layout: Layout, needed: tuple[str, ...]) -> Table:
    """Returns how to read columns that are fields of a batch."""
    missing = [name for name in needed if columns.find(name) is None]
    if missing:
        raise _unknown(columns, f"lack {' and '.join(missing)}, which the layout {layout} needs")
    fields = [*needed, *(name for name in BATCH_COLUMNS if name not in (*needed, "events"))]
    exact = {column: name for name in fields if (column := columns.find(name)) is not None}

    def messages(rows: pa.RecordBatch) -> list[bytes]:
        objects = arrow_json.objects(rows.rename_columns([exact[name] for name in rows.schema.names]))
        if layout is Layout.NESTED_EVENT:
            for row in objects:
                row["events"] = [{"event_type": row.pop("event_type"), "data": row.pop("data")}]
        return [encode_json(row) for row in objects]

    time = None
    column = columns.find(needed[-1])
    if column is not None and columns.has(column, pa.types.is_nested):
        time = TimeColumn(column, f".data.{_TIME}" if layout is Layout.NESTED_BATCH else f".{_TIME}")
    return Table(layout=layout, columns=tuple(exact), messages=messages, time=time, lacks=tuple(_lacks(columns)))


def _lacks(columns: Columns) -> Iterator[str]:
    """Yields what no row can hold, each with what follows."""
    for name, consequence in _CONSEQUENCES.items():
        if not columns.has(name):
            yield f"{name}: {consequence}"
