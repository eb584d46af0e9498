"""Dates, times and durations before now, in zones; and slacks."""

import argparse
import datetime
from zoneinfo import ZoneInfo

import pytest

from pipeline.arguments.time_window import is_duration, moment, slack_ms, time_window, time_zone
from pipeline.errors import UsageError

BERLIN = ZoneInfo("Europe/Berlin")


def window_of(
    since: str | None, until: str | None, zone: str, now: datetime.datetime | None = None
) -> tuple[int | None, int | None]:
    """Returns the window of the texts of the flags."""
    return time_window(since and moment(since), until and moment(until), time_zone(zone), now)


def since(text: str, now: datetime.datetime, zone: str = "Europe/Berlin") -> datetime.datetime:
    """Returns the moment that `--since` names."""
    ms, _ = window_of(text, None, zone, now)
    assert ms is not None
    return datetime.datetime.fromtimestamp(ms / 1000, ZoneInfo(zone))


@pytest.mark.parametrize(
    ("since", "until", "zone", "expected"),
    [
        (None, None, "UTC", (None, None)),
        ("2024-06-20", "2024-06-21", "UTC", (1718841600000, 1718928000000)),
        ("2024-06-20", None, "Europe/Berlin", (1718834400000, None)),
        ("2024-06-20T08:00", None, "America/New_York", (1718884800000, None)),
        ("2024-06-20T08:00:00.250Z", None, "America/New_York", (1718870400250, None)),
        ("2024-06-20 08:00:00+02:00", None, "UTC", (1718863200000, None)),
        # Winter time: one hour less than in June.
        (None, "2024-01-01", "Europe/Berlin", (None, 1704063600000)),
    ],
)
def test_a_window_is_read_from_dates_and_times(
    since: str | None, until: str | None, zone: str, expected: tuple[int | None, int | None]
) -> None:
    assert window_of(since, until, zone) == expected


@pytest.mark.parametrize("until", ["2024-06-20", "2024-06-19"])
def test_an_empty_window_is_refused(until: str) -> None:
    with pytest.raises(UsageError, match="the window is empty"):
        window_of("2024-06-20", until, "UTC")


@pytest.mark.parametrize("text", ["yesterday", "2024-06-31", "", "20.06.2024"])
def test_what_is_no_moment_is_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError) as caught:
        moment(text)
    assert str(caught.value).startswith(f'"{text}" is no ISO 8601 date or time')


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("Europe/Berln", 'Did you mean "Europe/Berlin"?'),
        ("../etc/passwd", "is no time zone"),
        ("", "is no time zone"),
    ],
)
def test_what_is_no_zone_is_refused(name: str, said: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError) as caught:
        time_zone(name)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("-1d", "2024-06-19T08:30"),
        ("-36h", "2024-06-18T20:30"),
        ("-1d12h", "2024-06-18T20:30"),
        ("-2w", "2024-06-06T08:30"),
        ("-90m", "2024-06-20T07:00"),
        ("-30s", "2024-06-20T08:29:30"),
        (" -1D ", "2024-06-19T08:30"),
        ("-0d", "2024-06-20T08:30"),
    ],
)
def test_a_duration_counts_back_from_now(text: str, expected: str) -> None:
    now = datetime.datetime(2024, 6, 20, 8, 30, tzinfo=BERLIN)
    assert since(text, now) == datetime.datetime.fromisoformat(expected).replace(tzinfo=BERLIN)


def test_days_are_those_of_the_zone_and_hours_are_exact() -> None:
    """On 31 March 2024 Berlin skipped an hour, on 27 October it had one twice."""
    spring = datetime.datetime(2024, 3, 31, 12, 0, tzinfo=BERLIN)
    assert since("-1d", spring) == datetime.datetime(2024, 3, 30, 12, 0, tzinfo=BERLIN)
    assert since("-24h", spring) == datetime.datetime(2024, 3, 30, 11, 0, tzinfo=BERLIN)
    autumn = datetime.datetime(2024, 10, 27, 12, 0, tzinfo=BERLIN)
    assert since("-1d", autumn) == datetime.datetime(2024, 10, 26, 12, 0, tzinfo=BERLIN)
    assert since("-24h", autumn) == datetime.datetime(2024, 10, 26, 13, 0, tzinfo=BERLIN)
    assert since("-1d", autumn, "UTC") == datetime.datetime(2024, 10, 26, 11, 0, tzinfo=datetime.UTC)


def test_hours_alone_do_not_move_now_inside_an_hour_that_comes_twice() -> None:
    second = datetime.datetime(2024, 10, 27, 2, 30, tzinfo=BERLIN, fold=1)
    assert since("-30m", second).astimezone(datetime.UTC) == datetime.datetime(2024, 10, 27, 1, tzinfo=datetime.UTC)


def test_the_last_day_is_one_window_whenever_it_is_asked_for() -> None:
    """A schedule with an unchanging body covers every moment once."""
    ends = []
    for day in range(26, 30):
        now = datetime.datetime(2024, 10, day, 3, 0, tzinfo=BERLIN)
        ends.append(window_of("-1d", "-0s", "Europe/Berlin", now))
    assert [until for _, until in ends[:-1]] == [since for since, _ in ends[1:]]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("-", "no duration before now, such as -1d or -36h"),
        ("-1x", "no duration before now"),
        ("-1h1d", "no duration before now"),
        ("1d", "no duration before now"),
        ("-999999d", "outside the calendar"),
    ],
)
def test_what_is_no_duration_is_refused(text: str, said: str) -> None:
    with pytest.raises((argparse.ArgumentTypeError, UsageError), match=said):
        window_of(text, None, "UTC", datetime.datetime(2024, 6, 20, tzinfo=datetime.UTC))


@pytest.mark.parametrize(
    ("text", "hours"), [("1d", 24), ("36h", 36), ("0", 0), ("2", 48), ("0d", 0), (" 1W ", 168), ("1d12h", 36)]
)
def test_a_slack_is_a_duration_or_days(text: str, hours: int) -> None:
    assert slack_ms(text) == hours * 3_600_000


@pytest.mark.parametrize("text", ["", "-1d", "1.5d", "d", "soon"])
def test_what_is_no_slack_is_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="no duration, such as 1d, 36h or 0"):
        slack_ms(text)


def test_a_flag_is_no_duration() -> None:
    assert [word for word in ("-1d", "-12h", "-v", "--1d", "-", "-1", "1d") if is_duration(word)] == ["-1d", "-12h"]


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "Pacific/Kiritimati", "Pacific/Niue"])
def test_the_ends_of_the_calendar_are_moments_with_a_day_around_them(zone: str) -> None:
    """Manifests write them down in UTC, and the ledger is read from the day before."""
    edges = window_of("0001-01-01", "9999-12-31", zone)
    for edge_ms in edges:
        assert edge_ms is not None
        moment = datetime.datetime.fromtimestamp(edge_ms / 1000, datetime.UTC)
        assert moment - datetime.timedelta(days=1) < moment < moment + datetime.timedelta(days=1)
