"""What the bundles of one worker process share: connections, threads, the token and the state of the circuit."""

import math
import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Protocol

from transforms.connection import Connection
from transforms.model import Form
from transforms.tiktok.budget import TOLERANCE_SECS
from transforms.tiktok.client import EventsApi, Reply
from transforms.tiktok.exchange import Answer, Circuit, Request
from transforms.tiktok.request import Body, envelope
from transforms.tiktok.token import TokenSource


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
        self.envelopes = {form: envelope(connection, form) for form in Form}
        self.transport = transport(connection)
        self.pool = ThreadPoolExecutor(connection.max_in_flight, thread_name_prefix="tiktok")
        self.tokens = tokens(connection.access_token or "")
        self.tokens.get()


class PooledSender:
    """The `Sender` of one bundle, on the threads of the runtime."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._done: queue.SimpleQueue[tuple[Request, Future[Reply | None]]] = queue.SimpleQueue()
        self._abandoned = threading.Event()

    def now(self) -> float:
        """Returns epoch seconds."""
        return time.time()

    def start(self, request: Request, at: float) -> None:
        """Hands a request to a thread."""
        future = self._runtime.pool.submit(self._post, request, at)
        future.add_done_callback(lambda done: self._done.put((request, done)))

    def abandon(self) -> None:
        """Keeps what has not been sent yet from being sent: its bundle has failed, and nobody would record it."""
        self._abandoned.set()

    def wait(self, until: float) -> Answer | None:
        """Returns the next answer, or None if none comes before a time.

        A defect that raised in a thread is raised here, on the bundle's thread, and fails the bundle.
        """
        try:
            if until == math.inf:
                request, done = self._done.get()
            elif (timeout := until - time.time()) > 0:
                request, done = self._done.get(timeout=timeout)
            else:
                request, done = self._done.get_nowait()
        except queue.Empty:
            return None
        return Answer(request, done.result())

    def renew_token(self, request: Request) -> bool:
        """Reads the token again; returns whether it is another than the request's last attempt had."""
        return self._runtime.tokens.refresh(request.token)

    def _post(self, request: Request, at: float) -> Reply | None:
        runtime = self._runtime
        body = runtime.envelopes[request.form].around([payload.body for payload in request.payloads])
        token = request.token = runtime.tokens.get()
        early = at - time.time()
        if early < -TOLERANCE_SECS or self._abandoned.wait(max(early, 0.0)):
            return None
        return runtime.transport.post(request.form, body, token)
