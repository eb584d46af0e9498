"""A classic template: staged by Beam into a Cloud Storage on this machine, then started by a Dataflow there."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from apache_beam.internal.gcp.auth import _Credentials
from apache_beam.portability.api import beam_runner_api_pb2
from dataflow import Dataflow, State
from google.cloud.dataflow_v1beta3 import types
from launching import BUCKET, CONNECTION, SUBSCRIPTION, TOKEN, Done

Launch = Callable[..., Done]
TEMPLATE = f"gs://{BUCKET}/templates/stream-classic"
IMAGE = "europe-docker.pkg.dev/acme-prod/tiktok/events:1"
STAGE = ["stream", "--classic", "--stage", TEMPLATE, "--connection", CONNECTION, "--subscription", SUBSCRIPTION]
STAGE += ["--temp_location", f"gs://{BUCKET}/temp", "--sdk_container_image", IMAGE]
STAGE += ["--ledger", f"gs://{BUCKET}/ledger", "--requests_per_second", "7", "--label", "team=growth"]


@pytest.fixture(autouse=True)
def _anonymous(monkeypatch: pytest.MonkeyPatch) -> None:
    # Beam looks for credentials for half a minute, whatever its options say.
    monkeypatch.setattr(_Credentials, "_credentials_init", True)


def objects(storage: Any) -> dict[str, bytes]:
    return {f"gs://{BUCKET}/{blob.name}": blob.download_as_bytes() for blob in storage.list_blobs(BUCKET)}


def test_it_is_staged_with_all_steps_and_without_a_secret(storage: Any, launch: Launch, dataflow: Dataflow) -> None:
    before = set(objects(storage))
    done = launch(*STAGE)
    assert done.code == 0, done.err
    assert f"Job object written to {TEMPLATE}" in done.out
    # Nothing was asked of Dataflow.
    assert dataflow.calls == []

    staged = {name: content for name, content in objects(storage).items() if name not in before}
    template = json.loads(staged[TEMPLATE])
    assert template["type"] == "JOB_TYPE_STREAMING"
    options = template["environment"]["sdkPipelineOptions"]["options"]
    graph = beam_runner_api_pb2.Pipeline.FromString(staged[options["pipelineUrl"]])
    names = {step.unique_name for step in graph.components.transforms.values()}
    assert {"ReadMessages", "DecodeMessages", "HashIdentities", "WriteToTikTok", "RecordWrite"} <= names
    (read,) = [one for one in graph.components.transforms.values() if one.spec.urn == "beam:transform:pubsub_read:v1"]
    assert SUBSCRIPTION.encode() in read.spec.payload
    # The workers have this package from their image, so that nothing of it is staged.
    images = [environment.payload for environment in graph.components.environments.values()]
    assert images
    assert all(IMAGE.encode() in payload for payload in images)
    assert [name for name in staged if name.endswith((".tar.gz", ".whl"))] == []
    assert template["labels"] == {"team": "growth"}

    # The token itself is nowhere known here; its name is what travels, and only in the steps.
    assert TOKEN.encode() not in staged[TEMPLATE]


def test_the_staged_template_is_started_and_drained(launch: Launch, dataflow: Dataflow) -> None:
    assert launch(*STAGE).code == 0
    done = launch("stream", "--classic", "--template", TEMPLATE, "--max_workers", "2", "--label", "a=b", "--wait")
    assert done.code == 0, done.err
    (request,) = dataflow.classic
    assert request.gcs_path == TEMPLATE
    assert dict(request.launch_parameters.parameters) == {}
    assert request.launch_parameters.environment.max_workers == 2
    (job,) = dataflow.jobs.values()
    assert job.type_ == types.JobType.JOB_TYPE_STREAMING
    assert launch("--drain", "tiktok-stream", "--wait").code == 0
    assert job.current_state == State.JOB_STATE_DRAINED


def test_its_values_are_fixed_when_it_is_staged(launch: Launch, dataflow: Dataflow) -> None:
    done = launch("stream", "--classic", "--template", TEMPLATE, "--ledger", f"gs://{BUCKET}/ledger")
    assert done.code == 2
    assert "--ledger: the values of a classic template are fixed when it is staged; stage it again" in done.err
    assert dataflow.calls == []


def test_a_template_that_was_not_staged_is_told(launch: Launch) -> None:
    done = launch("stream", "--classic", "--template", f"gs://{BUCKET}/templates/none")
    assert done.code == 1
    assert f"Look with `gcloud storage ls gs://{BUCKET}/templates/none`" in done.err


@pytest.mark.parametrize(
    ("without", "said"),
    [
        ("--sdk_container_image", "--sdk_container_image is missing: the workers of a classic template need the image"),
        ("--temp_location", "--temp_location is missing: Beam stages the pipeline below a gs:// folder."),
        ("--subscription", "subscription is missing."),
    ],
)
def test_what_it_cannot_do_without_is_told(storage: Any, launch: Launch, without: str, said: str) -> None:
    place = STAGE.index(without)
    before = set(objects(storage))
    done = launch(*STAGE[:place], *STAGE[place + 2 :])
    assert done.code == 2
    assert said in done.err
    assert set(objects(storage)) == before


@pytest.mark.parametrize("flag", ["--wait", "--validate_only", "--update"])
def test_staging_starts_nothing_to_wait_for(launch: Launch, flag: str) -> None:
    done = launch(*STAGE, flag)
    assert done.code == 2
    assert f"{flag}: nothing is started with --stage; remove it" in done.err


def test_what_the_workers_need_is_staged_with_it(storage: Any, launch: Launch) -> None:
    words = {
        "--service_account_email": "worker@acme-prod.iam.gserviceaccount.com",
        "--network": "private",
        "--subnetwork": "regions/europe-west3/subnetworks/private",
        "--kms_key_name": "projects/acme-prod/locations/europe-west3/keyRings/main/cryptoKeys/dataflow",
        "--machine_type": "n2-standard-2",
        "--num_workers": "1",
        "--max_workers": "3",
        "--worker_zone": "europe-west3-b",
        "--additional_experiments": "one,two=2",
        "--dataflow_service_options": "enable_google_cloud_profiler",
        "--job_name": "tiktok-live",
    }
    done = launch(*STAGE, *(word for pair in words.items() for word in pair), "--no_public_ips")
    assert done.code == 0, done.err
    options = json.loads(objects(storage)[TEMPLATE])["environment"]["sdkPipelineOptions"]["options"]
    names = {
        "--kms_key_name": "dataflow_kms_key",
        "--max_workers": "max_num_workers",
        "--additional_experiments": "experiments",
    }
    staged = {flag: options[names.get(flag, flag.removeprefix("--"))] for flag in words}
    assert {"one", "two=2"} <= set(staged.pop("--additional_experiments"))
    assert {"enable_google_cloud_profiler", "streaming_mode_at_least_once"} <= set(
        staged.pop("--dataflow_service_options")
    )
    # Numbers of JSON.
    texts = {flag: f"{value:g}" if isinstance(value, float) else value for flag, value in staged.items()}
    assert texts == {flag: words[flag] for flag in staged}
    assert options["use_public_ips"] is False


def test_a_running_stream_is_updated(launch: Launch, dataflow: Dataflow) -> None:
    assert launch(*STAGE).code == 0
    start = ["stream", "--classic", "--template", TEMPLATE]
    assert launch(*start).code == 0
    done = launch(*start, "--update", "--transform_name_mapping", '{"A": "B"}')
    assert done.code == 0, done.err
    old, new = dataflow.jobs.values()
    assert (new.replace_job_id, dict(new.transform_name_mapping)) == (old.id, {"A": "B"})
