"""What a reply means: TikTok answers HTTP 200 to nearly everything, so the `code` in the body decides.

In: an `ApiReply` and the bodies of the events that were sent. Out: a `Verdict`, free of values of people. Pure.

Order of reading:

1. No complete reply: *transient*, or *configuration* if the other side's certificate was refused.
2. A JSON object with an integer `code`: the table of codes; the HTTP status does not overrule it.
3. Codes 40000 and 40002 name in their message what is wrong: an event (by its 0-based position in the request), a
   field of the envelope (*configuration*), or neither (*invalid* without index: the request is halved).
4. Everything else: the table of HTTP statuses.

Sources: replies as rudderlabs/rudder-transformer c98d160 (`tiktok_ads/…/network.ts`: `Batch.0.properties…: Not a valid
string`) and the issues 10, 26 and 33 of stape-io/tiktok-tag show them. TikTok documents neither how a message names an
event nor what 20001 has in `data`.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple, TypeGuard

import msgspec

from transforms.connection import ReplyClass
from transforms.tiktok.client import ApiReply, NetworkTrouble
from transforms.tiktok.codes import INVALID_PARAMS, PARAM_ERROR, classify, classify_status
from transforms.tiktok.redact import Redactor

# "Batch.0.properties.contents.0.content_id: Not a valid string"; the list is called `data` in Events API 2.0.
_POSITION: Final = re.compile(r"\b(?:batch|data)[.\[](\d+)", re.IGNORECASE | re.ASCII)

# "Invalid value for event_source_id: not a valid string." means every request of the connection.
_ENVELOPE_FIELD: Final = re.compile(
    r"\b(?:event_source|event_source_id|pixel_code|partner_name|test_event_code)\b", re.IGNORECASE | re.ASCII
)

# A log id such as 20240705092320323C2F514AF49BCF4621; anything else could not be quoted to TikTok's support.
_REQUEST_ID: Final = re.compile(r"[\w.:-]{1,128}", re.ASCII)

# Names under which a partial success may have an event's position. Not documented; read only if all of it fits.
_POSITION_KEYS: Final = ("order_in_batch", "index")

_TROUBLE_TEXTS: Final = {
    NetworkTrouble.NOT_CONNECTED: "no connection to TikTok",
    NetworkTrouble.TIMED_OUT: "no reply in time",
    NetworkTrouble.BROKEN: "the connection broke before the reply was complete",
    NetworkTrouble.TLS: "TikTok's certificate was refused, or api_url leads to a server without TLS",
}


class RefusedEvent(NamedTuple):
    """One event of a partial success that was refused: its position in the request, and TikTok's code and message."""

    position: int
    code: int | None
    message: str | None


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What a reply means for the events of its request. Positions are 0-based and within the request.

    Attributes:
      reply_class: what to do.
      code: TikTok's code, None if the body holds no readable one.
      message: TikTok's message without values, or ours if TikTok gave none; None for a success.
      request_id: TikTok's log id.
      named: `invalid`: the positions that TikTok named; empty if it named none.
      accepted: `partial`: the positions that were accepted, None if the reply leaves any doubt.
      refused: `partial` with `accepted`: the events that were refused.
      retry_after_secs: how long TikTok asks to wait, if it does.
      maybe_accepted: the events may have been accepted. A failure that TikTok or its gateway reports (a code of the
        table, 408, 5xx) counts as not accepted; no report at all, or a report of success that cannot be read, does not.
    """

    reply_class: ReplyClass
    code: int | None = None
    message: str | None = None
    request_id: str | None = None
    named: tuple[int, ...] = ()
    accepted: tuple[int, ...] | None = None
    refused: tuple[RefusedEvent, ...] = ()
    retry_after_secs: float | None = None
    maybe_accepted: bool = False


def read_reply(reply: ApiReply, bodies: Sequence[bytes], overrides: Mapping[int, ReplyClass]) -> Verdict:
    """Returns what a reply means.

    Args:
      reply: of `EventsApi.post`.
      bodies: the events' JSON objects in the order of the request; their values are removed from messages.
      overrides: the connection's `codes`.
    """
    if reply.trouble is not None:
        return _by_trouble(reply, reply.trouble)
    fields = _fields(reply.body)
    code = fields.get("code")
    if not _is_integer(code):
        return _by_status(reply, fields)
    return _by_code(reply, fields, code, bodies, overrides)


def _by_trouble(reply: ApiReply, trouble: NetworkTrouble) -> Verdict:
    """Returns what it means that there is no complete reply."""
    text = _TROUBLE_TEXTS[trouble]
    return Verdict(
        reply_class="configuration" if trouble is NetworkTrouble.TLS else "transient",
        message=text if reply.route_note is None else f"{text}, {reply.route_note}",
        retry_after_secs=reply.retry_after_secs,
        maybe_accepted=reply.sent,
    )


def _by_status(reply: ApiReply, fields: Mapping[str, Any]) -> Verdict:
    """Returns what the HTTP status means, for want of a code."""
    status = reply.status or 0
    return Verdict(
        reply_class=classify_status(status),
        message=f"HTTP {status} without a readable code",
        request_id=_request_id(fields),
        retry_after_secs=reply.retry_after_secs,
        maybe_accepted=200 <= status < 300,
    )


def _by_code(
    reply: ApiReply,
    fields: Mapping[str, Any],
    code: int,
    bodies: Sequence[bytes],
    overrides: Mapping[int, ReplyClass],
) -> Verdict:
    """Returns what TikTok's code and message mean."""
    reply_class = classify(code, overrides)
    verdict = Verdict(
        reply_class=reply_class,
        code=_recordable(code),
        request_id=_request_id(fields),
        maybe_accepted=reply_class in ("success", "partial", "unknown"),
    )
    if reply_class == "success":
        return verdict
    raw = fields.get("message")
    raw = raw if isinstance(raw, str) else ""
    redactor = Redactor(bodies)
    named: tuple[int, ...] = ()
    accepted: tuple[int, ...] | None = None
    refused: tuple[RefusedEvent, ...] = ()
    if reply_class == "partial":
        accepted, refused = _details(fields.get("data"), bodies, redactor)
    elif reply_class == "invalid" and code in (INVALID_PARAMS, PARAM_ERROR):
        named = _positions(raw, len(bodies))
        if not named and code not in overrides and not _POSITION.search(raw) and _ENVELOPE_FIELD.search(raw):
            reply_class = "configuration"
    return msgspec.structs.replace(
        verdict,
        reply_class=reply_class,
        message=redactor.redact(raw) or None,
        named=named,
        accepted=accepted,
        refused=refused,
        retry_after_secs=reply.retry_after_secs,
    )


def _fields(body: bytes) -> dict[str, Any]:
    """Returns the reply's JSON object, empty if there is none (HTML, nothing, half a reply)."""
    try:
        fields = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}
    return fields if isinstance(fields, dict) else {}


def _is_integer(value: object) -> TypeGuard[int]:
    """Returns whether a JSON value is an integer; true and "40100" are none, and 1.0 is not either."""
    return isinstance(value, int) and not isinstance(value, bool)


def _recordable(code: int) -> int | None:
    """Returns a code that a ledger can hold (64 bits), None for one that only a broken gateway would send."""
    return code if -(1 << 63) <= code < 1 << 63 else None


def _request_id(fields: Mapping[str, Any]) -> str | None:
    """Returns the log id if it is one."""
    value = fields.get("request_id")
    return value if isinstance(value, str) and _REQUEST_ID.fullmatch(value) else None


def _positions(message: str, events: int) -> tuple[int, ...]:
    """Returns the positions that a message names, each once; none if one of them is not in the request.

    A position outside the request shows that the count is not the one we know, so the others cannot be relied on.
    """
    # Seven digits and more are no position; int() would refuse thousands of them with an error.
    positions = {int(digits) if len(digits) < 7 else events for digits in _POSITION.findall(message)}
    return tuple(sorted(positions)) if all(position < events for position in positions) else ()


def _details(
    data: object, bodies: Sequence[bytes], redactor: Redactor
) -> tuple[tuple[int, ...] | None, tuple[RefusedEvent, ...]]:
    """Returns which events of a partial success were accepted and which refused; (None, ()) in any doubt.

    The only shape accepted: `failed_events` is a list with at least one object; each has one position, an integer
    within the request, none twice; and where it has an `event_id` too, that is the id of the event there.
    """
    entries = data.get("failed_events") if isinstance(data, dict) else None
    if not isinstance(entries, list) or not entries:
        return None, ()
    refused: dict[int, RefusedEvent] = {}
    for entry in entries:
        position = _position(entry, len(bodies)) if isinstance(entry, dict) else None
        if position is None or position in refused or not _same_event(entry, bodies[position]):
            return None, ()
        code = next((_recordable(entry[key]) for key in ("code", "error_code") if _is_integer(entry.get(key))), None)
        text = next((entry[key] for key in ("message", "error_message") if isinstance(entry.get(key), str)), "")
        refused[position] = RefusedEvent(position=position, code=code, message=redactor.redact(text) or None)
    accepted = tuple(position for position in range(len(bodies)) if position not in refused)
    return accepted, tuple(refused[position] for position in sorted(refused))


def _position(entry: Mapping[str, Any], events: int) -> int | None:
    """Returns the position that an entry names, None if it names none, two, or one outside the request."""
    named = {entry[key] if _is_integer(entry[key]) else -1 for key in _POSITION_KEYS if key in entry}
    if len(named) != 1:
        return None
    position: int = named.pop()
    return position if 0 <= position < events else None


def _same_event(entry: Mapping[str, Any], body: bytes) -> bool:
    """Returns whether an entry's event_id, if it has one, is that of the event at its position."""
    return "event_id" not in entry or _fields(body).get("event_id") == entry["event_id"]
