"""Damaged messages, 200,000 with the slow ones: each is answered, event by event, and none of them leaks or raises.

The mutations are seeded: a failure names seed and round, and `Mutator(samples, seed)` makes the same messages again.
"""

import gzip
import json
import re
import zlib
from collections.abc import Callable, Iterator
from random import Random
from typing import Any

import msgspec
import pytest

from transforms.connection import Connection
from transforms.custom_mappings import CustomMapping, Match, Parameter, Target
from transforms.mapping.convert import converter
from transforms.model import Message, Outcome, Payload
from transforms.vocabulary import Kind

ROUNDS = 20_000
# Seeds: two in every run of the tests, more where there is time.
SEEDS = (0, 1, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(2, 10)))
EMPTY_HASH = b"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

CONNECTIONS = (
    Connection(event_source_id="P1", environments=("production", "development")),
    Connection(event_source_id="P2", enable_web_migration=True, event_source_type="web", value_fallback="never"),
    Connection(
        event_source_id="P3",
        input="feed",
        event_source_type="feed",
        send_user_fields_offline=True,
        default_phone_region="US",
        environments=("production", "development", "unknown"),
    ),
    Connection(
        event_source_id="P4", enable_web_migration=True, require_ip_and_user_agent="always", strict_click_id=True
    ),
    # Mappings on every event; two of them read what `check` would refuse, so that the second line of defence is tried.
    Connection(
        event_source_id="P5",
        enable_web_migration=True,
        event_source_type="web",
        custom_mappings=(
            CustomMapping(
                Match(message_type="commerce_event"),
                (Target("ViewContent"), Target("Subscribe", {"value": Parameter(event_field="total_amount")})),
                parameters={
                    "description": Parameter(user_attribute="$FirstName"),
                    "currency": Parameter(event_field="currency"),
                },
                also_default=True,
            ),
            CustomMapping(
                Match(product_action="purchase", products={"category": ("apparel/shoes", "apparel/socks")}),
                (Target("Purchase"),),
                parameters={
                    "content_id": Parameter(product_field="id", required=True),
                    "content_name": Parameter(product_attribute="size"),
                    "quantity": Parameter(product_field="quantity"),
                    "price": Parameter(product_field="price"),
                    "value": Parameter(event_field="tax_amount", type="number"),
                },
            ),
            CustomMapping(
                Match(message_type="custom_event"),
                (Target("Lead"),),
                parameters={"description": Parameter(user_attribute="$Mobile")},
            ),
            CustomMapping(
                Match(message_type="screen_view", attributes={"hostname": "shop.example.com"}),
                (Target("Search"),),
                parameters={"query": Parameter(event_field="screen_name", required=True)},
            ),
        ),
    ),
)

# Seeded into every message; none of them may be in a payload while no mutation has moved them.
IDENTITIES = {
    "customer_id": "Canary-Customer-0042",
    "email": " Canary.Mail@Example.com ",
    "mobile_number": "+12025550187",
    "other": "canary-other-0042",
}
ATTRIBUTES = {
    "$FirstName": "Canaryfirst",
    "$LastName": "Canarylast-Zweig",
    "$Zip": "canaryzip99",
    "$Mobile": "+12025550166",
    "$City": "New York",
    "$Country": "United States",
}
RAW = re.compile(rb"canary|\b1?20255501(87|66)", re.IGNORECASE)

# Marks that become what no encoder writes.
MARKS = {
    b'"@huge@"': b"9" * 400,
    b'"@exponent@"': b"1e999",
    b'"@digits@"': b"-7778608565459706417.000000000000000000001",
    b'"@long@"': b"123456789012345678901234567890",
    b'"@surrogate@"': rb'"\ud83d"',
    b'"@nul@"': rb'"\u0000\u0000"',
    b'"@nan@"': b"NaN",
    b'"@twice@":': b'"events":[{"event_type":"commerce_event","data":null}],"ip":5,"@twice@":',
    b'"@deep@"': b'{"a":[' * 60 + b"1" + b"]}" * 60,
    b'"@abyss@"': b"[" * 3_000 + b"]" * 3_000,
}
VALUES: tuple[Callable[[], Any], ...] = (
    lambda: None,
    lambda: "",
    lambda: [],
    dict,
    lambda: True,
    lambda: False,
    lambda: 0,
    lambda: -1,
    lambda: 2**63 - 1,
    lambda: 1.5e300,
    lambda: 0.1,
    lambda: "null",
    lambda: "1e5",
    lambda: "12",
    lambda: "purchase",
    lambda: "commerce_event",
    lambda: [None],
    lambda: [None, {"id": 5, "price": "x"}],
    lambda: {"a": None, "": {}},
    lambda: [[[]]],
    lambda: "https://shop.example.com/?ttclid=%E0%A4%A",
    lambda: "東京 \u0301\u200b",
    lambda: "x" * 5_000,
    lambda: "@huge@",
    lambda: "@exponent@",
    lambda: "@digits@",
    lambda: "@long@",
    lambda: "@surrogate@",
    lambda: "@nul@",
    lambda: "@deep@",
)
RARE: tuple[str, ...] = ("@nan@", "@abyss@")
INSERTED = (b"{", b"}", b"[", b"]", b'"', b",", b":", b"null", b"\x00", b"\xff", b"\\u", b"1", b"-", b"e", b"\xed\xa0")


def paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield (*path, key)
        yield from paths(item, (*path, key))


class Mutator:
    """Makes damaged messages out of good ones, the same ones for the same seed.

    Attributes:
      what: how the last message was damaged, without its content.
      untouched: the last mutation left identities and attributes alone and moved nothing.
    """

    def __init__(self, samples: dict[str, bytes], seed: int) -> None:
        self.random = Random(seed)  # noqa: S311
        self.what, self.untouched = "", False
        self.bases: dict[str, bytes] = {}
        self.zipped: dict[str, bytes] = {}
        self.paths: dict[str, list[tuple[Any, ...]]] = {}
        for name, data in samples.items():
            try:
                batch = json.loads(data)
            except ValueError:
                batch = {}
            events = batch.pop("events", None)
            if events is None:
                self.add(name, data)
                continue
            as_list = isinstance(batch.get("user_identities"), list)
            listed = [{"identity_type": word, "identity": value} for word, value in IDENTITIES.items()]
            batch |= {"user_identities": listed if as_list else dict(IDENTITIES), "user_attributes": ATTRIBUTES}
            # Few events at a time, because what is long is slow and breaks no differently.
            for start in range(0, len(events) or 1, 3):
                part = {"events": events[start : start + 3], **batch}
                self.add(f"{name} from event {start}", msgspec.json.encode(part))
                self.paths[f"{name} from event {start}"] = list(paths(part))
        self.names = list(self.bases)
        self.structured = list(self.paths)

    def add(self, name: str, data: bytes) -> None:
        """Keeps a good message to be damaged."""
        self.bases[name] = data
        self.zipped[name] = gzip.compress(data, 1, mtime=0)

    def message(self) -> bytes:
        """Returns the next damaged message."""
        roll = self.random.random()
        if roll < 0.62:
            return self.restructured()
        name = self.random.choice(self.names)
        self.untouched = False
        if roll < 0.96:
            return self.damaged(name, self.bases[name])
        return self.damaged(name, self.zipped[name], "gzip ")

    def restructured(self) -> bytes:
        """Returns a message whose JSON tree was changed in one to three places."""
        random = self.random
        name = random.choice(self.structured)
        batch = msgspec.json.decode(self.bases[name])
        self.untouched = True
        changes = []
        for _ in range(random.choice((1, 1, 2, 3))):
            path = random.choice(self.paths[name])
            holder = batch
            try:
                for key in path[:-1]:
                    holder = holder[key]
                holder[path[-1]]
            except (LookupError, TypeError):
                continue  # an earlier change has removed it
            if not isinstance(holder, dict | list):
                continue
            if path[0] in ("user_identities", "user_attributes"):
                self.untouched = False
            changes.append(self.change(holder, path))
        self.what = f"{name}: {'; '.join(changes)}"
        data = msgspec.json.encode(batch)
        if b"@" in data:
            for mark, text in MARKS.items():
                if mark in data:
                    data = data.replace(mark, text)
        return data

    def change(self, holder: Any, path: tuple[Any, ...]) -> str:
        """Changes one place of the tree; returns what was done."""
        random, key = self.random, path[-1]
        roll = random.random()
        if roll < 0.6:
            choice = random.randrange(len(VALUES))
            holder[key] = VALUES[choice]()
            return f"{path} = value {choice}"
        if roll < 0.61:
            holder[key] = random.choice(RARE)
            return f"{path} = {holder[key]}"
        if roll < 0.75:
            del holder[key]
            return f"{path} deleted"
        if roll < 0.85:
            value = holder[key]
            holder[key] = [value] if random.random() < 0.5 else {"value": value}
            return f"{path} wrapped"
        if roll < 0.95:
            value = holder[key]
            holder[key] = value if isinstance(value, dict | list) else str(value)
            return f"{path} as text"
        if isinstance(holder, list):
            holder.extend((holder[key], None, {}))
            return f"{path} repeated"
        # In the batch itself these are keys for the second time: every reader must take the last.
        holder["@twice@"] = holder.pop(key)
        return f"{path} renamed to a key that comes with others"

    def damaged(self, name: str, data: bytes, form: str = "") -> bytes:
        """Returns the bytes with one to three damages."""
        random = self.random
        done = []
        self.untouched = not form
        for _ in range(random.choice((1, 1, 2, 3))):
            roll, at = random.random(), random.randrange(len(data) + 1)
            if roll < 0.4 and at < len(data):
                data = data[:at] + bytes((data[at] ^ (1 << random.randrange(8)),)) + data[at + 1 :]
                done.append(f"bit at {at}")
            elif roll < 0.55:
                data = data[:at]
                done.append(f"cut at {at}")
            elif roll < 0.75:
                data = data[:at] + random.choice(INSERTED) + data[at:]
                done.append(f"inserted at {at}")
            elif roll < 0.9:
                end = at + random.randrange(1, 40)
                data = data[:at] + data[end:]
                done.append(f"removed {at}:{end}")
            else:
                end = at + random.randrange(1, 200)
                data = data[:end] + data[at:]
                self.untouched = False
                done.append(f"repeated {at}:{end}")
        self.what = f"{form}{name}: {'; '.join(done)}"
        # A damage inside the two objects may have turned a name into a place, which is sent.
        self.untouched = self.untouched and self.carries_identities(data)
        return data

    @staticmethod
    def carries_identities(data: bytes) -> bool:
        """Says whether the two objects came through whole."""
        attributes = b'"user_attributes":' + msgspec.json.encode(ATTRIBUTES)
        return attributes in data and b'"identity":" Canary.Mail@Example.com "' in data


def expected_events(data: bytes) -> int | None:
    """Returns how many events a message has, 0 for JSON without events; None if it is no JSON or nested too deep."""
    try:
        if data[:2] == b"\x1f\x8b":
            zlib.decompress(data, wbits=31)  # looks at flags of the header that the next reader passes over
            data = gzip.decompress(data)
        try:
            batch = msgspec.json.decode(data)
        except msgspec.DecodeError:  # numbers beyond a double, NaN and lone surrogates are read all the same
            batch = json.loads(data.decode().removeprefix("\ufeff"))
    except (ValueError, RecursionError, OSError, EOFError, zlib.error):
        return None
    events = batch.get("events") if isinstance(batch, dict) else None
    return len(events) if isinstance(events, list) else 0


def fault(data: bytes, entries: list[Payload | Outcome], untouched: bool, mapped: bool) -> str | None:
    """Returns what is wrong with the entries of a message, None if nothing is; a mapped event may have several."""
    count = expected_events(data)
    indexes = [entry.index for entry in entries]
    if mapped:
        indexes = [index for place, index in enumerate(indexes) if place == 0 or indexes[place - 1] != index]
        sent = [(entry.index, entry.event) for entry in entries if isinstance(entry, Payload)]
        if len(set(sent)) < len(sent):
            return "a TikTok event twice for one event"
    as_message, as_events = indexes == [None], bool(indexes) and indexes == list(range(len(indexes)))
    if count is None and not (as_message or as_events):
        return f"no JSON, entries {indexes}"
    if count == 0 and not as_message:
        return f"no events, entries {indexes}"
    if count and (not as_events or len(indexes) != count):
        return f"{count} events, entries {indexes} ({entries[0].reason if isinstance(entries[0], Outcome) else None})"
    return next((wrong for entry in entries if (wrong := fault_of_entry(entry, untouched))), None)


def fault_of_entry(entry: Payload | Outcome, untouched: bool) -> str | None:
    """Returns what is wrong with one entry, None if nothing is."""
    if isinstance(entry, Outcome):
        is_plain = entry.kind in (Kind.SKIPPED, Kind.REJECTED) and entry.reason
        return None if is_plain else f"outcome without kind or reason: {entry!r}"
    if not isinstance(entry, Payload):
        return f"neither payload nor outcome: {type(entry).__name__}"
    body = msgspec.json.decode(entry.body)
    if type(body) is not dict or type(body.get("event_id")) is not str or not body["event_id"]:
        return "a body without event_id"
    if body["event_id"] != entry.event_id or body["event"] != entry.event:
        return "body and payload differ in name or id"
    if EMPTY_HASH in entry.body:
        return "the hash of the empty text"
    if untouched and RAW.search(entry.body):
        return "a raw identity in a payload"
    return None


@pytest.mark.parametrize("seed", SEEDS)
def test_a_damaged_message_is_answered_event_by_event(seed: int, samples: Callable[[], dict[str, bytes]]) -> None:
    mutator = Mutator(samples(), seed=seed)
    first = [converter(connection) for connection in CONNECTIONS]
    second = [converter(connection) for connection in CONNECTIONS]
    payloads = 0
    for number in range(ROUNDS):
        data = mutator.message()
        which = number % len(CONNECTIONS)
        wrong = None
        try:
            entries = first[which](Message("m", data))
            wrong = fault(data, entries, mutator.untouched, bool(CONNECTIONS[which].custom_mappings))
            if wrong is None and number % 5 == 0 and second[which](Message("m", data)) != entries:
                wrong = "equal input, unequal output"
        except Exception as error:  # noqa: BLE001 - every exception is the failure looked for
            wrong = f"{type(error).__name__} from {error.__traceback__ and _origin(error)}"
        if wrong is not None:
            pytest.fail(f"seed {seed}, round {number}, connection {which}, {mutator.what}: {wrong}", pytrace=False)
        payloads += sum(isinstance(entry, Payload) for entry in entries)
    assert payloads > ROUNDS / 10, "mutations so heavy that nothing is sent test nothing"


def _origin(error: BaseException) -> str:
    """Returns module and line of the innermost frame, without values."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return "" if trace is None else f"{trace.tb_frame.f_globals.get('__name__')}:{trace.tb_lineno}"
