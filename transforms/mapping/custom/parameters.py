"""What a custom mapping may send: TikTok's parameters, which event takes which, and which attributes it may not read.

Data, like `tables`. Source, unless another one is named: the customer's specification, section 8.
"""

import re
from collections.abc import Mapping
from typing import Final

# Parameters of an item of `contents`; the others stand in `properties`.
CONTENT_PARAMETERS: Final = ("price", "quantity", "content_id", "content_name", "content_category")

# Parameter → its type at TikTok. Source: tiktok-business-api-sdk f809c39, `PixelContent.md`, `PixelProperties.md`.
PARAMETER_TYPES: Final[Mapping[str, str]] = {
    "price": "number",
    "quantity": "integer",
    "currency": "string",
    "value": "number",
    "content_id": "string",
    "content_name": "string",
    "content_category": "string",
    "query": "string",
    "description": "string",
}

_SHOPPING = (*CONTENT_PARAMETERS, "currency", "value", "description")
_WORTH = ("currency", "value", "description")
_NOTHING = ("description",)

# TikTok event → the parameters that it takes. The first block is the specification's; `Purchase` and `Lead` are the
# present names of CompletePayment and SubmitForm. The specification knows no list for the other present names: TikTok
# recommends content id, currency and value for StartTrial and uses currency and value for the return of any event.
# Source: ads.tiktok.com/help, "Supported standard events" and "About parameters".
EVENT_PARAMETERS: Final[Mapping[str, tuple[str, ...]]] = {
    "AddPaymentInfo": _SHOPPING,
    "AddToCart": _SHOPPING,
    "AddToWishlist": _SHOPPING,
    "CompletePayment": _SHOPPING,
    "InitiateCheckout": _SHOPPING,
    "PlaceAnOrder": _SHOPPING,
    "ViewContent": _SHOPPING,
    "ClickButton": _NOTHING,
    "Contact": _NOTHING,
    "Download": _NOTHING,
    "Search": ("query", "description"),
    "Subscribe": _WORTH,
    "Purchase": _SHOPPING,
    "StartTrial": ("content_id", *_WORTH),
    "ApplicationApproval": _WORTH,
    "CompleteRegistration": _WORTH,
    "CustomizeProduct": _WORTH,
    "FindLocation": _WORTH,
    "Lead": _WORTH,
    "Schedule": _WORTH,
    "SubmitApplication": _WORTH,
    "SubmitForm": _WORTH,
}

# User attributes that mParticle reserves for the person; TikTok gets some of them, hashed, in `user` only.
# Source: mparticle-android-sdk eb2b4c87, `MParticle.UserAttributes`.
RESERVED_ATTRIBUTES: Final = (
    "$Age",
    "$FirstName",
    "$LastName",
    "$Gender",
    "$Mobile",
    "$Address",
    "$City",
    "$State",
    "$Zip",
    "$Country",
)

# Attributes that hold what TikTok must not get in clear, by their name without case and punctuation.
# fmt: off
_PERSONAL = frozenset((
    "email", "emailaddress", "mail", "mailaddress", "useremail", "customeremail", "contactemail", "billingemail",
    "shippingemail", "hashedemail", "phone", "phonenumber", "telephone", "telephonenumber", "tel", "mobile",
    "mobilenumber", "mobilephone", "cell", "cellphone", "userphone", "customerphone", "firstname", "lastname",
    "fullname", "surname", "familyname", "givenname", "middlename", "maidenname", "customername", "username",
    "login", "password", "address", "streetaddress", "street", "addressline1", "addressline2", "billingaddress",
    "shippingaddress", "zip", "zipcode", "postcode", "postalcode", "birthday", "birthdate", "dateofbirth", "dob",
    "ssn", "socialsecuritynumber", "passport", "passportnumber", "taxid", "iban", "creditcard", "creditcardnumber",
    "cardnumber", "ip", "ipaddress", "useragent", "customerid", "userid", "externalid", "mpid",
    "telefon", "telefonnummer", "handynummer", "vorname", "nachname", "emailadresse", "correo", "courriel",
))
# fmt: on
_PERSONAL_OF_USERS = frozenset(("name", "nickname", "age", "gender", "city", "state", "country"))

# What still names a person with other words before it ("recipient_email", "Contact Phone 2"), unless it is a
# question ("has_email").
_PERSONAL_ENDS = frozenset(
    (
        *("email", "emailaddress", "phonenumber", "telephonenumber", "mobilenumber", "contactphone", "customerphone"),
        *("recipientphone", "billingphone", "shippingphone", "homephone", "workphone", "firstname", "lastname"),
        *("fullname", "surname", "streetaddress", "postcode", "postalcode", "birthday", "birthdate", "dateofbirth"),
    )
)
_QUESTIONS = frozenset(("has", "is", "was", "no", "with", "without", "valid", "verified", "confirmed"))
# What products may be called or be made for.
_GOODS = frozenset(("phone", "telephone", "mobile", "mobilephone", "cell", "cellphone", "ip"))
_E_MAIL = re.compile(r"(?<![a-z])e[-_ ]mail", re.IGNORECASE)
_WORDS = re.compile(r"[A-Z]?[^\W\d_A-Z]+|[A-Z]+(?![^\W\d_A-Z])")
_NO_WORD = re.compile(r"[\W_]+")


def is_personal(attribute: str, *, of_user: bool, of_product: bool = False) -> bool:
    """Returns whether an attribute holds something about a person, by its name.

    >>> is_personal("E-Mail", of_user=False), is_personal("$Zip", of_user=True), is_personal("plan", of_user=True)
    (True, True, False)
    >>> is_personal("recipientEmail2", of_user=False), is_personal("has_email", of_user=False)
    (True, False)
    """
    word = _NO_WORD.sub("", attribute).casefold()
    if word in _PERSONAL:
        return not (of_product and word in _GOODS)
    words = [part.casefold() for part in _WORDS.findall(_E_MAIL.sub("Email", attribute))]
    if words and words[0] not in _QUESTIONS and any("".join(words[n:]) in _PERSONAL_ENDS for n in range(len(words))):
        return True
    return of_user and (word in _PERSONAL_OF_USERS or attribute.strip().startswith("$"))
