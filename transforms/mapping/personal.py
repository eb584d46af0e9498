"""What a custom mapping may not send in clear: a text that says who someone is, whatever its attribute is called.

The names of attributes that are refused beforehand are in `parameters`, what an address or a phone looks like is in
`contacts`.
"""

from typing import Any

from transforms.mapping.contacts import FEWEST_DIGITS, has_address, has_contact, is_number_of
from transforms.mapping.values import first_scalar
from transforms.parts import BatchContext

# User attributes whose value may not turn up in another attribute. Source: `tables.USER_ATTRIBUTES` without places.
_NAMES = ("$firstname", "$lastname", "$zip", "$mobile", "$address")
_PHONES = ("mobile_number", "phone_number_2", "phone_number_3")
_CONTACTS = ("email", *_PHONES)


def tells_who(text: str, batch: BatchContext, *, of_user: bool) -> bool:
    """Says whether a text names a person: an e-mail address, a phone, or what this batch knows the person by.

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
    """Says whether what would be sent as a number is a phone: of the batch's person, or with its country code."""
    if sum(map(str.isdigit, text)) < FEWEST_DIGITS:
        return False
    phones = [batch.identities[kind] for kind in _PHONES if kind in batch.identities]
    return has_address(text) or is_number_of(text, [*phones, *_values(batch.attributes, "$mobile")])


def _is_full_name(folded: str, attributes: dict[str, Any]) -> bool:
    """Says whether a text is the person's first and last name, in either order."""
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
