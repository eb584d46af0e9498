"""What types of cases cannot express: a case is one event or one message, and every expectation is about one thing."""

from collections.abc import Mapping, Sequence

from pipeline.config.conversion import item_path, read_items
from pipeline.config.tiktok_events import own_spelling
from pipeline.errors import Report
from pipeline.wording import shown, suggestion
from transforms.custom_mappings import Case, Expected
from transforms.mapping.tables import RETIRED_EVENTS, STANDARD_EVENTS
from transforms.vocabulary import Reason

_REASONS = tuple(Reason)
_EVENTS = (*STANDARD_EVENTS, *RETIRED_EVENTS)


def check_cases(cases: Sequence[Case | None], places: Mapping[str, str], report: Report) -> None:
    """Refuses cases that cannot be run or that could not fail.

    Args:
      cases: of the right types; None where nothing can be read, as in their `expect`.
      places: where each setting was written.
      report: takes what is found.
    """
    names: dict[str, str] = {}
    for position, case in read_items(cases):
        path = item_path("cases", position)
        where = places.get(path, "")
        if case.name in names:
            text = f"two cases are called {shown(case.name)}, the first at {names[case.name]}; give them two names."
            report.refuse(where, f"{path}.name", text)
        names.setdefault(case.name, where)
        is_read = not report.is_bad(f"{path}.event") and not report.is_bad(f"{path}.message")
        if is_read and (case.event is None) is (case.message is None):
            report.refuse(where, path, "a case has either `event` (one event) or `message` (a whole batch).")
        data = (case.event or {}).get("data")
        if data is not None and not isinstance(data, dict):
            report.refuse(where, f"{path}.event.data", "keys and values are needed: `data: {event_name: …}`.")
        if "events" in case.batch:
            report.refuse(where, f"{path}.batch.events", "the event of a case is its `event`; or give a `message`.")
        if case.message is not None and case.batch:
            report.refuse(where, f"{path}.batch", "a `message` is the batch already; write these fields into it.")
        if not case.expect and not report.is_bad(f"{path}.expect"):
            text = (
                "nothing is expected, so nothing can fail; write `expect: {event: …}` or `expect: {outcome: skipped}`."
            )
            report.refuse(where, f"{path}.expect", text)
        for number, expected in read_items(case.expect):
            key = item_path(f"{path}.expect", number)
            if not report.is_bad(key):
                _check_expected(expected, key, places.get(key, places.get(f"{path}.expect", where)), report)


def _check_expected(expected: Expected, key: str, where: str, report: Report) -> None:
    sent = [name for name in ("event", "payload", "contains") if getattr(expected, name) is not None]
    if expected.outcome is None and not sent:
        report.refuse(where, key, "it says nothing; give one of event, payload, contains, outcome.")
    elif expected.outcome is not None and sent:
        report.refuse(where, key, f"an event that is {expected.outcome} has no {sent[0]}; keep one of the two.")
    elif expected.payload is not None and expected.contains is not None:
        report.refuse(where, key, "`payload` is the whole and `contains` a part of it; keep one of the two.")
    if expected.event is not None and own_spelling(expected.event) not in _EVENTS:
        text = f"{shown(expected.event)} is no standard event of TikTok, so it is never sent."
        report.refuse(where, f"{key}.event", f"{text}{suggestion(expected.event, _EVENTS)}")
    if expected.reason is not None and expected.outcome is None:
        report.refuse(where, f"{key}.reason", "a reason belongs to an outcome; write `outcome: skipped` or `rejected`.")
    elif expected.reason is not None and expected.reason not in _REASONS:
        text = f"{shown(expected.reason)} is no reason of an outcome.{suggestion(expected.reason, _REASONS)}"
        report.refuse(where, f"{key}.reason", text)
