"""Texts in which somebody's e-mail address or phone stands: TikTok must not get them in clear, whoever's they are.

Pure functions over one text; whether a text names the person of a batch is asked in `sources`.
"""

import re
import unicodedata
from collections.abc import Iterable
from urllib.parse import unquote

# An address anywhere in a text.
_EMAIL = re.compile(r"[^\s@<>\"']+@[^\s@<>\"']+\.[^\s@<>\"']+")

# A phone with its country code, as E.164 or as people group it.
_INTERNATIONAL = re.compile(r"\+\s?\(?\d[\d\s()./-]{6,20}\d(?!\d)")

# A phone without it, in groups: (212) 555-0142, 0151 12345678, 06.12.34.56.78, 0049 151 12345678. Digits in one piece
# may as well be an order or an article (an EAN-13 of an American article begins with 00).
_AMERICAN = re.compile(r"\(\d{3}\)\s?\d{3}[\s.-]\d{4}|\b\d{3}[\s.-]\d{3}[\s.-]\d{4}\b")
_GROUPED = re.compile(r"(?<![\w.,:/-])\(?0\d{1,5}\)?(?:[\s./-]{1,3}\(?\d{1,8}\)?){1,6}(?![\d:]|[.,]\d)")
_DATE = re.compile(r"\d{2}[\s./-]\d{2}[\s./-]\d{4}")

# Digits of a national number in groups, and with 00 and its country code. Source: ITU-T E.164 (at most 15 with the
# country code); the shortest are those of small countries.
_NATIONAL_DIGITS = range(9, 13)
_ABROAD_DIGITS = range(11, 18)

# Digits of the shortest phone that is compared with others; fewer may be equal by chance.
FEWEST_DIGITS = 7


def has_contact(text: str) -> bool:
    """Says whether an e-mail address or a phone is in a text.

    >>> [has_contact(text) for text in ("to ada@example.com", "ada%40example.com", "0151 12345678", "2024-06-20")]
    [True, True, True, False]
    """
    text = _plain(text)
    return has_address(text) or (len(text) > 8 and _has_grouped(text))


def has_address(text: str) -> bool:
    """Says whether an e-mail address or a phone with its country code is in a text: what nothing else looks like.

    >>> has_address("+4915112345678"), has_address("T-212-555-0142"), has_address("C++")
    (True, False, False)
    """
    return ("@" in text and _EMAIL.search(text) is not None) or (
        "+" in text and _INTERNATIONAL.search(text) is not None
    )


def _has_grouped(text: str) -> bool:
    if _AMERICAN.search(text):
        return True
    for found in _GROUPED.finditer(text):
        digits = sum(map(str.isdigit, found[0]))
        allowed = _ABROAD_DIGITS if found[0].lstrip("(").startswith("00") else _NATIONAL_DIGITS
        if digits in allowed and not _DATE.match(found[0]):
            return True
    return False


def is_number_of(text: str, phones: Iterable[str]) -> bool:
    """Says whether a text is one of these phones in another spelling: without its country code, or with other signs.

    >>> is_number_of("0151 1234-5678", ["+4915112345678"]), is_number_of("12345678", ["+4915199999999"])
    (True, False)
    """
    if any(map(str.isalpha, text)):
        return False
    digits = _digits(text)
    if len(digits) < FEWEST_DIGITS:
        return False
    others = [other for other in map(_digits, phones) if len(other) >= FEWEST_DIGITS]
    return any(digits.endswith(other) or other.endswith(digits) for other in others)


def _digits(text: str) -> str:
    """Returns the digits of a phone without what it is dialled with."""
    return re.sub(r"\D", "", _plain(text)).lstrip("0")


def _plain(text: str) -> str:
    """Returns a text without percent encoding and with the usual signs for their wide and small forms."""
    if "%" in text:
        text = unquote(text)
    return text if text.isascii() else unicodedata.normalize("NFKC", text)
