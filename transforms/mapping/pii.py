"""Personal data in clear: texts that hold an e-mail address or a phone, or what a batch knows its person by.

TikTok must not get them, whoever's they are. A text in, True or False out. The names of attributes that are refused
beforehand are in `transforms.mapping.custom.parameters`.
"""

import re
import unicodedata
from collections.abc import Iterable
from typing import Any
from urllib.parse import unquote

from transforms.mapping.values import first_scalar
from transforms.model import BatchContext

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
_FEWEST_DIGITS = 7

# User attributes whose value may not turn up in another attribute. Source: `tables.USER_ATTRIBUTES` without places.
_NAMES = ("$firstname", "$lastname", "$zip", "$mobile", "$address")
_PHONES = ("mobile_number", "phone_number_2", "phone_number_3")
_CONTACTS = ("email", *_PHONES)


def names_person(text: str, batch: BatchContext, *, of_user: bool) -> bool:
    """Returns whether a text names a person: an e-mail address, a phone, or what this batch knows the person by.

    Args:
      text: of an attribute that would be sent in clear.
      batch: raw identities and attributes.
      of_user: the attribute is one of the person, so that all identities are compared; an attribute of an event may
        equal a customer's number by chance, as the ids of products do.
    """
    folded = text.strip().casefold()
    identities, attributes = batch.identities, batch.attributes
    if of_user or not folded.isalpha():  # letters alone are no address and no phone
        if has_contact(text):
            return True
        for kind in identities if of_user else _CONTACTS:
            if kind in identities and identities[kind].strip().casefold() == folded:
                return True
        if is_phone_of(folded, batch):
            return True
    for key in attributes:
        if key[:1] == "$" and key.lower() in _NAMES and folded in _values(attributes, key.lower()):
            return True
    return " " in folded and _is_full_name(folded, attributes)


def is_phone_of(text: str, batch: BatchContext) -> bool:
    """Returns whether what would be sent as a number is a phone: of the batch's person, or with its country code."""
    if sum(map(str.isdigit, text)) < _FEWEST_DIGITS:
        return False
    phones = [batch.identities[kind] for kind in _PHONES if kind in batch.identities]
    return has_address(text) or _is_number_of(text, [*phones, *_values(batch.attributes, "$mobile")])


def _is_full_name(folded: str, attributes: dict[str, Any]) -> bool:
    """Returns whether a text is the person's first and last name, in either order."""
    words = " ".join(folded.replace(",", " ").split())
    return any(
        words in (f"{first} {last}", f"{last} {first}")
        for first in _values(attributes, "$firstname")
        for last in _values(attributes, "$lastname")
    )


def _values(attributes: dict[str, Any], name: str) -> list[str]:
    """Returns what an attribute holds, whatever the case of its name."""
    texts = [first_scalar(attributes[key]) for key in attributes if key[:1] == "$" and key.lower() == name]
    return [" ".join(text.casefold().split()) for text in texts if text is not None]


def has_contact(text: str) -> bool:
    """Returns whether an e-mail address or a phone is in a text.

    >>> [has_contact(text) for text in ("to ada@example.com", "ada%40example.com", "0151 12345678", "2024-06-20")]
    [True, True, True, False]
    """
    text = _plain(text)
    return has_address(text) or (len(text) > 8 and _has_grouped(text))


def has_address(text: str) -> bool:
    """Returns whether an e-mail address or a phone with its country code is in a text: what nothing else looks like.

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


def _is_number_of(text: str, phones: Iterable[str]) -> bool:
    """Returns whether a text is one of these phones in another spelling: without its country code, or with other signs.

    >>> _is_number_of("0151 1234-5678", ["+4915112345678"]), _is_number_of("12345678", ["+4915199999999"])
    (True, False)
    """
    if any(map(str.isalpha, text)):
        return False
    digits = _digits(text)
    if len(digits) < _FEWEST_DIGITS:
        return False
    others = [other for other in map(_digits, phones) if len(other) >= _FEWEST_DIGITS]
    return any(digits.endswith(other) or other.endswith(digits) for other in others)


def _digits(text: str) -> str:
    """Returns the digits of a phone without what it is dialled with."""
    return re.sub(r"\D", "", _plain(text)).lstrip("0")


def _plain(text: str) -> str:
    """Returns a text without percent encoding and with the usual signs for their wide and small forms."""
    if "%" in text:
        text = unquote(text)
    return text if text.isascii() else unicodedata.normalize("NFKC", text)
