"""What Google Cloud refuses is told with its remedy; the refusals come over the wire, with their details."""

import socket
from collections.abc import Callable
from typing import Any

import grpc
import pytest
from dataflow import Dataflow, error_info
from google.cloud.dataflow_v1beta3 import types
from google.rpc import error_details_pb2
from launching import STREAM, Done

from pipeline.cli import main as cli

Launch = Callable[..., Done]
Code = grpc.StatusCode
METHOD = "LaunchFlexTemplate"


def invalid(parameter: str, description: str) -> Any:
    violation = types.InvalidTemplateParameters.ParameterViolation(parameter=parameter, description=description)
    return types.InvalidTemplateParameters.pb(types.InvalidTemplateParameters(parameter_violations=[violation]))


DENIED = (
    "(f4a2b1c0d9e8f7a6): Could not create workflow; user does not have write access to project: acme-prod Causes: "
    "(f4a2b1c0d9e8f1aa): Permission 'dataflow.jobs.create' denied on project: 'acme-prod'"
)
CASES = {
    "dataflow.jobs.create": (
        (Code.PERMISSION_DENIED, DENIED),
        1,
        "the permission dataflow.jobs.create is missing; grant roles/dataflow.developer on the project.",
    ),
    "permission in the details": (
        (
            Code.PERMISSION_DENIED,
            "denied",
            error_info("IAM_PERMISSION_DENIED", permission="storage.objects.get", resource="acme-tiktok"),
        ),
        1,
        "the permission storage.objects.get is missing; grant roles/storage.objectViewer on the bucket.",
    ),
    "actAs": (
        (Code.PERMISSION_DENIED, "Current user cannot act as service account worker@acme.iam.gserviceaccount.com."),
        1,
        "the permission iam.serviceAccounts.actAs is missing; grant roles/iam.serviceAccountUser on the service",
    ),
    "a permission of no known role": (
        (Code.PERMISSION_DENIED, "denied", error_info("IAM_PERMISSION_DENIED", permission="acme.things.do")),
        1,
        "the permission acme.things.do is missing.",
    ),
    "no permission named": (
        (Code.PERMISSION_DENIED, "The caller does not have permission"),
        1,
        "a permission is missing in project acme-prod; grant roles/dataflow.developer to who launches.",
    ),
    "API not enabled": (
        (
            Code.PERMISSION_DENIED,
            "Dataflow API has not been used in project 123 before or it is disabled.",
            error_info("SERVICE_DISABLED", service="dataflow.googleapis.com", consumer="projects/123"),
        ),
        1,
        "the API dataflow.googleapis.com is not enabled; `gcloud services enable dataflow.googleapis.com --project "
        "acme-prod`",
    ),
    "another API": (
        (Code.PERMISSION_DENIED, "disabled", error_info("SERVICE_DISABLED", service="compute.googleapis.com")),
        1,
        "`gcloud services enable compute.googleapis.com --project acme-prod`",
    ),
    "no such template": (
        (Code.NOT_FOUND, "Unable to open template file."),
        1,
        "Look with `gcloud storage ls gs://acme-tiktok/templates/stream.json`",
    ),
    "a job of the name": (
        (Code.ALREADY_EXISTS, "There is already an active job named tiktok-stream."),
        2,
        "A stream is replaced with --update, or ended with `tiktok-events launch --drain tiktok-stream`; wait for the "
        "end of a batch, or give another --job_name.",
    ),
    "a parameter": (
        (Code.INVALID_ARGUMENT, "The template parameters are invalid.", invalid("ledger", "Unrecognized\nparameter")),
        2,
        "--ledger: Unrecognized parameter",
    ),
    "a field": (
        (
            Code.INVALID_ARGUMENT,
            "bad",
            error_details_pb2.BadRequest(
                field_violations=[error_details_pb2.BadRequest.FieldViolation(field="region", description="no region")]
            ),
        ),
        2,
        "region: no region",
    ),
    "something invalid": (
        (Code.INVALID_ARGUMENT, "(0123456789abcdef): The subnetwork is in another region."),
        2,
        "Dataflow refuses the request: The subnetwork is in another region.",
    ),
    "quota": (
        (Code.RESOURCE_EXHAUSTED, "Quota CPUS exceeded"),
        1,
        "a quota of project acme-prod is used up (Quota CPUS exceeded).",
    ),
    "unavailable": (
        (Code.UNAVAILABLE, "connection reset"),
        1,
        "whether the job has started all the same (`gcloud dataflow jobs list`), before you repeat this.",
    ),
    "too late": ((Code.DEADLINE_EXCEEDED, "late"), 1, "no answer from Dataflow (127.0.0.1:"),
    "credentials that ended": (
        (Code.UNAVAILABLE, "Getting metadata from plugin failed with error: Reauthentication is needed."),
        1,
        "sign in with `gcloud auth application-default login`",
    ),
    "credentials not taken": ((Code.UNAUTHENTICATED, "no"), 1, "Google Cloud does not take the credentials; sign in"),
    "a defect of the service": ((Code.INTERNAL, "oops"), 1, "Dataflow answered INTERNAL (oops). Try again;"),
}


@pytest.mark.parametrize(("refusal", "code", "said"), CASES.values(), ids=CASES)
def test_a_refusal_says_what_to_do(
    dataflow: Dataflow, launch: Launch, refusal: tuple[Any, ...], code: int, said: str
) -> None:
    dataflow.refuse(METHOD, *refusal)
    done = launch(*STREAM)
    assert done.code == code
    assert done.err.startswith("error: cannot start job tiktok-stream: ")
    assert said in done.err
    # It is never tried twice by itself: what seemed lost may have started a job.
    assert dataflow.calls.count(METHOD) == 1
    assert "Traceback" not in done.err


def test_looking_at_a_job_outlasts_a_short_outage(dataflow: Dataflow, launch: Launch) -> None:
    for code in (Code.UNAVAILABLE, Code.DEADLINE_EXCEEDED):
        dataflow.refuse("GetJob", code, "for a moment")
    done = launch(*STREAM, "--wait")
    assert done.code == 0, done.err
    assert done.out.endswith("tiktok-stream: running\n")


def test_draining_needs_a_permission_too(dataflow: Dataflow, launch: Launch) -> None:
    launch(*STREAM)
    (job,) = dataflow.jobs.values()
    dataflow.refuse("UpdateJob", Code.PERMISSION_DENIED, "Permission 'dataflow.jobs.cancel' denied")
    done = launch("--drain", "tiktok-stream")
    assert done.code == 1
    assert f"cannot drain job {job.id}: the permission dataflow.jobs.cancel is missing" in done.err


def test_a_job_of_an_unknown_id_is_told(launch: Launch) -> None:
    done = launch("--drain", "2026-01-01_00_00_00-7")
    assert done.code == 1
    assert "there is no such job in project acme-prod, region europe-west3" in done.err


def test_without_credentials_the_remedy_is_told(launch: Launch, monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.delenv("DATAFLOW_EMULATOR_HOST")
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "none.json"))
    done = launch(*STREAM)
    assert done.code == 1
    assert "there are no credentials for Google Cloud; sign in with `gcloud auth application-default login`" in done.err


@pytest.mark.parametrize("address", ["dataflow.example.com:443", "10.0.0.7:8090", "127.0.0.1", ""])
def test_the_server_for_tests_is_on_this_machine(launch: Launch, monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    monkeypatch.setenv("DATAFLOW_EMULATOR_HOST", address)
    done = launch(*STREAM)
    assert done.code == 2
    assert "DATAFLOW_EMULATOR_HOST: an address of this machine is needed" in done.err


def test_nobody_there_is_no_answer(launch: Launch, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    monkeypatch.setenv("DATAFLOW_EMULATOR_HOST", f"127.0.0.1:{port}")
    done = launch(*STREAM)
    assert done.code == 1
    assert "no answer from Dataflow" in done.err


def test_the_command_is_listed(capfd: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--help"]) == 0
    assert "\n  launch " in capfd.readouterr().out
