"""Which days a file's folders stand for, so that a run over a time window need not open the others.

Read are Hive's names (`event_date=`, `dt=`, `date=`; `year=`, `month=`, `day=`, one below the other) and plain
`YYYY-MM-DD` folders, as mParticle writes them. A file in no such folder may hold any day and is always read.

A folder's day is not the event's day: mParticle names folders by event time, by upload time, or by the first event of
a batch (mParticle, "Amazon S3", *Folder Name*), and a customer's job may use days of another zone. So a window is
widened at both ends by a slack before folders are left out.
"""

import datetime
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import unquote

from pipeline.storage import FileInfo

DEFAULT_SLACK = "1d"

_DAY_KEYS = ("event_date", "dt", "date")
_PLAIN_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_YEAR = re.compile(r"\d{4}")
# A date, alone or as the beginning of a time.
_DATE_VALUE = re.compile(r"(\d{4})-?(\d{2})-?(\d{2})(?:[T ].*)?")

_EPOCH = datetime.date(1970, 1, 1)
_DAY_MS = 86_400_000


class TimeWindow(NamedTuple):
    """Half-open window of event times, UTC epoch milliseconds; None: open."""

    since_ms: int | None = None
    until_ms: int | None = None

    def excludes(self, first_ms: int, last_ms: int) -> bool:
        """Returns whether no time from the first to the last lies in the window."""
        too_late = self.until_ms is not None and first_ms >= self.until_ms
        return too_late or (self.since_ms is not None and last_ms < self.since_ms)


@dataclass(frozen=True, slots=True)
class Partitions:
    """The folders that belong to a time window.

    Attributes:
      since_ms: begin of the window, UTC epoch milliseconds; None: open.
      until_ms: end of the window, not part of it; None: open.
      slack_ms: how far a folder's day may be from its events' times. Folders are taken for days of UTC.
    """

    since_ms: int | None
    until_ms: int | None
    slack_ms: int

    def may_match(self, path: str) -> bool:
        """Returns whether a file may hold events of the window; if its folders name no day, it may.

        >>> day = 86_400_000
        >>> window = Partitions(since_ms=10 * day, until_ms=11 * day, slack_ms=day)
        >>> [window.may_match(f"in/dt=1970-01-{day}/a.parquet") for day in ("09", "10", "11", "12", "13")]
        [False, True, True, True, False]
        """
        found = days(path)
        if found is None:
            return True
        first, behind = (((day - _EPOCH).days * _DAY_MS) for day in found)
        late_enough = self.since_ms is None or behind > self.since_ms - self.slack_ms
        return late_enough and (self.until_ms is None or first < self.until_ms + self.slack_ms)

    def divide(self, files: Iterable[FileInfo]) -> tuple[list[FileInfo], list[FileInfo]]:
        """Returns the files that may hold events of the window, and those that do not."""
        kept: list[FileInfo] = []
        pruned: list[FileInfo] = []
        for file in files:
            (kept if self.may_match(file.path) else pruned).append(file)
        return kept, pruned


def days(path: str) -> tuple[datetime.date, datetime.date] | None:
    """Returns the first day that a file's folders stand for and the one behind the last, None if they name none.

    Of several folders that name a day the deepest counts, and Hive's before plain ones.

    >>> days("in/2024-06-01/event_date=2024-06-20/a.parquet")
    (datetime.date(2024, 6, 20), datetime.date(2024, 6, 21))
    >>> days("in/year=2024/month=12/a.parquet")
    (datetime.date(2024, 12, 1), datetime.date(2025, 1, 1))
    """
    folders = path.split("/")[:-1]
    hive = [(key.lower(), unquote(value)) for key, equals, value in (name.partition("=") for name in folders) if equals]
    for key, value in reversed(hive):
        date = _date(value) if key in _DAY_KEYS else None
        if date is not None:
            return _span(date)
    parts = dict(hive)
    if "year" in parts:
        return _calendar(parts["year"], parts.get("month"), parts.get("day"))
    for name in reversed(folders):
        date = _date(name) if _PLAIN_DAY.fullmatch(name) else None
        if date is not None:
            return _span(date)
    return None


def _date(text: str) -> datetime.date | None:
    """Returns a date written as `2024-06-20` or `20240620`, perhaps with a time behind it."""
    found = _DATE_VALUE.fullmatch(text)
    try:
        return datetime.date(int(found[1]), int(found[2]), int(found[3])) if found else None
    except ValueError:
        return None


def _calendar(year: str, month: str | None, day: str | None) -> tuple[datetime.date, datetime.date] | None:
    """Returns the days of a year, of a month or of a day; None if the numbers are no date.

    A year has four digits: `year=24` is not the time of Augustus, so its files are read.
    """
    if not _YEAR.fullmatch(year):
        return None
    try:
        if month is None:
            return datetime.date(int(year), 1, 1), datetime.date(int(year) + 1, 1, 1)
        if day is not None:
            return _span(datetime.date(int(year), int(month), int(day)))
        first = datetime.date(int(year), int(month), 1)
        return first, (first + datetime.timedelta(days=31)).replace(day=1)
    except (ValueError, OverflowError):
        return None


def _span(date: datetime.date) -> tuple[datetime.date, datetime.date] | None:
    try:
        return date, date + datetime.timedelta(days=1)
    except OverflowError:
        return None
