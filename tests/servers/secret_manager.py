"""Secret Manager v1 in memory, over real gRPC and with the client library's own types; as much of it as tokens need.

Behaviour follows the service: versions count from 1, `latest` is the newest whatever its state, a version that is not
enabled answers FAILED_PRECONDITION, and every payload carries its CRC32C.
"""

import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent import futures
from contextlib import contextmanager
from typing import Any

import google_crc32c
import grpc
from google.cloud.secretmanager_v1 import SecretManagerServiceClient, types
from google.cloud.secretmanager_v1.services.secret_manager_service.transports import SecretManagerServiceGrpcTransport

SERVICE = "google.cloud.secretmanager.v1.SecretManagerService"
State = types.SecretVersion.State


class SecretManager:
    """The service. Thread-safe.

    Attributes:
      accessed: names asked for by AccessSecretVersion, refused ones included, in order.
      damaged: whether payloads are damaged on their way, so that their checksum does not fit.
      without_checksum: whether payloads come without one.
    """

    def __init__(self) -> None:
        """Starts empty, on no address yet; see `serving`."""
        self.accessed: list[str] = []
        self.damaged = False
        self.without_checksum = False
        self._refusals: deque[tuple[grpc.StatusCode, str]] = deque()
        self._secrets: dict[str, list[tuple[types.SecretVersion, bytes]]] = {}
        self._lock = threading.RLock()
        self._address = ""

    def refuse(self, *codes: grpc.StatusCode, details: str = "refused by the test") -> None:
        """Refuses the next accesses, one for each code."""
        self._refusals.extend((code, details) for code in codes)

    def client(self, _location: str | None = None) -> SecretManagerServiceClient:
        """Returns a client of this server, without TLS and credentials."""
        channel = grpc.insecure_channel(self._address)
        return SecretManagerServiceClient(transport=SecretManagerServiceGrpcTransport(channel=channel))

    @contextmanager
    def serving(self) -> Iterator["SecretManager"]:
        """Serves on a free port of loopback."""
        server = grpc.server(futures.ThreadPoolExecutor(8))
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, self._handlers()),))
        self._address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
        server.start()
        try:
            yield self
        finally:
            server.stop(None).wait()

    def _handlers(self) -> dict[str, grpc.RpcMethodHandler]:
        methods: dict[str, tuple[Callable[[Any, grpc.ServicerContext], Any], Any]] = {
            "CreateSecret": (self._create, types.CreateSecretRequest),
            "AddSecretVersion": (self._add, types.AddSecretVersionRequest),
            "AccessSecretVersion": (self._access, types.AccessSecretVersionRequest),
            "EnableSecretVersion": (self._set(State.ENABLED), types.EnableSecretVersionRequest),
            "DisableSecretVersion": (self._set(State.DISABLED), types.DisableSecretVersionRequest),
            "DestroySecretVersion": (self._set(State.DESTROYED), types.DestroySecretVersionRequest),
        }
        return {
            name: grpc.unary_unary_rpc_method_handler(
                self._locked(method), request.deserialize, lambda message: type(message).serialize(message)
            )
            for name, (method, request) in methods.items()
        }

    def _locked(self, method: Callable[[Any, grpc.ServicerContext], Any]) -> Callable[[Any, grpc.ServicerContext], Any]:
        def call(request: Any, context: grpc.ServicerContext) -> Any:
            with self._lock:
                return method(request, context)

        return call

    def _create(self, request: types.CreateSecretRequest, context: grpc.ServicerContext) -> types.Secret:
        name = f"{request.parent}/secrets/{request.secret_id}"
        if name in self._secrets:
            context.abort(grpc.StatusCode.ALREADY_EXISTS, f"Secret [{name}] already exists.")
        self._secrets[name] = []
        return types.Secret(name=name)

    def _add(self, request: types.AddSecretVersionRequest, context: grpc.ServicerContext) -> types.SecretVersion:
        if request.parent not in self._secrets:
            context.abort(grpc.StatusCode.NOT_FOUND, f"Secret [{request.parent}] not found.")
        versions = self._secrets[request.parent]
        version = types.SecretVersion(name=f"{request.parent}/versions/{len(versions) + 1}", state=State.ENABLED)
        versions.append((version, request.payload.data))
        return version

    def _access(
        self, request: types.AccessSecretVersionRequest, context: grpc.ServicerContext
    ) -> types.AccessSecretVersionResponse:
        self.accessed.append(request.name)
        if self._refusals:
            context.abort(*self._refusals.popleft())
        version, data = self._find(request.name, context)
        if version.state != State.ENABLED:
            state = State(version.state).name
            context.abort(grpc.StatusCode.FAILED_PRECONDITION, f"Secret Version [{version.name}] is in {state} state.")
        payload = types.SecretPayload(data=data)
        if not self.without_checksum:
            payload.data_crc32c = google_crc32c.value(data)
        if self.damaged:
            payload.data = b"X" + data[1:]
        return types.AccessSecretVersionResponse(name=version.name, payload=payload)

    def _set(self, state: State) -> Callable[[Any, grpc.ServicerContext], types.SecretVersion]:
        def change(request: Any, context: grpc.ServicerContext) -> types.SecretVersion:
            version, _ = self._find(request.name, context)
            version.state = state
            return version

        return change

    def _find(self, name: str, context: grpc.ServicerContext) -> tuple[types.SecretVersion, bytes]:
        secret, _, number = name.rpartition("/versions/")
        versions = self._secrets.get(secret, [])
        index = len(versions) if number == "latest" else int(number) if number.isdigit() else 0
        if not 1 <= index <= len(versions):
            context.abort(grpc.StatusCode.NOT_FOUND, f"Secret Version [{name}] not found.")
        return versions[index - 1]
