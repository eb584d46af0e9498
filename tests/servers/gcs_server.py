"""A stand-in for Google Cloud Storage: fake-gcs-server, in the Go program beside this file."""

from collections.abc import Iterator
from contextlib import contextmanager

import go_programs
from go_programs import ServerUnavailableError as ServerUnavailableError


@contextmanager
def running() -> Iterator[str]:
    """Runs a server with no buckets and yields its URL, as STORAGE_EMULATOR_HOST wants it.

    Raises:
      ServerUnavailableError: it is not built, or does not start.
    """
    with go_programs.ready([str(go_programs.program("gcs"))], go_programs.LAUNCHERS["gcs"]) as address:
        yield f"http://{address}"
