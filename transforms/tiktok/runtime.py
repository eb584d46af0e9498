"""What the bundles of one worker process share: connections, threads, the token and the state of the circuit."""

import functools
import math
import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

import msgspec

from transforms.connection import Connection
from transforms.tiktok.budget import TOLERANCE_SECS
from transforms.tiktok.client import EventsApi, Reply
from transforms.tiktok.exchange import Answer, Circuit, Request
from transforms.tiktok.request import Body, envelope
from transforms.tiktok.token import TokenSource
from transforms.tiktok.told import Refusals
from transforms.vocabulary import Form


class Transport(Protocol):
    """Carries one request; `EventsApi` is the real one."""

    def post(self, form: Form, body: Body, token: str) -> Reply:
        """Returns the reply; trouble on the way is a reply too, never an exception."""
        ...


class Runtime:
    """One per process and connection.

    Args:
      connection: its token reference is resolved here, so a wrong one stops the worker at once.
      transport: makes the transport.
      tokens: makes the source of the token from its reference.

    Raises:
      TokenReferenceError: the token cannot be read.
    """

    def __init__(
        self,
        connection: Connection,
        transport: Callable[[Connection], Transport] = EventsApi,
        tokens: Callable[[str], TokenSource] = TokenSource,
    ) -> None:
        self.circuit = Circuit()
        self.refusals = Refusals()
        self.envelopes = {form: envelope(connection, form) for form in Form}
        self.transport = transport(connection)
        self._pool = ThreadPoolExecutor(connection.max_in_flight, thread_name_prefix="tiktok")
        self._lock = threading.Lock()
        self._queued = 0
        self.tokens = tokens(connection.access_token or "")
        self.tokens.get()

    @property
    def has_queue(self) -> bool:
        """Returns whether something waits for a thread."""
        return self._queued > 0

    def submit(self, work: Callable[[], None]) -> None:
        """Lets a thread do something, as soon as one is free; the first come first."""
        with self._lock:
            self._queued += 1
        self._pool.submit(self._begin, work)

    def _begin(self, work: Callable[[], None]) -> None:
        with self._lock:
            self._queued -= 1
        work()


class _Job(msgspec.Struct, frozen=True):
    """A request to be sent, when, and who is told of its answer."""

    request: Request
    at: float
    answered: Callable[[Answer], bool]


class _Worker(threading.local):
    """What one thread of the pool is about to do.

    Attributes:
      is_free: it has an answer and nothing to send yet.
      job: what it sends next.
    """

    is_free = False
    job: _Job | None = None


class PooledSender:
    """The `Sender` of one bundle, on the threads of the runtime."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._worker = _Worker()
        # One entry for each answer that is to be told; None: it was acted on, else what was raised meanwhile.
        self._over: queue.SimpleQueue[BaseException | None] = queue.SimpleQueue()
        self._abandoned = threading.Event()

    def now(self) -> float:
        """Returns epoch seconds."""
        return time.time()

    def start(self, request: Request, at: float, answered: Callable[[Answer], bool]) -> None:
        """Hands a request to a thread: to this one, if it has just got an answer, as waking another takes longer.

        Unless another bundle's request waits for a thread: then it is that one's turn.
        """
        job = _Job(request, at, answered)
        if self._worker.is_free and not self._runtime.has_queue:
            self._worker.is_free, self._worker.job = False, job
        else:
            self._runtime.submit(functools.partial(self._work, job))

    def abandon(self) -> None:
        """Keeps what has not been sent yet from being sent: its bundle has failed, and nobody would record it."""
        self._abandoned.set()

    def wait(self, until: float) -> bool:
        """Returns True when an answer has been acted on that is to be told and no call told of yet.

        False if none is before a time. A defect that raised in a thread is raised here, on the bundle's thread, and
        fails the bundle.
        """
        try:
            if until == math.inf:
                error = self._over.get()
            elif (timeout := until - time.time()) > 0:
                error = self._over.get(timeout=timeout)
            else:
                error = self._over.get_nowait()
        except queue.Empty:
            return False
        if error is not None:
            raise error
        return True

    def renew_token(self, request: Request) -> bool:
        """Reads the token again; returns whether it is another than the request's last attempt had."""
        return self._runtime.tokens.refresh(request.token)

    def _work(self, job: _Job | None) -> None:
        """Sends a request, and then what this thread is handed while its answer is acted on."""
        worker = self._worker
        while job is not None:
            error, news = None, True
            try:
                answer = Answer(job.request, self._post(job.request, job.at))
                worker.is_free = not self._abandoned.is_set()
                if worker.is_free:
                    news = job.answered(answer)
            except BaseException as raised:  # noqa: BLE001  # raised again in `wait`
                error = raised
            job, worker.job, worker.is_free = worker.job, None, False
            if news:
                self._over.put(error)

    def _post(self, request: Request, at: float) -> Reply | None:
        runtime = self._runtime
        body = runtime.envelopes[request.form].around(request.payloads.joined())
        token = request.token = runtime.tokens.get()
        early = at - time.time()
        # Nearly always it is time already, and a wait of no length is still a wait.
        if early < -TOLERANCE_SECS or (self._abandoned.wait(early) if early > 0 else self._abandoned.is_set()):
            return None
        return runtime.transport.post(request.form, body, token)
