"""Faults of TikTok, the gateway and the network: nothing lost, nothing accepted twice, every event one outcome."""

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sandbox.tiktok.control import Sandbox
from sandbox.tiktok.faults import Answer, Delay, Echo, Garble, Html, InvalidEvents, Outage, Partial, Reset, Throttle
from transforms.connection import Connection
from transforms.tiktok import EventsApi

EVENTS = 4_000
BATCH = 40
Forward = Callable[..., Any]


def test_without_a_fault_every_event_is_delivered_once(forward: Forward) -> None:
    run = forward()
    assert run.kinds == {"delivered": EVENTS}
    assert len(run.accepted) == EVENTS
    assert run.summary["requests"] == run.stats.requests == 100
    assert run.summary["retries"] == 0


def test_the_legacy_endpoint_gets_50_events_a_request(forward: Forward) -> None:
    run = forward(enable_web_migration=False, max_batch_events=None)
    assert run.kinds == {"delivered": EVENTS}
    assert run.stats.count(path="pixel/batch/", status=200, code=0) == EVENTS / 50


def test_requests_may_be_compressed(forward: Forward, sandbox: Sandbox) -> None:
    plain_bytes = forward(run_id="plain").stats.body_bytes
    sandbox.reset()
    run = forward(run_id="gzip", gzip_requests=True)
    assert run.kinds == {"delivered": EVENTS}
    assert run.stats.body_bytes < plain_bytes / 2


@pytest.mark.parametrize(
    "fault",
    [
        Throttle(probability=0.2, seed=1),
        Throttle(probability=0.2, seed=2, retry_after_secs=1),
        Answer(code=40100, probability=0.2, seed=3),
        Answer(code=40100, to_secs=4),
        Answer(code=50000, status=500, probability=0.2, seed=4),
        Answer(code=50002, probability=0.2, seed=5),
        Html(status=502, probability=0.2, seed=6),
        Html(status=503, to_secs=3),
        Garble(how="empty", accept=False, probability=0.2, seed=7),
        Reset(when="before", probability=0.2, seed=8),
        Reset(when="reading", probability=0.2, seed=9),
        Reset(when="after", probability=0.2, seed=10),
        Garble(how="truncated", probability=0.2, seed=11),
        Garble(how="cut_off", probability=0.2, seed=12),
        Garble(how="code_as_text", probability=0.2, seed=13),
    ],
    ids=lambda fault: type(fault).__name__ + str(getattr(fault, "when", getattr(fault, "how", ""))),
)
def test_a_storm_that_passes_costs_time_but_no_event(forward: Forward, sandbox: Sandbox, fault: Any) -> None:
    sandbox.fault(fault)
    run = forward()
    assert run.kinds == {"delivered": EVENTS}
    assert sum(applied.hit for applied in sandbox.applied()) > 5
    assert run.summary["retries"] > 5


def test_connections_that_are_refused_for_5_seconds_cost_time_but_no_event(forward: Forward, sandbox: Sandbox) -> None:
    sandbox.fault(Outage(secs=5, skip=20, limit=1))
    run = forward()
    assert run.kinds == {"delivered": EVENTS}
    assert run.summary["seconds"] > 5


@pytest.mark.parametrize("when", ["before", "after"])
def test_slow_replies_past_the_time_out_are_asked_for_again(forward: Forward, sandbox: Sandbox, when: Any) -> None:
    sandbox.fault(Delay(secs=4, when=when, every=10, limit=8))
    run = forward(read_timeout_secs=1.0)
    assert run.kinds == {"delivered": EVENTS}
    assert run.summary["retries"] >= 8


def test_replies_that_never_come_leave_events_unknown(forward: Forward, sandbox: Sandbox) -> None:
    sandbox.fault(Reset(when="after"))
    run = forward(retry_secs=3.0)
    assert run.kinds == {"unknown": EVENTS}
    assert {row["reason"] for row in run.rows} == {"timed_out"}
    sandbox.set_faults()
    assert forward(run_id="again").kinds == {"delivered": EVENTS}
    assert set(sandbox.accepted().values()) == {1}


def test_an_outage_beyond_retry_secs_leaves_events_undelivered_and_the_next_run_delivers_them(
    forward: Forward, sandbox: Sandbox
) -> None:
    sandbox.fault(Html(status=502))
    run = forward(retry_secs=3.0)
    assert run.kinds == {"undelivered": EVENTS}
    assert run.accepted == {}
    sandbox.set_faults()
    assert forward(run_id="again").kinds == {"delivered": EVENTS}


@pytest.mark.parametrize("enable_web_migration", [True, False], ids=["2.0", "legacy"])
def test_one_percent_of_events_that_tiktok_names_are_rejected_alone(
    forward: Forward, sandbox: Sandbox, enable_web_migration: bool
) -> None:
    invalid = InvalidEvents(share=0.01, seed=3)
    sandbox.fault(invalid)
    run = forward(enable_web_migration=enable_web_migration)
    bad = {event_id for event_id in run.ids("rejected", "delivered") if invalid.hits(event_id)}
    assert run.ids("rejected") == bad
    assert 20 < len(bad) < 60
    assert run.kinds == {"delivered": EVENTS - len(bad), "rejected": len(bad)}
    assert all("content_id" in row["message"] and row["code"] == 40002 for row in run.rows if row["kind"] == "rejected")


def test_one_percent_of_events_without_an_index_are_found_by_bisection(forward: Forward, sandbox: Sandbox) -> None:
    invalid = InvalidEvents(share=0.01, seed=4)
    sandbox.fault(invalid)
    sandbox.settings(index_text=False)
    run = forward()
    bad = {event_id for event_id in run.ids("rejected", "delivered") if invalid.hits(event_id)}
    assert run.ids("rejected") == bad
    assert run.kinds == {"delivered": EVENTS - len(bad), "rejected": len(bad)}
    assert run.summary["requests"] - 100 <= 2 * len(bad) * 6  # 2 k ⌈log₂ 40⌉


def test_partial_success_that_cannot_be_read_is_unknown(forward: Forward, sandbox: Sandbox) -> None:
    sandbox.fault(Partial(share_failed=0.3, every=10))
    run = forward()
    assert run.kinds == {"delivered": EVENTS * 9 // 10, "unknown": EVENTS // 10}
    assert {row["reason"] for row in run.rows if row["kind"] == "unknown"} == {"partial_success"}
    assert 0 < len(set(run.accepted) & run.ids("unknown")) < EVENTS // 10


def once_requests_came(sandbox: Sandbox, count: int, action: Callable[[], None]) -> threading.Thread:
    """Does something when the sandbox has seen so many requests."""

    def watch() -> None:
        for _ in range(2000):
            if sandbox.stats().requests >= count:
                action()
                return
            time.sleep(0.03)

    thread = threading.Thread(target=watch)
    thread.start()
    return thread


def test_a_token_that_is_revoked_in_the_middle_stops_sending(
    forward: Forward, sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    sandbox.fault(Delay(secs=0.2))
    watcher = once_requests_came(sandbox, 20, sandbox.revoke)
    run = forward()
    watcher.join()
    assert run.kinds["delivered"] > 0
    assert run.kinds["undelivered"] > 0
    assert {row["reason"] for row in run.rows if row["kind"] == "undelivered"} == {"credentials"}
    assert "Stopped sending: TikTok answered code 40105" in caplog.text
    assert sandbox.token not in caplog.text
    assert run.stats.count(code=40105) <= 10


def test_a_token_that_is_replaced_in_the_middle_is_read_again(
    forward: Forward, sandbox: Sandbox, tmp_path: Path
) -> None:
    sandbox.fault(Delay(secs=0.2))
    token = tmp_path / "token"
    token.write_text(sandbox.token)

    def replace() -> None:
        sandbox.accept_token("the-second-token")
        token.write_text("the-second-token")
        sandbox.revoke()

    watcher = once_requests_came(sandbox, 20, replace)
    run = forward()
    watcher.join()
    assert run.kinds == {"delivered": EVENTS}
    assert run.stats.count(code=40105) > 0


def test_an_interface_that_is_gone_stops_sending(forward: Forward, sandbox: Sandbox) -> None:
    sandbox.fault(Answer(code=41001, skip=30))
    run = forward()
    assert run.kinds["delivered"] == 30 * BATCH
    assert run.kinds["undelivered"] == EVENTS - 30 * BATCH
    assert {row["reason"] for row in run.rows if row["kind"] == "undelivered"} == {"configuration"}


def test_what_tiktok_repeats_of_an_event_is_not_recorded(forward: Forward, sandbox: Sandbox) -> None:
    sandbox.fault(Echo(index=0, limit=20))
    run = forward()
    rejected = [row for row in run.rows if row["kind"] == "rejected"]
    assert len(rejected) == 20
    bodies = {row["event_id"]: row["payload"] for row in run.dead_letters}
    for row in rejected:
        body = bodies[row["event_id"]]
        assert not [word for word in row["message"].split() if len(word) > 15 and word in body]


def started(sandbox: Sandbox) -> list[int]:
    """Returns the requests of every whole second but the first and the last."""
    by_second = sandbox.stats().started_by_second
    return [by_second.get(second, 0) for second in range(min(by_second) + 1, max(by_second))]


@pytest.mark.slow  # measures, so that nothing else may run beside it
@pytest.mark.parametrize(
    ("per_second", "fault"),
    [(20, None), (50, None), (20, Answer(code=40100, probability=0.1, seed=1))],
    ids=["20 a second", "50 a second", "20 a second, a tenth throttled"],
)
def test_the_budget_is_never_exceeded_in_a_whole_second_and_97_percent_of_it_is_used(
    forward: Forward, sandbox: Sandbox, per_second: int, fault: Any
) -> None:
    if fault:
        sandbox.fault(fault)
    run = forward(requests_per_second=float(per_second), max_batch_events=EVENTS // (per_second * 8))
    assert run.kinds == {"delivered": EVENTS}
    seconds = started(sandbox)
    assert max(seconds) <= per_second
    busy = seconds[:6]  # of at least eight; at the end only retries are left
    assert len(busy) == 6
    assert sum(busy) >= 0.97 * per_second * len(busy)


def test_connections_are_kept_and_reused(forward: Forward) -> None:
    run = forward(max_batch_events=10, max_in_flight=4)
    assert run.stats.requests == 400
    assert run.stats.connections <= 4


def test_tls_is_verified(tmp_path: Path, sandbox: Sandbox) -> None:
    connection = Connection(event_source_id="PIXEL", api_url=sandbox.api_url.replace("http://", "https://"))
    api = EventsApi(connection)
    began = time.monotonic()
    assert api.post("web", b"{}", "token").trouble == "tls"
    assert time.monotonic() - began < 5
    api.close()
