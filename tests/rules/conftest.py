"""A small shop whose messages the tests of the rules are made of."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from transforms.connection import Connection
from transforms.mapping.convert import converter
from transforms.model import Message, Outcome, Payload
from transforms.vocabulary import Kind

PIXEL = "A1T8T4UYGVIQA8ORZMX9"
USER_AGENT = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36"


class Shop:
    """Builds messages from a complete one and sends them through the mapping; `...` as a value removes a field."""

    email, phone, customer = "ada.lovelace@example.com", "+12125550142", "CUST-00042"
    url, referrer = "https://shop.example.com/thanks", "https://shop.example.com/payment"
    click_id = "E.C.P.v3fQ2RHacdksKfofPmlyuStIIHJ4Af1tKYxF9zz2c2PLx1Oaw15oHpcfl5AH"
    user_agent = USER_AGENT

    def changed(self, base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
        """Returns the object with some fields set or removed."""
        return {key: value for key, value in {**base, **changes}.items() if value is not ...}

    def event(self, action: Any = "purchase", **changes: Any) -> dict[str, Any]:
        """Returns a commerce event of two products; `total`, `order`, `products` and `extra` change its action."""
        product_action = self.changed(
            {
                "action": action,
                "total_amount": changes.pop("total", 131.12),
                "transaction_id": changes.pop("order", "ORD-100045"),
                "products": changes.pop("products", [self.product(), self.product("2030044", price=14.5, quantity=2)]),
            },
            changes.pop("extra", {}),
        )
        flags = {"TikTok.URL": self.url, "TikTok.Referrer": self.referrer, "TikTok.Callback": self.click_id}
        data = {
            "product_action": product_action,
            "currency_code": "USD",
            "custom_flags": self.changed(flags, changes.pop("flags", {})),
            "timestamp_unixtime_ms": "1718900123456",
            "event_id": "6644003854898401924",
            "source_message_id": "70f1f6aa-8bec-40c7-b48c-1ca253db9fa3",
        }
        return {"event_type": changes.pop("event_type", "commerce_event"), "data": self.changed(data, changes)}

    def product(self, product_id: Any = "1077218", **changes: Any) -> dict[str, Any]:
        """Returns a product, of which one costs 89.9."""
        product = {
            "id": product_id,
            "name": "Trail Running Shoe",
            "brand": "Acme",
            "category": "apparel/shoes",
            "price": 89.9,
            "quantity": 1,
        }
        return self.changed(product, changes)

    def message(self, *events: Any, **changes: Any) -> dict[str, Any]:
        """Returns a batch of the web with these events, or with one purchase."""
        batch = {
            "events": list(events) or [self.event()],
            "device_info": {
                "platform": "web",
                "http_header_user_agent": USER_AGENT,
                "locale_language": "en",
                "locale_country": "US",
            },
            "user_attributes": {
                "$FirstName": "Ada",
                "$LastName": "Lovelace",
                "$City": "New York",
                "$State": "NY",
                "$Country": "US",
                "$Zip": "10016",
            },
            "user_identities": self.identities(email=self.email, customer_id=self.customer, mobile_number=self.phone),
            "partner_identities": {"tiktok_cookie_id": "2ZwCyQbNJ0rFp2n5cH0cBq1nQkT"},
            "environment": "production",
            "ip": "203.0.113.24",
            "mpid": "-7636538281262556919",
            "sdk_version": "2.72.0",
            "source_info": {"channel": "javascript"},
            "timestamp_unixtime_ms": "1718900130111",
            "message_type": "events",
            "schema_version": 2,
        }
        return self.changed(batch, changes)

    def identities(self, **values: Any) -> list[dict[str, Any]]:
        """Returns identities in the outgoing form."""
        return [{"identity_type": name, "identity": value} for name, value in values.items()]

    def entries(self, message: Any, since: int | None = None, until: int | None = None, **settings: Any) -> list[Any]:
        """Returns what becomes of a message: bytes as they are, everything else as JSON."""
        data = message if isinstance(message, bytes) else json.dumps(message, ensure_ascii=False).encode()
        convert = converter(Connection(event_source_id=PIXEL, **settings), since, until)
        return list(convert(Message("file#1", data)))

    def payload(self, message: Any, **settings: Any) -> Payload:
        """Returns the one payload of a message."""
        (entry,) = self.entries(message, **settings)
        assert isinstance(entry, Payload), entry
        return entry

    def body(self, message: Any, **settings: Any) -> dict[str, Any]:
        """Returns the JSON of the one payload of a message."""
        body = json.loads(self.payload(message, **settings).body)
        assert isinstance(body, dict)
        return body

    def outcome(self, message: Any, **settings: Any) -> tuple[str, str, str | None]:
        """Returns kind, reason and detail of the one outcome of a message."""
        (entry,) = self.entries(message, **settings)
        assert isinstance(entry, Outcome), entry
        assert entry.kind in (Kind.SKIPPED, Kind.REJECTED)
        assert entry.reason is not None
        return entry.kind.value, entry.reason.value, entry.detail

    def user(self, message: Any, form: str = "web") -> dict[str, Any]:
        """Returns who an event is about, in one form of the request."""
        body = self.body(message, **FORMS[form])
        user: dict[str, Any] = body.get("context", {}).get("user", {}) if form == "legacy" else body.get("user", {})
        return user


# The settings that lead to each form of the request.
FORMS: dict[str, dict[str, Any]] = {
    "legacy": {},
    "web": {"enable_web_migration": True},
    "offline": {"input": "feed", "event_source_type": "feed"},
}


@pytest.fixture
def shop() -> Shop:
    return Shop()


@pytest.fixture
def forms() -> dict[str, dict[str, Any]]:
    return FORMS


@pytest.fixture(scope="session")
def samples() -> Callable[[], dict[str, bytes]]:
    """Returns the reader of the example messages next to these tests."""
    folder = Path(__file__).parent / "messages"
    return lambda: {path.name: path.read_bytes() for path in sorted(folder.iterdir())}
