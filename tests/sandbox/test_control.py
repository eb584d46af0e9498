"""The control interface, the command, and the client that starts it."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import pytest
import requests

from sandbox import __main__ as command
from sandbox.tiktok.control import Sandbox, SandboxError
from sandbox.tiktok.faults import Answer, Html

Make = Callable[..., dict[str, Any]]
Post = Callable[..., requests.Response]

ROOT = Path(__file__).resolve().parents[2]


def control(sandbox: Sandbox, name: str) -> str:
    return urljoin(sandbox.api_url, f"/_sandbox/{name}")


def started(*arguments: str, **options: Any) -> tuple["subprocess.Popen[str]", str]:
    """Returns a started sandbox and the line that it prints."""
    process = subprocess.Popen(
        [sys.executable, "-m", "sandbox", *arguments], stdout=subprocess.PIPE, text=True, cwd=ROOT, **options
    )
    assert process.stdout is not None
    return process, process.stdout.readline()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_says_when_it_is_ready_and_ends_when_told(number: signal.Signals) -> None:
    process, line = started("--port", "0")
    try:
        assert line.startswith("READY http://127.0.0.1:")
        url = line.split()[1]
        assert urlsplit(url).path == "/open_api/v1.3/"
        with requests.Session() as session:
            assert session.post(url + "event/track/").json()["code"] == 40104
            process.send_signal(number)
            assert process.wait(10) == 0
    finally:
        process.kill()
        process.communicate()


def test_it_ends_with_the_process_that_started_it() -> None:
    process, line = started("--until-stdin-closes", stdin=subprocess.PIPE)
    try:
        assert line.startswith("READY ")
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(10) == 0
    finally:
        process.kill()
        process.wait()


def test_without_tokens_every_token_is_good(track: Make) -> None:
    with Sandbox(tokens=()) as sandbox:
        url = sandbox.api_url + "event/track/"
        assert requests.post(url, json=track(), headers={"Access-Token": "any"}, timeout=10).json()["code"] == 0
        sandbox.revoke("any")
        assert requests.post(url, json=track(), headers={"Access-Token": "any"}, timeout=10).json()["code"] == 40105
        sandbox.accept_token("any")
        assert requests.post(url, json=track(), headers={"Access-Token": "any"}, timeout=10).json()["code"] == 0
        assert requests.post(url, json=track(), timeout=10).json()["code"] == 40104


def test_only_loopback_addresses_are_allowed(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--host", "192.0.2.1"]) == 2
    assert "loopback" in capsys.readouterr().err


@pytest.mark.parametrize("port", ["70000", "-1", "http"])
def test_a_port_that_cannot_be_is_wrong_usage(port: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        command.main(["--port", port])
    assert ended.value.code == 2
    assert "is no port" in capsys.readouterr().err


def test_a_port_that_is_taken_is_reported(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert command.main(["--port", port]) == 1
        assert f"cannot listen on 127.0.0.1:{port}" in capsys.readouterr().err
        with pytest.raises(SandboxError, match="did not start"):
            Sandbox(port=int(port)).start()


def test_the_client_starts_it_from_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with Sandbox(tokens=("t1", "t2"), keep_bodies=True) as sandbox:
        assert (sandbox.token, sandbox.url) == ("t1", sandbox.api_url)
        for token in ("t1", "t2"):
            reply = requests.post(sandbox.url + "event/track/", headers={"Access-Token": token}, timeout=10).json()
            assert reply["code"] == 40000
        assert len(sandbox.bodies()) == 2
        url = sandbox.url
    with pytest.raises(requests.ConnectionError):
        requests.get(url, timeout=10)
    sandbox.stop()


def test_reset_sets_everything_back(sandbox: Sandbox, post: Post, track: Make) -> None:
    start = sandbox.stats()
    post("event/track/", track("a"))
    sandbox.fault(Html())
    sandbox.settings(index_text=False, requests_per_second=1, keep_bodies=True)
    sandbox.advance_clock(1e6)
    sandbox.revoke()
    sandbox.reset()
    assert sandbox.applied() == []
    assert sandbox.accepted() == {}
    assert (sandbox.settings().index_text, sandbox.settings().requests_per_second) == (True, None)
    stats = sandbox.stats()
    assert stats.cpu_secs >= start.cpu_secs
    stats.cpu_secs = start.cpu_secs
    assert stats == start
    assert post("event/track/", track("a")).json()["code"] == 0


def test_curl_can_do_it_too(sandbox: Sandbox, session: requests.Session, post: Post, track: Make) -> None:
    """A list sets the rules, an object adds one; the answer shows what is set."""
    answer = session.post(control(sandbox, "faults"), data='[{"action": "html"}]')
    assert [row["rule"]["action"] for row in answer.json()] == ["html"]
    answer = session.post(control(sandbox, "faults"), data='{"action": "answer", "code": 50000}')
    assert [row["rule"]["action"] for row in answer.json()] == ["html", "answer"]
    assert sandbox.applied()[1].rule == Answer(code=50000)
    assert session.post(control(sandbox, "faults"), data="[]").json() == []
    assert session.get(control(sandbox, "faults")).json() == []
    assert session.post(control(sandbox, "clock"), data='{"advance_secs": 60}').json()["offset_secs"] == 60
    assert session.get(control(sandbox, "settings")).json()["index_text"] is True
    post("event/track/", track("a", "b"))
    lines = session.get(control(sandbox, "accepted?format=ndjson")).text.splitlines()
    assert [json.loads(line) for line in lines] == [
        ["PIXEL", "PlaceAnOrder", "a", 1],
        ["PIXEL", "PlaceAnOrder", "b", 1],
    ]
    assert sandbox.stats().requests == 1


@pytest.mark.parametrize(
    ("method", "name", "body", "status"),
    [
        ("POST", "faults", '{"action": "explode"}', 400),
        ("POST", "faults", "", 400),
        ("POST", "settings", '{"unknown": 1}', 400),
        ("POST", "settings", '{"requests_per_second": "many"}', 400),
        ("POST", "clock", "{}", 400),
        ("POST", "token", '{"forget": "x"}', 400),
        ("GET", "accepted?format=csv", None, 400),
        ("GET", "nothing", None, 404),
        ("POST", "stats", "{}", 404),
        ("DELETE", "faults", None, 404),
    ],
)
def test_a_wrong_order_is_explained(
    sandbox: Sandbox, session: requests.Session, method: str, name: str, body: str | None, status: int
) -> None:
    response = session.request(method, control(sandbox, name), data=body)
    assert response.status_code == status
    assert response.json()["error"]


def test_the_client_passes_explanations_on(sandbox: Sandbox) -> None:
    with pytest.raises(SandboxError, match="unknown field `nonsense`"):
        sandbox.settings(nonsense=True)


def test_many_keys_are_streamed(sandbox: Sandbox, post: Post, track: Make) -> None:
    for number in range(5):
        ids = [f"{number}-{index}" for index in range(1000)]
        assert post("event/track/", track(*ids, source_id=f"S{number % 2}")).json()["code"] == 0
    accepted = sandbox.accepted()
    assert len(accepted) == 5000
    assert set(accepted.values()) == {1}


def test_a_broken_request_is_answered_and_the_connection_closed(sandbox: Sandbox) -> None:
    base = urlsplit(sandbox.api_url)
    with socket.create_connection((base.hostname, base.port), timeout=10) as connection:
        connection.sendall(b"NOT HTTP\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 400 ")
        assert connection.recv(100) == b""


def test_requests_sent_without_waiting_are_answered_in_order(sandbox: Sandbox) -> None:
    base = urlsplit(sandbox.api_url)
    request = b"POST /open_api/v1.3/%b HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n%b\r\n"
    with socket.create_connection((base.hostname, base.port), timeout=10) as connection:
        connection.sendall(request % (b"event/track/", b"") + request % (b"nothing/", b"Connection: close\r\n"))
        replies = b""
        while part := connection.recv(65536):
            replies += part
    assert [int(code) for code in re.findall(rb'"code":(\d+)', replies)] == [40104, 40400]


def test_a_client_that_asks_first_is_told_to_go_on(sandbox: Sandbox, track: Make) -> None:
    """As curl does for bodies above 1 MB."""
    base = urlsplit(sandbox.api_url)
    body = json.dumps(track()).encode()
    head = f"POST /open_api/v1.3/event/track/ HTTP/1.1\r\nHost: x\r\nAccess-Token: {sandbox.token}\r\n"
    head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\nExpect: 100-continue\r\n\r\n"
    with socket.create_connection((base.hostname, base.port), timeout=10) as connection:
        connection.sendall(head.encode())
        assert connection.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(body)
        assert b'"code":0' in connection.recv(65536)


def test_nothing_personal_is_logged(track: Make, tmp_path: Path) -> None:
    log = tmp_path / "log"
    with log.open("w") as errors:
        process, line = started("--token", "sesame-canary", "--log-level", "debug", stderr=errors)
        try:
            url = line.split()[1] + "event/track/"
            body = track()
            body["data"][0]["user"]["email"] = ["canary@example.com"]
            for token in ("sesame-canary", "other-canary"):
                requests.post(url, json=body, headers={"Access-Token": token}, timeout=10)
            os.kill(process.pid, signal.SIGTERM)
            process.wait(10)
        finally:
            process.kill()
            process.communicate()
    assert "code 40062" in log.read_text()
    assert "canary" not in log.read_text()
