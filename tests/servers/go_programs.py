"""Builds the servers that are written in Go, once each: independent of this project, so that it is not its own judge.

    python tests/servers/go_programs.py     # builds all of them; .ci/run does

Binaries are kept under the folder that TIKTOK_EVENTS_TEST_CACHE names, else under ~/.cache/tiktok-events. A cold build
takes some minutes and needs the Go module proxy, so no test builds: `make test` does it before. The tests that need a
server which is not there are skipped, and say so.
"""

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_HERE = Path(__file__).parent

# A cold build: about four minutes on two cores.
_BUILD_SECS = 900

# Programs of this folder, by the name of theirs: small launchers around somebody else's server or library.
LAUNCHERS = {
    "gcs": "the stand-in for Google Cloud Storage",
    "pstest": "Google's fake of Pub/Sub",
    "terraform": "the check of the Terraform module",
    "terraform_provider": "the stand-in for Google's Terraform providers",
}

# Programs of other modules, used as they are.
PRISM = "github.com/apache/beam/sdks/v2/go/cmd/prism@v2.77.0"
TOXIPROXY = "github.com/Shopify/toxiproxy/v2/cmd/server@v2.12.0"


class ServerUnavailableError(Exception):
    """The server cannot be had here; the text says why and is the reason of a skipped test."""


def program(name: str) -> Path:
    """Returns the binary of a launcher of this folder, or of a program of another module, `PACKAGE@VERSION`.

    Raises:
      ServerUnavailableError: it is not built.
    """
    binary = _of_another_module(name) if "@" in name else _of_this_folder(name)
    if not binary.exists():
        raise ServerUnavailableError(f"{LAUNCHERS.get(name, name)} is not built: run `make servers`, which needs Go")
    return binary


def _of_this_folder(name: str) -> Path:
    sources = _HERE / name
    digest = hashlib.sha256()
    for file in (*sorted(sources.glob("*.go")), sources / "go.mod", sources / "go.sum"):
        digest.update(file.read_bytes())
    return _cache() / f"{name}-{digest.hexdigest()[:16]}"


def _of_another_module(package: str) -> Path:
    path, _, version = package.partition("@")
    return _cache() / f"{path.split('/')[2]}-{path.rpartition('/')[2]}-{version}"


def build(name: str) -> Path:
    """Returns the binary of a launcher of this folder, built if there is none of these sources yet.

    Raises:
      ServerUnavailableError: no Go, or the build failed (no network to fetch the modules, for example).
    """
    binary = _of_this_folder(name)
    if not binary.exists():
        # Built beside its place and moved, so that test processes that build at the same time do not meet half a file.
        unfinished = binary.with_name(f"{binary.name}.{os.getpid()}")
        _go(LAUNCHERS[name], ["build", "-o", str(unfinished), "."], _HERE / name)
        unfinished.replace(binary)
    return binary


def install(package: str) -> Path:
    """Returns the binary of a program of another module, `PACKAGE@VERSION`, built if there is none yet.

    Raises:
      ServerUnavailableError: as `build`.
    """
    binary = _of_another_module(package)
    if not binary.exists():
        folder = binary.with_name(f"{binary.name}.{os.getpid()}")
        folder.mkdir(exist_ok=True)
        _go(binary.name, ["install", package], _HERE, GOBIN=str(folder))
        next(folder.iterdir()).replace(binary)
        folder.rmdir()
    return binary


@contextmanager
def ready(command: list[str], what: str) -> Iterator[str]:
    """Runs a program that prints `READY ADDRESS`, and yields the address.

    Raises:
      ServerUnavailableError: it does not start.
    """
    process: subprocess.Popen[Any] = subprocess.Popen(  # noqa: S603  # a program of ours
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        word, _, address = process.stdout.readline().strip().partition(" ")
        if word != "READY":
            raise ServerUnavailableError(f"{what} did not start")
        yield address
    finally:
        process.terminate()
        process.wait(timeout=10)
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()


def _cache() -> Path:
    cache = Path(os.environ.get("TIKTOK_EVENTS_TEST_CACHE") or Path.home() / ".cache" / "tiktok-events")
    cache.mkdir(parents=True, exist_ok=True)
    return cache.resolve()


def _go(what: str, arguments: list[str], folder: Path, **environment: str) -> None:
    go = shutil.which("go")
    if go is None:
        raise ServerUnavailableError(f"Go is not installed, which {what} is built with")
    built = subprocess.run(  # noqa: S603  # a fixed command
        [go, *arguments],
        cwd=folder,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=_BUILD_SECS,
        check=False,
    )
    if built.returncode:
        raise ServerUnavailableError(f"{what} cannot be built: {built.stderr[-500:]}")


def main() -> int:
    """Builds everything; returns how many could not be built."""
    failures = 0
    for make, names in ((build, list(LAUNCHERS)), (install, [PRISM, TOXIPROXY])):
        for name in names:
            try:
                sys.stdout.write(f"{name}: {make(name).name}\n")
            except ServerUnavailableError as error:
                failures += 1
                sys.stderr.write(f"WARNING: {error}; THE TESTS THAT NEED IT WILL BE SKIPPED\n")
    return failures


if __name__ == "__main__":
    sys.exit(main())
