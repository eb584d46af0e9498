"""The access token: parsed from a reference, read when needed, kept for a while, never shown.

In: a reference (a Secret Manager version, `env:NAME` or `file:PATH`). Out: the token. Errors and logs name the
reference, the cause and the remedy, never a token; a reference that may be a token itself is not repeated either.

Google's libraries are loaded at the first reading from Secret Manager, not on import.
"""

import logging
import os
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from transforms.google_errors import API_DISABLED, Resource, is_api_disabled, remedy, status

if TYPE_CHECKING:
    from google.cloud.secretmanager import SecretManagerServiceClient

_log = logging.getLogger(__name__)

# Source: Secret Manager API v1, `AccessSecretVersionRequest.name`: "projects/*/secrets/*/versions/* or
# projects/*/locations/*/secrets/*/versions/*"; a version is a number, `latest` or an alias.
SECRET_VERSION: Final = re.compile(
    r"projects/[a-z0-9][a-z0-9.:-]*(?:/locations/(?P<location>[a-z0-9-]+))?"
    r"/secrets/[A-Za-z0-9_-]{1,255}/versions/[A-Za-z0-9_-]{1,63}"
)
_SECRET_WITHOUT_VERSION: Final = re.compile(r"projects/[a-z0-9.:-]+(?:/locations/[a-z0-9-]+)?/secrets/[A-Za-z0-9_-]+/?")
_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")

# TikTok's tokens are 40 hex digits. Whoever writes one behind `env:` or `file:` must not find it in a log.
_LOOKS_LIKE_TOKEN: Final = re.compile(r"[0-9a-fA-F]{32}|[A-Za-z0-9]{40}")

_MAX_TOKEN_CHARS: Final = 4_096
_FORMS: Final = "projects/PROJECT/secrets/SECRET/versions/latest, env:NAME or file:PATH"

# Once a reading has failed while an older token is at hand, the next callers go on with it for this long.
_PAUSE_SECS: Final = 30.0

_CALL_TIMEOUT_SECS: Final = 10.0


class TokenReferenceError(ValueError):
    """The reference is none, or cannot be followed (the subclass); the message names the remedy."""


class TokenUnavailableError(TokenReferenceError):
    """The reference is well formed, but no usable token could be read through it."""


@dataclass(frozen=True, slots=True)
class TokenReference:
    """Where a token is kept.

    Attributes:
      kind: which store.
      name: resource name, name of the variable, or path.
      location: of a regional secret.
    """

    kind: Literal["secret", "env", "file"]
    name: str
    location: str | None = None

    def __str__(self) -> str:
        """Returns the reference as it is written in a connection file."""
        return self.name if self.kind == "secret" else f"{self.kind}:{self.name}"


def parse_reference(reference: str) -> TokenReference:
    """Returns a reference taken apart.

    Raises:
      TokenReferenceError: it has none of the three forms; a bare token is refused like this, and not repeated.

    >>> parse_reference("env:TIKTOK_TOKEN")
    TokenReference(kind='env', name='TIKTOK_TOKEN', location=None)
    """
    text = reference.strip()
    if not text:
        raise TokenReferenceError(f"access_token is not set: write {_FORMS}.")
    if secret := SECRET_VERSION.fullmatch(text):
        return TokenReference("secret", text, secret["location"])
    if _SECRET_WITHOUT_VERSION.fullmatch(text):
        raise TokenReferenceError(f"access_token: {text} names no version: add /versions/latest.")
    kind, _, name = text.partition(":")
    if kind in ("env", "file") and _LOOKS_LIKE_TOKEN.search(name.rpartition("/")[2]):
        raise TokenReferenceError(f"access_token: {kind}: is followed by what looks like a token; write {_FORMS}.")
    if kind == "env" and _VARIABLE.fullmatch(name):
        return TokenReference("env", name)
    if kind == "file" and name and name.isprintable():
        return TokenReference("file", name)
    raise TokenReferenceError(
        "access_token must be a reference, never the token itself (what was given is not repeated here): "
        f"write {_FORMS}. If it was a token, withdraw it in TikTok's Events Manager and make a new one."
    )


def secret_manager_client(location: str | None) -> "SecretManagerServiceClient":
    """Returns a client with the machine's own credentials.

    Args:
      location: of a regional secret; None for a global one. Source: Secret Manager, "Regional secrets":
        "secretmanager.LOCATION.rep.googleapis.com".
    """
    from google.api_core.client_options import ClientOptions
    from google.cloud import secretmanager

    endpoint = f"secretmanager.{location}.rep.googleapis.com" if location else None
    return secretmanager.SecretManagerServiceClient(client_options=ClientOptions(api_endpoint=endpoint))


class TokenSource:
    """A token behind a reference, read again after a while. Safe to share between threads."""

    def __init__(
        self,
        reference: str,
        ttl_secs: float = 300.0,
        clock: Callable[[], float] = time.monotonic,
        client_factory: Callable[[str | None], "SecretManagerServiceClient"] = secret_manager_client,
        read_timeout_secs: float = 20.0,
    ) -> None:
        """Parses the reference, and raises as `parse_reference` does; reads nothing yet.

        Args:
          reference: see `parse_reference`.
          ttl_secs: how long a token is used before it is read again.
          clock: seconds, for the age of the token.
          client_factory: makes the Secret Manager client of a location (None: global).
          read_timeout_secs: how long a reading may take, repeated attempts included.
        """
        self._reference = parse_reference(reference)
        self._ttl_secs = ttl_secs
        self._clock = clock
        self._client_factory = client_factory
        self._read_timeout_secs = read_timeout_secs
        self._lock = threading.Lock()
        self._client: SecretManagerServiceClient | None = None
        self._token: str | None = None
        self._fresh_until = 0.0
        self._readings = 0

    def __repr__(self) -> str:
        """Returns the reference only."""
        return f"TokenSource({str(self._reference)!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickles the reference and the settings; leaves the token, the client and the lock behind."""
        settings = (self._ttl_secs, self._clock, self._client_factory, self._read_timeout_secs)
        return TokenSource, (str(self._reference), *settings)

    def get(self) -> str:
        """Returns the token, read again if it is older than its time.

        While one thread reads again, the others get the older token at once. If the reading fails, the older token
        stays in use, with a warning.

        Raises:
          TokenUnavailableError: it cannot be read, and there is no older one.
        """
        token = self._token
        if token is not None and (self._clock() < self._fresh_until or not self._lock.acquire(blocking=False)):
            return token
        if token is None:
            self._lock.acquire()
        try:
            if self._token is None or self._clock() >= self._fresh_until:
                self._read_again()
            return self._token or ""
        finally:
            self._lock.release()

    def refresh(self, used: str | None = None) -> bool:
        """Reads the token again now; returns whether it changed.

        Threads that ask at the same time share one reading and its answer.

        Args:
          used: the token that was refused. With it, the answer is whether the token now is another one, also if some
            other thread read that one before; without it, whether this reading brought another one.

        Raises:
          TokenUnavailableError: it cannot be read, and there is no older one.
        """
        before, readings = self._token, self._readings
        with self._lock:
            if used is not None and self._token not in (None, used):
                return True
            if self._readings == readings:
                self._read_again()
            return self._token != (before if used is None else used)

    def _read_again(self) -> None:
        """Reads the token; keeps the older one, with a warning, if that fails. The caller holds the lock."""
        try:
            token = self._read()
        except TokenUnavailableError as error:
            if self._token is None:
                raise
            _log.warning("The access token could not be read again; the one at hand stays in use. %s", error)
            self._fresh_until = self._clock() + min(_PAUSE_SECS, self._ttl_secs)
            return
        self._readings += 1
        self._token, self._fresh_until = token, self._clock() + self._ttl_secs

    def _read(self) -> str:
        readers = {"env": _read_variable, "file": _read_file, "secret": self._read_secret}
        return _checked(readers[self._reference.kind](self._reference), self._reference)

    def _read_secret(self, reference: TokenReference) -> bytes:
        import google_crc32c
        from google.api_core import exceptions, retry
        from google.auth.exceptions import GoogleAuthError

        passing = (exceptions.ServiceUnavailable, exceptions.ResourceExhausted, exceptions.DeadlineExceeded)
        limit_secs = self._read_timeout_secs
        again = retry.Retry(retry.if_exception_type(*passing), initial=0.2, maximum=5.0, timeout=limit_secs)
        # At DEBUG the client library logs whole responses, the secret included (google-cloud-secret-manager 2.32,
        # `transports/grpc.py`, `_LoggingClientInterceptor`); no log level of anybody's may reveal the token.
        logging.getLogger("google.cloud.secretmanager_v1").setLevel(logging.INFO)
        try:
            self._client = self._client or self._client_factory(reference.location)
            payload = self._client.access_secret_version(
                name=reference.name, retry=again, timeout=min(_CALL_TIMEOUT_SECS, limit_secs)
            ).payload
        except (exceptions.GoogleAPIError, GoogleAuthError) as error:
            raise _unavailable(reference, error) from None
        # Source: Secret Manager, "Data integrity": the checksum is CRC32C (Castagnoli) of the payload's data.
        if "data_crc32c" in payload and google_crc32c.value(payload.data) != payload.data_crc32c:
            raise TokenUnavailableError(f"{reference}: damaged on the way (its CRC32C does not fit). Try again.")
        return bytes(payload.data)


def _unavailable(reference: TokenReference, error: Exception) -> TokenUnavailableError:
    """Returns what Secret Manager's refusal means, by its status; its own text is left out."""
    error = getattr(error, "cause", None) or error  # of a RetryError
    name = status(error)
    if name is None:
        cause = f"no Google credentials ({type(error).__name__})"
    elif name == "PERMISSION_DENIED" and is_api_disabled(error):
        cause, name = "the Secret Manager API is not enabled", API_DISABLED
    else:
        cause = f"Secret Manager answered {name}"
    project = reference.name.split("/")[1]
    cure = remedy(Resource.SECRET, name, service="secretmanager.googleapis.com", project=project)
    return TokenUnavailableError(f"{reference}: {cause}. {cure}")


def _read_variable(reference: TokenReference) -> bytes:
    """Returns what an environment variable holds."""
    value = os.environ.get(reference.name)
    if value is None:
        raise TokenUnavailableError(
            f"{reference}: this environment variable is not set here. Export it; workers on other machines "
            "(Dataflow) do not have it either: use a Secret Manager reference there."
        )
    return os.fsencode(value)


def _read_file(reference: TokenReference) -> bytes:
    """Returns what a file holds, at most a little more than a token may have."""
    try:
        with open(reference.name, "rb") as file:
            return file.read(_MAX_TOKEN_CHARS + 1_024)
    except OSError as error:
        raise TokenUnavailableError(
            f"{reference}: {error.strerror or type(error).__name__}. Write the token to this file and let the "
            "user of this process read it; the file must exist on every worker."
        ) from None


def _checked(data: bytes, reference: TokenReference) -> str:
    """Returns the token in what was read, if it can be sent as a header."""
    token = data.decode("ascii", "replace").strip()
    if not token:
        raise TokenUnavailableError(f"{reference}: empty. Store TikTok's access token there.")
    if not (token.isascii() and token.isprintable() and " " not in token and len(token) <= _MAX_TOKEN_CHARS):
        raise TokenUnavailableError(
            f"{reference}: holds something else than a token (spaces, lines, control or non-ASCII characters, or more "
            f"than {_MAX_TOKEN_CHARS} characters). Store the access token alone, without quotes or a name."
        )
    return token
