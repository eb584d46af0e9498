"""Requests and replies as values, and who answers them."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(slots=True)
class Request:
    """One request.

    Attributes:
      target: path and query, as sent.
      headers: lower-case name → value; the last one wins.
      arrived_at: epoch seconds when its header was complete.
      first: it is the connection's first request.
      ordinal: free for the handler; how many requests came in the same second, this one included.
      body: complete when `answer` is called.
    """

    method: str
    target: str
    headers: dict[str, str]
    arrived_at: float
    keep_alive: bool
    first: bool
    ordinal: int = 0
    body: bytes = b""


@dataclass(slots=True)
class Reply:
    """One reply.

    Attributes:
      body: the bytes, or parts of them, which are sent in chunks as the client takes them.
      cut_off_bytes: so many bytes of the body are announced and not sent; then the connection ends.
      reset: send nothing, reset the connection.
      then_away_secs: once it is on its way, refuse connections for so long.
    """

    body: bytes | Iterator[bytes] = b""
    status: int = 200
    content_type: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)
    cut_off_bytes: int = 0
    reset: bool = False
    then_away_secs: float | None = None


@dataclass(frozen=True, slots=True)
class Reading:
    """How the body of a request is to be read: slowly, or not at all (the connection is reset amid it)."""

    bytes_per_sec: int | None = None
    reset: bool = False


class Handler(Protocol):
    """Answers requests."""

    def arrived(self, request: Request) -> Reading | None:
        """Takes note of a request whose header is complete; returns how to read its body, None: as usual."""

    async def answer(self, request: Request) -> Reply:
        """Returns the reply; cancelled when the client has left."""
