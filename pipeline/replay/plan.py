"""Which dead letters a replay takes, and what is known of their earlier attempts: columns of files → compact arrays.

The dead letters of one event are those with the same key (event_source_id, event, event_id). Of an event that ended
before it had a key, they are those of the same original message and position in it (without a quarantine, of the same
run and reference). The newest of them stands for the event; attempts and the first time it was sent are those of all.

Memory: about a hundred bytes a dead letter, in each worker process. What was parked is left out unless it is asked for.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import xxhash
from apache_beam.utils.shared import Shared

from pipeline.ledger import open_parquet, select_columns
from pipeline.records import DEAD_LETTER_SCHEMA, QUARANTINE_SCHEMA
from transforms.digest_table import Digests, DigestTable, digests, seed
from transforms.model import Outcome
from transforms.vocabulary import Kind, Reason, Stage

# Steps in which an event has its finished payload.
WITH_PAYLOAD = frozenset({Stage.DUPLICATES, Stage.SKIP, Stage.BATCH, Stage.WRITE, Stage.REPLAY})

_COLUMNS = [
    "event_source_id",
    "kind",
    "stage",
    "reason",
    "attempts",
    "first_sent_time",
    "event",
    "event_id",
    "code",
    "message",
    "input_ref",
    "input_index",
    "run_id",
    "recorded_time",
]
_ORIGINAL_COLUMNS = ["input_ref", "input_index", "run_id", "original"]

# Stands for a time that is missing.
NEVER = np.iinfo(np.int64).max

Longs = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Selection:
    """Which dead letters are replayed.

    Attributes:
      dead_letters: files of them, in the order of their names.
      quarantine: files of originals.
      event_source_id: whose dead letters.
      reasons: why they ended; empty: all but `parked`.
      since_ms, until_ms: when they were recorded, UTC epoch milliseconds, half-open; None: open.
    """

    dead_letters: tuple[str, ...]
    quarantine: tuple[str, ...]
    event_source_id: str
    reasons: frozenset[str] = frozenset()
    since_ms: int | None = None
    until_ms: int | None = None

    def takes(self, row: dict[str, Any]) -> bool:
        """Returns whether a dead letter is one of those."""
        if row["event_source_id"] != self.event_source_id:
            return False
        if row["reason"] not in self.reasons if self.reasons else row["reason"] == Reason.PARKED:
            return False
        at_ms = row["recorded_time"]
        return (self.since_ms is None or at_ms >= self.since_ms) and (self.until_ms is None or at_ms < self.until_ms)


class ReplayPlan:
    """What is known about every dead letter, by the number of its file and its row.

    Args:
      selection: which dead letters are replayed; all are read, because newer ones stand for older ones.
    """

    def __init__(self, selection: Selection) -> None:
        originals = _Originals(selection.quarantine)
        source = selection.event_source_id
        keys: list[Digests] = []
        columns: dict[str, list[Any]] = {name: [] for name in ("at", "attempts", "unknown", "selected", "original")}
        refused: list[Digests] = []
        signatures: list[int] = []
        self._first: dict[str, int] = {}
        count = 0
        for path in selection.dead_letters:
            self._first[path] = count
            with open_parquet(path, needed=select_columns(DEAD_LETTER_SCHEMA, _COLUMNS)) as file:
                for number in range(file.metadata.num_row_groups):
                    rows = _rows(file.read_row_group(number, columns=_COLUMNS, use_threads=False))
                    found = [originals.find(row) for row in rows]
                    keys.append(_joined([_key(row, originals.digest(at)) for row, at in zip(rows, found, strict=True)]))
                    columns["at"].append([row["recorded_time"] for row in rows])
                    columns["attempts"].append([row["attempts"] or 0 for row in rows])
                    columns["unknown"].append([_unknown_since(row) for row in rows])
                    columns["selected"].append([selection.takes(row) for row in rows])
                    columns["original"].append(
                        [at if row["kind"] == Kind.REJECTED else -1 for row, at in zip(rows, found, strict=True)]
                    )
                    for row in rows:
                        if row["reason"] == Reason.REFUSED_BY_TIKTOK and row["event_source_id"] == source:
                            refused.append(_key(row, None))
                            signatures.append(signature(row["code"], row["message"]))
                    count += len(rows)
        self._arrange(_joined(keys), {name: np.array(_flat(parts), np.int64) for name, parts in columns.items()})
        self.refusals = Refusals(_joined(refused), np.array(signatures, np.int64))

    def _arrange(self, keys: Digests, columns: dict[str, Longs]) -> None:
        """Finds the newest dead letter of each event, and gives it what the others know."""
        at = columns["at"]
        order = np.lexsort((np.arange(len(keys)), at, keys[:, 1], keys[:, 0]))
        ordered = keys[order]
        starts = np.flatnonzero(np.r_[True, (ordered[1:] != ordered[:-1]).any(axis=1)]) if len(order) else order
        newest = order[np.r_[starts[1:], len(order)] - 1] if len(order) else order
        self._newest = np.zeros(len(keys), bool)
        self._newest[newest] = True
        self._attempts = np.zeros(len(keys), np.int64)
        if len(order):
            self._attempts[newest] = np.maximum.reduceat(columns["attempts"][order], starts)
        may_have = np.flatnonzero(columns["unknown"] != NEVER)
        self._unknown = keys[may_have], columns["unknown"][may_have]
        self._selected = columns["selected"].astype(bool)
        self._original = columns["original"]
        # From a row of the quarantine back to the dead letter that it serves.
        serving = np.flatnonzero(self._newest & self._selected & (self._original >= 0))
        self._served = dict(zip(self._original[serving].tolist(), serving.tolist(), strict=True))

    def number(self, path: str) -> int:
        """Returns the number of a file's first dead letter."""
        return self._first[path]

    def selected(self, first: int, count: int) -> list[int]:
        """Returns the rows that are replayed, out of `count` dead letters from number `first` on."""
        return np.flatnonzero(self._selected[first : first + count]).tolist()

    def is_newest(self, number: int) -> bool:
        """Returns whether a dead letter stands for its event."""
        return bool(self._newest[number])

    def has_original(self, number: int) -> bool:
        """Returns whether a dead letter is mapped again from its original, and not sent as it is."""
        return bool(self._original[number] >= 0)

    def attempts(self, number: int) -> int:
        """Returns how many requests have carried the event."""
        return int(self._attempts[number])

    def unknown(self) -> tuple[Digests, Longs]:
        """Returns the keys of events that TikTok may have, and when they were first sent, UTC epoch milliseconds."""
        return self._unknown

    def served(self, original: int) -> int | None:
        """Returns the dead letter whose original is a row of the quarantine, by the row's number over all files."""
        return self._served.get(original)


class SharedPlan:
    """The plan of a selection, made once in each worker process, for all steps and threads.

    Args:
      selection: which dead letters are replayed.
    """

    def __init__(self, selection: Selection) -> None:
        self.selection = selection
        self._shared = Shared()

    def get(self) -> ReplayPlan:
        """Returns the plan."""
        plan: ReplayPlan = self._shared.acquire(partial(ReplayPlan, self.selection))
        return plan

    def unknown(self) -> tuple[Digests, Longs]:
        """Returns `ReplayPlan.unknown`."""
        return self.get().unknown()


class Refusals:
    """How TikTok refused events before.

    Args:
      keys: digests of the events.
      signatures: of its refusals, as `signature` returns them.
    """

    def __init__(self, keys: Digests, signatures: Longs) -> None:
        # An event refused in two ways is parked when either comes again: both are in the table under keys of their own.
        self._table = DigestTable(keys ^ signatures.view(np.uint64)[:, None] if len(keys) else keys.copy())

    def repeated(self, event_source_id: str, outcomes: Sequence[Outcome]) -> list[bool]:
        """Returns for each outcome of refused events whether the event was refused in this way before."""
        keys = digests(
            [(outcome.event_id or "").encode() for outcome in outcomes],
            [seed(event_source_id, outcome.event or "") for outcome in outcomes],
        )
        signatures = np.array([signature(outcome.code, outcome.message) for outcome in outcomes], np.int64)
        return self._table.contains(keys ^ signatures.view(np.uint64)[:, None]).tolist()  # type: ignore[no-any-return]


def signature(code: int | None, message: str | None) -> int:
    """Returns what identifies a refusal: TikTok's code and message without numbers, which are places in a request."""
    words = "".join(letter for letter in message or "" if not letter.isdecimal())
    return int(np.uint64(xxhash.xxh3_64_intdigest(f"{code}\0{words}".encode())).view(np.int64))


class _Originals:
    """Where the originals are: by run, reference and position → number of the row over all files, and its digest."""

    def __init__(self, files: Sequence[str]) -> None:
        keys: list[Digests] = []
        contents: list[Digests] = []
        for path in files:
            with open_parquet(path, needed=select_columns(QUARANTINE_SCHEMA, _ORIGINAL_COLUMNS)) as file:
                for number in range(file.metadata.num_row_groups):
                    rows = file.read_row_group(number, columns=_ORIGINAL_COLUMNS, use_threads=False).to_pylist()
                    keys.append(_joined([_place(row) for row in rows]))
                    contents.append(digests([row["original"] or b"" for row in rows], 0))
        found = _joined(keys)
        self._contents = _joined(contents)
        # Of a row that a repeated bundle wrote twice, the first one.
        self._rows = DigestTable(found.copy(), np.arange(len(found)))

    def find(self, letter: dict[str, Any]) -> int:
        """Returns the number of the row with a dead letter's original, or -1."""
        position = self._rows.positions(_place(letter))
        return -1 if position[0] < 0 else int(self._rows.values(position)[0])

    def digest(self, number: int) -> bytes | None:
        """Returns the digest of an original's content; None for -1."""
        return None if number < 0 else self._contents[number].tobytes()


def _place(row: dict[str, Any]) -> Digests:
    return digests([f"{row['input_ref']}\0{row['input_index']}".encode()], seed("place", row["run_id"]))


def _key(letter: dict[str, Any], original: bytes | None) -> Digests:
    if letter["event"] and letter["event_id"]:
        return digests([letter["event_id"].encode()], seed(letter["event_source_id"], letter["event"]))
    if original is not None:
        return digests([original + str(letter["input_index"]).encode()], seed("original", ""))
    return _place(letter)


def _unknown_since(letter: dict[str, Any]) -> int:
    if letter["kind"] != Kind.UNKNOWN:
        return NEVER
    # What is unknown was sent; a row without the time is taken for old.
    return int(letter["first_sent_time"] or 0)


def _rows(table: pa.Table) -> list[dict[str, Any]]:
    """Returns rows whose times are epoch milliseconds."""
    for name in ("first_sent_time", "recorded_time"):
        table = table.set_column(table.column_names.index(name), name, table[name].cast(pa.int64()))
    rows: list[dict[str, Any]] = table.to_pylist()
    return rows


def _joined(parts: Sequence[Digests]) -> Digests:
    return np.concatenate([np.empty((0, 2), np.uint64), *parts])


def _flat(parts: list[list[Any]]) -> list[Any]:
    return [value for part in parts for value in part]
