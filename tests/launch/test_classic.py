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
