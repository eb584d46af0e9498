"""Some of the payloads of a batch: cut and put together like lists, without a copy of what is in them."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.model import Payload
from transforms.tiktok.excerpt import Excerpt
from transforms.vocabulary import Form

BATCH = [
    Payload(Form.WEB, "Purchase", str(number), 1_718_900_123_456, b'{"n":%d}' % number, f"file#{number}")
    for number in range(300)
]
# Some of them are joined in runs: the edges of runs are met.
PLACE = st.integers(0, 300)


@given(st.lists(st.tuples(PLACE, PLACE), max_size=5), st.lists(st.tuples(PLACE, PLACE), max_size=4))
def test_it_is_cut_and_put_together_as_a_list_is(pieces: list[tuple[int, int]], cuts: list[tuple[int, int]]) -> None:
    whole = Excerpt(BATCH)
    excerpt, expected = whole[0:0].with_more([whole[start:stop] for start, stop in pieces]), list[Payload]()
    for start, stop in pieces:
        expected += BATCH[start:stop]
    for start, stop in cuts:
        excerpt, expected = excerpt[start:stop], expected[start:stop]
    assert len(excerpt) == len(expected)
    assert list(excerpt) == expected
    assert [excerpt[place] for place in range(len(expected))] == expected
    assert list(excerpt.bodies()) == [payload.body for payload in expected]
    assert excerpt.bodies()[3:9] == [payload.body for payload in expected[3:9]]
    assert b",".join(excerpt.joined()) == b",".join(payload.body for payload in expected)
    assert bool(excerpt) == bool(expected)


@pytest.mark.parametrize(
    ("ask", "error"),
    [(lambda excerpt: excerpt[3], IndexError), (lambda excerpt: excerpt[::2], ValueError)],
    ids=["outside", "with gaps"],
)
def test_what_it_cannot_give_is_an_error(ask: Callable[[Excerpt], object], error: type[Exception]) -> None:
    with pytest.raises(error):
        ask(Excerpt(BATCH)[2:5])


def test_an_excerpt_of_a_few_runs_is_joined_from_few_pieces() -> None:
    whole = Excerpt(BATCH)
    rest = whole[10:60].with_more([whole[60:200], whole[250:290]])
    assert len(rest) == 230
    assert len(rest.joined()) == 4


def test_threads_may_ask_for_parts_of_one_batch_at_once() -> None:
    whole = Excerpt(BATCH * 10)
    parts = [whole[start : start + 7] for start in range(0, 2_996, 7)] * 4
    with ThreadPoolExecutor(8) as pool:
        joined = list(pool.map(lambda part: b",".join(part.joined()), parts))
    assert joined == [b",".join(payload.body for payload in part) for part in parts]
