"""Runs the cases of a connection: an event in; what became of it is compared with what is expected.

The event goes through the same functions as in a run, and nothing is sent.
"""

import json
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import msgspec

from pipeline.case_differences import differences
from pipeline.casefiles import PlacedCase
from pipeline.event_rules import own_spelling
from transforms.connection import Connection
from transforms.custom_mappings import Case, Expected
from transforms.mapping import converter
from transforms.mapping.tables import URL_FLAG
from transforms.model import Message, Outcome, Payload

# What a case need not say: where and when its event happened, and with which browser. Addresses are of RFC 5737.
_BATCH: dict[str, Any] = {
    "environment": "production",
    "ip": "203.0.113.24",
    "device_info": {"platform": "web", "http_header_user_agent": "Mozilla/5.0"},
}
_AT_MS = 1_718_900_123_456
_EVENT_ID = "case"
_URL = "https://shop.example.com/"


class Result(msgspec.Struct, frozen=True):
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


def run_cases(connection: Connection, cases: Iterable[PlacedCase]) -> Iterator[Result]:
    """Yields how each case went."""
    convert = converter(connection)
    for case, where in cases:
        started = time.perf_counter()
        problems = tuple(_problems(case, convert))
        yield Result(case.name, where, problems, time.perf_counter() - started)


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
        yield f"expected {_count(len(case.expect))}, got {_count(len(results))}: {', '.join(map(_said, results))}"
    for number, (expected, result) in enumerate(zip(case.expect, results, strict=False)):
        place = f"result {number + 1}, " if len(results) > 1 else ""
        for problem in _differs(expected, result):
            yield f"{place}{problem}"


def _count(number: int) -> str:
    return "1 result" if number == 1 else f"{number} results"


def _said(result: Payload | Outcome) -> str:
    """Returns a result in a few words."""
    if isinstance(result, Payload):
        return result.event
    detail = f" ({result.detail})" if result.detail else ""
    return f"{result.kind} {result.reason}{detail}"


def _differs(expected: Expected, result: Payload | Outcome) -> Iterator[str]:
    if isinstance(result, Outcome):
        if expected.outcome is None:
            yield f"expected the event {expected.event or 'of a payload'}, got {_said(result)}"
        elif expected.outcome != result.kind or expected.reason not in (None, result.reason):
            yield f"expected {' '.join(filter(None, (expected.outcome, expected.reason)))}, got {_said(result)}"
        return
    if expected.outcome is not None:
        reason = f" {expected.reason}" if expected.reason else ""
        yield f"expected {expected.outcome}{reason}, got the event {result.event}"
        return
    if expected.event is not None and own_spelling(expected.event) != result.event:
        yield f"event: expected {expected.event}, got {result.event}"
    wanted = expected.payload if expected.payload is not None else expected.contains
    if wanted is not None:
        yield from differences(wanted, json.loads(result.body), whole=expected.payload is not None)
