"""The invented shop behind the sample data: its markets, its catalogue and the people who visit it.

Nothing here is about a real person: names are combined at random, addresses end in example.com, telephone numbers lie
in the ranges kept for fiction, and IP addresses in the networks kept for documentation.
"""

import base64
import random
import unicodedata
from collections.abc import Sequence
from typing import Any, NamedTuple, TypeVar

_T = TypeVar("_T")


class Market(NamedTuple):
    """A country that the shop sells to.

    Attributes:
      country: ISO 3166-1 alpha-2.
      spellings: how the country is written in `$Country`, which mParticle takes as free text.
      factor: local price of one dollar's worth of goods.
      decimals: digits after the point in prices (yen have none).
      places: city, state, postal code.
    """

    country: str
    spellings: tuple[str, ...]
    currency: str
    language: str
    host: str
    factor: float
    decimals: int
    places: tuple[tuple[str, str, str], ...]


class Product(NamedTuple):
    """One row of the catalogue; `price` is in dollars."""

    id: str
    name: str
    brand: str
    category: str
    variant: str
    price: float


class Shopper(NamedTuple):
    """One person and the browser they use.

    Attributes:
      number: counts up from 0; e-mail and customer id follow from it, so they are unique.
      phone: E.164.
      cookie: TikTok's `_ttp` cookie, or None.
      click_id: `ttclid` of the advertisement they came by, or None.
    """

    number: int
    market: Market
    first_name: str
    last_name: str
    email: str
    customer_id: str
    phone: str
    place: tuple[str, str, str]
    mpid: int
    ip: str
    user_agent: str
    cookie: str | None
    click_id: str | None


MARKETS = (
    Market("US", ("US", "USA", "United States", "us"), "USD", "en", "shop.example.com", 1.0, 2, (
        ("New York", "NY", "10016"), ("Arlington", "Virginia", "22201"), ("San José", "CA", "95112-0042"),
        ("Austin", "TX", "73301"), ("St. Louis", "mo", "63101"),
    )),
    Market("CA", ("CA", "Canada"), "CAD", "en", "shop.example.com/ca", 1.36, 2, (
        ("Montréal", "QC", "H2X 1Y4"), ("Toronto", "ON", "M5V 2T6"),
    )),
    Market("GB", ("GB", "United Kingdom"), "GBP", "en", "shop.example.com/uk", 0.79, 2, (
        ("London", "England", "SW1A 1AA"), ("Stoke-on-Trent", "England", "ST1 1AA"),
    )),
    Market("DE", ("DE", "Germany", "DEU"), "EUR", "de", "shop.example.com/de", 0.93, 2, (
        ("Köln", "NW", "50667"), ("München", "BY", "80331"),
    )),
    Market("BR", ("BR", "Brazil"), "BRL", "pt", "shop.example.com/br", 5.1, 2, (
        ("São Paulo", "SP", "01310-100"), ("Brasília", "DF", "70040-010"),
    )),
    Market("JP", ("JP", "Japan"), "JPY", "ja", "shop.example.com/jp", 151.0, 0, (
        ("Tokyo", "Tokyo", "100-0001"), ("大阪市", "Osaka", "530-0001"),
    )),
)  # fmt: skip
_MARKET_SHARES = (50, 8, 16, 14, 7, 5)
_MARKET_OF = tuple(market for market, share in zip(MARKETS, _MARKET_SHARES, strict=True) for _ in range(share))

_FIRST_NAMES = (
    "Ada", "Grace", "Alan", "Katherine", "José", "Zoë", "Björn", "Mary Ann", "Noor", "Kenji", "Amélie", "Liam",
    "Olga", "Chidi", "Sofía", "Thu", "Ingrid", "Mateus", "Priya", "Jean-Luc",
)  # fmt: skip
_MAILBOXES = {
    name: unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower().replace(" ", ".")
    for name in _FIRST_NAMES
}
_LAST_NAMES = (
    "Sample", "Doe-Roe", "Muster", "O'Example", "Fictício", "Placeholder", "Invented", "van Testen", "Yamada",
    "Exempel", "Specimen", "Dupont-Exemple", "Smyth", "Ipsum", "Lorem", "Dolor",
)  # fmt: skip
_AREA_CODES = (
    "201", "202", "206", "212", "213", "214", "303", "305", "312", "313", "404", "415", "503", "512", "602", "612",
    "617", "646", "702", "713", "718", "801", "808", "916", "917",
)  # fmt: skip
_IP_NETWORKS = ("192.0.2", "198.51.100", "203.0.113")

USER_AGENTS = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 "
    "Mobile/15E148 Safari/604.1",
    "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Mobile "
    "Safari/537.36",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10.15; rv:127.0) Gecko/20100101 Firefox/127.0",
)

_KINDS = (
    ("Trail Running Shoe", "apparel/shoes", 89.9),
    ("Running Socks 3-pack", "apparel/socks", 14.5),
    ("Rain Jacket", "apparel/jackets", 129.0),
    ("Yoga Mat", "fitness/mats", 29.9),
    ("Kettlebell 12 kg", "fitness/weights", 54.0),
    ("Head Torch", "outdoor/light", 39.95),
    ("Water Bottle 0.7 l", "outdoor/drinking", 18.0),
    ("Cycling Gloves", "cycling/gloves", 24.99),
    ("Merino Beanie", "apparel/hats", 21.5),
    ("Climbing Chalk", "climbing/chalk", 7.25),
)
_BRANDS = ("Acme", "Zen", "Fjell", "Nordic & Sons", "Ōkami")
_VARIANTS = ("blue-42", "black-M", "grey", "red-L")
CATALOGUE = tuple(
    Product(
        id=str(1_000_000 + 7_919 * number),
        name=name,
        brand=brand,
        category=category,
        variant=variant,
        price=round(price * (1 + number % 7 / 20), 2),
    )
    for number, (name, category, price, brand, variant) in enumerate(
        (name, category, price, brand, variant)
        for name, category, price in _KINDS
        for brand in _BRANDS
        for variant in _VARIANTS
    )
)


def pick(rng: random.Random, options: Sequence[_T]) -> _T:
    """Returns one of the options; unlike `Random.choice`, drawn in a way that no Python version changes."""
    return options[int(rng.random() * len(options))]


def uuid(rng: random.Random) -> str:
    """Returns a random UUID, version 4 by its form."""
    digits = f"{rng.getrandbits(128):032x}"
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"


def int64(rng: random.Random) -> int:
    """Returns any signed 64-bit number, as mParticle's ids are."""
    return int(rng.getrandbits(64)) - (1 << 63)


def shopper(rng: random.Random, number: int) -> Shopper:
    """Returns a new person; `number` makes e-mail and customer id unique."""
    market = pick(rng, _MARKET_OF)
    first, last = pick(rng, _FIRST_NAMES), pick(rng, _LAST_NAMES)
    if market.country == "GB":  # Ofcom's numbers for drama
        phone = f"+4420794{60_000 + int(rng.random() * 1_000):05d}"
    else:
        phone = f"+1{pick(rng, _AREA_CODES)}55501{int(rng.random() * 100):02d}"
    draw = rng.random()
    return Shopper(
        number=number,
        market=market,
        first_name=first,
        last_name=last,
        email=f"{_MAILBOXES[first]}.{number}@example.com",
        customer_id=f"CUST-{number:08d}",
        phone=phone,
        place=pick(rng, market.places),
        mpid=int64(rng),
        ip=(
            f"2001:db8::{number % 0xFFFF:x}:{int(draw * 0xFFFF):x}"
            if draw < 0.12
            else f"{pick(rng, _IP_NETWORKS)}.{1 + int(rng.random() * 254)}"
        ),
        user_agent=pick(rng, USER_AGENTS),
        cookie="2" + base64.b32encode(rng.randbytes(16)).decode()[:26] if rng.random() < 0.62 else None,
        click_id="E.C.P." + base64.urlsafe_b64encode(rng.randbytes(45)).decode() if rng.random() < 0.3 else None,
    )


def line(rng: random.Random, product: Product, market: Market, position: int, quantity: int) -> dict[str, Any]:
    """Returns one element of `products[]` as mParticle writes it."""
    price: float = round(product.price * market.factor, market.decimals)
    if market.decimals == 0:
        price = int(price)
    return {
        "id": product.id,
        "name": product.name,
        "brand": product.brand,
        "category": product.category,
        "variant": product.variant,
        "position": position,
        "price": price,
        "quantity": quantity,
        "coupon_code": None,
        "total_product_amount": round(price * quantity, market.decimals),
        "custom_attributes": {"size": product.variant} if rng.random() < 0.2 else {},
    }
