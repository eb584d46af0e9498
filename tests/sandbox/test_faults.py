"""Which requests a fault rule hits."""

from collections.abc import Sequence

import msgspec
import pytest

from sandbox.tiktok.faults import Answer, AnyFault, Delay, Faults, Html, InvalidEvents, Reset, SlowRead

TRACK, LEGACY = "event/track/", "pixel/batch/"


class Time:
    """Seconds that pass only when told to."""

    def __init__(self) -> None:
        self.secs = 100.0

    def __call__(self) -> float:
        return self.secs


def hit(rules: Sequence[AnyFault], requests: int, path: str = TRACK, events: int = 1) -> list[int]:
    """Returns which of so many requests are hit, counted from 1."""
    faults = Faults()
    faults.set(rules)
    return [number for number in range(1, requests + 1) if faults.plan(path, lambda: events).fault is not None]


def test_without_conditions_every_request_is_hit() -> None:
    assert hit([Html()], 3) == [1, 2, 3]


def test_every_nth_request_can_be_hit() -> None:
    assert hit([Html(every=3)], 9) == [3, 6, 9]


def test_the_first_requests_can_be_left_alone() -> None:
    assert hit([Html(skip=2)], 4) == [3, 4]


def test_a_rule_can_be_used_up() -> None:
    assert hit([Html(limit=2)], 4) == [1, 2]


def test_a_rule_can_be_for_one_path() -> None:
    assert hit([Html(path="event/track/")], 2, path=LEGACY) == []
    assert hit([Html(path="event/track/")], 2, path=TRACK) == [1, 2]


def test_a_rule_can_be_for_large_requests() -> None:
    assert hit([Html(min_events=10)], 2, events=9) == []
    assert hit([Html(min_events=10)], 2, events=10) == [1, 2]


def test_a_probability_is_drawn_from_the_seed() -> None:
    first, again, other = (hit([Html(probability=0.3, seed=seed)], 1000) for seed in (1, 1, 2))
    assert first == again != other
    assert 250 < len(first) < 350


def test_a_rule_can_hold_for_a_time() -> None:
    now = Time()
    faults = Faults(now)
    faults.set([Html(from_secs=1, to_secs=2)])
    seen = []
    for now.secs in (100.0, 100.9, 101.0, 101.9, 102.0):
        seen.append(faults.plan(TRACK, int).fault is not None)
    assert seen == [False, False, True, True, False]


def test_the_first_rule_that_hits_wins() -> None:
    faults = Faults()
    faults.set([Html(every=2), Answer(code=50000)])
    chosen = [type(faults.plan(TRACK, int).fault) for _ in range(4)]
    assert chosen == [Answer, Html, Answer, Html]
    assert [(active.fitted, active.hit) for active in faults.applied()] == [(4, 2), (2, 2)]


def test_delays_and_declared_events_come_on_top() -> None:
    faults = Faults()
    invalid = InvalidEvents(event_ids=frozenset({"a"}))
    faults.set([Html(), Delay(secs=1), Delay(secs=2), Delay(secs=4, when="before"), invalid])
    plan = faults.plan(TRACK, int)
    assert (plan.before_secs, plan.after_secs) == (4, 3)
    assert plan.invalid == [invalid]
    assert plan.fault == Html()


def test_a_delay_can_be_drawn_from_a_range() -> None:
    faults = Faults()
    faults.set([Delay(secs=1, max_secs=2)])
    drawn = {faults.plan(TRACK, int).after_secs for _ in range(50)}
    assert len(drawn) > 40
    assert all(1 <= secs <= 2 for secs in drawn)


def test_what_happens_while_reading_is_no_part_of_the_plan() -> None:
    faults = Faults()
    faults.set([SlowRead(bytes_per_sec=1, limit=1), Reset(when="reading", limit=1)])
    assert faults.plan(TRACK, int).fault is None
    assert faults.while_reading(TRACK) == SlowRead(bytes_per_sec=1, limit=1)
    assert faults.while_reading(TRACK) == Reset(when="reading", limit=1)
    assert faults.while_reading(TRACK) is None


def test_setting_rules_replaces_and_adding_keeps() -> None:
    faults = Faults()
    faults.set([Html()])
    faults.set([Answer(code=1)], keep=True)
    assert [active.rule for active in faults.applied()] == [Html(), Answer(code=1)]
    faults.set([])
    assert faults.applied() == []


def test_declared_events_are_a_stable_share() -> None:
    rule = InvalidEvents(share=0.01, seed=3)
    declared = [number for number in range(100_000) if rule.hits(str(number))]
    assert 900 < len(declared) < 1100
    assert declared == [number for number in range(100_000) if InvalidEvents(share=0.01, seed=3).hits(str(number))]
    assert declared != [number for number in range(100_000) if InvalidEvents(share=0.01, seed=4).hits(str(number))]


@pytest.mark.parametrize(
    "rule",
    [
        '{"action": "explode"}',
        '{"action": "html", "statuss": 502}',
        '{"action": "html", "probability": 2}',
        '{"action": "delay"}',
        '{"action": "html", "path": "pixel/track/"}',
        '{"action": "html", "every": 0}',
    ],
)
def test_a_rule_that_is_not_understood_is_refused(rule: str) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(rule, type=AnyFault)
