"""Mistakes in a launch are told before anything is asked of Google Cloud; no token is repeated."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from dataflow import Dataflow
from launching import BUCKET, STREAM, Done

Launch = Callable[..., Done]
TOKEN = "0123456789abcdef0123456789abcdef01234567"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "launch: name what to start, stream, history, replay, or give --drain JOB."),
        (["straem"], '"straem" is no template; one of stream, history, replay is needed. Did you mean "stream"?'),
        ([*STREAM, "--ledgr", "gs://acme-b/l"], "unknown flag --ledgr. Did you mean --ledger?"),
        (
            [*STREAM, "--input", "gs://acme-b/x"],
            "--input: this value is not allowed; one of auto, feed, web is",
        ),
        (STREAM[:-2], "--subscription is missing."),
        ([*STREAM, "--layout", "auto"], "unknown flag --layout."),
        (STREAM[:1] + STREAM[3:], "--template is missing: name the container spec"),
        ([*STREAM, "--template", "stream.json"], "--template:"),
        ([*STREAM, "--job_name", "Stream_1"], '--job_name: "Stream_1" is not allowed'),
        ([*STREAM, "--subnetwork", "private"], "--subnetwork:"),
        ([*STREAM, "--max_workers", "many"], "--max_workers:"),
        ([*STREAM, "--label", "Team=x"], '--label: "Team=x" is not allowed'),
        ([*STREAM, "--label", "1=x"], "--label:"),
        ([*STREAM, "--label", f"a={'x' * 64}"], "--label:"),
        ([*STREAM, "--label", f"a={'大' * 43}"], "--label:"),
        ([*STREAM, "--label", "a=b", "--label", "a=c"], '--label: "a" is given twice.'),
        ([*STREAM, *(f"--label=a{n}=" for n in range(65))], "65 are given; a job has at most 64."),
        ([*STREAM, "--transform_name_mapping", "{}"[:1]], "--transform_name_mapping: no JSON"),
        ([*STREAM, "--update", "--transform_name_mapping", '{"a": 1}'], "names by names are needed"),
        ([*STREAM, "--transform_name_mapping", '{"a": "b"}'], "belongs to --update"),
        ([*STREAM, "--wait", "--validate_only"], "--wait and --validate_only"),
        ([*STREAM, "--drain", "tiktok-stream"], "--drain: ends a stream and launches nothing"),
        ([*STREAM, "--stage", "gs://acme-b/t"], "--stage: stages a classic template; add --classic."),
        (["history", "--classic", "--stage", "gs://acme-b/t"], "only the stream has a classic template"),
        (["stream", "--classic"], "give --stage PATH to write the template, or --template PATH to start it."),
        (["history", "--update", "--template", "gs://acme-b/t"], "--update: only a stream can be updated"),
        ([*STREAM, "--consent", "{}", "--consent.gdpr_missing", "drop"], "give one of them"),
        ([*STREAM, "--since", "yesterday"], "--since:"),
        ([*STREAM, "--job_name", ""], '--job_name: "" is not allowed'),
        (["--drain", ""], "--drain: is empty; give the name or the id of the stream"),
        ([*STREAM, "--num_workers", "5", "--max_workers", "2"], "--num_workers: 5 is above --max_workers 2"),
        ([*STREAM, "--update", "--transform_name_mapping", "steps.jsn"], '--transform_name_mapping: "steps.jsn" is'),
    ],
    ids=lambda value: " ".join(value[-2:])[:30] if isinstance(value, list) else "",
)
def test_a_mistake_is_told_with_its_remedy(dataflow: Dataflow, launch: Launch, words: list[str], said: str) -> None:
    done = launch(*words)
    assert done.code == 2
    assert said in done.err
    assert dataflow.calls == []


def test_what_to_start_is_asked_for_first(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    from pipeline.cli import main as cli

    monkeypatch.delenv("GOOGLE_CLOUD_PROJECT", raising=False)
    assert cli.main(["launch"]) == 2
    assert "launch: name what to start" in capfd.readouterr().err


def test_a_connection_without_a_token_is_told_what_workers_can_follow(storage: Any, launch: Launch) -> None:
    storage.bucket(BUCKET).blob("bare.yaml").upload_from_string("event_source_id: A1T8T4UYGVIQA8ORZMX9\n")
    done = launch(*STREAM, "--connection", f"gs://{BUCKET}/bare.yaml")
    assert done.code == 2
    assert "such as projects/acme-prod/secrets/tiktok-token/versions/latest" in done.err
    assert "env:" not in done.err


def test_project_and_region_may_be_those_of_the_environment(
    dataflow: Dataflow, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    from pipeline.cli import main as cli

    for name in ("GOOGLE_CLOUD_PROJECT", "GOOGLE_CLOUD_REGION"):
        monkeypatch.delenv(name, raising=False)
    assert cli.main(["launch", *STREAM]) == 2
    assert "--project is missing; give it, such as --project acme-prod." in capfd.readouterr().err
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "acme-test")
    monkeypatch.setenv("GOOGLE_CLOUD_REGION", "us-east1")
    assert cli.main(["launch", *STREAM]) == 0
    assert (dataflow.flex[0].project_id, dataflow.flex[0].location) == ("acme-test", "us-east1")


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (TOKEN, "a token itself would be readable by everybody who may see the job"),
        ("env:TIKTOK_TOKEN", "env: and file: name things of this machine"),
        ("file:/secrets/token", "env: and file: name things of this machine"),
        ("projects/acme-prod/secrets/tiktok-token", "put the token into Secret Manager and name its version"),
    ],
)
def test_the_token_is_named_and_never_given(dataflow: Dataflow, launch: Launch, value: str, said: str) -> None:
    done = launch(*STREAM, "--access_token", value)
    assert done.code == 2
    assert said in done.err
    assert "projects/acme-prod/secrets/tiktok-token/versions/latest" in done.err
    assert TOKEN not in done.err
    assert dataflow.calls == []


@pytest.mark.parametrize("name", ["run_id", "partner_name", "test_event_code", "event_source_id", "consent", "codes"])
def test_no_other_parameter_carries_a_token(dataflow: Dataflow, launch: Launch, name: str) -> None:
    value = f"{{gdpr_purpose: {TOKEN}}}" if name in ("consent", "codes") else TOKEN
    done = launch(*STREAM, f"--{name}", value)
    assert done.code == 2
    assert f"--{name}: this value looks like an access token" in done.err
    assert TOKEN not in done.err
    assert dataflow.calls == []


@pytest.mark.parametrize(
    ("name", "value"), [("connection", "connection.yaml"), ("ledger", "ledger"), ("quarantine", "q")]
)
def test_files_of_this_machine_are_refused(dataflow: Dataflow, launch: Launch, name: str, value: str) -> None:
    done = launch(*STREAM, f"--{name}", value)
    assert done.code == 2
    assert f"--{name}: a job on Dataflow reads and writes Cloud Storage only" in done.err
    assert "`gcloud storage cp FILE gs://" in done.err
    assert dataflow.calls == []


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("env.yaml", "access_token is a reference that only its own machine can follow"),
        ("wrong.yaml", 'Did you mean "event_source_type"?'),
        ("none.yaml", "cannot be read"),
    ],
)
def test_the_connection_is_read_before_a_machine_starts(
    dataflow: Dataflow, launch: Launch, name: str, said: str
) -> None:
    done = launch(*STREAM, "--connection", f"gs://{BUCKET}/{name}")
    assert done.code == 2
    assert said in done.err
    assert dataflow.calls == []


@contextmanager
def refusing_storage() -> Iterator[str]:
    """A Cloud Storage in which this account may read nothing."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:  # noqa: N802  # the library's name
            self.send_error(403)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def test_a_connection_that_only_the_job_may_read_does_not_stop_a_launch(
    dataflow: Dataflow, launch: Launch, monkeypatch: pytest.MonkeyPatch
) -> None:
    with refusing_storage() as url:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", url)
        done = launch(*STREAM)
        assert "not checked, because it cannot be read from here" in done.err
        assert done.code == 0, done.err
        assert len(dataflow.flex) == 1
        # What does not need the file is checked all the same.
        assert launch(*STREAM, "--since", "2024-02-31").code == 2
        assert len(dataflow.flex) == 1
