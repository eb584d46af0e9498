"""`launch` against a Dataflow on this machine: what it asks for, what it waits for, and what it says."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from dataflow import Dataflow, State
from google.cloud.dataflow_v1beta3 import types
from google.protobuf.timestamp_pb2 import Timestamp
from launching import BUCKET, CONNECTION, JOB, STREAM, SUBSCRIPTION, Done

ROOT = Path(__file__).parents[3]
HISTORY = ["history", "--template", f"gs://{BUCKET}/templates/history.json", "--connection", CONNECTION]
HISTORY += ["--input", "gs://acme-export/**"]

Launch = Callable[..., Done]


def message(number: int, importance: str, text: str) -> types.JobMessage:
    level = types.JobMessageImportance[f"JOB_MESSAGE_{importance}"]
    return types.JobMessage(id=str(number), time=Timestamp(seconds=number), message_text=text, message_importance=level)


def test_a_launch_says_the_job_and_its_page(dataflow: Dataflow, launch: Launch) -> None:
    done = launch(*STREAM)
    assert done.code == 0, done.err
    (job,) = dataflow.jobs.values()
    assert done.out == (
        f"started tiktok-stream: {job.id}\n"
        f"https://console.cloud.google.com/dataflow/jobs/europe-west3/{job.id}?project=acme-prod\n"
    )
    (request,) = dataflow.flex
    assert (request.project_id, request.location, request.validate_only) == ("acme-prod", "europe-west3", False)
    assert dict(request.launch_parameter.parameters) == {"connection": CONNECTION, "subscription": SUBSCRIPTION}


def test_what_the_workers_need_reaches_the_environment(dataflow: Dataflow, launch: Launch) -> None:
    key = "projects/acme-prod/locations/europe-west3/keyRings/main/cryptoKeys/dataflow"
    words = {
        "--temp_location": "gs://acme-temp/temp",
        "--staging_location": "gs://acme-temp/staging",
        "--service_account_email": "worker@acme-prod.iam.gserviceaccount.com",
        "--network": "private",
        "--subnetwork": "regions/europe-west3/subnetworks/private",
        "--kms_key_name": key,
        "--machine_type": "n2-standard-2",
        "--num_workers": "1",
        "--max_workers": "3",
        "--worker_zone": "europe-west3-b",
        "--sdk_container_image": "europe-docker.pkg.dev/acme-prod/tiktok/events:1",
        "--additional_experiments": "one,two=2",
        "--dataflow_service_options": "enable_google_cloud_profiler",
    }
    labels = ["--label", "team=growth", "--label", "größe=klein"]
    done = launch(*STREAM, *(word for pair in words.items() for word in pair), *labels, "--no_public_ips")
    assert done.code == 0, done.err
    environment = dataflow.flex[0].launch_parameter.environment
    same = ("temp_location", "staging_location", "service_account_email", "network", "subnetwork", "kms_key_name")
    same += ("machine_type", "worker_zone", "sdk_container_image")
    assert {name: getattr(environment, name) for name in same} == {name: words[f"--{name}"] for name in same}
    assert (environment.num_workers, environment.max_workers) == (1, 3)
    assert environment.ip_configuration == types.WorkerIPAddressConfiguration.WORKER_IP_PRIVATE
    assert list(environment.additional_experiments) == ["one", "two=2"]
    assert list(environment.additional_pipeline_options) == ["dataflow_service_options=enable_google_cloud_profiler"]
    assert dict(environment.additional_user_labels) == {"team": "growth", "größe": "klein"}


def test_waiting_for_a_stream_ends_when_it_runs(dataflow: Dataflow, launch: Launch) -> None:
    dataflow.messages += [message(1, "WARNING", "a worker\nis slow"), message(2, "BASIC", "Starting 1 worker")]
    done = launch(*STREAM, "--wait")
    assert done.code == 0, done.err
    lines = done.out.splitlines()[2:]
    assert [line for line in lines if line.startswith("tiktok-stream")] == [
        "tiktok-stream: queued",
        "tiktok-stream: pending",
        "tiktok-stream: running",
    ]
    assert [line for line in lines if not line.startswith("tiktok-stream")] == ["warning: a worker is slow"]


@pytest.mark.parametrize(
    ("end", "code"), [(State.JOB_STATE_DONE, 0), (State.JOB_STATE_FAILED, 1), (State.JOB_STATE_CANCELLED, 1)]
)
def test_waiting_for_a_batch_ends_with_it(dataflow: Dataflow, launch: Launch, end: State, code: int) -> None:
    dataflow.lives.append((State.JOB_STATE_QUEUED, State.JOB_STATE_RUNNING, end))
    done = launch(*HISTORY, "--wait", "--json")
    assert done.code == code
    assert json.loads(done.out)["state"] == end.name
    assert "tiktok-history: running" in done.err


def test_a_stream_that_fails_at_its_start_is_a_failure(dataflow: Dataflow, launch: Launch) -> None:
    dataflow.lives.append((State.JOB_STATE_QUEUED, State.JOB_STATE_FAILED))
    dataflow.messages.append(message(1, "ERROR", "the launcher failed"))
    done = launch(*STREAM, "--wait")
    assert (done.code, done.out.splitlines()[-1]) == (1, "tiktok-stream: failed")
    assert "error: the launcher failed" in done.out


def test_validation_starts_nothing(dataflow: Dataflow, launch: Launch) -> None:
    done = launch(*STREAM, "--validate_only")
    assert (done.code, done.out) == (0, "Dataflow takes job tiktok-stream; nothing was started.\n")
    assert dataflow.flex[0].validate_only
    assert dataflow.jobs == {}


def test_an_update_replaces_the_running_stream(dataflow: Dataflow, launch: Launch, tmp_path: Path) -> None:
    launch(*STREAM)
    mapping = tmp_path / "mapping.json"
    mapping.write_text('{"Old, \\"step\\"": "New/Step"}')
    done = launch(*STREAM, "--update", "--transform_name_mapping", str(mapping))
    assert done.code == 0, done.err
    old, new = dataflow.jobs.values()
    assert (old.current_state, new.replace_job_id) == (State.JOB_STATE_UPDATED, old.id)
    assert dict(dataflow.flex[1].launch_parameter.transform_name_mappings) == {'Old, "step"': "New/Step"}


def test_an_update_of_nothing_is_told_before_a_launcher_starts(dataflow: Dataflow, launch: Launch) -> None:
    done = launch(*STREAM, "--update")
    assert done.code == 2
    assert "no active job is named tiktok-stream in europe-west3; remove --update" in done.err
    assert dataflow.flex == []


@pytest.mark.parametrize("by", ["name", "id"])
def test_a_stream_is_drained_by_name_or_id(dataflow: Dataflow, launch: Launch, by: str) -> None:
    launch(*STREAM)
    (job,) = dataflow.jobs.values()
    done = launch("--drain", job.name if by == "name" else job.id, "--wait")
    assert done.code == 0, done.err
    assert job.current_state == State.JOB_STATE_DRAINED
    assert done.out.splitlines()[1:] == ["tiktok-stream: draining", "tiktok-stream: drained"]
    again = launch("--drain", job.id)
    assert (again.code, again.out) == (0, "tiktok-stream: drained already\n")


def test_an_id_from_before_an_update_does_not_pass_for_drained(dataflow: Dataflow, launch: Launch) -> None:
    launch(*STREAM)
    launch(*STREAM, "--update")
    old, new = dataflow.jobs.values()
    done = launch("--drain", old.id)
    assert (done.code, done.out) == (1, "")
    assert f"{old.id} was replaced by a newer job, which goes on; name that one: --drain {new.id}." in done.err
    assert new.current_state != State.JOB_STATE_DRAINING


@pytest.mark.parametrize("state", [State.JOB_STATE_FAILED, State.JOB_STATE_CANCELLED])
def test_a_stream_that_ended_otherwise_was_not_drained(dataflow: Dataflow, launch: Launch, state: State) -> None:
    dataflow.lives.append((state,))
    launch(*STREAM)
    (job,) = dataflow.jobs.values()
    done = launch("--drain", job.id)
    assert (done.code, done.out) == (1, f"tiktok-stream: {state.name[10:].lower()} already\n")


def test_a_batch_is_not_drained(dataflow: Dataflow, launch: Launch) -> None:
    launch(*HISTORY)
    done = launch("--drain", "tiktok-history")
    assert done.code == 1
    assert "gcloud dataflow jobs cancel" in done.err
    assert "UpdateJob" not in dataflow.calls


def test_what_does_not_run_cannot_be_drained(launch: Launch) -> None:
    done = launch("--drain", "tiktok-stream")
    assert done.code == 1
    assert "no active job is named tiktok-stream in project acme-prod, region europe-west3" in done.err


def test_an_interrupted_wait_leaves_the_job_running(dataflow: Dataflow) -> None:
    dataflow.lives.append((State.JOB_STATE_QUEUED, State.JOB_STATE_PENDING))
    words = [sys.executable, "-m", "pipeline", "launch", *STREAM, *JOB, "--wait"]
    process = subprocess.Popen(
        words, cwd=ROOT, env=os.environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 60
    while dataflow.calls.count("ListJobMessages") < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    (job,) = dataflow.jobs.values()
    assert process.returncode == 1
    assert f"stopped waiting; job {job.id} goes on. Its page: https://console.cloud.google.com/" in err
    assert job.current_state == State.JOB_STATE_PENDING


def test_nothing_of_a_flex_launch_needs_beam(dataflow: Dataflow) -> None:
    """Beam takes seconds to load; a launch needs only the rules of the command line and Google's client."""
    program = "import sys\nfrom pipeline.cli.main import main\ncode = main(sys.argv[1:])\n"
    program += "sys.exit(code or 'apache_beam' in sys.modules)"
    words = [sys.executable, "-c", program, "launch", *STREAM, *JOB]
    done = subprocess.run(words, cwd=ROOT, env=os.environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert len(dataflow.flex) == 1
