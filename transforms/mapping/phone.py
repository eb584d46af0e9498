"""A phone as people write it in, E.164 with its plus sign out.

Source: TikTok's Events API as transcribed by bububa/tiktok-business 051f6c0, `model/event/track.go` ("E.164 with + and
country code"). The library is phonenumbers, a port of Google's libphonenumber; it is loaded with the first phone.
"""

import re
from collections.abc import Callable
from typing import Any

# What the numbers that start with the same four characters have in common: their possible lengths, where the national
# number starts, and how a national prefix is recognised (the 0 of `+44 (0)20 …`, which does not belong into E.164): by
# these characters, or by a pattern if there are none.
_Plan = tuple[frozenset[int], int, bytes, Callable[[bytes, int], object]]

# By the plus sign and the first three digits, hence at most 1,000; made when such a number first comes.
_plans: dict[bytes, _Plan] = {}


def e164(value: str, default_region: str | None = None) -> bytes | None:
    """Returns a phone in E.164, ready to be hashed; None if it cannot be one.

    *Possible* is enough, because a library's table of assigned ranges ages: `+15555555555` is a published test vector.

    Args:
      value: as mParticle holds it: spaces, dots, dashes and brackets allowed.
      default_region: ISO 3166-1 alpha-2 region of numbers without country code, and whose prefix for calls abroad
        is understood (00, 011 …).

    >>> e164("(+1)2133734253"), e164("800-555-0111"), e164("800-555-0111", "US")
    (b'+12133734253', None, b'+18005550111')
    >>> e164("00 44 20 7946 0018"), e164("00 44 20 7946 0018", "DE"), e164("001 65 6123 4567", "SG")
    (None, b'+442079460018', b'+6561234567')

    Source: the customer's specification, section 4.
    """
    raw = value.encode()
    plan = _plans.get(raw[:4])
    if plan is not None and raw[4:].isdigit():
        lengths, start, prefix, pattern = plan
        if len(raw) in lengths and not (raw.startswith(prefix, start) if prefix else pattern(raw, start)):
            return raw  # what the library would answer, without asking it
    number = _ask_library(value, default_region)
    if number is not None and number[:4] not in _plans:
        _plans[number[:4]] = _plan(number)
    return number


def _plan(number: bytes) -> _Plan:
    """Returns the numbering plan of a number that the library has given."""
    from phonenumbers import PhoneMetadata, parse, region_code_for_country_code

    code = parse(number.decode()).country_code or 0
    metadata: Any = PhoneMetadata.metadata_for_region_or_calling_code(code, region_code_for_country_code(code))
    start = 1 + len(str(code))
    lengths = frozenset(start + length for length in metadata.general_desc.possible_length)
    prefix = (metadata.national_prefix_for_parsing or "(?!)").encode()  # the latter matches nothing
    return lengths, start, prefix if prefix.isdigit() else b"", re.compile(prefix).match


def _ask_library(value: str, default_region: str | None) -> bytes | None:
    """Returns the library's answer."""
    import phonenumbers

    try:
        # A leading 00 is left to the library too: it means "international" in most regions, but 001, 002 and 0011 do so
        # in others, and a wrong guess would hash somebody else's number.
        number = phonenumbers.parse(value, default_region)
    except phonenumbers.NumberParseException:
        return None
    if phonenumbers.is_possible_number_with_reason(number) != phonenumbers.ValidationResult.IS_POSSIBLE:
        return None  # among others, a number without area code
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164).encode()
