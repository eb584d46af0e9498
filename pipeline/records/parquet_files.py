"""Parquet files of rows, by day: `FOLDER/date=YYYY-MM-DD/RUN-UNIQUE.parquet`, on a local disk or in a bucket.

A file is there as a whole or not at all (`write_atomically`). Names are unique, so that nobody overwrites anybody,
whatever is repeated.

Beam's own Parquet sink is of no use here: it writes at the very end of a run, and loses rows on unbounded input.
"""

import re
import uuid
from collections.abc import Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.storage import write_atomically
from transforms.model import Outcome

# Rows of a file at most, and bytes that wait at most. A bundle may be the whole input, so it is not what bounds them.
MAX_FILE_ROWS = 100_000
MAX_WAITING_BYTES = 32 * 1024 * 1024

# Level 1 of zstd makes the ledger a third smaller than snappy does, in the same time; level 3 takes a third longer and
# saves nothing.
_ZSTD_LEVEL = 1

# Days after which an event lies ahead of the day on which it is recorded: clocks are wrong by hours every day.
AHEAD_DAYS = 2
AHEAD_SUFFIX = "-ahead.parquet"


class Rows(Protocol):
    """Collects rows of one kind from outcomes."""

    def add(self, outcomes: Sequence[Outcome]) -> None:
        """Adds the rows of the outcomes that are of this kind."""
        ...

    def take(self, recorded_at_ms: int) -> pa.Table:
        """Returns the rows as a table and forgets them."""
        ...

    def __len__(self) -> int:
        """Returns how many rows wait."""
        ...

    @property
    def waiting_bytes(self) -> int:
        """How much the waiting rows hold in memory, roughly, where rows may be large; else 0."""
        ...


@dataclass(frozen=True)
class FileLayout:
    """How rows of one kind are laid out in a file.

    Attributes:
      dictionary: columns with few values: stored once, referred to by number.
      statistics: columns whose least and greatest value stand in the footer, for readers that skip row groups.
      compressed: columns worth compressing; None: all. Others are random bytes, or small after dictionary encoding.
      private: folders are readable by their owner only (0700), files too (0600); local folders only.
      event_time: column of the events' times. Rows whose event lies `AHEAD_DAYS` or more after the folder's day, by a
        clock that is wrong, get files of their own, named `…-ahead.parquet`: who wants the events of a day need not
        look into everything that was recorded before. None: they stay with the others.
    """

    dictionary: tuple[str, ...]
    statistics: tuple[str, ...]
    compressed: tuple[str, ...] | None = None
    private: bool = False
    event_time: str | None = None


class RowFiles:
    """Collects rows and writes them to files of one folder. Belongs to one bundle; files are written beside it.

    Args:
      pool: the thread that writes: encoding, compressing and writing free the interpreter, so the bundle goes on.
      folder: local, or of any file system Beam knows (`gs://…`).
      rows: what collects the rows.
      layout: how they are laid out.
      run_id: first part of the files' names.
      max_rows: rows of a file at most.
    """

    def __init__(
        self, pool: Executor, folder: str, rows: Rows, layout: FileLayout, run_id: str, max_rows: int = MAX_FILE_ROWS
    ) -> None:
        self._pool = pool
        self._folder = folder
        self._rows = rows
        self._layout = layout
        self._prefix = file_prefix(run_id)
        self._max_rows = max_rows
        self._writing: Future[None] | None = None

    def add(self, outcomes: Sequence[Outcome]) -> bool:
        """Adds the rows of outcomes; returns whether it is time to `flush`, because of their number or size."""
        self._rows.add(outcomes)
        return len(self._rows) >= self._max_rows or self._rows.waiting_bytes >= MAX_WAITING_BYTES

    def flush(self, recorded_at_secs: float) -> None:
        """Starts to write what waits, if anything does, after the file before is closed.

        Args:
          recorded_at_secs: epoch seconds; the day (UTC) names the folder.

        Raises:
          WriteError: the file before could not be written.
        """
        if not len(self._rows):
            return
        self.wait()
        day = datetime.fromtimestamp(recorded_at_secs, UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        path = f"{self._folder.rstrip('/')}/date={day.date()}/{self._prefix}-{uuid.uuid4().hex}.parquet"
        table = self._rows.take(int(recorded_at_secs * 1_000))
        self._writing = self._pool.submit(self._write, table, path, day + timedelta(days=AHEAD_DAYS))

    def wait(self) -> None:
        """Returns when everything flushed is closed.

        Raises:
          WriteError: it could not be written.
        """
        if self._writing is not None:
            writing, self._writing = self._writing, None
            writing.result()

    def _write(self, table: pa.Table, path: str, ahead: datetime) -> None:
        if self._layout.event_time:
            is_ahead = pc.greater_equal(table[self._layout.event_time], pa.scalar(ahead, pa.timestamp("ms", tz="UTC")))
            if pc.any(is_ahead).as_py():
                self._write_file(table.filter(is_ahead), path.removesuffix(".parquet") + AHEAD_SUFFIX)
                table = table.filter(pc.invert(pc.fill_null(is_ahead, fill_value=False)))
        if table.num_rows:
            self._write_file(table, path)

    def _write_file(self, table: pa.Table, path: str) -> None:
        write_atomically(path, encode(table, self._layout), self._folder if self._layout.private else None)


def file_prefix(run_id: str) -> str:
    """Returns what the names of a run's files begin with, fit for every file system."""
    return re.sub(r"[^A-Za-z0-9_-]+", "-", run_id).strip("-") or "run"


def encode(table: pa.Table, layout: FileLayout) -> pa.Buffer:
    """Returns a Parquet file of one row group.

    Arrow's own description of the schema is left out: columns that are dictionaries in memory are plain for readers.
    """
    compressed = layout.compressed or table.column_names
    output = pa.BufferOutputStream()
    with pq.ParquetWriter(
        output,
        table.schema,
        use_dictionary=list(layout.dictionary),
        write_statistics=list(layout.statistics),
        compression=dict.fromkeys(compressed, "ZSTD"),
        compression_level=dict.fromkeys(compressed, _ZSTD_LEVEL),
        store_schema=False,
    ) as writer:
        writer.write_table(table, row_group_size=max(1, table.num_rows))
    return output.getvalue()
