"""Manifests: what each run was about and how it ended, `LEDGER/_manifests/RUN_ID.json`, for schedules and `reconcile`.

A manifest is there from the start of a run and is written anew while it runs. One that says `running` and whose process
is gone, or which was not written for a while, is of a run that has died.
"""

import logging
import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from enum import StrEnum, unique
from importlib import metadata
from typing import Any

import msgspec
import xxhash

from pipeline.ledger.delivered import listed, opened, statistics
from pipeline.ledger.holder import Holder, this_process
from pipeline.ledger.locks import EXPIRY_SECS
from pipeline.ledger.replay_filter import LetterFilter
from pipeline.ledger.run_summary import Summary
from pipeline.records import file_prefix
from pipeline.storage import FileInfo, is_local, open_file, write_atomically
from transforms.connection import Connection
from transforms.vocabulary import Kind

_log = logging.getLogger(__name__)

_DISTRIBUTIONS = ("apache-beam", "pyarrow", "tiktok-events-pipeline")
_READERS = 16
_DIGEST_BYTES = 1 << 22

# As `pipeline.records.parquet_files` names them; the ids of two runs may begin in the same way.
_OF_RUN = re.compile(r".*/([^/]+)-[0-9a-f]{32}(?:-ahead)?\.parquet")


@unique
class State(StrEnum):
    """Where a run stands."""

    RUNNING = "running"
    """At work, or dead since the last time the manifest was written."""
    FINISHED = "finished"
    """Every event of its input has its outcome in the ledger, and the counts are in the manifest."""
    STOPPED = "stopped"
    """Ended early on a signal: what it read has its outcomes in the ledger, the rest of its input was not read."""
    FAILED = "failed"
    """Ended by an error; what it had not recorded is lost to the ledger."""
    DESCRIBED = "described"
    """Handed to Dataflow, which runs it from a template and keeps its counts; nothing is added here."""
    DIED = "died"
    """Ended without a word; found so by a later run."""


class InputFile(msgspec.Struct, kw_only=True):
    """A file of the input.

    Attributes:
      path: as it was listed.
      size: bytes.
      digest: `xxh3_128:…` of the content; in a bucket its own checksum (`crc32c:…`); None until it is known.
    """

    path: str
    size: int
    digest: str | None = None


class Span(msgspec.Struct, frozen=True):
    """A time span; both ends belong to it."""

    since: datetime
    until: datetime


class Manifest(msgspec.Struct, kw_only=True):
    """What a run was about and how it ended.

    Attributes:
      run_id: as in the ledger.
      command: `run` or `replay`.
      state: where it stands.
      started, ended: when; UTC.
      seen: when the run last wrote this.
      event_source_id: whose events.
      connection_digest: XXH3-128 of all settings; no secret is in them.
      since, until: the window of events; None: open.
      letters: of a replay: what narrowed it; None: older versions did not note it.
      inputs: the files, in the order of their names.
      versions: of Python packages, the mapping's included.
      ledger_flush_secs: what a killed run has not recorded is not older than this.
      reply_secs: a request that is on its way may be so old, with all its repeats.
      holder: the process.
      counts: the summary, once it has finished or stopped.
      unrecorded: of a run that did not finish: when it sent what may be missing from the ledger.
    """

    run_id: str
    command: str
    state: State
    started: datetime
    seen: datetime
    event_source_id: str
    connection_digest: str
    ledger_flush_secs: float
    reply_secs: float
    holder: Holder
    versions: dict[str, str]
    ended: datetime | None = None
    since: datetime | None = None
    until: datetime | None = None
    letters: LetterFilter | None = None
    inputs: list[InputFile] = []
    counts: Summary | None = None
    unrecorded: Span | None = None

    def has_died(self, now: datetime) -> bool:
        """Returns whether it says that it runs and does not."""
        silent = now - self.seen > timedelta(seconds=EXPIRY_SECS)
        return self.state is State.RUNNING and (silent or self.holder.is_gone())


def new_manifest(
    run_id: str,
    command: str,
    connection: Connection,
    window_ms: tuple[int | None, int | None],
    files: Sequence[FileInfo],
    flush_secs: float,
    now: datetime,
    letters: LetterFilter | None = None,
) -> Manifest:
    """Returns the manifest of a run that starts now.

    Args:
      run_id: as in the ledger.
      command: `run` or `replay`.
      connection: its settings, without the token.
      window_ms: of events, UTC epoch milliseconds.
      files: the input.
      flush_secs: `--ledger_flush_secs`.
      now: UTC.
      letters: what narrows a replay.
    """
    since, until = (None if edge is None else datetime.fromtimestamp(edge / 1000, UTC) for edge in window_ms)
    return Manifest(
        run_id=run_id,
        command=command,
        state=State.RUNNING,
        started=now,
        seen=now,
        event_source_id=connection.event_source_id,
        connection_digest=xxhash.xxh3_128_hexdigest(msgspec.json.encode(connection)),
        since=since,
        until=until,
        letters=letters,
        inputs=[InputFile(path=file.path, size=file.size) for file in files],
        versions={name: metadata.version(name) for name in _DISTRIBUTIONS},
        ledger_flush_secs=flush_secs,
        reply_secs=connection.retry_secs + connection.connect_timeout_secs + connection.read_timeout_secs,
        holder=this_process(),
    )


def write_manifest(ledger: str, manifest: Manifest) -> None:
    """Writes a manifest as a whole.

    Raises:
      WriteError: it cannot be written.
    """
    path = f"{ledger.rstrip('/')}/_manifests/{file_prefix(manifest.run_id)}.json"
    write_atomically(path, msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n")


def read_manifests(ledger: str) -> list[Manifest]:
    """Returns all manifests of a ledger, in the order of their start. Damaged ones are logged and left out.

    Raises:
      UsageError: they cannot be listed.
    """

    def read(path: str) -> Manifest | None:
        try:
            with open_file(path) as file:
                return msgspec.json.decode(file.read(), type=Manifest)
        except (OSError, msgspec.MsgspecError) as error:
            _log.warning("%s cannot be read (%s): this run is taken for unknown.", path, type(error).__name__)
            return None

    with ThreadPoolExecutor(_READERS, thread_name_prefix="manifests") as pool:
        found = pool.map(read, listed(ledger, "_manifests/*.json"))
        return sorted((one for one in found if one is not None), key=lambda manifest: manifest.started)


def files_by_run(ledger: str) -> dict[str, list[str]]:
    """Returns the files of a ledger by the first part of their names: `file_prefix` of the run that wrote them."""
    found: dict[str, list[str]] = {}
    for path in listed(ledger, "date=*/*.parquet"):
        if name := _OF_RUN.fullmatch(path):
            found.setdefault(name[1], []).append(path)
    return found


def run_files(ledger: str, run_id: str) -> list[str]:
    """Returns the files of the ledger that a run has written."""
    return files_by_run(ledger).get(file_prefix(run_id), [])


def unrecorded(ledger: str, manifest: Manifest, silence_secs: float) -> Span:
    """Returns when a run that did not finish sent what may be missing from the ledger.

    From the last time at which it recorded what it had sent, less what other threads may not have recorded by then, and
    the time that a request may have been on its way, its repeats included; to the last sign of life and the silence
    that is usual.

    Args:
      ledger: its folder.
      manifest: of the run.
      silence_secs: between two signs of life.
    """
    last = manifest.started
    for path in run_files(ledger, manifest.run_id):
        with opened(path) as file:
            for number in range(file.metadata.num_row_groups):
                moment = _sent_until(file.metadata.row_group(number))
                last = max(last, moment or last)
    since = max(manifest.started, last - timedelta(seconds=manifest.ledger_flush_secs + manifest.reply_secs))
    until = manifest.ended or max(manifest.seen, last) + timedelta(seconds=silence_secs)
    return Span(since, max(since, until))


def _sent_until(group: Any) -> datetime | None:
    """Returns when a row group was recorded if it holds events that were sent, else None."""
    ranges = statistics(group)
    least, greatest = ranges.get("kind", (Kind.DELIVERED, Kind.UNKNOWN))
    if least != Kind.DELIVERED and greatest < Kind.UNDELIVERED:
        return None
    moment: datetime | None = ranges.get("recorded_time", (None, None))[1]
    return moment if moment is None or moment.tzinfo else moment.replace(tzinfo=UTC)


def input_digest(path: str) -> str | None:
    """Returns the digest of a file's content, None if it cannot be had. Buckets are asked for theirs."""
    try:
        if not is_local(path):
            from apache_beam.io.filesystems import FileSystems

            return f"{'crc32c' if path.startswith('gs://') else 'checksum'}:{FileSystems.checksum(path)}"
        digest = xxhash.xxh3_128()
        with open_file(path) as file:
            while part := file.read(_DIGEST_BYTES):
                digest.update(part)
        return f"xxh3_128:{digest.hexdigest()}"
    except Exception as error:  # noqa: BLE001  # of any file system; a run does not end because of this
        _log.warning("%s: no digest (%s)", path, type(error).__name__)
        return None
