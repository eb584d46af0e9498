"""The mapping as a whole: pure, repeatable, cheap to import, and silent about people."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from transforms.connection import Connection
from transforms.mapping import mparticle_json, tiktok_json
from transforms.mapping.convert import converter
from transforms.mapping.identity import hasher
from transforms.mapping.payload import builder
from transforms.mapping.select import selector
from transforms.model import Message, Outcome, Payload

ROOT = Path(__file__).resolve().parents[3]

# Reads a message from standard input and prints every payload of it.
PROGRAM = """
import sys
from transforms.connection import Connection
from transforms.mapping.convert import converter
from transforms.model import Message
convert = converter(Connection(event_source_id="P", enable_web_migration=True))
for entry in convert(Message("r", sys.stdin.buffer.read())):
    print(entry.body.decode(), entry.notes)
"""


def run(program: str, text: bytes = b"", **environment: str) -> bytes:
    """Returns what a fresh interpreter prints."""
    command = [sys.executable, "-c", program]
    return subprocess.run(  # noqa: S603 - our own interpreter and program
        command, input=text, env={**os.environ, **environment}, cwd=ROOT, check=True, capture_output=True
    ).stdout


def test_two_processes_make_the_same_bytes(batch: dict[str, Any], data: dict[str, Any]) -> None:
    del data["source_message_id"]
    text = json.dumps(batch | {"events": batch["events"] * 2}).encode()
    first, second = (run(PROGRAM, text, PYTHONHASHSEED=seed) for seed in ("1", "2"))
    assert first == second
    assert first.count(b"derived_event_id") == 2


def test_importing_the_mapping_loads_no_beam_and_no_big_library() -> None:
    program = "import sys, transforms.mapping.convert; print(*sys.modules)"
    loaded = run(program).split()
    for library in (b"apache_beam", b"phonenumbers", b"pycountry", b"requests", b"pyarrow"):
        assert library not in loaded


def test_every_event_has_exactly_one_entry_in_order(batch: dict[str, Any], data: dict[str, Any]) -> None:
    refund = json.loads(json.dumps(data).replace("purchase", "refund"))
    batch["events"] += [None, {"event_type": "commerce_event", "data": refund}, "bad", batch["events"][0]]
    entries = converter(Connection(event_source_id="P"))(Message("r", json.dumps(batch).encode()))
    assert [type(entry) for entry in entries] == [Payload, Outcome, Outcome, Outcome, Payload]
    assert [entry.index for entry in entries] == [0, 1, 2, 3, 4]


def test_the_time_window_and_the_original_are_handed_on(batch: dict[str, Any]) -> None:
    message = Message("r", json.dumps(batch).encode())
    (payload,) = converter(Connection(event_source_id="P"), keep_original=True)(message)
    assert payload.original == message.data
    (outcome,) = converter(Connection(event_source_id="P"), until_ms=1718900123456)(message)
    assert isinstance(outcome, Outcome)
    assert outcome.reason == "outside_time_window"


@pytest.mark.parametrize("module", [mparticle_json, tiktok_json])
def test_nothing_on_the_way_shows_its_values(module: Any) -> None:
    structs = [
        value for value in vars(module).values() if isinstance(value, type) and issubclass(value, msgspec.Struct)
    ]
    made = [struct(*["canary"] * len(struct.__struct_fields__)) for struct in structs]
    assert made
    assert "canary" not in repr(made)


def test_the_four_steps_in_a_row_are_the_mapping(batch: dict[str, Any], decoded: Callable[[Any], list[Any]]) -> None:
    connection = Connection(event_source_id="P", enable_web_migration=True)
    (event,) = decoded(batch)
    assert selector(connection)(event) is None
    by_hand = builder(connection)(hasher(connection)(event))
    assert converter(connection)(Message("file#1", json.dumps(batch).encode())) == [by_hand]
