"""What earlier runs delivered, from the ledger: which files matter, and their rows as compact tables of digests.

A row is in the folder of the UTC day on which it was recorded, and is about an event that happened before that, but for
clocks that are wrong. So a run over events since some day needs

* the folders from the day before `--since` on, until now: whenever an event was delivered, it was not before it
  happened; one day more, because clocks are wrong,
* of all days the files of rows whose event lies two days or more ahead (`…-ahead.parquet`); they are few and small.

`--until` excludes no folder, because an event may have been delivered any time later. Of the files that are left, row
groups are read whose statistics allow events of the window that are `delivered` or `unknown`, and four columns of them:
the three of the key, and the kind (of row groups with `unknown` also the time of the first attempt).
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.ledger.files import column_ranges, epoch_ms, list_paths, open_parquet, select_columns
from pipeline.records import AHEAD_SUFFIX, LEDGER_SCHEMA
from transforms.delivery_history import DeliveryHistory, build_table
from transforms.digest_table import BUILD_BYTES_PER_KEY, Digests, DigestTable, digests, seed
from transforms.vocabulary import Kind

_DAY = re.compile(r"/date=(\d{4}-\d{2}-\d{2})/[^/]*\.parquet$")
_KEY = ("event_source_id", "event", "event_id")
_COLUMNS = (*_KEY, "kind", "first_sent_time")

# Footers that are fetched at a time; each is a wait for a disk or a bucket.
_READERS = 16


class LedgerPart(NamedTuple):
    """Row groups of a file of the ledger that matter.

    Attributes:
      path: of the file.
      row_groups: their numbers.
      rows: how many rows they have.
    """

    path: str
    row_groups: tuple[int, ...]
    rows: int


def ledger_files(folder: str, since_ms: int | None = None) -> list[str]:
    """Returns the files that may hold events since a time; none if there is no ledger yet.

    Args:
      folder: of the ledger, local or of any file system Beam knows.
      since_ms: UTC epoch milliseconds; None: all.

    Raises:
      UsageError: it cannot be listed.
    """
    least = ""
    if since_ms is not None:
        least = (datetime.fromtimestamp(since_ms / 1000, UTC) - timedelta(days=1)).date().isoformat()
    files = []
    for path in list_paths(folder):
        day = _DAY.search(path)
        if day and (day[1] >= least or path.endswith(AHEAD_SUFFIX)):
            files.append(path)
    return files


def find_parts(
    files: Sequence[str], event_source_id: str, since_ms: int | None = None, until_ms: int | None = None
) -> list[LedgerPart]:
    """Returns the row groups that may hold delivered or unknown events of a source and a window; reads footers only.

    Raises:
      UsageError: a file cannot be read.
    """

    def look(path: str) -> LedgerPart:
        with open_parquet(path, needed=select_columns(LEDGER_SCHEMA, _COLUMNS)) as file:
            metadata = file.metadata
            groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
        wanted = [
            number for number, group in enumerate(groups) if _may_hold(group, event_source_id, since_ms, until_ms)
        ]
        return LedgerPart(path, tuple(wanted), sum(groups[number].num_rows for number in wanted))

    with ThreadPoolExecutor(_READERS, thread_name_prefix="footers") as pool:
        return [part for part in pool.map(look, files) if part.row_groups]


def _may_hold(group: Any, event_source_id: str, since_ms: int | None, until_ms: int | None) -> bool:
    """Returns whether a row group's statistics allow delivered or unknown events of a source and a window."""
    ranges = column_ranges(group)
    # In the order of the alphabet `delivered` is the first of the kinds, `unknown` the last.
    first, last = ranges.get("kind", (Kind.DELIVERED, Kind.UNKNOWN))
    least_source, greatest_source = ranges.get("event_source_id", (event_source_id, event_source_id))
    if (first != Kind.DELIVERED and last != Kind.UNKNOWN) or not least_source <= event_source_id <= greatest_source:
        return False
    if "event_time" not in ranges:
        return True
    earliest_ms, latest_ms = (epoch_ms(moment) for moment in ranges["event_time"])
    return (since_ms is None or latest_ms >= since_ms) and (until_ms is None or earliest_ms < until_ms)


def table_bytes(parts: Iterable[LedgerPart]) -> int:
    """Returns how much memory `LoadDeliveryHistory` takes at most, while it builds its tables of these rows."""
    return sum(part.rows for part in parts) * BUILD_BYTES_PER_KEY


class Found(NamedTuple):
    """Digests of one row group, and when the unknown ones were first sent."""

    delivered: Digests
    unknown: Digests
    first_sent_ms: Any


def read_part(part: LedgerPart, event_source_id: str) -> Iterator[Found]:
    """Yields what each row group of a part holds."""
    with open_parquet(part.path, ("event_source_id", "event", "kind")) as file:
        for number in part.row_groups:
            columns = [*_KEY, "kind"]
            rows = file.read_row_group(number, columns=columns, use_threads=False)
            # Both conditions at a time: `&` of dictionaries is one comparison for each different value.
            ours = pc.equal(rows["event_source_id"].cast(pa.string()), event_source_id)
            delivered = rows.filter(pc.and_(ours, pc.equal(rows["kind"].cast(pa.string()), Kind.DELIVERED)))
            is_unknown = pc.and_(ours, pc.equal(rows["kind"].cast(pa.string()), Kind.UNKNOWN))
            unknown, first_sent_ms = rows.slice(0, 0), np.empty(0, np.int64)
            if pc.any(is_unknown).as_py():
                unknown = rows.filter(is_unknown)
                first = file.read_row_group(number, columns=["first_sent_time"], use_threads=False)["first_sent_time"]
                # What is unknown was sent; a row without the time is taken for old.
                first_sent_ms = pc.fill_null(first.filter(is_unknown).cast(pa.int64()), 0).to_numpy()
            yield Found(_digests(delivered, event_source_id), _digests(unknown, event_source_id), first_sent_ms)


def _digests(rows: pa.Table, event_source_id: str) -> Digests:
    if not rows.num_rows:
        return np.empty((0, 2), np.uint64)
    events = rows["event"].combine_chunks()
    if isinstance(events, pa.ChunkedArray):
        events = events.chunk(0)
    seeds = [seed(event_source_id, name) for name in events.dictionary.to_pylist()]
    ids = rows["event_id"].cast(pa.binary()).to_pylist()
    numbers = events.indices.to_pylist()
    return digests(ids, seeds[0] if len(seeds) == 1 else [seeds[number] for number in numbers])


@dataclass(frozen=True)
class LoadDeliveryHistory:
    """Reads the parts into tables, when called: in a worker, once for all of its threads.

    Attributes:
      parts: what to read.
      event_source_id: whose events.
      also: returns further events that TikTok may have, and when they were first sent.
    """

    parts: tuple[LedgerPart, ...]
    event_source_id: str
    also: Callable[[], tuple[Digests, Any]] | None = None

    def __call__(self) -> DeliveryHistory:
        """Returns what the ledger knows. Memory: `table_bytes`, and one row group."""
        delivered = np.empty((sum(part.rows for part in self.parts), 2), np.uint64)
        count = 0
        unknown: list[Digests] = []
        first_sent_ms: list[Any] = []
        for part in self.parts:
            for found in read_part(part, self.event_source_id):
                delivered[count : count + len(found.delivered)] = found.delivered
                count += len(found.delivered)
                unknown.append(found.unknown)
                first_sent_ms.append(found.first_sent_ms)
        if self.also is not None:
            further, times = self.also()
            unknown.append(further)
            first_sent_ms.append(times)
        return DeliveryHistory(DigestTable(delivered[:count]), build_table(unknown, first_sent_ms))
