"""RecordOutcomes: the last step. Outcomes in; counters, and files where the operator asked for them, out."""

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import apache_beam as beam

from pipeline.records.dead_letter_rows import (
    DEAD_KINDS,
    DEAD_LETTER_LAYOUT,
    QUARANTINE_LAYOUT,
    DeadLetterRows,
    QuarantineRows,
)
from pipeline.records.ledger_rows import LEDGER_LAYOUT, LedgerRows
from pipeline.records.parquet_files import MAX_FILE_ROWS, FileLayout, RowFiles, Rows
from pipeline.runtime import PROGRESS
from pipeline.storage import check_folder
from transforms.model import Outcome
from transforms.outcomes import BeamCounters, OutcomeFn, OutcomeTally

if TYPE_CHECKING:
    from pipeline.records.dead_letter_topic import DeadLetterTopic

# Outcomes that come one by one are taken together, because a row costs less in company.
_TOGETHER = 256

# Seconds between two moves of local counts into Beam's counters and the progress.
_COUNT_SECS = 0.5


@dataclass(frozen=True)
class Records:
    """What is recorded, and where.

    Attributes:
      ledger: folder of the ledger; None: none is kept.
      dead_letters: folder of what was not delivered.
      quarantine: folder of the original messages of what was rejected. They hold raw identities: restrict it.
      dead_letter_topic: Pub/Sub topic of what was not delivered.
      flush_secs: rows wait in memory for so long at most, while outcomes arrive.
      max_file_rows: rows of a file at most.
      run_id: identifies the run in every row.
      connection_name: identifies the connection in every row.
      event_source_id: pixel or offline event set.
      mapping_version: version of the rules.
      by_event: reasons are counted for each event of TikTok's as well, for a dry run.
    """

    ledger: str | None = None
    dead_letters: str | None = None
    quarantine: str | None = None
    dead_letter_topic: str | None = None
    flush_secs: float = 10.0
    max_file_rows: int = MAX_FILE_ROWS
    run_id: str = ""
    connection_name: str = ""
    event_source_id: str = ""
    mapping_version: str = ""
    by_event: bool = False

    def __post_init__(self) -> None:
        folders = [folder.rstrip("/") for folder in (self.ledger, self.dead_letters, self.quarantine) if folder]
        if len(set(folders)) < len(folders):
            raise ValueError("--ledger, --dead_letters and --quarantine need a folder each: their files differ")
        if self.flush_secs <= 0:
            raise ValueError(f"--ledger_flush_secs must be above 0, not {self.flush_secs:g}")

    def kinds(self) -> Iterator[tuple[str, Rows, FileLayout]]:
        """Yields folder, rows and layout of what is recorded."""
        constants = {
            "connection": self.connection_name,
            "event_source_id": self.event_source_id,
            "run_id": self.run_id,
            "mapping_version": self.mapping_version,
        }
        if self.ledger:
            yield self.ledger, LedgerRows(constants), LEDGER_LAYOUT
        if self.dead_letters:
            yield self.dead_letters, DeadLetterRows(constants), DEAD_LETTER_LAYOUT
        if self.quarantine:
            yield self.quarantine, QuarantineRows(constants), QUARANTINE_LAYOUT

    def topic(self) -> "DeadLetterTopic | None":
        """Returns what publishes dead letters, if they are published."""
        if self.dead_letter_topic is None:
            return None
        # Apart from the rest, because most runs need no client of Pub/Sub.
        from pipeline.records.dead_letter_topic import DeadLetterTopic

        constants = {"event_source_id": self.event_source_id, "run_id": self.run_id}
        return DeadLetterTopic(self.dead_letter_topic, constants)

    def check(self) -> None:
        """Makes sure that local folders can be written to; call it before anything is sent.

        Raises:
          WriteError: one cannot be written to.
          DeadLetterTopicError: there is no such topic.
        """
        for folder, _, layout in self.kinds():
            check_folder(folder, private=layout.private)
        if topic := self.topic():
            topic.check()


@dataclass
class RecordOutcomes(beam.PTransform):
    """Outcomes → counters, ledger, dead letters, quarantine. The output is empty.

        outcomes.write | "RecordWrite" >> RecordOutcomes(records)

    Apply it to the outcomes of each step by themselves: bringing them together costs more than recording them.

    Input: bounded or unbounded, any window. When a bundle has ended, its rows are in closed files; in a long bundle
    they are at the latest `flush_secs` later, as long as outcomes arrive. A repeated bundle writes its rows again.

    Attributes:
      records: what is recorded, and where.
      clock: epoch seconds.
    """

    records: Records
    clock: Callable[[], float] = time.time

    def expand(self, outcomes: beam.PCollection[Outcome]) -> beam.PCollection[None]:
        """Returns an empty collection."""
        return outcomes | "Record" >> beam.ParDo(_RecordFn(self.records, self.clock))


class GatherOutcomesFn(OutcomeFn):
    """Base of the last steps: takes outcomes in company, and counts them.

    Args:
      records: what is recorded.
    """

    def __init__(self, records: Records) -> None:
        self._records = records

    def setup(self) -> None:
        """Makes the counters."""
        self._counters = BeamCounters()
        self._tally = OutcomeTally(by_event=self._records.by_event)

    def start_bundle(self) -> None:
        """Begins without anything."""
        # A bundle that failed leaves nothing behind for the next.
        self._tally.drain()
        self._waiting: list[Outcome] = []

    def process(self, outcome: Outcome) -> Iterator[None]:
        """Takes one outcome, now or with others."""
        self._waiting.append(outcome)
        if len(self._waiting) >= _TOGETHER or self.is_due():
            self._take_waiting()
        return iter(())

    @beam.DoFn.yields_elements
    def process_batch(self, outcomes: list[Outcome]) -> Iterator[None]:
        """Takes outcomes; an empty list is the sign that time passes."""
        self._take(outcomes)
        return iter(())

    def finish_bundle(self) -> None:
        """Takes what waits for company, and moves the counts."""
        self._take_waiting()
        self.count()

    def is_due(self) -> bool:
        """Returns whether outcomes that wait for company are to be taken now."""
        return False

    def take(self, outcomes: Sequence[Outcome]) -> None:
        """Records outcomes, perhaps none; they are counted already."""
        raise NotImplementedError

    def count(self) -> None:
        """Moves local counts into Beam's counters and the progress."""
        counts, kinds = self._tally.drain()
        self._counters.increment(counts)
        for kind, count in kinds.items():
            PROGRESS.add(kind, count)

    def _take_waiting(self) -> None:
        waiting, self._waiting = self._waiting, []
        if waiting:
            self._take(waiting)

    def _take(self, outcomes: Sequence[Outcome]) -> None:
        self._tally.add(outcomes)
        self.take(outcomes)


class _RecordFn(GatherOutcomesFn):
    def __init__(self, records: Records, clock: Callable[[], float]) -> None:
        super().__init__(records)
        self._clock = clock

    def setup(self) -> None:
        super().setup()
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="records")
        self._topic = self._records.topic()

    def start_bundle(self) -> None:
        super().start_bundle()
        self._files = [
            RowFiles(self._pool, folder, rows, layout, self._records.run_id, self._records.max_file_rows)
            for folder, rows, layout in self._records.kinds()
        ]
        self._dead: list[Outcome] = []
        now = self._clock()
        self._flush_at = now + self._records.flush_secs
        self._count_at = now + _COUNT_SECS

    def finish_bundle(self) -> None:
        super().finish_bundle()
        now = self._clock()
        for files in self._files:
            files.flush(now)
        for files in self._files:
            files.wait()
        if self._topic is not None:
            self._topic.publish(self._dead)

    def teardown(self) -> None:
        self._pool.shutdown()

    def is_due(self) -> bool:
        return self._clock() >= self._flush_at

    def take(self, outcomes: Sequence[Outcome]) -> None:
        full = [files for files in self._files if files.add(outcomes)]
        if self._topic is not None:
            self._dead += [outcome for outcome in outcomes if outcome.kind in DEAD_KINDS]
        now = self._clock()
        if now >= self._flush_at:
            full = self._files
            self._flush_at = now + self._records.flush_secs
        for files in full:
            files.flush(now)
        if now >= self._count_at:
            self.count()
            self._count_at = now + _COUNT_SECS
