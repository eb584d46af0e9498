"""`run --runner DataflowRunner` without a template: what cannot be reached is named, with the remedy; exit code 1."""

from pathlib import Path

import gcs_server
import pytest
import requests
from apache_beam.internal.gcp.auth import _Credentials
from apache_beam.io.filesystem import BeamIOError
from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.utils import retry
from google.api_core import exceptions
from google.auth.exceptions import DefaultCredentialsError, RefreshError, TransportError

from pipeline.cli import main as cli
from pipeline.dataflow.submission import translate_submission_errors, translate_watch_errors
from pipeline.errors import CommandError
from pipeline.ledger.files import list_files
from pipeline.storage import expand_patterns

ROOT = Path(__file__).parents[3]
MESSAGE = ROOT / "tests" / "golden" / "cases" / "01_web_batch_purchase" / "message.json"
TOKEN = "projects/acme-prod/secrets/tiktok-token/versions/latest"
NOWHERE = "http://127.0.0.1:9"
NETWORK = "Look at the network of this machine: DNS, firewall, HTTPS_PROXY"
JOB = ["--project=acme-prod", "--region=europe-west1", "--job_name=tiktok-history"]
OPTIONS = PipelineOptions(["--runner=DataflowRunner", *JOB])


@pytest.mark.usefixtures("own_process")
def test_a_dataflow_that_cannot_be_reached_is_no_defect(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    waits: list[float] = []
    # Half a minute of Beam's.
    monkeypatch.setattr(retry.Clock, "sleep", lambda _, secs: waits.append(secs))
    monkeypatch.setattr(_Credentials, "_credentials_init", True)
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
        monkeypatch.setenv(name, NOWHERE)
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "127.0.0.1,localhost")
    try:
        with gcs_server.running() as url:
            monkeypatch.setenv("STORAGE_EMULATOR_HOST", url)
            from google.cloud.storage import Client

            Client.create_anonymous_client().create_bucket("acme-staging")
            words = ["--event_source_id=A1T8T4UYGVIQA8ORZMX9", f"--access_token={TOKEN}", f"--input={MESSAGE}"]
            dataflow = ["--runner=DataflowRunner", *JOB, "--temp_location=gs://acme-staging/temp"]
            code = cli.main(["run", *words, *dataflow])
    except gcs_server.ServerUnavailableError as error:
        pytest.skip(str(error))
    said = capfd.readouterr().err
    assert code == 1
    assert said.splitlines()[-1] == (
        f"error: cannot start job tiktok-history: no answer from Dataflow (dataflow.googleapis.com). {NETWORK}, and "
        "whether the job has started all the same (`gcloud dataflow jobs list`), before you repeat this."
    )
    # Beam has tried as often as it does.
    assert len(waits) == 3


REFUSED = requests.ConnectionError(
    "Max retries exceeded", request=requests.Request("GET", "https://storage.googleapis.com/storage/v1/b/x").prepare()
)
POOL = "HTTPSConnectionPool(host='oauth2.googleapis.com', port=443): Max retries exceeded with url: /token"
CREDENTIALS = f"the server that gives credentials (oauth2.googleapis.com) cannot be reached. {NETWORK}."
STORAGE = f"Cloud Storage (storage.googleapis.com) cannot be reached. {NETWORK}. No job was started."


def unavailable_storage() -> exceptions.GoogleAPICallError:
    answer = requests.Response()
    answer.status_code = 503
    answer.request = requests.Request("GET", "https://storage.googleapis.com/storage/v1/b/x").prepare()
    return exceptions.from_http_response(answer)


@pytest.mark.parametrize(
    ("raised", "said"),
    [
        (REFUSED, STORAGE),
        (exceptions.RetryError("Timeout of 120.0s exceeded", cause=REFUSED), STORAGE),
        (exceptions.RetryError("Timeout", cause=requests.ReadTimeout()), STORAGE),
        (unavailable_storage(), "Cloud Storage answered 503. Try again later."),
        (TransportError(POOL), CREDENTIALS),
        (RefreshError(POOL), CREDENTIALS),
        (TransportError("gone"), f"the server that gives credentials cannot be reached. {NETWORK}."),
        (exceptions.ServiceUnavailable(f"Getting metadata from plugin failed with error: {POOL}"), CREDENTIALS),
        (DefaultCredentialsError("none"), "there are no credentials for Google Cloud; sign in with"),
        (exceptions.DeadlineExceeded("late"), f"no answer from Dataflow (dataflow.googleapis.com). {NETWORK}"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_each_server_is_told_apart(raised: Exception, said: str) -> None:
    with pytest.raises(CommandError) as caught, translate_submission_errors(OPTIONS, "start"):
        raise raised
    assert str(caught.value).startswith(f"cannot start job tiktok-history: {said}")
    assert caught.value.exit_code == 1


def test_another_endpoint_is_named_as_it_was_given() -> None:
    options = PipelineOptions(["--runner=DataflowRunner", *JOB, "--dataflow_endpoint=https://dataflow.p.example.com"])
    named = r"no answer from Dataflow \(dataflow\.p\.example\.com\)"
    with pytest.raises(CommandError, match=named), translate_submission_errors(options, "start"):
        raise exceptions.ServiceUnavailable("failed to connect to all addresses")


def test_a_job_that_is_not_seen_any_more_goes_on() -> None:
    remedy = r"The job goes on there; look at it with `gcloud dataflow jobs list"
    with pytest.raises(CommandError, match=remedy), translate_watch_errors(OPTIONS):
        raise AssertionError("Job did not reach to a terminal state after waiting indefinitely.")


@pytest.mark.parametrize(
    "wrapped", [translate_watch_errors, lambda options: translate_submission_errors(options, "start")]
)
@pytest.mark.parametrize("raised", [AssertionError("ours"), exceptions.ServiceUnavailable("of Pub/Sub")])
def test_what_other_runners_raise_stays_as_it_is(wrapped: object, raised: Exception) -> None:
    assert callable(wrapped)
    with pytest.raises(type(raised)), wrapped(PipelineOptions(["--runner=FnApiRunner"])):
        raise raised


def test_storage_that_cannot_be_reached_is_not_taken_for_a_mistake_in_a_pattern(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def match(patterns: list[str]) -> None:
        inner = BeamIOError("list", {patterns[0]: exceptions.RetryError("Timeout of 120.0s exceeded", cause=REFUSED)})
        raise BeamIOError("Match operation failed", {patterns[0]: inner})

    monkeypatch.setattr(FileSystems, "match", match)
    with pytest.raises(CommandError) as caught:
        expand_patterns(["gs://acme-export/*"])
    assert caught.value.exit_code == 1
    assert str(caught.value) == (
        f"--input gs://acme-export/*: its storage (storage.googleapis.com) cannot be reached (RetryError). {NETWORK}."
    )
    with pytest.raises(CommandError, match=r"^gs://acme-ledger/\*\.parquet: its storage .* cannot be reached"):
        list_files("gs://acme-ledger", "*.parquet")
