"""Which texts are the phone of a batch's person; the other rules of `pii` are tried through custom mappings."""

import pytest

from transforms.mapping.pii import is_phone_of
from transforms.model import BatchContext

BATCH = BatchContext(identities={"mobile_number": "+49 151 12345678"}, attributes={"$mobile": "212 555 0142"})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("015112345678", True),
        ("4915112345678", True),
        ("0151/1234-5678", True),
        ("12345678", True),
        ("2125550142", True),
        ("+4916099999999", True),  # anybody's, with its country code
        ("016099999999", False),
        ("345678", False),
        ("00000345678", False),  # too few digits without what it is dialled with
        ("SKU 15112345678", False),
    ],
)
def test_a_number_is_a_phone_of_the_person_in_any_spelling(text: str, expected: bool) -> None:
    assert is_phone_of(text, BATCH) is expected
