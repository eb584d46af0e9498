"""mParticle's warehouse tables in Parquet: recognised by their columns, each row a batch of one event."""

import pyarrow as pa

from pipeline.sources.layouts import arrow_json
from pipeline.sources.layouts import warehouse_columns as words
from pipeline.sources.layouts.table import Columns, Layout, Table, TimeColumn, UnknownLayoutError, encode_json
from pipeline.sources.layouts.warehouse_row import Json, RowReader, lacks_of_row, lacks_of_table, row_to_batch


def warehouse_table(columns: Columns, layout: Layout, column: str | None) -> Table | None:
    """Returns how a warehouse table is read, None if the table is none.

    Args:
      columns: the table's columns.
      layout: one of `WAREHOUSE_LAYOUTS`, or `auto`.
      column: the column that holds whole rows as JSON, if the operator named one.

    Raises:
      UnknownLayoutError: it looks like a warehouse table, or was named one, and lacks what is needed.
    """
    missing = [name for name in words.NEEDED if not columns.has(name)]
    if layout is Layout.AUTO:
        if len(missing) == len(words.NEEDED) or columns.has("events", arrow_json.is_container):
            return None
        if missing:
            known = [name for name in words.COLUMNS if columns.has(name)]
            if len(known) < len(words.NEEDED):
                return None
            raise UnknownLayoutError(
                f"columns {columns.shown()} are those of one of mParticle's warehouse tables, but "
                f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing; export them as well"
            )
    elif missing:
        text = column or "data"
        if layout is Layout.SNOWFLAKE and (exact := columns.find(text)) and columns.has(text, arrow_json.is_text):
            return variant_table(exact)
        raise UnknownLayoutError(
            f"columns {columns.shown()} lack {' and '.join(missing)}, which the layout {layout} needs"
            + (" (or one column of text, named data or with --column)" if layout is Layout.SNOWFLAKE else "")
        )
    return _flat_table(columns, _kind(columns) if layout is Layout.AUTO else layout)


def variant_table(column: str, text: bytes = b"") -> Table:
    """Returns how a column is read whose texts are whole rows, as Snowflake exports its one variant column.

    Args:
      column: its name.
      text: one of the rows, if one has been seen.
    """
    reader = RowReader()

    def messages(rows: pa.RecordBatch) -> list[bytes]:
        return [row_to_batch(text, reader) for text in arrow_json.texts(rows.column(0))]

    return Table(
        layout=Layout.SNOWFLAKE,
        columns=(column,),
        messages=messages,
        lacks=lacks_of_row(text),
        cut_off=reader.cut_off,
    )


def _kind(columns: Columns) -> Layout:
    """Returns which warehouse a table comes from; they are read in the same way."""
    nested = pa.types.is_nested
    if columns.has("productaction", pa.types.is_struct) or columns.has("productactionproducts", nested):
        return Layout.BIGQUERY
    attributes = ("eventattributes", "userattributes", "eventcustomflags")
    upper = all(name == name.upper() for name in columns.names)
    if upper or any(columns.has(name, nested) for name in attributes):
        return Layout.SNOWFLAKE
    return Layout.REDSHIFT


def _flat_table(columns: Columns, layout: Layout) -> Table:
    """Returns how a table is read that has a column for each field."""
    prefixes = (words.EVENT_ATTRIBUTE_PREFIX, words.USER_ATTRIBUTE_PREFIX)
    wanted = [*words.COLUMNS, *(name for name in columns.folded() if name.startswith(prefixes))]
    lower = {exact: name for name in wanted if (exact := columns.find(name)) is not None}
    reader = RowReader(tuple(lower.values()))

    def messages(rows: pa.RecordBatch) -> list[bytes]:
        typed = {lower[item.name] for item in rows.schema if pa.types.is_timestamp(item.type)}
        objects = arrow_json.objects(rows.rename_columns([lower[name] for name in rows.schema.names]))
        return [encode_json(_batch(row, typed, reader)) for row in objects]

    return Table(
        layout=layout,
        columns=tuple(lower),
        messages=messages,
        time=TimeColumn(str(columns.find("eventtimestamp")), any_unit=True),
        lacks=tuple(lacks_of_table(columns.has)),
        cut_off=reader.cut_off,
    )


def _batch(row: Json, typed: set[str], reader: RowReader) -> Json:
    """Returns a row's batch; times that Arrow knew as times are in milliseconds already."""
    batch = reader.batch(row)
    if "eventtimestamp" in typed:
        batch["events"][0]["data"]["timestamp_unixtime_ms"] = row["eventtimestamp"]
    if "batchtimestamp" in typed:
        batch["timestamp_unixtime_ms"] = row["batchtimestamp"]
    return batch
