"""Toxiproxy between the pipeline and the stand-in for TikTok: faults of the network itself, made by somebody else.

    with toxiproxy.running() as proxies:
        address = proxies.before("127.0.0.1:8080")
        proxies.add("latency", latency=500)

Source of the toxics and their attributes: Toxiproxy 2.12, README, "Toxics".
"""

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import go_programs
import requests

_PROXY = "tiktok"
_START_SECS = 20.0


class Toxiproxy:
    """One running Toxiproxy with one proxy.

    Args:
      api: URL of its control interface.
    """

    def __init__(self, api: str) -> None:
        self._api = api

    def before(self, upstream: str) -> str:
        """Puts a proxy before an address and returns its own."""
        answer = self._order("POST", "/proxies", name=_PROXY, listen="127.0.0.1:0", upstream=upstream, enabled=True)
        return str(answer["listen"])

    def add(self, kind: str, stream: str = "downstream", toxicity: float = 1.0, **attributes: int) -> None:
        """Adds a toxic.

        Args:
          kind: `latency`, `reset_peer`, `timeout`, `bandwidth` …
          stream: `downstream` (replies) or `upstream` (requests).
          toxicity: share of the connections that it hits.
          attributes: of the toxic.
        """
        path = f"/proxies/{_PROXY}/toxics"
        self._order("POST", path, name=kind, type=kind, stream=stream, toxicity=toxicity, attributes=attributes)

    def remove(self, kind: str) -> None:
        """Removes a toxic."""
        self._order("DELETE", f"/proxies/{_PROXY}/toxics/{kind}")

    def clear(self) -> None:
        """Removes the proxy and all of its toxics, if there is one."""
        requests.delete(f"{self._api}/proxies/{_PROXY}", timeout=5)

    def _order(self, method: str, path: str, **body: Any) -> dict[str, Any]:
        response = requests.request(method, self._api + path, json=body or None, timeout=5)
        response.raise_for_status()
        return response.json() if response.content else {}


@contextmanager
def running(port: int) -> Iterator[Toxiproxy]:
    """Runs a Toxiproxy whose control interface listens on a port.

    Raises:
      ServerUnavailableError: it is not built, or does not start.
    """
    binary = go_programs.program(go_programs.TOXIPROXY)
    process = subprocess.Popen(  # noqa: S603  # a program of ours
        [str(binary), "-host", "127.0.0.1", "-port", str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    api = f"http://127.0.0.1:{port}"
    try:
        end = time.monotonic() + _START_SECS
        while True:
            try:
                requests.get(f"{api}/version", timeout=1)
                break
            except requests.RequestException:
                if process.poll() is not None or time.monotonic() > end:
                    raise go_programs.ServerUnavailableError("Toxiproxy did not start") from None
                time.sleep(0.05)
        yield Toxiproxy(api)
    finally:
        process.terminate()
        process.wait(timeout=10)
