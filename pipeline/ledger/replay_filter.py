"""What narrowed a replay. It is kept in the manifest, so that a narrower replay does not pass for a wider one."""

from datetime import UTC, datetime

import msgspec

from pipeline.options import ReplayOptions
from transforms.vocabulary import Reason


class DeadLetterFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which dead letters a replay takes, and which of those it sends.

    Attributes:
      reasons: why they ended; empty: all but `parked`.
      since, until: when they were recorded, half-open, UTC; None: open.
      quarantine: folder with the originals of dead letters without a payload; None: there were none.
      max_attempts: what so many requests have carried is parked.
      resend_unknown: whether what TikTok may have since more than 48 h is sent.
    """

    reasons: tuple[str, ...] = ()
    since: datetime | None = None
    until: datetime | None = None
    quarantine: str | None = None
    max_attempts: int = 100
    resend_unknown: bool = False

    def covers(self, other: "DeadLetterFilter | None") -> bool:
        """Returns whether a replay with this filter sends whatever one with the other would.

        Args:
          other: None: of an older version, which did not record it; taken for a replay of all dead letters.
        """
        if other is None:
            return not self.reasons and holds((self.since, self.until), (None, None))
        return (
            self._takes_reasons_of(other)
            and holds((self.since, self.until), (other.since, other.until))
            and other.quarantine in (None, self.quarantine)
            and self.max_attempts >= other.max_attempts
            and self.resend_unknown >= other.resend_unknown
        )

    def _takes_reasons_of(self, other: "DeadLetterFilter") -> bool:
        if not self.reasons:
            return Reason.PARKED not in other.reasons
        return bool(other.reasons) and set(self.reasons).issuperset(other.reasons)


def dead_letter_filter(options: ReplayOptions, has_originals: bool) -> DeadLetterFilter:
    """Returns what narrows a replay.

    Args:
      options: of the replay.
      has_originals: whether its quarantine holds any.
    """
    since, until = (
        None if edge is None else datetime.fromtimestamp(edge / 1000, UTC)
        for edge in (options.recorded_since_ms, options.recorded_until_ms)
    )
    return DeadLetterFilter(
        reasons=tuple(sorted(options.reasons)),
        since=since,
        until=until,
        quarantine=options.quarantine.rstrip("/") if options.quarantine and has_originals else None,
        max_attempts=options.max_attempts,
        resend_unknown=options.resend_unknown,
    )


def holds(window: tuple[datetime | None, datetime | None], other: tuple[datetime | None, datetime | None]) -> bool:
    """Returns whether a half-open window holds all of another; None: open.

    >>> june, july = datetime(2024, 6, 1), datetime(2024, 7, 1)
    >>> holds((june, None), (june, july)), holds((june, july), (june, None))
    (True, False)
    """
    (since, until), (other_since, other_until) = window, other
    return (since is None or (other_since is not None and since <= other_since)) and (
        until is None or (other_until is not None and until >= other_until)
    )
