"""mParticle's warehouse tables, in Parquet or as JSON: recognised by their columns, each row a batch of one event."""

from collections.abc import Callable, Iterator

import msgspec
import pyarrow as pa

from pipeline import layout_values
from pipeline import warehouse_words as words
from pipeline.layout_tables import Columns, Layout, Table, TimeColumn, UnknownLayoutError
from pipeline.warehouse import Json, RowReader
from transforms.mapping import parse_json

LAYOUTS = (Layout.BIGQUERY, Layout.REDSHIFT, Layout.SNOWFLAKE)

# What no table of a warehouse has, and what follows. Source: mParticle, "BigQuery", "Redshift" and "Snowflake".
_NEVER_THERE = (
    "currency: an event attribute `Currency Code` is read, else default_currency stands in",
    "source_message_id: event_id is eventid, so that TikTok cannot merge these events with the pixel's",
    "phone identities: the user attribute $Mobile stands in",
    "consent: neither a GDPR purpose nor a CCPA opt-out can be seen, so select rows by consent before the export",
    "partner identities: no _ttp cookie",
)

# What some tables have; any of the columns is enough.
_PERHAPS_THERE = (
    (
        ("httpheaderuseragent",),
        "user agent: web events to the legacy endpoint are rejected, others match less (see require_ip_and_user_agent)",
    ),
    (("clientip", "clientipv6"), "ip address: as for the user agent"),
    (("eventcustomflags",), "custom flags: no page URL, without which web events are rejected, and no click id"),
    (("productaction", "productactionproducts"), "product action: no products, no value"),
    (("userattributes",), "user attributes: no names, places and phones"),
    (("isdebug", "appenvironment"), "environment: every event counts as production"),
    (("platform",), "platform: events of native apps cannot be told from web events"),
)


def warehouse_table(columns: Columns, layout: Layout, column: str | None) -> Table | None:
    """Returns how a warehouse table is read, None if the table is none.

    Args:
      columns: the table's columns.
      layout: one of `LAYOUTS`, or `auto`.
      column: the column that holds whole rows as JSON, if the operator named one.

    Raises:
      UnknownLayoutError: it looks like a warehouse table, or is said to be one, and lacks what is needed.
    """
    missing = [name for name in words.NEEDED if not columns.has(name)]
    if layout is Layout.AUTO:
        if len(missing) == len(words.NEEDED) or columns.has("events", layout_values.is_container):
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
        if layout is Layout.SNOWFLAKE and (exact := columns.find(text)) and columns.has(text, layout_values.is_text):
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
        return [row_to_batch(text, reader) for text in layout_values.texts(rows.column(0))]

    return Table(Layout.SNOWFLAKE, (column,), messages, lacks=lacks_of_row(text), cut_off=reader.cut_off)


def text_reader(layout: Layout, text: bytes) -> RowReader | None:
    """Returns what turns the messages of a file of JSON lines into batches, None if they are batches already.

    Args:
      layout: the layout that the operator named, or `auto`.
      text: the file's first message.
    """
    return RowReader() if layout in LAYOUTS or (layout is Layout.AUTO and is_row(text)) else None


def lacks_of_row(text: bytes) -> tuple[str, ...]:
    """Returns what a row's JSON text cannot say; of a text that is no row, what none can say."""
    try:
        row = parse_json(text)
    except (ValueError, RecursionError):
        row = None
    if not isinstance(row, dict):
        return _NEVER_THERE
    names = {name.casefold() for name in row}
    return tuple(_lacks(names.__contains__))


def is_row(text: bytes) -> bool:
    """Says whether a JSON text is a row of a warehouse table rather than a batch.

    >>> is_row(b'{"eventid": 1, "messagetypeid": 16, "eventtimestamp": 1}'), is_row(b'{"events": []}')
    (True, False)
    """
    if b"messagetypeid" not in text.lower():
        return False
    try:
        row = parse_json(text)
    except (ValueError, RecursionError):
        return False
    return isinstance(row, dict) and {name.casefold() for name in row}.issuperset(words.NEEDED)


def row_to_batch(text: bytes, reader: RowReader) -> bytes:
    """Returns the batch of a row's JSON text; what is no row stays as it is, and the mapping says what is wrong."""
    try:
        row = parse_json(text)
    except (ValueError, RecursionError):
        return text
    if not isinstance(row, dict):
        return text
    folded = {name.casefold(): value for name, value in row.items()}
    if "messagetypeid" not in folded:
        return text
    try:
        return layout_values.encode(reader.batch(folded))
    except (msgspec.EncodeError, UnicodeEncodeError):
        return text


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
        objects = layout_values.objects(rows.rename_columns([lower[name] for name in rows.schema.names]))
        return [layout_values.encode(_batch(row, typed, reader)) for row in objects]

    time = TimeColumn(str(columns.find("eventtimestamp")), any_unit=True)
    return Table(layout, tuple(lower), messages, time, tuple(_lacks(columns.has)), reader.cut_off)


def _batch(row: Json, typed: set[str], reader: RowReader) -> Json:
    """Returns a row's batch; times that Arrow knew as times are in milliseconds already."""
    batch = reader.batch(row)
    if "eventtimestamp" in typed:
        batch["events"][0]["data"]["timestamp_unixtime_ms"] = row["eventtimestamp"]
    if "batchtimestamp" in typed:
        batch["timestamp_unixtime_ms"] = row["batchtimestamp"]
    return batch


def _lacks(has: Callable[[str], bool]) -> Iterator[str]:
    """Yields what a table cannot say that has some columns."""
    yield from _NEVER_THERE
    for names, consequence in _PERHAPS_THERE:
        if not any(map(has, names)):
            yield consequence
    missing = [identity for name, identity in words.IDENTITIES.items() if not has(name)]
    yield f"identities {', '.join([*missing, 'other_id_5 to other_id_10'])}"
