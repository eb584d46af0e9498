"""Some of the payloads of a batch: cut and put together like lists, without a copy of what is in them."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.model import Payload
from transforms.tiktok.payload_slice import PayloadSlice
from transforms.vocabulary import Form

BATCH = [
    Payload(Form.WEB, "Purchase", str(number), 1_718_900_123_456, b'{"n":%d}' % number, f"file#{number}")
    for number in range(300)
]
# Some of them are joined in runs: the edges of runs are met.
PLACE = st.integers(0, 300)


@given(st.lists(st.tuples(PLACE, PLACE), max_size=5), st.lists(st.tuples(PLACE, PLACE), max_size=4))
def test_it_is_cut_and_put_together_as_a_list_is(pieces: list[tuple[int, int]], cuts: list[tuple[int, int]]) -> None:
    whole = PayloadSlice(BATCH)
    part, expected = whole[0:0].with_more([whole[start:stop] for start, stop in pieces]), list[Payload]()
    for start, stop in pieces:
        expected += BATCH[start:stop]
    for start, stop in cuts:
        part, expected = part[start:stop], expected[start:stop]
    assert len(part) == len(expected)
    assert list(part) == expected
    assert [part[place] for place in range(len(expected))] == expected
    assert list(part.bodies()) == [payload.body for payload in expected]
    assert part.bodies()[3:9] == [payload.body for payload in expected[3:9]]
    assert b",".join(part.joined_bodies()) == b",".join(payload.body for payload in expected)
    assert bool(part) == bool(expected)


@pytest.mark.parametrize(
    ("ask", "error"),
    [(lambda part: part[3], IndexError), (lambda part: part[::2], ValueError)],
    ids=["outside", "with gaps"],
)
def test_what_it_cannot_give_is_an_error(ask: Callable[[PayloadSlice], object], error: type[Exception]) -> None:
    with pytest.raises(error):
        ask(PayloadSlice(BATCH)[2:5])


def test_a_slice_of_a_few_runs_is_joined_from_few_pieces() -> None:
    whole = PayloadSlice(BATCH)
    rest = whole[10:60].with_more([whole[60:200], whole[250:290]])
    assert len(rest) == 230
    assert len(rest.joined_bodies()) == 4


def test_threads_may_ask_for_parts_of_one_batch_at_once() -> None:
    whole = PayloadSlice(BATCH * 10)
    parts = [whole[start : start + 7] for start in range(0, 2_996, 7)] * 4
    with ThreadPoolExecutor(8) as pool:
        joined = list(pool.map(lambda part: b",".join(part.joined_bodies()), parts))
    assert joined == [b",".join(payload.body for payload in part) for part in parts]
