"""One small purchase, which the tests of the single modules change field by field."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from transforms.mapping.decode import decode_message
from transforms.model import Message, MParticleEvent, Outcome


@pytest.fixture
def data() -> dict[str, Any]:
    return {
        "product_action": {
            "action": "purchase",
            "transaction_id": "ORD-1",
            "total_amount": 20.0,
            "products": [{"id": "A", "name": "Sock", "price": 10.0, "quantity": 2}],
        },
        "currency_code": "EUR",
        "custom_flags": {"TikTok.URL": "https://shop.example.com/"},
        "timestamp_unixtime_ms": 1718900123456,
        "source_message_id": "one",
    }


@pytest.fixture
def batch(data: dict[str, Any]) -> dict[str, Any]:
    return {
        "events": [{"event_type": "commerce_event", "data": data}],
        "user_identities": [{"identity_type": "email", "identity": "ada@example.com"}],
        "ip": "203.0.113.24",
        "device_info": {"http_header_user_agent": "Mozilla/5.0"},
    }


@pytest.fixture
def decoded() -> Callable[[Any], list[MParticleEvent | Outcome]]:
    """Returns the decoder of anything that JSON can write."""
    return lambda value: decode_message(
        Message("file#1", value if isinstance(value, bytes) else json.dumps(value).encode())
    )


@pytest.fixture
def event(decoded: Callable[[Any], list[Any]]) -> Callable[[Any], MParticleEvent]:
    """Returns the decoder of a batch whose first event can be read."""

    def first(value: Any) -> MParticleEvent:
        entry = decoded(value)[0]
        assert isinstance(entry, MParticleEvent), entry
        return entry

    return first
