"""The threads that send: they act on their replies themselves, and a defect in one of them fails the bundle."""

import json
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from transforms.connection import Connection
from transforms.model import Form, Fragment, Kind, Payload
from transforms.tiktok.client import Reply
from transforms.tiktok.delivery import Delivery
from transforms.tiktok.request import Body
from transforms.tiktok.runtime import PooledSender, Runtime

ACCEPTED = b'{"code":0,"message":"OK","request_id":"R1"}'


def reply(body: bytes, status: int = 200) -> Reply:
    return Reply(status, body, None, None, True, time.time(), 0.001)


class Naming:
    """A transport that names the first event whose number is divisible by 50, and notes what it carried."""

    def __init__(self, connection: Connection) -> None:
        self.lock = threading.Lock()
        self.carried: Counter[str] = Counter()
        self.requests = 0

    def post(self, form: Form, body: Body, token: str) -> Reply:
        numbers = [event["n"] for event in json.loads(b"".join(body.pieces(1000)))["data"]]
        with self.lock:
            self.requests += 1
            self.carried.update(map(str, numbers))
        for position, number in enumerate(numbers):
            if number % 50 == 0:
                return reply(b'{"code":40002,"message":"data.%d.event: Not a valid string"}' % position)
        return reply(ACCEPTED)


class Unavailable(Naming):
    """A transport that never gets anywhere."""

    def post(self, form: Form, body: Body, token: str) -> Reply:
        with self.lock:
            self.requests += 1
        return reply(b"", 503)


Made = tuple[Delivery, PooledSender, Naming]


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., Made]:
    (tmp_path / "token").write_text("a-token-of-no-use")

    def made(transport: type[Naming], jitter: Callable[[], float] = lambda: 0.0) -> Made:
        connection = Connection(
            event_source_id="PIXEL", access_token=f"file:{tmp_path / 'token'}", requests_per_second=1000.0
        )
        runtime = Runtime(connection, transport)
        sender = PooledSender(runtime)
        delivery = Delivery(connection, sender, runtime.circuit, jitter)
        delivery.hold(0, -1)
        delivery.hold(1, -1)
        assert isinstance(runtime.transport, Naming)
        return delivery, sender, runtime.transport

    return made


def fragment(first: int, size: int = 500) -> Fragment:
    payloads = [
        Payload(Form.WEB, "Purchase", str(number), 0, b'{"n":%d}' % number, f"m#{number}")
        for number in range(first, first + size)
    ]
    return Fragment(Form.WEB, payloads, sum(len(payload.body) + 1 for payload in payloads) - 1, 0)


def test_replies_are_acted_on_while_the_bundles_thread_is_elsewhere(make: Callable[..., Made]) -> None:
    delivery, _, transport = make(Naming)
    delivery.submit(fragment(0))
    deadline = time.monotonic() + 20
    while delivery.is_busy() and time.monotonic() < deadline:
        time.sleep(0.01)  # nobody calls `wait`
    assert not delivery.is_busy()
    outcomes = [outcome for group in delivery.take() for outcome in group]
    assert len(outcomes) == 500
    assert {outcome.event_id for outcome in outcomes if outcome.kind is Kind.REJECTED} == {
        str(number) for number in range(0, 500, 50)
    }
    delivery.drain()


def test_every_event_of_many_batches_has_one_outcome_and_its_own_attempts(make: Callable[..., Made]) -> None:
    delivery, _, transport = make(Naming)
    for number in range(30):
        delivery.submit(fragment(number * 500))
    delivery.drain()
    outcomes = [outcome for group in delivery.take() for outcome in group]
    assert Counter(outcome.kind for outcome in outcomes) == {Kind.DELIVERED: 14_700, Kind.REJECTED: 300}
    assert {outcome.event_id: outcome.attempts for outcome in outcomes} == transport.carried
    assert len(outcomes) == 15_000
    assert delivery.take_tally().counts["requests"] == transport.requests


def test_a_defect_in_what_follows_from_a_reply_is_raised_on_the_bundles_thread(make: Callable[..., Made]) -> None:
    def broken() -> float:
        raise ZeroDivisionError

    delivery, _, _ = make(Unavailable, broken)
    delivery.submit(fragment(1, 10))
    with pytest.raises(ZeroDivisionError):
        delivery.drain()


def test_a_bundle_that_has_failed_sends_nothing_more(make: Callable[..., Made]) -> None:
    delivery, sender, transport = make(Unavailable)
    delivery.submit(fragment(1, 10))
    sender.abandon()
    time.sleep(0.2)
    before = transport.requests
    time.sleep(0.3)
    assert transport.requests == before <= 8
