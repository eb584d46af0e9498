"""Each field of an outcome is that of its request, its payload or its verdict."""

import msgspec
import pytest

from transforms.model import Outcome, Payload
from transforms.tiktok.request_outcomes import outcomes_of
from transforms.tiktok.request_state import RequestState
from transforms.tiktok.verdict import Verdict
from transforms.vocabulary import Form, Kind, MatchKey, Note, Reason, Stage

PAYLOAD = Payload(
    form=Form.WEB,
    event="Purchase",
    event_id="id-1",
    occurred_at_ms=1_718_900_123_456,
    body=b'{"event":"Purchase"}',
    ref="file#7",
    index=3,
    match_keys=MatchKey.EMAIL,
    value=12.5,
    currency="EUR",
    notes=(next(iter(Note)),),
    attempts=4,
    original=b"the whole message",
)
VERDICT = Verdict(reply_class="invalid", code=40002, message="data.0: no", request_id="R1")


def sent(*payloads: Payload) -> RequestState:
    request = RequestState.of(Form.WEB, payloads)
    request.attempts, request.first_sent_at, request.sent_at, request.answered_at = 2, 10.5, 20.25, 20.75
    return request


def test_every_field_of_an_outcome_is_where_it_belongs() -> None:
    """The fields are given by position, because naming them costs five times as much."""
    (outcome,) = outcomes_of(sent(PAYLOAD), None, Kind.REJECTED, Reason.REFUSED_BY_TIKTOK, VERDICT)
    expected = Outcome(
        kind=Kind.REJECTED,
        stage=Stage.WRITE,
        reason=Reason.REFUSED_BY_TIKTOK,
        ref="file#7",
        index=3,
        detail=None,
        form=Form.WEB,
        event="Purchase",
        event_id="id-1",
        occurred_at_ms=1_718_900_123_456,
        match_keys=MatchKey.EMAIL,
        value=12.5,
        currency="EUR",
        notes=PAYLOAD.notes,
        code=40002,
        message="data.0: no",
        request_id="R1",
        attempts=6,
        sent_at_ms=20_250,
        first_sent_at_ms=10_500,
        payload=b'{"event":"Purchase"}',
        original=b"the whole message",
        answered_at_ms=20_750,
    )
    assert msgspec.structs.asdict(outcome) == msgspec.structs.asdict(expected)


def test_what_was_delivered_has_no_message_and_no_original() -> None:
    (outcome,) = outcomes_of(sent(PAYLOAD), None, Kind.DELIVERED, None, VERDICT)
    assert (outcome.message, outcome.original) == (None, None)


def test_what_was_never_sent_has_no_times() -> None:
    (outcome,) = outcomes_of(RequestState.of(Form.WEB, [PAYLOAD]), None, Kind.UNDELIVERED, Reason.CREDENTIALS, VERDICT)
    assert (outcome.sent_at_ms, outcome.first_sent_at_ms, outcome.answered_at_ms) == (None, None, None)


@pytest.mark.parametrize("positions", [(1,), (0, 2), (0, 1, 2)])
def test_outcomes_are_those_of_the_positions_and_have_a_code_of_their_own(positions: tuple[int, ...]) -> None:
    payloads = [msgspec.structs.replace(PAYLOAD, event_id=name) for name in "abc"]
    outcomes = outcomes_of(
        sent(*payloads), positions, Kind.REJECTED, Reason.REFUSED_BY_TIKTOK, VERDICT, 40062, "not hashed"
    )
    assert [outcome.event_id for outcome in outcomes] == ["abc"[position] for position in positions]
    assert {(outcome.code, outcome.message) for outcome in outcomes} == {(40062, "not hashed")}
