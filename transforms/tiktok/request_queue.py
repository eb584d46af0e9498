"""The queue of one bundle: requests by what they wait for, their turn, the end of a back-off, or an answer."""

import heapq
import itertools
import math
from collections import deque
from collections.abc import Sequence

from transforms.tiktok.request_state import RequestState


class RequestQueue:
    """Requests that are ready, that wait for the end of a back-off, and that are on their way."""

    def __init__(self) -> None:
        self._ready: deque[RequestState] = deque()
        self._backing_off: list[tuple[float, int, RequestState]] = []
        self._order = itertools.count()
        self._started: dict[int, float] = {}

    def __len__(self) -> int:
        return len(self._ready) + len(self._backing_off) + len(self._started)

    @property
    def counts(self) -> tuple[int, int, int]:
        """Returns how many requests wait for their turn, for the end of a back-off, and for an answer."""
        return len(self._ready), len(self._backing_off), len(self._started)

    @property
    def ready_count(self) -> int:
        """Returns how many requests could start."""
        return len(self._ready)

    @property
    def started_count(self) -> int:
        """Returns how many requests have no answer yet."""
        return len(self._started)

    @property
    def wakes_at(self) -> float:
        """Returns when the next back-off is over, in epoch seconds; infinite without one."""
        return self._backing_off[0][0] if self._backing_off else math.inf

    def add(self, request: RequestState) -> None:
        """Adds a request behind those that could start."""
        self._ready.append(request)

    def add_first(self, requests: Sequence[RequestState]) -> None:
        """Adds requests in front of those that could start, in their order."""
        self._ready.extendleft(reversed(requests))

    def add_later(self, at: float, request: RequestState) -> None:
        """Adds a request that could start at a time, in epoch seconds."""
        heapq.heappush(self._backing_off, (at, next(self._order), request))

    def wake(self, now: float) -> None:
        """Lets those follow the ready ones whose back-off is over."""
        while self._backing_off and self._backing_off[0][0] <= now:
            self._ready.append(heapq.heappop(self._backing_off)[2])

    def take(self) -> RequestState:
        """Returns the first that could start, and removes it."""
        return self._ready.popleft()

    def note_started(self, request: RequestState, at: float) -> None:
        """Notes that a request is on its way, or will be at a time."""
        self._started[id(request)] = at

    def note_answered(self, request: RequestState) -> None:
        """Notes that a request has its answer."""
        del self._started[id(request)]

    def is_under_way(self, now: float) -> bool:
        """Returns whether the time of a started request has come."""
        return any(at <= now for at in self._started.values())
