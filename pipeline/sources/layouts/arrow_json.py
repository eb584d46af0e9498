"""Values of Parquet columns as JSON: texts without a detour over `str`, nested values as a batch would hold them.

Nested columns are brought into JSON's types by Arrow, column by column (timestamps to epoch milliseconds, bytes to
text), because doing it value by value costs several times as much. Only what Arrow cannot express is done in Python:
objects out of maps and of lists of pairs, and JSON texts inside columns.
"""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import msgspec
import pyarrow as pa

# Fields that hold objects or lists in mParticle's JSON; a text in their place is JSON itself.
# Source: mParticle, "JSON Reference".
_CONTAINERS = frozenset(
    {
        "application_info",
        "ccpa",
        "consent_state",
        "context",
        "custom_attributes",
        "custom_flags",
        "data",
        "device_info",
        "events",
        "gdpr",
        "partner_identities",
        "product_action",
        "products",
        "promotion_action",
        "product_impressions",
        "source_info",
        "system_notifications",
        "user_attributes",
        "user_identities",
    }
)

# Spellings of a map that was written as a list of pairs. Source: Parquet's LogicalTypes ("key", "value"), older writers
# of it, and mParticle's BigQuery tables.
_PAIRS = (frozenset({"key", "value"}), frozenset({"name", "value"}), frozenset({"attributename", "attributevalue"}))

# Integers that JSON may hold here: those of 64 bits.
_INTEGERS = 1 << 63


def is_text(kind: pa.DataType) -> bool:
    """Returns whether a column holds text or bytes, dictionary-encoded or not."""
    kind = _storage(kind)
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return bool(
        pa.types.is_string(kind)
        or pa.types.is_large_string(kind)
        or pa.types.is_string_view(kind)
        or pa.types.is_binary(kind)
        or pa.types.is_large_binary(kind)
        or pa.types.is_binary_view(kind)
    )


def is_container(kind: pa.DataType) -> bool:
    """Returns whether a column can hold objects or lists: nested, or JSON text."""
    return bool(pa.types.is_nested(kind)) or is_text(kind)


def texts(column: pa.Array) -> list[bytes]:
    r"""Returns the bytes of each value of a column of text or bytes, empty for nulls.

    Cut out of Arrow's buffer directly: four times as fast as `to_pylist` and `encode`.

    >>> texts(pa.array(["{}", None, "[é]"]))
    [b'{}', b'', b'[\xc3\xa9]']
    """
    if isinstance(column, pa.ExtensionArray):
        column = column.storage
    if isinstance(column, pa.DictionaryArray):
        column = column.dictionary_decode()
    if column.type not in (pa.string(), pa.binary()):
        column = column.cast(pa.large_binary())
    if column.null_count:
        column = column.fill_null("" if column.type == pa.string() else b"")
    if not len(column):
        return []
    _, starts, values = column.buffers()
    numbers = memoryview(starts).cast("q") if column.type == pa.large_binary() else memoryview(starts).cast("i")
    offsets = numbers[column.offset : column.offset + len(column) + 1].tolist()
    base = offsets[0]
    if offsets[-1] == base:
        return [b""] * len(column)
    whole = values.slice(base, offsets[-1] - base).to_pybytes()
    return [whole[start - base : end - base] for start, end in pairwise(offsets)]


def objects(rows: pa.RecordBatch) -> list[dict[str, Any]]:
    """Returns each row as a dictionary that `encode_json` turns into the JSON of a batch."""
    for step in (_to_plain, _to_milliseconds, _to_integers):
        columns = [_cast(column, step(column.type)) for column in rows.columns]
        rows = pa.RecordBatch.from_arrays(columns, names=rows.schema.names)
    # Without `maps_as_pydicts`, which makes it six times as slow.
    result: list[dict[str, Any]] = rows.to_pylist()
    for field in rows.schema:
        name, convert = field.name, _converter(field.name, field.type)
        if convert is not None:
            for row in result:
                row[name] = convert(row[name])
    return result


def _storage(kind: pa.DataType) -> pa.DataType:
    return kind.storage_type if isinstance(kind, pa.BaseExtensionType) else kind


def _cast(column: pa.Array, kind: pa.DataType) -> pa.Array:
    # Not "safe": microseconds are cut to milliseconds on purpose.
    return column if column.type.equals(kind) else column.cast(kind, safe=False)


def _to_plain(kind: pa.DataType) -> pa.DataType:
    """Returns the type without dictionaries, and with floats of 32 bits as text: 89.9 would become 89.9000015258789."""
    if pa.types.is_dictionary(kind):
        return _to_plain(kind.value_type)
    if pa.types.is_float32(kind):
        return pa.string()
    return _inside(kind, _to_plain)


def _to_milliseconds(kind: pa.DataType) -> pa.DataType:
    """Returns the type with timestamps in milliseconds and bytes as text. Times without a zone are UTC."""
    if pa.types.is_timestamp(kind):
        return pa.timestamp("ms", kind.tz)
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_binary_view(kind):
        return pa.large_string()
    return _inside(kind, _to_milliseconds)


def _to_integers(kind: pa.DataType) -> pa.DataType:
    """Returns the type with timestamps as integers."""
    if pa.types.is_timestamp(kind):
        return pa.int64()
    return _inside(kind, _to_integers)


def _inside(kind: pa.DataType, step: Any) -> pa.DataType:
    """Returns a nested type with the step applied to what it holds."""
    if pa.types.is_struct(kind):
        return pa.struct([field.with_type(step(field.type)) for field in kind])
    if pa.types.is_map(kind):
        return pa.map_(step(kind.key_type), kind.item_field.with_type(step(kind.item_type)))
    if pa.types.is_large_list(kind):
        return pa.large_list(kind.value_field.with_type(step(kind.value_type)))
    if pa.types.is_fixed_size_list(kind):
        return pa.list_(kind.value_field.with_type(step(kind.value_type)), kind.list_size)
    if pa.types.is_list(kind):
        return pa.list_(kind.value_field.with_type(step(kind.value_type)))
    return kind


def _is_list(kind: pa.DataType) -> bool:
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))


def _is_pairs(kind: pa.DataType) -> bool:
    """Returns whether a list's members are the pairs of a map."""
    return bool(pa.types.is_struct(kind)) and {field.name.casefold() for field in kind} in _PAIRS


def _converter(name: str, kind: pa.DataType) -> Callable[[Any], Any] | None:
    """Returns the function that changes what Arrow's own conversion leaves in a column, None if nothing is to be done.

    JSON texts are put in as they are; maps and lists of pairs become objects.
    """
    if is_text(kind):
        return _json_text if name in _CONTAINERS else None
    if pa.types.is_map(kind):
        return _map_converter(_converter("", kind.item_type))
    if pa.types.is_decimal(kind):
        return _whole_decimal
    if pa.types.is_struct(kind):
        inside = {field.name: convert for field in kind if (convert := _converter(field.name, field.type)) is not None}
        return _struct_converter(inside) if inside else None
    if not _is_list(kind):
        return None
    if _is_pairs(kind.value_type):
        return _pairs_converter(*_pair_names(kind.value_type))
    convert = _converter("", kind.value_type)
    return None if convert is None else lambda values: None if values is None else [convert(value) for value in values]


def _json_text(text: Any) -> msgspec.Raw | None:
    return msgspec.Raw(text) if text is not None and text.strip() else None


def _whole_decimal(value: Any) -> Any:
    """Returns an integer for a decimal that is one: Snowflake unloads NUMBER columns so, ids and times too.

    What has more than 64 bits, which no field of a batch has, stays a decimal and becomes text.
    """
    if value is None or not -_INTEGERS <= value < _INTEGERS or value != value.to_integral_value():
        return value
    return int(value)


def _map_converter(convert: Callable[[Any], Any] | None) -> Callable[[Any], Any]:
    """Returns the function for a map. Of a key that is there twice the last value counts, as in JSON."""
    if convert is None:
        return lambda pairs: None if pairs is None else dict(pairs)
    return lambda pairs: None if pairs is None else {key: convert(value) for key, value in pairs}


def _struct_converter(inside: dict[str, Callable[[Any], Any]]) -> Callable[[Any], Any]:
    def converted(struct: Any) -> Any:
        if struct is not None:
            for name, convert in inside.items():
                struct[name] = convert(struct[name])
        return struct

    return converted


def _pairs_converter(key: str, value: str) -> Callable[[Any], Any]:
    def converted(pairs: Any) -> Any:
        if pairs is None:
            return None
        return {str(pair[key]): pair[value] for pair in pairs if pair is not None and pair[key] is not None}

    return converted


def _pair_names(kind: pa.DataType) -> tuple[str, str]:
    """Returns the names of a pair's key and value as the table spells them."""
    first, second = (field.name for field in kind)
    return (second, first) if first.casefold().endswith("value") else (first, second)
