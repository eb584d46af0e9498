"""A small shop with custom mappings: connections from YAML, as people write them, and events for them."""

import json
from pathlib import Path
from typing import Any

import pytest

from pipeline.config.loader import read_connection
from pipeline.errors import ConfigurationError, Finding
from transforms.connection import Connection
from transforms.mapping.convert import converter
from transforms.model import Message, Outcome, Payload

HEADS = {
    "web": "enable_web_migration: true\n",
    "legacy": "",
    "offline": "input: feed\nevent_source_type: feed\n",
}


class Shop:
    """Reads connections and sends events through them; `...` as a value removes a field of an event."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "connection.yaml"

    def write(self, text: str, form: str = "web") -> str:
        """Writes a connection and returns its path; the first lines depend on the form of request."""
        self.path.write_text(f"event_source_id: A1T8T4UYGVIQA8ORZMX9\n{HEADS[form]}{text}", "utf-8")
        return str(self.path)

    def read(self, text: str, form: str = "web") -> Connection:
        return read_connection(self.write(text, form)).connection

    def problems(self, text: str) -> list[Finding]:
        """Returns what a connection is refused for, without the folder in its places."""
        with pytest.raises(ConfigurationError) as caught:
            self.read(text)
        return [
            Finding(one.where.rpartition("/")[2], one.key, one.text.replace(f"{self.path.parent}/", ""))
            for one in caught.value.problems
        ]

    def warnings(self, text: str) -> list[str]:
        return [one.text for one in read_connection(self.write(text)).warnings]

    def mapping(self, match: str, send: str = "Lead", parameters: str = "{}", form: str = "web") -> Connection:
        """Returns a connection with one mapping, of YAML in one line each."""
        text = f"custom_mappings:\n  - match: {match}\n    send: {send}\n    parameters: {parameters}\n"
        return self.read(text, form)

    def custom_event(self, name: Any = "Sign Up", **data: Any) -> dict[str, Any]:
        return {"event_type": "custom_event", "data": self._filled({"event_name": name, **data})}

    def screen(self, name: Any, **data: Any) -> dict[str, Any]:
        return {"event_type": "screen_view", "data": self._filled({"screen_name": name, **data})}

    def commerce(self, action: str = "purchase", **data: Any) -> dict[str, Any]:
        """Returns a commerce event; `products`, `total` and `fields` go into its product action."""
        product_action = {
            "action": action,
            "products": data.pop("products", [{"id": "A", "name": "Sock", "price": 10.0, "quantity": 2}]),
            "total_amount": data.pop("total", 20.0),
            **data.pop("fields", {}),
        }
        return {"event_type": "commerce_event", "data": self._filled({"product_action": product_action, **data})}

    def _filled(self, data: dict[str, Any]) -> dict[str, Any]:
        if "attributes" in data:
            data["custom_attributes"] = data.pop("attributes")
        base = {
            "timestamp_unixtime_ms": "1718900123456",
            "source_message_id": "one",
            "custom_flags": {"TikTok.URL": "https://shop.example.com/"},
        }
        return {key: value for key, value in {**base, **data}.items() if value is not ...}

    def batch(self, *events: dict[str, Any], **fields: Any) -> dict[str, Any]:
        return {
            "events": list(events),
            "ip": "203.0.113.24",
            "device_info": {"http_header_user_agent": "Mozilla/5.0"},
            "user_identities": [{"identity_type": "email", "identity": "ada@example.com"}],
            **fields,
        }

    def results(self, connection: Connection, message: dict[str, Any]) -> list[Payload | Outcome]:
        """Returns what becomes of a message, or of an event in a message of its own."""
        if "event_type" in message:
            message = self.batch(message)
        return converter(connection)(Message("file#1", json.dumps(message).encode()))

    def said(self, connection: Connection, message: dict[str, Any]) -> list[str]:
        """Returns the events that are sent, and the outcomes of the others in three words."""
        return [
            entry.event if isinstance(entry, Payload) else f"{entry.kind} {entry.reason} {entry.detail}"
            for entry in self.results(connection, message)
        ]

    def body(self, connection: Connection, message: dict[str, Any]) -> dict[str, Any]:
        """Returns the JSON of the one payload of a message."""
        (entry,) = self.results(connection, message)
        assert isinstance(entry, Payload), entry
        made = json.loads(entry.body)
        assert isinstance(made, dict)
        return made

    def properties(self, connection: Connection, message: dict[str, Any]) -> Any:
        """Returns the properties of the one payload of a message, None if it has none."""
        return self.body(connection, message).get("properties")

    def notes(self, connection: Connection, message: dict[str, Any]) -> tuple[str, ...]:
        (entry,) = self.results(connection, message)
        return tuple(map(str, entry.notes))


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)
