"""Proxies and certificate authorities, through real sockets: settings first, then the environment; errors name both."""

import base64
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from loopback import Authority, Server, http_reply, read_request

from transforms.connection import Connection
from transforms.tiktok.client import ApiReply, EventsApi, NetworkTrouble
from transforms.tiktok.route import find_route
from transforms.tiktok.verdict import read_reply
from transforms.vocabulary import Form

TOKEN = "0123456789abcdef0123456789abcdef01234567"
BODY = b'{"data":[{"event":"Purchase","city":"canary-town"}]}'
ACCEPTED = b'{"code":0,"message":"OK"}'
# No name server knows it; the proxy of these tests takes every name for this machine.
HOST = "tiktok.invalid"
NOBODY = "http://127.0.0.1:9"

Serve = Callable[..., Server]
Connect = Callable[..., EventsApi]
pytestmark = pytest.mark.usefixtures("no_environment")


def outcome(reply: ApiReply) -> tuple[int | None, NetworkTrouble | None, bool]:
    return reply.status, reply.trouble, reply.sent


@pytest.fixture
def server(serve: Serve, authority: Authority) -> Server:
    return serve(http_reply(ACCEPTED), tls=authority.server_tls)


@pytest.fixture
def proxy(serve: Serve) -> Server:
    """A proxy that opens tunnels: `connections` counts them, `requests` holds what the proxy itself has read."""
    return serve(behave=Server.tunnel)


@pytest.fixture
def reach(connect: Connect, authority: Authority) -> Connect:
    """Makes a client of a server that has a name only a proxy knows, and whose authority is trusted."""

    def make(server: Server, **settings: object) -> EventsApi:
        return connect(server.port, "https", HOST, **{"ca_file": str(authority.ca_path), **settings})

    return make


def at(proxy: Server, scheme: str = "http", login: str = "") -> str:
    return f"{scheme}://{login}127.0.0.1:{proxy.port}"


# Through a proxy


def test_requests_in_a_row_share_one_tunnel_and_the_proxy_sees_only_where_to(
    reach: Connect, server: Server, proxy: Server
) -> None:
    api = reach(server, proxy_url=at(proxy))
    assert [outcome(api.post(Form.WEB, BODY, TOKEN)) for _ in range(20)] == [(200, None, True)] * 20
    assert (proxy.connections, server.connections, len(server.requests)) == (1, 1, 20)
    (head,) = proxy.requests
    assert head.startswith(f"CONNECT {HOST}:{server.port} HTTP/1.".encode())
    assert TOKEN.encode() not in head
    assert b"access-token" not in head.lower()


def test_threads_open_no_more_tunnels_than_there_are_threads(reach: Connect, server: Server, proxy: Server) -> None:
    api = reach(server, proxy_url=at(proxy), max_in_flight=4, read_timeout_secs=5)
    with ThreadPoolExecutor(4) as pool:
        replies = list(pool.map(lambda _: api.post(Form.WEB, BODY, TOKEN), range(100)))
    assert {outcome(reply) for reply in replies} == {(200, None, True)}
    assert proxy.connections <= 4


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"])
def test_the_environments_proxy_is_used(
    reach: Connect, server: Server, proxy: Server, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, at(proxy).removeprefix("http://" if name == "HTTPS_PROXY" else ""))
    assert outcome(reach(server).post(Form.WEB, BODY, TOKEN)) == (200, None, True)
    assert proxy.connections == 1


@pytest.mark.parametrize("name", ["NO_PROXY", "no_proxy"])
@pytest.mark.parametrize("value", ["*", HOST, ".invalid", f"other.example, {HOST}"])
def test_hosts_that_no_proxy_names_are_reached_without_one(
    reach: Connect, server: Server, proxy: Server, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", at(proxy))
    monkeypatch.setenv(name, value)
    assert find_route(Connection(event_source_id="P1", api_url=f"https://{HOST}/")).proxy is None
    assert outcome(reach(server).post(Form.WEB, BODY, TOKEN)) == (None, NetworkTrouble.NOT_CONNECTED, False)
    assert proxy.connections == 0


def test_the_setting_wins_over_the_environment(
    reach: Connect, server: Server, proxy: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("HTTPS_PROXY", NOBODY), ("https_proxy", NOBODY), ("NO_PROXY", "*")):
        monkeypatch.setenv(name, value)
    assert outcome(reach(server, proxy_url=at(proxy)).post(Form.WEB, BODY, TOKEN)) == (200, None, True)
    assert proxy.connections == 1


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_this_machine_is_reached_without_a_proxy_whatever_names_one(
    connect: Connect, serve: Serve, proxy: Server, monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, at(proxy))
    server = serve(http_reply(ACCEPTED))
    for settings in ({}, {"proxy_url": at(proxy)}):
        assert connect(server.port, host=host, **settings).post(Form.WEB, BODY, TOKEN).status == 200
    assert proxy.connections == 0


def test_user_and_password_of_the_environment_are_given_to_the_proxy_and_shown_nowhere(
    reach: Connect, server: Server, proxy: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", at(proxy, login="jane:pass5word@"))
    assert reach(server).post(Form.WEB, BODY, TOKEN).status == 200
    assert base64.b64encode(b"jane:pass5word") in proxy.requests[0]
    assert b"Authorization" not in server.requests[0]
    monkeypatch.setenv("HTTPS_PROXY", "http://jane:pass5word@127.0.0.1:9")
    reply = reach(server).post(Form.WEB, BODY, TOKEN)
    assert reply.route_note == "through the proxy 127.0.0.1:9 of HTTPS_PROXY"
    route = find_route(Connection(event_source_id="P1"))
    assert "pass5word" in str(route.proxy)
    assert "pass5word" not in repr(route) + str(route)


def test_a_proxy_that_speaks_tls_itself_has_to_be_trusted_too(
    connect: Connect, reach: Connect, server: Server, serve: Serve, authority: Authority
) -> None:
    proxy = serve(behave=Server.tunnel, tls=authority.server_tls)
    api = reach(server, proxy_url=at(proxy, "https"), read_timeout_secs=5)
    assert [outcome(api.post(Form.WEB, BODY * 9_000, TOKEN)) for _ in range(2)] == [(200, None, True)] * 2
    assert proxy.connections == 1
    reply = connect(server.port, "https", HOST, proxy_url=at(proxy, "https")).post(Form.WEB, BODY, TOKEN)
    assert outcome(reply) == (None, NetworkTrouble.TLS, False)
    assert "ca_file" in str(reply.route_note)


# Trouble with a proxy


def test_a_proxy_that_is_down_is_named(reach: Connect, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    reply = reach(server, proxy_url=NOBODY).post(Form.WEB, BODY, TOKEN)
    assert outcome(reply) == (None, NetworkTrouble.NOT_CONNECTED, False)
    assert read_reply(reply, [], {}).message == "no connection to TikTok, through the proxy 127.0.0.1:9 of proxy_url"
    monkeypatch.setenv("all_proxy", "127.0.0.1:9")
    reply = reach(server).post(Form.WEB, BODY, TOKEN)
    assert outcome(reply) == (None, NetworkTrouble.NOT_CONNECTED, False)
    assert reply.route_note == "through the proxy 127.0.0.1:9 of all_proxy"


@pytest.mark.parametrize("status", ["407 Proxy Authentication Required", "502 Bad Gateway", "403 Forbidden"])
def test_a_proxy_that_opens_no_tunnel_is_named_with_its_answer(
    reach: Connect, server: Server, serve: Serve, status: str
) -> None:
    proxy = serve(http_reply(b"<html>", status))
    reply = reach(server, proxy_url=at(proxy)).post(Form.WEB, BODY, TOKEN)
    assert outcome(reply) == (None, NetworkTrouble.NOT_CONNECTED, False)
    assert reply.route_note == f"through the proxy 127.0.0.1:{proxy.port} of proxy_url, which answered {status[:3]}"
    assert server.connections == 0


@pytest.mark.parametrize("how", ["waits", "drips", "closes", "babbles"])
def test_a_proxy_that_does_not_answer_has_nothing(reach: Connect, server: Server, serve: Serve, how: str) -> None:
    def behave(proxy: Server, conn: socket.socket) -> None:
        read_request(conn)
        if how == "waits":
            proxy.over.wait(5)
        elif how == "drips":
            conn.sendall(b"HTTP/1.1 200 OK\r\nX-Drip: ")
            while not proxy.over.wait(0.02):
                conn.sendall(b"x")
        elif how == "babbles":
            conn.sendall(b"220 smtp.example.com ESMTP\r\n")

    api = reach(server, proxy_url=at(serve(behave=behave)), connect_timeout_secs=0.3)
    reply = api.post(Form.WEB, BODY, TOKEN)
    assert outcome(reply) == (None, NetworkTrouble.NOT_CONNECTED, False)
    assert reply.elapsed_secs < 1


def test_a_tunnel_that_breaks_after_the_body_is_ambiguous(reach: Connect, serve: Serve, authority: Authority) -> None:
    def take_and_close(server: Server, conn: socket.socket) -> None:
        server.requests.append(read_request(conn))

    server = serve(behave=take_and_close, tls=authority.server_tls)
    reply = reach(server, proxy_url=at(serve(behave=Server.tunnel))).post(Form.WEB, BODY, TOKEN)
    assert outcome(reply) == (None, NetworkTrouble.BROKEN, True)
    assert reply.route_note is None


def test_a_tunnel_that_was_closed_meanwhile_is_opened_again(reach: Connect, serve: Serve, authority: Authority) -> None:
    closed = threading.Event()

    def one_request(server: Server, conn: socket.socket) -> None:
        server.requests.append(read_request(conn))
        conn.sendall(http_reply(ACCEPTED))
        conn.close()
        closed.set()

    server, proxy = serve(behave=one_request, tls=authority.server_tls), serve(behave=Server.tunnel)
    api = reach(server, proxy_url=at(proxy))
    for _ in range(3):
        closed.clear()
        assert outcome(api.post(Form.WEB, BODY, TOKEN)) == (200, None, True)
        assert closed.wait(5)
        time.sleep(0.05)  # the end has to come through the proxy
    assert proxy.connections == 3


def test_without_a_proxy_an_outage_names_the_setting(connect: Connect) -> None:
    reply = connect(9, "https").post(Form.WEB, BODY, TOKEN)
    assert read_reply(reply, [], {}).message == (
        "no connection to TikTok, without a proxy; "
        "behind a company's proxy set proxy_url, or HTTPS_PROXY on the workers"
    )


# Authorities


@pytest.mark.parametrize("name", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"])
def test_the_environments_authorities_are_trusted(
    connect: Connect, server: Server, authority: Authority, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    assert connect(server.port, "https").post(Form.WEB, BODY, TOKEN).trouble is NetworkTrouble.TLS
    monkeypatch.setenv(name, str(authority.ca_path))
    assert connect(server.port, "https").post(Form.WEB, BODY, TOKEN).status == 200


def test_the_setting_wins_over_the_environments_authorities(
    connect: Connect, server: Server, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"):
        monkeypatch.setenv(name, "/no/such/file.pem")
    api = connect(server.port, "https", ca_file=str(authority.ca_path))
    assert api.post(Form.WEB, BODY, TOKEN).status == 200


def test_a_refused_certificate_names_what_is_trusted_and_how_to_change_it(
    connect: Connect, server: Server, authority: Authority, tmp_path: Path
) -> None:
    reply = connect(server.port, "https").post(Form.WEB, BODY, TOKEN)
    message = read_reply(reply, [], {}).message or ""
    assert message.startswith("TikTok's certificate was refused, or api_url leads to a server without TLS, without a")
    assert "trusting the authorities of certifi" in message
    assert "name its certificate authority in ca_file, or in REQUESTS_CA_BUNDLE or SSL_CERT_FILE" in message
    other = Authority(tmp_path)
    reply = connect(server.port, "https", ca_file=str(other.ca_path)).post(Form.WEB, BODY, TOKEN)
    assert f"trusting the authorities in {other.ca_path} of ca_file" in str(reply.route_note)
    assert server.requests == []


@pytest.mark.parametrize(
    ("make", "cause"),
    [
        (lambda path: None, "cannot be read (No such file or directory)"),
        (lambda path: path.mkdir(), "cannot be read (Is a directory)"),
        (lambda path: path.write_text(""), "holds no certificate in PEM form"),
        (lambda path: path.write_bytes(b"\x30\x82\x01\x0a" * 40), "holds no certificate in PEM form"),
        (lambda path: path.write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"), "in PEM form"),
    ],
    ids=["missing", "folder", "empty", "DER", "broken"],
)
@pytest.mark.parametrize("source", ["ca_file", "SSL_CERT_FILE"])
def test_a_file_without_authorities_is_refused_before_anything_is_sent(
    connect: Connect,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    make: Callable[[Path], object],
    cause: str,
    source: str,
) -> None:
    path = tmp_path / "ca.pem"
    make(path)
    settings = {"ca_file": str(path)} if source == "ca_file" else {}
    if not settings:
        monkeypatch.setenv(source, str(path))
    with pytest.raises(ValueError, match=f"^{source}: ") as caught:
        connect(443, "https", **settings)
    assert cause in str(caught.value)


def test_a_folder_of_authorities_is_for_requests_variable_only(
    connect: Connect, server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path))
    reply = connect(server.port, "https").post(Form.WEB, BODY, TOKEN)
    assert outcome(reply) == (None, NetworkTrouble.TLS, False)
    assert f"{tmp_path} of REQUESTS_CA_BUNDLE" in str(reply.route_note)


# What is refused


def test_a_setting_with_a_password_is_refused_and_shown_nowhere() -> None:
    connection = Connection(event_source_id="P1", proxy_url="http://jane:pass5word@proxy.acme.example:3128")
    with pytest.raises(ValueError, match="^proxy_url: leave out user and password") as caught:
        EventsApi(connection)
    assert "pass5word" not in str(caught.value) + repr(connection)


def test_a_proxy_of_the_environment_that_cannot_be_used_is_refused_by_its_variable(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ALL_PROXY", "socks5://jane:pass5word@proxy.acme.example:1080")
    with pytest.raises(ValueError, match="^ALL_PROXY: write http://HOST:PORT") as caught:
        find_route(Connection(event_source_id="P1"))
    assert "pass5word" not in str(caught.value)


def test_a_proxy_that_is_not_of_the_environment_has_a_source_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("requests.utils.getproxies", lambda: {"https": "http://proxy.acme.example:3128"})
    route = find_route(Connection(event_source_id="P1"))
    assert route.proxy_description == "through the proxy proxy.acme.example:3128 of the system's settings"
