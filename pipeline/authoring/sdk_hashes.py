"""The hashes by which mParticle's SDK configuration names events and attributes, and the names behind them.

A hash cannot be turned back, so names are looked up: commerce events and the fields of products are known, custom
events, screens and attributes are those of a sample of messages.
Source: mparticle-android-sdk eb2b4c87, `MPUtility.mpHash`, `MPEvent`, `CommerceEventUtils.Constants`.
"""

import json
from collections.abc import Iterable
from typing import Any, NamedTuple

from transforms.model import Message

# Source: mparticle-android-sdk eb2b4c87, `MParticle.EventType` (order) and `CommerceEventUtils.Constants`.
_CUSTOM_ORDINALS = {
    "unknown": 0,
    "navigation": 1,
    "location": 2,
    "search": 3,
    "transaction": 4,
    "user_content": 5,
    "user_preference": 6,
    "social": 7,
    "other": 8,
    "media": 9,
}
_ACTION_ORDINALS = {
    "add_to_cart": 10,
    "remove_from_cart": 11,
    "checkout": 12,
    "checkout_option": 13,
    "click": 14,
    "view_detail": 15,
    "purchase": 16,
    "refund": 17,
    "add_to_wishlist": 20,
    "remove_from_wish_list": 21,
}
# A screen has no type.
_SCREEN_ORDINAL = 0


class NamedEvent(NamedTuple):
    """What a hash of an event stands for: the event type, and its name or its product action."""

    message_type: str
    name: str | None = None
    product_action: str | None = None


def sdk_hash(text: str) -> str:
    """Returns the hash of a text in lower case, as Java's strings have it, in 32 bits with sign.

    >>> sdk_hash("Hello"), sdk_hash("hello"), sdk_hash("polygenelubricants")
    ('99162322', '99162322', '-2147483648')
    """
    number = 0
    units = text.lower().encode("utf-16-le")
    for low, high in zip(units[::2], units[1::2], strict=True):
        number = (31 * number + low + 256 * high) & 0xFFFFFFFF
    return str(number - (1 << 32) if number >> 31 else number)


class SdkNames:
    """SdkNames by hash.

    Args:
      messages: a sample, from which names of events, screens and attributes are taken.
      fields: names of fields of commerce events, as the SDKs spell them.
    """

    def __init__(self, messages: Iterable[Message], fields: Iterable[str]) -> None:
        self.events: dict[str, NamedEvent] = {
            sdk_hash(str(ordinal)): NamedEvent("commerce_event", product_action=action)
            for action, ordinal in _ACTION_ORDINALS.items()
        }
        self.attributes: dict[str, str] = {}
        for field in fields:
            for ordinal in _ACTION_ORDINALS.values():
                self.attributes[sdk_hash(f"{ordinal}{field}")] = field
        for message in messages:
            self._learn(message.data)

    def _learn(self, data: bytes) -> None:
        try:
            batch = json.loads(data)
        except ValueError:
            return  # a message that cannot be read has no names
        for event in _objects(batch.get("events") if isinstance(batch, dict) else None):
            content = event.get("data")
            if isinstance(content, dict):
                self._learn_event(str(event.get("event_type")), content)

    def _learn_event(self, event_type: str, data: dict[str, Any]) -> None:
        prefix, name = "", None
        if event_type == "custom_event":
            name = data.get("event_name")
            ordinal = _CUSTOM_ORDINALS.get(str(data.get("custom_event_type")).lower(), _CUSTOM_ORDINALS["other"])
            prefix = f"{ordinal}{name}"
        elif event_type == "screen_view":
            name = data.get("screen_name")
            prefix = f"{_SCREEN_ORDINAL}{name}"
        elif event_type == "commerce_event" and isinstance(data.get("product_action"), dict):
            prefix = str(_ACTION_ORDINALS.get(str(data["product_action"].get("action")).lower(), ""))
            for product in _objects(data["product_action"].get("products")):
                self._learn_attributes(prefix, product.get("custom_attributes"))
        if isinstance(name, str):
            self.events[sdk_hash(prefix)] = NamedEvent(event_type, name=name)
        self._learn_attributes(prefix, data.get("custom_attributes"))

    def _learn_attributes(self, prefix: str, attributes: Any) -> None:
        for key in attributes if isinstance(attributes, dict) and prefix else ():
            self.attributes[sdk_hash(f"{prefix}{key}")] = key


def _objects(value: Any) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
