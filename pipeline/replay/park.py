"""ParkRefused: what TikTok refuses in a replay as it did before is parked, so that no replay sends it again."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import apache_beam as beam
import msgspec
from apache_beam import typehints

from pipeline.replay.plan import SharedPlan
from transforms.model import Outcome
from transforms.vocabulary import Reason


@dataclass
class ParkRefused(beam.PTransform):
    """Outcomes → the same; what TikTok refused in the way it did before becomes `parked`.

    Attributes:
      plan: the dead letters, with the refusals before.
    """

    plan: SharedPlan

    def expand(self, outcomes: beam.PCollection[Outcome]) -> beam.PCollection[Outcome]:
        """Returns the outcomes."""
        return outcomes | "Park" >> beam.ParDo(_ParkFn(self.plan))


class _ParkFn(beam.DoFn):
    def __init__(self, plan: SharedPlan) -> None:
        self._plans = plan

    def infer_output_type(self, input_type: Any) -> type:
        return Outcome

    def setup(self) -> None:
        self._refusals = self._plans.get().refusals

    def get_input_batch_type(self, input_element_type: Any) -> Any:
        return typehints.List[input_element_type]

    def process(self, outcome: Outcome) -> Iterator[Outcome]:
        yield from self._parked([outcome])

    @beam.DoFn.yields_batches
    def process_batch(self, outcomes: list[Outcome]) -> Iterator[list[Outcome]]:
        yield self._parked(outcomes)

    def _parked(self, outcomes: Sequence[Outcome]) -> list[Outcome]:
        refused = [outcome for outcome in outcomes if outcome.reason is Reason.REFUSED_BY_TIKTOK]
        if not refused:
            return list(outcomes)
        repeated = self._refusals.repeated(self._plans.selection.event_source_id, refused)
        parked = {id(outcome) for outcome, is_repeated in zip(refused, repeated, strict=True) if is_repeated}
        return [
            msgspec.structs.replace(outcome, reason=Reason.PARKED, detail=str(Reason.REFUSED_BY_TIKTOK))
            if id(outcome) in parked
            else outcome
            for outcome in outcomes
        ]
