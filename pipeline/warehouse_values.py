"""Values of warehouse columns: numbers and truths as text, times in any unit, JSON text that may be cut off."""

import datetime
import functools
import json
from typing import Any

from transforms.mapping import parse_json

# Integers are epoch times in the unit that their size tells: up to here seconds, then milliseconds, microseconds,
# nanoseconds. The first bound is the year 5138 in seconds and 1973 in milliseconds, before any of mParticle's data.
_UNIT_BOUNDS = ((10**11, 1_000, 1), (10**14, 1, 1), (10**17, 1, 1_000))
_NANOSECONDS = (1, 1_000_000)

_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)

_TRUTHS = {"true": True, "t": True, "1": True, "yes": True, "false": False, "f": False, "0": False, "no": False}

_decode = json.JSONDecoder(strict=False)


def epoch_ms(value: Any) -> int | None:
    """Returns a time in epoch milliseconds, None for what is none.

    >>> epoch_ms(1718900123456789), epoch_ms("1718900123456"), epoch_ms("2024-06-20 16:15:23.456 UTC")
    (1718900123456, 1718900123456, 1718900123456)
    """
    if type(value) is int:
        return unit_and_ms(value)[1]
    if type(value) is float:
        return unit_and_ms(int(value))[1] if value.is_integer() else None
    if type(value) is not str:
        return None
    text = value.strip()
    try:
        return unit_and_ms(int(text))[1]
    except ValueError:
        pass
    try:
        moment = datetime.datetime.fromisoformat(text.removesuffix("UTC").rstrip())
    except ValueError:
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)
    return (moment - _EPOCH) // datetime.timedelta(milliseconds=1)


def unit_and_ms(number: int) -> tuple[int, int]:
    """Returns the unit of an epoch time, as a number that grows from seconds to nanoseconds, and the time in ms."""
    for unit, (bound, factor, divisor) in enumerate(_UNIT_BOUNDS):
        if abs(number) < bound:
            return unit, number * factor // divisor
    factor, divisor = _NANOSECONDS
    return len(_UNIT_BOUNDS), number * factor // divisor


def whole_number(value: Any) -> int | None:
    """Returns a small number such as `messagetypeid`, None for what is none."""
    if type(value) is int:
        return value
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return int(number) if number.is_integer() else None


def truth(value: Any) -> bool | None:
    """Returns a boolean, also as Redshift and text exports write it; None for what is none."""
    return value if type(value) is bool else _TRUTHS.get(str(value).strip().lower())


# Few names come, and a JSON text that invents some all the time meets the limit.
@functools.lru_cache(maxsize=4_096)
def folded(name: str) -> str:
    """Returns a field's name without case, underscores and spaces, as spellings are compared."""
    return name.casefold().replace("_", "").replace(" ", "")


def read_json(text: str) -> tuple[Any, bool]:
    """Returns what a JSON text holds, and whether it is whole.

    Of an object that is cut off the complete pairs before the cut are kept, of anything else nothing.

    >>> read_json('{"a": "1", "b": [2], "c": "thr')
    ({'a': '1', 'b': [2]}, False)
    """
    try:
        return parse_json(text.encode()), True
    except ValueError:
        pairs = _complete_pairs(text)
        return None if pairs is None else parse_json(json.dumps(pairs).encode()), False
    except RecursionError:
        return None, False


def _complete_pairs(text: str) -> dict[str, Any] | None:
    """Returns the pairs of an object up to the first that is damaged, None for what is no object."""
    position = len(text) - len(text.lstrip())
    if text[position : position + 1] != "{":
        return None
    pairs: dict[str, Any] = {}
    while text[position : position + 1] in ("{", ","):
        try:
            key, position = _value(text, position + 1)
            value, after = _value(text, position + 1) if text[position : position + 1] == ":" else (None, None)
        except (ValueError, RecursionError):
            break
        # A number at the very end may have lost digits.
        if after is None or after >= len(text) or type(key) is not str:
            break
        pairs[key] = value
        position = after
    return pairs


def _value(text: str, position: int) -> tuple[Any, int]:
    """Returns a JSON value and the position of the next character behind it that is no space."""
    while text[position : position + 1].isspace():
        position += 1
    value, position = _decode.raw_decode(text, position)
    while text[position : position + 1].isspace():
        position += 1
    return value, position
