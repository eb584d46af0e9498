"""ReadDeadLetters: dead letters → payloads that go through the same delivery again, and outcomes of the others.

    files ─→ ReadDeadLetters ─→ payloads → SkipDelivered → DropDuplicates → WriteToTikTok → ParkRefused
                    └─→ outcomes of what is superseded, parked, or has no payload

Each dead letter that the replay takes has exactly one outcome. A message that could not be read and now can has one for
each of its events.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import apache_beam as beam
import msgspec
from apache_beam.metrics import Metrics
from apache_beam.pvalue import PBegin, TaggedOutput

from pipeline.ledger import epoch_ms, open_parquet
from pipeline.replay.plan import WITH_PAYLOAD, SharedPlan
from pipeline.runtime import is_stopping
from transforms.connection import Connection
from transforms.counters import MESSAGES, NAMESPACE, UNITS
from transforms.deduplicate import outcome_of_unsent
from transforms.mapping import converter
from transforms.model import Message, Outcome, Payload
from transforms.step_fn import OUTCOMES, Split, SplitHint, defect
from transforms.vocabulary import Form, Kind, Note, Reason, Stage

# Dead letters that are decoded at a time.
_ROWS = 1_000

Mapped = Payload | Outcome


class _Source(NamedTuple):
    """A file to read: of dead letters, or of originals with the number of its first row over all files."""

    path: str
    first_original: int | None = None


@dataclass
class ReadDeadLetters(beam.PTransform):
    """The pipeline's root → payloads and outcomes of the dead letters that a replay takes. Bounded, global window.

    Attributes:
      plan: which dead letters; files that appear later are not seen.
      connection: what originals are mapped with now.
      max_attempts: what was carried by so many requests is parked.
    """

    plan: SharedPlan
    connection: Connection
    max_attempts: int

    def expand(self, begin: PBegin) -> SplitHint:
        """Returns the payloads, and the outcomes of the other dead letters."""
        results = (
            begin
            | "Files" >> beam.Create(self._sources(), reshuffle=False)
            | "ShareFiles" >> beam.Reshuffle()
            | "Read" >> beam.ParDo(_ReadFn(self)).with_outputs(OUTCOMES, main="passed")
        )
        results.passed.element_type = Payload
        results[OUTCOMES].element_type = Outcome
        return Split(results.passed, results[OUTCOMES])

    def _sources(self) -> list[_Source]:
        sources = [_Source(path) for path in self.plan.selection.dead_letters]
        first = 0
        for path in self.plan.selection.quarantine:
            sources.append(_Source(path, first))
            with open_parquet(path) as file:
                first += file.metadata.num_rows
        return sources


class _ReadFn(beam.DoFn):
    def __init__(self, step: ReadDeadLetters) -> None:
        self._plans = step.plan
        self._connection = step.connection
        self._max_attempts = step.max_attempts
        self._letters = Metrics.counter(NAMESPACE, MESSAGES)
        self._units = Metrics.counter(NAMESPACE, UNITS)

    def infer_output_type(self, input_type: Any) -> type:
        return Payload

    def setup(self) -> None:
        self._plan = self._plans.get()
        self._convert = converter(self._connection, keep_original=True)
        self._logged: set[tuple[str, str]] = set()

    @beam.DoFn.yields_batches
    def process(self, source: _Source) -> Iterator[list[Payload]]:
        source = _Source(*source)
        letters = self._from_letters(source.path) if source.first_original is None else self._from_originals(source)
        # Looked at before more is read: what was read is counted, and goes its way.
        while not is_stopping() and (results := next(letters, None)) is not None:
            payloads = [result for result in results if type(result) is Payload]
            outcomes = [result for result in results if type(result) is Outcome]
            self._units.inc(len(results))
            if outcomes:
                yield TaggedOutput(OUTCOMES, outcomes)
            if payloads:
                yield payloads

    def _from_letters(self, path: str) -> Iterator[list[Mapped]]:
        """Yields the results of the dead letters of a file, but for those that are mapped again."""
        plan, row = self._plan, 0
        with open_parquet(path) as file:
            for batch in file.iter_batches(_ROWS, use_threads=False):
                first = plan.number(path) + row
                wanted = plan.selected(first, batch.num_rows)
                letters = batch.take(wanted).to_pylist() if wanted else []
                results: list[Mapped] = []
                for offset, letter in zip(wanted, letters, strict=True):
                    if not (plan.is_newest(first + offset) and plan.has_original(first + offset)):
                        results.append(self._result(letter, first + offset, f"{path}#{row + offset}"))
                self._letters.inc(len(results))
                row += batch.num_rows
                yield results

    def _from_originals(self, source: _Source) -> Iterator[list[Mapped]]:
        """Yields the results of the dead letters whose originals are in a file of the quarantine."""
        row = source.first_original or 0
        with open_parquet(source.path) as file:
            for batch in file.iter_batches(_ROWS, use_threads=False):
                served = {number: self._plan.served(row + number) for number in range(batch.num_rows)}
                wanted = [number for number, letter in served.items() if letter is not None]
                for number, original in zip(wanted, batch.take(wanted).to_pylist() if wanted else [], strict=True):
                    self._letters.inc()
                    yield self._mapped(original, served[number] or 0)
                row += batch.num_rows

    def _result(self, letter: dict[str, Any], number: int, place: str) -> Mapped:
        """Returns what becomes of a dead letter as it is."""
        if not self._plan.is_newest(number):
            return _settled(letter, Reason.SUPERSEDED, place)
        if letter["stage"] not in WITH_PAYLOAD or letter["payload"] is None:
            return _settled(letter, Reason.NO_PAYLOAD, letter["input_ref"], letter["input_index"])
        return self._checked(_payload(letter, self._plan.attempts(number)))

    def _mapped(self, original: dict[str, Any], number: int) -> list[Mapped]:
        """Returns what the present connection makes of an original, or of the one event of it that was rejected."""
        message, index = Message(original["input_ref"], original["original"] or b""), original["input_index"]
        results: list[Mapped]
        try:
            results = self._convert(message)
        except Exception as error:  # noqa: BLE001  # as in `StepFn`: a defect of ours must not harm the other dead letters
            rejected = defect(Stage.REPLAY, message, error, self._logged)
            results = [msgspec.structs.replace(rejected, index=index, original=message.data)]
        if index is not None:
            # The rules may have changed: now it is a message without this event, or none that can be read.
            ours = [result for result in results if result.index == index]
            results = ours or [result for result in results if result.index is None]
            if not results:
                results = [
                    Outcome(
                        kind=Kind.SKIPPED, stage=Stage.REPLAY, reason=Reason.NO_PAYLOAD, ref=message.ref, index=index
                    )
                ]
        attempts = self._plan.attempts(number)
        return [
            self._checked(msgspec.structs.replace(result, attempts=attempts))
            if isinstance(result, Payload)
            else msgspec.structs.replace(result, attempts=attempts)
            for result in results
        ]

    def _checked(self, payload: Payload) -> Mapped:
        if payload.attempts >= self._max_attempts:
            return outcome_of_unsent(payload, Stage.REPLAY, Reason.PARKED, Kind.REJECTED)
        return payload


def _settled(letter: dict[str, Any], reason: Reason, ref: str, index: int | None = None) -> Outcome:
    return Outcome(
        kind=Kind.SKIPPED,
        stage=Stage.REPLAY,
        reason=reason,
        ref=ref,
        index=index,
        detail=letter["reason"],
        event=letter["event"],
        event_id=letter["event_id"],
        occurred_at_ms=None if letter["event_time"] is None else epoch_ms(letter["event_time"]),
        attempts=letter["attempts"] or 0,
    )


def _payload(letter: dict[str, Any], attempts: int) -> Payload:
    return Payload(
        form=Form(letter["form"]),
        event=letter["event"],
        event_id=letter["event_id"],
        occurred_at_ms=0 if letter["event_time"] is None else epoch_ms(letter["event_time"]),
        body=letter["payload"].encode(),
        ref=letter["input_ref"],
        index=letter["input_index"] or 0,
        match_keys=letter["match_keys"],
        value=letter["value"],
        currency=letter["currency"],
        notes=tuple(map(Note, letter["notes"].split(","))) if letter["notes"] else (),
        attempts=attempts,
    )
