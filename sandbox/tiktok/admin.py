"""The control interface under `/_sandbox/`, for tests and for curl. Not part of TikTok's API, and not counted.

Orders (POST, a JSON body; every answer is JSON):

    /_sandbox/reset                                     forget events, counts, faults; settings, tokens, clock anew
    /_sandbox/faults    [{"action": "html"}, …]         set the fault rules (`sandbox.faults` lists them); [] for none
    /_sandbox/faults    {"action": "html"}              add one rule
    /_sandbox/settings  {"index_text": false}           change settings (`sandbox.settings.Settings`)
    /_sandbox/clock     {"advance_secs": 604800}        move the sandbox's clock, by which 48 h are counted
    /_sandbox/token     {"revoke": "…"}                 refuse a token (40105); {"accept": "…"} takes a new one
    /_sandbox/refuse    {"secs": 3}                     refuse connections for so long, on the same port afterwards

Questions (GET):

    /_sandbox/stats                                     counts (`sandbox.traffic.Stats`)
    /_sandbox/faults                                    the rules, how many requests fitted and how many were hit
    /_sandbox/settings
    /_sandbox/accepted?format=ndjson                    a key a line: [event_source_id, event, event_id, times_accepted]
    /_sandbox/accepted?format=ndjson&details=1          … and copies received, first time accepted (sandbox's clock)
    /_sandbox/bodies                                    a kept request a line (setting `keep_bodies`)

    curl -X POST localhost:8080/_sandbox/faults -d '{"action": "answer", "code": 40100, "probability": 0.2}'
"""

import itertools
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any
from urllib.parse import parse_qs

import msgspec

from sandbox.tiktok.faults import AnyFault
from sandbox.tiktok.messages import Reading, Reply, Request
from sandbox.tiktok.service import Service
from sandbox.tiktok.settings import Settings

PREFIX = "/_sandbox/"

# Lines in one part of a streamed answer.
_LINES = 1_000

_encode = msgspec.json.Encoder().encode
_encode_lines = msgspec.json.Encoder().encode_lines


class _Advance(msgspec.Struct, forbid_unknown_fields=True):
    advance_secs: float


class _Refuse(msgspec.Struct, forbid_unknown_fields=True):
    secs: float


class _Token(msgspec.Struct, forbid_unknown_fields=True):
    revoke: str | None = None
    accept: str | None = None


class Admin:
    """Hands requests to the control interface or to the service, by path."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def arrived(self, request: Request) -> Reading | None:
        """Lets the service count its requests."""
        return None if request.target.startswith(PREFIX) else self._service.arrived(request)

    async def answer(self, request: Request) -> Reply:
        """Returns the reply to any request."""
        if not request.target.startswith(PREFIX):
            return await self._service.answer(request)
        name, _, query = request.target.removeprefix(PREFIX).partition("?")
        table = {"GET": self._questions(query), "POST": self._orders(request.body)}.get(request.method, {})
        if name not in table:
            return _error(404, f"no {request.method} {PREFIX}{name}: see the docstring of sandbox.admin")
        try:
            return table[name]()
        except msgspec.MsgspecError as error:
            return _error(400, str(error))

    def _orders(self, body: bytes) -> dict[str, Callable[[], Reply]]:
        return {
            "reset": self._reset,
            "faults": partial(self._set_faults, body),
            "settings": partial(self._change_settings, body),
            "clock": partial(self._move_clock, body),
            "token": partial(self._change_token, body),
            "refuse": partial(self._refuse, body),
        }

    def _questions(self, query: str) -> dict[str, Callable[[], Reply]]:
        return {
            "stats": self._stats,
            "faults": lambda: _json(self._service.faults.applied()),
            "settings": lambda: _json(self._service.settings),
            "accepted": partial(self._accepted, query),
            "bodies": lambda: _lines(list(self._service.kept)),
        }

    def _reset(self) -> Reply:
        self._service.reset()
        return _json({})

    def _set_faults(self, body: bytes) -> Reply:
        rules = msgspec.json.decode(body, type=list[AnyFault] | AnyFault)
        if isinstance(rules, list):
            self._service.faults.set(rules)
        else:
            self._service.faults.set([rules], keep=True)
        return _json(self._service.faults.applied())

    def _change_settings(self, body: bytes) -> Reply:
        changes = msgspec.json.decode(body, type=dict[str, Any])
        present = msgspec.to_builtins(self._service.settings)
        self._service.settings = msgspec.convert(present | changes, Settings)
        return _json(self._service.settings)

    def _move_clock(self, body: bytes) -> Reply:
        self._service.clock.advance(msgspec.json.decode(body, type=_Advance).advance_secs)
        return _json({"now": self._service.clock.now(), "offset_secs": self._service.clock.offset_secs})

    def _change_token(self, body: bytes) -> Reply:
        order = msgspec.json.decode(body, type=_Token)
        if order.revoke is not None:
            self._service.tokens.revoke(order.revoke)
        if order.accept is not None:
            self._service.tokens.accept(order.accept)
        return _json({})

    def _refuse(self, body: bytes) -> Reply:
        reply = _json({})
        reply.then_away_secs = msgspec.json.decode(body, type=_Refuse).secs
        return reply

    def _stats(self) -> Reply:
        service = self._service
        return _json(service.traffic.stats(service.store.totals(), service.clock.offset_secs))

    def _accepted(self, query: str) -> Reply:
        options = parse_qs(query)
        if options.get("format", ["ndjson"]) != ["ndjson"]:
            return _error(400, "format: only ndjson")
        if options.get("details", ["0"]) == ["1"]:
            return _lines((*key, *row) for key, row in self._service.store.accepted())
        return _lines((*key, row.times_accepted) for key, row in self._service.store.accepted())


def _json(value: Any) -> Reply:
    return Reply(_encode(value) + b"\n")


def _error(status: int, message: str) -> Reply:
    return Reply(_encode({"error": message}) + b"\n", status)


def _lines(rows: Iterable[Any]) -> Reply:
    """Returns a reply that is streamed, a JSON value a line."""

    def parts() -> Iterator[bytes]:
        left = iter(rows)
        while some := list(itertools.islice(left, _LINES)):
            yield _encode_lines(some)

    return Reply(parts(), content_type="application/x-ndjson")
