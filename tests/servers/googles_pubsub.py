"""Google's own fake of Pub/Sub (pstest), in the Go program beside this file, as a fixture."""

from collections.abc import Iterator

import go_programs
import pytest

from sandbox.pubsub.publisher import PubSubClient


def client() -> Iterator[PubSubClient]:
    """Yields a client of a running server; skips the test where it is not built."""
    try:
        with go_programs.ready([str(go_programs.program("pstest"))], go_programs.LAUNCHERS["pstest"]) as address:
            connected = PubSubClient(address)
            yield connected
            connected.close()
    except go_programs.ServerUnavailableError as error:
        pytest.skip(str(error))
