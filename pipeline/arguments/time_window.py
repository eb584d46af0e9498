"""`--since`, `--until`, `--timezone`, `--partition_slack`: texts of flags → times in UTC epoch milliseconds.

A moment is a date, a time, or a duration before now, so that the unchanging body of a schedule can mean "the last day".
Days and weeks are those of the calendar in the named zone: `-1d` is the same time of the day before, even if that day
had 23 or 25 hours. Hours and what is smaller are exact.
"""

import argparse
import datetime
import re
from typing import NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from pipeline.errors import UsageError
from pipeline.wording import shown, suggestion

_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)

# What lies nearer to the ends of the calendar is taken for these moments, which have a day before and behind them in
# every zone. No event happened there, so such a window is open at that end.
_FIRST_MS, _LAST_MS = (
    (datetime.datetime(*day, tzinfo=datetime.UTC) - _EPOCH) // datetime.timedelta(milliseconds=1)
    for day in ((1, 1, 3), (9999, 12, 29))
)

# Units of durations by their letter, the largest first, as they stand in a duration: `-1d12h`.
_UNITS = {"w": "weeks", "d": "days", "h": "hours", "m": "minutes", "s": "seconds"}
_DURATION = re.compile("".join(rf"(?:(?P<{name}>\d{{1,6}}){letter})?" for letter, name in _UNITS.items()))
_OF_THE_CALENDAR = ("weeks", "days")

_EXAMPLES = "2024-06-20, 2024-06-20T08:00 or 2024-06-20T08:00:00Z"


class Moment(NamedTuple):
    """What `--since` or `--until` names, before the zone and the present time are known.

    Attributes:
      text: as it was written.
      at: a date or time, with or without an offset; None for a duration.
      before_now: the numbers of a duration by their unit; None for a date or time.
    """

    text: str
    at: datetime.datetime | None = None
    before_now: dict[str, int] | None = None


def moment(text: str) -> Moment:
    """Returns what a text names: an ISO 8601 date or time, or a duration before now, such as `-36h`.

    Raises:
      ArgumentTypeError: neither can be read.
    """
    word = text.strip()
    parts = _parts(word[1:].lower()) if word.startswith("-") else None
    if parts is not None:
        return Moment(text, before_now=parts)
    try:
        return Moment(text, at=datetime.datetime.fromisoformat(word))
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{shown(text)} is no ISO 8601 date or time, such as {_EXAMPLES}, "
            "and no duration before now, such as -1d or -36h."
        ) from None


def time_zone(name: str) -> ZoneInfo:
    """Returns the zone of an IANA name.

    Raises:
      ArgumentTypeError: there is none.
    """
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        hint = suggestion(name, available_timezones())
        raise argparse.ArgumentTypeError(f"{shown(name)} is no time zone, such as Europe/Berlin.{hint}") from None


def time_window(
    since: Moment | None, until: Moment | None, zone: ZoneInfo, now: datetime.datetime | None = None
) -> tuple[int | None, int | None]:
    """Returns the half-open window [since, until) in UTC epoch milliseconds.

    Args:
      since: a date is its first moment; an offset in its text wins over `zone`.
      until: the same; not part of the window.
      zone: of times without offset, and of the days of durations.
      now: what durations are counted from, with its zone; None: the present time.

    >>> time_window(moment("2024-06-20"), moment("2024-06-21T00:00:00+02:00"), time_zone("UTC"))
    (1718841600000, 1718920800000)

    Raises:
      UsageError: the window is empty, or reaches out of the calendar.
    """
    # One now for both ends.
    now = now or datetime.datetime.now(datetime.UTC)
    since_ms, until_ms = (_epoch_ms(flag, end, zone, now) for flag, end in (("--since", since), ("--until", until)))
    if since_ms is not None and until_ms is not None and since_ms >= until_ms:
        raise UsageError("--since/--until: the window is empty; --until is not part of it, so it must be later.")
    return since_ms, until_ms


def is_duration(text: str) -> bool:
    """Returns whether a word is a duration before now, which begins like a flag.

    >>> is_duration("-1d"), is_duration("-1d12h"), is_duration("-"), is_duration("--day"), is_duration("1d")
    (True, True, False, False, False)
    """
    return text.startswith("-") and _parts(text[1:]) is not None


def slack_ms(text: str) -> int:
    """Returns a duration in milliseconds; a number alone is one of days, and every day has 24 hours.

    >>> slack_ms("36h"), slack_ms("0")
    (129600000, 0)

    Raises:
      ArgumentTypeError: it is no duration.
    """
    word = text.strip().lower()
    parts = _parts(f"{word}d" if word.isdecimal() else word)
    if parts is None:
        raise argparse.ArgumentTypeError(f"{shown(text)} is no duration, such as 1d, 36h or 0.")
    try:
        return datetime.timedelta(**parts) // datetime.timedelta(milliseconds=1)
    except OverflowError:
        raise argparse.ArgumentTypeError(f"{shown(text)} is too long.") from None


def _epoch_ms(flag: str, end: Moment | None, zone: ZoneInfo, now: datetime.datetime) -> int | None:
    """Returns an end of the window."""
    if end is None:
        return None
    try:
        at = end.at or _before(now, end.before_now or {}, zone)
        if at.tzinfo is None:
            at = at.replace(tzinfo=zone)
        # Also for the calendar's first and last days, which have no UTC everywhere.
        return min(max((at - _EPOCH) // datetime.timedelta(milliseconds=1), _FIRST_MS), _LAST_MS)
    except OverflowError:
        raise UsageError(f"{flag}: {shown(end.text)} lies outside the calendar.") from None


def _before(now: datetime.datetime, parts: dict[str, int], zone: ZoneInfo) -> datetime.datetime:
    """Returns the moment that lies so long before now: first the days, by the clock on the wall, then the hours."""
    days = datetime.timedelta(**{name: number for name, number in parts.items() if name in _OF_THE_CALENDAR})
    rest = datetime.timedelta(**{name: number for name, number in parts.items() if name not in _OF_THE_CALENDAR})
    # Python subtracts by the wall clock while the zone stays the same. Without days nothing may be looked up by it:
    # an hour that comes twice would become the first of the two.
    day = now.astimezone(zone) - days if days else now
    return day.astimezone(datetime.UTC) - rest


def _parts(text: str) -> dict[str, int] | None:
    """Returns the numbers of a duration by unit, None if the text is none."""
    found = _DURATION.fullmatch(text)
    if not text or found is None:
        return None
    return {name: int(number) for name, number in found.groupdict().items() if number is not None}
