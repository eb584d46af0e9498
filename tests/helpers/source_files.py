"""Files of messages for tests: written, damaged, and read as a run reads them."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.sources.reader import FilePart, read
from transforms.model import Message, Outcome
from transforms.vocabulary import Kind, Reason, Stage

PURCHASE = json.dumps(
    {
        "events": [
            {
                "event_type": "commerce_event",
                "data": {
                    "timestamp_unixtime_ms": "1718900123456",
                    "event_id": "6644003854898401924",
                    "custom_flags": {"TikTok.URL": "https://shop.example.com/thanks"},
                    "product_action": {"action": "purchase", "total_amount": 131.12, "products": None},
                },
            }
        ],
        "user_identities": [{"identity_type": "email", "identity": "ada@example.com"}],
        "environment": "production",
    }
)


def lines_of(count: int) -> list[str]:
    """Returns JSON texts that differ."""
    return [f'{{"mpid": "{number}"}}' for number in range(count)]


def parquet(path: Path, texts: list[Any], **options: Any) -> Path:
    """Writes a table with a column of JSON text."""
    pq.write_table(
        pa.table({"publish_time": range(len(texts)), "batch_json": pa.array(texts, pa.string())}), path, **options
    )
    return path


def everything(path: Path | str, **options: Any) -> tuple[list[Message], list[Outcome]]:
    """Returns all messages and all outcomes of a file."""
    messages: list[Message] = []
    outcomes: list[Outcome] = []
    for item in read(FilePart(str(path)), **options):
        if isinstance(item, Outcome):
            outcomes.append(item)
        else:
            assert item, "an empty list"
            messages.extend(item)
    return messages, outcomes


def data_of(path: Path) -> list[str]:
    """Returns the texts of a file that can be read to its end."""
    messages, outcomes = everything(path)
    assert not outcomes
    return [message.data.decode() for message in messages]


def unreadable(path: Path, detail: str, message: str) -> Outcome:
    """Returns the outcome of a file that cannot be read."""
    return Outcome(Kind.REJECTED, Stage.READ, Reason.UNREADABLE_FILE, str(path), detail=detail, message=message)


def damaged_inside(source: Path, target: Path, fraction: float) -> Path:
    """Copies a file with 64 bytes changed at a fraction of its length."""
    content = bytearray(source.read_bytes())
    at = int(len(content) * fraction)
    content[at : at + 64] = b"\xff" * 64
    target.write_bytes(content)
    return target
