"""SkipDelivered and DropDuplicates: payloads in; those that are to be sent, and outcomes of the others, out.

Both compare digests of what TikTok deduplicates on. They stand after `BuildPayloads`, where an event's name and id are
known, and before `BatchPayloads`, so that requests are full.
"""

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import apache_beam as beam
import numpy as np
from apache_beam.pvalue import AsIter, TaggedOutput
from apache_beam.utils.shared import Shared

from transforms.delivery_history import DeliveryHistory, EventKeys, empty_history
from transforms.digest_table import DigestSet
from transforms.model import Outcome, Payload
from transforms.step_fn import OUTCOMES, SplitHint, StepFn, split
from transforms.vocabulary import Kind, Reason, Stage


@dataclass
class SkipDelivered(beam.PTransform):
    """Payloads → those that TikTok does not have, by the records of earlier runs.

    `unknown` events within 48 h of their first attempt are sent again: TikTok drops the copy if it has them. Later they
    are held (`awaiting_decision`), because TikTok would count them twice.

    Input: any window; output in the same, `Outcome`s too.

    Attributes:
      event_source_id: part of what TikTok deduplicates on.
      load: returns the delivery history; called once in each worker process, for all of its threads.
      join: instead of `load`, for what no worker could hold: a transform of the pipeline's root into a collection, of
        which `joined` makes the same.
      joined: see `join`; called once a bundle.
      resend_unknown: send what would be held.
      clock: epoch seconds.
    """

    event_source_id: str
    load: Callable[[], DeliveryHistory] | None = None
    join: beam.PTransform | None = None
    joined: Callable[[Iterable[Any]], DeliveryHistory] | None = None
    resend_unknown: bool = False
    clock: Callable[[], float] = time.time

    def expand(self, payloads: beam.PCollection[Payload]) -> SplitHint:
        """Returns the payloads to be sent, and the outcomes of the others."""
        if self.join is None:
            return split(payloads, _LoadedFn(self._partition(), self.load))
        found = payloads.pipeline | "FindDelivered" >> self.join
        return split(payloads, _JoinedFn(self._partition(), self.joined), AsIter(found))

    def _partition(self) -> "_Partition":
        return _Partition(self.event_source_id, self.resend_unknown, self.clock)


@dataclass(frozen=True)
class _Partition:
    """Splits payloads by the delivery history."""

    event_source_id: str
    resend_unknown: bool
    clock: Callable[[], float]

    def partitioned(self, batch: list[Payload], history: DeliveryHistory) -> Iterator[Any]:
        """Yields outcomes of what is not to be sent, and the rest."""
        wanted = EventKeys(self.event_source_id).digests(batch)
        reasons = history.reasons(wanted, self.clock(), self.resend_unknown)
        return partitioned(batch, Stage.SKIP, reasons)


class _LoadedFn(StepFn[Payload]):
    """With tables that are loaded once a process."""

    stage = Stage.SKIP
    output = Payload

    def __init__(self, partition: _Partition, load: Callable[[], DeliveryHistory] | None) -> None:
        self._partition = partition
        self._load = load
        self._shared = Shared()

    def setup(self) -> None:
        """Does nothing yet, so that nothing is read for a step that gets nothing."""

    def process_batch(self, batch: list[Payload]) -> Iterator[list[Payload]]:
        return self._partition.partitioned(batch, self._shared.acquire(self._load))


class _JoinedFn(beam.DoFn):
    """With tables that another branch of the pipeline found."""

    output = Payload

    def __init__(self, partition: _Partition, joined: Callable[[Iterable[Any]], DeliveryHistory] | None) -> None:
        self._partition = partition
        self._joined = joined

    def infer_output_type(self, input_type: Any) -> type:
        return Payload

    def start_bundle(self) -> None:
        self._history: DeliveryHistory | None = None

    def process(self, payload: Payload, found: Iterable[Any]) -> Iterator[Any]:
        return StepFn.one(self.process_batch([payload], found))

    def process_batch(self, batch: list[Payload], found: Iterable[Any]) -> Iterator[list[Payload]]:
        if self._history is None and self._joined is not None:
            self._history = self._joined(found)
        return self._partition.partitioned(batch, self._history or empty_history())


@dataclass
class DropDuplicates(beam.PTransform):
    """Payloads → each event once, however often the input holds it. Bounded input.

    In one process the first copy that comes goes on, and a set of digests remembers it (32 to 64 bytes an event, for
    all threads). Where there are several processes, all copies of an event meet in a shuffle of whole payloads, and the
    one with the least reference goes on: exact, but it costs about half of the throughput.

    Attributes:
      event_source_id: part of what TikTok deduplicates on.
      one_process: the pipeline runs in one worker process, and no bundle is ever repeated.
    """

    event_source_id: str
    one_process: bool

    def expand(self, payloads: beam.PCollection[Payload]) -> SplitHint:
        """Returns the payloads to be sent, and the outcomes of the others."""
        if self.one_process:
            return split(payloads, _SeenFn(self.event_source_id))
        by_key = payloads | "ByKey" >> beam.ParDo(_ByKeyFn(self.event_source_id)).with_output_types(
            tuple[bytes, Payload]
        )
        return split(by_key | "Meet" >> beam.GroupByKey(), _FirstFn())


class _SeenFn(StepFn[Payload]):
    stage = Stage.DUPLICATES
    output = Payload

    def __init__(self, event_source_id: str) -> None:
        self._event_source_id = event_source_id
        self._shared = Shared()

    def setup(self) -> None:
        self._keys = EventKeys(self._event_source_id)
        self._seen = self._shared.acquire(_Seen)

    def process_batch(self, batch: list[Payload]) -> Iterator[list[Payload]]:
        with self._seen.lock:
            is_repeated = self._seen.digests.add(self._keys.digests(batch))
        positions = np.flatnonzero(is_repeated).tolist()
        return partitioned(batch, self.stage, dict.fromkeys(positions, Reason.DUPLICATE_IN_INPUT))


class _Seen:
    """The digests that the threads of a process have seen."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.digests = DigestSet()


class _ByKeyFn(beam.DoFn):
    def __init__(self, event_source_id: str) -> None:
        self._event_source_id = event_source_id

    def setup(self) -> None:
        self._keys = EventKeys(self._event_source_id)

    def process(self, payload: Payload) -> Iterator[tuple[bytes, Payload]]:
        yield self._keys.digests([payload]).tobytes(), payload


class _FirstFn(beam.DoFn):
    output = Payload

    def infer_output_type(self, input_type: Any) -> type:
        return Payload

    def process(self, element: tuple[bytes, Iterable[Payload]]) -> Iterator[Any]:
        copies = sorted(element[1], key=lambda payload: (payload.ref, payload.index))
        yield copies[0]
        for payload in copies[1:]:
            yield TaggedOutput(OUTCOMES, outcome_of_unsent(payload, Stage.DUPLICATES, Reason.DUPLICATE_IN_INPUT))


def partitioned(batch: list[Payload], stage: Stage, reasons: dict[int, Reason]) -> Iterator[Any]:
    """Yields the outcomes of the payloads that have a reason, by position, and then the others."""
    if reasons:
        yield TaggedOutput(
            OUTCOMES, [outcome_of_unsent(batch[number], stage, reason) for number, reason in reasons.items()]
        )
        batch = [payload for number, payload in enumerate(batch) if number not in reasons]
    if batch:
        yield batch


def outcome_of_unsent(payload: Payload, stage: Stage, reason: Reason, kind: Kind = Kind.SKIPPED) -> Outcome:
    """Returns the outcome of a payload that is not sent; what it takes to send it later only if it is not skipped."""
    return Outcome(
        kind=kind,
        stage=stage,
        reason=reason,
        ref=payload.ref,
        index=payload.index,
        form=payload.form,
        event=payload.event,
        event_id=payload.event_id,
        occurred_at_ms=payload.occurred_at_ms,
        match_keys=payload.match_keys,
        value=payload.value,
        currency=payload.currency,
        attempts=payload.attempts,
        payload=None if kind is Kind.SKIPPED else payload.body,
    )
