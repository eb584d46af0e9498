"""Answers the two endpoints of the Events API as TikTok documents them, and as the faults that are set want it.

In this order: rate limit; faults that keep the request from being processed; path, token, content type, size; the
rules for the body (`sandbox.rules`); permissions; events declared invalid; acceptance; faults that spoil the reply.
HTTP status is 200 with the truth in `code`. Sources: tiktok-business-api-sdk f809c39 `tiktok_code.py` (codes),
stape-io/tiktok-tag issue 26 (body of a success), rudder-transformer c98d160 `network.ts` (40001, 40002, 40100).
"""

import asyncio
import logging
import random
from collections.abc import Iterator
from typing import Any

import msgspec

from sandbox.tiktok import refusals, rules
from sandbox.tiktok.faults import Answer, Echo, Faults, Garble, Html, Outage, Partial, Plan, Reset, SlowRead, Throttle
from sandbox.tiktok.messages import Reading, Reply, Request
from sandbox.tiktok.refusals import Refusal
from sandbox.tiktok.replies import MESSAGES, PARTIAL_OK, Exchange, garbled, html, with_retry_after
from sandbox.tiktok.rules import Batch
from sandbox.tiktok.settings import Kept, Settings, Tokens
from sandbox.tiktok.store import Clock, Store
from sandbox.tiktok.traffic import Traffic

_log = logging.getLogger(__name__)

_API = "/open_api/"
_BASE = "/open_api/v1.3/"


class Service:
    """The Events API: two endpoints, their memory, their faults.

    Args:
      settings: at the start, and again after `reset`.
      tokens: access tokens that are good.
    """

    def __init__(self, settings: Settings, tokens: Tokens) -> None:
        self._first = settings
        self.clock = Clock()
        self.store = Store(self.clock)
        self.traffic = Traffic()
        self.tokens = tokens
        self.settings = settings
        self.faults = Faults()
        self.kept: list[Kept] = []

    def reset(self) -> None:
        """Goes back to the start: forgets events, counts, faults and settings, and sets the clock right."""
        self.clock.offset_secs = 0.0
        self.store.clear()
        self.traffic.clear()
        self.tokens.reset()
        self.settings = self._first
        self.faults.set(())
        self.kept.clear()

    def arrived(self, request: Request) -> Reading | None:
        """Counts a request whose header is complete; returns how to read its body."""
        path = _path(request)
        self.traffic.connections += request.first
        request.ordinal = self.traffic.started(request.arrived_at)
        fault = self.faults.while_reading(path)
        if isinstance(fault, SlowRead):
            return Reading(bytes_per_sec=fault.bytes_per_sec)
        if isinstance(fault, Reset):
            self.traffic.answered(path, None, None)
            return Reading(reset=True)
        return None

    async def answer(self, request: Request) -> Reply:
        """Returns the reply to a request to the API."""
        exchange = Exchange(request, _path(request), self.settings)
        self.traffic.body_bytes += len(request.body)
        self.traffic.entered()
        try:
            reply = await self._answer(exchange)
        except asyncio.CancelledError:
            self.traffic.abandoned += 1
            raise
        finally:
            self.traffic.left()
        status, code = (None, None) if reply.reset else (reply.status, exchange.code)
        self.traffic.answered(exchange.path, status, code)
        if code != 0:
            _log.debug("%s: HTTP %s, code %s", exchange.path, status, code)
        if self.settings.keep_bodies:
            text = exchange.body.decode("utf-8", "replace")
            self.kept.append(Kept(at=request.arrived_at, path=exchange.path, status=status, code=code, body=text))
        return reply

    async def _answer(self, exchange: Exchange) -> Reply:
        limit = self.settings.requests_per_second
        if limit is not None and exchange.request.ordinal > limit:
            return exchange.json(refusals.TOO_FREQUENT)
        plan = self.faults.plan(exchange.path, exchange.events)
        if plan.before_secs:
            await asyncio.sleep(plan.before_secs)
        reply = self._instead(exchange, plan)
        if reply is None:
            reply = self._processed(exchange, plan)
            if isinstance(plan.fault, Garble):
                reply = garbled(reply, exchange, plan.fault)
            elif isinstance(plan.fault, Reset):
                reply = Reply(reset=True)
        if plan.after_secs:
            await asyncio.sleep(plan.after_secs)
        return reply

    def _instead(self, exchange: Exchange, plan: Plan) -> Reply | None:
        """Returns the reply of a fault that keeps the request from being processed."""
        match plan.fault:
            case Throttle() as fault:
                return with_retry_after(html(429), fault.retry_after_secs)
            case Answer() as fault:
                reply = exchange.json(fault.code, fault.message, status=fault.status)
                return with_retry_after(reply, fault.retry_after_secs)
            case Html() as fault:
                return html(fault.status)
            case Reset(when="before"):
                return Reply(reset=True)
            case Outage() as fault:
                return Reply(reset=True, then_away_secs=fault.secs)
            case Garble(accept=False) as fault:
                return garbled(exchange.json(0), exchange, fault)
            case Echo() as fault:
                return self._echo(exchange, fault)
        return None

    def _processed(self, exchange: Exchange, plan: Plan) -> Reply:
        """Returns what TikTok would answer, and accepts the events if it would."""
        refused = self._refused_before_the_body(exchange)
        if refused is not None:
            return refused
        batch = exchange.verdict
        if isinstance(batch, Batch):
            self.traffic.requests_sound += 1
            self.traffic.events_received += len(batch.events)
            batch = self._permitted(batch)
        if isinstance(batch, Batch):
            batch = _declared(batch, plan)
        if isinstance(batch, Refusal):
            return exchange.json(batch.code, batch.message(self.settings.index_text))
        if isinstance(plan.fault, Partial):
            return self._accept_in_part(exchange, batch, plan.fault, plan.random)
        self.store.accept(batch.source_id, batch.events)
        return exchange.json(0)

    def _refused_before_the_body(self, exchange: Exchange) -> Reply | None:
        request = exchange.request
        if exchange.path not in rules.MAX_EVENTS or request.method != "POST":
            versioned = request.target.startswith(_API) and not request.target.startswith(_BASE)
            return exchange.json(refusals.INVALID_API_VERSION if versioned else refusals.ROUTE_NOT_FOUND)
        token_problem = self.tokens.problem(request.headers.get("access-token", "").strip())
        if token_problem is not None:
            return exchange.json(token_problem)
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            return exchange.json(refusals.INVALID_PARAMS, "Content-Type must be application/json")
        if exchange.too_large:
            return html(413)
        return None

    def _permitted(self, batch: Batch) -> Batch | Refusal:
        """Returns the batch, or the refusal of a source or partner that this token may not use."""
        sources, partners = self.settings.sources, self.settings.partner_names
        if sources is not None:
            if batch.source_id not in sources:
                return Refusal(refusals.PERMISSION_ERROR, MESSAGES[refusals.PERMISSION_ERROR])
            if sources[batch.source_id] != batch.source:
                # Seen for a pixel code sent with `event_source: offline` (stape-io/tiktok-tag issue 33).
                return Refusal(refusals.PARAM_ERROR, "Not a valid string", ("event_source_id",))
        if partners is not None and batch.partner_name is not None and batch.partner_name not in partners:
            return Refusal(refusals.INVALID_PARTNER_NAME, MESSAGES[refusals.INVALID_PARTNER_NAME])
        return batch

    def _accept_in_part(self, exchange: Exchange, batch: Batch, fault: Partial, numbers: random.Random) -> Reply:
        size = len(batch.events)
        failed = sorted(numbers.sample(range(size), max(1, round(size * fault.share_failed))))
        without = set(failed)
        self.store.accept(batch.source_id, [event for index, event in enumerate(batch.events) if index not in without])
        if not fault.details:
            return exchange.json(PARTIAL_OK)
        # Nobody has published this shape; the names are those that other senders assume.
        details = [{"order_in_batch": at, "error_code": 40002, "error_message": "Not a valid event"} for at in failed]
        return exchange.json(PARTIAL_OK, data={"failed_events": details})

    def _echo(self, exchange: Exchange, fault: Echo) -> Reply:
        """Returns a refusal that repeats the personal data of one event."""
        batch = exchange.verdict
        if isinstance(batch, Refusal):
            return exchange.json(batch.code, batch.message(self.settings.index_text))
        index = min(fault.index, len(batch.events) - 1)
        event = msgspec.json.decode(exchange.body)[batch.root][index]
        place = event.get("context", event)
        values = ", ".join(_texts([place.get(name) for name in ("user", "page", "ip", "user_agent", "ad")]))
        at = (batch.root, index, *(("context",) if "context" in event else ()), "user")
        return exchange.json(40002, Refusal(40002, f"Not valid: {values}", at).message(self.settings.index_text))


def _path(request: Request) -> str:
    """Returns the path below the API's base, without the query; whole if it is not below it."""
    return request.target.partition("?")[0].removeprefix(_BASE)


def _declared(batch: Batch, plan: Plan) -> Batch | Refusal:
    """Returns the refusal of the first event that a rule declares invalid, or the batch."""
    for rule in plan.invalid:
        for index, event in enumerate(batch.events):
            if rule.hits(event.event_id):
                steps = tuple(int(step) if step.isdigit() else step for step in rule.field.split("."))
                return Refusal(rule.code, rule.reason, (batch.root, index, *steps))
    return batch


def _texts(value: Any) -> Iterator[str]:
    """Yields every text inside a JSON value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _texts(inner)
