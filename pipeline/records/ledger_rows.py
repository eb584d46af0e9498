"""The ledger: one row an outcome, no personal data. What was delivered, what was not, and why.

`LEDGER/date=YYYY-MM-DD/*.parquet`, by the UTC day of recording; `pipeline.ledger.delivered` describes which days a
reader needs. A repeated bundle may write a row twice: count keys (`event_source_id`, `event`, `event_id`), not rows.

A row has to cost about a microsecond beside the ten that the rest of a run costs an event. Hence columns instead of
rows, one pass a column; columns whose value is the same in a whole list take one comparison a row.
"""

from array import array
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import xxhash

from pipeline.records.parquet_files import FileLayout
from transforms.model import Outcome
from transforms.outcomes import MATCH_KEY_NAMES

_TIME = pa.timestamp("ms", tz="UTC")


def _column(name: str, kind: pa.DataType, meaning: str) -> pa.Field:
    return pa.field(name, kind, metadata={"meaning": meaning})


LEDGER_SCHEMA = pa.schema(
    [
        _column("connection", pa.string(), "name of the connection"),
        _column("event", pa.string(), "TikTok's event name; null if the event ended before it had one"),
        _column("event_id", pa.string(), "what TikTok deduplicates on, with event_source_id and event"),
        _column("event_source_id", pa.string(), "pixel or offline event set"),
        _column("event_time", _TIME, "when the event happened"),
        _column("kind", pa.string(), "delivered, skipped, rejected, undelivered or unknown"),
        _column("stage", pa.string(), "the step that ended it"),
        _column("reason", pa.string(), "why it was not delivered; null if it was"),
        _column("code", pa.int64(), "TikTok's code, if it answered one"),
        _column("message", pa.string(), "TikTok's or the reader's message, values removed"),
        _column("request_id", pa.string(), "TikTok's id of its last reply"),
        _column("attempts", pa.int32(), "requests of all runs that carried it, but for refusals of another event"),
        _column("sent_time", _TIME, "start of the last request that carried it"),
        _column("first_sent_time", _TIME, "start of the first request of this run that carried it"),
        _column("payload_digest", pa.binary(16), "XXH3-128 of the payload's bytes as sent, big-endian"),
        *(
            _column(f"has_{name}", pa.bool_(), "whether the payload has that match key; false too if there was none")
            for name in MATCH_KEY_NAMES.values()
        ),
        _column("value", pa.float64(), "the order's total in `currency`"),
        _column("currency", pa.string(), "ISO 4217"),
        _column("input_ref", pa.string(), "FILE#ROW, a file's name, or a Pub/Sub message id"),
        _column("input_index", pa.int32(), "position in the message's events, from 0; null for a message as a whole"),
        _column("detail", pa.string(), "product action, event type, field or class of trouble"),
        _column("notes", pa.string(), "what the mapping had to decide, joined by commas; null if nothing"),
        _column("run_id", pa.string(), "the run that recorded it"),
        _column(
            "mapping_version", pa.string(), "version of the rules that mapped it, with a digest of the custom mappings"
        ),
        _column("recorded_time", _TIME, "when the row was written"),
    ]
)

# Statistics are for readers of a part: a time, a kind, an event. Those of random ids would exclude nothing.
_MANY = {"event_id", "event_time", "payload_digest", "value", "input_ref"}
LEDGER_LAYOUT = FileLayout(
    dictionary=tuple(name for name in LEDGER_SCHEMA.names if name not in _MANY),
    statistics=("event", "event_source_id", "event_time", "kind", "reason", "sent_time", "recorded_time"),
    compressed=("event_id", "event_time", "input_ref", "message", "request_id", "value"),
    event_time="event_time",
)

# Rows after which the columns of unique values become arrays: the values of a large request at once, because later
# they would have to come back into the processor's cache, and those of small ones together.
_CHUNK_ROWS = 500

# Columns with few different values within a file, as they stand in an outcome.
_FEW: dict[str, Callable[[list[Any]], list[Any]]] = {
    "event": list,
    "kind": list,
    "stage": list,
    "reason": list,
    "code": list,
    "message": list,
    "request_id": list,
    "attempts": list,
    "sent_time": list,
    "first_sent_time": list,
    "currency": list,
    "input_index": list,
    "detail": list,
    "notes": lambda values: [",".join(notes) or None for notes in values],
}


def _digests(payloads: list[bytes | None]) -> list[bytes | None]:
    digest: Callable[[Any], bytes] = xxhash.xxh3_128_digest
    try:
        return list(map(digest, payloads))
    except TypeError:  # some have no payload
        return [None if payload is None else digest(payload) for payload in payloads]


def _digest_array(digests: list[bytes | None]) -> pa.Array:
    try:
        joined = b"".join(digests)  # type: ignore[arg-type]
    except TypeError:  # some are None
        return pa.array(digests, pa.binary(16))
    # Six times as quick as converting one by one.
    return pa.FixedSizeBinaryArray.from_buffers(pa.binary(16), len(digests), [None, pa.py_buffer(joined)])


def _time_array(times: list[int | None]) -> pa.Array:
    try:
        return pa.array(np.array(times, np.int64)).view(_TIME)
    except TypeError:  # some are None
        return pa.array(times, pa.int64()).view(_TIME)


# Columns with a value of its own in each row, and how their values become an array.
_UNIQUE: dict[str, Callable[[list[Any]], pa.Array]] = {
    "event_id": lambda values: pa.array(values, pa.string()),
    "event_time": _time_array,
    "payload_digest": _digest_array,
    "value": lambda values: pa.array(values, pa.float64()),
    "input_ref": lambda values: pa.array(values, pa.string()),
}


class LedgerRows:
    """Collects the ledger's rows.

    Args:
      constants: values of `connection`, `event_source_id`, `run_id`, `mapping_version`.
    """

    def __init__(self, constants: dict[str, str]) -> None:
        self._constants = constants
        self._clear()

    def _clear(self) -> None:
        self._count = 0
        self._few = {name: _FewValues() for name in _FEW}
        self._unique = {name: _UniqueValues(convert) for name, convert in _UNIQUE.items()}
        self._match_keys = bytearray()

    def __len__(self) -> int:
        return self._count

    @property
    def waiting_bytes(self) -> int:
        """Zero: rows are small, their number bounds them."""
        return 0

    def add(self, outcomes: Sequence[Outcome]) -> None:
        """Adds a row for each outcome."""
        if not outcomes:
            return
        self._count += len(outcomes)
        few = self._few
        few["kind"].extend([outcome.kind for outcome in outcomes])
        few["stage"].extend([outcome.stage for outcome in outcomes])
        few["reason"].extend([outcome.reason for outcome in outcomes])
        few["code"].extend([outcome.code for outcome in outcomes])
        few["message"].extend([outcome.message for outcome in outcomes])
        few["request_id"].extend([outcome.request_id for outcome in outcomes])
        few["sent_time"].extend([outcome.sent_at_ms for outcome in outcomes])
        few["first_sent_time"].extend([outcome.first_sent_at_ms for outcome in outcomes])
        few["detail"].extend([outcome.detail for outcome in outcomes])
        few["event"].extend([outcome.event for outcome in outcomes])
        few["attempts"].extend([outcome.attempts for outcome in outcomes])
        few["currency"].extend([outcome.currency for outcome in outcomes])
        few["input_index"].extend([outcome.index for outcome in outcomes])
        few["notes"].extend([outcome.notes for outcome in outcomes])
        self._match_keys += bytes([outcome.match_keys for outcome in outcomes])
        unique = self._unique
        unique["event_id"].extend([outcome.event_id for outcome in outcomes])
        unique["event_time"].extend([outcome.occurred_at_ms for outcome in outcomes])
        unique["payload_digest"].extend(_digests([outcome.payload for outcome in outcomes]))
        unique["value"].extend([outcome.value for outcome in outcomes])
        unique["input_ref"].extend([outcome.ref for outcome in outcomes])

    def take(self, recorded_at_ms: int) -> pa.Table:
        """Returns the rows and forgets them. Columns with few values are dictionaries; the names are the schema's."""
        constants: dict[str, str | int] = {**self._constants, "recorded_time": recorded_at_ms}
        match_keys = np.frombuffer(self._match_keys, np.uint8)
        columns: dict[str, Any] = {}
        for field in LEDGER_SCHEMA:
            name = field.name
            if name in constants:
                columns[name] = _repeated(constants[name], field.type, self._count)
            elif name in self._few:
                columns[name] = self._few[name].array(field.type, _FEW[name])
            elif name in _HAS:
                columns[name] = pa.array((match_keys & _HAS[name]).astype(bool))
            else:
                columns[name] = self._unique[name].array()
        self._clear()
        return pa.table(columns)


# Column of each match key.
_HAS = {f"has_{name}": int(key) for key, name in MATCH_KEY_NAMES.items()}


class _UniqueValues:
    """A column with a value of its own in each row.

    Args:
      convert: values → array.
    """

    def __init__(self, convert: Callable[[list[Any]], pa.Array]) -> None:
        self._convert = convert
        self._values: list[Any] = []
        self._arrays: list[pa.Array] = []

    def extend(self, values: list[Any]) -> None:
        """Appends values; the list is not to be used any more."""
        if self._values:
            self._values += values
        else:
            self._values = values
        if len(self._values) >= _CHUNK_ROWS:
            self._arrays.append(self._convert(self._values))
            self._values = []

    def array(self) -> pa.ChunkedArray:
        """Returns the column."""
        if self._values:
            self._arrays.append(self._convert(self._values))
        return pa.chunked_array(self._arrays)


class _FewValues:
    """A column with few different values: each value once, and its number for each row; None is -1."""

    def __init__(self) -> None:
        self._values: list[Any] = []
        self._numbers: dict[Any, int] = {None: -1}
        self._rows = array("i")

    def extend(self, values: list[Any]) -> None:
        """Appends values."""
        first = values[0]
        if values[-1] is first and values.count(first) == len(values):
            self.repeat(first, len(values))
            return
        numbers = self._numbers
        try:
            rows = [numbers[value] for value in values]
        except KeyError:  # a new one; rare
            self._learn(set(values))
            rows = [numbers[value] for value in values]
        self._rows.fromlist(rows)

    def repeat(self, value: Any, count: int) -> None:
        """Appends a value so many times."""
        self._learn({value})
        self._rows += array("i", (self._numbers[value],)) * count

    def _learn(self, values: set[Any]) -> None:
        for value in values - self._numbers.keys():
            self._numbers[value] = len(self._values)
            self._values.append(value)

    def array(self, kind: pa.DataType, shown: Callable[[list[Any]], list[Any]]) -> pa.Array:
        """Returns the column: text as a dictionary, which Parquet takes over as it is, other types as values."""
        rows = np.frombuffer(self._rows, np.int32)
        numbers = pa.array(rows, mask=rows < 0)
        values = pa.array(shown(self._values), kind)
        if kind == pa.string() and not values.null_count:
            return pa.DictionaryArray.from_arrays(numbers, values)
        return values.take(numbers)


def _repeated(value: str | int, kind: pa.DataType, count: int) -> pa.Array:
    if kind == pa.string():
        return pa.DictionaryArray.from_arrays(pa.array(np.zeros(count, np.int32)), pa.array([value], kind))
    return pa.repeat(pa.scalar(value, kind), count)
