"""Starts a sandbox in a process of its own and controls it over HTTP: for tests, the demo and benchmarks.

    with Sandbox() as sandbox:
        sandbox.fault(Answer(code=40100, probability=0.2), Delay(secs=0.05))
        ...  # let something send to sandbox.api_url with sandbox.token
        assert sandbox.stats().keys_accepted_again == 0
        assert Key("PIXEL", "PlaceAnOrder", "id-1") in sandbox.accepted()

The sandbox ends with the `with` block, and with the process that started it, whatever happens to that.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPResponse
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import urlsplit

import msgspec

from sandbox.process import SandboxError as SandboxError
from sandbox.process import StandIn
from sandbox.tiktok.faults import AnyFault, Applied
from sandbox.tiktok.settings import Kept, Settings
from sandbox.tiktok.store import Accepted, Key, Totals
from sandbox.tiktok.traffic import Stats

T = TypeVar("T")

DEFAULT_TOKEN = "sandbox-token"  # noqa: S105 - made up, good for the sandbox only

# Orders are answered at once, unless the event loop is busy with large requests.
_ORDER_SECS = 60.0
# Long answers are read and decoded in parts.
_PART_BYTES = 1 << 20


class Sandbox:
    """A sandbox in a process of its own.

    Args:
      tokens: access tokens that are good; none: every token.
      keep_bodies: keep request bodies for `bodies`.
      port: 0 for a free one.
      log_level: of the sandbox's lines on standard error.

    Attributes:
      token: the first of the tokens.
      api_url: base of both endpoints, ends with a slash.
    """

    def __init__(
        self,
        tokens: Sequence[str] = (DEFAULT_TOKEN,),
        *,
        keep_bodies: bool = False,
        port: int = 0,
        log_level: str = "warning",
    ) -> None:
        self.token = tokens[0] if tokens else DEFAULT_TOKEN
        self.api_url = ""
        arguments = ["--port", str(port), "--log-level", log_level]
        for token in tokens:
            arguments += ["--token", token]
        if keep_bodies:
            arguments.append("--keep-bodies")
        self._stand_in = StandIn("sandbox", arguments)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """Returns the number of the sandbox's process."""
        return self._stand_in.pid

    @property
    def url(self) -> str:
        """Returns `api_url`."""
        return self.api_url

    def start(self) -> None:
        """Starts it and waits until it listens.

        Raises:
          SandboxError: it ended at once, or does not listen after 30 s.
        """
        self._stand_in.start()
        self.api_url = self._stand_in.address

    def stop(self) -> None:
        """Ends it, by force if it does not end by itself; what it held is gone."""
        self._stand_in.stop()

    def reset(self) -> None:
        """Forgets events, counts and faults; settings, tokens and clock are as at the start."""
        self._order("reset", {})

    def fault(self, *rules: AnyFault) -> None:
        """Adds fault rules to those that are set; their time begins now."""
        for rule in rules:
            self._order("faults", rule)

    def set_faults(self, *rules: AnyFault) -> None:
        """Sets fault rules in place of the present ones; without any, nothing goes wrong any more."""
        self._order("faults", rules)

    def applied(self) -> list[Applied]:
        """Returns the fault rules with how often they were applied."""
        return self._ask("faults", list[Applied])

    def settings(self, **changes: Any) -> Settings:
        """Changes settings (fields of `sandbox.settings.Settings`) and returns all of them."""
        return msgspec.json.decode(self._order("settings", changes), type=Settings)

    def stats(self) -> Stats:
        """Returns the counts since the last reset."""
        return self._ask("stats", Stats)

    def totals(self) -> Totals:
        """Returns the counts over what was accepted; part of `stats`."""
        return self.stats()

    def accepted(self) -> dict[Key, int]:
        """Returns every accepted key, and how often it counts (events without an id: one entry, id empty)."""
        return {Key(*row[:3]): row[3] for row in self._rows("accepted?format=ndjson", tuple[str, str, str, int])}

    def accepted_in_detail(self) -> dict[Key, Accepted]:
        """Returns every accepted key with copies received and the first time."""
        rows = self._rows("accepted?format=ndjson&details=1", tuple[str, str, str, int, int, float])
        return {Key(*row[:3]): Accepted(*row[3:]) for row in rows}

    def bodies(self) -> list[Kept]:
        """Returns the requests that were kept (`keep_bodies`), in the order of their replies."""
        return list(self._rows("bodies", Kept))

    def advance_clock(self, secs: float) -> None:
        """Moves the sandbox's clock forward, by which it counts 48 h."""
        self._order("clock", {"advance_secs": secs})

    def revoke(self, token: str | None = None) -> None:
        """Makes a token bad; None: `token`."""
        self._order("token", {"revoke": self.token if token is None else token})

    def accept_token(self, token: str) -> None:
        """Makes a token good."""
        self._order("token", {"accept": token})

    def refuse(self, secs: float) -> None:
        """Lets it refuse connections for so many seconds, orders and questions too."""
        self._order("refuse", {"secs": secs})

    def _order(self, name: str, body: Any) -> bytes:
        with self._exchange("POST", name, msgspec.json.encode(body)) as response:
            return response.read()

    def _ask(self, name: str, kind: type[T]) -> T:
        with self._exchange("GET", name) as response:
            return msgspec.json.decode(response.read(), type=kind)

    def _rows(self, name: str, kind: type[T]) -> Iterator[T]:
        decode_lines = msgspec.json.Decoder(kind).decode_lines
        with self._exchange("GET", name) as response:
            rest = b""
            while part := response.read(_PART_BYTES):
                lines, newline, rest = (rest + part).rpartition(b"\n")
                yield from decode_lines(lines + newline)

    @contextmanager
    def _exchange(self, method: str, name: str, body: bytes | None = None) -> Iterator[HTTPResponse]:
        address = urlsplit(self.api_url)
        connection = HTTPConnection(address.hostname or "", address.port, timeout=_ORDER_SECS)
        try:
            connection.request(method, f"/_sandbox/{name}", body)
            response = connection.getresponse()
            if response.status != 200:
                raise SandboxError(f"{method} {name}: {response.read().decode('utf-8', 'replace').strip()}")
            yield response
        finally:
            connection.close()
