"""The threads that send: they act on their replies themselves, and a defect in one of them fails the bundle."""

import json
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from transforms.connection import Connection
from transforms.model import Fragment, Payload
from transforms.tiktok.client import ApiReply
from transforms.tiktok.delivery import Delivery
from transforms.tiktok.envelope import RequestBody
from transforms.tiktok.sender_pool import PooledSender, SenderPool
from transforms.vocabulary import Form, Kind

ACCEPTED = b'{"code":0,"message":"OK","request_id":"R1"}'


def reply(body: bytes, status: int = 200) -> ApiReply:
    return ApiReply(status=status, body=body, sent=True, started_at=time.time(), elapsed_secs=0.001)


class Naming:
    """A transport that names the first event whose number is divisible by 50, and notes what it carried."""

    def __init__(self, connection: Connection) -> None:
        self.lock = threading.Lock()
        self.carried: Counter[str] = Counter()
        self.requests = 0

    def post(self, form: Form, body: RequestBody, token: str) -> ApiReply:
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

    def post(self, form: Form, body: RequestBody, token: str) -> ApiReply:
        with self.lock:
            self.requests += 1
        return reply(b"", 503)


@pytest.fixture
def connection(tmp_path: Path) -> Connection:
    (tmp_path / "token").write_text("a-token-of-no-use")
    return Connection(event_source_id="PIXEL", access_token=f"file:{tmp_path / 'token'}", requests_per_second=1000.0)


def bundle(
    pool: SenderPool, connection: Connection, shard: int = 0, jitter: Callable[[], float] = lambda: 0.0
) -> tuple[Delivery, PooledSender]:
    sender = PooledSender(pool)
    delivery = Delivery(connection, sender, pool.circuit, jitter)
    delivery.hold(shard, -1)
    delivery.hold(shard + 1, -1)
    return delivery, sender


def carrying(pool: SenderPool) -> Naming:
    assert isinstance(pool.transport, Naming)
    return pool.transport


def fragment(first: int, size: int = 500) -> Fragment:
    payloads = [
        Payload(Form.WEB, "Purchase", str(number), 0, b'{"n":%d}' % number, f"m#{number}")
        for number in range(first, first + size)
    ]
    return Fragment(Form.WEB, payloads, sum(len(payload.body) + 1 for payload in payloads) - 1, 0)


def test_replies_are_acted_on_while_the_bundles_thread_is_elsewhere(connection: Connection) -> None:
    delivery, _ = bundle(SenderPool(connection, Naming), connection)
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


def test_every_event_of_many_batches_has_one_outcome_and_one_request_that_tells_of_it(connection: Connection) -> None:
    pool = SenderPool(connection, Naming)
    delivery, _ = bundle(pool, connection)
    for number in range(30):
        delivery.submit(fragment(number * 500))
    delivery.drain()
    outcomes = [outcome for group in delivery.take() for outcome in group]
    assert Counter(outcome.kind for outcome in outcomes) == {Kind.DELIVERED: 14_700, Kind.REJECTED: 300}
    assert {outcome.attempts for outcome in outcomes} == {1}
    assert {outcome.event_id for outcome in outcomes} == set(carrying(pool).carried)
    assert len(outcomes) == 15_000
    assert delivery.take_tally().counts["requests"] == carrying(pool).requests


def test_a_defect_in_what_follows_from_a_reply_is_raised_on_the_bundles_thread(connection: Connection) -> None:
    def broken() -> float:
        raise ZeroDivisionError

    delivery, _ = bundle(SenderPool(connection, Unavailable), connection, jitter=broken)
    delivery.submit(fragment(1, 10))
    with pytest.raises(ZeroDivisionError):
        delivery.drain()


def test_a_bundle_that_has_failed_sends_nothing_more(connection: Connection) -> None:
    pool = SenderPool(connection, Unavailable)
    delivery, sender = bundle(pool, connection)
    delivery.submit(fragment(1, 10))
    sender.abandon()
    time.sleep(0.2)
    before = carrying(pool).requests
    time.sleep(0.3)
    assert carrying(pool).requests == before


def test_two_bundles_share_the_threads_fairly(connection: Connection) -> None:
    pool = SenderPool(connection, Naming)
    first, _ = bundle(pool, connection)
    second, _ = bundle(pool, connection, shard=2)
    for number in range(20):
        first.submit(fragment(number * 500))
    second.submit(fragment(1, 10))
    second.drain()
    # The one request of the second bundle did not wait for the first bundle's two hundred.
    assert carrying(pool).requests < 100
    first.drain()
    assert sum(len(group) for group in first.take()) == 10_000
    assert sum(len(group) for group in second.take()) == 10
