"""A stand-in for Google Cloud Storage: builds the Go program beside this file once, then starts and stops it.

The binary is kept under the folder that TIKTOK_EVENTS_TEST_CACHE names, else under ~/.cache/tiktok-events, by the
digest of its sources. A cold build takes some minutes and needs the Go module proxy.
"""

import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_SOURCES = Path(__file__).parent / "gcs"

# A cold build: about four minutes on two cores.
_BUILD_SECS = 900


class ServerUnavailableError(Exception):
    """The server cannot be had here; the text says why and is the reason of a skipped test."""


def build() -> Path:
    """Returns the server's binary, built if there is none of these sources yet.

    Raises:
      ServerUnavailableError: no Go, or the build failed (no network to fetch the modules, for example).
    """
    digest = hashlib.sha256()
    for name in ("main.go", "go.mod", "go.sum"):
        digest.update((_SOURCES / name).read_bytes())
    cache = Path(os.environ.get("TIKTOK_EVENTS_TEST_CACHE") or Path.home() / ".cache" / "tiktok-events")
    binary = cache / f"gcs-{digest.hexdigest()[:16]}"
    if binary.exists():
        return binary
    go = shutil.which("go")
    if go is None:
        raise ServerUnavailableError("Go is not installed, which the stand-in for Google Cloud Storage is built with")
    cache.mkdir(parents=True, exist_ok=True)
    # Built beside its place and moved, so that test processes that build at the same time do not meet half a file.
    unfinished = binary.with_name(f"{binary.name}.{os.getpid()}")
    built = subprocess.run(  # noqa: S603  # a fixed command
        [go, "build", "-o", str(unfinished), "."],
        cwd=_SOURCES,
        capture_output=True,
        text=True,
        timeout=_BUILD_SECS,
        check=False,
    )
    if built.returncode:
        raise ServerUnavailableError(f"the stand-in for Google Cloud Storage cannot be built: {built.stderr[-500:]}")
    unfinished.replace(binary)
    return binary


@contextmanager
def running() -> Iterator[str]:
    """Runs a server with no buckets and yields its URL, as STORAGE_EMULATOR_HOST wants it.

    Raises:
      ServerUnavailableError: it cannot be built or does not start.
    """
    process: subprocess.Popen[Any] = subprocess.Popen([str(build())], stdout=subprocess.PIPE, text=True)  # noqa: S603
    try:
        assert process.stdout is not None
        word, _, address = process.stdout.readline().strip().partition(" ")
        if word != "READY":
            raise ServerUnavailableError("the stand-in for Google Cloud Storage did not start")
        yield f"http://{address}"
    finally:
        process.terminate()
        process.wait(timeout=10)
        if process.stdout is not None:
            process.stdout.close()
