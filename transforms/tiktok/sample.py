"""A finished event without anything of a person, for people to look at: the shape and the goods stay, the rest goes."""

from typing import Any
from urllib.parse import urlsplit

import msgspec

# Fields whose values say what happened and not to whom. Everything else is replaced, so that a new field is safe.
_OPEN = frozenset(
    {
        "type",
        "event",
        "event_id",
        "event_time",
        "timestamp",
        "properties",
        "contents",
        "content_ids",
        "content_type",
        "content_id",
        "content_name",
        "content_category",
        "brand",
        "price",
        "quantity",
        "currency",
        "value",
        "limited_data_use",
    }
)
# Objects that are shown as objects, each field by its own rule.
_OPENED = frozenset({"user", "context", "ad", "page"})
_URLS = frozenset({"url", "referrer"})

HIDDEN = "…"


def redacted(body: bytes) -> dict[str, Any]:
    """Returns an event as it would be sent, with `…` for what may tell about a person; of addresses the host stays.

    >>> redacted(b'{"event":"Purchase","user":{"email":["e814ff3d"]},"page":{"url":"https://shop.example/?u=ada"}}')
    {'event': 'Purchase', 'user': {'email': '…'}, 'page': {'url': 'https://shop.example/…'}}
    """
    event: dict[str, Any] = msgspec.json.decode(body)
    return {name: _shown(name, value) for name, value in event.items()}


def _shown(name: str, value: Any) -> Any:
    if name in _URLS and isinstance(value, str):
        return _host(value)
    if name in _OPENED and isinstance(value, dict):
        return {inner: _shown(inner, field) for inner, field in value.items()}
    if name not in _OPEN:
        return HIDDEN
    if isinstance(value, dict):
        return {inner: _shown(inner, field) for inner, field in value.items()}
    if isinstance(value, list):
        return [_shown(name, entry) for entry in value]
    return value


def _host(url: str) -> str:
    """Returns scheme and host of an address."""
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError:
        return HIDDEN
    return f"{parts.scheme}://{host}/{HIDDEN}" if host else HIDDEN
