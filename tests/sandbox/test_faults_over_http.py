"""Every fault as a sender sees it, over real connections."""

import json
import re
import socket
import struct
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from sandbox.tiktok.control import Sandbox
from sandbox.tiktok.faults import (
    Answer,
    Delay,
    Echo,
    Garble,
    Html,
    InvalidEvents,
    Outage,
    Partial,
    Reset,
    SlowRead,
    Throttle,
)
from sandbox.tiktok.rules import Path
from sandbox.tiktok.store import Key

Make = Callable[..., dict[str, Any]]
Post = Callable[..., requests.Response]

TRACK: Path = "event/track/"
LEGACY: Path = "pixel/batch/"
TOO_MANY = "Too many requests. Please retry in some time."


def eventually(condition: Callable[[], bool]) -> bool:
    """Returns whether a condition becomes true within five seconds."""
    deadline = time.monotonic() + 5
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def ids(sandbox: Sandbox) -> set[str]:
    return {key.event_id for key in sandbox.accepted()}


def test_a_reply_can_be_slow_after_the_events_are_accepted(sandbox: Sandbox, post: Post, track: Make) -> None:
    sandbox.fault(Delay(secs=30))
    with pytest.raises(requests.ReadTimeout):
        post(TRACK, track("a"), timeout=0.2)
    assert ids(sandbox) == {"a"}
    assert eventually(lambda: sandbox.stats().abandoned == 1)


def test_a_reply_can_be_slow_before_the_events_are_accepted(sandbox: Sandbox, post: Post, track: Make) -> None:
    sandbox.fault(Delay(secs=30, when="before"))
    with pytest.raises(requests.ReadTimeout):
        post(TRACK, track("a"), timeout=0.2)
    assert eventually(lambda: sandbox.stats().abandoned == 1)
    assert ids(sandbox) == set()


def test_latency_holds_requests_side_by_side(sandbox: Sandbox, track: Make) -> None:
    sandbox.fault(Delay(secs=0.3, max_secs=0.4))
    headers = {"Access-Token": sandbox.token}

    def send(number: int) -> float:
        reply = requests.post(sandbox.api_url + TRACK, json=track(str(number)), headers=headers, timeout=10)
        return reply.elapsed.total_seconds()

    with ThreadPoolExecutor(8) as pool:
        times = list(pool.map(send, range(8)))
    assert all(0.3 <= secs < 2 for secs in times)
    assert sandbox.stats().most_in_flight > 1
    assert ids(sandbox) == {str(number) for number in range(8)}


@pytest.mark.parametrize("retry_after_secs", [None, 7])
def test_http_429_comes_with_or_without_retry_after(
    sandbox: Sandbox, post: Post, track: Make, retry_after_secs: int | None
) -> None:
    sandbox.fault(Throttle(retry_after_secs=retry_after_secs, limit=1))
    response = post(TRACK, track("a"))
    assert response.status_code == 429
    assert response.headers.get("Retry-After") == (None if retry_after_secs is None else "7")
    assert ids(sandbox) == set()
    assert post(TRACK, track("a")).json()["code"] == 0


@pytest.mark.parametrize(
    ("rule", "status", "code", "message"),
    [
        (Answer(code=40100), 200, 40100, TOO_MANY),
        (Answer(code=40100, status=429, retry_after_secs=2), 429, 40100, TOO_MANY),
        (Answer(code=50000, status=500), 500, 50000, "System error"),
        (Answer(code=41001), 200, 41001, "Interface offline"),
        (Answer(code=40001, message="No permission to operate."), 200, 40001, "No permission to operate."),
        (Answer(code=99999), 200, 99999, "Request failed"),
    ],
)
def test_any_code_can_be_answered(
    sandbox: Sandbox, post: Post, track: Make, rule: Answer, status: int, code: int, message: str
) -> None:
    sandbox.fault(rule)
    response = post(TRACK, track("a"))
    reply = response.json()
    assert (response.status_code, reply["code"], reply["message"]) == (status, code, message)
    assert re.fullmatch(r"\d{14}[0-9A-F]{20}", reply["request_id"])
    assert ids(sandbox) == set()


def test_the_legacy_interface_alone_can_be_offline(sandbox: Sandbox, post: Post, track: Make, legacy: Make) -> None:
    sandbox.fault(Answer(code=41001, path=LEGACY))
    assert post(LEGACY, legacy()).json()["code"] == 41001
    assert post(TRACK, track()).json()["code"] == 0


def test_a_gateway_answers_html(sandbox: Sandbox, post: Post, track: Make) -> None:
    sandbox.fault(Html(status=502))
    response = post(TRACK, track("a"))
    assert (response.status_code, response.headers["Content-Type"]) == (502, "text/html")
    assert "<h1>502 Bad Gateway</h1>" in response.text
    assert ids(sandbox) == set()


@pytest.mark.parametrize(("when", "accepted"), [("before", set()), ("after", {"a"})])
def test_a_connection_is_reset_before_or_after_the_events_are_accepted(
    sandbox: Sandbox, post: Post, track: Make, when: Any, accepted: set[str]
) -> None:
    sandbox.fault(Reset(when=when, limit=1))
    with pytest.raises(requests.ConnectionError, match="reset by peer"):
        post(TRACK, track("a"))
    assert ids(sandbox) == accepted
    assert post(TRACK, track("a")).json()["code"] == 0
    stats = sandbox.stats()
    assert [(row.status, row.code, row.count) for row in stats.replies] == [(200, 0, 1), (None, None, 1)]


def test_a_connection_is_reset_while_the_body_is_sent(sandbox: Sandbox, post: Post, track: Make) -> None:
    sandbox.fault(Reset(when="reading", limit=1))
    with pytest.raises(requests.ConnectionError):
        post(TRACK, track(count=1000))
    assert ids(sandbox) == set()
    assert post(TRACK, track("a")).json()["code"] == 0
    assert sandbox.stats().requests == 2


def test_a_reset_is_a_tcp_rst(sandbox: Sandbox, track: Make) -> None:
    sandbox.fault(Reset())
    base = urlsplit(sandbox.api_url)
    body = json.dumps(track()).encode()
    with socket.create_connection((base.hostname, base.port)) as connection:
        connection.sendall(
            b"POST /open_api/v1.3/event/track/ HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
        )
        with pytest.raises(ConnectionResetError):
            connection.recv(1)


def test_connections_are_refused_for_a_while(sandbox: Sandbox, post: Post, track: Make) -> None:
    assert post(TRACK, track("a")).ok
    sandbox.refuse(1)
    begun = time.monotonic()
    with pytest.raises(requests.ConnectionError):  # the kept connection is closed too
        post(TRACK, track("b"))
    assert eventually(lambda: _refuses(post, track("b")))
    assert eventually(lambda: _listens(sandbox))
    assert time.monotonic() - begun > 0.9
    assert post(TRACK, track("c")).ok
    assert ids(sandbox) == {"a", "c"}


def test_an_outage_can_begin_with_a_request(sandbox: Sandbox, post: Post, track: Make) -> None:
    sandbox.fault(Outage(secs=1, skip=1, limit=1))
    assert post(TRACK, track("a")).ok
    with pytest.raises(requests.ConnectionError):
        post(TRACK, track("b"))
    assert eventually(lambda: _refuses(post, track("b")))
    assert eventually(lambda: _listens(sandbox))
    assert post(TRACK, track("b")).ok
    assert ids(sandbox) == {"a", "b"}


def test_a_request_under_way_is_answered_before_the_outage(sandbox: Sandbox, track: Make) -> None:
    sandbox.fault(Delay(secs=0.4))
    headers = {"Access-Token": sandbox.token}
    with ThreadPoolExecutor(1) as pool:
        under_way = pool.submit(requests.post, sandbox.api_url + TRACK, json=track("a"), headers=headers)
        assert eventually(lambda: ids(sandbox) == {"a"})
        sandbox.refuse(0.1)
        assert under_way.result().json()["code"] == 0
    assert eventually(lambda: _listens(sandbox))


def _refuses(post: Post, body: Any) -> bool:
    """Says whether a connection is refused; one that came while the sandbox was leaving is reset."""
    with pytest.raises(requests.ConnectionError) as caught:
        post(TRACK, body)
    return "refused" in str(caught.value)


def _listens(sandbox: Sandbox) -> bool:
    base = urlsplit(sandbox.api_url)
    with socket.socket() as probe:
        # Ended with RST, so that the probe leaves nothing behind.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        return probe.connect_ex((base.hostname, base.port)) == 0


def test_a_part_of_a_request_fails_without_a_word(sandbox: Sandbox, post: Post, track: Make) -> None:
    sandbox.fault(Partial(share_failed=0.3, seed=5))
    reply = post(TRACK, track(count=10)).json()
    assert (reply["code"], reply["data"]) == (20001, {})
    assert len(ids(sandbox)) == 7


def test_a_part_of_a_request_fails_with_details(sandbox: Sandbox, post: Post, legacy: Make) -> None:
    sandbox.fault(Partial(share_failed=0.3, details=True))
    reply = post(LEGACY, legacy(count=10)).json()
    failed = reply["data"]["failed_events"]
    assert reply["code"] == 20001
    assert {(row["error_code"], row["error_message"]) for row in failed} == {(40002, "Not a valid event")}
    assert ids(sandbox) == {str(number) for number in range(10)} - {str(row["order_in_batch"]) for row in failed}
    assert len(failed) == 3


@pytest.mark.parametrize(
    ("how", "body"),
    [
        ("truncated", r'\{"code":0,"message":"OK","request_id":"[0-9A-F]*'),
        ("empty", ""),
        ("no_code", r'\{"status":0,"message":"OK","request_id":"\w+","data":\{\}\}'),
        ("code_as_text", r'\{"code":"0","message":"OK","request_id":"\w+","data":\{\}\}'),
        ("html", r"(?s)<html>.*200 OK.*</html>\r\n"),
    ],
)
def test_a_reply_can_be_unreadable_whether_or_not_the_events_are_accepted(
    sandbox: Sandbox, post: Post, track: Make, how: Any, body: str
) -> None:
    sandbox.set_faults(Garble(how=how))
    response = post(TRACK, track("a"))
    assert response.status_code == 200
    assert re.fullmatch(body, response.text)
    sandbox.set_faults(Garble(how=how, accept=False))
    assert re.fullmatch(body, post(TRACK, track("b")).text)
    assert ids(sandbox) == {"a"}
    assert [(row.status, row.code, row.count) for row in sandbox.stats().replies] == [(200, None, 2)]


def test_a_reply_can_be_cut_off(sandbox: Sandbox, post: Post, track: Make) -> None:
    sandbox.fault(Garble(how="cut_off", limit=1))
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        post(TRACK, track("a"))
    assert ids(sandbox) == {"a"}
    assert post(TRACK, track("a")).json()["code"] == 0


@pytest.mark.parametrize("path", [TRACK, LEGACY])
def test_a_message_can_repeat_what_was_sent(sandbox: Sandbox, post: Post, track: Make, legacy: Make, path: str) -> None:
    sandbox.fault(Echo(index=1))
    reply = post(path, track("a", "b") if path == TRACK else legacy("a", "b")).json()
    assert reply["code"] == 40002
    assert reply["message"].startswith("data.1.user: Not valid" if path == TRACK else "Batch.1.context.user: Not valid")
    for value in (
        "848a771458438fc2ec420560d769fb9b9b86851ee338ec56517baabd79d3bb4f",
        "13.57.97.131",
        "demo.mywebsite.com/purchase",
        "Mozilla/5.0",
    ):
        assert value in reply["message"]
    assert ids(sandbox) == set()


def test_events_can_be_declared_invalid_by_id(sandbox: Sandbox, post: Post, track: Make, legacy: Make) -> None:
    sandbox.fault(InvalidEvents(event_ids=frozenset({"b", "d"})))
    reply = post(TRACK, track("a", "b", "c", "d")).json()
    assert reply["code"] == 40002
    assert reply["message"] == "data.1.properties.contents.0.content_id: Not a valid string"
    message = post(LEGACY, legacy("a", "d")).json()["message"]
    assert message == "Batch.1.properties.contents.0.content_id: Not a valid string"
    assert post(TRACK, track("a", "c")).json()["code"] == 0
    assert ids(sandbox) == {"a", "c"}


def test_a_share_of_events_can_be_declared_invalid(sandbox: Sandbox, post: Post, track: Make) -> None:
    rule = InvalidEvents(share=0.1, seed=1, code=40000, field="event_id", reason="Not known")
    sandbox.fault(rule)
    sandbox.settings(index_text=False)
    bad = [str(number) for number in range(100) if rule.hits(str(number))]
    assert 3 < len(bad) < 20
    reply = post(TRACK, track(count=100)).json()
    assert (reply["code"], reply["message"]) == (40000, "Invalid value for event_id: not known.")
    good = [str(number) for number in range(100) if str(number) not in bad]
    assert post(TRACK, track(*good)).json()["code"] == 0
    assert ids(sandbox) == set(good)
    assert sandbox.stats().events_received == 100 + len(good)


def test_faults_that_exclude_each_other_come_one_at_a_time(sandbox: Sandbox, post: Post, track: Make) -> None:
    sandbox.fault(Answer(code=50000, limit=1), Html(limit=1))
    assert post(TRACK, track("a")).json()["code"] == 50000
    assert post(TRACK, track("a")).status_code == 502
    assert post(TRACK, track("a")).json()["code"] == 0
    assert [(row.fitted, row.hit) for row in sandbox.applied()] == [(3, 1), (2, 1)]


def test_large_requests_alone_can_fail(sandbox: Sandbox, post: Post, track: Make) -> None:
    sandbox.fault(Html(min_events=3))
    assert post(TRACK, track("a", "b")).status_code == 200
    assert post(TRACK, track("a", "b", "c")).status_code == 502


def test_a_body_can_be_read_slowly(sandbox: Sandbox, post: Post, track: Make) -> None:
    body = json.dumps(track(count=200)).encode()
    sandbox.fault(SlowRead(bytes_per_sec=len(body) * 2, limit=1))
    begun = time.monotonic()
    assert post(TRACK, body).json()["code"] == 0
    assert time.monotonic() - begun > 0.4
    assert len(ids(sandbox)) == 200
    assert post(TRACK, body).json()["code"] == 0
    assert [row.hit for row in sandbox.applied()] == [1]


def test_a_fault_does_not_touch_other_connections(sandbox: Sandbox, track: Make) -> None:
    sandbox.fault(SlowRead(bytes_per_sec=1000, limit=1))
    headers = {"Access-Token": sandbox.token}
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(requests.post, sandbox.api_url + TRACK, json=track("slow"), headers=headers)
        assert eventually(lambda: sandbox.stats().requests == 1)
        quick = requests.post(sandbox.api_url + TRACK, json=track("quick"), headers=headers, timeout=10)
        assert quick.json()["code"] == 0
        assert not slow.done()
        assert slow.result().json()["code"] == 0
    assert sandbox.accepted() == {
        Key("PIXEL", "PlaceAnOrder", "slow"): 1,
        Key("PIXEL", "PlaceAnOrder", "quick"): 1,
    }
