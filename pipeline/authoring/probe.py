"""One harmless test event to TikTok, through the same functions as every other event: `check --online`."""

import uuid
from typing import Any

import msgspec

from pipeline.authoring.check_report import ProbeReply
from pipeline.errors import CommandError, UsageError
from transforms.connection import Connection, ReplyClass
from transforms.mapping import converter
from transforms.model import Message, Payload
from transforms.tiktok import CODE_NAMES, EventsApi, endpoint_path, make_envelope, read_reply
from transforms.vocabulary import Form, Reason

# Which reason, and so which remedy, belongs to each class of reply.
_REASON_OF_CLASS: dict[ReplyClass, Reason] = {
    "credentials": Reason.CREDENTIALS,
    "configuration": Reason.CONFIGURATION,
    "throttled": Reason.THROTTLED,
    "transient": Reason.OUTAGE,
    "invalid": Reason.REFUSED_BY_TIKTOK,
    "too_large": Reason.REFUSED_BY_TIKTOK,
    "partial": Reason.PARTIAL_SUCCESS,
    "unknown": Reason.UNKNOWN_CODE,
}


def send_test_events(connection: Connection, token: str, now_ms: int) -> list[ProbeReply]:
    """Sends one test event with every request form that the connection may use, one after the other.

    Args:
      connection: must have a `test_event_code`, so that nothing counts as a live event.
      token: the access token.
      now_ms: the time of the events, UTC epoch milliseconds.

    Raises:
      UsageError: there is no `test_event_code`, or proxy or certificate authorities cannot be used.
    """
    if connection.test_event_code is None:
        raise UsageError("--online needs --test_event_code CODE (Events Manager, Test events): no live event is sent.")
    sources = ("web", "feed") if connection.input == "auto" else (connection.input,)
    by_form = {connection.form(source): source for source in reversed(sources)}
    try:
        api = EventsApi(connection)
    except ValueError as error:
        raise UsageError(str(error)) from error
    try:
        return [_send(api, connection, form, source, token, now_ms) for form, source in by_form.items()]
    finally:
        api.close()


def _send(api: EventsApi, connection: Connection, form: Form, source: str, token: str, now_ms: int) -> ProbeReply:
    message = Message("check", msgspec.json.encode(_batch(connection, source, now_ms)))
    # Its event is one of the default mapping, whatever the custom ones make of such events.
    (payload,) = converter(msgspec.structs.replace(connection, custom_mappings=()))(message)
    if not isinstance(payload, Payload):
        raise CommandError(f"the test event was not built: {payload.reason} ({payload.detail}).")
    body = make_envelope(connection, form).join([payload.body])
    verdict = read_reply(api.post(form, body, token), [payload.body], connection.codes)
    accepted = verdict.reply_class == "success"
    return ProbeReply(
        form=form,
        path=endpoint_path(form),
        accepted=accepted,
        reply_class=verdict.reply_class,
        code=verdict.code,
        name=None if verdict.code is None else CODE_NAMES.get(verdict.code),
        message=verdict.message,
        request_id=verdict.request_id,
        remedy=None if accepted else _REASON_OF_CLASS[verdict.reply_class].remedy,
    )


def _batch(connection: Connection, source: str, now_ms: int) -> dict[str, Any]:
    """Returns an mParticle batch in which an invented, anonymous visitor looks at an invented product."""
    purpose = connection.consent.gdpr_purpose
    return {
        "environment": connection.environments[0],
        "source_info": {"channel": "partner" if source == "feed" else "javascript"},
        # An address for documentation (RFC 5737): nobody's.
        "ip": "203.0.113.10",
        "device_info": {"http_header_user_agent": "Mozilla/5.0 (compatible; tiktok-events check)"},
        "consent_state": {"gdpr": {purpose: {"consented": True}}} if purpose else None,
        "events": [
            {
                "event_type": "commerce_event",
                "data": {
                    "timestamp_unixtime_ms": now_ms,
                    "source_message_id": f"check-{uuid.uuid4()}",
                    "currency_code": connection.default_currency or "USD",
                    "custom_flags": {"TikTok.URL": "https://www.example.com/check"},
                    "product_action": {
                        "action": "view_detail",
                        "total_amount": 1,
                        "products": [{"id": "check", "name": "Connection check", "price": 1, "quantity": 1}],
                    },
                },
            }
        ],
    }
