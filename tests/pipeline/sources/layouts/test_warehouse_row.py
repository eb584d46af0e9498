"""mParticle's warehouse tables: the same events give the same payloads as batches, but for what no table holds."""

import datetime
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.runtime.read_counters import ReadReport
from pipeline.sources.layouts.detect import recognise
from pipeline.sources.layouts.table import Layout, UnknownLayoutError, encode_json
from pipeline.sources.layouts.warehouse_row import RowReader
from pipeline.sources.parquet import inspect_parquet
from pipeline.sources.reader import FilePart, read
from sandbox.shop import warehouse
from sandbox.shop.generator import batches, write_ndjson
from transforms.connection import Connection
from transforms.mapping.convert import converter
from transforms.model import Message, Outcome, Payload
from transforms.vocabulary import Kind, Reason

CONNECTION = Connection(
    event_source_id="PIXEL", enable_web_migration=True, event_source_type="web", require_ip_and_user_agent="never"
)
BIG = 2**53 + 1

PURCHASE = {
    "eventid": 6644003854898401924,
    "messagetypeid": 16,
    "eventtypeid": 16,
    "productactiontypeid": 7,
    "eventtimestamp": 1718900123456,
    "isdebug": False,
    "customerid": "CUST-00042",
    "eventcustomflags": '{"TikTok.URL": "https://shop.example.com/thanks"}',
    "productaction": '{"action": "purchase", "total_amount": 131.12, "products": [{"id": "1077218", "price": 89.9}]}',
}


def messages(path: Path, layout: Layout = Layout.AUTO, **options: Any) -> list[Message]:
    """Returns all messages of a file that can be read to its end."""
    found: list[Message] = []
    for item in read(FilePart(str(path)), layout, **options):
        assert isinstance(item, list), item
        found += item
    return found


def batches_of(table: pa.Table, tmp_path: Path, layout: Layout = Layout.AUTO, **options: Any) -> list[dict[str, Any]]:
    """Returns the batches that a table is read as."""
    path = warehouse.write(table, tmp_path / "table.parquet", rows_per_group=2)
    return [json.loads(message.data) for message in messages(path, layout, **options)]


def rows_table(*rows: dict[str, Any], **types: pa.DataType) -> pa.Table:
    """Returns a table of rows; types of columns that Arrow cannot guess are named."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    table = pa.table({name: [row.get(name) for row in rows] for name in names})
    for name, kind in types.items():
        place = table.schema.get_field_index(name)
        table = table.set_column(place, name, pa.array([row.get(name) for row in rows], kind))
    return table


def results(table: pa.Table, tmp_path: Path, connection: Connection = CONNECTION) -> list[Payload | Outcome]:
    """Returns what becomes of each row."""
    convert = converter(connection)
    path = warehouse.write(table, tmp_path / "table.parquet")
    return [result for message in messages(path) for result in convert(message)]


def sent(table: pa.Table, tmp_path: Path, connection: Connection = CONNECTION) -> list[dict[str, Any]]:
    """Returns the events that the rows are sent as."""
    found = results(table, tmp_path, connection)
    assert all(isinstance(result, Payload) for result in found), found
    return [json.loads(result.body) for result in found if isinstance(result, Payload)]


# The same events


def without_what_no_table_has(batch: dict[str, Any], event: dict[str, Any], redshift: bool) -> bytes:
    """Returns a batch of one event, without the fields that a warehouse has no column for."""
    data = dict(event["data"])
    for name in ("source_message_id", "currency_code", "page_url"):
        data.pop(name, None)
    kept = {**batch, "events": [{**event, "data": data}]}
    for name in ("consent_state", "partner_identities", "source_info", "application_info", "system_notifications"):
        kept.pop(name, None)
    kept["device_info"] = {
        name: value
        for name, value in (batch.get("device_info") or {}).items()
        if name == "platform" or (name == "http_header_user_agent" and not redshift)
    }
    known = {"customer_id", "email", "facebook", "google", "other"}
    kept["user_identities"] = [entry for entry in batch.get("user_identities") or () if entry["identity_type"] in known]
    return json.dumps(kept).encode()


@pytest.mark.parametrize("kind", ["bigquery", "redshift", "snowflake"])
def test_the_same_events_give_the_same_payloads_as_batches(kind: str, tmp_path: Path) -> None:
    made = [json.loads(message) for message in batches(1_500, seed=17, bad=False)]
    made = [batch for batch in made if isinstance(batch.get("user_identities"), list)]
    for batch in made:
        # An event without an id gets a digest of its content, which is another in a table.
        batch["events"] = [event for event in batch["events"] or () if event and (event["data"] or {}).get("event_id")]
    table = getattr(warehouse, kind)(warehouse.rows(made))
    path = warehouse.write(table, tmp_path / "table.parquet", rows_per_group=700)
    convert = converter(CONNECTION)
    single = [
        without_what_no_table_has(batch, event, kind == "redshift")
        for batch in made
        for event in batch["events"] or ()
        if event and event["data"]
    ]
    expected = [convert(Message("", data)) for data in single]
    found = [convert(message) for message in messages(path)]
    assert inspect_parquet(str(path))[0].layout == kind
    assert len(found) == len(expected) > 2_000
    count = 0
    for (before,), (after,), data in zip(expected, found, single, strict=True):
        assert type(before) is type(after), (before, after)
        if isinstance(before, Payload) and isinstance(after, Payload):
            count += 1
            assert json.loads(after.body) == json.loads(before.body), data
        elif isinstance(before, Outcome) and isinstance(after, Outcome):
            assert (before.kind, before.reason, before.detail) == (after.kind, after.reason, after.detail)
    assert count > 1_000


@pytest.mark.parametrize("name", ["rows.json", "rows.json.gz"])
def test_rows_as_lines_of_json_are_read_too(name: str, tmp_path: Path) -> None:
    """BigQuery exports tables as JSON: numbers of 64 bits as text, attributes as lists of pairs."""
    pairs = [{"attributename": "TikTok.URL", "attributevalue": "https://shop.example.com/thanks"}, None]
    action = {"actiontype": "7", "totalamount": 131.12}
    time = "2024-06-20 16:15:23.456 UTC"
    row = {**PURCHASE, "eventid": str(BIG), "eventcustomflags": pairs, "productaction": action, "eventtimestamp": time}
    path = write_ndjson(tmp_path / name, [json.dumps(row).encode(), b'{"eventid": "cut', json.dumps(row).encode()])
    convert = converter(CONNECTION)
    first, second, third = (convert(message)[0] for message in messages(path))
    assert isinstance(first, Payload)
    assert json.loads(first.body)["event_id"] == str(BIG)
    assert json.loads(first.body)["properties"]["value"] == 131.12
    assert isinstance(second, Outcome)
    assert second.reason is Reason.UNREADABLE_MESSAGE
    assert isinstance(third, Payload)
    assert third.occurred_at_ms == 1718900123456


# Ids


@pytest.mark.parametrize("number", [BIG, -BIG, BIG + 2, -7_778_608_565_459_706_417, 2**63 - 1, -(2**63)])
@pytest.mark.parametrize("kind", [pa.int64(), pa.string(), pa.decimal128(38, 0)], ids=str)
def test_ids_keep_every_digit(number: int, kind: pa.DataType, tmp_path: Path) -> None:
    """Neighbours of 2⁵³ are where a float would round."""
    value: Any = str(number) if kind == pa.string() else number
    row = {**PURCHASE, "eventid": value, "mparticleuserid": value, "batchid": value}
    table = rows_table(row, eventid=kind, mparticleuserid=kind, batchid=kind)
    (batch,) = batches_of(table, tmp_path)
    assert {str(batch["mpid"]), str(batch["batch_id"]), str(batch["events"][0]["data"]["event_id"])} == {str(number)}
    (event,) = sent(table, tmp_path)
    assert event["event_id"] == str(number)


def test_a_table_whose_numbers_are_all_decimals_is_read_as_with_integers(tmp_path: Path) -> None:
    """Snowflake unloads NUMBER columns as DECIMAL. Source: Snowflake, "Data unloading considerations"."""
    integers = rows_table({**PURCHASE, "eventid": BIG, "batchtimestamp": 1718900130111, "entrypointtype": 1})
    decimals = integers.cast(
        pa.schema(
            [field.with_type(pa.decimal128(38, 0)) if field.type == pa.int64() else field for field in integers.schema]
        )
    )
    assert decimals.schema.field("eventtimestamp").type == pa.decimal128(38, 0)
    assert batches_of(decimals, tmp_path) == batches_of(integers, tmp_path)
    assert sent(decimals, tmp_path) == sent(integers, tmp_path)


def test_neighbouring_ids_stay_apart_in_a_variant_too(tmp_path: Path) -> None:
    table = pa.table({"data": [json.dumps({**PURCHASE, "eventid": BIG + step}) for step in range(3)]})
    assert [event["event_id"] for event in sent(table, tmp_path)] == [str(BIG), str(BIG + 1), str(BIG + 2)]


def test_an_id_that_a_float_may_have_rounded_is_not_used(tmp_path: Path) -> None:
    (event,) = sent(rows_table({**PURCHASE, "eventid": float(BIG)}), tmp_path)
    assert len(event["event_id"]) == 32  # the digest of the event's content
    (event,) = sent(rows_table({**PURCHASE, "eventid": 4711.0}), tmp_path)
    assert event["event_id"] == "4711"


# Recognised


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"productaction": {"actiontype": 7}}, Layout.BIGQUERY),
        ({}, Layout.REDSHIFT),
        ({"userattributes": {"$Zip": "10016"}}, Layout.SNOWFLAKE),
    ],
)
def test_a_table_is_recognised_by_its_columns(change: dict[str, Any], expected: Layout) -> None:
    assert recognise(rows_table({**PURCHASE, **change}).schema).layout is expected


def test_columns_are_found_in_any_case(tmp_path: Path) -> None:
    for spell in (str.upper, str.title):
        row = {spell(name): value for name, value in PURCHASE.items()}
        (event,) = sent(rows_table(row), tmp_path)
        assert event["event"] == "PlaceAnOrder"
    assert recognise(rows_table({name.upper(): value for name, value in PURCHASE.items()}).schema).layout == "snowflake"


def test_the_operator_may_name_the_layout(tmp_path: Path) -> None:
    table = rows_table(PURCHASE)
    for layout in (Layout.BIGQUERY, Layout.REDSHIFT, Layout.SNOWFLAKE):
        assert recognise(table.schema, layout).layout is layout
        assert batches_of(table, tmp_path, layout) == batches_of(table, tmp_path)
    variant = pa.table({"_COL_0": [json.dumps(PURCHASE)]})
    assert batches_of(variant, tmp_path, Layout.SNOWFLAKE, column="_COL_0") == batches_of(table, tmp_path)


@pytest.mark.parametrize(
    ("schema", "layout", "said"),
    [
        ([("eventid", pa.int64()), ("email", pa.string())], Layout.REDSHIFT, "lack messagetypeid and eventtimestamp"),
        ([("email", pa.string())], Layout.SNOWFLAKE, r"\(or one column of text, named data or with --column\)"),
        (
            [("eventid", pa.int64()), ("messagetypeid", pa.int64()), ("email", pa.string())],
            Layout.AUTO,
            "warehouse tables, but eventtimestamp is missing; export them as well",
        ),
    ],
)
def test_a_table_that_lacks_what_is_needed_is_refused(schema: Any, layout: Layout, said: str) -> None:
    with pytest.raises(UnknownLayoutError, match=said):
        recognise(pa.schema(schema), layout)


def test_what_the_table_lacks_is_known() -> None:
    lacks = "\n".join(recognise(rows_table(PURCHASE).schema).lacks)
    for word in ("currency", "source_message_id", "phone", "consent", "user agent", "ip address", "platform", "email"):
        assert word in lacks
    full = warehouse.bigquery(warehouse.rows(json.loads(message) for message in batches(5, seed=1, bad=False)))
    lacks = "\n".join(recognise(full.schema).lacks)
    assert "currency" in lacks
    assert "user agent" not in lacks


def test_a_column_of_batches_named_data_is_no_variant(tmp_path: Path) -> None:
    text = '{"events": [], "note": "messagetypeid"}'
    path = warehouse.write(pa.table({"data": [None, text]}), tmp_path / "raw.parquet")
    assert [message.data for message in messages(path)] == [b"", text.encode()]


# Single fields


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [
        ({"productactiontypeid": 9, "eventtypeid": 20}, "AddToWishlist"),
        ({"productactiontypeid": 7, "eventtypeid": 16}, "PlaceAnOrder"),
        # 7 and 10 mean other things among the event types: the number of the action wins.
        ({"productactiontypeid": 1, "eventtypeid": 7}, "AddToCart"),
        ({"productactiontypeid": 6, "eventtypeid": 10}, "ViewContent"),
        ({"productactiontypeid": "3"}, "InitiateCheckout"),
        ({"productactiontypeid": 0, "eventtypeid": 10}, "AddToCart"),
        ({"productactiontypeid": None, "eventtypeid": 12}, "InitiateCheckout"),
    ],
)
def test_the_two_tables_of_numbers_are_kept_apart(numbers: dict[str, Any], expected: str, tmp_path: Path) -> None:
    row = {**PURCHASE, "productaction": '{"total_amount": 5}', **numbers}
    (event,) = sent(rows_table(row), tmp_path)
    assert event["event"] == expected


@pytest.mark.parametrize(
    ("change", "detail"),
    [
        ({"productactiontypeid": 8, "productaction": None}, "refund"),
        ({"productactiontypeid": 10, "productaction": None}, "remove_from_wish_list"),
        ({"productactiontypeid": 99, "productaction": None, "eventtypeid": 16}, "none"),
        ({"productactiontypeid": None, "productaction": None, "eventtypeid": 18}, "promotion"),
        ({"productactiontypeid": None, "productaction": None, "eventtypeid": 22}, "impression"),
    ],
)
def test_what_is_not_ours_to_send_is_named(change: dict[str, Any], detail: str, tmp_path: Path) -> None:
    (outcome,) = results(rows_table({**PURCHASE, **change}), tmp_path)
    assert isinstance(outcome, Outcome)
    assert (outcome.kind, outcome.reason, outcome.detail) == (Kind.SKIPPED, Reason.UNSUPPORTED_ACTION, detail)


@pytest.mark.parametrize(
    ("number", "reason", "detail"),
    [
        (1, Reason.UNSUPPORTED_EVENT_TYPE, "session_start"),
        (4, Reason.UNSUPPORTED_EVENT_TYPE, "custom_event"),
        (77, Reason.UNSUPPORTED_EVENT_TYPE, "unknown"),
        (None, Reason.MALFORMED_EVENT, "event_type"),
    ],
)
def test_other_messages_end_as_in_a_stream(number: Any, reason: Reason, detail: str, tmp_path: Path) -> None:
    (outcome,) = results(rows_table({**PURCHASE, "messagetypeid": number}, messagetypeid=pa.int64()), tmp_path)
    assert isinstance(outcome, Outcome)
    assert (outcome.reason, outcome.detail) in {(reason, detail), (reason, "other")}


@pytest.mark.parametrize(
    ("spelling", "products"),
    [
        ("transaction_id total_amount", "id price quantity"),
        ("transactionid totalamount", "product_id product_price product_quantity"),
        ("TransactionId TotalAmount", "Id Price Quantity"),
    ],
)
def test_both_spellings_of_a_product_action_are_read(spelling: str, products: str, tmp_path: Path) -> None:
    product = dict(zip(products.split(), ("1077218", 89.9, 2), strict=True))
    action = dict(zip(spelling.split(), ("ORD-1", 179.8), strict=True)) | {"Products": [product]}
    (event,) = sent(rows_table({**PURCHASE, "productaction": json.dumps(action)}), tmp_path)
    properties = event["properties"]
    assert (properties["order_id"], properties["value"]) == ("ORD-1", 179.8)
    assert properties["contents"] == [{"price": 89.9, "quantity": 2, "content_id": "1077218"}]


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (1718900123456, pa.int64()),
        (1718900123456, pa.timestamp("ms")),
        (1718900123456000, pa.timestamp("us", "UTC")),
        (1718900123456000000, pa.timestamp("ns", "Europe/Berlin")),
        (1718900123, pa.timestamp("s")),
        (1718900123, pa.int64()),
        (1718900123456789, pa.int64()),
        (1718900123456789012, pa.int64()),
        ("1718900123456", pa.string()),
        ("2024-06-20 16:15:23.456 UTC", pa.string()),
        ("2024-06-20T18:15:23.456+02:00", pa.string()),
        (1718900123456.0, pa.float64()),
    ],
)
def test_times_of_every_unit_are_read(value: Any, kind: pa.DataType, tmp_path: Path) -> None:
    (event,) = sent(rows_table({**PURCHASE, "eventtimestamp": value}, eventtimestamp=kind), tmp_path)
    assert event["event_time"] == 1718900123


@pytest.mark.parametrize("value", ["yesterday", "", None])
def test_a_row_without_a_time_is_rejected(value: Any, tmp_path: Path) -> None:
    (outcome,) = results(rows_table({**PURCHASE, "eventtimestamp": value}, eventtimestamp=pa.string()), tmp_path)
    assert isinstance(outcome, Outcome)
    assert outcome.reason is Reason.MISSING_TIMESTAMP


@pytest.mark.parametrize(
    ("attributes", "action", "default", "expected"),
    [
        ({"Currency Code": "CAD"}, {}, "EUR", "CAD"),
        ({"currency_code": "CAD"}, {}, None, "CAD"),
        ({}, {"currency": "GBP"}, "EUR", "GBP"),
        ({"Currency": "CAD"}, {}, "EUR", "EUR"),
        ({}, {}, None, None),
    ],
)
def test_the_currency_is_an_attribute_or_the_default(
    attributes: dict[str, str], action: dict[str, str], default: str | None, expected: str | None, tmp_path: Path
) -> None:
    row = {**PURCHASE, "eventattributes": json.dumps(attributes), "productaction": json.dumps({"id": 1, **action})}
    connection = Connection(event_source_id="PIXEL", enable_web_migration=True, default_currency=default)
    (event,) = sent(rows_table(row), tmp_path, connection)
    assert event["properties"].get("currency") == expected


@pytest.mark.parametrize("chosen", ["mobile_number", "phone_number_2"])
@pytest.mark.parametrize("name", ["$Mobile", "$mobile"])
def test_the_phone_is_the_user_attribute(chosen: Any, name: str, tmp_path: Path) -> None:
    row = {**PURCHASE, "userattributes": json.dumps({name: "+1 212 555 0142"})}
    connection = Connection(event_source_id="PIXEL", enable_web_migration=True, phone_identity_type=chosen)
    (event,) = sent(rows_table(row), tmp_path, connection)
    assert len(event["user"]["phone"]) == 1


@pytest.mark.parametrize(
    ("change", "detail"),
    [
        ({"isdebug": True}, "development"),
        ({"isdebug": "true"}, "development"),
        ({"isdebug": "perhaps"}, "unknown"),
        ({"isdebug": None, "appenvironment": "Debug"}, "development"),
        ({"isdebug": None, "appenvironment": "Production"}, None),
        ({"isdebug": False, "appenvironment": "debug"}, None),
        ({"isdebug": None}, None),
    ],
)
def test_debug_rows_are_development(change: dict[str, Any], detail: str | None, tmp_path: Path) -> None:
    (result,) = results(rows_table({**PURCHASE, **change}), tmp_path)
    if detail is None:
        assert isinstance(result, Payload)
    else:
        assert isinstance(result, Outcome)
        assert result.reason is Reason.ENVIRONMENT
        assert result.detail in (detail, "other")


def test_columns_of_single_attributes_are_read(tmp_path: Path) -> None:
    row = {**PURCHASE, "ea_Currency Code": "CAD", "ua_$mobile": "+12125550142", "ua_empty": None}
    (event,) = sent(rows_table(row), tmp_path)
    assert event["properties"]["currency"] == "CAD"
    assert "phone" in event["user"]


def test_the_address_that_can_be_a_long_one_is_preferred(tmp_path: Path) -> None:
    row = {**PURCHASE, "clientip": "2001:db8:85a3:0:0:8", "clientipv6": "2600:1f18:1:2:3:4:5:6"}
    (event,) = sent(rows_table(row), tmp_path)
    assert event["user"]["ip"] == "2600:1f18:1:2:3:4:5:6"


# Damage


@pytest.mark.parametrize("length", [1, 20, 40, 90])
def test_a_cut_off_product_action_rejects_its_event_alone(length: int, tmp_path: Path) -> None:
    action = str(PURCHASE["productaction"])
    cut = {**PURCHASE, "productaction": action[:length]}
    before, after, last = results(rows_table(PURCHASE, cut, PURCHASE), tmp_path)
    assert isinstance(before, Payload)
    assert isinstance(last, Payload)
    assert isinstance(after, Outcome)
    assert (after.kind, after.reason, after.detail) == (Kind.REJECTED, Reason.MALFORMED_EVENT, "product_action")


def test_of_cut_off_attributes_the_complete_pairs_are_kept_and_the_column_is_counted(tmp_path: Path) -> None:
    text = json.dumps({"$FirstName": "Ada", "$LastName": 'Love "lace"', "$Zip": "10016", "note": "x" * 50})
    cut = {**PURCHASE, "userattributes": text[: text.index("xxx")], "eventattributes": '{"Currency Code": "CA'}
    path = warehouse.write(rows_table(PURCHASE | {"userattributes": "{}"}, cut), tmp_path / "table.parquet")
    report = ReadReport()
    (found,) = list(read(FilePart(str(path)), report=report))
    assert isinstance(found, list)
    counts = report.take()
    assert {name: count for name, count in counts.items() if name.startswith("cut_off")} == {
        "cut_off:userattributes": 1,
        "cut_off:eventattributes": 1,
    }
    (result,) = converter(CONNECTION)(found[1])
    assert isinstance(result, Payload)
    event = json.loads(result.body)
    assert {"first_name", "last_name", "zip_code"} <= set(event["user"])
    assert "currency" not in event["properties"]


ANYTHING = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=20),
    st.sampled_from(["{", "[]", '{"a": [', '"text"', "16", "7.0", '{"products": [1, null, {}]}', "true", "-1"]),
    st.dictionaries(st.text(max_size=8), st.one_of(st.none(), st.text(max_size=8), st.integers()), max_size=3),
    st.lists(
        st.one_of(st.none(), st.integers(), st.dictionaries(st.text(max_size=8), st.text(max_size=8))), max_size=3
    ),
)


@given(
    name=st.sampled_from((*PURCHASE, "userattributes", "eventattributes", "productactionproducts", "platform")),
    value=ANYTHING,
    second=st.sampled_from((*PURCHASE, "clientipv6", "sdkversion", "entrypointtype", "appenvironment")),
    other=ANYTHING,
)
def test_whatever_a_row_holds_it_becomes_a_batch_with_one_outcome(
    name: str, value: Any, second: str, other: Any
) -> None:
    data = encode_json(RowReader().batch({**PURCHASE, name: value, second: other}))
    assert len(converter(CONNECTION)(Message("", data))) == 1


def test_a_variant_that_is_no_row_is_one_outcome(tmp_path: Path) -> None:
    texts = [json.dumps(PURCHASE), json.dumps(PURCHASE)[:50], "[]", None, json.dumps({"a": 1})]
    found = results(pa.table({"data": texts}), tmp_path)
    assert [result.reason for result in found if isinstance(result, Outcome)] == [
        Reason.UNREADABLE_MESSAGE,
        Reason.NOT_A_BATCH,
        Reason.EMPTY_MESSAGE,
        Reason.NOT_A_BATCH,
    ]


def test_timestamps_before_the_first_unit_bound_are_taken_as_typed(tmp_path: Path) -> None:
    moment = datetime.datetime(1971, 1, 2, tzinfo=datetime.UTC)
    row = {**PURCHASE, "eventtimestamp": moment}
    (event,) = sent(rows_table(row, eventtimestamp=pa.timestamp("us", "UTC")), tmp_path)
    assert event["event_time"] == int(moment.timestamp())
