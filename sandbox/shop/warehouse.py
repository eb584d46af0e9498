"""Generated batches as mParticle's warehouses would hold them: a row an event, in the three forms of table.

Sources of columns, types and numbers: mParticle, "BigQuery", "Redshift" and "Snowflake" outputs, table columns. What a
warehouse has no column for (currency, `source_message_id`, phones, consent, partner identities) is left out here too.
"""

import datetime
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from sandbox.shop.visits import Json

_MESSAGE_TYPES = {
    "session_start": 1,
    "session_end": 2,
    "screen_view": 3,
    "custom_event": 4,
    "application_state_transition": 10,
    "commerce_event": 16,
    "user_attribute_change": 17,
}
_EVENT_TYPES = {
    "add_to_cart": 10,
    "checkout": 12,
    "view_detail": 15,
    "purchase": 16,
    "refund": 17,
    "add_to_wishlist": 20,
}
_PRODUCT_ACTIONS = {
    "add_to_cart": 1,
    "remove_from_cart": 2,
    "checkout": 3,
    "checkout_option": 4,
    "click": 5,
    "view_detail": 6,
    "purchase": 7,
    "refund": 8,
    "add_to_wishlist": 9,
    "remove_from_wishlist": 10,
    "remove_from_wish_list": 10,
}
_IDENTITY_COLUMNS = {
    "customer_id": "customerid",
    "email": "email",
    "facebook": "facebookid",
    "google": "googleuserid",
    "other": "otheruserid",
    "other_id_2": "otheruserid2",
}
# Of the product action, with BigQuery's names.
_ACTION_FIELDS = {
    "transaction_id": "transactionid",
    "affiliation": "affiliation",
    "total_amount": "totalamount",
    "tax_amount": "taxamount",
    "shipping_amount": "shippingamount",
    "coupon_code": "couponcode",
}
_PRODUCT_TEXTS = ("id", "name", "brand", "category", "variant", "couponcode")

_PAIRS = pa.list_(pa.struct([("attributename", pa.string()), ("attributevalue", pa.string())]))
_PRODUCT = pa.struct(
    [
        *((f"product_{name}", pa.string()) for name in _PRODUCT_TEXTS),
        ("product_position", pa.int64()),
        ("product_price", pa.float64()),
        ("product_quantity", pa.float64()),
        ("product_attributes", pa.string()),
        ("product_totalproductamount", pa.float64()),
    ]
)
_SCALARS: list[tuple[str, pa.DataType]] = [
    *((name, pa.int64()) for name in ("eventid", "batchid", "mparticleuserid", "messagetypeid", "eventtypeid")),
    ("productactiontypeid", pa.int64()),
    *((name, pa.string()) for name in ("eventname", "clientip", "httpheaderuseragent", "platform", "sdkversion")),
    *((name, pa.string()) for name in _IDENTITY_COLUMNS.values()),
    ("isdebug", pa.bool_()),
]
_TIMES = ("eventtimestamp", "batchtimestamp")
_OBJECTS = ("eventattributes", "userattributes", "eventcustomflags")

_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)

# Redshift has neither of these columns.
_NOT_IN_REDSHIFT = {"httpheaderuseragent", "otheruserid2"}

Row = dict[str, Any]


def rows(batches: Iterable[Json]) -> Iterator[Row]:
    """Yields a row for each event of outgoing batches: BigQuery's names, objects as dictionaries, times in ms."""
    for batch in batches:
        for event in batch["events"] or ():
            # What is no message of mParticle's own (validation results) reaches no table.
            if event and event["data"] and event["event_type"] in _MESSAGE_TYPES:
                yield _row(batch, event["event_type"], event["data"])


def bigquery(rows: Iterable[Row], unit: str = "us") -> pa.Table:
    """Returns the table as BigQuery exports it: structs, lists of structs, TIMESTAMP."""
    action = pa.struct(
        [
            ("actiontype", pa.int64()),
            *((name, pa.float64() if "amount" in name else pa.string()) for name in _ACTION_FIELDS.values()),
        ]
    )
    schema = pa.schema(
        [
            *_SCALARS,
            *((name, pa.timestamp(unit, "UTC")) for name in _TIMES),
            *((name, _PAIRS) for name in _OBJECTS),
            ("productaction", action),
            ("productactionproducts", pa.list_(_PRODUCT)),
        ]
    )
    return pa.Table.from_pylist([_bigquery_row(row) for row in rows], schema)


def redshift(rows: Iterable[Row]) -> pa.Table:
    """Returns the table as Redshift unloads it: JSON text, times in milliseconds; no user agent."""
    schema = pa.schema(
        [
            *((name, kind) for name, kind in _SCALARS if name not in _NOT_IN_REDSHIFT),
            *((name, pa.int64()) for name in _TIMES),
            *((name, pa.string()) for name in (*_OBJECTS, "productaction")),
        ]
    )
    return pa.Table.from_pylist([_text_row(row, schema.names) for row in rows], schema)


def snowflake(rows: Iterable[Row]) -> pa.Table:
    """Returns the table as Snowflake unloads its one variant column: JSON text of the whole row."""
    return pa.table({"DATA": [json.dumps({**row, "productaction": _json(row["productaction"])}) for row in rows]})


def write(table: pa.Table, path: Path, rows_per_group: int = 5_000) -> Path:
    """Writes a table; its folder is made if it is missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path, row_group_size=rows_per_group)
    return path


def _row(batch: Json, event_type: str, data: Json) -> Row:
    action = data.get("product_action") or {}
    word = action.get("action", "")
    device = batch.get("device_info") or {}
    row: Row = {
        "eventid": _integer(data.get("event_id")),
        "batchid": _integer(batch.get("batch_id")),
        "mparticleuserid": _integer(batch.get("mpid")),
        "messagetypeid": _MESSAGE_TYPES[event_type],
        "eventtypeid": _event_type(data, word),
        "productactiontypeid": _PRODUCT_ACTIONS.get(word, 0),
        "eventname": data.get("event_name") or data.get("screen_name"),
        "clientip": batch.get("ip"),
        "httpheaderuseragent": device.get("http_header_user_agent"),
        "platform": device.get("platform"),
        "sdkversion": batch.get("sdk_version"),
        "isdebug": batch.get("environment") == "development",
        "eventtimestamp": _integer(data.get("timestamp_unixtime_ms")),
        "batchtimestamp": _integer(batch.get("timestamp_unixtime_ms")),
        "eventattributes": _texts(data.get("custom_attributes")),
        "userattributes": _texts(batch.get("user_attributes")),
        "eventcustomflags": _texts(data.get("custom_flags")),
        "productaction": dict(action) or None,
    }
    for name, value in _identities(batch.get("user_identities")):
        if name in _IDENTITY_COLUMNS:
            row[_IDENTITY_COLUMNS[name]] = value
    return row


def _identities(identities: Any) -> Iterator[tuple[str, str]]:
    """Yields type and value of identities in the outgoing form (a list) or the inbound one (an object)."""
    if isinstance(identities, dict):
        yield from identities.items()
    else:
        yield from ((entry["identity_type"], entry["identity"]) for entry in identities or ())


def _event_type(data: Json, action: str) -> int:
    if data.get("promotion_action"):
        return 18
    return 22 if data.get("product_impressions") else _EVENT_TYPES.get(action, 8)


def _bigquery_row(row: Row) -> Row:
    action = row["productaction"]
    made = {**row, "productaction": None, "productactionproducts": []}
    for name in _TIMES:
        made[name] = None if row[name] is None else _EPOCH + datetime.timedelta(milliseconds=row[name])
    for name in _OBJECTS:
        made[name] = [{"attributename": key, "attributevalue": value} for key, value in row[name].items()]
    if action is not None:
        fields = {column: action.get(name) for name, column in _ACTION_FIELDS.items()}
        made["productaction"] = {"actiontype": row["productactiontypeid"], **fields}
        made["productactionproducts"] = [_bigquery_product(product) for product in action.get("products") or ()]
    return made


def _bigquery_product(product: Json) -> Json:
    texts = {f"product_{name}": product.get(name.replace("couponcode", "coupon_code")) for name in _PRODUCT_TEXTS}
    return {
        **texts,
        "product_position": product.get("position"),
        "product_price": product.get("price"),
        "product_quantity": product.get("quantity"),
        "product_attributes": _json(product.get("custom_attributes")),
        "product_totalproductamount": product.get("total_product_amount"),
    }


def _integer(value: Any) -> int | None:
    """Returns an int64, which batches write as text or as a number."""
    return None if value is None else int(value)


def _text_row(row: Row, names: list[str]) -> Row:
    texts = {name: _json(row[name]) for name in (*_OBJECTS, "productaction")}
    return {name: {**row, **texts}.get(name) for name in names}


def _json(value: Any) -> str | None:
    return None if value is None else json.dumps(value, ensure_ascii=False)


def _texts(attributes: Json | None) -> dict[str, str]:
    """Returns attributes as warehouses keep them: texts, of lists the first entry."""
    found = {}
    for name, value in (attributes or {}).items():
        first = value[0] if isinstance(value, list) and value else value
        if isinstance(first, str | int | float):
            found[name] = str(first)
    return found
