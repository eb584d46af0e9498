"""Where locks are: numbered files on a local disk, objects with generations in a bucket.

A bucket compares and sets: an object is created with `ifGenerationMatch=0` and replaced with the generation that was
seen, so exactly one of several wins. On a local disk, who creates the next number (`O_EXCL`) has the lock.
"""

import contextlib
import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from pipeline.ledger.holder import Holder
from pipeline.ledger.locks import EXPIRY_SECS, Lock, LostError, Store
from pipeline.storage import WriteError, is_local, local_path
from transforms.google_errors import bucket_remedy


def lock_store(ledger: str, beam_options: Any = None) -> Store | None:
    """Returns where the locks of a ledger are; None for a file system that cannot create exclusively.

    Args:
      ledger: its folder.
      beam_options: Beam's, which may hold credentials for `gs://`.
    """
    folder = f"{ledger.rstrip('/')}/_locks"
    if is_local(folder):
        return LocalLocks(Path(local_path(folder)))
    if folder.startswith("gs://"):
        return BucketLocks(folder, beam_options)
    return None


class LocalLocks:
    """Locks on a local disk: `NAME.NUMBER.json`.

    Args:
      folder: of the locks; created when it is needed.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self) -> dict[str, tuple[int, Lock]]:
        """Returns the file with the highest number of each name."""
        newest: dict[str, int] = {}
        for path in self._folder.glob("*.*.json"):
            name, digits, _ = path.name.rsplit(".", 2)
            if digits.isdecimal():
                newest[name] = max(newest.get(name, 0), int(digits))
        found = {}
        for name, number in newest.items():
            with contextlib.suppress(FileNotFoundError):
                found[name] = number, self._content(self._path(name, number))
        return found

    def take(self, name: str, seen: int | None, lock: Lock) -> int:
        """Creates the next number."""
        number = (seen or 0) + 1
        path = self._path(name, number)
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666), "wb") as file:
                file.write(msgspec.json.encode(lock))
        except FileExistsError:
            raise LostError from None
        except OSError as error:
            # What is left of it would keep others out until it expires.
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)
            raise WriteError(f"cannot write {path}: {error.strerror}") from error
        # Between look and creation others may have come and gone: who finds somebody else at work steps back.
        for other in self._folder.glob(f"{name}.*.json"):
            if other == path:
                continue
            with contextlib.suppress(FileNotFoundError):
                if not self._content(other).is_over(lock.taken_at):
                    path.unlink(missing_ok=True)
                    raise LostError
                other.unlink()
        return number

    def refresh(self, name: str, version: int, lock: Lock) -> int:
        """Replaces the file's content; nobody else writes a file of this number."""
        path = self._path(name, version)
        if not path.exists():  # whoever takes it over removes it
            raise LostError
        unfinished = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
        unfinished.write_bytes(msgspec.json.encode(lock))
        unfinished.replace(path)
        return version

    def release(self, name: str, version: int) -> None:
        """Removes the file."""
        self._path(name, version).unlink(missing_ok=True)

    def _path(self, name: str, number: int) -> Path:
        return self._folder / f"{name}.{number}.json"

    def _content(self, path: Path) -> Lock:
        try:
            return msgspec.json.decode(path.read_bytes(), type=Lock)
        except msgspec.MsgspecError:
            # Created a moment ago, or by a process that died at that moment.
            created = path.stat().st_mtime
            nobody = Holder(machine="", pid=0, started=0)
            return Lock(
                run_id="?", holder=nobody, event_source_id="", taken_at=created, expires_at=created + EXPIRY_SECS
            )


class BucketLocks:
    """Locks in a bucket of Cloud Storage: `NAME.json`; the version is the object's generation.

    Args:
      folder: `gs://BUCKET/…`.
      beam_options: with credentials; None: those of the environment.
    """

    def __init__(self, folder: str, beam_options: Any = None) -> None:
        # Loaded for gs:// only.
        from apache_beam.io.gcp.gcsio import GcsIO

        bucket, _, self._prefix = folder.removeprefix("gs://").partition("/")
        # Beam's own client: the same credentials and, in tests, the same server.
        self._bucket: Any = GcsIO(pipeline_options=beam_options).client.bucket(bucket)

    def read(self) -> dict[str, tuple[int, Lock]]:
        """Returns every object that can be read.

        Raises:
          WriteError: the bucket refuses.
        """
        from google.api_core.exceptions import NotFound

        found = {}
        with self._told():
            for blob in self._bucket.list_blobs(prefix=f"{self._prefix}/"):
                name = blob.name.removeprefix(f"{self._prefix}/").removesuffix(".json")
                with contextlib.suppress(NotFound, msgspec.MsgspecError):
                    content = self._bucket.blob(blob.name, generation=blob.generation).download_as_bytes()
                    found[name] = blob.generation, msgspec.json.decode(content, type=Lock)
        return found

    def take(self, name: str, seen: int | None, lock: Lock) -> int:
        """Uploads only in the place of the generation that was seen; 0: of none."""
        return self._upload(name, seen or 0, lock)

    def refresh(self, name: str, version: int, lock: Lock) -> int:
        """Uploads in the place of the own generation."""
        return self._upload(name, version, lock)

    def release(self, name: str, version: int) -> None:
        """Deletes the own generation."""
        from google.api_core.exceptions import NotFound, PreconditionFailed

        with self._told(), contextlib.suppress(NotFound, PreconditionFailed):
            self._bucket.blob(f"{self._prefix}/{name}.json").delete(if_generation_match=version)

    def _upload(self, name: str, generation: int, lock: Lock) -> int:
        from google.api_core.exceptions import PreconditionFailed

        blob = self._bucket.blob(f"{self._prefix}/{name}.json")
        try:
            with self._told():
                blob.upload_from_string(
                    msgspec.json.encode(lock), content_type="application/json", if_generation_match=generation
                )
        except PreconditionFailed:
            # The reply to an upload that went well may have been lost, and the client has asked again.
            current = self.read().get(name)
            if current is None or current[1] != lock:
                raise LostError from None
            return current[0]
        return int(blob.generation)

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        """Names the bucket where it refuses, but for what says that somebody else was there first."""
        from google.api_core.exceptions import GoogleAPIError, PreconditionFailed
        from google.auth.exceptions import GoogleAuthError

        try:
            yield
        except PreconditionFailed:
            raise
        # The client's own connection errors are OSErrors.
        except (GoogleAPIError, GoogleAuthError, OSError) as error:
            raise WriteError(
                f"gs://{self._bucket.name}/{self._prefix}: no lock can be kept there ({type(error).__name__}). "
                + bucket_remedy("list, read, create and delete")
            ) from error
