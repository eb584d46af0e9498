"""Replies without a network: a sender with a clock of its own, so that days of retries pass in no time; and servers."""

import heapq
import itertools
import json
import math
import socket
import ssl
from collections.abc import Callable, Iterator

import pytest
from loopback import Authority, Server

from transforms.connection import Connection
from transforms.model import Fragment, Outcome, Payload
from transforms.tiktok.budget import TOLERANCE_SECS, Budget
from transforms.tiktok.circuit import Circuit
from transforms.tiktok.client import ApiReply, EventsApi, NetworkTrouble
from transforms.tiktok.delivery import Delivery
from transforms.tiktok.request_state import RequestState
from transforms.tiktok.sender_pool import SendResult
from transforms.vocabulary import Form


class SimulatedSender:
    """Answers each request by a script; time passes only in `wait`."""

    def __init__(
        self, answer: Callable[["SimulatedSender", RequestState], ApiReply], latency_secs: float = 0.02
    ) -> None:
        self.clock = 1_700_000_000.0
        self.started: list[tuple[float, list[str]]] = []
        self.renewals = [False]
        self.reported = 0
        self._answer = answer
        self._latency_secs = latency_secs
        self._due: list[tuple[float, int, SendResult, Callable[[SendResult], bool]]] = []
        self._order = itertools.count()

    def now(self) -> float:
        return self.clock

    def start(self, request: RequestState, at: float, answered: Callable[[SendResult], bool]) -> None:
        if self.clock > at + TOLERANCE_SECS:
            heapq.heappush(self._due, (self.clock, next(self._order), SendResult(request, None), answered))
            return
        begins = max(at, self.clock)
        self.started.append((begins, [payload.event_id for payload in request.payloads]))
        reply = self._answer(self, request)
        reply = ApiReply(
            status=reply.status,
            body=reply.body,
            trouble=reply.trouble,
            retry_after_secs=reply.retry_after_secs,
            sent=reply.sent,
            started_at=begins,
            elapsed_secs=self._latency_secs,
        )
        due = begins + self._latency_secs
        heapq.heappush(self._due, (due, next(self._order), SendResult(request, reply), answered))

    def wait(self, until: float) -> bool:
        while self._due and self._due[0][0] <= max(until, self.clock):
            due, _, answer, answered = heapq.heappop(self._due)
            self.clock = max(self.clock, due)
            if answered(answer):
                self.reported += 1
                return True
        assert until < math.inf, "the delivery would wait for ever"
        self.clock = max(self.clock, until)
        return False

    def renew_token(self, request: RequestState) -> bool:
        return self.renewals.pop(0) if len(self.renewals) > 1 else self.renewals[0]


class Replies:
    """Replies as TikTok, a gateway or the network gives them."""

    @staticmethod
    def api(code: int, message: str = "OK", **more: object) -> ApiReply:
        body = json.dumps({"code": code, "message": message, "request_id": "2024070509", "data": {}, **more})
        return ApiReply(status=200, body=body.encode(), sent=True, started_at=0.0, elapsed_secs=0.0)

    @staticmethod
    def http(status: int, body: bytes = b"<html>nginx</html>", retry_after_secs: float | None = None) -> ApiReply:
        return ApiReply(
            status=status, body=body, retry_after_secs=retry_after_secs, sent=True, started_at=0.0, elapsed_secs=0.0
        )

    @staticmethod
    def trouble(trouble: NetworkTrouble) -> ApiReply:
        return ApiReply(
            trouble=trouble, sent=trouble is not NetworkTrouble.NOT_CONNECTED, started_at=0.0, elapsed_secs=0.0
        )


@pytest.fixture
def replies() -> type[Replies]:
    return Replies


@pytest.fixture
def payload() -> Callable[[str], Payload]:
    def make(event_id: str, body: bytes = b'{"event":"Purchase"}') -> Payload:
        return Payload(Form.WEB, "Purchase", event_id, 1_718_900_123_456, body, f"file#{event_id}")

    return make


@pytest.fixture
def deliver(payload: Callable[[str], Payload]) -> Callable[..., tuple[dict[str, Outcome], SimulatedSender, Delivery]]:
    """Delivers fragments of event ids and returns the outcome of each id."""

    def run(
        fragments: list[list[str]],
        answer: Callable[[SimulatedSender, RequestState], ApiReply],
        *,
        circuit: Circuit | None = None,
        renewals: list[bool] | None = None,
        latency_secs: float = 0.02,
        stopping: Callable[[], bool] | None = None,
        **settings: object,
    ) -> tuple[dict[str, Outcome], SimulatedSender, Delivery]:
        connection = Connection(event_source_id="PIXEL", **{"requests_per_second": 100.0, **settings})
        sender = SimulatedSender(answer, latency_secs)
        sender.renewals = renewals or [False]
        delivery = Delivery(connection, sender, circuit or Circuit(), lambda: 0.5, stopping)
        for number, ids in enumerate(fragments):
            payloads = [payload(event_id) for event_id in ids]
            size = sum(len(item.body) + 1 for item in payloads) - 1
            shard = number % Budget(connection.requests_per_second).shards
            delivery.hold(shard, -1)
            delivery.submit(Fragment(Form.WEB, payloads, size, shard))
        delivery.drain()
        outcomes: dict[str, Outcome] = {}
        for group in delivery.take():
            for outcome in group:
                assert outcome.event_id not in outcomes, "two outcomes for one event"
                outcomes[outcome.event_id or ""] = outcome
        assert set(outcomes) == {event_id for ids in fragments for event_id in ids}
        return outcomes, sender, delivery

    return run


@pytest.fixture
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Takes away what this machine says of proxies and authorities."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def clients() -> Iterator[list[EventsApi]]:
    made: list[EventsApi] = []
    yield made
    for client in made:
        client.close()


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    """Starts a server: with `replies`, one that answers; with `behave`, any other."""
    servers: list[Server] = []

    def start(
        *replies: bytes,
        behave: Callable[[Server, socket.socket], None] | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> Server:
        servers.append(Server(behave or (lambda server, conn: server.answer(conn, *replies)), tls))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


@pytest.fixture
def connect(no_environment: None, serve: Callable[..., Server], clients: list[EventsApi]) -> Callable[..., EventsApi]:
    """Makes a client of a port; closes it before the server ends, so that no thread of the server waits for it."""

    def make(port: int, scheme: str = "http", host: str = "127.0.0.1", **settings: object) -> EventsApi:
        times = {"connect_timeout_secs": 1.0, "read_timeout_secs": 0.3}
        connection = Connection(
            event_source_id="P1",
            api_url=f"{scheme}://{host}:{port}/open_api/v1.3/",
            **{**times, **settings},  # type: ignore[arg-type]
        )
        clients.append(EventsApi(connection, clock=lambda: 1_700_000_000.0))
        return clients[-1]

    return make


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """An authority that nobody trusts who is not told to, and its certificate for 127.0.0.1 and tiktok.invalid."""
    return Authority(tmp_path_factory.mktemp("authority"), "tiktok.invalid")


@pytest.fixture
def tls(authority: Authority) -> ssl.SSLContext:
    return authority.server_tls
