"""Records the outcomes of a stream in common files of the process, and settles messages once these are closed.

`pipeline.records.record_outcomes` closes files with each bundle. In a stream, where bundles are short and each step has
its own files, that would be a dozen small files every few seconds. Here all steps of a process write into the same
files, closed every `flush_secs`. A message is settled, and so acknowledged, after the file with the last of its
outcomes is closed and its dead letters are published. If the process is killed before, Pub/Sub delivers it again.
"""

import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import apache_beam as beam

from pipeline.records.dead_letter_rows import DEAD_KINDS
from pipeline.records.parquet_files import RowFiles
from pipeline.records.record_outcomes import GatherOutcomesFn, Records
from pipeline.sources import Subscription
from transforms.latency import LatencyTally
from transforms.model import Outcome, Units
from transforms.outcomes import OutcomeFn

# Rows of a file at most: messages wait for their file, and only so many may be unacknowledged.
_MAX_ROWS = 20_000


class Settlement:
    """All records of a process and subscription. Thread-safe.

    Args:
      records: what is recorded, and where.
      subscription: its messages are settled when their outcomes are recorded; read no more once recording has failed.
    """

    _open: dict[str, "Settlement"] = {}
    _opening = threading.Lock()

    @classmethod
    def of(cls, name: str, records: Records) -> "Settlement":
        """Returns this process's one object for a subscription; made, and started, by the first call."""
        with cls._opening:
            found = cls._open.get(name)
            if found is None:
                found = cls._open[name] = cls(records, Subscription.of(name))
            return found

    @classmethod
    def close_all(cls) -> None:
        """Records what waits, and forgets all objects; call it after the run.

        Raises:
          WriteError, DeadLetterTopicError: it could not be recorded; its messages stay unacknowledged.
        """
        with cls._opening:
            found, cls._open = list(cls._open.values()), {}
        for settlement in found:
            settlement.close()

    def __init__(self, records: Records, subscription: Subscription) -> None:
        self._subscription = subscription
        self._leases = subscription.leases
        self._flush_secs = records.flush_secs
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="records")
        self._files = [
            RowFiles(self._pool, folder, rows, layout, records.run_id, _MAX_ROWS)
            for folder, rows, layout in records.kinds()
        ]
        self._topic = records.topic()
        self._recorded: Counter[str] = Counter()
        self._dead: list[Outcome] = []
        self._flush_at: float | None = None
        self._failure: Exception | None = None
        self._closed = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._flush_on, name="records-flush", daemon=True)
        self._thread.start()

    def add(self, outcomes: Sequence[Outcome]) -> None:
        """Takes outcomes; returns at once.

        Raises:
          WriteError, DeadLetterTopicError: earlier ones could not be recorded.
        """
        refs = Counter([outcome.ref for outcome in outcomes])
        if not self._files and self._topic is None:
            self._leases.record(refs)
            return
        with self._changed:
            if self._failure is not None:
                raise self._failure
            full = [files for files in self._files if files.add(outcomes)]
            self._recorded.update(refs)
            if self._topic is not None:
                self._dead += [outcome for outcome in outcomes if outcome.kind in DEAD_KINDS]
            if self._flush_at is None:
                self._flush_at = time.monotonic() + self._flush_secs
                self._changed.notify()
            if full:
                self._flush_at = 0.0
                self._changed.notify()

    def close(self) -> None:
        """Records what waits and ends the thread.

        Raises:
          WriteError, DeadLetterTopicError: it could not be recorded.
        """
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join()
        self._pool.shutdown()
        if self._failure is not None:
            raise self._failure

    def _flush_on(self) -> None:
        while True:
            with self._changed:
                while not self._closed and (self._flush_at is None or time.monotonic() < self._flush_at):
                    left = None if self._flush_at is None else self._flush_at - time.monotonic()
                    self._changed.wait(left)
                if self._closed and self._flush_at is None:
                    return
            try:
                self._flush()
            except Exception as error:  # noqa: BLE001  # raised again on the bundle's thread, by `add`, or by `close`
                with self._changed:
                    self._failure, self._flush_at = error, None
                self._subscription.stop()
                return

    def _flush(self) -> None:
        with self._changed:
            self._flush_at = None
            recorded, self._recorded = self._recorded, Counter()
            dead, self._dead = self._dead, []
            now = time.time()
            for files in self._files:
                files.flush(now)
        for files in self._files:
            files.wait()
        if self._topic is not None:
            self._topic.publish(dead)
        self._leases.record(recorded)


@dataclass
class AcknowledgeMessages(beam.PTransform):
    """Outcomes → counters, ledger, dead letters; a message whose outcomes are all recorded is acknowledged.

    The last step of a stream on a runner that works in this process; elsewhere it is `RecordOutcomes`. The output is
    empty.

    Attributes:
      records: what is recorded, and where.
      subscription: full name.
    """

    records: Records
    subscription: str

    def expand(self, outcomes: beam.PCollection[Outcome]) -> beam.PCollection[None]:
        """Returns an empty collection."""
        return outcomes | "Acknowledge" >> beam.ParDo(_AcknowledgeFn(self.records, self.subscription))


class _AcknowledgeFn(GatherOutcomesFn):
    def __init__(self, records: Records, subscription: str) -> None:
        super().__init__(records)
        self._subscription = subscription

    def start_bundle(self) -> None:
        super().start_bundle()
        self._settlement = Settlement.of(self._subscription, self._records)
        self._latency = LatencyTally(Subscription.of(self._subscription).leases.published_at)

    def finish_bundle(self) -> None:
        super().finish_bundle()
        self._counters.increment(self._latency.drain())

    def take(self, outcomes: Sequence[Outcome]) -> None:
        self._latency.add(outcomes)
        self._settlement.add(outcomes)


@dataclass
class RegisterUnits(beam.PTransform):
    """How many units each message has → the subscription. The output is empty.

    Attributes:
      subscription: full name.
    """

    subscription: str

    def expand(self, units: beam.PCollection[Units]) -> beam.PCollection[None]:
        """Returns an empty collection."""
        return units | "Register" >> beam.ParDo(_RegisterFn(self.subscription))


class _RegisterFn(OutcomeFn):
    """Takes `Units` in the way of those that take outcomes, singly and in lists."""

    def __init__(self, subscription: str) -> None:
        self._subscription = subscription

    def start_bundle(self) -> None:
        self._leases = Subscription.of(self._subscription).leases

    def process(self, units: Units) -> Iterator[None]:  # type: ignore[override]
        self._leases.count({units.ref: units.count})
        return iter(())

    @beam.DoFn.yields_elements
    def process_batch(self, units: list[Units]) -> Iterator[None]:
        self._leases.count({one.ref: one.count for one in units})
        return iter(())
