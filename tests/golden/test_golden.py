"""The customer's sample messages, each for several connections, become exactly what TikTok shall get.

A case is a folder of `cases/`: `message.json` is the message, `expected.json` what has to become of each of its events.
The expectations are written by hand from the customer's specification, the hashes made with `sha256sum` of the values
normalised by hand; none comes from this pipeline. Where the specification leaves open which of several faults of an
event is named first, `reason` lists all that may be named.
"""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from transforms.connection import Connection
from transforms.mapping.convert import converter
from transforms.model import Message, Outcome, Payload
from transforms.tiktok import endpoint_path, make_envelope

_CASES = sorted(folder for folder in (Path(__file__).parent / "cases").iterdir() if folder.is_dir())
_PIXEL = "A1T8T4UYGVIQA8ORZMX9"


def _read(file: Path) -> Any:
    """Returns the content of a JSON file."""
    return json.loads(file.read_text(encoding="utf-8"))


def _parameters() -> list[Any]:
    """Returns the message, settings and expected results of every case and connection, named for reading."""
    return [
        pytest.param(
            (folder / "message.json").read_bytes(),
            connection["settings"],
            connection["results"],
            id=f"{folder.name}: {connection['name']}",
        )
        for folder in _CASES
        for connection in _read(folder / "expected.json")["connections"]
    ]


def _seen(connection: Connection, result: Payload | Outcome) -> dict[str, Any]:
    """Returns a result in the words of `expected.json`."""
    if isinstance(result, Outcome):
        return {"action": str(result.kind), "reason": str(result.reason), "detail": result.detail}
    request = json.loads(make_envelope(connection, result.form).join([result.body]))
    return {
        "action": "send",
        "event": result.event,
        "path": endpoint_path(result.form),
        "event_source": request.get("event_source"),
        "body": json.loads(result.body),
        "notes": sorted(map(str, result.notes)),
    }


def _wanted(expected: dict[str, Any], seen: dict[str, Any]) -> dict[str, Any]:
    """Returns an expectation in full: what it leaves open is filled in from `seen`, and only that."""
    if expected["action"] == "send":
        return {"event_source": None, **expected}
    allowed = expected["reason"] if isinstance(expected["reason"], list) else [expected["reason"]]
    reason = seen.get("reason")
    return {
        "action": expected["action"],
        "reason": reason if reason in allowed else expected["reason"],
        "detail": expected.get("detail", seen.get("detail")),
    }


def _whole_numbers_are_integers(value: Any, key: str = "") -> None:
    """Checks what `==` cannot see: that quantities and seconds are JSON integers and no number is a boolean."""
    if isinstance(value, dict):
        for name, inner in value.items():
            _whole_numbers_are_integers(inner, name)
    elif isinstance(value, list):
        for inner in value:
            _whole_numbers_are_integers(inner, key)
    elif key in ("quantity", "event_time"):
        assert type(value) is int, key
    elif key in ("price", "value"):
        assert type(value) in (int, float), key
    elif key == "limited_data_use":
        assert value is True


@pytest.mark.parametrize(("data", "settings", "expected"), _parameters())
def test_a_sample_becomes_exactly_what_the_specification_says(
    data: bytes, settings: dict[str, Any], expected: list[dict[str, Any]]
) -> None:
    connection = msgspec.convert({"event_source_id": _PIXEL, **settings}, Connection)
    results = converter(connection)(Message("sample#0", data))
    seen = [_seen(connection, result) for result in results]
    assert len(seen) == len(expected)
    assert seen == [_wanted(wanted, found) for wanted, found in zip(expected, seen, strict=True)]
    for result in seen:
        _whole_numbers_are_integers(result.get("body"))


def test_a_rebatched_event_is_the_same_event_for_tiktok() -> None:
    first, again = (
        _read(next(folder for folder in _CASES if folder.name.startswith(number)) / "expected.json")
        for number in ("01_", "09_")
    )
    names = {connection["name"]: connection["results"][-1]["body"] for connection in first["connections"][:5]}
    assert all(names[connection["name"]] == connection["results"][-1]["body"] for connection in again["connections"])
