"""What the log is told of refused requests: the first of each kind, and then not each of hundreds a second."""

from collections.abc import Callable

import pytest

from transforms.model import Payload
from transforms.tiktok.client import ApiReply
from transforms.tiktok.request_logs import RefusalLog
from transforms.tiktok.request_state import RequestState
from transforms.tiktok.verdict import Verdict
from transforms.vocabulary import Form


@pytest.fixture
def tell(payload: Callable[[str], Payload], caplog: pytest.LogCaptureFixture) -> Callable[..., list[str]]:
    """Tells of a refusal at a time, and returns what the log has got from it."""
    refusals = RefusalLog()
    request = RequestState.of(Form.WEB, [payload("a"), payload("b")])

    def run(at: float, code: int | None = 40002, status: int = 200) -> list[str]:
        caplog.clear()
        reply = ApiReply(status=status, body=b"{}", sent=True, started_at=at, elapsed_secs=0.1)
        refusals.log(
            request,
            reply,
            Verdict(
                reply_class="invalid", code=code, message=f"data.{at:g}.event: Not a valid string", request_id="R1"
            ),
        )
        return [record.getMessage() for record in caplog.records]

    return run


def test_the_first_of_a_kind_is_told_with_all_that_is_known(tell: Callable[..., list[str]]) -> None:
    (told,) = tell(7.0)
    assert told == (
        "invalid request of 2 events, attempt 0: HTTP 200, code 40002 PARAM_ERROR, data.7.event: Not a valid string, "
        "request id R1"
    )


def test_those_that_follow_are_counted_and_told_after_a_while(tell: Callable[..., list[str]]) -> None:
    assert tell(100.0)
    assert [tell(100.0 + number / 10) for number in range(1, 100)] == [[]] * 99
    (told,) = tell(110.0)
    assert told.endswith("; 99 more like it since the last one logged")
    assert tell(110.1) == []
    (told,) = tell(130.0)
    assert told.endswith("; 1 more like it since the last one logged")


def test_each_kind_is_told_for_itself(tell: Callable[..., list[str]]) -> None:
    assert [len(tell(1.0, code, status)) for code, status in ((40002, 200), (40061, 200), (40002, 400))] == [1, 1, 1]
    assert [len(tell(2.0, code, status)) for code, status in ((40002, 200), (40061, 200), (40002, 400))] == [0, 0, 0]


def test_a_clock_that_was_set_back_keeps_nothing_quiet(tell: Callable[..., list[str]]) -> None:
    assert tell(1_000.0)
    assert tell(5.0)
