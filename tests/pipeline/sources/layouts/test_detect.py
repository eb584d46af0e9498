"""How Parquet tables are recognised, and that their rows become the JSON that a stream would have carried."""

import datetime
import decimal
import json
import uuid
from typing import Any

import msgspec
import pyarrow as pa
import pytest

from pipeline.sources.layouts.arrow_json import texts
from pipeline.sources.layouts.detect import BATCH_COLUMNS, Layout, UnknownLayoutError, recognise
from transforms.mapping.mparticle_json import Batch

UTC = datetime.UTC


def read(table: pa.Table, layout: Layout = Layout.AUTO, column: str | None = None) -> list[Any]:
    """Returns the table's messages, parsed."""
    found = recognise(table.schema, layout, column)
    rows = table.select(list(found.columns)).combine_chunks().to_batches()
    return [json.loads(text) if text else None for batch in rows for text in found.messages(batch)]


EVENT = pa.struct(
    [
        ("event_type", pa.string()),
        (
            "data",
            pa.struct(
                [
                    ("timestamp_unixtime_ms", pa.int64()),
                    ("event_id", pa.int64()),
                    ("custom_flags", pa.map_(pa.string(), pa.string())),
                    (
                        "product_action",
                        pa.struct(
                            [
                                ("action", pa.string()),
                                ("total_amount", pa.decimal128(12, 2)),
                                ("products", pa.list_(pa.struct([("id", pa.string()), ("price", pa.float64())]))),
                            ]
                        ),
                    ),
                ]
            ),
        ),
    ]
)

PURCHASE = {
    "event_type": "commerce_event",
    "data": {
        "timestamp_unixtime_ms": 1718900123456,
        "event_id": 6644003854898401924,
        "custom_flags": [("TikTok.URL", "https://shop.example.com/thanks")],
        "product_action": {
            "action": "purchase",
            "total_amount": decimal.Decimal("131.12"),
            "products": [{"id": "1077218", "price": 89.9}],
        },
    },
}
PURCHASE_JSON = {
    "event_type": "commerce_event",
    "data": {
        "timestamp_unixtime_ms": 1718900123456,
        "event_id": 6644003854898401924,
        "custom_flags": {"TikTok.URL": "https://shop.example.com/thanks"},
        "product_action": {
            "action": "purchase",
            "total_amount": "131.12",
            "products": [{"id": "1077218", "price": 89.9}],
        },
    },
}


# Which column holds the JSON


@pytest.mark.parametrize("name", ["batch", "batch_json", "data", "payload", "message", "json", "raw", "value", "BATCH"])
def test_a_text_column_of_a_known_name_holds_the_batch(name: str) -> None:
    table = pa.table({"publish_time": [1], name: ['{"events": []}']})
    assert read(table) == [{"events": []}]


@pytest.mark.parametrize(
    "kind",
    [
        pa.string(),
        pa.large_string(),
        pa.string_view(),
        pa.binary(),
        pa.large_binary(),
        pa.binary_view(),
        pa.dictionary(pa.int32(), pa.string()),
        pa.dictionary(pa.int8(), pa.binary()),
        pa.json_(),
    ],
    ids=str,
)
def test_the_text_is_passed_on_byte_by_byte_whatever_its_type(kind: pa.DataType) -> None:
    values = ['{"a": "é"}', None, "", "[1,  2]", '{"a": "é"}']
    inner = pa.array(values, pa.string())
    column = pa.ExtensionArray.from_storage(kind, inner) if isinstance(kind, pa.BaseExtensionType) else inner.cast(kind)
    expected = ['{"a": "é"}'.encode(), b"", b"", b"[1,  2]", '{"a": "é"}'.encode()]
    assert texts(column) == expected
    assert texts(column.slice(1, 3)) == expected[1:4]
    assert texts(column.slice(5)) == []


def test_the_operator_may_name_the_column() -> None:
    table = pa.table({"batch": ["{}"], "line": ['{"ip": "192.0.2.1"}']})
    assert read(table, column="LINE") == [{"ip": "192.0.2.1"}]


def test_a_named_column_that_is_missing_or_no_text_is_refused_with_the_columns_that_exist() -> None:
    table = pa.table({"batch": ["{}"], "number": [1]})
    with pytest.raises(UnknownLayoutError, match=r"columns batch, number hold no text or bytes named line"):
        recognise(table.schema, column="line")
    with pytest.raises(UnknownLayoutError, match="named number"):
        recognise(table.schema, column="number")


def test_a_column_of_a_known_name_but_of_another_type_is_not_the_json() -> None:
    table = pa.table({"value": [1.5], "raw": ["{}"]})
    assert recognise(table.schema).columns == ("raw",)


def test_unknown_columns_are_named_together_with_the_known_layouts() -> None:
    with pytest.raises(UnknownLayoutError) as caught:
        recognise(pa.schema([("order", pa.int64()), ("amount", pa.float64())]))
    text = str(caught.value)
    assert "columns order, amount match no known layout" in text
    assert "raw_json" in text
    assert "nested_batch" in text
    assert "nested_event" in text
    assert "--column" in text


def test_a_warehouse_table_is_called_by_its_name() -> None:
    schema = pa.schema([("eventid", pa.int64()), ("messagetypeid", pa.int64()), ("email", pa.string())])
    with pytest.raises(UnknownLayoutError, match="warehouse tables"):
        recognise(schema)


def test_a_table_of_hundreds_of_columns_does_not_fill_the_message() -> None:
    schema = pa.schema([(f"column_{number}", pa.int64()) for number in range(400)])
    with pytest.raises(UnknownLayoutError, match="column_19 and 380 more"):
        recognise(schema)


# Nested batches


def test_a_nested_batch_becomes_the_json_of_a_batch() -> None:
    table = pa.table(
        {
            "events": pa.array([[PURCHASE, None]], pa.list_(EVENT)),
            "user_attributes": pa.array([[("$FirstName", "Ada"), ("$Zip", None)]], pa.map_(pa.string(), pa.string())),
            "user_identities": [[{"identity_type": "email", "identity": "ada@example.com"}]],
            "environment": ["production"],
            "ip": pa.array([None], pa.string()),
            "mpid": [-7636538281262556919],
            "event_date": [datetime.date(2024, 6, 20)],
        }
    )
    assert read(table) == [
        {
            "events": [PURCHASE_JSON, None],
            "user_attributes": {"$FirstName": "Ada", "$Zip": None},
            "user_identities": [{"identity_type": "email", "identity": "ada@example.com"}],
            "environment": "production",
            "ip": None,
            "mpid": -7636538281262556919,
        }
    ]


def test_columns_that_no_rule_reads_stay_on_the_disk() -> None:
    schema = pa.schema([("events", pa.list_(EVENT)), ("integration_attributes", pa.string()), ("IP", pa.string())])
    assert recognise(schema).columns == ("events", "IP")


def test_every_field_that_the_mapping_reads_of_a_batch_is_read_from_a_table() -> None:
    # `event_type` on the top level belongs to messages that are no batches.
    assert set(Batch.__struct_fields__) - {"event_type"} <= set(BATCH_COLUMNS)


@pytest.mark.parametrize(
    "identities",
    [
        pa.array([{"email": "ada@example.com", "customer_id": None}]),
        pa.array([[("email", "ada@example.com"), ("customer_id", None)]], pa.map_(pa.string(), pa.string())),
        pa.array([[{"key": "email", "value": "ada@example.com"}, {"key": "customer_id", "value": None}]]),
        pa.array([[{"value": "ada@example.com", "key": "email"}, {"value": None, "key": "customer_id"}]]),
    ],
    ids=["struct", "map", "list of pairs", "list of turned pairs"],
)
def test_identities_may_be_a_struct_a_map_or_pairs(identities: pa.Array) -> None:
    table = pa.table({"events": pa.array([[]], pa.list_(EVENT)), "user_identities": identities})
    assert read(table)[0]["user_identities"] == {"email": "ada@example.com", "customer_id": None}


def test_of_a_key_that_a_map_repeats_the_last_value_counts() -> None:
    table = pa.table(
        {
            "events": pa.array([[]], pa.list_(EVENT)),
            "user_attributes": pa.array([[("a", "1"), ("a", "2")]], pa.map_(pa.string(), pa.string())),
        }
    )
    assert read(table)[0]["user_attributes"] == {"a": "2"}


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (pa.timestamp("s", "UTC"), datetime.datetime(2024, 6, 20, 16, 15, 23, tzinfo=UTC)),
        (pa.timestamp("ms"), datetime.datetime(2024, 6, 20, 16, 15, 23)),
        (pa.timestamp("us", "Europe/Berlin"), datetime.datetime(2024, 6, 20, 16, 15, 23, 999, tzinfo=UTC)),
        (pa.timestamp("ns"), datetime.datetime(2024, 6, 20, 16, 15, 23)),
    ],
    ids=str,
)
def test_timestamps_become_epoch_milliseconds(kind: pa.DataType, value: datetime.datetime) -> None:
    event = pa.struct([("data", pa.struct([("timestamp_unixtime_ms", kind)]))])
    table = pa.table(
        {
            "events": pa.array([[{"data": {"timestamp_unixtime_ms": value}}]], pa.list_(event)),
            "timestamp_unixtime_ms": pa.array([value], kind),
        }
    )
    assert read(table) == [
        {
            "events": [{"data": {"timestamp_unixtime_ms": 1718900123000}}],
            "timestamp_unixtime_ms": 1718900123000,
        }
    ]


@pytest.mark.parametrize("number", [2**63 - 1, -(2**63), 9007199254740993], ids=str)
def test_64_bit_integers_never_pass_through_a_float(number: int) -> None:
    event = pa.struct([("data", pa.struct([("event_id", pa.int64())]))])
    table = pa.table({"events": pa.array([[{"data": {"event_id": number}}]], pa.list_(event))})
    assert read(table)[0]["events"][0]["data"]["event_id"] == number


def test_text_that_is_stored_as_bytes_is_text() -> None:
    event = pa.struct([("event_type", pa.binary()), ("data", pa.struct([("event_id", pa.large_binary())]))])
    table = pa.table({"events": pa.array([[{"event_type": b"x", "data": {"event_id": b"7"}}]], pa.list_(event))})
    assert read(table) == [{"events": [{"event_type": "x", "data": {"event_id": "7"}}]}]


def test_dictionaries_hold_what_their_values_are() -> None:
    table = pa.table(
        {
            "events": pa.array([[]], pa.list_(EVENT)),
            "ip": pa.array([b"203.0.113.24"]).dictionary_encode(),
            "environment": pa.array(["production"]).dictionary_encode(),
        }
    )
    assert read(table) == [{"events": [], "ip": "203.0.113.24", "environment": "production"}]


def test_a_float_of_32_bits_keeps_the_digits_that_were_written() -> None:
    event = pa.struct([("data", pa.struct([("price", pa.float32())]))])
    table = pa.table({"events": pa.array([[{"data": {"price": 89.9}}, {"data": None}]], pa.list_(event))})
    assert read(table)[0]["events"] == [{"data": {"price": "89.9"}}, {"data": None}]


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        (pa.decimal128(38, 9), "6644003854898401924", 6644003854898401924),
        (pa.decimal128(18, 0), "-9007199254740993", -9007199254740993),
        (pa.decimal128(38, 0), "9223372036854775807", 9223372036854775807),
        (pa.decimal128(38, 0), "12345678901234567890123", "12345678901234567890123"),
        (pa.decimal128(38, 9), "12345678901234567890123", "12345678901234567890123.000000000"),
        (pa.decimal256(40, 2), "89.90", "89.90"),
        (pa.decimal128(10, 2), "12.00", 12),
    ],
)
def test_a_decimal_is_what_it_would_be_in_json(kind: pa.DataType, value: str, expected: Any) -> None:
    event = pa.struct([("data", pa.struct([("event_id", kind)]))])
    table = pa.table({"events": pa.array([[{"data": {"event_id": decimal.Decimal(value)}}]], pa.list_(event))})
    assert read(table)[0]["events"][0]["data"]["event_id"] == expected


def test_a_uuid_is_written_as_sdks_write_it() -> None:
    ids = pa.ExtensionArray.from_storage(
        pa.uuid(), pa.array([uuid.UUID("70f1f6aa-8bec-40c7-b48c-1ca253db9fa3").bytes], pa.binary(16))
    )
    table = pa.table({"events": pa.array([[]], pa.list_(EVENT)), "message_id": ids})
    assert read(table)[0]["message_id"] == "70f1f6aa-8bec-40c7-b48c-1ca253db9fa3"


@pytest.mark.parametrize("kind", [pa.string(), pa.binary(), pa.large_string()], ids=str)
def test_columns_of_json_text_are_put_in_as_json(kind: pa.DataType) -> None:
    table = pa.table(
        {
            "events": pa.array(
                ['[{"event_type": "commerce_event", "data": {"event_id": "6644003854898401924"}}]'], kind
            ),
            "user_attributes": pa.array([""], kind),
            "device_info": pa.array([None], kind),
            "ip": pa.array(["192.0.2.1"], kind),
        }
    )
    assert read(table) == [
        {
            "events": [{"event_type": "commerce_event", "data": {"event_id": "6644003854898401924"}}],
            "user_attributes": None,
            "device_info": None,
            "ip": "192.0.2.1",
        }
    ]


def test_json_text_inside_an_event_is_put_in_as_json() -> None:
    event = pa.struct([("event_type", pa.string()), ("data", pa.string())])
    table = pa.table({"events": pa.array([[{"event_type": "x", "data": '{"event_id": 7}'}, None]], pa.list_(event))})
    assert read(table) == [{"events": [{"event_type": "x", "data": {"event_id": 7}}, None]}]


def test_broken_json_text_makes_that_message_unreadable_and_no_other() -> None:
    table = pa.table({"events": ['[{"event', "[]"]})
    found = recognise(table.schema)
    first, second = found.messages(table.combine_chunks().to_batches()[0])
    with pytest.raises(msgspec.DecodeError):
        msgspec.json.decode(first)
    assert json.loads(second) == {"events": []}


# Nested events


def test_a_nested_event_becomes_a_batch_of_one_event() -> None:
    table = pa.table(
        {
            "event_type": ["commerce_event"],
            "data": pa.array([PURCHASE["data"]], EVENT.field("data").type),
            "ip": ["192.0.2.1"],
        }
    )
    assert read(table) == [{"ip": "192.0.2.1", "events": [PURCHASE_JSON]}]


def test_a_nested_event_may_hold_its_data_as_json_text() -> None:
    table = pa.table({"event_type": ["screen_view"], "data": ['{"screen_name": "/"}']})
    assert read(table) == [{"events": [{"event_type": "screen_view", "data": {"screen_name": "/"}}]}]


# A layout named by the operator


def test_the_operator_may_name_the_layout() -> None:
    table = pa.table({"event_type": ["x"], "data": ['{"events": []}']})
    assert read(table, Layout.RAW_JSON) == [{"events": []}]


def test_a_named_layout_without_its_columns_is_refused() -> None:
    with pytest.raises(UnknownLayoutError, match="lack event_type, which the layout nested_event needs"):
        recognise(pa.schema([("data", pa.string())]), Layout.NESTED_EVENT)
    with pytest.raises(UnknownLayoutError, match="lack events"):
        recognise(pa.schema([("data", pa.string())]), Layout.NESTED_BATCH)
