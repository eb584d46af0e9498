"""Names, places and addresses as TikTok compares them; phones in E.164."""

import ipaddress

import phonenumbers
import pytest
from hypothesis import given as examples
from hypothesis import strategies

from transforms.mapping import normalise, phone, tables


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("Ada", "ada"),
        (" Lovelace-Smith ", "lovelacesmith"),
        ("O'Brien", "obrien"),
        ("JOSÉ", "josé"),
        ("Jose\u0301", "josé"),  # composed
        ("Müller, Jr.", "müllerjr"),
        ("李 小龍", "李小龍"),
        ("ราชวงศ์", "ราชวงศ์"),  # its marks belong to letters
        ("Na", "na"),  # a Korean family name, not "n/a"
        ("null", None),
        ("Undefined", None),
        ("-", None),
        ("", None),
    ],
)
def test_a_name_is_in_lower_case_without_punctuation_and_spaces(given: str, expected: str | None) -> None:
    assert normalise.name(given) == expected


@examples(strategies.text(alphabet=strategies.characters(exclude_categories=["Cs"])))
def test_normalising_twice_is_normalising_once(text: str) -> None:
    once = normalise.letters(text)
    assert normalise.letters(once) == once
    assert not any(char.isspace() for char in once)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("US", "us"),
        ("usa", "us"),
        ("United States", "us"),
        (" united  states ", "us"),
        ("United States of America", "us"),
        ("U.S.A.", "us"),
        ("840", "us"),
        ("UK", "gb"),
        ("England", "gb"),
        ("Deutschland", "de"),
        ("Türkiye", "tr"),
        ("Turkey", "tr"),
        ("South Korea", "kr"),
        ("NA", "na"),  # Namibia
        ("Atlantis", None),
        ("XX", None),
        ("", None),
        ("--", None),
    ],
)
def test_a_country_becomes_two_letters_or_is_left_out(given: str, expected: str | None) -> None:
    assert normalise.country(given) == expected


def test_every_country_of_the_table_is_an_iso_code() -> None:
    for name, code in tables.COUNTRY_NAMES.items():
        assert normalise.country(name) == normalise.country(code) == code


@pytest.mark.parametrize(
    ("given", "country", "expected"),
    [
        ("New York", "us", "ny"),
        ("virginia", "us", "va"),
        ("VA", "us", "va"),
        ("US-VA", "us", "va"),
        ("Washington, D.C.", "us", "dc"),
        ("District of Columbia", "us", "dc"),
        ("Puerto Rico", "us", "pr"),
        ("Narnia", "us", "narnia"),
        ("Virginia", None, "virginia"),
        ("Île-de-France", "fr", "îledefrance"),
        ("unknown", "us", None),
        ("", "us", None),
    ],
)
def test_a_state_of_the_us_becomes_two_letters(given: str, country: str | None, expected: str | None) -> None:
    assert normalise.state(given, country) == expected


@pytest.mark.parametrize(
    ("given", "country", "expected"),
    [
        ("10016", "us", "10016"),
        ("10016-1234", "us", "10016"),
        ("10016-1234", None, "10016"),
        ("10016 1234", None, "10016"),
        ("100161234", None, "100161234"),
        ("100161234", "us", "10016"),
        ("US1234", None, "us1234"),
        ("abc", "us", "abc"),
        ("SW1A 1AA", "gb", "sw1a1aa"),
        ("01310-100", "br", "01310100"),
        ("n/a", None, None),
    ],
)
def test_a_zip_loses_spaces_and_dashes(given: str, country: str | None, expected: str | None) -> None:
    assert normalise.zip_code(given, country) == expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("8.8.8.8", "8.8.8.8"),
        (" 203.0.113.24 ", "203.0.113.24"),  # documentation, which never occurs in real traffic
        ("100.63.255.255", "100.63.255.255"),
        ("172.32.0.1", "172.32.0.1"),
        ("2001:db8:85a3::8a2e:370:7334", "2001:db8:85a3::8a2e:370:7334"),
        ("2606:4700::1111", "2606:4700::1111"),
        ("::ffff:8.8.8.8", "8.8.8.8"),
        ("::FFFF:10.0.0.1", None),
        ("10.0.0.1", None),
        ("172.16.0.1", None),
        ("192.168.1.1", None),
        ("100.64.0.1", None),
        ("127.0.0.1", None),
        ("169.254.1.1", None),
        ("198.18.0.1", None),
        ("224.0.0.1", None),
        ("255.255.255.255", None),
        ("0.0.0.0", None),
        ("::1", None),
        ("::", None),
        ("fe80::1", None),
        ("fe80::1%eth0", None),
        ("fd00::1", None),
        ("ff02::1", None),
        ("2001::1", None),
        ("2002:0a00:0001::1", None),
        ("8.8.8", None),
        ("8.8.8.8.8", None),
        ("08.8.8.8", None),
        ("8.8.8.8:443", None),
        ("8.8.8.8, 1.1.1.1", None),
        ("[2606:4700::1111]", None),
        ("8.8.8.8\0", None),
        ("localhost", None),
        ("", None),
    ],
)
def test_only_a_public_address_is_sent(given: str, expected: str | None) -> None:
    assert normalise.public_ip(given) == expected


# Python's own list differs from version to version in 192.0.0.0/24 and does not know the relays of 6to4.
DISPUTED = [ipaddress.IPv4Network(block) for block in ("192.0.0.0/24", "192.88.99.0/24")]
EXAMPLES = [ipaddress.IPv4Network(block) for block in ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24")]


@examples(strategies.ip_addresses(v=4))
def test_public_means_what_the_registry_says(address: ipaddress.IPv4Address) -> None:
    if any(address in block for block in DISPUTED):
        return
    public = (address.is_global and not address.is_multicast) or any(address in block for block in EXAMPLES)
    assert (normalise.public_ip(str(address)) is not None) == public


@pytest.mark.parametrize(
    ("given", "region", "expected"),
    [
        ("+15555555555", None, b"+15555555555"),
        ("(+1)2133734253", None, b"+12133734253"),
        ("+1 (212) 555-0142", None, b"+12125550142"),
        ("+44 (0)20 7946 0018", None, b"+442079460018"),
        ("+4402079460018", None, b"+442079460018"),
        ("+390612345678", None, b"+390612345678"),  # Italy keeps the zero
        ("+6281234567890", None, b"+6281234567890"),
        ("+551155256325", None, b"+551155256325"),  # a national prefix that only a pattern tells
        ("212-555-0142", "US", b"+12125550142"),
        ("12125550142", "US", b"+12125550142"),
        ("020 7946 0018", "GB", b"+442079460018"),
        ("tel:+1-212-555-0142;ext=5", None, b"+12125550142"),
        ("212-555-0142", None, None),
        ("12125550142", None, None),
        ("+1212555", None, None),
        ("+12125550142000", None, None),
        ("555-0142", "US", None),  # no area code
        ("+999123456789", None, None),
        ("+1٢125550142", None, b"+12125550142"),
        ("call me", "US", None),
        ("", "US", None),
    ],
)
def test_a_phone_becomes_e_164_or_nothing(given: str, region: str | None, expected: bytes | None) -> None:
    assert phone.e164(given, region) == expected
    assert phone.e164(given, region) == expected  # and the same again, when its numbering plan is known


@examples(strategies.from_regex(r"\A\+[1-9][0-9]{5,14}\Z"))
def test_the_fast_way_gives_what_the_library_gives(number: str) -> None:
    assert phone.e164(number) == phone._ask_library(number, None)
    assert phone.e164(number) == phone._ask_library(number, None)


def test_an_example_of_every_region_is_itself() -> None:
    failed = []
    for region in sorted(phonenumbers.SUPPORTED_REGIONS):
        example = phonenumbers.example_number(region)
        assert example is not None, region
        number = phonenumbers.format_number(example, phonenumbers.PhoneNumberFormat.E164)
        made = phone.e164(number), phone.e164(number)  # the second time its numbering plan is known
        if made != (number.encode(), number.encode()):
            failed.append((region, number, made))
    assert failed == []
    assert len(phonenumbers.SUPPORTED_REGIONS) > 200
