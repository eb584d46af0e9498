"""What a custom mapping may not send in clear: a text that says who someone is, whatever its attribute is called.

The names of attributes that are refused beforehand are in `parameters`.
"""

import re

from transforms.mapping.values import first_scalar
from transforms.model import BatchContext

# An address anywhere in a text; a phone with its country code, or one that is written like a phone.
_EMAIL = re.compile(r"[^\s@<>\"']+@[^\s@<>\"']+\.[^\s@<>\"']+")
_PHONE = re.compile(r"\+\s?\d[\d\s().-]{6,18}\d(?!\d)|\(\d{3}\)\s?\d{3}[\s.-]\d{4}|\b\d{3}[\s.-]\d{3}[\s.-]\d{4}\b")

# User attributes whose value may not turn up in another attribute. Source: `tables.USER_ATTRIBUTES` without places.
_NAMES = ("$firstname", "$lastname", "$zip", "$mobile", "$address")
_CONTACTS = ("email", "mobile_number", "phone_number_2", "phone_number_3")


def tells_who(text: str, batch: BatchContext, *, of_user: bool) -> bool:
    """Says whether a text names a person: an e-mail address, a phone, or what this batch knows the person by.

    Args:
      text: of an attribute that would be sent in clear.
      batch: raw identities and attributes.
      of_user: the attribute is one of the person, so that all identities are compared; an attribute of an event may
        equal a customer's number by chance, as the ids of products do.
    """
    folded = text.strip().casefold()
    if of_user or not folded.isalpha():  # letters alone are no address and no phone
        if ("@" in text and _EMAIL.search(text)) or (len(text) > 8 and _PHONE.search(text)):
            return True
        identities = batch.identities
        for kind in identities if of_user else _CONTACTS:
            if kind in identities and identities[kind].strip().casefold() == folded:
                return True
    for key in batch.attributes:
        is_name = key[:1] == "$" and key.lower() in _NAMES
        if is_name and (first_scalar(batch.attributes[key]) or "").casefold() == folded:
            return True
    return False
