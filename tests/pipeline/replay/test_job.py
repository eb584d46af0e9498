"""`replay`: dead letters go through the same delivery; each that is taken has exactly one outcome."""

import json
import signal
import time
from collections import Counter
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest

from pipeline.errors import UsageError
from pipeline.ledger.reconcile import reconcile_ledger
from pipeline.replay import job as replay_module
from pipeline.replay import read_dead_letters as dead_letter_reading
from sandbox.shop.generator import purchases
from sandbox.tiktok.faults import Answer, InvalidEvents, Reset
from transforms.connection import Connection
from transforms.deduplicate import SkipDelivered
from transforms.mapping.convert import converter
from transforms.model import Message

WEEK_SECS = 7 * 86400


def url_less(message: bytes) -> bytes:
    """Returns a message whose event lacks its page URL."""
    batch = json.loads(message)
    data = batch["events"][0]["data"]
    data.pop("page_url", None)
    data["custom_flags"].pop("TikTok.URL", None)
    return json.dumps(batch).encode()


def test_what_was_undelivered_is_delivered_once_however_often_it_is_replayed(shop: Any, orders: list[bytes]) -> None:
    shop.sandbox.fault(Answer(code=50000, status=500))
    assert shop.run(shop.write(orders)) == {"outage": 1000}
    assert shop.exit_code == 3
    shop.sandbox.set_faults()
    assert shop.replay() == {"delivered": 1000}
    assert shop.exit_code == 0
    shop.sandbox.advance_clock(WEEK_SECS)
    assert shop.replay() == {"already_delivered": 1000}
    assert shop.times_accepted() == {1: 1000}


def test_a_replay_writes_to_the_same_ledger_with_the_references_of_the_input(shop: Any, orders: list[bytes]) -> None:
    shop.sandbox.fault(Answer(code=50000, status=500))
    shop.run(shop.write(orders))
    shop.sandbox.set_faults()
    shop.replay()

    def told(run: int) -> dict[Any, Any]:
        rows = shop.rows(run)
        return {
            (row["input_ref"], row["input_index"]): (
                row["event_id"], row["value"], row["has_email"], row["payload_digest"], row["event_time"], row["notes"]
            )
            for row in rows
        }  # fmt: skip

    assert told(1) == told(2)
    assert {row["kind"] for row in shop.rows(2)} == {"delivered"}


def test_attempts_survive_and_after_max_attempts_an_event_is_parked(shop: Any, orders: list[bytes]) -> None:
    shop.sandbox.fault(Answer(code=50000, status=500))
    shop.run(shop.write(orders[:50]))
    (first,) = {letter["attempts"] for letter in shop.letters()}
    assert first > 1
    assert shop.replay() == {
        "outage": 50,
    }
    (second,) = {letter["attempts"] for letter in shop.letters(run=2)}
    assert second > first
    sent = shop.sandbox.stats().requests
    # Of each event there are two letters now; the newer one stands for it.
    assert shop.replay(max_attempts=second) == {"superseded": 50, "parked": 50}
    assert shop.sandbox.stats().requests == sent
    assert {(letter["kind"], letter["attempts"]) for letter in shop.letters(run=3)} == {("rejected", second)}
    # What is parked is left alone, until somebody asks for it by that name.
    assert shop.replay(max_attempts=second) == {"superseded": 100}
    shop.sandbox.set_faults()
    assert shop.replay(reasons=frozenset({"parked"}), max_attempts=1000) == {"delivered": 50}
    assert shop.times_accepted() == {1: 50}


def test_an_event_that_tiktok_refuses_twice_for_the_same_reason_is_parked_at_once(
    shop: Any, orders: list[bytes]
) -> None:
    shop.sandbox.fault(InvalidEvents(share=0.05, seed=3))
    outcome = shop.run(shop.write(orders))
    refused = outcome["refused_by_tiktok"]
    assert outcome == {"delivered": 1000 - refused, "refused_by_tiktok": refused}
    assert 20 < refused < 100
    assert shop.replay() == {"parked": refused}
    parked = shop.rows(run=2)
    assert {(row["reason"], row["detail"], row["code"], row["kind"]) for row in parked} == {
        ("parked", "refused_by_tiktok", 40002, "rejected")
    }
    assert shop.replay() == {"superseded": refused}


def test_an_event_that_is_refused_for_another_reason_gets_another_try(shop: Any, orders: list[bytes]) -> None:
    shop.sandbox.fault(Answer(code=40002, message="data.0.context.ip: is not valid"))
    assert shop.run(shop.write(orders[:1])) == {"refused_by_tiktok": 1}
    shop.sandbox.set_faults(Answer(code=40002, message="data.0.properties.currency: is not valid"))
    assert shop.replay() == {"refused_by_tiktok": 1}
    shop.sandbox.set_faults(Answer(code=40002, message="data.7.context.ip: is not valid"))
    assert shop.replay() == {"superseded": 1, "parked": 1}


def test_the_filters_take_some_letters_and_leave_the_others(shop: Any, orders: list[bytes]) -> None:
    shop.sandbox.fault(Answer(code=40105, skip=2))
    limits = shop.connection(max_in_flight=1)
    assert shop.run(shop.write([*map(url_less, orders[:10]), *orders[10:510]]), limits) == {
        "missing_page_url": 10,
        "delivered": 200,
        "credentials": 300,
    }
    shop.sandbox.set_faults()
    recorded = min(letter["recorded_time"] for letter in shop.letters()).timestamp() * 1000
    assert shop.replay(recorded_until_ms=int(recorded)) == {}
    assert shop.replay(reasons=frozenset({"missing_page_url"})) == {"no_payload": 10}
    assert shop.replay(reasons=frozenset({"credentials"}), recorded_since_ms=int(recorded)) == {"delivered": 300}
    assert shop.replay() == {"no_payload": 10, "already_delivered": 300}
    assert shop.times_accepted() == {1: 500}


def test_letters_of_another_event_source_stay(shop: Any, orders: list[bytes]) -> None:
    shop.sandbox.fault(Answer(code=50000, status=500))
    shop.run(shop.write(orders))
    shop.sandbox.set_faults()
    assert shop.replay(shop.connection(event_source_id="ANOTHER")) == {}


def test_a_quarantine_without_originals_is_told(
    shop: Any, orders: list[bytes], caplog: pytest.LogCaptureFixture
) -> None:
    """Often it is a mistyped path, and then every letter would silently stay where it is."""
    shop.run(shop.write([b"no JSON", *orders[:5]]), quarantine=str(shop.folder / "quarantine"))
    assert shop.replay(quarantine=str(shop.folder / "quarantin")) == {"no_payload": 1}
    assert "quarantin: holds no originals" in caplog.text
    caplog.clear()
    assert shop.replay(quarantine=str(shop.folder / "quarantine")) == {"unreadable_message": 1}
    assert "holds no originals" not in caplog.text


def test_from_quarantine_it_maps_again_with_the_present_connection(shop: Any, orders: list[bytes]) -> None:
    """Feeds need no page URL where they are offline events: the connection was wrong, not the messages."""
    quarantine = str(shop.folder / "quarantine")
    batches = [json.loads(url_less(order)) for order in orders[:20]]
    for batch in batches[:10]:  # two events, of which one is rejected
        good = json.loads(orders[30])["events"][0]
        good["data"]["source_message_id"] = f"good-{batch['events'][0]['data']['source_message_id']}"
        batch["events"].append(good)
    file = shop.write([json.dumps(batch).encode() for batch in batches] + [b"no JSON at all"])
    assert shop.run(file, shop.connection(input="web"), quarantine=quarantine) == {
        "delivered": 10,
        "missing_page_url": 20,
        "unreadable_message": 1,
    }
    offline = shop.connection(input="feed", event_source_type="feed")
    assert shop.replay(offline, quarantine=quarantine) == {"delivered": 20, "unreadable_message": 1}
    assert sorted(row["input_ref"] for row in shop.rows(run=2)) == sorted(
        {row["input_ref"] for row in shop.rows(run=1)}
    )
    shop.sandbox.advance_clock(WEEK_SECS)
    assert shop.replay(offline, quarantine=quarantine) == {
        "already_delivered": 20,
        "superseded": 1,
        "unreadable_message": 1,
    }
    assert shop.times_accepted() == {1: 30}


def test_an_event_that_tiktok_refused_is_mapped_again_if_its_original_is_there(shop: Any, orders: list[bytes]) -> None:
    quarantine = str(shop.folder / "quarantine")
    shop.sandbox.fault(InvalidEvents(share=1.0))
    assert shop.run(shop.write(orders[:20]), quarantine=quarantine) == {"refused_by_tiktok": 20}
    shop.sandbox.set_faults()
    renamed = shop.connection(event_names={"purchase": "Purchase"})
    assert shop.replay(renamed, quarantine=quarantine) == {"delivered": 20}
    assert {key.event for key in shop.sandbox.accepted()} == {"Purchase"}
    assert {row["attempts"] > 1 for row in shop.rows(run=2)} == {True}
    assert shop.replay(renamed, quarantine=quarantine) == {"already_delivered": 20}


def test_a_defect_of_the_mapping_rejects_its_letter_and_none_beside_it(
    shop: Any, orders: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    quarantine = str(shop.folder / "quarantine")
    shop.run(shop.write(list(map(url_less, orders[:20]))), shop.connection(input="web"), quarantine=quarantine)

    def fragile(connection: Connection, keep_original: bool) -> Any:
        convert = converter(connection, keep_original=keep_original)

        def converted(message: Message) -> Any:
            if message.ref.endswith("#7"):
                raise ZeroDivisionError
            return convert(message)

        return converted

    offline = shop.connection(input="feed", event_source_type="feed")
    monkeypatch.setattr(dead_letter_reading, "converter", fragile)
    assert shop.replay(offline, quarantine=quarantine) == {"delivered": 19, "internal_error": 1}
    monkeypatch.undo()
    # Of that event there are two letters now: one that knows its name, and one that does not.
    assert shop.replay(offline, quarantine=quarantine) == {
        "already_delivered": 19,
        "duplicate_in_input": 1,
        "delivered": 1,
    }
    assert shop.times_accepted() == {1: 20}


def test_unknown_letters_are_held_after_48_hours_also_without_the_ledger_of_the_run(
    shop: Any, orders: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.sandbox.fault(Reset(when="after"))
    assert shop.run(shop.write(orders)) == {"timed_out": 1000}
    shop.sandbox.set_faults()
    shop.sandbox.advance_clock(50 * 3600)
    monkeypatch.setattr(replay_module, "SkipDelivered", partial(SkipDelivered, clock=lambda: time.time() + 50 * 3600))
    alone = {"ledger": str(shop.dead_letters / "_replays")}
    assert shop.replay(**alone) == {"awaiting_decision": 1000}
    assert shop.replay(**alone, resend_unknown=True) == {"delivered": 1000}
    assert shop.replay(**alone) == {"already_delivered": 1000}


def test_unknown_letters_are_sent_again_with_the_same_ids_within_48_hours(shop: Any, orders: list[bytes]) -> None:
    shop.sandbox.fault(Reset(when="after"))
    shop.run(shop.write(orders))
    shop.sandbox.set_faults()
    assert shop.replay() == {"delivered": 1000}
    assert shop.times_accepted() == {1: 1000}


def test_the_same_event_in_two_letters_of_one_run_goes_out_once(shop: Any, orders: list[bytes]) -> None:
    shop.sandbox.fault(Answer(code=50000, status=500))
    assert shop.run(shop.write([*orders[:300], *orders[:300]])) == {"outage": 600}
    shop.sandbox.set_faults()
    assert shop.replay() == {"superseded": 300, "delivered": 300}
    assert shop.sandbox.totals().duplicates == 0


def test_every_letter_that_is_taken_has_one_outcome_in_the_ledger(shop: Any, orders: list[bytes]) -> None:
    shop.sandbox.fault(Answer(code=50000, status=500, skip=3), InvalidEvents(share=0.1, seed=1))
    shop.run(shop.write([*map(url_less, orders[:50]), *orders[50:]]), shop.connection(max_in_flight=1))
    shop.sandbox.set_faults(Answer(code=50000, status=500, skip=2))
    shop.replay(shop.connection(max_in_flight=1))
    taken = len(shop.letters())
    shop.sandbox.set_faults()
    outcome = shop.replay()
    assert sum(outcome.values()) == taken - sum(letter["reason"] == "parked" for letter in shop.letters(run=2))
    per_unit = Counter((row["input_ref"], row["input_index"], row["reason"]) for row in shop.rows(run=3))
    assert max(per_unit.values()) == 1
    assert shop.times_accepted().keys() == {1}


@pytest.mark.slow  # starts two workers; other runs of several processes are in test_skip.py
def test_two_processes_replay_as_one_does(shop: Any, orders: list[bytes]) -> None:
    shop.sandbox.fault(Answer(code=50000, status=500))
    shop.run(shop.write(orders))
    shop.sandbox.set_faults()
    args = ("--direct_num_workers=2", "--direct_running_mode=multi_processing")
    assert shop.replay(beam_args=args) == {"delivered": 1000}


@pytest.mark.parametrize(
    ("number", "originals"),
    [(signal.SIGTERM, False), pytest.param(signal.SIGINT, True, marks=pytest.mark.slow)],
    ids=["letters", "originals"],
)
def test_a_replay_that_is_stopped_settles_what_it_has_read_and_the_next_one_does_the_rest(
    shop: Any, number: signal.Signals, originals: bool
) -> None:
    events, quarantine = 10_000, str(shop.folder / "quarantine")
    orders = purchases(events, seed=5)
    if originals:
        shop.run(shop.write(list(map(url_less, orders))), shop.connection(input="web"), quarantine=quarantine)
        changes = {"input": "feed", "event_source_type": "feed"}
    else:
        shop.sandbox.fault(Answer(code=40105))
        shop.run(shop.write(list(orders)), quarantine=quarantine)
        shop.sandbox.set_faults()
        changes = {}
    process = shop.start_replay("--quarantine", quarantine, requests_per_second=5.0, **changes)
    while process.poll() is None and not shop.sandbox.totals().accepted:
        time.sleep(0.05)  # until another process has sent: there is nothing to wait on
    process.send_signal(number)
    _, shown = process.communicate(timeout=60)
    assert process.returncode == 1, shown
    assert f"{number.name}: ending after what was read" in shown
    assert shown.splitlines()[-1].startswith("error: stopped before the end of the dead letters.")
    rows = shop.rows(run=2)
    assert {row["kind"] for row in rows} == {"delivered"}
    assert len(rows) == shop.sandbox.totals().accepted
    assert 0 < len(rows) < events
    manifest = shop.manifest(2)
    assert (manifest["state"], manifest["unrecorded"]) == ("stopped", None)
    summary = json.loads((shop.folder / "summary-2.json").read_text())
    assert summary == manifest["counts"]
    assert (summary["adds_up"], summary["messages"], summary["events"]) == (True, len(rows), len(rows))
    assert list((shop.ledger / "_locks").glob("*.lock")) == []
    found = reconcile_ledger(str(shop.ledger), None, None, datetime.now(UTC))
    assert [run.note for run in found.runs] == ["", "stopped early: run it again"]
    shop.sandbox.advance_clock(WEEK_SECS)
    assert shop.replay(shop.connection(**changes), quarantine=quarantine) == {
        "already_delivered": len(rows),
        "delivered": events - len(rows),
    }
    assert shop.times_accepted() == {1: events}
    assert reconcile_ledger(str(shop.ledger), None, None, datetime.now(UTC)).adds_up


def test_an_empty_folder_is_refused(shop: Any) -> None:
    with pytest.raises(UsageError, match="holds no dead letters"):
        shop.replay()
