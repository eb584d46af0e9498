"""Types of flags: the text behind a flag → its value, for argparse's `type=`.

What is not allowed is an `argparse.ArgumentTypeError`, before which the parser writes the flag's name.
"""

import argparse
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import TypeVar

from pipeline.wording import plain, shown, suggestion

_N = TypeVar("_N", int, float)


def whole_number(least: int, most: int) -> Callable[[str], int]:
    """Returns the type of whole numbers of a range, both ends in it."""
    return _number(int, lambda value: least <= value <= most, f"a whole number from {least} to {most}")


def decimal_number(least: float, most: float, unit: str) -> Callable[[str], float]:
    """Returns the type of numbers of a range, both ends in it.

    Args:
      least: the lower end.
      most: the upper end.
      unit: of the number, for the message.
    """
    return _number(float, lambda value: least <= value <= most, f"a number of {unit} from {least:g} to {most:g}")


def number_above_zero(kind: type[_N]) -> Callable[[str], _N]:
    """Returns the type of numbers above 0."""
    return _number(kind, lambda value: 0 < value < 1e12, "a number above 0")


def _number(kind: type[_N], is_allowed: Callable[[_N], bool], needed: str) -> Callable[[str], _N]:
    def convert(text: str) -> _N:
        try:
            number = kind(text)
        except ValueError:
            number = None
        # Python also takes underscores and the digits of other scripts.
        if number is None or not text.isascii() or "_" in text or not is_allowed(number):
            raise argparse.ArgumentTypeError(f"{shown(text)} is not allowed; {needed} is needed.")
        return number

    return convert


def one_of(words: Collection[str], what: str) -> Callable[[str], str]:
    """Returns the type of a closed set of words, taken in any case and spacing.

    Args:
      words: all of them.
      what: one word is called so in the message, for example `layout`.
    """

    def convert(text: str) -> str:
        return _known(text, words, f"is no {what}; one of {', '.join(words)} is needed.")

    return convert


def several_of(words: Iterable[str], problem: str) -> Callable[[str], tuple[str, ...]]:
    """Returns the type of words of a set with commas between them, each taken in any case and spacing.

    Args:
      words: all of them.
      problem: the end of the sentence about any other word.
    """
    known = tuple(words)

    def convert(text: str) -> tuple[str, ...]:
        return tuple(_known(word, known, problem) for word in text.split(","))

    return convert


def _known(text: str, words: Collection[str], problem: str) -> str:
    for word in words:
        if plain(word) == plain(text):
            return word
    raise argparse.ArgumentTypeError(f"{shown(text)} {problem}{suggestion(text, words)}")


def flattened(values: Sequence[Sequence[str]] | None) -> tuple[str, ...]:
    """Returns the values of a flag that may be given several times, with several words each time."""
    return tuple(word for words in values or () for word in words)
