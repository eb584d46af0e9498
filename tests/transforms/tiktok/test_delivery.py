"""What becomes of events when TikTok, the gateway or the network answers this or that."""

import math
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from transforms.tiktok.circuit import Circuit
from transforms.tiktok.client import NetworkTrouble
from transforms.vocabulary import Kind, Reason

Deliver = Callable[..., Any]


def script(*answers: Any) -> Callable[[Any, Any], Any]:
    """Returns answers in turn; the last one for ever."""
    left = list(answers)
    return lambda sender, request: left.pop(0) if len(left) > 1 else left[0]


def kinds(outcomes: dict[str, Any]) -> dict[str, tuple[Kind, Reason | None]]:
    return {event_id: (outcome.kind, outcome.reason) for event_id, outcome in outcomes.items()}


def test_code_0_delivers_every_event_with_the_request_id(deliver: Deliver, replies: Any) -> None:
    outcomes, sender, _ = deliver([["a", "b"]], script(replies.api(0)))
    assert kinds(outcomes) == {"a": (Kind.DELIVERED, None), "b": (Kind.DELIVERED, None)}
    assert outcomes["a"].request_id == "2024070509"
    assert outcomes["a"].attempts == 1
    assert len(sender.started) == 1


@pytest.mark.parametrize("status", [500, 502, 503, 408])
def test_a_gateway_error_is_tried_again(deliver: Deliver, replies: Any, status: int) -> None:
    outcomes, sender, delivery = deliver([["a"]], script(replies.http(status), replies.http(status), replies.api(0)))
    assert kinds(outcomes) == {"a": (Kind.DELIVERED, None)}
    assert outcomes["a"].attempts == 3
    assert delivery.take_tally().counts["retries"] == 2


def test_back_off_doubles_with_full_jitter(deliver: Deliver, replies: Any) -> None:
    _, sender, _ = deliver([["a"]], script(*[replies.http(503)] * 9, replies.api(0)), latency_secs=0.0)
    begins = [at for at, _ in sender.started]
    waits = [round(later - sooner, 1) for sooner, later in zip(begins, begins[1:], strict=False)]
    # half (the jitter of this test) of 0.5, 1, 2, 4, 8, 16, 32, 60, 60 seconds, then the next slot
    assert waits == pytest.approx([0.25, 0.5, 1, 2, 4, 8, 16, 30, 30], abs=0.25)


def test_an_outage_longer_than_retry_secs_leaves_events_undelivered(deliver: Deliver, replies: Any) -> None:
    outcomes, sender, _ = deliver([["a", "b"]], script(replies.trouble(NetworkTrouble.NOT_CONNECTED)), retry_secs=30)
    assert kinds(outcomes) == {"a": (Kind.UNDELIVERED, Reason.OUTAGE), "b": (Kind.UNDELIVERED, Reason.OUTAGE)}
    assert sender.started[-1][0] - sender.started[0][0] <= 30


def test_after_an_outage_of_retry_secs_others_do_not_wait_as_long_again(deliver: Deliver, replies: Any) -> None:
    circuit = Circuit()
    fragments = [[f"{number}"] for number in range(200)]
    outcomes, sender, _ = deliver(fragments, script(replies.http(500)), circuit=circuit, retry_secs=30)
    assert Counter(outcome.kind for outcome in outcomes.values()) == {Kind.UNDELIVERED: 200}
    assert sender.now() - 1_700_000_000 < 60


def test_a_time_out_is_tried_again_with_the_same_ids_and_may_still_be_delivered(deliver: Deliver, replies: Any) -> None:
    outcomes, sender, _ = deliver([["a", "b"]], script(replies.trouble(NetworkTrouble.TIMED_OUT), replies.api(0)))
    assert kinds(outcomes) == {"a": (Kind.DELIVERED, None), "b": (Kind.DELIVERED, None)}
    assert [ids for _, ids in sender.started] == [["a", "b"], ["a", "b"]]


@pytest.mark.parametrize("trouble", [NetworkTrouble.TIMED_OUT, NetworkTrouble.BROKEN])
def test_a_request_whose_reply_never_comes_is_unknown(deliver: Deliver, replies: Any, trouble: NetworkTrouble) -> None:
    outcomes, _, _ = deliver([["a"]], script(replies.trouble(trouble)), retry_secs=20)
    assert kinds(outcomes) == {"a": (Kind.UNKNOWN, Reason.TIMED_OUT)}


def test_once_ambiguous_a_later_outage_cannot_make_it_undelivered(deliver: Deliver, replies: Any) -> None:
    answers = script(replies.trouble(NetworkTrouble.BROKEN), replies.trouble(NetworkTrouble.NOT_CONNECTED))
    outcomes, _, _ = deliver([["a"]], answers, retry_secs=20)
    assert kinds(outcomes) == {"a": (Kind.UNKNOWN, Reason.TIMED_OUT)}


def test_retry_after_is_waited_for(deliver: Deliver, replies: Any) -> None:
    _, sender, _ = deliver([["a"]], script(replies.http(429, b"", 17.0), replies.api(0)))
    assert sender.started[1][0] - sender.started[0][0] >= 17.0


def test_throttling_without_end_leaves_events_undelivered(deliver: Deliver, replies: Any) -> None:
    outcomes, _, _ = deliver([["a"]], script(replies.api(40100, "Too many requests.")), retry_secs=60)
    assert kinds(outcomes) == {"a": (Kind.UNDELIVERED, Reason.THROTTLED)}
    assert outcomes["a"].code == 40100


def test_an_event_that_tiktok_names_is_rejected_and_the_rest_goes_out_at_once(deliver: Deliver, replies: Any) -> None:
    named = replies.api(40002, "Batch.1.properties.contents.0.content_id: Not a valid string")
    outcomes, sender, _ = deliver([["a", "b", "c"]], script(named, replies.api(0)))
    assert kinds(outcomes) == {
        "a": (Kind.DELIVERED, None),
        "b": (Kind.REJECTED, Reason.REFUSED_BY_TIKTOK),
        "c": (Kind.DELIVERED, None),
    }
    assert outcomes["b"].code == 40002
    assert "content_id" in (outcomes["b"].message or "")
    assert [ids for _, ids in sender.started] == [["a", "b", "c"], ["a", "c"]]
    assert sender.started[1][0] - sender.started[0][0] < 0.5


@pytest.mark.parametrize(
    ("size", "bad"), [(1000, {"7"}), (1000, {"0", "999"}), (37, {"36"}), (2, {"0", "1"}), (1, {"0"})]
)
def test_without_an_index_bisection_finds_every_bad_event(
    deliver: Deliver, replies: Any, size: int, bad: set[str]
) -> None:
    def answer(sender: Any, request: Any) -> Any:
        ids = {payload.event_id for payload in request.payloads}
        return replies.api(40002, "some field is wrong") if ids & bad else replies.api(0)

    outcomes, sender, _ = deliver([[str(number) for number in range(size)]], answer)
    assert {event_id for event_id, outcome in outcomes.items() if outcome.kind is Kind.REJECTED} == bad
    assert all(outcome.kind is Kind.DELIVERED for event_id, outcome in outcomes.items() if event_id not in bad)
    assert len(sender.started) - 1 <= 2 * len(bad) * math.ceil(math.log2(size) if size > 1 else 1)


def test_a_batch_that_is_too_large_is_halved(deliver: Deliver, replies: Any) -> None:
    def answer(sender: Any, request: Any) -> Any:
        return replies.api(40061, "batch size") if len(request.payloads) > 50 else replies.api(0)

    outcomes, sender, _ = deliver([[str(number) for number in range(200)]], answer)
    assert all(outcome.kind is Kind.DELIVERED for outcome in outcomes.values())
    assert [len(ids) for _, ids in sender.started] == [200, 100, 100, 50, 50, 50, 50]


def test_a_single_event_that_is_too_large_is_rejected_alone(deliver: Deliver, replies: Any) -> None:
    def answer(sender: Any, request: Any) -> Any:
        return replies.http(413) if "big" in [p.event_id for p in request.payloads] else replies.api(0)

    outcomes, _, _ = deliver([["a", "big", "b"]], answer)
    assert kinds(outcomes)["big"] == (Kind.REJECTED, Reason.EVENT_TOO_LARGE)
    assert kinds(outcomes)["a"] == kinds(outcomes)["b"] == (Kind.DELIVERED, None)


@pytest.mark.parametrize(("code", "reason"), [(40105, Reason.CREDENTIALS), (41001, Reason.CONFIGURATION)])
def test_credentials_and_configuration_open_the_circuit(
    deliver: Deliver, replies: Any, code: int, reason: Reason
) -> None:
    fragments = [[f"{number}"] for number in range(100)]
    outcomes, sender, _ = deliver(fragments, script(replies.api(0), replies.api(0), replies.api(code, "no")))
    ended = Counter((outcome.kind, outcome.reason) for outcome in outcomes.values())
    assert ended == {(Kind.DELIVERED, None): 2, (Kind.UNDELIVERED, reason): 98}
    assert len(sender.started) < 20


def test_a_token_that_was_renewed_meanwhile_is_used(deliver: Deliver, replies: Any) -> None:
    answers = script(replies.api(40105, "Access token is incorrect."), replies.api(0))
    outcomes, _, _ = deliver([["a"]], answers, renewals=[True, False])
    assert kinds(outcomes) == {"a": (Kind.DELIVERED, None)}


def test_a_renewed_token_that_is_refused_too_opens_the_circuit(deliver: Deliver, replies: Any) -> None:
    outcomes, sender, _ = deliver([["a"]], script(replies.api(40105, "no")), renewals=[True])
    assert kinds(outcomes) == {"a": (Kind.UNDELIVERED, Reason.CREDENTIALS)}
    assert len(sender.started) == 2


def test_partial_success_that_cannot_be_read_is_unknown_and_not_sent_again(deliver: Deliver, replies: Any) -> None:
    outcomes, sender, _ = deliver([["a", "b"]], script(replies.api(20001, "partial")))
    assert kinds(outcomes) == {
        "a": (Kind.UNKNOWN, Reason.PARTIAL_SUCCESS),
        "b": (Kind.UNKNOWN, Reason.PARTIAL_SUCCESS),
    }
    assert len(sender.started) == 1


def test_a_code_in_no_table_is_unknown_and_not_sent_again(deliver: Deliver, replies: Any) -> None:
    outcomes, sender, _ = deliver([["a"]], script(replies.api(12345, "?")))
    assert kinds(outcomes) == {"a": (Kind.UNKNOWN, Reason.UNKNOWN_CODE)}
    assert len(sender.started) == 1


def test_the_connection_can_override_a_class(deliver: Deliver, replies: Any) -> None:
    outcomes, _, _ = deliver([["a"]], script(replies.api(40050, "duplicated")), codes={40050: "success"})
    assert kinds(outcomes) == {"a": (Kind.DELIVERED, None)}


def test_an_event_larger_than_a_request_is_rejected_unsent(deliver: Deliver, replies: Any) -> None:
    # 500 ids make more than 10,000 bytes; only a fragment of one event can be too large in real life
    outcomes, sender, _ = deliver(
        [[str(number) for number in range(500)], ["ok"]], script(replies.api(0)), max_request_bytes=10_000
    )
    assert kinds(outcomes)["0"] == (Kind.REJECTED, Reason.EVENT_TOO_LARGE)
    assert kinds(outcomes)["ok"] == (Kind.DELIVERED, None)
    assert len(sender.started) == 1


def usage_by_second(sender: Any) -> list[int]:
    seconds = Counter(math.floor(at) for at, _ in sender.started)
    whole = range(min(seconds) + 1, max(seconds))
    return [seconds[second] for second in whole]


@pytest.mark.parametrize("per_second", [10, 50, 100])
def test_the_budget_is_kept_and_used_in_every_whole_second(deliver: Deliver, replies: Any, per_second: int) -> None:
    fragments = [[f"{number}"] for number in range(per_second * 8)]
    _, sender, delivery = deliver(fragments, script(replies.api(0)), requests_per_second=per_second)
    usage = usage_by_second(sender)
    assert max(usage) <= per_second
    assert sum(usage) >= 0.97 * per_second * len(usage)
    assert delivery.take_tally().throttled_secs > 1


@pytest.mark.parametrize("per_second", [10, 50])
def test_the_budget_is_used_while_a_tenth_of_the_requests_is_throttled(
    deliver: Deliver, replies: Any, per_second: int
) -> None:
    count = 0

    def answer(sender: Any, request: Any) -> Any:
        nonlocal count
        count += 1
        return replies.api(40100, "Too many requests.") if count * 7919 % 10 == 3 else replies.api(0)

    fragments = [[f"{number}"] for number in range(per_second * 20)]
    _, sender, _ = deliver(fragments, answer, requests_per_second=per_second)
    usage = usage_by_second(sender)[:-3]  # the last retries have no other work beside them
    assert max(usage) <= per_second
    assert sum(usage) >= 0.97 * per_second * len(usage)


def test_a_throttled_shard_slows_down_and_recovers(deliver: Deliver, replies: Any) -> None:
    def answer(sender: Any, request: Any) -> Any:
        return replies.api(40100, "Too many requests.") if sender.now() < 1_700_000_030 else replies.api(0)

    fragments = [[f"{number}"] for number in range(400)]
    outcomes, sender, _ = deliver(fragments, answer, requests_per_second=20, max_in_flight=4)
    assert all(outcome.kind is Kind.DELIVERED for outcome in outcomes.values())
    seconds = Counter(math.floor(at) - 1_700_000_000 for at, _ in sender.started)
    assert max(seconds.values()) <= 20
    assert max(seconds[second] for second in range(10, 30)) < 10
    assert max(seconds[second] for second in range(31, max(seconds))) >= 19


def test_the_last_slot_of_a_former_holder_is_not_used_again(deliver: Deliver, replies: Any) -> None:
    _, _, delivery = deliver([["a"]], script(replies.api(0)))
    last = delivery.last_slot(0)
    delivery.hold(0, last + 10_000)
    assert delivery.last_slot(0) == last + 10_000
    delivery.hold(0, 3)
    assert delivery.last_slot(0) == last + 10_000
