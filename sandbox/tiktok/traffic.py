"""What the sandbox counts about requests: how many, when, and how they were answered."""

import time
from collections import Counter

import msgspec

from sandbox.tiktok.store import Totals


class Replies(msgspec.Struct, frozen=True):
    """So many requests to a path were answered like this.

    Attributes:
      path: below the API's base.
      status: HTTP status; None if the connection was reset.
      code: TikTok's code; None if the reply had none that can be read.
    """

    path: str
    status: int | None
    code: int | None
    count: int


class Stats(Totals, kw_only=True):
    """All counts since the last reset; requests to `/_sandbox/` are in none of them.

    Attributes:
      requests: started requests (their header came).
      started_by_second: whole second of UTC → requests whose header came in it; the wall clock, never moved.
      replies: requests by path, HTTP status and code.
      abandoned: requests whose client left before the reply.
      most_in_flight: requests that were being answered at the same time, at most.
      connections: that carried at least one request.
      body_bytes: of request bodies, as they came over the line.
      requests_sound: requests that kept every rule, accepted or not.
      events_received: events in them. Requests that a fault or the rate limit answers are not looked into.
      clock_offset_secs: how far the sandbox's clock is ahead.
      cpu_secs: processor time of the sandbox's process since it started; no reset.
    """

    requests: int = 0
    started_by_second: dict[int, int] = {}
    replies: list[Replies] = []
    abandoned: int = 0
    most_in_flight: int = 0
    connections: int = 0
    body_bytes: int = 0
    requests_sound: int = 0
    events_received: int = 0
    clock_offset_secs: float = 0.0
    cpu_secs: float = 0.0

    def count(self, *, path: str | None = None, status: int | None = None, code: int | None = None) -> int:
        """Returns the replies with this path, status, code; None: any."""
        return sum(
            replies.count
            for replies in self.replies
            if path in (None, replies.path) and status in (None, replies.status) and code in (None, replies.code)
        )


class Traffic:
    """Counts requests."""

    def __init__(self) -> None:
        self._in_flight = 0
        self.clear()

    def clear(self) -> None:
        """Starts anew; requests under way go on."""
        self._requests = self.abandoned = self.connections = self.body_bytes = 0
        self.requests_sound = self.events_received = 0
        self._most_in_flight = self._in_flight
        self._started: Counter[int] = Counter()
        self._replies: Counter[tuple[str, int | None, int | None]] = Counter()

    def started(self, at: float) -> int:
        """Counts a request whose header came at this time; returns how many came in the same whole second."""
        self._requests += 1
        self._started[int(at)] += 1
        return self._started[int(at)]

    def entered(self) -> None:
        """Counts a request whose body is complete; `left` is to follow, answered or not."""
        self._in_flight += 1
        self._most_in_flight = max(self._most_in_flight, self._in_flight)

    def left(self) -> None:
        """Counts the end of a request."""
        self._in_flight -= 1

    def answered(self, path: str, status: int | None, code: int | None) -> None:
        """Counts a reply."""
        self._replies[path, status, code] += 1

    def stats(self, totals: Totals, clock_offset_secs: float) -> Stats:
        """Returns the counts, with those of the store."""
        return Stats(
            **msgspec.structs.asdict(totals),
            requests=self._requests,
            started_by_second=dict(self._started),
            replies=[Replies(*key, count) for key, count in sorted(self._replies.items(), key=repr)],
            abandoned=self.abandoned,
            most_in_flight=self._most_in_flight,
            connections=self.connections,
            body_bytes=self.body_bytes,
            requests_sound=self.requests_sound,
            events_received=self.events_received,
            clock_offset_secs=clock_offset_secs,
            cpu_secs=time.process_time(),
        )
