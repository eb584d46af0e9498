"""Seeded sample data: mParticle batches as bytes, with everything in them that a real feed has, bad ones too.

The same seed gives the same bytes under every supported Python version, and a longer run begins with the shorter one.
The forms are those of mParticle's JSON reference ("Differences between incoming and outgoing JSON") and of its Events
API schema; the data is invented (`sandbox.shoppers`).
"""

import gzip
import itertools
import random
from collections import deque
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from sandbox.shop.defects import alias_request, broken, spoil
from sandbox.shop.envelopes import any_batch, new_ids, purchase
from sandbox.shop.shoppers import Shopper, int64, pick, shopper
from sandbox.shop.visits import Json

DEFAULT_SEED = 7
# Thursday, 20 June 2024, 00:00 UTC.
DEFAULT_START_MS = 1_718_841_600_000
# Time between two batches: 20,000 of them span not quite a day.
BATCH_EVERY_MS = 4_000
# How many people are remembered, to come back, and how many batches, to be sent again.
_REMEMBERED_SHOPPERS, _REMEMBERED_BATCHES = 2_000, 200

_encode = msgspec.json.Encoder().encode


def batches(
    count: int = 20_000,
    seed: int = DEFAULT_SEED,
    start_ms: int = DEFAULT_START_MS,
    bad: bool = True,
    every_ms: int = BATCH_EVERY_MS,
) -> Iterator[bytes]:
    """Yields messages as mParticle would put them on a topic: about two and a half events in each.

    Args:
      count: number of messages.
      seed: the same seed gives the same bytes.
      start_ms: time of the first batch, UTC epoch milliseconds; one follows every `every_ms`.
      bad: with messages and events among them that cannot be read or sent.
      every_ms: time between two batches.

    Yields:
      One JSON document each, without line breaks; a few are broken if `bad`.
    """
    rng = random.Random(seed)
    shoppers: deque[Shopper] = deque(maxlen=_REMEMBERED_SHOPPERS)
    sent: deque[Json] = deque(maxlen=_REMEMBERED_BATCHES)
    newcomers = itertools.count(1)
    for now_ms in range(start_ms, start_ms + count * every_ms, every_ms):
        if not shoppers or rng.random() < 0.45:
            shoppers.append(shopper(rng, next(newcomers)))
            who = shoppers[-1]
        else:
            who = pick(rng, shoppers)
        yield _message(rng, who, now_ms, sent, bad)


def purchases(count: int, seed: int = DEFAULT_SEED, start_ms: int = DEFAULT_START_MS) -> Iterator[bytes]:
    """Yields messages of about 2 kB with one purchase each, every one by another user, all of them sendable.

    Args:
      count: number of messages.
      seed: the same seed gives the same bytes.
      start_ms: time of the first purchase, UTC epoch milliseconds; one follows every millisecond.

    Yields:
      One web batch in the outgoing form each.
    """
    rng = random.Random(seed)
    for number in range(count):
        yield _encode(purchase(rng, shopper(rng, number + 1), start_ms + number))


def write_parquet(folder: Path, messages: Iterable[bytes], rows_per_group: int = 5_000, files: int = 1) -> list[Path]:
    """Writes Parquet files with the raw message in the bytes column `batch_json`.

    Args:
      folder: made if it is missing.
      messages: what to write; no more than one row group is held in memory.
      rows_per_group: rows in one row group.
      files: number of files; the row groups go to them in turn.

    Returns:
      The files' paths, sorted.
    """
    folder.mkdir(parents=True, exist_ok=True)
    schema = pa.schema([("batch_json", pa.binary())])
    paths = [folder / f"batches-{number:05d}.parquet" for number in range(files)]
    writers = [pq.ParquetWriter(path, schema, compression="zstd") for path in paths]
    source = iter(messages)
    for writer in itertools.cycle(writers):
        rows = list(itertools.islice(source, rows_per_group))
        if not rows:
            break
        writer.write_table(pa.table({"batch_json": pa.array(rows, pa.binary())}, schema), row_group_size=rows_per_group)
    for writer in writers:
        writer.close()
    return paths


def write_ndjson(path: Path, messages: Iterable[bytes]) -> Path:
    """Writes one message a line, as mParticle's files have it; gzip if the name ends in `.gz`.

    Args:
      path: its folder is made if it is missing.
      messages: what to write; none may hold a line break.

    Returns:
      The path.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with gzip.open(path, "wb", compresslevel=3) if path.suffix == ".gz" else path.open("wb") as lines:
        for message in messages:
            lines.write(message + b"\n")
    return path


def _message(rng: random.Random, who: Shopper, now_ms: int, sent: deque[Json], bad: bool) -> bytes:
    """Returns the next message on the topic; what holds commerce events joins `sent`, to be sent again perhaps."""
    draw = rng.random()
    if draw < 0.012 and sent:
        return _encode(_sent_again(rng, pick(rng, sent), now_ms))
    if draw < 0.016:
        return alias_request(rng, now_ms)
    batch = any_batch(rng, who, now_ms)
    if bad and draw < 0.022:
        return broken(rng, _encode(batch))
    commerce = [event for event in batch["events"] or () if event["event_type"] == "commerce_event"]
    if bad and commerce and draw < 0.140:
        spoil(rng, batch, pick(rng, commerce))
    if commerce:
        sent.append(batch)
    return _encode(batch)


def _sent_again(rng: random.Random, batch: Json, now_ms: int) -> Json:
    """Returns a batch once more, as mParticle re-batches: the same source_message_id, but new ids of its own.

    Source: GitHub, mParticle/mparticle-apple-sdk, issue 787: the same events hours later, with new `event_id` and
    `batch_id`.
    """
    events = [event and {**event, "data": event["data"] and dict(event["data"])} for event in batch["events"]]
    for event in events:
        if event and event["data"] and "event_id" in event["data"]:
            event["data"]["event_id"] = str(int64(rng))
    return {**batch, "events": events, **new_ids(rng, now_ms, str)}
