"""The truth of a reply is the code in its body. Every body here is one that was seen in public, or damage to one."""

import json

import pytest

from transforms.connection import ReplyClass
from transforms.tiktok.client import ApiReply, NetworkTrouble
from transforms.tiktok.verdict import Verdict, read_reply

REQUEST_ID = "20240705092320323C2F514AF49BCF4621"
EVENTS = [
    b'{"event":"PlaceAnOrder","event_id":"order-%d","properties":{"description":"blue wool coat"}}' % n
    for n in range(3)
]


def reply(body: str | bytes, status: int = 200, retry_after_secs: float | None = None) -> ApiReply:
    return ApiReply(
        status=status,
        body=body.encode() if isinstance(body, str) else body,
        retry_after_secs=retry_after_secs,
        sent=True,
        started_at=0.0,
        elapsed_secs=0.1,
    )


def trouble(kind: NetworkTrouble, *, sent: bool, status: int | None = None) -> ApiReply:
    return ApiReply(status=status, body=b'{"code":0}', trouble=kind, sent=sent, started_at=0.0, elapsed_secs=0.1)


# Replies seen


@pytest.mark.parametrize("data", ["{}", "null", '{"anything":[1]}'])
def test_code_0_is_success(data: str) -> None:
    body = f'{{"code":0,"message":"OK","request_id":"{REQUEST_ID}","data":{data}}}'
    assert read_reply(reply(body), EVENTS, {}) == Verdict(
        reply_class="success", code=0, request_id=REQUEST_ID, maybe_accepted=True
    )


def test_an_index_in_the_message_of_40002_names_the_event() -> None:
    body = '{"code":40002,"message":"Batch.0.properties.contents.0.content_id: Not a valid string"}'
    assert read_reply(reply(body), EVENTS, {}) == Verdict(
        reply_class="invalid",
        code=40002,
        message="Batch.0.properties.contents.0.content_id: Not a valid string",
        named=(0,),
    )


def test_40002_about_a_field_of_an_event_without_index_leaves_the_event_to_be_found() -> None:
    body = '{"code":40002,"message":"Invalid value for event_id: not a valid string.","request_id":"2023"}'
    assert read_reply(reply(body), EVENTS, {}) == Verdict(
        reply_class="invalid", code=40002, message="Invalid value for event_id: not a valid string.", request_id="2023"
    )


def test_40002_about_a_field_of_the_envelope_is_configuration() -> None:
    body = '{"code":40002,"message":"Invalid value for event_source_id: not a valid string.","request_id":"2025"}'
    assert read_reply(reply(body), EVENTS, {}) == Verdict(
        reply_class="configuration",
        code=40002,
        message="Invalid value for event_source_id: not a valid string.",
        request_id="2025",
    )


def test_40000_without_index_leaves_the_event_to_be_found() -> None:
    verdict = read_reply(reply('{"code":40000,"message":"Invalid Price Field"}'), EVENTS, {})
    assert verdict == Verdict(reply_class="invalid", code=40000, message="Invalid Price Field")


def test_40001_is_configuration() -> None:
    body = (
        '{"code":40001,"message":"No permission to operate pixel code: A1T8T4UYGVIQA8ORZMX9. You must be an admin or '
        'operator of this advertiser account."}'
    )
    message = "No permission to operate pixel code: …. You must be an admin or operator of this advertiser account."
    assert read_reply(reply(body), EVENTS, {}) == Verdict(reply_class="configuration", code=40001, message=message)


def test_40100_is_throttled_whatever_the_status() -> None:
    body = '{"code":40100,"message":"Too many requests. Please retry in some time."}'
    expected = Verdict(
        reply_class="throttled",
        code=40100,
        message="Too many requests. Please retry in some time.",
        retry_after_secs=2.0,
    )
    assert read_reply(reply(body, 200, 2.0), EVENTS, {}) == expected
    assert read_reply(reply(body, 500, 2.0), EVENTS, {}) == expected


def test_an_html_page_of_a_gateway_is_transient() -> None:
    page = "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body><center>nginx</center></body>\r\n</html>"
    assert read_reply(reply(page, 502), EVENTS, {}) == Verdict(
        reply_class="transient", message="HTTP 502 without a readable code"
    )


def test_20001_without_details_is_partial_and_says_nothing_of_any_event() -> None:
    body = f'{{"code":20001,"message":"Partial success","request_id":"{REQUEST_ID}","data":{{}}}}'
    assert read_reply(reply(body), EVENTS, {}) == Verdict(
        reply_class="partial", code=20001, message="Partial success", request_id=REQUEST_ID, maybe_accepted=True
    )


# The code and the status


@pytest.mark.parametrize("status", [200, 400, 401, 500, 503])
def test_the_code_wins_over_the_status(status: int) -> None:
    verdict = read_reply(reply('{"code":40105,"message":"Access token is incorrect"}', status), EVENTS, {})
    assert (verdict.reply_class, verdict.code, verdict.message) == ("credentials", 40105, "Access token is incorrect")
    assert read_reply(reply('{"code":0}', status), EVENTS, {}).reply_class == "success"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"OK",
        b"{}",
        b"[]",
        b"0",
        b'{"code":"40100"}',
        b'{"code":"0"}',
        b'{"code":true}',
        b'{"code":false}',
        b'{"code":0.0}',
        b'{"code":null}',
        b'{"code":[0]}',
        b'{"data":{"code":0}}',
        b'{"code":0',
        b'{"code":0}}',
        b'\xef\xbb\xbf{"code":0}',
        b'{"code":0,"message":"\xff\xfe"}',
        b"[" * 100_000,
        b'{"code":' + b"9" * 6_000,
        b"\x1f\x8b\x08\x00",
    ],
)
@pytest.mark.parametrize(
    ("status", "cls"),
    [(200, "transient"), (302, "configuration"), (404, "configuration"), (413, "too_large"), (429, "throttled")],
)
def test_without_an_integer_code_the_status_decides_and_nothing_is_a_success(
    body: bytes, status: int, cls: ReplyClass
) -> None:
    verdict = read_reply(reply(body, status), EVENTS, {})
    assert (verdict.reply_class, verdict.code, verdict.message) == (cls, None, f"HTTP {status} without a readable code")


def test_the_request_id_is_kept_without_a_code_too() -> None:
    assert read_reply(reply(f'{{"request_id":"{REQUEST_ID}"}}', 503), EVENTS, {}).request_id == REQUEST_ID


@pytest.mark.parametrize("value", [None, 7, [], "", "a b", "a\nb", "x" * 129])
def test_what_is_no_request_id_is_left_out(value: object) -> None:
    assert read_reply(reply(json.dumps({"code": 0, "request_id": value})), EVENTS, {}).request_id is None


@pytest.mark.parametrize("message", [None, 7, [], {}, "", "   "])
def test_what_is_no_message_is_left_out(message: object) -> None:
    assert read_reply(reply(json.dumps({"code": 40002, "message": message})), EVENTS, {}) == Verdict(
        reply_class="invalid", code=40002
    )


@pytest.mark.parametrize(
    ("code", "recorded"),
    [(12345, 12345), (40050, 40050), (-1, -1), (2**63 - 1, 2**63 - 1), (2**63, None)],
)
def test_a_code_in_no_table_may_hide_a_success_but_is_none(code: int, recorded: int | None) -> None:
    verdict = read_reply(reply(json.dumps({"code": code})), EVENTS, {})
    assert (verdict.reply_class, verdict.code, verdict.maybe_accepted) == ("unknown", recorded, True)


def test_the_connections_codes_win() -> None:
    assert read_reply(reply('{"code":40050}'), EVENTS, {40050: "success"}).reply_class == "success"
    verdict = read_reply(reply('{"code":40002,"message":"Batch.0.x: bad"}'), EVENTS, {40002: "transient"})
    assert (verdict.reply_class, verdict.named) == ("transient", ())
    verdict = read_reply(reply('{"code":40002,"message":"event_source_id is bad"}'), EVENTS, {40002: "invalid"})
    assert verdict.reply_class == "invalid"


# Which event


@pytest.mark.parametrize(
    ("message", "indexes"),
    [
        ("Batch.2.properties.value: Not a valid number", (2,)),
        ("batch[1].event_id is required", (1,)),
        ("data.0.user.email: bad", (0,)),
        ("Data[2]: bad", (2,)),
        ("Batch.2.x: bad; Batch.0.y: bad; Batch.2.z: bad", (0, 2)),
        ("Batch.1.event_source: bad", (1,)),
    ],
)
@pytest.mark.parametrize("code", [40000, 40002])
def test_the_message_names_events_by_their_position(code: int, message: str, indexes: tuple[int, ...]) -> None:
    verdict = read_reply(reply(json.dumps({"code": code, "message": message})), EVENTS, {})
    assert (verdict.reply_class, verdict.named) == ("invalid", indexes)


@pytest.mark.parametrize(
    "message",
    [
        "Batch.3.properties.value: bad",
        "Batch.0.x: bad; Batch.3.y: bad",
        "Batch.12345678901234567890: bad",
        "Batch." + "9" * 5000,
        "Batch.-1.x: bad",
        "Batch.x: bad",
        "Batch.٢.x: bad",
        "rebatch.0.x: bad",
        "contents.0.price: bad",
        "Batch.7.event_source_id: bad",
    ],
)
def test_a_position_outside_the_request_is_none(message: str) -> None:
    verdict = read_reply(reply(json.dumps({"code": 40002, "message": message})), EVENTS, {})
    assert (verdict.reply_class, verdict.named) == ("invalid", ())


@pytest.mark.parametrize("code", [40001, 40061, 40062, 40100, 50000])
def test_only_40000_and_40002_name_events(code: int) -> None:
    assert read_reply(reply(json.dumps({"code": code, "message": "Batch.0.x: bad"})), EVENTS, {}).named == ()


@pytest.mark.parametrize(
    "field", ["event_source", "event_source_id", "pixel_code", "partner_name", "test_event_code", "Pixel_Code"]
)
@pytest.mark.parametrize("code", [40000, 40002])
def test_a_message_about_the_envelope_concerns_every_request(code: int, field: str) -> None:
    message = f"Invalid value for {field}: unknown."
    assert read_reply(reply(json.dumps({"code": code, "message": message})), EVENTS, {}).reply_class == "configuration"


def test_a_field_whose_name_merely_contains_one_of_the_envelope_does_not() -> None:
    message = "Invalid value for lead_event_source: unknown."
    assert read_reply(reply(json.dumps({"code": 40002, "message": message})), EVENTS, {}).reply_class == "invalid"


# Partial success


def partial(data: object) -> Verdict:
    return read_reply(reply(json.dumps({"code": 20001, "message": "partial", "data": data})), EVENTS, {})


@pytest.mark.parametrize("key", ["order_in_batch", "index"])
def test_failed_events_with_clear_positions_split_the_request(key: str) -> None:
    entry = {key: 1, "code": 40002, "message": "value 'blue wool coat' is not a valid number"}
    verdict = partial({"failed_events": [entry]})
    assert (verdict.reply_class, verdict.maybe_accepted) == ("partial", True)
    assert verdict.accepted == (0, 2)
    assert verdict.refused == ((1, 40002, "value '…' is not a valid number"),)


def test_failed_events_come_in_the_order_of_the_request_with_whatever_they_say() -> None:
    entries = [
        {"index": 2, "error_code": 40000, "error_message": "Invalid Price Field"},
        {"index": 0, "order_in_batch": 0, "event_id": "order-0", "code": "40002", "message": None},
    ]
    verdict = partial({"failed_events": entries})
    assert verdict.accepted == (1,)
    assert verdict.refused == ((0, None, None), (2, 40000, "Invalid Price Field"))


@pytest.mark.parametrize(
    "data",
    [
        None,
        [],
        "failed_events",
        {},
        {"failed_events": None},
        {"failed_events": []},
        {"failed_events": {"index": 0}},
        {"failed_events": [0, 1]},
        {"failed_events": [{}]},
        {"failed_events": [{"index": None}]},
        {"failed_events": [{"index": True}]},
        {"failed_events": [{"index": "0"}]},
        {"failed_events": [{"index": 0.0}]},
        {"failed_events": [{"index": -1}]},
        {"failed_events": [{"index": 3}]},
        {"failed_events": [{"index": 0}, {"index": 0}]},
        {"failed_events": [{"index": 0}, {"order_in_batch": 3}]},
        {"failed_events": [{"index": 0, "order_in_batch": 1}]},
        {"failed_events": [{"index": 0, "order_in_batch": "0"}]},
        {"failed_events": [{"index": 0, "event_id": "order-1"}]},
        {"failed_events": [{"index": 0}, None]},
    ],
)
def test_in_any_doubt_a_partial_success_says_nothing_of_any_event(data: object) -> None:
    verdict = partial(data)
    assert (verdict.reply_class, verdict.accepted, verdict.refused) == ("partial", None, ())


# No reply


@pytest.mark.parametrize(
    ("kind", "cls", "sent"),
    [
        (NetworkTrouble.NOT_CONNECTED, "transient", False),
        (NetworkTrouble.TIMED_OUT, "transient", True),
        (NetworkTrouble.BROKEN, "transient", True),
        (NetworkTrouble.TLS, "configuration", False),
    ],
)
def test_trouble_has_its_class_and_tells_whether_the_events_may_have_been_accepted(
    kind: NetworkTrouble, cls: ReplyClass, sent: bool
) -> None:
    verdict = read_reply(trouble(kind, sent=sent), EVENTS, {})
    assert (verdict.reply_class, verdict.code, verdict.maybe_accepted) == (cls, None, sent)
    assert verdict.message


def test_a_reply_that_broke_off_is_not_read() -> None:
    assert read_reply(trouble(NetworkTrouble.BROKEN, sent=True, status=200), EVENTS, {}).reply_class == "transient"


# May they have been accepted?


@pytest.mark.parametrize(
    ("body", "status", "sent"),
    [
        ('{"code":0}', 200, True),
        ('{"code":20001}', 200, True),
        ('{"code":40050}', 200, True),
        ('{"code":40002}', 200, False),
        ('{"code":40100}', 200, False),
        ('{"code":40105}', 200, False),
        ('{"code":50000}', 200, False),
        ("<html>", 200, True),
        ("", 204, True),
        ("<html>", 404, False),
        ("", 408, False),
        ("", 429, False),
        ("<html>", 502, False),
        ("<html>", 504, False),
    ],
)
def test_a_report_of_failure_counts_as_not_accepted_and_an_unreadable_report_of_success_does_not(
    body: str, status: int, sent: bool
) -> None:
    assert read_reply(reply(body, status), EVENTS, {}).maybe_accepted is sent


def test_no_value_of_an_event_is_in_any_part_of_a_verdict() -> None:
    for code in (40000, 40001, 40002, 40061, 40100, 40105, 50000, 12345, 20001):
        body: dict[str, object] = {"code": code, "message": "bad: Blue Wool Coat of order-1"}
        body |= {
            "request_id": "blue wool coat",
            "data": {"failed_events": [{"index": 0, "message": "ORDER-2: blue wool coat"}]},
        }
        shown = repr(read_reply(reply(json.dumps(body)), EVENTS, {})).lower()
        assert "wool" not in shown
        assert "order-" not in shown
