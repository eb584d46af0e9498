"""A phone as people write it in, E.164 with its plus sign out.

Source: TikTok's Events API as transcribed by bububa/tiktok-business 051f6c0, `model/event/track.go` ("E.164 with + and
country code"). The library is phonenumbers, a port of Google's libphonenumber; it is loaded with the first phone.
"""

import re
from collections.abc import Callable
from functools import cache
from typing import NamedTuple

# Digits of an E.164 number, with a margin below that no numbering plan reaches. Source: ITU-T E.164 (at most 15).
_MIN_CHARS, _MAX_CHARS = 8, 16


class _Plan(NamedTuple):
    """What numbers that start with the same three digits have in common.

    Attributes:
      lengths: how many characters a possible number has, the plus sign included.
      start: where the national number starts.
      has_prefix: finds a national prefix (the 0 of `+44 (0)20 …`), which does not belong into E.164.
    """

    lengths: frozenset[int]
    start: int
    has_prefix: Callable[[str, int], object]


def e164(value: str, default_region: str | None = None) -> str | None:
    """Returns a phone in E.164, None if it cannot be one.

    *Possible* is enough, because a library's table of assigned ranges ages: `+15555555555` is a published test vector.

    Args:
      value: as mParticle holds it: spaces, dots, dashes, brackets and an international prefix allowed.
      default_region: ISO 3166-1 alpha-2 region of numbers without country code.

    >>> e164("(+1)2133734253"), e164("00 44 20 7946 0018"), e164("800-555-0111"), e164("800-555-0111", "US")
    ('+12133734253', '+442079460018', None, '+18005550111')

    Source: the customer's specification, section 4.
    """
    if value[:1] == "+" and _MIN_CHARS <= len(value) <= _MAX_CHARS and value.isascii() and value[1:].isdecimal():
        plan = _plan(value[:4])
        if plan is not None and len(value) in plan.lengths and not plan.has_prefix(value, plan.start):
            return value  # what the library would answer, without asking it
    return _ask_library(value, default_region)


@cache
def _plan(head: str) -> _Plan | None:
    """Returns the numbering plan behind a plus sign and three digits, None if there is none."""
    from phonenumbers import PhoneMetadata, region_code_for_country_code

    for digits in (1, 2, 3):
        code = int(head[1 : 1 + digits])
        metadata = PhoneMetadata.metadata_for_region_or_calling_code(code, region_code_for_country_code(code))
        if metadata is not None and metadata.general_desc is not None:
            lengths = frozenset(1 + digits + length for length in metadata.general_desc.possible_length)
            prefix = re.compile(metadata.national_prefix_for_parsing or r"(?!)")
            return _Plan(lengths, 1 + digits, prefix.match)
    return None


def _ask_library(value: str, default_region: str | None) -> str | None:
    """Returns the library's answer."""
    import phonenumbers

    digits = value.lstrip(" (")
    # Without its country code first the library would need a region to know that 00 means "international".
    international = "+" + digits[2:] if digits[:2] == "00" else value
    try:
        number = phonenumbers.parse(international, default_region)
    except phonenumbers.NumberParseException:
        return None
    if phonenumbers.is_possible_number_with_reason(number) != phonenumbers.ValidationResult.IS_POSSIBLE:
        return None  # among others, a number without area code
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
