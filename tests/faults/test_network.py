"""The network between pipeline and TikTok, spoilt by Toxiproxy: nothing lost, nothing accepted twice."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import go_programs
import pytest
import toxiproxy

from sandbox.tiktok.control import Sandbox

EVENTS = 4_000
Forward = Callable[..., Any]


@pytest.fixture(scope="module")
def proxy_process() -> Iterator[toxiproxy.Toxiproxy]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    try:
        with toxiproxy.running(port) as running:
            yield running
    except go_programs.ServerUnavailableError as error:
        pytest.skip(str(error))


@pytest.fixture
def proxy(proxy_process: toxiproxy.Toxiproxy, sandbox: Sandbox) -> Iterator[toxiproxy.Toxiproxy]:
    """A proxy before the sandbox; `url` is where to send."""
    upstream = sandbox.api_url.split("/")[2]
    proxy_process.url = sandbox.api_url.replace(upstream, proxy_process.before(upstream))  # type: ignore[attr-defined]
    yield proxy_process
    proxy_process.clear()


def test_latency_costs_time_but_no_event(forward: Forward, proxy: Any) -> None:
    proxy.add("latency", latency=300, jitter=100)
    run = forward(api_url=proxy.url)
    assert run.kinds == {"delivered": EVENTS}
    assert run.summary["retries"] == 0
    assert run.summary["seconds"] > 100 / 8 * 0.2


@pytest.mark.parametrize("stream", ["upstream", "downstream"])
def test_connections_that_are_reset_are_tried_again(
    forward: Forward, proxy: Any, sandbox: Sandbox, stream: str
) -> None:
    """Downstream TikTok did get the request: the repeat must not count."""
    proxy.add("reset_peer", stream, timeout=0)
    timer = threading.Timer(2.0, proxy.remove, ["reset_peer"])
    timer.start()
    run = forward(api_url=proxy.url, max_batch_events=10)
    timer.join()
    assert run.kinds == {"delivered": EVENTS}
    assert run.summary["retries"] >= 8, "all that were in flight at first"
    if stream == "downstream":
        assert sandbox.stats().duplicates > 0


def test_replies_that_are_swallowed_end_in_a_time_out_and_a_repeat_that_does_not_count(
    forward: Forward, proxy: Any, sandbox: Sandbox
) -> None:
    proxy.add("timeout", timeout=0)  # nothing comes back, the connection stays
    timer = threading.Timer(4.0, proxy.remove, ["timeout"])
    timer.start()
    run = forward(api_url=proxy.url, read_timeout_secs=1.0)
    timer.join()
    assert run.kinds == {"delivered": EVENTS}
    assert run.summary["retries"] > 0
    assert sandbox.stats().duplicates > 0, "the first requests did arrive"


def test_a_thin_line_slows_down_and_loses_nothing(forward: Forward, proxy: Any) -> None:
    proxy.add("bandwidth", "upstream", rate=4_000)  # kB a second
    began = time.monotonic()
    run = forward(api_url=proxy.url)
    assert run.kinds == {"delivered": EVENTS}
    assert run.summary["retries"] == 0
    assert time.monotonic() - began > run.stats.body_bytes / 8 / 4_000_000
