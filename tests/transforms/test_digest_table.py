"""Digests of keys: equal keys alone have equal ones; tables and sets know exactly what was put into them."""

import numpy as np
import pytest

from transforms.delivery_history import DeliveryHistory, EventKeys, build_table, empty_history, is_late
from transforms.digest_table import DigestSet, DigestTable, digests, seed
from transforms.model import Payload
from transforms.vocabulary import Form, Reason

HOUR = 3600
NOW = 1_800_000_000.0


def made_up(count: int, start: int = 0) -> np.ndarray:
    return digests([b"event-%d" % number for number in range(start, start + count)], seed("PIXEL", "Purchase")).copy()


@pytest.mark.parametrize("count", [0, 1, 2, 3, 7, 8, 1000, 50_000])
def test_a_table_finds_what_is_in_it_and_nothing_else(count: int) -> None:
    found = DigestTable(made_up(count))
    assert len(found) == count
    assert found.contains(made_up(count)).all()
    assert not found.contains(made_up(500, start=count)).any()
    mixed = np.concatenate([made_up(10, start=count), made_up(min(count, 10))])
    assert found.contains(mixed).tolist() == [False] * 10 + [True] * min(count, 10)


def test_of_a_repeated_digest_a_table_keeps_the_least_value() -> None:
    keys = made_up(3)
    found = DigestTable(np.concatenate([keys, keys[::-1]]), np.array([5, 6, 7, 1, 9, 2]))
    assert len(found) == 3
    assert found.values(found.positions(keys)).tolist() == [2, 6, 1]


def test_digests_whose_first_halves_are_equal_are_told_apart() -> None:
    same = np.array([[7, 3], [7, 1], [7, 2], [9, 1], [2**64 - 1, 5], [2**64 - 1, 4], [0, 0]], np.uint64)
    found = DigestTable(same.copy())
    assert found.contains(same).all()
    others = np.array([[7, 4], [7, 0], [9, 2], [2**64 - 1, 6], [0, 1], [8, 1]], np.uint64)
    assert not found.contains(others).any()


def test_a_set_says_what_it_has_seen_also_within_one_list() -> None:
    seen = DigestSet()
    keys = made_up(20_000)
    assert not seen.add(keys[:10_000]).any()
    assert seen.add(np.concatenate([keys[10_000:10_003], keys[10_000:10_003], keys[:2]])).tolist() == (
        [False] * 3 + [True] * 5
    )
    assert not seen.add(keys[10_003:]).any()
    assert seen.add(keys).all()
    assert len(seen) == 20_000
    assert seen.add(np.empty((0, 2), np.uint64)).tolist() == []


def test_a_set_tells_colliding_places_apart() -> None:
    keys = np.array([[5 + (number << 40), number] for number in range(300)], np.uint64)
    seen = DigestSet()
    assert not seen.add(keys).any()
    assert seen.add(keys).all()


def payload(event: str, event_id: str) -> Payload:
    return Payload(Form.WEB, event, event_id, 0, b"{}")


def test_source_name_and_id_are_all_part_of_a_key() -> None:
    batch = [payload("Purchase", "1"), payload("Purchase", "2"), payload("AddToCart", "1")]
    ours, others = EventKeys("PIXEL").digests(batch), EventKeys("OTHER").digests(batch)
    assert len({row.tobytes() for row in np.concatenate([ours, others])}) == 6
    # However the list is made up.
    assert [EventKeys("PIXEL").digests([one]).tobytes() for one in batch] == [row.tobytes() for row in ours]
    assert EventKeys("PIXEL").digests(batch[:2]).tolist() == ours[:2].tolist()


def test_delivered_wins_over_unknown_and_48_hours_decide_about_the_rest() -> None:
    keys = made_up(5)
    first_ms = [int((NOW - hours * HOUR) * 1000) for hours in (60, 1, 47, 47.6, 60)]
    known = DeliveryHistory(build_table([keys[:1]]), build_table([keys], [np.array(first_ms)]))
    wanted = np.concatenate([keys, made_up(1, start=50)])
    assert known.reasons(wanted, NOW, resend_unknown=False) == {
        0: Reason.ALREADY_DELIVERED,
        3: Reason.AWAITING_DECISION,
        4: Reason.AWAITING_DECISION,
    }
    assert known.reasons(wanted, NOW, resend_unknown=True) == {0: Reason.ALREADY_DELIVERED}
    assert empty_history().reasons(wanted, NOW, resend_unknown=False) == {}


@pytest.mark.parametrize(("hours", "late"), [(0, False), (47.49, False), (47.5, True), (48, True), (1000, True)])
def test_half_an_hour_before_the_end_is_as_late_as_later(hours: float, late: bool) -> None:
    """What is checked now may wait for its request."""
    assert is_late((NOW - hours * HOUR) * 1000, NOW) is late
