"""Dead letters and quarantine: what was not delivered, with what it takes to send it again.

Dead letters hold what is `rejected`, `undelivered` or `unknown`. From `BatchPayloads` on that is the finished payload:
free of raw identities, but with hashed ones, addresses and URLs, so the folder deserves care. What ended before has
only its reference to the input.

The quarantine holds the original messages of what was rejected. They hold raw identities: the folder is restricted to
its owner where it is local, and has to be restricted by its administrator where it is a bucket.
"""

from collections.abc import Callable, Sequence
from typing import Any

import pyarrow as pa

from pipeline.records.parquet_files import FileLayout
from transforms.model import Outcome
from transforms.vocabulary import Kind

_TIME = pa.timestamp("ms", tz="UTC")

# Kinds that somebody has to look at, or that can be sent again.
DEAD_KINDS = frozenset({Kind.REJECTED, Kind.UNDELIVERED, Kind.UNKNOWN})

DEAD_LETTER_SCHEMA = pa.schema(
    [
        ("connection", pa.string()),
        ("event_source_id", pa.string()),
        ("kind", pa.string()),
        ("stage", pa.string()),
        ("reason", pa.string()),
        ("detail", pa.string()),
        ("code", pa.int64()),
        ("message", pa.string()),
        ("request_id", pa.string()),
        ("attempts", pa.int32()),
        ("first_sent_time", _TIME),
        ("sent_time", _TIME),
        ("form", pa.string()),
        ("event", pa.string()),
        ("event_id", pa.string()),
        ("event_time", _TIME),
        # The JSON object of this one event, as it was sent or would have been.
        ("payload", pa.string()),
        # Bits of `MatchKey`.
        ("match_keys", pa.int32()),
        ("value", pa.float64()),
        ("currency", pa.string()),
        # Joined by commas.
        ("notes", pa.string()),
        ("input_ref", pa.string()),
        ("input_index", pa.int32()),
        ("run_id", pa.string()),
        ("mapping_version", pa.string()),
        ("recorded_time", _TIME),
    ]
)

_UNIQUE = {"event_id", "event_time", "payload", "value", "input_ref"}
DEAD_LETTER_LAYOUT = FileLayout(
    dictionary=tuple(name for name in DEAD_LETTER_SCHEMA.names if name not in _UNIQUE),
    statistics=("kind", "reason", "event_time", "first_sent_time", "recorded_time"),
)

QUARANTINE_SCHEMA = pa.schema(
    [
        ("connection", pa.string()),
        ("stage", pa.string()),
        ("reason", pa.string()),
        ("detail", pa.string()),
        ("message", pa.string()),
        ("input_ref", pa.string()),
        # Null if the message as a whole was rejected. A message with several rejected events is there several times.
        ("input_index", pa.int32()),
        # The message as it came, possibly gzip, possibly damaged.
        ("original", pa.binary()),
        ("run_id", pa.string()),
        ("recorded_time", _TIME),
    ]
)

QUARANTINE_LAYOUT = FileLayout(
    dictionary=("connection", "stage", "reason", "detail", "run_id", "original"),
    statistics=("reason", "recorded_time"),
    private=True,
)


class _OutcomeRows:
    """Collects outcomes as they are. Far slower a row than the ledger, and far rarer."""

    schema: pa.Schema

    def __init__(self, constants: dict[str, str]) -> None:
        self._constants = {name: value for name, value in constants.items() if name in self.schema.names}
        self._outcomes: list[Outcome] = []
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._outcomes)

    @property
    def waiting_bytes(self) -> int:
        """Bytes of the payloads and originals that wait."""
        return self._bytes

    def add(self, outcomes: Sequence[Outcome]) -> None:
        """Adds a row for each outcome that is of this kind."""
        for outcome in outcomes:
            if self._takes(outcome):
                self._outcomes.append(outcome)
                self._bytes += len(outcome.payload or b"") + len(outcome.original or b"")

    def take(self, recorded_at_ms: int) -> pa.Table:
        """Returns the rows and forgets them."""
        outcomes, self._outcomes, self._bytes = self._outcomes, [], 0
        constants = {**self._constants, "recorded_time": recorded_at_ms}
        columns = {
            name: [constants[name]] * len(outcomes) if name in constants else list(map(OUTCOME_VALUES[name], outcomes))
            for name in self.schema.names
        }
        return pa.table(columns, schema=self.schema)

    def _takes(self, outcome: Outcome) -> bool:
        raise NotImplementedError


class DeadLetterRows(_OutcomeRows):
    """Collects the rows of dead letters."""

    schema = DEAD_LETTER_SCHEMA

    def _takes(self, outcome: Outcome) -> bool:
        return outcome.kind in DEAD_KINDS


class QuarantineRows(_OutcomeRows):
    """Collects the rows of the quarantine."""

    schema = QUARANTINE_SCHEMA

    def _takes(self, outcome: Outcome) -> bool:
        return outcome.kind is Kind.REJECTED and outcome.original is not None


# How each column that is no constant of the run is read from an outcome; attributes on the topic too.
OUTCOME_VALUES: dict[str, Callable[[Outcome], Any]] = {
    "kind": lambda outcome: outcome.kind,
    "stage": lambda outcome: outcome.stage,
    "reason": lambda outcome: outcome.reason,
    "detail": lambda outcome: outcome.detail,
    "code": lambda outcome: outcome.code,
    "message": lambda outcome: outcome.message,
    "request_id": lambda outcome: outcome.request_id,
    "attempts": lambda outcome: outcome.attempts,
    "first_sent_time": lambda outcome: outcome.first_sent_at_ms,
    "sent_time": lambda outcome: outcome.sent_at_ms,
    "form": lambda outcome: outcome.form,
    "event": lambda outcome: outcome.event,
    "event_id": lambda outcome: outcome.event_id,
    "event_time": lambda outcome: outcome.occurred_at_ms,
    "payload": lambda outcome: outcome.payload,
    "match_keys": lambda outcome: int(outcome.match_keys),
    "value": lambda outcome: outcome.value,
    "currency": lambda outcome: outcome.currency,
    "notes": lambda outcome: ",".join(outcome.notes) or None,
    "input_ref": lambda outcome: outcome.ref,
    "input_index": lambda outcome: outcome.index,
    "original": lambda outcome: outcome.original,
}
