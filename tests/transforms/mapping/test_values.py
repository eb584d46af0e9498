"""The forms in which mParticle writes numbers, ids and nothing."""

from math import inf, nan
from typing import Any

import pytest
from hypothesis import given as examples
from hypothesis import strategies

from transforms.mapping import values


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (-7778608565459706417, -7778608565459706417),
        ("-7778608565459706417", -7778608565459706417),
        (" 42 ", 42),
        (42.0, 42),
        (42.5, None),
        (2.0**53, None),  # may have been rounded on its way here
        (-(2.0**53), None),
        (nan, None),
        (inf, None),
        ("42.0", None),
        ("", None),
        ("1" * 5000, None),
        (True, None),
        (None, None),
        ([1], None),
    ],
)
def test_an_integer_never_comes_through_a_float_that_may_have_rounded_it(given: Any, expected: int | None) -> None:
    assert values.integer(given) == expected


@examples(strategies.integers(min_value=-(2**63), max_value=2**63 - 1))
def test_every_int64_survives_as_number_and_as_text(number: int) -> None:
    assert values.integer(number) == values.integer(str(number)) == number
    assert values.identifier(number) == values.identifier(str(number)) == str(number)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("1718900123456", 1718900123456),
        (1718900123456, 1718900123456),
        (1718900123456.0, 1718900123456),
        (1718900123456.9, 1718900123456),
        ("1718900123456.000000000", 1718900123456),
        ("nan", None),
        (nan, None),
        (253_402_300_799_999, 253_402_300_799_999),
        (253_402_300_800_000, None),
        (0, None),
        ("0", None),
        (-1, None),
        ("soon", None),
        (None, None),
    ],
)
def test_a_time_lies_between_1970_and_9999(given: Any, expected: int | None) -> None:
    assert values.epoch_ms(given) == expected


@pytest.mark.parametrize(
    ("ms", "text"),
    [
        (1718900123456, "2024-06-20T16:15:23.456Z"),
        (1, "1970-01-01T00:00:00.001Z"),
        (1718900123000, "2024-06-20T16:15:23.000Z"),
        (253_402_300_799_999, "9999-12-31T23:59:59.999Z"),
    ],
)
def test_the_legacy_time_is_iso_8601_with_milliseconds(ms: int, text: str) -> None:
    assert values.iso_8601(ms) == text


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (10, 10.0),
        (10.5, 10.5),
        ("10.00", 10.0),
        (" 10 ", 10.0),
        ("1e2", 100.0),
        (0, 0.0),
        ("-0", 0.0),
        ("1_000", None),
        ("١٠", None),
        ("1,000", None),
        ("$10", None),
        ("NaN", None),
        ("Infinity", None),
        ("1e999", None),
        (10**400, None),
        (inf, None),
        (nan, None),
        (-0.01, None),
        ("-5", None),
        (True, None),
        ("", None),
        (None, None),
        ({"amount": 1}, None),
    ],
)
def test_an_amount_is_a_number_or_a_number_as_text_finite_and_without_sign(given: Any, expected: float | None) -> None:
    assert values.amount(given) == expected


def test_no_minus_zero_goes_out() -> None:
    assert str(values.amount(-0.0)) == "0.0"


@pytest.mark.parametrize(
    ("given", "expected"),
    [(5, "5"), (5.0, "5"), (5.25, "5.25"), (nan, None), (inf, None), (False, "false"), (True, "true"), (" ", None)],
)
def test_a_scalar_is_text(given: Any, expected: str | None) -> None:
    assert values.scalar(given) == expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [(["", None, {"a": 1}, " b "], "b"), ([], None), (["", []], None), ([[["x"]]], None), (7, "7"), ({}, None)],
)
def test_of_a_list_the_first_value_counts_that_is_not_empty(given: Any, expected: str | None) -> None:
    assert values.first_scalar(given) == expected


@pytest.mark.parametrize(("given", "expected"), [(None, False), ("", False), (" \t", False), ("x", True), (0, True)])
def test_null_and_blank_text_hold_nothing(given: Any, expected: bool) -> None:
    assert values.given(given) is expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("0123456789abcdef" * 4, True),
        ("0123456789ABCDEF" * 4, True),
        ("g" * 64, False),
        ("ab " * 21 + "a", False),  # 64 characters, and bytes.fromhex would take the spaces
        ("a" * 63, False),
        ("ａ" * 64, False),
    ],
)
def test_a_hash_is_sixty_four_hex_digits(given: str, expected: bool) -> None:
    assert values.is_hash(given) is expected
