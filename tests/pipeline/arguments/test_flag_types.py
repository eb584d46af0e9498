"""Types of flags: each text becomes a value, or is refused with what is needed."""

import argparse
from collections.abc import Callable
from typing import Any

import pytest

from pipeline.arguments.flag_types import decimal_number, number_above_zero, one_of, several_of, whole_number

FROM_1_TO_9 = whole_number(1, 9)
SECONDS = decimal_number(0.1, 3600, "seconds")
WORD = one_of(("raw_json", "nested_batch"), "layout")
WORDS = several_of(("outage", "missing_page_url"), "is no reason.")


@pytest.mark.parametrize(
    ("kind", "text", "expected"),
    [
        (FROM_1_TO_9, "1", 1),
        (FROM_1_TO_9, "9", 9),
        (SECONDS, "0.1", 0.1),
        (SECONDS, "3600", 3600.0),
        (number_above_zero(int), "10", 10),
        (number_above_zero(float), "1.5", 1.5),
        (WORD, "Nested-Batch", "nested_batch"),
        (WORDS, "outage,Missing Page URL", ("outage", "missing_page_url")),
    ],
)
def test_a_text_becomes_a_value(kind: Callable[[str], Any], text: str, expected: Any) -> None:
    value = kind(text)
    assert value == expected
    assert type(value) is type(expected)


@pytest.mark.parametrize(
    ("kind", "text", "said"),
    [
        (FROM_1_TO_9, "0", '"0" is not allowed; a whole number from 1 to 9 is needed.'),
        (FROM_1_TO_9, "10", '"10" is not allowed'),
        (FROM_1_TO_9, "1.0", '"1.0" is not allowed'),
        (FROM_1_TO_9, "\u0661", "is not allowed"),  # a digit to Python, and to nobody who types one
        (whole_number(0, 5_000), "1_000", '"1_000" is not allowed'),
        (FROM_1_TO_9, "", '"" is not allowed'),
        (SECONDS, "0.09", '"0.09" is not allowed; a number of seconds from 0.1 to 3600 is needed.'),
        (SECONDS, "nan", '"nan" is not allowed'),
        (SECONDS, "soon", '"soon" is not allowed'),
        (number_above_zero(int), "0", '"0" is not allowed; a number above 0 is needed.'),
        (number_above_zero(float), "inf", '"inf" is not allowed'),
        (WORD, "nested_batchs", 'is no layout; one of raw_json, nested_batch is needed. Did you mean "nested_batch"?'),
        (WORDS, "outage,outtage", '"outtage" is no reason. Did you mean "outage"?'),
        (WORDS, "", '"" is no reason.'),
    ],
)
def test_any_other_text_is_refused_with_what_is_needed(kind: Callable[[str], Any], text: str, said: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError) as caught:
        kind(text)
    assert said in str(caught.value)
