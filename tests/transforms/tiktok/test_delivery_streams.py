"""What a stream does while TikTok refuses the token: it keeps what it has, asks now and then, and goes on by itself."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from transforms.tiktok.circuit import Circuit, CircuitOpenError
from transforms.vocabulary import Kind, Reason

Deliver = Callable[..., Any]


def never() -> bool:
    return False


def refused_until(secs: float, replies: Any, code: int = 40105) -> Callable[[Any, Any], Any]:
    """Returns answers that refuse everything for so long after the first request, and accept what comes then."""
    began: list[float] = []

    def answer(sender: Any, request: Any) -> Any:
        began.append(sender.now())
        return replies.api(0) if sender.now() - began[0] >= secs else replies.api(code, "no")

    return answer


@pytest.mark.parametrize("code", [40001, 40105, 41001])
def test_nothing_ends_while_the_circuit_is_open_and_all_goes_on_once_it_closes(
    deliver: Deliver, replies: Any, code: int
) -> None:
    fragments = [[f"{number}"] for number in range(20)]
    outcomes, sender, delivery = deliver(fragments, refused_until(600, replies, code), stopping=never, retry_secs=30)
    assert {(one.kind, one.reason) for one in outcomes.values()} == {(Kind.DELIVERED, None)}
    assert delivery.take_tally().counts["circuit_opened"] == 1


def test_one_request_a_minute_is_tried(deliver: Deliver, replies: Any) -> None:
    fragments = [[f"{number}"] for number in range(20)]
    _, sender, delivery = deliver(fragments, refused_until(600, replies), stopping=never)
    begins = [at for at, _ in sender.started]
    probes = [at - begins[0] for at in begins if 1 < at - begins[0] < 600.5][:10]
    assert probes == pytest.approx([60.0 * minute for minute in range(1, 11)], abs=1.0)
    assert delivery.take_tally().counts["circuit_probes"] == 10


def test_the_interval_is_a_setting(deliver: Deliver, replies: Any) -> None:
    _, sender, _ = deliver([["a"]], refused_until(9, replies), stopping=never, probe_secs=3.0)
    begins = [at for at, _ in sender.started]
    assert [at - begins[0] for at in begins] == pytest.approx([0, 3, 6, 9], abs=0.5)


def test_the_time_behind_an_open_circuit_does_not_use_up_retry_secs(deliver: Deliver, replies: Any) -> None:
    answers = [replies.api(40105, "no")] * 3 + [replies.api(0), *[replies.http(503)] * 4, replies.api(0)]

    def answer(sender: Any, request: Any) -> Any:
        return answers.pop(0)

    outcomes, _, _ = deliver([["a"], ["b"]], answer, stopping=never, retry_secs=30, max_in_flight=1)
    assert {one.kind for one in outcomes.values()} == {Kind.DELIVERED}


def test_what_may_have_been_accepted_before_is_not_called_unknown_because_of_the_circuit(
    deliver: Deliver, replies: Any
) -> None:
    from transforms.tiktok.client import NetworkTrouble

    answers = [replies.trouble(NetworkTrouble.TIMED_OUT), replies.api(40105, "no"), replies.api(0)]
    outcomes, _, _ = deliver([["a"]], lambda sender, request: answers.pop(0), stopping=never)
    assert (outcomes["a"].kind, outcomes["a"].attempts) == (Kind.DELIVERED, 3)


def test_bundles_of_a_process_share_one_circuit(deliver: Deliver, replies: Any) -> None:
    circuit = Circuit()
    deliver([["a"]], refused_until(100, replies), stopping=never, circuit=circuit)
    assert circuit.reason is None
    assert circuit.closed_at > circuit.opened_at
    outcomes, sender, _ = deliver([["b"]], lambda sender, request: replies.api(0), stopping=never, circuit=circuit)
    assert outcomes["b"].kind is Kind.DELIVERED
    assert len(sender.started) == 1


def test_a_stream_that_is_to_end_does_not_wait_and_invents_no_outcome(deliver: Deliver, replies: Any) -> None:
    asked = Counter[str]()

    def stopping() -> bool:
        asked["times"] += 1
        return asked["times"] > 5

    with pytest.raises(CircuitOpenError, match="40105"):
        deliver([["a"]], lambda sender, request: replies.api(40105, "no"), stopping=stopping)


def test_without_a_stream_the_circuit_stays_open(deliver: Deliver, replies: Any) -> None:
    circuit = Circuit()
    outcomes, _, _ = deliver([["a"], ["b"]], refused_until(0.01, replies), circuit=circuit, max_in_flight=1)
    assert circuit.reason is Reason.CREDENTIALS
    assert {one.kind for one in outcomes.values()} == {Kind.UNDELIVERED}
