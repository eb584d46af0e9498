"""Runs the cases of a connection: an event in; what became of it is compared with what is expected.

The event goes through the same functions as in a run, and nothing is sent. The cases of `shop.yaml` are those in the
file itself, in `shop.cases.yaml` (or .yml, .json) beside it, and in every such file of a folder `shop.cases`. Files of
cases hold `cases:`, as the connection does, or only the list.
"""

import json
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from pipeline.config import item_path, own_spelling, places_in_file, read_case_file
from pipeline.storage import is_local, local_path
from transforms.connection import Connection
from transforms.custom_mappings import Case, Expected
from transforms.mapping import converter
from transforms.mapping.tables import URL_FLAG
from transforms.model import Message, Outcome, Payload

_SUFFIXES = (".yaml", ".yml", ".json")

# What a case may leave out: where and when its event happened, and with which browser. Addresses are of RFC 5737.
_BATCH: dict[str, Any] = {
    "environment": "production",
    "ip": "203.0.113.24",
    "device_info": {"platform": "web", "http_header_user_agent": "Mozilla/5.0"},
}
_AT_MS = 1_718_900_123_456
_EVENT_ID = "case"
_URL = "https://shop.example.com/"


class PlacedCase(NamedTuple):
    """A case and where it was written: `FILE:LINE:COLUMN`."""

    case: Case
    where: str


class CaseResult(msgspec.Struct, frozen=True):
    """How a case went.

    Attributes:
      name: of the case.
      where: `FILE:LINE:COLUMN`.
      problems: what differs, a line each; empty if it passed.
      seconds: how long it took.
    """

    name: str
    where: str
    problems: tuple[str, ...]
    seconds: float


def cases_of(path: str | None, own: Iterable[Case], others: Iterable[str] = ()) -> list[PlacedCase]:
    """Returns all cases of a connection in the order of its files.

    Args:
      path: the connection's file; None if it is made of flags only.
      own: the cases in it, which have been checked.
      others: further files, named by the user.

    Raises:
      ConfigurationError: a file of cases cannot be used.
    """
    places = places_in_file(path) if path is not None else {}
    placed = [
        PlacedCase(case, places.get(item_path("cases", position), path or "the command line"))
        for position, case in enumerate(own)
    ]
    for file in [*(_beside(path) if path is not None else ()), *others]:
        placed += [PlacedCase(case, where) for case, where in read_case_file(file)]
    return placed


def _beside(path: str) -> list[str]:
    """Returns the files of cases beside a connection's file; none for one that is not local."""
    if not is_local(path):
        return []
    stem = Path(local_path(path)).with_suffix("")
    files = [Path(f"{stem}.cases{suffix}") for suffix in _SUFFIXES]
    folder = Path(f"{stem}.cases")
    files += sorted(file for suffix in _SUFFIXES for file in folder.glob(f"*{suffix}"))
    return [str(file) for file in files if file.is_file()]


def run_cases(connection: Connection, cases: Iterable[PlacedCase]) -> Iterator[CaseResult]:
    """Yields how each case went."""
    convert = converter(connection)
    for case, where in cases:
        started = time.perf_counter()
        problems = tuple(_problems(case, convert))
        yield CaseResult(name=case.name, where=where, problems=problems, seconds=time.perf_counter() - started)


def message_of(case: Case) -> Message:
    """Returns the message of a case; an event gets a batch around it, and a time, an id and a page if it has none."""
    batch = case.message
    if batch is None:
        event = dict(case.event or {})
        data = {"timestamp_unixtime_ms": _AT_MS, "source_message_id": _EVENT_ID, **(event.get("data") or {})}
        flags = data.get("custom_flags") or {}
        if "page_url" not in data and isinstance(flags, dict):
            data["custom_flags"] = {URL_FLAG: _URL, **flags}
        batch = {**_BATCH, **case.batch, "events": [{**event, "data": data}]}
    return Message(case.name, json.dumps(batch).encode())


def _problems(case: Case, convert: Callable[[Message], list[Payload | Outcome]]) -> Iterator[str]:
    results = convert(message_of(case))
    if len(results) != len(case.expect):
        yield f"expected {_count(len(case.expect))}, got {_count(len(results))}: {', '.join(map(_summary, results))}"
    for number, (expected, result) in enumerate(zip(case.expect, results, strict=False)):
        place = f"result {number + 1}, " if len(results) > 1 else ""
        for problem in _mismatches(expected, result):
            yield f"{place}{problem}"


def _count(number: int) -> str:
    return "1 result" if number == 1 else f"{number} results"


def _summary(result: Payload | Outcome) -> str:
    """Returns a result in a few words."""
    if isinstance(result, Payload):
        return result.event
    detail = f" ({result.detail})" if result.detail else ""
    return f"{result.kind} {result.reason}{detail}"


def _mismatches(expected: Expected, result: Payload | Outcome) -> Iterator[str]:
    if isinstance(result, Outcome):
        if expected.outcome is None:
            yield f"expected the event {expected.event or 'of a payload'}, got {_summary(result)}"
        elif expected.outcome != result.kind or expected.reason not in (None, result.reason):
            yield f"expected {' '.join(filter(None, (expected.outcome, expected.reason)))}, got {_summary(result)}"
        return
    if expected.outcome is not None:
        reason = f" {expected.reason}" if expected.reason else ""
        yield f"expected {expected.outcome}{reason}, got the event {result.event}"
        return
    if expected.event is not None and own_spelling(expected.event) != result.event:
        yield f"event: expected {expected.event}, got {result.event}"
    wanted = expected.payload if expected.payload is not None else expected.contains
    if wanted is not None:
        yield from _differences(wanted, json.loads(result.body), whole=expected.payload is not None)


def _differences(expected: Any, got: Any, *, whole: bool, path: str = "") -> Iterator[str]:
    """Yields a line for each difference.

    Args:
      expected: by the case.
      got: from the mapping.
      whole: fields that are not expected count as differences; else a part of an object is enough. Lists are compared
        wholly in both cases.
      path: of both values in their payload.

    >>> list(_differences({"a": 1, "b": [{"c": 2}]}, {"a": 1.0, "b": [{"c": "2", "d": 3}]}, whole=False))
    ['b[0].c: expected 2, got "2"']
    """
    if isinstance(expected, dict) and isinstance(got, dict):
        for key, value in expected.items():
            inner = f"{path}.{key}" if path else key
            if key in got:
                yield from _differences(value, got[key], whole=whole, path=inner)
            else:
                yield f"{inner}: expected {_as_json(value)}, got nothing"
        for key in got if whole else ():
            if key not in expected:
                yield f"{path}.{key}: not expected, got {_as_json(got[key])}".lstrip(".")
    elif isinstance(expected, list) and isinstance(got, list) and len(expected) == len(got):
        for number, (value, other) in enumerate(zip(expected, got, strict=True)):
            yield from _differences(value, other, whole=whole, path=f"{path}[{number}]")
    elif not _equal(expected, got):
        yield f"{path}: expected {_as_json(expected)}, got {_as_json(got)}"


def _equal(expected: Any, got: Any) -> bool:
    # 1 is 1.0 in JSON, and True is not 1.
    return isinstance(expected, bool) is isinstance(got, bool) and bool(expected == got)


def _as_json(value: Any) -> str:
    """Returns a value as JSON."""
    return json.dumps(value, ensure_ascii=False)
