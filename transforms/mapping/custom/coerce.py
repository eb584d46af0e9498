"""The value of a mapped parameter in TikTok's type: what mParticle sent in, a number, a text or None out.

Source of the semantics: mparticle-android-sdk eb2b4c87, `CustomMapping.java` (a wrongly typed attribute is left out).
"""

from collections.abc import Callable
from math import ceil
from typing import Any

from transforms.mapping import tables
from transforms.mapping.commerce import MAX_QUANTITY, WEIGHT_DECIMALS
from transforms.mapping.custom.parameters import PARAMETER_TYPES
from transforms.mapping.values import amount, first_scalar, scalar
from transforms.vocabulary import Note

# More digits than a number has that anyone counts with.
_MAX_DIGITS = 40

_BOOLEANS = {"true": True, "false": False}


def coercer(name: str, declared: str | None) -> Callable[[Any, list[Note]], Any]:
    """Returns the function that brings a value into the type of a parameter, None if it cannot be.

    Args:
      name: TikTok's parameter.
      declared: the setting `type`; none: the parameter's own.
    """
    wanted = PARAMETER_TYPES[name]
    if name == "currency":
        return lambda sent, notes: _currency(first_scalar(sent), notes)
    if wanted == "number":
        return lambda sent, notes: _number(sent, whole=declared == "integer")
    if wanted == "integer":
        return lambda sent, notes: _quantity(sent, notes, whole=declared == "integer")
    if declared in {"number", "integer"}:
        return lambda sent, notes: _number_text(first_scalar(sent), whole=declared == "integer")
    if declared == "boolean":
        return lambda sent, notes: scalar(_BOOLEANS.get((first_scalar(sent) or "").lower()))
    return lambda sent, notes: first_scalar(sent)


def _number(sent: Any, *, whole: bool) -> float | None:
    number = amount(first_scalar(sent) if type(sent) is list else sent)
    return None if number is None or (whole and not number.is_integer()) else number


def _number_text(text: str | None, *, whole: bool) -> str | None:
    """Returns a number for a parameter that is text: with its sign, and a whole one with all its digits."""
    if text is None:
        return None
    sign, digits = ("-", text[1:]) if text[:1] == "-" else ("", text)
    if digits.isascii() and digits.isdigit() and len(digits) <= _MAX_DIGITS:
        return str(int(text))
    number = scalar(_number(digits, whole=whole)) if digits[:1].isdigit() or not sign else None
    return None if number is None else sign + number


def _quantity(sent: Any, notes: list[Note], *, whole: bool) -> int | None:
    """Returns a number of pieces; a fraction is rounded up, as in the default mapping, unless it must be whole."""
    number = _number(sent, whole=whole)
    if number is None or number > MAX_QUANTITY:
        return None
    if number.is_integer():
        return int(number)
    pieces = ceil(round(number, WEIGHT_DECIMALS))
    if pieces != round(number, WEIGHT_DECIMALS):
        notes.append(Note.FRACTIONAL_QUANTITY)
    return max(1, pieces)


def _currency(text: str | None, notes: list[Note]) -> str | None:
    code = (text or "").upper()
    if len(code) != 3 or not code.isascii() or not code.isalpha():
        return None
    if code not in tables.CURRENCIES:
        notes.append(Note.UNLISTED_CURRENCY)
    return code
