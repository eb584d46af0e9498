"""Many invalid events in a batch: TikTok names one at a time, and the others go out again as cheaply as can be."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from transforms.model import Payload
from transforms.tiktok.client import NetworkTrouble
from transforms.tiktok.isolation import Isolation
from transforms.tiktok.request_state import RequestState, join_requests
from transforms.vocabulary import Form, Kind

Deliver = Callable[..., Any]

BATCH = [str(number) for number in range(800)]
BAD = {str(number) for number in range(40, 800, 100)}

# One shard with a slot every tenth of a second, and replies that take longer: slots pass unused.
SPARE: dict[str, Any] = {"requests_per_second": 8.0, "latency_secs": 0.3}


def naming(bad: set[str], replies: Any, choose: Callable[[list[int]], int] = min) -> Callable[[Any, Any], Any]:
    """Returns an answer that names one of the invalid events of a request: the first, if nothing else is said."""

    def answer(sender: Any, request: Any) -> Any:
        found = [at for at, payload in enumerate(request.payloads) if payload.event_id in bad]
        if not found:
            return replies.api(0)
        named = choose(found)
        others = (payload.event_id for at, payload in enumerate(request.payloads) if at != named)
        vars(sender).setdefault("refused_for_another", Counter()).update(others)
        return replies.api(40002, f"data.{named}.event: Not a valid string")

    return answer


def check(outcomes: dict[str, Any], sender: Any, bad: set[str]) -> None:
    """Each event has the outcome that TikTok gave it, and as many attempts as requests told something of it."""
    assert {event_id for event_id, outcome in outcomes.items() if outcome.kind is Kind.REJECTED} == bad
    assert all(outcome.kind is Kind.DELIVERED for event_id, outcome in outcomes.items() if event_id not in bad)
    carried = Counter(event_id for _, ids in sender.started for event_id in ids)
    carried.subtract(sender.refused_for_another)
    assert {event_id: outcome.attempts for event_id, outcome in outcomes.items()} == carried


def test_while_the_first_is_named_each_event_is_sent_a_few_times_only(deliver: Deliver, replies: Any) -> None:
    outcomes, sender, _ = deliver([BATCH], naming(BAD, replies), **SPARE)
    check(outcomes, sender, BAD)
    assert sum(len(ids) for _, ids in sender.started) < 5 * len(BATCH)  # and 8 * 800 if all others went out each time
    assert len(sender.started) <= len(BAD) + 3


def test_the_bundles_thread_is_not_woken_for_each_event_that_is_named(deliver: Deliver, replies: Any) -> None:
    outcomes, sender, _ = deliver([BATCH], naming(BAD, replies), **SPARE)
    check(outcomes, sender, BAD)
    assert sender.reported == 1


def test_a_dirty_source_is_sent_in_parts_from_the_start(deliver: Deliver, replies: Any) -> None:
    batches = [[f"{batch}-{event_id}" for event_id in BATCH] for batch in range(6)]
    bad = {f"{batch}-{event_id}" for batch in range(6) for event_id in BAD}
    outcomes, sender, _ = deliver(batches, naming(bad, replies), max_in_flight=1, latency_secs=0.3)
    check(outcomes, sender, bad)
    assert [len(ids) for _, ids in sender.started if ids[0] == "5-0"][0] < 400
    assert sum(len(ids) for _, ids in sender.started) < 5 * 6 * len(BATCH)
    assert len(sender.started) <= 1.2 * (len(bad) + 6)


@pytest.mark.parametrize("choose", [max, lambda found: found[len(found) // 2]], ids=["last", "middle"])
def test_if_another_than_the_first_is_named_the_rest_goes_out_whole(
    deliver: Deliver, replies: Any, choose: Callable[[list[int]], int]
) -> None:
    batches = [[f"{batch}-{event_id}" for event_id in BATCH] for batch in range(4)]
    bad = {f"{batch}-{event_id}" for batch in range(4) for event_id in BAD}
    outcomes, sender, _ = deliver(batches, naming(bad, replies, choose), max_in_flight=1, **SPARE)
    check(outcomes, sender, bad)
    # Noticed within the first batch: after that it is one request for each of them, and one for the rest.
    assert len(sender.started) <= len(bad) + 4 + 4


def test_a_scarce_budget_is_spent_on_no_request_more_than_one_for_each_invalid_event(
    deliver: Deliver, replies: Any
) -> None:
    batches = [[f"{batch}-{event_id}" for event_id in BATCH] for batch in range(8)]
    bad = {f"{batch}-{event_id}" for batch in range(8) for event_id in BAD}
    outcomes, sender, _ = deliver(batches, naming(bad, replies), requests_per_second=4.0)
    check(outcomes, sender, bad)
    # The slots are free before the first requests have taken theirs, and when the last ones are alone.
    assert len(sender.started) <= len(bad) + 8 + 2


def test_trouble_on_the_way_costs_no_event_its_outcome(deliver: Deliver, replies: Any) -> None:
    name, count = naming(BAD, replies), 0

    def answer(sender: Any, request: Any) -> Any:
        nonlocal count
        count += 1
        if count % 4 == 0:
            return replies.trouble(NetworkTrouble.TIMED_OUT if count % 8 else NetworkTrouble.NOT_CONNECTED)
        return name(sender, request)

    outcomes, sender, _ = deliver([BATCH], answer, **SPARE)
    check(outcomes, sender, BAD)


@pytest.mark.parametrize(("code", "kind"), [(40105, Kind.UNDELIVERED), (12345, Kind.UNKNOWN), (20001, Kind.UNKNOWN)])
def test_what_waits_behind_a_request_ends_too_when_that_one_ends_badly(
    deliver: Deliver, replies: Any, code: int, kind: Kind
) -> None:
    name, count = naming(BAD, replies), 0

    def answer(sender: Any, request: Any) -> Any:
        nonlocal count
        count += 1
        return name(sender, request) if count < 2 else replies.api(code, "no")

    outcomes, _, _ = deliver([BATCH], answer, **SPARE)
    assert Counter(outcome.kind for outcome in outcomes.values()) == {Kind.REJECTED: 1, kind: 799}


def test_an_outage_amid_a_batch_leaves_all_that_was_not_accepted_undelivered(deliver: Deliver, replies: Any) -> None:
    name = naming(BAD, replies)

    def answer(sender: Any, request: Any) -> Any:
        return name(sender, request) if sender.now() < 1_700_000_001.0 else replies.http(503)

    outcomes, sender, _ = deliver([BATCH], answer, retry_secs=20, **SPARE)
    kinds = Counter(outcome.kind for outcome in outcomes.values())
    assert kinds[Kind.REJECTED] + kinds[Kind.DELIVERED] + kinds[Kind.UNDELIVERED] == len(BATCH)
    assert kinds[Kind.UNDELIVERED] > 500
    assert sender.now() - 1_700_000_000 < 60


def test_several_named_at_once_are_rejected_at_once(deliver: Deliver, replies: Any) -> None:
    def answer(sender: Any, request: Any) -> Any:
        if len(sender.started) == 1:
            sender.refused_for_another = Counter("ace")
            return replies.api(40002, "data.1.event: Not a valid string; data.3.event: Not a valid string")
        return replies.api(0)

    outcomes, sender, _ = deliver([["a", "b", "c", "d", "e"]], answer)
    check(outcomes, sender, {"b", "d"})
    assert [ids for _, ids in sender.started] == [["a", "b", "c", "d", "e"], ["a", "c", "e"]]


def test_what_may_have_been_accepted_is_not_mixed_with_what_was_not(payload: Callable[[str], Payload]) -> None:
    isolation = Isolation()
    batch = RequestState.of(Form.WEB, [payload(str(number)) for number in range(101)])
    request, other = batch.part(0, 100), batch.part(100, 101)
    request.attempts, request.maybe_accepted, other.attempts = 2, True, 1
    request.held_unchecked = [other]
    parts = isolation.next_requests(*isolation.split(request, 30), has_spare_slot=True)
    assert sorted((len(part.payloads), part.maybe_accepted) for part in parts) == [(1, False), (99, True)]


def test_joined_requests_know_the_attempts_of_each_payload(payload: Callable[[str], Payload]) -> None:
    batch = RequestState.of(Form.WEB, [payload(name) for name in "abcdef"])
    first, second, last = batch.part(0, 2), batch.part(2, 5), batch.part(5, 6)
    first.attempts, second.attempts, last.attempts = 1, 3, 9
    whole = join_requests([first, second])
    assert whole is not None
    assert list(whole.attempts_of(0, 5)) == [1, 1, 3, 3, 3]
    part = whole.part(1, 4)
    part.attempts += 1
    assert list(part.attempts_of(0, 3)) == [2, 4, 4]
    again = join_requests([part, last])
    assert again is not None
    assert [one.event_id for one in again.payloads] == ["b", "c", "d", "f"]
    assert [len(body) for body in again.payloads.bodies()] == [len(one.body) for one in again.payloads]
    assert list(again.attempts_of(0, 4)) == [2, 4, 4, 9]
    assert join_requests([]) is None
