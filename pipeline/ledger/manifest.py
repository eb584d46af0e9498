"""Manifests: what each run was about and how it ended, `LEDGER/_manifests/RUN_ID.json`, for schedules and `reconcile`.

A manifest exists from the start of a run and is written anew while it runs. If its state is `running`, and the run's
lock is not held, the run has died.
"""

import logging
import os
import re
import socket
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from enum import StrEnum, unique
from importlib import metadata
from typing import Any

import msgspec
import xxhash

from pipeline.ledger.files import list_paths, open_parquet, row_group_ranges
from pipeline.ledger.locks import LockStore
from pipeline.ledger.replay_filter import DeadLetterFilter
from pipeline.ledger.run_summary import Summary
from pipeline.records import file_prefix
from pipeline.storage import FileInfo, is_local, open_file, write_atomically
from transforms.connection import Connection
from transforms.vocabulary import Kind

_log = logging.getLogger(__name__)

_DISTRIBUTIONS = ("apache-beam", "pyarrow", "tiktok-events-pipeline")
_READERS = 16
_DIGEST_BYTES = 1 << 22

# Where no locks can be kept, a run that has not written its manifest for so long has died; it writes it six times as
# often.
_SILENCE_SECS = 90.0

# As `pipeline.records.parquet_files` names them; the ids of two runs may begin in the same way.
_OF_RUN = re.compile(r".*/([^/]+)-[0-9a-f]{32}(?:-ahead)?\.parquet")


@unique
class State(StrEnum):
    """Where a run stands.

    Attributes:
      RUNNING: at work, or dead since the last time the manifest was written.
      FINISHED: every event of its input has its outcome in the ledger, and the counts are in the manifest.
      STOPPED: ended early on a signal. What it read has its outcomes in the ledger; the rest of its input was not read.
      FAILED: ended by an error; what it had not recorded is lost to the ledger.
      DESCRIBED: handed to Dataflow, which runs it from a template and keeps its counts; nothing is added here.
      DIED: its process ended without writing the manifest; a later run found it so.
    """

    RUNNING = "running"
    FINISHED = "finished"
    STOPPED = "stopped"
    FAILED = "failed"
    DESCRIBED = "described"
    DIED = "died"


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
      dead_letters: of a replay: what narrowed it; None: older versions did not record it. `letters` in JSON.
      inputs: the files, in the order of their names.
      versions: of Python packages, the mapping's included.
      ledger_flush_secs: what a killed run has not recorded is not older than this.
      reply_secs: a request that is on its way may be so old, with all its repeats.
      host, pid: the machine and the number of its process.
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
    versions: dict[str, str]
    host: str = ""
    pid: int = 0
    ended: datetime | None = None
    since: datetime | None = None
    until: datetime | None = None
    dead_letters: DeadLetterFilter | None = msgspec.field(default=None, name="letters")
    inputs: list[InputFile] = []
    counts: Summary | None = None
    unrecorded: Span | None = None


def new_manifest(
    run_id: str,
    command: str,
    connection: Connection,
    window_ms: tuple[int | None, int | None],
    files: Sequence[FileInfo],
    flush_secs: float,
    now: datetime,
    dead_letters: DeadLetterFilter | None = None,
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
      dead_letters: what narrows a replay.
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
        dead_letters=dead_letters,
        inputs=[InputFile(path=file.path, size=file.size) for file in files],
        versions={name: metadata.version(name) for name in _DISTRIBUTIONS},
        ledger_flush_secs=flush_secs,
        reply_secs=connection.retry_secs + connection.connect_timeout_secs + connection.read_timeout_secs,
        host=socket.gethostname(),
        pid=os.getpid(),
    )


def write_manifest(ledger: str, manifest: Manifest) -> None:
    """Writes a manifest as a whole.

    Raises:
      WriteError: it cannot be written.
    """
    write_atomically(_path(ledger, manifest), msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n")


def read_manifests(ledger: str) -> list[Manifest]:
    """Returns all manifests of a ledger, in the order of their start. Damaged ones are logged and left out.

    Raises:
      UsageError: they cannot be listed.
    """
    with ThreadPoolExecutor(_READERS, thread_name_prefix="manifests") as pool:
        found = pool.map(_read, list_paths(ledger, "_manifests/*.json"))
        return sorted((one for one in found if one is not None), key=lambda manifest: manifest.started)


def read_judged_manifests(ledger: str, store: LockStore | None, now: datetime) -> list[Manifest]:
    """Returns all manifests as `read_manifests` does; the state of runs that have died is `died`.

    Args:
      ledger: its folder.
      store: of its locks; None: there are none on this file system.
      now: UTC.

    Raises:
      UsageError: they cannot be listed.
      WriteError: the locks cannot be read.
    """
    manifests = read_manifests(ledger)
    if not any(manifest.state is State.RUNNING for manifest in manifests):
        return manifests
    at_work = None if store is None else {lock.run_id for lock in store.held()}
    return [_judged(ledger, manifest, at_work, now) for manifest in manifests]


def _judged(ledger: str, manifest: Manifest, at_work: Collection[str] | None, now: datetime) -> Manifest:
    """Returns a manifest with the state that it has.

    Args:
      ledger: its folder.
      manifest: as it was read before the locks.
      at_work: runs whose locks are held; None: there are no locks.
      now: UTC.
    """
    if manifest.state is not State.RUNNING:
        return manifest
    if at_work is None:
        if now - manifest.seen > timedelta(seconds=_SILENCE_SECS):
            manifest.state = State.DIED
    elif manifest.run_id not in at_work:
        # Read again: a run that has ended since wrote how, and then gave its lock back.
        manifest = _read(_path(ledger, manifest)) or manifest
        if manifest.state is State.RUNNING:
            manifest.state = State.DIED
    return manifest


def _path(ledger: str, manifest: Manifest) -> str:
    return f"{ledger.rstrip('/')}/_manifests/{file_prefix(manifest.run_id)}.json"


def _read(path: str) -> Manifest | None:
    try:
        with open_file(path) as file:
            return msgspec.json.decode(file.read(), type=Manifest)
    except (OSError, msgspec.MsgspecError) as error:
        _log.warning("%s cannot be read (%s): this run is taken for unknown.", path, type(error).__name__)
        return None


def files_by_run(ledger: str) -> dict[str, list[str]]:
    """Returns the files of a ledger by the first part of their names: `file_prefix` of the run that wrote them."""
    found: dict[str, list[str]] = {}
    for path in list_paths(ledger):
        if name := _OF_RUN.fullmatch(path):
            found.setdefault(name[1], []).append(path)
    return found


def run_files(ledger: str, run_id: str) -> list[str]:
    """Returns the files of the ledger that a run has written."""
    return files_by_run(ledger).get(file_prefix(run_id), [])


def unrecorded(ledger: str, manifest: Manifest, silence_secs: float) -> Span:
    """Returns when a run that did not finish sent what may be missing from the ledger.

    It begins with the last time at which the run recorded what it had sent, less the time that other threads may have
    waited to record, and less the time that a request and its repeats may have been on their way. It ends with the
    last time the manifest was written, and the usual time until the next.

    Args:
      ledger: its folder.
      manifest: of the run.
      silence_secs: between two writings of the manifest.
    """
    last = manifest.started
    for path in run_files(ledger, manifest.run_id):
        with open_parquet(path) as file:
            for ranges in row_group_ranges(file):
                last = max(last, _sent_until(ranges) or last)
    since = max(manifest.started, last - timedelta(seconds=manifest.ledger_flush_secs + manifest.reply_secs))
    until = manifest.ended or max(manifest.seen, last) + timedelta(seconds=silence_secs)
    return Span(since, max(since, until))


def _sent_until(ranges: dict[str, tuple[Any, Any]]) -> datetime | None:
    """Returns when a row group was recorded if it holds events that were sent, else None."""
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
