"""SimulateDelivery: everything that `WriteToTikTok` does except sending, for a dry run.

Payloads are gathered into the same requests; what would go out is counted, and each payload ends as `skipped: dry_run`,
or as the rejection that it would meet before a request is made. Counters, beside those of `transforms.counters`:

    dry_run:requests:FORM      requests that would be sent
    dry_run:bytes              bytes of their bodies, before compression

A redacted sample of each TikTok event and form goes into a string set of Beam's, `sample:FORM:EVENT`, which every
runner brings back. One set for all would not do: of a set that several bundles add to, the local runner of Beam 2.77
keeps what one of them added (`monitoring_infos.consolidate` knows no combiner for sets).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import apache_beam as beam
import msgspec
from apache_beam.metrics import Metrics

from transforms.batch_payloads import BatchPayloads
from transforms.connection import Connection
from transforms.counters import NAMESPACE
from transforms.model import Fragment, Outcome, Payload
from transforms.tiktok import RequestState, Verdict, make_envelope, outcomes_of, redacted_event
from transforms.vocabulary import Form, Kind, Reason

SAMPLE = "sample:"

# Events with names of their own that one worker shows, and bytes of a sample: what is longer would fill the report.
_MAX_SAMPLES = 20
_MAX_SAMPLE_BYTES = 4_000

_NO_REPLY = Verdict(reply_class="unknown")


@dataclass
class SimulateDelivery(beam.PTransform):
    """Payloads → outcomes, as `WriteToTikTok`, but nothing is sent and no token is needed.

    Input: `Payload`s, bounded. Output: `Outcome`s in the global window, one for each payload.

    Attributes:
      connection: limits of requests.
    """

    connection: Connection

    def expand(self, payloads: beam.PCollection[Payload]) -> beam.PCollection[Outcome]:
        """Returns the outcomes."""
        return (
            payloads
            | "BatchPayloads" >> BatchPayloads(self.connection)
            | "Simulate" >> beam.ParDo(_SimulateFn(self.connection))
        )


class _SimulateFn(beam.DoFn):
    """Ends the payloads of each fragment without a request."""

    def __init__(self, connection: Connection) -> None:
        self._sizes = {form: make_envelope(connection, form).size_bytes for form in Form}
        self._most_bytes = connection.max_request_bytes
        self._requests = {form: Metrics.counter(NAMESPACE, f"dry_run:requests:{form}") for form in Form}
        self._bytes = Metrics.counter(NAMESPACE, "dry_run:bytes")

    def setup(self) -> None:
        self._shown: set[tuple[Form, str]] = set()

    def infer_output_type(self, input_type: Any) -> type[Outcome]:
        return Outcome

    @beam.DoFn.yields_batches
    def process(self, element: tuple[int, Fragment]) -> Iterator[list[Outcome]]:
        _, fragment = element
        form, payloads = fragment.form, fragment.payloads
        request = RequestState.of(form, payloads)
        size = self._sizes[form] + fragment.body_bytes
        if size > self._most_bytes:
            # As in the delivery: a payload that is larger than a request stands alone.
            yield outcomes_of(request, None, Kind.REJECTED, Reason.EVENT_TOO_LARGE, _NO_REPLY)
            return
        self._requests[form].inc()
        self._bytes.inc(size)
        self._add_samples(payloads)
        yield outcomes_of(request, None, Kind.SKIPPED, Reason.DRY_RUN, _NO_REPLY)

    def _add_samples(self, payloads: list[Payload]) -> None:
        for payload in payloads:
            name = (payload.form, payload.event)
            if name not in self._shown and len(self._shown) < _MAX_SAMPLES:
                sample = {"form": payload.form, **redacted_event(payload.body)}
                encoded = msgspec.json.encode(sample)
                if len(encoded) <= _MAX_SAMPLE_BYTES:
                    self._shown.add(name)
                    Metrics.string_set(NAMESPACE, f"{SAMPLE}{payload.form}:{payload.event}").add(encoded.decode())
