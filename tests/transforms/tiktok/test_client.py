"""One POST against real sockets: whatever the network does comes back as a value, and nothing shows the token."""

import contextlib
import gzip
import importlib.metadata
import logging
import socket
import ssl
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from loopback import Authority, Server, http_reply, read_request, reset

from transforms.connection import Connection
from transforms.tiktok.client import MAX_REPLY_BYTES, ApiReply, EventsApi, NetworkTrouble
from transforms.tiktok.envelope import make_envelope
from transforms.vocabulary import Form

TOKEN = "0123456789abcdef0123456789abcdef01234567"
BODY = b'{"event_source":"web","event_source_id":"P1","data":[{"event":"Purchase","city":"canary-town"}]}'
ACCEPTED = b'{"code":0,"message":"OK","request_id":"20240705092320323C2F514AF49BCF4621","data":{}}'
READ_TIMEOUT_SECS = 0.3  # of `connect`


Serve = Callable[..., Server]
Connect = Callable[..., EventsApi]


def outcome(reply: ApiReply) -> tuple[int | None, NetworkTrouble | None, bool]:
    return reply.status, reply.trouble, reply.sent


def headers_of(request: bytes) -> dict[str, str]:
    lines = request.partition(b"\r\n\r\n")[0].decode().split("\r\n")[1:]
    pairs = [line.split(": ", 1) for line in lines]
    assert len({name.lower() for name, _ in pairs}) == len(pairs), "a header was sent twice"
    return {name.lower(): value for name, value in pairs}


# The request


@pytest.mark.parametrize(
    ("form", "line"),
    [
        (Form.LEGACY, b"POST /open_api/v1.3/pixel/batch/ HTTP/1.1"),
        (Form.WEB, b"POST /open_api/v1.3/event/track/ HTTP/1.1"),
        (Form.OFFLINE, b"POST /open_api/v1.3/event/track/ HTTP/1.1"),
    ],
)
def test_a_request_is_a_post_of_the_body_with_the_token_in_its_own_header(
    serve: Serve, connect: Connect, form: Form, line: bytes
) -> None:
    server = serve(http_reply(ACCEPTED))
    reply = connect(server.port).post(form, BODY, TOKEN)
    assert outcome(reply) == (200, None, True)
    assert reply.body == ACCEPTED
    assert reply.started_at == 1_700_000_000.0
    assert 0 < reply.elapsed_secs < READ_TIMEOUT_SECS
    assert server.requests[0].startswith(line)
    assert server.requests[0].endswith(b"\r\n\r\n" + BODY)
    sent = headers_of(server.requests[0])
    agent = sent.pop("user-agent")
    assert agent.startswith("tiktok-events-pipeline")
    assert sent == {
        "host": f"127.0.0.1:{server.port}",
        "access-token": TOKEN,
        "content-type": "application/json",
        "content-length": str(len(BODY)),
        "accept": "application/json",
        "accept-encoding": "gzip",
    }


def test_a_body_of_many_pieces_arrives_whole(serve: Serve, connect: Connect) -> None:
    server = serve(http_reply(ACCEPTED))
    body = bytes(range(256)) * 4_000
    assert outcome(connect(server.port, read_timeout_secs=5).post(Form.WEB, body, TOKEN)) == (200, None, True)
    assert server.requests[0].endswith(b"\r\n\r\n" + body)


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize(("runs", "run_bytes"), [(400, 17_000), (3, 3_000_000), (3, 9)])
def test_a_body_of_joined_events_arrives_whole(
    serve: Serve,
    connect: Connect,
    tls: ssl.SSLContext,
    authority: Authority,
    scheme: str,
    runs: int,
    run_bytes: int,
) -> None:
    def wait_and_read(server: Server, conn: socket.socket) -> None:
        # Nobody can see that the buffers of both sides are full. By now they are, so the client has to send the rest of
        # a large body in several calls; were they not, the test would ask less, but hold.
        time.sleep(0.1)
        server.requests.append(read_request(conn))
        conn.sendall(http_reply(ACCEPTED))

    server = serve(behave=wait_and_read, tls=tls if scheme == "https" else None)
    api = connect(server.port, scheme, read_timeout_secs=5, ca_file=str(authority.ca_path))
    wrap = make_envelope(Connection(event_source_id="P1"), Form.WEB)
    events = [b'{"n":%0*d}' % (run_bytes - 6, number) for number in range(runs)]
    assert outcome(api.post(Form.WEB, wrap.body([memoryview(event) for event in events]), TOKEN)) == (200, None, True)
    assert server.requests[0].partition(b"\r\n\r\n")[2] == wrap.join(events)


def test_bodies_are_compressed_if_the_connection_says_so(serve: Serve, connect: Connect) -> None:
    server = serve(http_reply(ACCEPTED))
    connect(server.port, gzip_requests=True).post(Form.WEB, BODY * 100, TOKEN)
    head, _, packed = server.requests[0].partition(b"\r\n\r\n")
    assert headers_of(head)["content-encoding"] == "gzip"
    assert gzip.decompress(packed) == BODY * 100
    assert len(packed) < len(BODY) * 10


@pytest.mark.parametrize("token", ["", "two words", "line\r\nX-Evil: 1", "tab\there", "tökén", "\x00"])
def test_a_token_that_no_header_can_carry_is_refused_without_showing_it(connect: Connect, token: str) -> None:
    with pytest.raises(ValueError, match="holds characters that no HTTP header can carry") as caught:
        connect(9).post(Form.WEB, BODY, token)
    assert not token or token not in str(caught.value)


def test_a_checkout_that_is_not_installed_has_a_name_too(
    serve: Serve, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    def not_installed(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", not_installed)
    server = serve(http_reply(ACCEPTED))
    connect(server.port).post(Form.WEB, BODY, TOKEN)
    assert headers_of(server.requests[0])["user-agent"] == "tiktok-events-pipeline"


def test_a_base_in_clear_to_another_machine_is_refused(connect: Connect) -> None:
    with pytest.raises(ValueError, match="use https://"):
        connect(80, host="business-api.tiktok.com")


def test_netrc_is_not_read(serve: Serve, connect: Connect, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in (".netrc", "_netrc", "netrc"):
        (tmp_path / name).write_text("machine 127.0.0.1 login jane password pass5word\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    server = serve(http_reply(ACCEPTED))
    assert connect(server.port).post(Form.WEB, BODY, TOKEN).status == 200
    assert "authorization" not in headers_of(server.requests[0])


def test_cookies_are_not_kept(serve: Serve, connect: Connect) -> None:
    server = serve(http_reply(ACCEPTED, headers="Set-Cookie: session=1; Path=/\r\n"))
    api = connect(server.port)
    api.post(Form.WEB, BODY, TOKEN)
    api.post(Form.WEB, BODY, TOKEN)
    assert ["cookie" in headers_of(request) for request in server.requests] == [False, False]


# Connections


def test_requests_in_a_row_share_one_connection(serve: Serve, connect: Connect) -> None:
    server = serve(http_reply(ACCEPTED))
    api = connect(server.port)
    assert [api.post(Form.WEB, BODY, TOKEN).status for _ in range(20)] == [200] * 20
    assert server.connections == 1


def test_replies_without_code_keep_the_connection_too(serve: Serve, connect: Connect) -> None:
    server = serve(http_reply(b"<html>", "502 Bad Gateway"), http_reply(b"", "301 Moved"), http_reply(ACCEPTED))
    api = connect(server.port)
    assert [api.post(Form.WEB, BODY, TOKEN).status for _ in range(3)] == [502, 301, 200]
    assert server.connections == 1


def test_threads_share_one_client_and_open_no_more_connections_than_there_are_threads(
    serve: Serve, connect: Connect
) -> None:
    server = serve(http_reply(ACCEPTED))
    api = connect(server.port, max_in_flight=4, read_timeout_secs=5)
    bodies = [b'{"data":[%d]}' % number for number in range(200)]
    with ThreadPoolExecutor(4) as pool:
        replies = list(pool.map(lambda body: api.post(Form.WEB, body, TOKEN), bodies))
    assert {outcome(reply) for reply in replies} == {(200, None, True)}
    assert sorted(request.partition(b"\r\n\r\n")[2] for request in server.requests) == sorted(bodies)
    assert server.connections <= 4


def test_a_connection_that_the_server_closed_meanwhile_is_replaced(serve: Serve, connect: Connect) -> None:
    closed = threading.Event()

    def one_request(server: Server, conn: socket.socket) -> None:
        server.requests.append(read_request(conn))
        conn.sendall(http_reply(ACCEPTED))
        conn.close()
        closed.set()

    server = serve(behave=one_request)
    api = connect(server.port)
    for _ in range(3):
        closed.clear()
        assert outcome(api.post(Form.WEB, BODY, TOKEN)) == (200, None, True)
        closed.wait(5)
    assert server.connections == 3


@pytest.mark.parametrize(
    "reply",
    [
        http_reply(ACCEPTED, headers="Connection: close\r\n"),
        http_reply(ACCEPTED) + http_reply(ACCEPTED),
        http_reply(ACCEPTED) + b"and more",
    ],
    ids=["close", "two replies", "more than the reply"],
)
def test_a_connection_that_is_not_to_be_trusted_any_more_is_replaced(
    serve: Serve, connect: Connect, reply: bytes
) -> None:
    server = serve(reply)
    api = connect(server.port)
    assert [outcome(api.post(Form.WEB, BODY, TOKEN)) for _ in range(3)] == [(200, None, True)] * 3
    assert server.connections == 3


def test_connections_are_closed_with_the_client(serve: Serve, connect: Connect) -> None:
    closed = threading.Event()

    def answer(server: Server, conn: socket.socket) -> None:
        server.answer(conn, http_reply(ACCEPTED))
        closed.set()

    api = connect(serve(behave=answer).port)
    api.post(Form.WEB, BODY, TOKEN)
    assert not closed.is_set()
    api.close()
    assert closed.wait(2)


# Trouble before the body


def test_a_refused_connection_sent_nothing(connect: Connect) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    assert outcome(connect(port).post(Form.WEB, BODY, TOKEN)) == (None, NetworkTrouble.NOT_CONNECTED, False)


def test_an_unknown_host_sent_nothing(connect: Connect) -> None:
    reply = connect(443, "https", "no-such-host.invalid").post(Form.WEB, BODY, TOKEN)
    assert outcome(reply) == (None, NetworkTrouble.NOT_CONNECTED, False)


@pytest.mark.parametrize("host", ["a" * 70 + ".example", "exa mple.com", "-a.example", "a..example"])
def test_a_host_name_that_cannot_be_one_is_refused(connect: Connect, host: str) -> None:
    with pytest.raises(ValueError, match="name or address of a host"):
        connect(443, "https", host)


def test_a_connection_that_does_not_come_about_in_time_sent_nothing(connect: Connect) -> None:
    with contextlib.ExitStack() as stack:
        # With its queue full, a listener that accepts nothing leaves further greetings without an answer.
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(4):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        reply = connect(listener.getsockname()[1], connect_timeout_secs=0.2).post(Form.WEB, BODY, TOKEN)
    assert outcome(reply) == (None, NetworkTrouble.NOT_CONNECTED, False)
    assert 0.2 <= reply.elapsed_secs < 1


def test_a_certificate_of_an_unknown_authority_is_refused_before_anything_is_sent(
    serve: Serve, connect: Connect, tls: ssl.SSLContext
) -> None:
    server = serve(http_reply(ACCEPTED), tls=tls)
    assert outcome(connect(server.port, "https").post(Form.WEB, BODY, TOKEN)) == (None, NetworkTrouble.TLS, False)
    assert server.requests == []


def test_a_server_without_tls_gets_nothing(serve: Serve, connect: Connect) -> None:
    def greet(_: Server, conn: socket.socket) -> None:
        conn.recv(65536)
        conn.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")

    server = serve(behave=greet)
    assert outcome(connect(server.port, "https").post(Form.WEB, BODY, TOKEN)) == (None, NetworkTrouble.TLS, False)


@pytest.mark.parametrize("how", ["waits", "closes", "resets"])
def test_a_tls_greeting_that_breaks_off_sent_nothing(serve: Serve, connect: Connect, how: str) -> None:
    def break_off(server: Server, conn: socket.socket) -> None:
        conn.recv(65536)
        if how == "waits":
            server.over.wait(5)
        elif how == "resets":
            reset(conn)

    server = serve(behave=break_off)
    reply = connect(server.port, "https", connect_timeout_secs=0.3).post(Form.WEB, BODY, TOKEN)
    assert outcome(reply) == (None, NetworkTrouble.NOT_CONNECTED, False)
    assert reply.elapsed_secs < 1


def test_a_trusted_certificate_is_accepted_and_the_deadline_holds_there_too(
    serve: Serve, connect: Connect, tls: ssl.SSLContext, authority: Authority
) -> None:
    dripping = http_reply(ACCEPTED)[:-1]
    server = serve(http_reply(ACCEPTED), http_reply(ACCEPTED), dripping, tls=tls)
    api = connect(server.port, "https", ca_file=str(authority.ca_path))
    replies = [api.post(Form.WEB, BODY, TOKEN) for _ in range(3)]
    assert [outcome(reply) for reply in replies] == [
        (200, None, True),
        (200, None, True),
        (200, NetworkTrouble.TIMED_OUT, True),
    ]
    assert server.connections == 1


# Trouble after the body, or a part of it, has left


def test_a_reset_in_the_middle_of_the_body_is_ambiguous(serve: Serve, connect: Connect) -> None:
    def reset_early(_: Server, conn: socket.socket) -> None:
        conn.recv(4096)
        reset(conn)

    server = serve(behave=reset_early)
    # More than the buffers of both sides hold, so the reset meets a body on its way.
    reply = connect(server.port, read_timeout_secs=5).post(Form.WEB, b"x" * 20_000_000, TOKEN)
    assert outcome(reply) == (None, NetworkTrouble.BROKEN, True)


@pytest.mark.parametrize("how", ["resets", "closes", "babbles", "upgrades", "stops in the headers"])
def test_a_connection_that_ends_without_a_reply_is_ambiguous(serve: Serve, connect: Connect, how: str) -> None:
    def end(server: Server, conn: socket.socket) -> None:
        server.requests.append(read_request(conn))
        if how == "resets":
            reset(conn)
        elif how == "babbles":
            conn.sendall(b"220 smtp.example.com ESMTP\r\n")
        elif how == "upgrades":
            conn.sendall(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n")
        elif how == "stops in the headers":
            conn.sendall(b"HTTP/1.1 200 OK\r\nContent-Le")

    server = serve(behave=end)
    reply = connect(server.port).post(Form.WEB, BODY, TOKEN)
    assert outcome(reply) == (None, NetworkTrouble.BROKEN, True)
    assert reply.body == b""


def test_half_a_reply_is_ambiguous(serve: Serve, connect: Connect) -> None:
    def half(server: Server, conn: socket.socket) -> None:
        server.requests.append(read_request(conn))
        conn.sendall(http_reply(ACCEPTED)[:-20])

    assert outcome(connect(serve(behave=half).port).post(Form.WEB, BODY, TOKEN)) == (200, NetworkTrouble.BROKEN, True)


def test_headers_without_end_are_not_kept(serve: Serve, connect: Connect) -> None:
    def pour(server: Server, conn: socket.socket) -> None:
        server.requests.append(read_request(conn))
        conn.sendall(b"HTTP/1.1 200 OK\r\n")
        while not server.over.is_set():
            conn.sendall(b"X-More: 1\r\n" * 1_000)

    reply = connect(serve(behave=pour).port, read_timeout_secs=5).post(Form.WEB, BODY, TOKEN)
    assert outcome(reply) == (None, NetworkTrouble.BROKEN, True)
    assert reply.elapsed_secs < 2


def test_a_reply_that_does_not_come_in_time_is_ambiguous(serve: Serve, connect: Connect) -> None:
    def wait(server: Server, conn: socket.socket) -> None:
        server.requests.append(read_request(conn))
        server.over.wait(5)

    reply = connect(serve(behave=wait).port).post(Form.WEB, BODY, TOKEN)
    assert outcome(reply) == (None, NetworkTrouble.TIMED_OUT, True)
    assert READ_TIMEOUT_SECS <= reply.elapsed_secs < READ_TIMEOUT_SECS + 0.5


@pytest.mark.parametrize(
    ("start", "status"),
    [
        (b"HTTP/1.1 200 OK\r\nX-Drip: ", None),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n", 200),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffff\r\n", 200),
        (b"HTTP/1.1 301 Moved\r\nLocation: /\r\nContent-Length: 100000\r\n\r\n", 301),
    ],
    ids=["headers", "body", "chunked", "redirect"],
)
def test_a_reply_that_drips_for_ever_ends_with_the_read_time_out(
    serve: Serve, connect: Connect, start: bytes, status: int | None
) -> None:
    def drip(server: Server, conn: socket.socket) -> None:
        server.requests.append(read_request(conn))
        conn.sendall(start)
        while not server.over.wait(0.02):
            conn.sendall(b"x")

    reply = connect(serve(behave=drip).port).post(Form.WEB, BODY, TOKEN)
    assert outcome(reply) == (status, NetworkTrouble.TIMED_OUT, True)
    assert READ_TIMEOUT_SECS <= reply.elapsed_secs < READ_TIMEOUT_SECS + 0.5


def test_a_reply_that_floods_in_tiny_pieces_ends_with_the_read_time_out(serve: Serve, connect: Connect) -> None:
    def flood(server: Server, conn: socket.socket) -> None:
        server.requests.append(read_request(conn))
        conn.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while not server.over.is_set():
            conn.sendall((b"1;" + b"y" * 1_000 + b"\r\nx\r\n") * 100)

    reply = connect(serve(behave=flood).port).post(Form.WEB, BODY, TOKEN)
    assert outcome(reply) == (200, NetworkTrouble.TIMED_OUT, True)
    assert READ_TIMEOUT_SECS <= reply.elapsed_secs < READ_TIMEOUT_SECS + 0.5


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_body_that_nobody_takes_ends_in_time(
    serve: Serve, connect: Connect, tls: ssl.SSLContext, authority: Authority, scheme: str
) -> None:
    server = serve(behave=lambda server, _: server.over.wait(5) and None, tls=tls if scheme == "https" else None)
    api = connect(server.port, scheme, connect_timeout_secs=0.3, ca_file=str(authority.ca_path))
    reply = api.post(Form.WEB, b"x" * 20_000_000, TOKEN)
    assert outcome(reply) == (None, NetworkTrouble.TIMED_OUT, True)
    assert reply.elapsed_secs < 2


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_body_that_is_taken_too_slowly_ends_in_time(
    serve: Serve, connect: Connect, tls: ssl.SSLContext, authority: Authority, scheme: str
) -> None:
    def sip(server: Server, conn: socket.socket) -> None:
        while not server.over.wait(0.01):
            conn.recv(65536)

    server = serve(behave=sip, tls=tls if scheme == "https" else None)
    api = connect(server.port, scheme, connect_timeout_secs=1, ca_file=str(authority.ca_path))
    reply = api.post(Form.WEB, b"x" * 50_000_000, TOKEN)
    assert outcome(reply) == (None, NetworkTrouble.TIMED_OUT, True)
    assert reply.elapsed_secs < 2


# Replies


def test_an_announcement_is_not_the_reply(serve: Serve, connect: Connect) -> None:
    early = b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\n\r\n"
    server = serve(b"HTTP/1.1 100 Continue\r\n\r\n" + early + http_reply(ACCEPTED))
    api = connect(server.port)
    for _ in range(2):
        reply = api.post(Form.WEB, BODY, TOKEN)
        assert outcome(reply) == (200, None, True)
        assert reply.body == ACCEPTED
    assert server.connections == 1


def test_a_reply_without_a_length_ends_with_its_connection(serve: Serve, connect: Connect) -> None:
    def end(server: Server, conn: socket.socket) -> None:
        server.requests.append(read_request(conn))
        conn.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        conn.sendall(ACCEPTED)

    server = serve(behave=end)
    api = connect(server.port)
    for _ in range(2):
        reply = api.post(Form.WEB, BODY, TOKEN)
        assert outcome(reply) == (200, None, True)
        assert reply.body == ACCEPTED
    assert server.connections == 2


def test_a_reply_that_comes_before_the_body_was_taken_is_read(serve: Serve, connect: Connect) -> None:
    def refuse(_: Server, conn: socket.socket) -> None:
        conn.recv(4096)
        conn.sendall(http_reply(b"too large", "413 Content Too Large"))

    reply = connect(serve(behave=refuse).port, read_timeout_secs=5).post(Form.WEB, b"x" * 20_000_000, TOKEN)
    assert outcome(reply) == (413, None, True)
    assert reply.body == b"too large"


def test_an_html_page_of_a_gateway_is_a_reply(serve: Serve, connect: Connect) -> None:
    page = b"<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>"
    server = serve(http_reply(page, "502 Bad Gateway", "Content-Type: text/html\r\n"))
    reply = connect(server.port).post(Form.WEB, BODY, TOKEN)
    assert outcome(reply) == (502, None, True)
    assert reply.body == page


@pytest.mark.parametrize("status", ["301 Moved Permanently", "302 Found", "307 Temporary Redirect"])
def test_a_redirect_is_a_reply_and_nobody_follows_it(serve: Serve, connect: Connect, status: str) -> None:
    elsewhere = serve(http_reply(ACCEPTED))
    server = serve(http_reply(b"", status, f"Location: http://127.0.0.1:{elsewhere.port}/\r\n"))
    assert outcome(connect(server.port).post(Form.WEB, BODY, TOKEN)) == (int(status[:3]), None, True)
    assert elsewhere.connections == 0


def test_a_huge_reply_is_cut_and_its_connection_given_up(serve: Serve, connect: Connect) -> None:
    server = serve(http_reply(b"y" * (3 * MAX_REPLY_BYTES)))
    api = connect(server.port, read_timeout_secs=5)
    for _ in range(2):
        reply = api.post(Form.WEB, BODY, TOKEN)
        assert outcome(reply) == (200, None, True)
        assert reply.body == b"y" * MAX_REPLY_BYTES
    assert server.connections == 2


@pytest.mark.parametrize("framing", ["Content-Length: {}", "Transfer-Encoding: chunked"])
def test_a_compressed_reply_is_decoded(serve: Serve, connect: Connect, framing: str) -> None:
    packed = gzip.compress(ACCEPTED)
    body = packed if "Length" in framing else b"%x\r\n%b\r\n0\r\n\r\n" % (len(packed), packed)
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n{framing.format(len(packed))}\r\n\r\n"
    server = serve(head.encode() + body)
    api = connect(server.port)
    assert [api.post(Form.WEB, BODY, TOKEN).body for _ in range(2)] == [ACCEPTED, ACCEPTED]
    assert server.connections == 1


def test_a_reply_that_was_compressed_in_two_parts_is_decoded(serve: Serve, connect: Connect) -> None:
    packed = gzip.compress(ACCEPTED[:20]) + gzip.compress(ACCEPTED[20:])
    server = serve(http_reply(packed, headers="Content-Encoding: gzip\r\n"))
    assert connect(server.port).post(Form.WEB, BODY, TOKEN).body == ACCEPTED


def test_a_reply_that_was_cut_after_it_was_compressed_is_ambiguous(serve: Serve, connect: Connect) -> None:
    server = serve(http_reply(gzip.compress(ACCEPTED)[:-10], headers="Content-Encoding: gzip\r\n"))
    assert outcome(connect(server.port).post(Form.WEB, BODY, TOKEN)) == (200, NetworkTrouble.BROKEN, True)


def test_a_reply_that_unpacks_to_far_more_is_cut(serve: Serve, connect: Connect) -> None:
    bomb = gzip.compress(b"z" * 200_000_000, compresslevel=1)
    server = serve(http_reply(bomb, headers="Content-Encoding: gzip\r\n"))
    reply = connect(server.port, read_timeout_secs=5).post(Form.WEB, BODY, TOKEN)
    assert reply.body == b"z" * MAX_REPLY_BYTES


def test_a_reply_that_cannot_be_unpacked_is_ambiguous(serve: Serve, connect: Connect) -> None:
    server = serve(http_reply(b"no gzip at all", headers="Content-Encoding: gzip\r\n"))
    assert outcome(connect(server.port).post(Form.WEB, BODY, TOKEN)) == (200, NetworkTrouble.BROKEN, True)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("7", 7.0),
        (" 120 ", 120.0),
        ("0", 0.0),
        # The client's clock stands at 1,700,000,000: Tue, 14 Nov 2023 22:13:20 GMT.
        ("Tue, 14 Nov 2023 22:13:50 GMT", 30.0),
        ("Tue, 14 Nov 2023 22:13:00 GMT", 0.0),
        ("-5", None),
        ("1.5", None),
        ("soon", None),
        ("", None),
        ("9" * 5000, 9_999_999_999.0),
    ],
)
def test_retry_after_is_read_as_seconds_or_date(
    serve: Serve, connect: Connect, value: str, expected: float | None
) -> None:
    server = serve(http_reply(b"", "429 Too Many Requests", f"Retry-After: {value}\r\n"))
    reply = connect(server.port).post(Form.WEB, BODY, TOKEN)
    assert (reply.status, reply.retry_after_secs) == (429, expected)


# Secrecy


def test_neither_logs_nor_replies_show_the_token_or_the_body(
    serve: Serve, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    server = serve(http_reply(b'{"code":40002,"message":"canary-town"}'))
    gone = serve(behave=lambda _, conn: reset(conn))
    replies = [connect(port).post(Form.WEB, BODY, TOKEN) for port in (server.port, gone.port, 9)]
    shown = caplog.text + repr(replies) + repr([vars(record) for record in caplog.records])
    assert TOKEN not in shown
    assert "canary-town" not in shown
