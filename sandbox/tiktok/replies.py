"""Replies as TikTok makes them, and as a fault leaves them over: truncated, cut off, empty, without a code.

Sources: stape-io/tiktok-tag issue 26 (body of a success, request id), rudder-transformer c98d160 `network.ts` (texts of
40001 and 40100, the gateway's HTML page), tiktok-business-api-sdk f809c39 `tiktok_code.py` (codes).
"""

import random
import re
import zlib
from datetime import UTC, datetime
from functools import cached_property
from http import HTTPStatus
from typing import Any

import msgspec

from sandbox.tiktok import refusals, rules
from sandbox.tiktok.faults import Garble
from sandbox.tiktok.messages import Reply, Request
from sandbox.tiktok.refusals import Refusal
from sandbox.tiktok.rules import Batch
from sandbox.tiktok.settings import Settings

PARTIAL_OK = 20001

MESSAGES = {
    PARTIAL_OK: "Partial success",
    40001: "No permission to operate this event source. You must be an admin or operator of this advertiser account.",
    refusals.INVALID_API_VERSION: "Invalid API version",
    refusals.INVALID_PARTNER_NAME: "Invalid partner name",
    refusals.TOO_FREQUENT: "Too many requests. Please retry in some time.",
    refusals.EMPTY_TOKEN: "Access token is empty.",
    refusals.INVALID_TOKEN: "Access token is incorrect or has been revoked.",
    refusals.ROUTE_NOT_FOUND: "Route not found",
    41001: "Interface offline",
    50000: "System error",
    50002: "System timeout",
    60001: "Maintenance",
}


class Exchange:
    """One request and what is known about it so far."""

    def __init__(self, request: Request, path: str, settings: Settings) -> None:
        self.request, self.path, self._settings = request, path, settings
        self.code: int | None = None

    @cached_property
    def body(self) -> bytes:
        """Returns the body, decompressed (never much more than the limit); empty if that fails."""
        body = self.request.body
        if self.request.headers.get("content-encoding", "") == "gzip":
            try:
                gzip = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
                return gzip.decompress(body, self._settings.max_body_bytes + 1)
            except zlib.error:
                return b""
        return body

    @property
    def too_large(self) -> bool:
        """Returns whether the body is above the limit, as it came or decompressed."""
        return max(len(self.request.body), len(self.body)) > self._settings.max_body_bytes

    @cached_property
    def verdict(self) -> Batch | Refusal:
        """Returns what the rules make of the body."""
        limits: dict[str, int] = {
            rules.TRACK: self._settings.max_track_events,
            rules.LEGACY: self._settings.max_legacy_events,
        }
        if self.path not in limits:
            return Refusal(refusals.ROUTE_NOT_FOUND, MESSAGES[refusals.ROUTE_NOT_FOUND])
        return rules.check(self.path, self.body, limits)

    def events(self) -> int:
        """Returns the number of events, 0 if the body breaks a rule."""
        return len(self.verdict.events) if isinstance(self.verdict, Batch) else 0

    def json(self, code: int, message: str | None = None, data: Any = None, status: int = 200) -> Reply:
        """Returns a reply in TikTok's form."""
        self.code = code
        message = message or ("OK" if code == 0 else MESSAGES.get(code, "Request failed"))
        body = {"code": code, "message": message, "request_id": _request_id(), "data": data or {}}
        return Reply(msgspec.json.encode(body), status)


def garbled(reply: Reply, exchange: Exchange, fault: Garble) -> Reply:
    """Returns the reply as a fault leaves it over; it has no readable code any more."""
    assert isinstance(reply.body, bytes)  # noqa: S101 - replies of the API are never streamed
    whole, exchange.code = reply.body, None
    match fault.how:
        case "truncated":
            reply.body = whole[: len(whole) // 2]
        case "cut_off":
            reply.body = whole[: len(whole) // 2]
            reply.cut_off_bytes = len(whole) - len(reply.body)
        case "empty":
            reply.body = b""
        case "no_code":
            reply.body = whole.replace(b'"code":', b'"status":', 1)
        case "code_as_text":
            reply.body = re.sub(rb'"code":(\d+)', rb'"code":"\1"', whole, count=1)
        case "html":
            return html(200)
    return reply


def html(status: int) -> Reply:
    """Returns a page as nginx makes it (seen for 502 by rudder-transformer)."""
    title = f"{status} {HTTPStatus(status).phrase}" if status in set(HTTPStatus) else str(status)
    page = f"<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n<center><h1>{title}</h1></center>\r\n"
    page += "<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
    return Reply(page.encode(), status, "text/html")


def with_retry_after(reply: Reply, secs: int | None) -> Reply:
    """Returns the reply with the header, if there is a value for it."""
    if secs is not None:
        reply.headers["Retry-After"] = str(secs)
    return reply


def _request_id() -> str:
    """Returns a log id like TikTok's: the time to the second, then hex digits, for example 20240705092320323C2F…."""
    return f"{datetime.now(UTC):%Y%m%d%H%M%S}{random.getrandbits(80):020X}"
