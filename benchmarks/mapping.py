"""How fast is the mapping alone: message bytes in, payload bytes out, on one core.

    python benchmarks/mapping.py [--input NDJSON] [--seconds S] [--out FILE]

Beside it, in alternating rounds of the same run, a bare loop over the same messages: typed decode, three SHA-256,
encode, and no rule at all. Their ratio says what the rules cost, whatever the machine does meanwhile. Without
`--input` the messages are invented: one purchase each, about 2 kB, every user another one, so that no cache can help.
"""

import argparse
import gc
import json
import random
import statistics
import sys
import time
import uuid
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(Path(__file__).resolve().parent)]

from common import finish  # noqa: E402 - the path is set just above

from transforms.connection import Connection  # noqa: E402
from transforms.mapping import forms, wire  # noqa: E402
from transforms.mapping.convert import converter  # noqa: E402
from transforms.model import Message, Payload  # noqa: E402

SEED = 20_240_620

# Messages held in memory; a round goes over all of them.
MESSAGES = 4_000

# Events API 2.0 with `event_source: web`: the form with the most fields.
CONNECTION = Connection(event_source_id="A1T8T4UYGVIQA8ORZMX9", enable_web_migration=True)

GOODS = ("Trail Running Shoe", "Running Socks 3-pack", "Yoga Mat", "Rain Jacket", "Head Lamp", "Water Bottle 0.5 l")
CATEGORIES = ("apparel/shoes", "apparel/socks", "fitness", "outdoor")
USER_AGENT = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{}.0.0.0 Safari/537.36"
)


class _People:
    """Names and places as a shop meets them: no user twice, but 500 first names, 5,000 last names, 2,000 places."""

    def __init__(self, source: random.Random) -> None:
        self.first_names = [_name(source, 5) for _ in range(500)]
        self.last_names = [_name(source, 8) for _ in range(5_000)]
        states = ("NY", "CA", "TX", "OR", "VA", "WA", "FL", "IL")
        self.places = [
            (f"{_name(source, 4)} {_name(source, 5)}", source.choice(states), str(source.randrange(10_000, 99_999)))
            for _ in range(2_000)
        ]


def _name(source: random.Random, letters: int) -> str:
    """Returns a word that could be a name."""
    return "".join(source.choices("abcdefghijklmnopqrstuvwxyz", k=letters)).capitalize()


def invented(count: int, seed: int) -> list[bytes]:
    """Returns messages in mParticle's outgoing form, one purchase each."""
    source = random.Random(seed)  # noqa: S311 - invented data, repeatable on purpose
    people = _People(source)
    return [json.dumps(_message(source, people, number), separators=(",", ":")).encode() for number in range(count)]


def _message(source: random.Random, people: "_People", number: int) -> dict[str, Any]:
    """Returns one batch."""
    first, last = source.choice(people.first_names), source.choice(people.last_names)
    city, state, code = source.choice(people.places)
    at_ms = 1_718_900_000_000 + number * 977
    price = source.randrange(199, 19_999) / 100
    quantity = source.randint(1, 3)
    order = f"ORD-{source.randrange(10**9)}"
    return {
        "events": [
            {
                "data": {
                    "product_action": {
                        "action": "purchase",
                        "transaction_id": order,
                        "affiliation": "web",
                        "total_amount": round(price * quantity + 4, 2),
                        "tax_amount": round(price * 0.07, 2),
                        "shipping_amount": 4.0,
                        "coupon_code": None,
                        "products": [
                            {
                                "id": str(source.randrange(10**7)),
                                "name": source.choice(GOODS),
                                "brand": "Acme",
                                "category": source.choice(CATEGORIES),
                                "variant": "blue-42",
                                "price": price,
                                "quantity": quantity,
                                "total_product_amount": round(price * quantity, 2),
                            }
                        ],
                    },
                    "currency_code": "USD",
                    "event_name": "eCommerce - Purchase",
                    "custom_event_type": "purchase",
                    "custom_flags": {
                        "TikTok.URL": f"https://shop.example.com/checkout/thank-you?order={order}",
                        "TikTok.Referrer": "https://shop.example.com/checkout/payment",
                        "TikTok.Callback": f"E.C.P.{source.getrandbits(256):064x}",
                    },
                    "timestamp_unixtime_ms": str(at_ms),
                    "event_id": str(source.getrandbits(63)),
                    "source_message_id": str(uuid.UUID(int=source.getrandbits(128))),
                    "session_id": str(-source.getrandbits(62)),
                    "custom_attributes": {"payment_method": "card"},
                },
                "event_type": "commerce_event",
            }
        ],
        "device_info": {
            "platform": "web",
            "http_header_user_agent": USER_AGENT.format(source.randint(100, 130)),
            "locale_language": "en",
            "locale_country": "US",
        },
        "application_info": {"application_name": "Acme Store", "os": "MobileWeb"},
        "user_attributes": {
            "$FirstName": first,
            "$LastName": last,
            "$City": city,
            "$State": state,
            "$Country": "US",
            "$Zip": code,
        },
        "user_identities": [
            {"identity_type": "customer_id", "identity": f"CUST-{number:08d}", "timestamp_unixtime_ms": str(at_ms)},
            {"identity_type": "email", "identity": f"{first}.{last}{number}@Example.com"},
            {"identity_type": "mobile_number", "identity": f"+1212{source.randrange(2_000_000, 9_999_999)}"},
        ],
        "partner_identities": {"tiktok_cookie_id": f"{source.getrandbits(128):027x}"},
        "environment": "production",
        "mpid": str(-source.getrandbits(62)),
        "ip": f"203.0.113.{source.randrange(256)}",
        "source_info": {"channel": "javascript", "partner": None},
        "timestamp_unixtime_ms": str(at_ms + 5_000),
        "batch_id": str(source.getrandbits(62)),
        "message_type": "events",
        "schema_version": 2,
    }


def bare(data: bytes) -> bytes:
    """Decodes, hashes the three identities as they are, fills the same structs and encodes; no rule at all."""
    batch = wire.read(data)
    hashed = {}
    for entry in batch.user_identities:
        hashed[entry.identity_type] = sha256(entry.identity.encode()).hexdigest()
    device, attributes = batch.device_info, batch.user_attributes.get
    content = batch.events[0].data
    action, flags = content.product_action, content.custom_flags
    items = action.products
    return forms.encode(
        forms.TrackEvent(
            "PlaceAnOrder",
            int(content.timestamp_unixtime_ms) // 1000,
            content.source_message_id,
            forms.TrackUser(
                [hashed["email"]],
                [hashed["mobile_number"]],
                [hashed["customer_id"]],
                flags["TikTok.Callback"],
                batch.partner_identities.tiktok_cookie_id,
                batch.ip,
                device.http_header_user_agent,
                device.locale_language,
                attributes("$FirstName"),
                attributes("$LastName"),
                attributes("$Zip"),
                attributes("$City"),
                attributes("$State"),
                attributes("$Country"),
            ),
            forms.TrackProperties(
                [forms.Content(i.price, int(i.quantity), None, i.id, i.name, i.category, i.brand) for i in items],
                [item.id for item in items],
                "product",
                content.currency_code,
                action.total_amount,
                action.transaction_id,
            ),
            forms.Page(flags["TikTok.URL"], flags["TikTok.Referrer"]),
        )
    )


def measure(work: Callable[[bytes], Any], messages: list[bytes]) -> float:
    """Returns the seconds that a loop over all messages takes; what it makes is dropped at once, as in a stream."""
    gc.collect()
    began = time.perf_counter()
    for data in messages:
        work(data)
    return time.perf_counter() - began


def read_lines(path: str) -> list[bytes]:
    """Returns the messages of a file, one a line."""
    return [line for line in Path(path).read_bytes().splitlines() if line.strip()]


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--input", metavar="NDJSON", help="one message a line (default: invented)")
    parser.add_argument("--seconds", type=float, default=10.0, help="how long to measure, at least (default: 10)")
    parser.add_argument("--out", metavar="FILE", help="write the line of JSON there too")
    arguments = parser.parse_args()
    messages = read_lines(arguments.input) if arguments.input else invented(MESSAGES, SEED)
    convert = converter(CONNECTION)
    results = [result for data in messages for result in convert(Message("", data))]
    payloads = sum(isinstance(result, Payload) for result in results)
    mapping_secs, bare_secs = [], []
    until = time.perf_counter() + arguments.seconds
    while time.perf_counter() < until or len(mapping_secs) < 3:
        mapping_secs.append(measure(lambda data: convert(Message("", data)), messages))
        if not arguments.input:  # the bare loop takes every field for granted
            bare_secs.append(measure(bare, messages))
    rate = len(results) / statistics.median(mapping_secs)
    figures: dict[str, Any] = {
        "messages": len(messages),
        "bytes_per_message": round(statistics.fmean(map(len, messages))),
        "events": len(results),
        "payloads": payloads,
        "rounds": len(mapping_secs),
        "events_per_second": round(rate),
        "events_per_second_best": round(len(results) / min(mapping_secs)),
    }
    print(f"mapping: {rate:,.0f} events/s (best round {len(results) / min(mapping_secs):,.0f}), {payloads:,} payloads")
    if bare_secs:
        ratio = statistics.median(a / b for a, b in zip(bare_secs, mapping_secs, strict=True))
        bare_rate = len(messages) / statistics.median(bare_secs)
        figures |= {"bare_events_per_second": round(bare_rate), "ratio": round(ratio, 3)}
        print(f"bare loop: {bare_rate:,.0f} events/s; the mapping reaches {ratio:.2f} of it (to reach: 0.65)")
    finish("mapping", SEED, figures, arguments.out)


if __name__ == "__main__":
    main()
