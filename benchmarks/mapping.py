"""How fast is the mapping alone: message bytes in, payload bytes out, on one core.

    python benchmarks/mapping.py [--input NDJSON] [--seconds S] [--out FILE]

Without `--input` the messages are invented and seeded: one purchase each, about 2 kB, no user twice (e-mail, phone,
customer id, click id, cookie, order). They come in two sets: with the three identities only, and with names and place
as well, which Events API 2.0 takes and of which three more are hashed.

Beside the mapping, in alternating slices of the same run, two loops without any rule over the first set:

- the *bare loop*, as one writes it down: typed decode of the batch, typed decode of the commerce event, three SHA-256,
  a dict, encode;
- the *tuned loop*: the mapping's own decoder and structs, hence the least that such a conversion can cost here.

What a slice takes is CPU time, so that neighbours on the machine disturb as little as they can; the ratios are of the
sums over all slices. With `--input` only the mapping is timed, because the loops fit the invented messages alone.
"""

import argparse
import json
import random
import statistics
import sys
import time
import uuid
from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(Path(__file__).resolve().parent)]

from common import finish  # noqa: E402 - the path is set just above

from pipeline.sources.reader import iter_messages  # noqa: E402
from pipeline.storage.paths import UnreadableFileError  # noqa: E402
from transforms.connection import Connection  # noqa: E402
from transforms.mapping import converter, mparticle_json, tiktok_json  # noqa: E402
from transforms.model import Message, Payload  # noqa: E402

SEED = 20_240_620

# Messages held in memory, and how many of them are timed at a time.
MESSAGES, SLICE = 8_000, 200

# What comes before the clock counts: imports, caches, Python's specialised bytecode.
WARM_UP = 1_000

# Events API 2.0 with `event_source: web`: the form with the most fields.
CONNECTION = Connection(event_source_id="A1T8T4UYGVIQA8ORZMX9", enable_web_migration=True)

GOODS = ("Trail Running Shoe", "Running Socks 3-pack", "Yoga Mat", "Rain Jacket", "Head Lamp", "Water Bottle 0.5 l")
CATEGORIES = ("apparel/shoes", "apparel/socks", "fitness", "outdoor")
USER_AGENT = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{}.0.0.0 Safari/537.36"
)


class _People:
    """Names and places as a shop meets them: 500 first names, 5,000 last names, 2,000 places."""

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


def invented(count: int, seed: int, with_names: bool = False) -> list[bytes]:
    """Returns messages in mParticle's outgoing form, one purchase each."""
    source = random.Random(seed)  # noqa: S311 - invented data, repeatable on purpose
    people = _People(source)
    messages = []
    for number in range(count):
        message = _message(source, people, number)
        if not with_names:
            message["user_attributes"] = {"loyalty_tier": "gold", "favourite_sports": ["running", "cycling", "yoga"]}
            message["context"] = {"data_plan": {"plan_id": "acme_store_plan", "plan_version": 3}}
        messages.append(json.dumps(message, separators=(",", ":")).encode())
    return messages


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


class _Device(msgspec.Struct):
    http_header_user_agent: str | None = None
    locale_language: str | None = None


class _Identity(msgspec.Struct):
    identity_type: str
    identity: str


class _Partners(msgspec.Struct):
    tiktok_cookie_id: str | None = None


class _Event(msgspec.Struct):
    event_type: str
    data: msgspec.Raw


class _Batch(msgspec.Struct):
    events: list[_Event]
    device_info: _Device
    user_identities: list[_Identity]
    partner_identities: _Partners
    ip: str


class _Product(msgspec.Struct):
    id: str
    name: str
    brand: str
    category: str
    price: float
    quantity: float


class _Action(msgspec.Struct):
    action: str
    transaction_id: str
    total_amount: float
    products: list[_Product]


class _Data(msgspec.Struct):
    product_action: _Action
    currency_code: str
    custom_flags: dict[str, str]
    timestamp_unixtime_ms: str
    source_message_id: str


_batch = msgspec.json.Decoder(_Batch)
_data = msgspec.json.Decoder(_Data)
_encoder = msgspec.json.Encoder()


def _hashed(value: str) -> str:
    """Returns the SHA-256 of a text in hex."""
    return sha256(value.encode()).hexdigest()


def bare(data: bytes) -> list[bytes]:
    """Converts one message without any rule: decode, hash the identities as they are, encode."""
    batch = _batch.decode(data)
    identities = {entry.identity_type: _hashed(entry.identity) for entry in batch.user_identities}
    return [
        _encoder.encode(_payload(batch, identities, _data.decode(event.data)))
        for event in batch.events
        if event.event_type == "commerce_event"
    ]


def _payload(batch: _Batch, identities: dict[str, str], data: _Data) -> dict[str, Any]:
    """Returns one event as TikTok's JSON."""
    action, flags = data.product_action, data.custom_flags
    return {
        "event": "PlaceAnOrder",
        "event_time": int(data.timestamp_unixtime_ms) // 1000,
        "event_id": data.source_message_id,
        "user": {
            "email": [identities["email"]],
            "phone": [identities["mobile_number"]],
            "external_id": [identities["customer_id"]],
            "ttclid": flags["TikTok.Callback"],
            "ttp": batch.partner_identities.tiktok_cookie_id,
            "ip": batch.ip,
            "user_agent": batch.device_info.http_header_user_agent,
            "locale": batch.device_info.locale_language,
        },
        "properties": {
            "contents": [
                {
                    "price": product.price,
                    "quantity": int(product.quantity),
                    "content_id": product.id,
                    "content_name": product.name,
                    "content_category": product.category,
                    "brand": product.brand,
                }
                for product in action.products
            ],
            "content_ids": [product.id for product in action.products],
            "content_type": "product",
            "currency": data.currency_code,
            "value": action.total_amount,
            "order_id": action.transaction_id,
        },
        "page": {"url": flags["TikTok.URL"], "referrer": flags["TikTok.Referrer"]},
    }


def tuned(data: bytes) -> bytes:
    """Converts one message without any rule, with the mapping's own decoder and structs."""
    batch: Any = mparticle_json.read_batch(data)
    hashed = {}
    for entry in batch.user_identities:
        hashed[entry.identity_type] = sha256(entry.identity.encode()).hexdigest()
    device = batch.device_info
    content = batch.events[0].data
    action, flags = content.product_action, content.custom_flags
    items = action.products
    return tiktok_json.encode(
        tiktok_json.TrackEvent(
            "PlaceAnOrder",
            int(content.timestamp_unixtime_ms) // 1000,
            content.source_message_id,
            tiktok_json.TrackUser(
                [hashed["email"]],
                [hashed["mobile_number"]],
                [hashed["customer_id"]],
                flags["TikTok.Callback"],
                batch.partner_identities.tiktok_cookie_id,
                batch.ip,
                device.http_header_user_agent,
                device.locale_language,
            ),
            tiktok_json.TrackProperties(
                [tiktok_json.Content(i.price, int(i.quantity), None, i.id, i.name, i.category, i.brand) for i in items],
                [item.id for item in items],
                "product",
                content.currency_code,
                action.total_amount,
                action.transaction_id,
            ),
            tiktok_json.Page(flags["TikTok.URL"], flags["TikTok.Referrer"]),
        )
    )


def timed(function: Callable[[Any], object], values: Sequence[Any]) -> float:
    """Returns the CPU seconds that a function takes for all values."""
    started = time.process_time()
    for value in values:
        function(value)
    return time.process_time() - started


def measure(loops: dict[str, tuple[Callable[[Any], object], Sequence[Any]]], seconds: float) -> dict[str, list[float]]:
    """Returns the seconds of every slice of every loop.

    The loops take turns, slice by slice, and each is as often the first as the others: the first one fetches the
    messages from memory, the next ones find them in the processor's cache.
    """
    slices: dict[str, list[float]] = {name: [] for name in loops}
    names = list(loops)
    count = len(next(iter(loops.values()))[1])
    for function, values in loops.values():
        timed(function, values[:WARM_UP])
    ends = time.perf_counter() + seconds
    while time.perf_counter() < ends:
        for start in range(0, count - SLICE + 1, SLICE):
            for name in names:
                function, values = loops[name]
                slices[name].append(timed(function, values[start : start + SLICE]))
            names.append(names.pop(0))
            if time.perf_counter() >= ends:
                break
    return slices


def main() -> None:
    """Measures, prints readable lines, and ends with one line of JSON."""
    parser = argparse.ArgumentParser(description="message bytes → payload bytes, events a second on one core")
    parser.add_argument("--input", help="file of mParticle messages; default: invented purchases of about 2 kB")
    parser.add_argument("--seconds", type=float, default=10.0, help="how long to measure")
    parser.add_argument("--out", help="file for the line of JSON")
    options = parser.parse_args()
    convert = converter(CONNECTION)
    loops: dict[str, tuple[Callable[[Any], object], Sequence[Any]]] = {}
    if options.input:
        try:
            lines = [message.data for batch in iter_messages(options.input) for message in batch]
        except (OSError, UnreadableFileError) as error:
            parser.error(f"--input: {error}")
        if not lines:
            parser.error(f"--input: {options.input} holds no message")
        messages = lines * max(1, -(-SLICE // len(lines)))
    else:
        messages = invented(MESSAGES, SEED)
        named = [Message(str(number), data) for number, data in enumerate(invented(MESSAGES, SEED, with_names=True))]
        loops = {"bare": (bare, messages), "tuned": (tuned, messages), "named": (convert, named)}
    inputs = [Message(str(number), data) for number, data in enumerate(messages)]
    results = [result for message in inputs for result in convert(message)]
    payloads = sum(isinstance(result, Payload) for result in results)
    slices = measure({"mapping": (convert, inputs), **loops}, options.seconds)
    events_per_slice = SLICE * len(results) / len(inputs)
    figures: dict[str, Any] = {
        "events_per_second": round(events_per_slice / statistics.median(slices["mapping"])),
        "events_per_second_best": round(events_per_slice / min(slices["mapping"])),
        "messages": len(messages),
        "events": len(results),
        "payloads": payloads,
        "bytes_per_message": round(statistics.mean(map(len, messages))),
        "slices": len(slices["mapping"]),
    }
    print(f"{figures['messages']:,} messages of {figures['bytes_per_message']:,} bytes, {payloads:,} payloads")
    print(f"mapping     {figures['events_per_second']:>9,} events/s (best slice {figures['events_per_second_best']:,})")
    if loops:
        figures["with_names_per_second"] = round(SLICE / statistics.median(slices["named"]))
        figures["with_names_per_second_best"] = round(SLICE / min(slices["named"]))
        print(
            f"with names  {figures['with_names_per_second']:>9,} events/s "
            f"(best slice {figures['with_names_per_second_best']:,}): three more hashes, and places"
        )
    for name in ("bare", "tuned") if loops else ():
        figures[f"{name}_loop_per_second"] = round(SLICE / statistics.median(slices[name]))
        figures[f"ratio_to_{name}_loop"] = round(sum(slices[name]) / sum(slices["mapping"]), 3)
        print(
            f"{name + ' loop':<11} {figures[f'{name}_loop_per_second']:>9,} events/s; "
            f"the mapping runs at {figures[f'ratio_to_{name}_loop']:.2f} of it"
        )
    finish("mapping", SEED, figures, options.out)


if __name__ == "__main__":
    main()
