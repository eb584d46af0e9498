"""A name, place or address in, the same as TikTok compares it out; None for what must not be sent.

Nothing is hashed here, and a phone has a module of its own. Source of the rules for names and places:
segmentio/action-destinations 970a17e, `tiktok-conversions` (whose field texts TikTok wrote), and the customer's
specification, section 5. Letters outside ASCII survive, which that project gets wrong.
"""

import unicodedata
from functools import cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from socket import AF_INET, AF_INET6, inet_pton

from transforms.mapping import tables

# ASCII characters that names and places lose: everything but letters and digits.
_DROPPED = {code: None for code in range(128) if not chr(code).isalnum()}

_NOT_PUBLIC = [IPv4Network(block) for block in tables.NOT_PUBLIC]
_PUBLIC_IPV6 = IPv6Network(tables.PUBLIC_IPV6)
_NOT_PUBLIC_IPV6 = [IPv6Network(block) for block in tables.NOT_PUBLIC_IPV6]

# First octets all of whose addresses are public: nearly every visitor has one.
_PUBLIC_OCTETS = frozenset(
    octet for octet in range(256) if not any(block.overlaps(IPv4Network((octet << 24, 8))) for block in _NOT_PUBLIC)
)


def letters(value: str) -> str:
    """Returns a name or place in lower case without punctuation and spaces; letters of every script survive.

    >>> letters(" O'Brien-Smith "), letters("São Paulo"), letters("東京")
    ('obriensmith', 'sãopaulo', '東京')
    """
    if value.isascii():
        if not value.isalnum():
            value = value.translate(_DROPPED)
        return value.lower()
    # Marks belong to letters in many scripts (Devanagari vowels, Thai tones) and are not alphanumeric by themselves.
    kept = (
        char for char in unicodedata.normalize("NFC", value) if char.isalnum() or unicodedata.category(char)[0] == "M"
    )
    return unicodedata.normalize("NFC", "".join(kept).lower())


def name(value: str) -> str | None:
    """Returns a first or last name or a city, None for junk and for what holds no letter.

    >>> name("  JOSÉ "), name("Doe"), name("undefined"), name("---")
    ('josé', 'doe', None, None)
    """
    if value.strip().lower() in tables.JUNK_NAMES:
        return None
    return letters(value) or None


def country(value: str) -> str | None:
    """Returns a country as ISO 3166-1 alpha-2 in lower case, None if it is none.

    >>> country("United States"), country("USA"), country("us"), country("U.K."), country("Atlantis")
    ('us', 'us', 'us', 'gb', None)

    Source: the customer's specification, section 5 (`"United States" → us` with a library).
    """
    plain = letters(value)
    if not plain:
        return None
    if plain in tables.COUNTRY_NAMES:
        return tables.COUNTRY_NAMES[plain]
    import pycountry  # here, because its data takes a while to load and many messages name no country

    for spelling in (" ".join(value.split()), plain):
        try:
            found: str = pycountry.countries.lookup(spelling).alpha_2
        except LookupError:
            continue
        return found.lower()
    return None


def state(value: str, in_country: str | None) -> str | None:
    """Returns a state or region; those of the United States in two letters.

    >>> state("Virginia", "us"), state("NY", "us"), state("US-NY", "us"), state("Île-de-France", "fr")
    ('va', 'ny', 'ny', 'îledefrance')
    """
    plain = name(value)
    if plain is None or in_country != "us" or len(plain) == 2:
        return plain
    return _us_states().get(plain, plain)


@cache
def _us_states() -> dict[str, str]:
    """Returns the names and codes of the states of the US, as `letters` leaves them, with their two letters."""
    import pycountry

    states = dict(tables.STATE_NAMES)
    for subdivision in pycountry.subdivisions:
        if subdivision.country_code != "US":
            continue
        code = letters(subdivision.code)
        states[letters(subdivision.name)] = states[code] = code.removeprefix("us")
    return states


def zip_code(value: str, in_country: str | None) -> str | None:
    """Returns a postal code in lower case without spaces and dashes; of the United States only the first five digits.

    >>> zip_code("SW1A 1AA", "gb"), zip_code("10016-1234", None), zip_code("100161234", "us"), zip_code("US1234", None)
    ('sw1a1aa', '10016', '10016', 'us1234')
    """
    plain = name(value)
    if plain is None:
        return None
    trimmed = value.strip()
    nine_digits = len(trimmed) == 10 and len(plain) == 9 and trimmed[5] in "- " and plain.isdecimal()
    if (nine_digits or in_country == "us") and plain[:5].isdecimal():
        return plain[:5]
    return plain


def public_ip(value: str) -> str | None:
    """Returns an IP address if a visitor of a public site can have it; an IPv4 address mapped into IPv6 as IPv4.

    >>> public_ip(" 203.0.113.24 "), public_ip("::ffff:203.0.113.24"), public_ip("192.168.0.1"), public_ip("fe80::1")
    ('203.0.113.24', '203.0.113.24', None, None)

    Source: the customer's specification, section 3 ("Public IPv4 or IPv6 only").
    """
    value = value.strip()
    if ":" in value:
        return _public_ipv6(value)
    try:
        packed = inet_pton(AF_INET, value)
    except (OSError, ValueError):
        return None
    if packed[0] in _PUBLIC_OCTETS:
        return value
    address = IPv4Address(packed)
    return None if any(address in block for block in _NOT_PUBLIC) else value


def _public_ipv6(value: str) -> str | None:
    """Returns an IPv6 address if it is global unicast and no tunnel's."""
    try:
        address = IPv6Address(inet_pton(AF_INET6, value))
    except (OSError, ValueError):
        return None
    if address.ipv4_mapped is not None:
        return public_ip(str(address.ipv4_mapped))
    if address not in _PUBLIC_IPV6 or any(address in block for block in _NOT_PUBLIC_IPV6):
        return None
    return value
