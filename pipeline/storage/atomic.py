"""Files that are there as a whole or not at all, on a local disk or in a bucket.

Locally a file is written under another name and renamed; in a bucket it appears when it is closed.
"""

import contextlib
import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.errors import CommandError
from pipeline.storage.paths import is_local, local_path

if TYPE_CHECKING:
    import pyarrow as pa

_PRIVATE_FOLDER, _PRIVATE_FILE = 0o700, 0o600


class WriteError(CommandError, RuntimeError):
    """A file could not be written. The message names it."""


def write_atomically(path: str, data: "pa.Buffer | bytes", private_folder: str | None = None) -> None:
    """Writes a file as a whole, or raises.

    Args:
      path: local, or of any file system Beam knows.
      data: the content.
      private_folder: local folder, a parent of the file, that only its owner may read; so will be the file.

    Raises:
      WriteError: it could not be written.
    """
    with _named(path):
        if is_local(path):
            _write_local(Path(local_path(path)), data, Path(local_path(private_folder)) if private_folder else None)
        else:
            _write_remote(path, data)


def check_folder(folder: str, *, private: bool = False) -> None:
    """Makes sure that a folder can be written to, before anything is sent; creates it. Buckets are not asked.

    Args:
      folder: local, or of any file system Beam knows.
      private: the folder is made readable by its owner only.

    Raises:
      WriteError: it cannot be written to.
    """
    if is_local(folder):
        for path in (Path(local_path(folder)), *Path(local_path(folder)).parents):
            if path.exists() and not path.is_dir():
                raise WriteError(f"{path} is a file, and a folder is needed: name another.")
        probe = Path(local_path(folder), f".probe.{uuid.uuid4().hex}")
        write_atomically(str(probe), b"", folder if private else None)
        probe.unlink()


def _write_local(path: Path, data: "pa.Buffer | bytes", private_folder: Path | None) -> None:
    if private_folder:
        private_folder.parent.mkdir(parents=True, exist_ok=True)
        private_folder.mkdir(mode=_PRIVATE_FOLDER, exist_ok=True)
        path.parent.mkdir(mode=_PRIVATE_FOLDER, exist_ok=True)
    else:
        path.parent.mkdir(parents=True, exist_ok=True)
    # No glob of Parquet files finds this name, and what a killed run leaves behind is never half a file.
    unfinished = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        mode = _PRIVATE_FILE if private_folder else 0o666
        with open(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
            file.write(data)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def _write_remote(path: str, data: "pa.Buffer | bytes") -> None:
    # Loaded for buckets only: it takes seconds.
    from apache_beam.io.filesystem import CompressionTypes
    from apache_beam.io.filesystems import FileSystems

    file = FileSystems.create(path, compression_type=CompressionTypes.UNCOMPRESSED)
    # Not closed after an error, because closing would make the object appear.
    file.write(memoryview(data))
    file.close()


@contextlib.contextmanager
def _named(path: str) -> Iterator[None]:
    """Makes errors name the file. Beam's own error of a file system is an `OSError`."""
    try:
        yield
    except (OSError, ValueError) as error:
        raise WriteError(
            f"cannot write {path}: {error}. Check that the folder can be written to by this account, and the space left"
        ) from error
