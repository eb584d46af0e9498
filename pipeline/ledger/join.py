"""JoinLedger: what a ledger holds about the events of this input, for ledgers whose keys no worker could hold.

    input → digests of its events ──(side input)──┐
    parts of the ledger ──────────────────────────┴→ the rows that are about one of them, as digests

A join on digests: no payload is shuffled or stored. The input is read and mapped a second time for it, which takes
about as long as the run itself; memory is bounded by the events of the input (32 bytes each), not by the ledger.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import apache_beam as beam
import numpy as np
from apache_beam.pvalue import AsIter, PBegin
from apache_beam.transforms.window import GlobalWindow
from apache_beam.utils.timestamp import MIN_TIMESTAMP
from apache_beam.utils.windowed_value import WindowedValue

from pipeline.ledger.delivered import LedgerPart, read_part
from pipeline.sources import ReadMessages
from transforms.connection import Connection
from transforms.delivery_history import DeliveryHistory, EventKeys, build_table
from transforms.digest_table import Digests, DigestTable
from transforms.mapping import converter
from transforms.model import Message, Payload

# Digests travel in parts of a megabyte: single ones would cost a step of the pipeline each.
_PART_BYTES = 1 << 20

# Digests of delivered events, of unknown ones, and when those were first sent; as bytes.
Match = tuple[bytes, bytes, bytes]


@dataclass
class JoinLedger(beam.PTransform):
    """The pipeline's root → matches, of which `history_from_matches` makes what `SkipDelivered` needs.

    Attributes:
      read: the input; it is read again, without counting.
      connection: what its events are mapped with.
      parts: of the ledger.
    """

    read: ReadMessages
    connection: Connection
    parts: tuple[LedgerPart, ...]

    def expand(self, begin: PBegin) -> beam.PCollection[Match]:
        """Returns the matches."""
        digests = (begin | "ReadAgain" >> replace(self.read, counted=False)).messages | "Digest" >> beam.ParDo(
            _DigestFn(self.connection)
        )
        return (
            begin
            | "Parts" >> beam.Create(self.parts, reshuffle=False)
            | "ShareLedger" >> beam.Reshuffle()
            | "Match" >> beam.ParDo(_MatchFn(self.connection.event_source_id), AsIter(digests)).with_output_types(Match)
        )


def history_from_matches(matches: Iterable[Match]) -> DeliveryHistory:
    """Returns what the ledger knows of the events of this input."""
    found = list(matches)
    return DeliveryHistory(
        build_table(_unpacked(delivered) for delivered, _, _ in found),
        build_table(
            (_unpacked(unknown) for _, unknown, _ in found), (np.frombuffer(times, np.int64) for *_, times in found)
        ),
    )


def _unpacked(packed: bytes) -> Digests:
    return np.frombuffer(packed, np.uint64).reshape(-1, 2)


class _DigestFn(beam.DoFn):
    """Messages → packed digests of the events that would be sent."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def infer_output_type(self, input_type: type) -> type[bytes]:
        return bytes

    def setup(self) -> None:
        self._convert = converter(self._connection)
        self._keys = EventKeys(self._connection.event_source_id)

    def start_bundle(self) -> None:
        self._packed = bytearray()

    @beam.DoFn.yields_elements
    def process_batch(self, messages: list[Message]) -> Iterator[bytes]:
        payloads = [result for message in messages for result in self._convert(message) if type(result) is Payload]
        if payloads:
            self._packed += self._keys.digests(payloads).tobytes()
        if len(self._packed) >= _PART_BYTES:
            yield bytes(self._packed)
            self._packed.clear()

    def finish_bundle(self) -> Iterator[WindowedValue]:
        if self._packed:
            yield WindowedValue(bytes(self._packed), MIN_TIMESTAMP, (GlobalWindow(),))


class _MatchFn(beam.DoFn):
    """A part of the ledger → its rows that are about one of the events."""

    def __init__(self, event_source_id: str) -> None:
        self._event_source_id = event_source_id

    def start_bundle(self) -> None:
        self._wanted: DigestTable | None = None

    def process(self, part: LedgerPart, packed: Iterable[bytes]) -> Iterator[Match]:
        if self._wanted is None:
            self._wanted = build_table(map(_unpacked, packed))
        for found in read_part(LedgerPart(*part), self._event_source_id):
            delivered = self._wanted.contains(found.delivered)
            unknown = self._wanted.contains(found.unknown)
            if delivered.any() or unknown.any():
                yield (
                    found.delivered[delivered].tobytes(),
                    found.unknown[unknown].tobytes(),
                    found.first_sent_ms[unknown].tobytes(),
                )
