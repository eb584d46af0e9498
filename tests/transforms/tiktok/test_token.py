"""The token is read through a reference, from real stores, and shown to nobody."""

import importlib.util
import logging
import pickle
import subprocess
import sys
import threading
import traceback
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import grpc
import pytest
from google.auth.exceptions import DefaultCredentialsError

from transforms.tiktok.token import (
    TokenReference,
    TokenReferenceError,
    TokenSource,
    TokenUnavailableError,
    parse_reference,
    secret_manager_client,
)

TOKEN = "0123456789abcdef0123456789abcdef01234567"
NEW_TOKEN = "fedcba9876543210fedcba9876543210fedcba98"
SECRET_VERSION = "projects/acme-prod/secrets/tiktok-token"
LATEST = f"{SECRET_VERSION}/versions/latest"


class Clock:
    now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="session")
def secret_manager_module() -> Any:
    """Loads the server by its path: a package `tests` may be installed beside Beam, and would be found first."""
    path = Path(__file__).parents[2] / "servers" / "secret_manager.py"
    spec = importlib.util.spec_from_file_location("secret_manager_server", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def store(secret_manager_module: Any) -> Iterator[Any]:
    """A Secret Manager that holds the token as version 1 of one secret."""
    with secret_manager_module.SecretManager().serving() as server:
        admin = server.client()
        admin.create_secret(parent="projects/acme-prod", secret_id="tiktok-token", secret={})
        admin.add_secret_version(parent=SECRET_VERSION, payload={"data": TOKEN.encode()})
        yield server


@pytest.fixture(autouse=True)
def seen(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """After every test: no log record of any level holds a token, not even where only a handler would look."""
    caplog.set_level(logging.DEBUG)
    yield
    for record in caplog.get_records("call"):
        assert TOKEN not in repr(vars(record))
        assert NEW_TOKEN not in repr(vars(record))


# References


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (LATEST, TokenReference("secret", LATEST)),
        ("projects/123/secrets/A_b-9/versions/17", TokenReference("secret", "projects/123/secrets/A_b-9/versions/17")),
        (
            "projects/example.com:acme/secrets/s/versions/live",
            TokenReference("secret", "projects/example.com:acme/secrets/s/versions/live"),
        ),
        (
            "projects/acme/locations/europe-west3/secrets/s/versions/2",
            TokenReference("secret", "projects/acme/locations/europe-west3/secrets/s/versions/2", "europe-west3"),
        ),
        ("env:TIKTOK_TOKEN", TokenReference("env", "TIKTOK_TOKEN")),
        ("  env:_t1 ", TokenReference("env", "_t1")),
        ("file:/run/secrets/tiktok token", TokenReference("file", "/run/secrets/tiktok token")),
        ("file:token.txt", TokenReference("file", "token.txt")),
        ("file:C:/secrets/token", TokenReference("file", "C:/secrets/token")),
    ],
)
def test_a_reference_is_a_secret_version_a_variable_or_a_file(text: str, expected: TokenReference) -> None:
    assert parse_reference(text) == expected
    assert str(expected) == text.strip()


@pytest.mark.parametrize(
    "text",
    [
        TOKEN,
        TOKEN.upper(),
        f"env:{TOKEN}",
        f"env:x{TOKEN}",
        f"file:{TOKEN}",
        f"file:/run/secrets/{TOKEN}",
        f"Bearer {TOKEN}",
        f"projects/{TOKEN}",
        f"ENV:{TOKEN}",
        f"env:NAME={TOKEN}",
        f"file:/run/secrets/a\n{TOKEN}",
        f"{LATEST}\n{TOKEN}",
    ],
)
def test_a_bare_token_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(TokenReferenceError, match="write projects/PROJECT/secrets/SECRET/versions/latest") as caught:
        parse_reference(text)
    assert TOKEN not in "".join(traceback.format_exception(caught.value)).lower()


@pytest.mark.parametrize(
    "text",
    ["x", "env:", "env:1A", "env:A B", "env:A-B", "file:", "secret:a", "projects/p/secrets/s/versions/", "vault:a/b"],
)
def test_what_is_no_reference_is_refused_with_the_forms_that_are(text: str) -> None:
    with pytest.raises(TokenReferenceError, match="env:NAME or file:PATH"):
        parse_reference(text)


@pytest.mark.parametrize("text", ["", "  "])
def test_a_missing_reference_is_refused_as_missing(text: str) -> None:
    with pytest.raises(TokenReferenceError, match="access_token is not set"):
        TokenSource(text)


@pytest.mark.parametrize("end", ["", "/"])
def test_a_secret_without_version_is_told_what_to_add(end: str) -> None:
    with pytest.raises(TokenReferenceError, match="add /versions/latest"):
        parse_reference(SECRET_VERSION + end)


# Variables and files


def test_a_variable_is_read_and_stripped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIKTOK_TOKEN", f" {TOKEN}\n")
    assert TokenSource("env:TIKTOK_TOKEN").get() == TOKEN


def test_a_missing_variable_is_named_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TIKTOK_TOKEN", raising=False)
    with pytest.raises(TokenUnavailableError, match="^env:TIKTOK_TOKEN: .*not set.*Export it"):
        TokenSource("env:TIKTOK_TOKEN").get()


def test_a_file_is_read_and_stripped(tmp_path: Path) -> None:
    (tmp_path / "token").write_text(f"{TOKEN}\r\n")
    assert TokenSource(f"file:{tmp_path}/token").get() == TOKEN


@pytest.mark.parametrize(("name", "cause"), [("none", "No such file or directory"), ("", "Is a directory")])
def test_an_unreadable_file_is_named_with_cause_and_remedy(tmp_path: Path, name: str, cause: str) -> None:
    with pytest.raises(TokenUnavailableError, match=f"^file:.*{cause}.*let the user of this process read it"):
        TokenSource(f"file:{tmp_path}/{name}").get()


@pytest.mark.parametrize("content", [b"", b" \n\t"])
def test_an_empty_token_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "token").write_bytes(content)
    with pytest.raises(TokenUnavailableError, match="empty"):
        TokenSource(f"file:{tmp_path}/token").get()


@pytest.mark.parametrize(
    "content",
    [
        f"{TOKEN}\r\nX-Evil: 1",
        f"{TOKEN}\n{TOKEN}",
        f"access token {TOKEN}",
        f"{TOKEN}\x00",
        f"{TOKEN}\x7f",
        f"{TOKEN}é",
        f"\ufeff{TOKEN}",
        TOKEN * 200,
    ],
)
def test_what_cannot_stand_in_a_header_is_refused_and_not_repeated(tmp_path: Path, content: str) -> None:
    (tmp_path / "token").write_bytes(content.encode())
    with pytest.raises(TokenUnavailableError, match="something else than a token") as caught:
        TokenSource(f"file:{tmp_path}/token").get()
    assert TOKEN not in "".join(traceback.format_exception(caught.value))


def test_bytes_that_are_no_text_are_refused_and_not_repeated(tmp_path: Path) -> None:
    (tmp_path / "token").write_bytes(TOKEN.encode() + b"\xff")
    with pytest.raises(TokenUnavailableError, match="something else than a token") as caught:
        TokenSource(f"file:{tmp_path}/token").get()
    assert TOKEN not in "".join(traceback.format_exception(caught.value))


# Age


def test_a_token_is_used_for_its_time_and_then_read_again(tmp_path: Path, clock: Clock) -> None:
    file = tmp_path / "token"
    file.write_text(TOKEN)
    source = TokenSource(f"file:{file}", ttl_secs=300, clock=clock)
    assert source.get() == TOKEN
    file.write_text(NEW_TOKEN)
    clock.now += 299.9
    assert source.get() == TOKEN
    clock.now += 0.1
    assert source.get() == NEW_TOKEN


def test_refresh_reads_now_and_tells_whether_the_token_changed(tmp_path: Path, clock: Clock) -> None:
    file = tmp_path / "token"
    file.write_text(TOKEN)
    source = TokenSource(f"file:{file}", clock=clock)
    source.get()
    assert source.refresh() is False
    file.write_text(NEW_TOKEN)
    assert source.refresh() is True
    assert source.get() == NEW_TOKEN
    assert source.refresh() is False


def test_refresh_knows_that_the_refused_token_is_not_the_one_at_hand(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(TOKEN)
    source = TokenSource(f"file:{file}")
    source.get()
    file.write_text(NEW_TOKEN)
    assert source.refresh(TOKEN) is True
    file.unlink()
    assert source.refresh(TOKEN) is True
    assert source.refresh(NEW_TOKEN) is False


def test_a_token_at_hand_outlives_a_store_that_fails(
    tmp_path: Path, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "token"
    file.write_text(TOKEN)
    source = TokenSource(f"file:{file}", ttl_secs=300, clock=clock)
    source.get()
    file.unlink()
    clock.now += 300
    assert source.get() == TOKEN
    assert source.refresh() is False
    warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warnings) == 2
    assert "the one at hand stays in use" in warnings[0]
    assert "No such file" in warnings[0]


def test_a_store_that_fails_is_asked_again_after_a_pause(
    tmp_path: Path, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "token"
    file.write_text(TOKEN)
    source = TokenSource(f"file:{file}", ttl_secs=300, clock=clock)
    source.get()
    file.unlink()
    clock.now += 300
    assert [source.get() for _ in range(5)] == [TOKEN] * 5
    assert len(caplog.records) == 1
    file.write_text(NEW_TOKEN)
    clock.now += 29
    assert source.get() == TOKEN
    clock.now += 1
    assert source.get() == NEW_TOKEN


def test_without_a_token_at_hand_a_store_that_fails_is_an_error_every_time(tmp_path: Path) -> None:
    source = TokenSource(f"file:{tmp_path}/none")
    for read in (source.get, source.refresh, source.get):
        with pytest.raises(TokenUnavailableError):
            read()
    (tmp_path / "none").write_text(TOKEN)
    assert source.get() == TOKEN


# Secret Manager


def test_a_secret_version_is_read_once_for_its_time(store: Any, clock: Clock) -> None:
    source = TokenSource(LATEST, clock=clock, client_factory=store.client)
    assert [source.get() for _ in range(3)] == [TOKEN] * 3
    assert store.accessed == [LATEST]


def test_a_new_version_is_picked_up_after_its_time_and_on_refresh(store: Any, clock: Clock) -> None:
    timed = TokenSource(LATEST, clock=clock, client_factory=store.client)
    asked = TokenSource(LATEST, clock=clock, client_factory=store.client)
    pinned = TokenSource(f"{SECRET_VERSION}/versions/1", clock=clock, client_factory=store.client)
    assert {timed.get(), asked.get(), pinned.get()} == {TOKEN}
    store.client().add_secret_version(parent=SECRET_VERSION, payload={"data": NEW_TOKEN.encode() + b"\n"})
    assert asked.refresh() is True
    assert pinned.refresh() is False
    assert (timed.get(), asked.get(), pinned.get()) == (TOKEN, NEW_TOKEN, TOKEN)
    clock.now += 300
    assert (timed.get(), pinned.get()) == (NEW_TOKEN, TOKEN)


@pytest.mark.parametrize("code", [grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED])
def test_a_passing_failure_is_tried_again(store: Any, code: grpc.StatusCode) -> None:
    store.refuse(code, code)
    assert TokenSource(LATEST, client_factory=store.client).get() == TOKEN
    assert len(store.accessed) == 3


def test_a_lasting_failure_ends_in_time_with_the_remedy(store: Any) -> None:
    store.refuse(*[grpc.StatusCode.UNAVAILABLE] * 100)
    source = TokenSource(LATEST, client_factory=store.client, read_timeout_secs=0.3)
    with pytest.raises(TokenUnavailableError, match=f"^{LATEST}: Secret Manager answered UNAVAILABLE. Try again later"):
        source.get()


def test_a_lasting_failure_leaves_the_token_at_hand_in_use(store: Any, clock: Clock) -> None:
    source = TokenSource(LATEST, clock=clock, client_factory=store.client, read_timeout_secs=0.3)
    source.get()
    store.refuse(*[grpc.StatusCode.UNAVAILABLE] * 100)
    clock.now += 300
    assert source.get() == TOKEN
    assert source.refresh() is False


@pytest.mark.parametrize(
    ("reference", "code", "details", "expected"),
    [
        (
            LATEST,
            grpc.StatusCode.PERMISSION_DENIED,
            "Permission 'secretmanager.versions.access' denied",
            "Secret Manager answered PERMISSION_DENIED. Grant roles/secretmanager.secretAccessor",
        ),
        (
            LATEST,
            grpc.StatusCode.PERMISSION_DENIED,
            "Secret Manager API has not been used in project 123 before or it is disabled.",
            "the Secret Manager API is not enabled. "
            "Run: gcloud services enable secretmanager.googleapis.com --project=acme-prod",
        ),
        (LATEST, grpc.StatusCode.UNAUTHENTICATED, "", "UNAUTHENTICATED. Run: gcloud auth application-default login"),
        (LATEST, grpc.StatusCode.INVALID_ARGUMENT, "", "INVALID_ARGUMENT. Correct the reference"),
        (LATEST, grpc.StatusCode.INTERNAL, "", "INTERNAL. Try again later"),
        (f"{SECRET_VERSION}/versions/9", None, "", "NOT_FOUND. Correct the reference, or create the secret"),
        ("projects/acme-prod/secrets/other/versions/latest", None, "", "`gcloud secrets list --project=acme-prod`"),
    ],
)
def test_a_refusal_names_reference_cause_and_remedy(
    store: Any, reference: str, code: grpc.StatusCode | None, details: str, expected: str
) -> None:
    if code:
        store.refuse(code, details=details)
    with pytest.raises(TokenUnavailableError) as caught:
        TokenSource(reference, client_factory=store.client).get()
    assert str(caught.value).startswith(f"{reference}: ")
    assert expected in str(caught.value)
    assert len(store.accessed) == 1


def test_a_disabled_version_is_an_error_until_it_is_enabled(store: Any) -> None:
    version = f"{SECRET_VERSION}/versions/1"
    store.client().disable_secret_version(name=version)
    source = TokenSource(LATEST, client_factory=store.client)
    with pytest.raises(TokenUnavailableError, match="FAILED_PRECONDITION. This version is disabled or destroyed"):
        source.get()
    store.client().enable_secret_version(name=version)
    assert source.get() == TOKEN


def test_a_payload_that_does_not_fit_its_checksum_is_refused_and_not_repeated(store: Any) -> None:
    store.damaged = True
    source = TokenSource(LATEST, client_factory=store.client)
    with pytest.raises(TokenUnavailableError, match="damaged on the way") as caught:
        source.get()
    assert TOKEN[1:] not in "".join(traceback.format_exception(caught.value))
    store.damaged = False
    assert source.get() == TOKEN


def test_a_payload_without_checksum_is_taken(store: Any) -> None:
    store.without_checksum = True
    assert TokenSource(LATEST, client_factory=store.client).get() == TOKEN


def test_missing_credentials_are_told_apart() -> None:
    def without_credentials(_: str | None) -> Any:
        raise DefaultCredentialsError("Your default credentials were not found.")

    with pytest.raises(
        TokenUnavailableError, match=r"no Google credentials \(DefaultCredentialsError\). Run: gcloud auth"
    ):
        TokenSource(LATEST, client_factory=without_credentials).get()


def test_a_regional_secret_is_asked_for_in_its_region(store: Any) -> None:
    reference = "projects/acme-prod/locations/europe-west3/secrets/tiktok-token/versions/latest"
    regions: list[str | None] = []

    def client(location: str | None) -> Any:
        regions.append(location)
        return store.client()

    with pytest.raises(TokenUnavailableError, match="NOT_FOUND"):
        TokenSource(reference, client_factory=client).get()
    assert (regions, store.accessed) == (["europe-west3"], [reference])


@pytest.mark.parametrize(
    ("location", "host"),
    [(None, "secretmanager.googleapis.com"), ("europe-west3", "secretmanager.europe-west3.rep.googleapis.com")],
)
def test_the_clients_of_regions_have_their_own_hosts(
    monkeypatch: pytest.MonkeyPatch, location: str | None, host: str
) -> None:
    made: list[Any] = []
    monkeypatch.setattr(
        "google.cloud.secretmanager.SecretManagerServiceClient",
        lambda client_options: made.append(client_options) or SimpleNamespace(),  # needs credentials otherwise
    )
    secret_manager_client(location)
    assert (made[0].api_endpoint or "secretmanager.googleapis.com") == host


def test_not_even_the_debug_log_of_googles_library_shows_the_token(store: Any) -> None:
    records: list[logging.LogRecord] = []
    handler = logging.Handler()
    handler.emit = records.append  # type: ignore[method-assign]
    google = logging.getLogger("google")
    level = google.level
    google.addHandler(handler)
    google.setLevel(logging.DEBUG)
    try:
        assert TokenSource(LATEST, client_factory=store.client).get() == TOKEN
    finally:
        google.removeHandler(handler)
        google.setLevel(level)
    # The library would log the payload in base64.
    shown = repr([vars(record) for record in records])
    assert TOKEN not in shown
    assert "MDEyMzQ1Njc4OWFiY2RlZj" not in shown


# Threads


def test_threads_share_the_first_reading(store: Any) -> None:
    source = TokenSource(LATEST, client_factory=store.client)
    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(lambda _: source.get(), range(50))) == {TOKEN}
    assert len(store.accessed) == 1


def test_while_one_thread_reads_again_the_others_go_on_with_the_older_token(store: Any, clock: Clock) -> None:
    entered, go_on = threading.Event(), threading.Event()
    client = store.client()

    class Slow:
        def access_secret_version(self, **request: Any) -> Any:
            if store.accessed:
                entered.set()
                go_on.wait(5)
            return client.access_secret_version(**request)

    source = TokenSource(LATEST, clock=clock, client_factory=lambda _: Slow())  # type: ignore[arg-type,return-value]
    source.get()
    store.client().add_secret_version(parent=SECRET_VERSION, payload={"data": NEW_TOKEN.encode()})
    clock.now += 300
    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(source.get)
        assert entered.wait(5)
        assert source.get() == TOKEN
        go_on.set()
        assert reading.result(5) == NEW_TOKEN
    assert source.get() == NEW_TOKEN


def test_threads_that_refresh_together_share_one_reading_and_its_answer(store: Any) -> None:
    gate = threading.Barrier(8)
    source = TokenSource(LATEST, client_factory=store.client)
    source.get()
    store.client().add_secret_version(parent=SECRET_VERSION, payload={"data": NEW_TOKEN.encode()})

    def refresh(_: int) -> bool:
        gate.wait(5)
        return source.refresh(TOKEN)

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(refresh, range(8))) == {True}
    assert len(store.accessed) == 2


# Secrecy


def test_repr_and_pickle_hold_the_reference_and_not_the_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIKTOK_TOKEN", TOKEN)
    source = TokenSource("env:TIKTOK_TOKEN", ttl_secs=60)
    source.get()
    pickled = pickle.dumps(source)
    assert TOKEN.encode() not in pickled
    assert repr(source) == "TokenSource('env:TIKTOK_TOKEN')"
    monkeypatch.setenv("TIKTOK_TOKEN", NEW_TOKEN)
    assert pickle.loads(pickled).get() == NEW_TOKEN  # noqa: S301 - our own bytes


def test_importing_the_module_loads_nothing_of_googles() -> None:
    program = """
import sys, transforms.tiktok.token
sys.exit(any(name in sys.modules for name in ("grpc", "google.auth", "google.api_core", "google.cloud.secretmanager")))
"""
    subprocess.run([sys.executable, "-c", program], cwd=Path(__file__).parents[3], check=True)  # noqa: S603 - our own
