"""Some of the payloads of a batch: cut and put together like lists, without a copy of what is in them."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.model import Payload
from transforms.tiktok.excerpt import Excerpt
from transforms.vocabulary import Form

BATCH = [
    Payload(Form.WEB, "Purchase", str(number), 1_718_900_123_456, b'{"n":%d}' % number, f"file#{number}")
    for number in range(20)
]
PLACE = st.integers(0, 20)


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
    assert excerpt.bodies() == [payload.body for payload in expected]
    assert bool(excerpt) == bool(expected)


@pytest.mark.parametrize(
    ("ask", "error"),
    [(lambda excerpt: excerpt[3], IndexError), (lambda excerpt: excerpt[::2], ValueError)],
    ids=["outside", "with gaps"],
)
def test_what_it_cannot_give_is_an_error(ask: Callable[[Excerpt], object], error: type[Exception]) -> None:
    with pytest.raises(error):
        ask(Excerpt(BATCH)[2:5])


class _Slow(list[Payload]):
    """Payloads that one thread is still looking at when the next one comes."""

    def __iter__(self) -> Iterator[Payload]:
        for payload in super().__iter__():
            time.sleep(0.001)
            yield payload


def test_threads_may_ask_for_bodies_of_one_batch_at_once() -> None:
    whole = Excerpt(_Slow(BATCH))
    parts = [whole[start : start + 5] for start in range(0, 20, 5)]
    with ThreadPoolExecutor(4) as pool:
        bodies = [body for part in pool.map(Excerpt.bodies, parts) for body in part]
    assert bodies == [payload.body for payload in BATCH]
