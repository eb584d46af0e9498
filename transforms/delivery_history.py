"""The delivery history: what became of events in earlier runs, by digests of their keys. No Beam, no I/O."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from transforms.digest_table import Digests, DigestTable, digests, seed
from transforms.model import Payload
from transforms.vocabulary import Reason

# TikTok drops copies for 48 h from the first one it received. Source: TikTok help center, "Event deduplication".
DEDUPLICATION_SECS = 48 * 3600

# What is checked now may wait for its request: half an hour before the end is as good as later.
_MARGIN_SECS = 1800


@dataclass(frozen=True)
class DeliveryHistory:
    """What became of events in earlier runs.

    Attributes:
      delivered: events that TikTok has.
      unknown: events that TikTok may have; the value is when they were first sent, UTC epoch milliseconds. What is in
        `delivered` too is delivered.
    """

    delivered: DigestTable
    unknown: DigestTable

    def reasons(self, wanted: Digests, now_secs: float, resend_unknown: bool) -> dict[int, Reason]:
        """Returns why events are not to be sent, by their position in the list.

        Args:
          wanted: digests of events.
          now_secs: epoch seconds.
          resend_unknown: send also what TikTok may have since more than 48 h.
        """
        reasons: dict[int, Reason] = {}
        if not resend_unknown and len(self.unknown):
            positions = self.unknown.positions(wanted)
            known = np.flatnonzero(positions >= 0)
            late = known[is_late(self.unknown.values(positions[known]), now_secs)]
            reasons = dict.fromkeys(late.tolist(), Reason.AWAITING_DECISION)
        delivered = np.flatnonzero(self.delivered.contains(wanted)).tolist()
        return reasons | dict.fromkeys(delivered, Reason.ALREADY_DELIVERED)


def is_late(first_sent_ms: Any, now_secs: float) -> Any:
    """Returns whether TikTok would count a copy of what was first sent at a time; for arrays of times too."""
    return first_sent_ms <= (now_secs - DEDUPLICATION_SECS + _MARGIN_SECS) * 1000


def empty_history() -> DeliveryHistory:
    """Returns the history before the first run."""
    return DeliveryHistory(DigestTable.empty(), DigestTable.empty())


def build_table(parts: Iterable[Digests], values: Iterable[npt.NDArray[np.int64]] | None = None) -> DigestTable:
    """Returns a table of digests that come in parts."""
    found = [np.empty((0, 2), np.uint64), *parts]
    numbers = None if values is None else np.concatenate([np.empty(0, np.int64), *values])
    return DigestTable(np.concatenate(found), numbers)


# Names of events are few; what custom mappings make of data is bounded by TikTok.
_seed = lru_cache(4_096)(seed)


class EventKeys:
    """Digests of the payloads of one event source."""

    def __init__(self, event_source_id: str) -> None:
        self._event_source_id = event_source_id

    def digests(self, payloads: Sequence[Payload]) -> Digests:
        """Returns the digests, in order."""
        first, source = payloads[0].event, self._event_source_id
        ids = [payload.event_id.encode() for payload in payloads]
        if all(payload.event == first for payload in payloads):
            return digests(ids, _seed(source, first))
        return digests(ids, [_seed(source, payload.event) for payload in payloads])
