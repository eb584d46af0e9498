"""The forms in which mParticle writes values: numbers as text, ids as numbers, nothing as "null".

Pure functions under the rules next to this file; what counts as junk stands in `tables`.
"""

from datetime import UTC, datetime
from math import inf, isfinite
from typing import Any

# Above this a double no longer holds every integer, so an id that came as one may have been rounded.
_EXACT_INTEGERS = 2**53

# The last millisecond of the year 9999: ISO 8601 and Python's datetime end there.
_LAST_MS = 253_402_300_799_999


def integer(value: Any) -> int | None:
    """Returns an int64 that mParticle writes as a number or as text; never through a float that may have rounded it.

    >>> integer("-7778608565459706417"), integer(1718900123456.0), integer("12.5"), integer(True)
    (-7778608565459706417, 1718900123456, None, None)
    """
    if type(value) is int:
        return value
    if type(value) is str:
        try:
            return int(value)
        except ValueError:
            return None
    if type(value) is float and abs(value) < _EXACT_INTEGERS and value.is_integer():
        return int(value)
    return None


def epoch_ms(value: Any) -> int | None:
    """Returns a time in epoch milliseconds, None if there is none or it lies outside 1970 to 9999.

    Parts of a millisecond, which tables with decimals and floats bring, are left out.

    >>> epoch_ms("1718900123456"), epoch_ms(1718900123456.5), epoch_ms("1718900123456.000"), epoch_ms("soon")
    (1718900123456, 1718900123456, 1718900123456, None)
    """
    if type(value) is int:
        ms = value
    elif type(value) is str:
        try:
            ms = int(value)
        except ValueError:
            number = amount(value)
            ms = 0 if number is None else int(number)
    else:
        number = amount(value)
        ms = 0 if number is None else int(number)
    return ms if 0 < ms <= _LAST_MS else None


def iso_8601(ms: int) -> str:
    """Returns an epoch time as ISO 8601 in UTC with milliseconds.

    >>> iso_8601(1718900123456)
    '2024-06-20T16:15:23.456Z'

    Source: the customer's specification, section 3 ("ISO 8601 with milliseconds, UTC").
    """
    secs, rest = divmod(ms, 1000)
    return f"{datetime.fromtimestamp(secs, UTC):%Y-%m-%dT%H:%M:%S}.{rest:03d}Z"


def identifier(value: Any) -> str | None:
    """Returns an id as text: trimmed, not empty; integers in decimal, floats only if they cannot have been rounded.

    >>> identifier(" A-1 "), identifier(12345), identifier(12345.0), identifier(1e17), identifier(" "), identifier(True)
    ('A-1', '12345', '12345', None, None, None)
    """
    if type(value) is str:
        return value.strip() or None
    number = integer(value)
    return None if number is None else str(number)


def scalar(value: Any) -> str | None:
    """Returns a text, number or boolean as trimmed text, None if it is empty or something else.

    >>> scalar(" a "), scalar(5), scalar(2.5), scalar(True), scalar(""), scalar({"a": 1})
    ('a', '5', '2.5', 'true', None, None)
    """
    if type(value) is str:
        return value.strip() or None
    if type(value) is bool:
        return "true" if value else "false"
    if type(value) is float and not isfinite(value):
        return None
    if type(value) is float and not value.is_integer():
        return repr(value)
    return identifier(value)


def first_scalar(value: Any) -> str | None:
    """Returns a scalar as text, or the first one of a list that is not empty.

    Source: the customer's specification, section 7 ("strings, numbers, booleans or lists (first non-empty value)").
    """
    if type(value) is list:
        return next((text for text in map(scalar, value) if text), None)
    return scalar(value)


def amount(value: Any) -> float | None:
    """Returns a price, quantity or total: a number or a number as text, finite and not negative.

    TikTok takes "no sign, letter, comma" in amounts. Source: ads.tiktok.com/help, "About parameters".

    >>> amount("10.00"), amount(5), amount("1e999"), amount("1,5"), amount(-1), amount(True)
    (10.0, 5.0, None, None, None, None)
    """
    if type(value) not in (float, str, int):
        return None
    if type(value) is str and ("_" in value or not value.isascii()):
        return None  # Python reads 1_000 and the digits of other scripts, nobody else does
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number + 0.0 if 0.0 <= number < inf else None  # + 0.0: no "-0.0" in the payload


def given(value: Any) -> bool:
    """Returns whether a field holds something at all: not null, not blank text."""
    return value is not None and not (type(value) is str and not value.strip())


def is_hash(value: str) -> bool:
    """Returns whether the value is a SHA-256 in hex already: 64 hex digits, not merely 64 characters.

    Source: tiktok/gtm-template-eapi 089e34e, `template.js` (values that are hashed already pass as they are).
    """
    if len(value) != 64:
        return False
    try:
        return len(bytes.fromhex(value)) == 32  # fromhex skips spaces, so the length is looked at again
    except ValueError:
        return False
