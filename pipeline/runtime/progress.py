"""Counts of this process while a run lasts: what was read, what became of it, and requests.

The steps that read and record add to `PROGRESS` on every runner; on a remote worker nobody reads it.
`pipeline.reporting.progress_display` shows it.
"""

import threading
from collections import Counter
from collections.abc import Callable, Mapping

from transforms.connection import Connection
from transforms.counters import REQUESTS
from transforms.tiktok import ApiReply, RequestBody, Transport
from transforms.vocabulary import Form, Kind

# Names of counters, beside those of `transforms.counters` and `read_counters`.
EXPECTED_FILES, EXPECTED_BYTES = "expected_files", "expected_bytes"


class Progress:
    """Counts of a process: outcomes by kind, what was read, and requests. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()

    def add(self, kind: Kind, count: int) -> None:
        """Adds outcomes of a kind."""
        self.add_read({kind: count})

    def add_read(self, counts: Mapping[str, int]) -> None:
        """Adds what was read, by the names of `pipeline.runtime.read_counters`."""
        with self._lock:
            self._counts.update(counts)

    def add_request(self) -> None:
        """Adds a request that was answered, or will never be."""
        self.add_read({REQUESTS: 1})

    def expect(self, files: int, size: int) -> None:
        """Sets how many files and bytes will be read, from which the time left follows."""
        self.add_read({EXPECTED_FILES: files, EXPECTED_BYTES: size})

    def counts(self) -> Counter[str]:
        """Returns all counts by name."""
        with self._lock:
            return self._counts.copy()

    def current(self) -> dict[Kind, int]:
        """Returns the counts of all kinds."""
        counts = self.counts()
        return {kind: counts[kind] for kind in Kind}

    def reset(self) -> None:
        """Forgets everything."""
        with self._lock:
            self._counts.clear()


PROGRESS = Progress()


class CountedTransport:
    """Carries requests as another transport does, and counts them in `PROGRESS`.

    Args:
      transport: makes the other one.
      connection: for it.
    """

    def __init__(self, transport: Callable[[Connection], Transport], connection: Connection) -> None:
        self._transport = transport(connection)

    def post(self, form: Form, body: RequestBody, token: str) -> ApiReply:
        """Returns the reply of the other one."""
        try:
            return self._transport.post(form, body, token)
        finally:
            PROGRESS.add_request()
