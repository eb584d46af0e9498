"""The threads that send, and what the bundles of one worker process share beside them: connections, token, circuit."""

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
from transforms.tiktok.circuit import Circuit
from transforms.tiktok.client import ApiReply, EventsApi
from transforms.tiktok.envelope import RequestBody, make_envelope
from transforms.tiktok.request_logs import RefusalLog
from transforms.tiktok.request_state import RequestState
from transforms.tiktok.token import TokenSource
from transforms.vocabulary import Form


class SendResult(msgspec.Struct, frozen=True):
    """What a sender hands back: the reply, or None if the request was not started because its slot had passed."""

    request: RequestState
    reply: ApiReply | None


class Sender(Protocol):
    """Sends requests from threads, and has the clock; the tests' sender has one of its own."""

    def now(self) -> float:
        """Returns epoch seconds."""
        ...

    def start(self, request: RequestState, at: float, answered: Callable[[SendResult], bool]) -> None:
        """Sends a request at a time, or hands it back unsent if it is more than `TOLERANCE_SECS` late.

        Args:
          request: not on its way yet.
          at: epoch seconds.
          answered: called with the result, from any thread; returns whether `wait` should report it.
        """
        ...

    def wait(self, until: float) -> bool:
        """Returns True when a result has been acted on that is to be reported, and no call has reported yet.

        False if none is before a time.
        """
        ...

    def renew_token(self, request: RequestState) -> bool:
        """Reads the token again; returns whether it is another than the request's last attempt had."""
        ...


class Transport(Protocol):
    """Carries one request; `EventsApi` is the real one."""

    def post(self, form: Form, body: RequestBody, token: str) -> ApiReply:
        """Returns the reply; trouble on the way is a reply too, never an exception."""
        ...


class SenderPool:
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
        self.refusal_log = RefusalLog()
        self.envelopes = {form: make_envelope(connection, form) for form in Form}
        self.transport = transport(connection)
        self._pool = ThreadPoolExecutor(connection.max_in_flight, thread_name_prefix="tiktok")
        self._lock = threading.Lock()
        self._waiting_count = 0
        self.tokens = tokens(connection.access_token or "")
        self.tokens.get()

    @property
    def has_waiting(self) -> bool:
        """Returns whether something waits for a thread."""
        return self._waiting_count > 0

    def submit(self, work: Callable[[], None]) -> None:
        """Lets a thread do something, as soon as one is free; the first come first."""
        with self._lock:
            self._waiting_count += 1
        self._pool.submit(self._run, work)

    def _run(self, work: Callable[[], None]) -> None:
        with self._lock:
            self._waiting_count -= 1
        work()


class _Job(msgspec.Struct, frozen=True):
    """A request to be sent, when, and what is called with its result."""

    request: RequestState
    at: float
    answered: Callable[[SendResult], bool]


class _Worker(threading.local):
    """What one thread of the pool is about to do.

    Attributes:
      is_free: it has a result and nothing to send yet.
      job: what it sends next.
    """

    is_free = False
    job: _Job | None = None


class PooledSender:
    """The `Sender` of one bundle, on the threads of the pool."""

    def __init__(self, pool: SenderPool) -> None:
        self._pool = pool
        self._worker = _Worker()
        # One entry for each result that is to be reported; None: it was acted on, else what was raised meanwhile.
        self._reports: queue.SimpleQueue[BaseException | None] = queue.SimpleQueue()
        self._abandoned = threading.Event()

    def now(self) -> float:
        """Returns epoch seconds."""
        return time.time()

    def start(self, request: RequestState, at: float, answered: Callable[[SendResult], bool]) -> None:
        """Hands a request to a thread: to this one, if it has just got a result, as waking another takes longer.

        Unless another bundle's request waits for a thread: then it is that one's turn.
        """
        job = _Job(request, at, answered)
        if self._worker.is_free and not self._pool.has_waiting:
            self._worker.is_free, self._worker.job = False, job
        else:
            self._pool.submit(functools.partial(self._work, job))

    def abandon(self) -> None:
        """Keeps what has not been sent yet from being sent: its bundle has failed, and nobody would record it."""
        self._abandoned.set()

    def wait(self, until: float) -> bool:
        """Returns True when a result has been acted on that is to be reported, and no call has reported yet.

        False if none is before a time. A defect that raised in a thread is raised here, on the bundle's thread, and
        fails the bundle.
        """
        try:
            if until == math.inf:
                error = self._reports.get()
            elif (timeout := until - time.time()) > 0:
                error = self._reports.get(timeout=timeout)
            else:
                error = self._reports.get_nowait()
        except queue.Empty:
            return False
        if error is not None:
            raise error
        return True

    def renew_token(self, request: RequestState) -> bool:
        """Reads the token again; returns whether it is another than the request's last attempt had."""
        return self._pool.tokens.refresh(request.token)

    def _work(self, job: _Job | None) -> None:
        """Sends a request, and then what this thread is handed while the result is acted on."""
        worker = self._worker
        while job is not None:
            error, is_reported = None, True
            try:
                result = SendResult(request=job.request, reply=self._post(job.request, job.at))
                worker.is_free = not self._abandoned.is_set()
                if worker.is_free:
                    is_reported = job.answered(result)
            except BaseException as raised:  # noqa: BLE001  # raised again in `wait`
                error = raised
            job, worker.job, worker.is_free = worker.job, None, False
            if is_reported:
                self._reports.put(error)

    def _post(self, request: RequestState, at: float) -> ApiReply | None:
        pool = self._pool
        body = pool.envelopes[request.form].body(request.payloads.joined_bodies())
        token = request.token = pool.tokens.get()
        wait_secs = at - time.time()
        # Nearly always it is time already, and a wait of no length is still a wait.
        if wait_secs < -TOLERANCE_SECS or (
            self._abandoned.wait(wait_secs) if wait_secs > 0 else self._abandoned.is_set()
        ):
            return None
        return pool.transport.post(request.form, body, token)
