"""A Dataflow and a Cloud Storage on this machine, and `launch` against both as its user calls it."""

from collections.abc import Callable, Iterator
from typing import Any

import gcs_server
import pytest
from dataflow import Dataflow
from launching import BUCKET, JOB, NASTY, TOKEN, Done

from pipeline.cli import main as cli


@pytest.fixture(scope="session")
def storage() -> Iterator[Any]:
    """A client of a Cloud Storage that holds a connection, also under a nasty name."""
    try:
        with gcs_server.running() as url, pytest.MonkeyPatch.context() as patch:
            patch.setenv("STORAGE_EMULATOR_HOST", url)
            from google.cloud.storage import Client

            client = Client.create_anonymous_client()
            bucket = client.create_bucket(BUCKET)
            client.create_bucket(f"{BUCKET}-temp")
            text = f"event_source_id: A1T8T4UYGVIQA8ORZMX9\naccess_token: {TOKEN}\n"
            for name in ("connection.yaml", NASTY):
                bucket.blob(name).upload_from_string(text)
            bucket.blob("env.yaml").upload_from_string(text.replace(TOKEN, "env:TIKTOK_TOKEN"))
            bucket.blob("wrong.yaml").upload_from_string(f"{text}event_sorce_type: web\n")
            yield client
    except gcs_server.ServerUnavailableError as error:
        pytest.skip(str(error))


@pytest.fixture
def dataflow(storage: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Dataflow]:
    """A Dataflow of which the client library knows."""

    def read(path: str) -> bytes | None:
        bucket, _, name = path.removeprefix("gs://").partition("/")
        blob = storage.bucket(bucket).get_blob(name)
        return None if blob is None else blob.download_as_bytes()

    with Dataflow(read).serving() as server:
        monkeypatch.setenv("DATAFLOW_EMULATOR_HOST", server.address)
        yield server


@pytest.fixture
def launch(dataflow: Dataflow, capfd: pytest.CaptureFixture[str]) -> Callable[..., Done]:
    """Runs `launch` with the project and the region."""

    def run(*words: str) -> Done:
        code = cli.main(["launch", *words, *JOB])
        return Done(code, *capfd.readouterr())

    return run
