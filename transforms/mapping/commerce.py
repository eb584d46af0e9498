"""What was bought or looked at: contents, value and currency.

Source: the customer's specification, section 6; types: tiktok-business-api-sdk f809c39, `PixelContent.md` and
`PixelProperties.md`.
"""

from collections.abc import Callable, Mapping
from math import ceil, inf
from typing import Any

from transforms.mapping import tables
from transforms.mapping.tiktok_json import Content
from transforms.mapping.values import amount, given, identifier, scalar
from transforms.model import Product, ProductAction
from transforms.vocabulary import Note

# TikTok's `quantity` is an int; more than a signed 32-bit one is a mistake of the sender.
MAX_QUANTITY = 2.0**31 - 1

# Nearly every item has one of these.
USUAL_QUANTITIES: Mapping[Any, int] = {float(number): number for number in range(1, 101)}

# A weight such as 2.0000000001 comes from arithmetic, not from a scale.
WEIGHT_DECIMALS = 6

# Decimals kept of a computed value, so that 0.1 + 0.2 is 0.3 and no currency loses anything.
_VALUE_DECIMALS = 6


def read_contents(
    products: tuple[Product | None, ...], content_type: str | None, notes: list[Note]
) -> tuple[list[Content], list[str]]:
    """Returns the contents and their ids.

    Args:
      products: as mParticle sends them; null products and products without any known field are left out.
      content_type: for the legacy request, which has it in each content and knows no brand; else None.
      notes: takes what had to be decided.
    """
    contents: list[Content] = []
    content_ids: list[str] = []
    invalid = fractional = False
    for product in products:
        if product is None:
            continue
        price, number = product.price, product.quantity
        if type(price) is not float or price <= 0.0:
            invalid = invalid or (given(price) and amount(price) is None)
            price = amount(price)
        quantity = USUAL_QUANTITIES.get(number)
        if quantity is None:
            quantity, is_fraction, is_invalid = _odd_quantity(number)
            fractional, invalid = fractional or is_fraction, invalid or is_invalid
        content_id, name, category, brand = product.id, product.name, product.category, product.brand
        content_id = content_id.strip() if type(content_id) is str else identifier(content_id)
        name = name.strip() if type(name) is str else scalar(name)
        category = category.strip() if type(category) is str else scalar(category)
        if content_type is not None:
            brand = None
        brand = brand.strip() if type(brand) is str else scalar(brand)
        if content_id:
            content_ids.append(content_id)
        elif not name and not category and not brand and price is None:
            continue
        contents.append(
            Content(price, quantity, content_type, content_id or None, name or None, category or None, brand or None)
        )
    if invalid:
        notes.append(Note.INVALID_AMOUNT)
    if fractional:
        notes.append(Note.FRACTIONAL_QUANTITY)
    return contents, content_ids


def _odd_quantity(value: Any) -> tuple[int, bool, bool]:
    """Returns a quantity as an integer; whether it is a rounded fraction; whether it was no amount.

    Missing or no amount is 1, a fraction (goods by weight) is rounded up to at least 1.
    """
    number = amount(value)
    if number is None or number > MAX_QUANTITY:
        return 1, False, given(value)
    quantity = ceil(round(number, WEIGHT_DECIMALS))
    return (quantity, False, False) if quantity == number else (max(1, quantity), True, False)


def items_value(products: tuple[Product | None, ...]) -> float | None:
    """Returns Σ price × quantity, None if no product has a price; a weight counts as it is, not rounded."""
    parts = []
    for product in products:
        price = None if product is None else amount(product.price)
        if product is not None and price is not None:
            number = amount(product.quantity)
            parts.append(price * (1.0 if number is None or number > MAX_QUANTITY else number))
    total = sum(parts)
    return round(total, _VALUE_DECIMALS) if parts and total < inf else None


def value_rule(fallback: str) -> Callable[[ProductAction, bool, list[Note]], float | None]:
    """Returns the function that gives the order's value, for one setting of `value_fallback`.

    Args:
      fallback: `missing`, `missing_or_zero` or `never`.
    """
    always_missing = fallback == "missing_or_zero"

    def read_value(action: ProductAction, sends_zero: bool, notes: list[Note]) -> float | None:
        """Returns the total, or Σ price × quantity where the total counts as missing.

        Args:
          action: total amount and products.
          sends_zero: the batch is of a Web SDK that wrote 0 when the site gave no revenue.
          notes: takes what had to be decided.
        """
        total = amount(action.total_amount)
        if total is None and given(action.total_amount) and Note.INVALID_AMOUNT not in notes:
            notes.append(Note.INVALID_AMOUNT)
        if fallback != "never" and (total is None or (total == 0.0 and (sends_zero or always_missing))):
            total = items_value(action.products or ())
            if total is not None:
                notes.append(Note.VALUE_FROM_ITEMS)
        if total is None:
            notes.append(Note.MISSING_VALUE)
        return total

    return read_value


def read_currency(of_event: str | None, of_action: str | None, default: str | None, notes: list[Note]) -> str | None:
    """Returns the currency as ISO 4217 in upper case, None if there is none.

    mParticle's schema has it on the event; some senders put it on the product action, as the specification does.
    """
    for code in (of_event, of_action):
        if code is None or not code.strip():
            continue
        code = code.strip().upper()
        if len(code) != 3 or not code.isascii() or not code.isalpha():
            if Note.INVALID_CURRENCY not in notes:
                notes.append(Note.INVALID_CURRENCY)
            continue
        if code not in tables.CURRENCIES:
            notes.append(Note.UNLISTED_CURRENCY)
        return code
    notes.append(Note.MISSING_CURRENCY if default is None else Note.DEFAULT_CURRENCY)
    return default
