"""A running sandbox for all tests of this folder, set back before each of them, and bodies to send to it."""

import copy
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests

from sandbox.tiktok.control import Sandbox

# Published digests: TikTok's own examples for e-mail, phone and external id.
EMAIL = "848a771458438fc2ec420560d769fb9b9b86851ee338ec56517baabd79d3bb4f"
PHONE = "9f7ec22d72092cd3c0b58726ed9c2d91b92e51a3f29837508fb2948bb22dd2fd"
EXTERNAL_ID = "80fba0ae1c48e3978e43e4efc365e14e12ea0c830ba8ba5b9a2dafc7e3f2ab8b"

TRACK_EVENT: dict[str, Any] = {
    "event": "PlaceAnOrder",
    "event_time": 1718900123,
    "event_id": "70f1f6aa-8bec-40c7-b48c-1ca253db9fa3",
    "user": {
        "email": [EMAIL],
        "phone": [PHONE],
        "external_id": [EXTERNAL_ID],
        "ttclid": "E.C.P.v3fQ2RHacdksKfofPmlyuStIIHJ4Af1tKYxF9zz2c2PLx1Oaw15oHpcfl5AH",
        "ttp": "2F7h37YkS1j57AYSKTI7IHhJPYH",
        "ip": "13.57.97.131",
        "user_agent": "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36",
        "locale": "en-US",
        "first_name": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "last_name": "799ef92a11af918e3fb741df42934f3b568ed2d93ac1df74f1b8d41a27932a6f",
        "zip_code": "078208096eee07cc032151a47736f76ef0cb6c6f3a39855321f90bbda2187a44",
        "city": "newyork",
        "state": "ny",
        "country": "us",
    },
    "properties": {
        "contents": [
            {
                "price": 25.0,
                "quantity": 2,
                "content_id": "1077218",
                "content_name": "shirt",
                "content_category": "apparel",
                "brand": "X",
            }
        ],
        "content_ids": ["1077218"],
        "content_type": "product",
        "num_items": 2,
        "currency": "USD",
        "value": 50.0,
        "description": "summer sale",
        "order_id": "A-1",
        "shop_id": "S-1",
        "search_string": "blue shirt",
        "query": "blue shirt",
        "delivery_category": "home_delivery",
        "predicted_ltv": 12.5,
    },
    "page": {"url": "https://demo.mywebsite.com/purchase", "referrer": "https://demo.mywebsite.com"},
    "limited_data_use": False,
}

LEGACY_EVENT: dict[str, Any] = {
    "type": "track",
    "event": "PlaceAnOrder",
    "event_id": "70f1f6aa-8bec-40c7-b48c-1ca253db9fa3",
    "timestamp": "2024-06-20T16:15:23.456Z",
    "context": {
        "ad": {"callback": "E.C.P.v3fQ2RHacdksKfofPmlyuStIIHJ4Af1tKYxF9zz2c2PLx1Oaw15oHpcfl5AH"},
        "page": {"url": "http://demo.mywebsite.com/purchase", "referrer": "http://demo.mywebsite.com"},
        "user": {
            "external_id": EXTERNAL_ID,
            "phone_number": PHONE,
            "email": EMAIL,
            "ttp": "2F7h37YkS1j57AYSKTI7IHhJPYH",
        },
        "user_agent": "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36",
        "ip": "13.57.97.131",
    },
    "properties": {
        "contents": [
            {
                "price": 23.0,
                "quantity": 2,
                "content_type": "product",
                "content_id": "1077218",
                "content_name": "shirt",
                "content_category": "apparel",
                "status": "submitted",
            }
        ],
        "currency": "USD",
        "value": 46.0,
        "description": "summer sale",
        "query": "blue shirt",
    },
}

Body = dict[str, Any]


@pytest.fixture
def track() -> Callable[..., Body]:
    """Returns a function that makes a body of `event/track/`.

    Given a number, the body has so many events with ids `0`, `1` …; given names, events with these ids.
    """

    def make(*ids: str, count: int = 0, source: str = "web", source_id: str = "PIXEL") -> Body:
        names = ids or [str(number) for number in range(count)] or ["0"]
        events = [copy.deepcopy(TRACK_EVENT) | {"event_id": name} for name in names]
        return {"event_source": source, "event_source_id": source_id, "data": events}

    return make


@pytest.fixture
def legacy() -> Callable[..., Body]:
    """Returns a function that makes a body of `pixel/batch/` in the same way."""

    def make(*ids: str, count: int = 0, source_id: str = "PIXEL") -> Body:
        names = ids or [str(number) for number in range(count)] or ["0"]
        events = [copy.deepcopy(LEGACY_EVENT) | {"event_id": name} for name in names]
        return {"pixel_code": source_id, "batch": events}

    return make


@pytest.fixture(scope="session")
def running_sandbox() -> Iterator[Sandbox]:
    """Yields the one sandbox of these tests."""
    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(running_sandbox: Sandbox) -> Sandbox:
    """Returns the sandbox as if it had just started."""
    running_sandbox.reset()
    return running_sandbox


@pytest.fixture
def session() -> Iterator[requests.Session]:
    """Yields a session that keeps its connection."""
    with requests.Session() as session:
        yield session


@pytest.fixture
def post(sandbox: Sandbox, session: requests.Session) -> Callable[..., requests.Response]:
    """Returns a function that sends a body, by default as a sender should."""

    def send(
        path: str,
        body: Body | bytes,
        *,
        token: str | None = sandbox.token,
        headers: dict[str, str] | None = None,
        timeout: float = 10,
    ) -> requests.Response:
        base = {} if token is None else {"Access-Token": token}
        if isinstance(body, bytes):
            base["Content-Type"] = "application/json"
            return session.post(sandbox.api_url + path, data=body, headers=base | (headers or {}), timeout=timeout)
        return session.post(sandbox.api_url + path, json=body, headers=base | (headers or {}), timeout=timeout)

    return send
