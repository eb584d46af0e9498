"""The requests of one bundle, by what they wait for: their turn, the end of a back-off, or an answer."""

import heapq
import itertools
import math
from collections import deque
from collections.abc import Sequence

from transforms.tiktok.exchange import Request


class Line:
    """A queue, a heap and what is on its way."""

    def __init__(self) -> None:
        self._ready: deque[Request] = deque()
        self._waiting: list[tuple[float, int, Request]] = []
        self._order = itertools.count()
        self._started: dict[int, float] = {}

    def __len__(self) -> int:
        return len(self._ready) + len(self._waiting) + len(self._started)

    @property
    def state(self) -> tuple[int, int, int]:
        """Returns how many requests wait for their turn, for the end of a back-off, and for an answer."""
        return len(self._ready), len(self._waiting), len(self._started)

    @property
    def ready(self) -> int:
        """Returns how many requests could start."""
        return len(self._ready)

    @property
    def started(self) -> int:
        """Returns how many requests have no answer yet."""
        return len(self._started)

    @property
    def wakes_at(self) -> float:
        """Returns when the next back-off is over, in epoch seconds; infinite without one."""
        return self._waiting[0][0] if self._waiting else math.inf

    def add(self, request: Request) -> None:
        """Adds a request behind those that could start."""
        self._ready.append(request)

    def add_first(self, requests: Sequence[Request]) -> None:
        """Adds requests in front of those that could start, in their order."""
        self._ready.extendleft(reversed(requests))

    def add_later(self, at: float, request: Request) -> None:
        """Adds a request that could start at a time, in epoch seconds."""
        heapq.heappush(self._waiting, (at, next(self._order), request))

    def wake(self, now: float) -> None:
        """Lets those follow the ready ones whose back-off is over."""
        while self._waiting and self._waiting[0][0] <= now:
            self._ready.append(heapq.heappop(self._waiting)[2])

    def take(self) -> Request:
        """Returns the first that could start, and removes it."""
        return self._ready.popleft()

    def start(self, request: Request, at: float) -> None:
        """Notes that a request is on its way, or will be at a time."""
        self._started[id(request)] = at

    def answered(self, request: Request) -> None:
        """Notes that a request has its answer."""
        del self._started[id(request)]

    def is_under_way(self, now: float) -> bool:
        """Returns whether the time of a started request has come."""
        return any(at <= now for at in self._started.values())
