"""A request is its events, joined in the envelope of its form."""

import json

import pytest

from transforms.connection import Connection
from transforms.tiktok.envelope import endpoint_path, endpoint_url, make_envelope
from transforms.vocabulary import Form


@pytest.mark.parametrize(
    ("form", "expected"),
    [(Form.LEGACY, "pixel/batch/"), (Form.WEB, "event/track/"), (Form.OFFLINE, "event/track/")],
)
def test_each_form_has_its_path_with_a_slash_at_the_end(form: Form, expected: str) -> None:
    assert endpoint_path(form) == expected


@pytest.mark.parametrize("slash", ["", "/"])
def test_the_address_is_the_base_and_the_path(slash: str) -> None:
    connection = Connection(event_source_id="P1", api_url=f"https://business-api.tiktok.com/open_api/v1.3{slash}")
    assert endpoint_url(connection, Form.LEGACY) == "https://business-api.tiktok.com/open_api/v1.3/pixel/batch/"


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        (Form.LEGACY, b'{"pixel_code":"P1","batch":[{"a":1},{"b":2}]}'),
        (Form.WEB, b'{"event_source":"web","event_source_id":"P1","data":[{"a":1},{"b":2}]}'),
        (Form.OFFLINE, b'{"event_source":"offline","event_source_id":"P1","data":[{"a":1},{"b":2}]}'),
    ],
)
def test_a_request_names_its_source_once_and_holds_the_events_in_their_order(form: Form, expected: bytes) -> None:
    assert make_envelope(Connection(event_source_id="P1"), form).join([b'{"a":1}', b'{"b":2}']) == expected


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        (Form.LEGACY, b'{"pixel_code":"P1","test_event_code":"TEST04030","partner_name":"Acme","batch":[{}]}'),
        (
            Form.WEB,
            b'{"event_source":"web","event_source_id":"P1","test_event_code":"TEST04030","partner_name":"Acme",'
            b'"data":[{}]}',
        ),
    ],
)
def test_test_event_code_and_partner_name_stand_at_the_top_level(form: Form, expected: bytes) -> None:
    connection = Connection(event_source_id="P1", test_event_code="TEST04030", partner_name="Acme")
    assert make_envelope(connection, form).join([b"{}"]) == expected


@pytest.mark.parametrize("form", list(Form))
def test_settings_that_are_not_given_are_not_sent(form: Form) -> None:
    connection = Connection(event_source_id="P1", test_event_code="", partner_name=None)
    assert not {"test_event_code", "partner_name"} & set(json.loads(make_envelope(connection, form).join([b"{}"])))


def test_values_are_escaped() -> None:
    connection = Connection(event_source_id='P"1\\\n', test_event_code="Ünï\u2028")
    fields = json.loads(make_envelope(connection, Form.WEB).join([b"{}"]))
    assert (fields["event_source_id"], fields["test_event_code"]) == ('P"1\\\n', "Ünï\u2028")


@pytest.mark.parametrize("form", list(Form))
def test_the_size_of_an_envelope_is_all_that_it_adds_to_its_events(form: Form) -> None:
    wrap = make_envelope(Connection(event_source_id="P1", partner_name="Äcme"), form)
    assert len(wrap.join([b"{}", b"{}", b"{}"])) == wrap.size_bytes + len(b"{},{},{}")


def test_a_request_without_events_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one event"):
        make_envelope(Connection(event_source_id="P1"), Form.WEB).join([])


@pytest.mark.parametrize("piece_bytes", [1, 7, 64, 1_000, 1 << 20])
def test_a_body_in_pieces_is_the_same_body(piece_bytes: int) -> None:
    around = make_envelope(Connection(event_source_id="P1"), Form.WEB).body
    bodies = [b'{"n":%d,"t":"%b"}' % (number, b"x" * (number * 37 % 300)) for number in range(60)]
    long = b'{"long":"%b"}' % (b"y" * 5_000)
    large = b'{"large":"%b"}' % (b"z" * 20_000)
    for some in (bodies, bodies[:1], bodies[:2], [*bodies, long], [large], [large, large, *bodies[:3]]):
        body = around(some)
        pieces = list(body.pieces(piece_bytes))
        whole = b"".join(pieces)
        assert json.loads(whole)["data"] == [json.loads(each) for each in some]
        assert len(whole) == body.size_bytes
        assert max(map(len, pieces)) <= 2 * piece_bytes


@pytest.mark.parametrize("piece_bytes", [1, 1_000, 1 << 20])
def test_events_that_were_joined_before_make_the_same_body(piece_bytes: int) -> None:
    wrap = make_envelope(Connection(event_source_id="P1"), Form.WEB)
    events = [b'{"n":%d,"t":"%b"}' % (number, b"x" * 900) for number in range(90)]
    runs = [memoryview(b",".join(events[:40])), memoryview(b",".join(events[40:89])), events[89]]
    body = wrap.body(runs)
    assert b"".join(body.pieces(piece_bytes)) == wrap.join(events)
    assert body.size_bytes == len(wrap.join(events))
