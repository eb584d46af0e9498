"""The program that Dataflow's launcher starts, as a process with the launcher's arguments, and the job that it leaves.

Cloud Storage is a server of its own, credentials come from a metadata server as on the launcher's machine, and
everything else is out of reach.
"""

import gzip
import importlib.util
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from apache_beam.portability.api import beam_runner_api_pb2

from pipeline.cli import main as cli

# Programs in a row, of which each takes seconds to start, on a machine that may be busy.
pytestmark = pytest.mark.timeout(180)

ROOT = Path(__file__).resolve().parents[3]
IMAGE = "europe-docker.pkg.dev/acme-prod/tools/tiktok-events:1"
CANARY = "0123456789abcdef0123456789abcdef01234567"
TOKEN = "projects/acme-prod/secrets/tiktok-token/versions/latest"
MESSAGE = ROOT / "tests" / "golden" / "cases" / "01_web_batch_purchase" / "message.json"
CONNECTION = f"event_source_id: A1T8T4UYGVIQA8ORZMX9\naccess_token: {TOKEN}\n"

# As the launcher hands them on, beside the template's parameters. Source: console logs of launches in
# GoogleCloudPlatform/python-docs-samples issue 4891.
OF_THE_LAUNCHER = (
    "--runner=DataflowRunner",
    "--project=acme-prod",
    "--region=europe-west1",
    "--job_name=tiktok-events",
    "--temp_location=gs://acme-staging/temp",
    "--staging_location=gs://acme-staging/staging",
    "--template_location=gs://acme-staging/staging/template_launches/1/job_object",
    "--service_account_email=worker@acme-prod.iam.gserviceaccount.com",
    "--max_num_workers=4",
)


def module_of(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment of the launcher's machine: its metadata, Cloud Storage, and nothing else."""
    storage = module_of(ROOT / "tests" / "servers" / "gcs_server.py")
    metadata = module_of(Path(__file__).with_name("metadata_server.py"))
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("GOOGLE_", "CLOUDSDK_"))}
    try:
        with storage.running() as url, metadata.running() as address:
            nowhere = {
                name: "http://127.0.0.1:9" for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy")
            }
            yield {
                **kept,
                **nowhere,
                "NO_PROXY": "127.0.0.1,localhost",
                "no_proxy": "127.0.0.1,localhost",
                "STORAGE_EMULATOR_HOST": url,
                "GCE_METADATA_HOST": address,
                "GCE_METADATA_IP": address,
                # Three seconds by default, which a machine full of tests may not keep.
                "GCE_METADATA_TIMEOUT": "30",
                "CLOUDSDK_CONFIG": str(tmp_path_factory.mktemp("gcloud")),
                "PYTHONPATH": str(ROOT),
                "TIKTOK_EVENTS_IMAGE": IMAGE,
            }
    except storage.ServerUnavailableError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def buckets(machine: dict[str, str]) -> Any:
    """A client of Cloud Storage with a connection, an export and a staging bucket."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STORAGE_EMULATOR_HOST", machine["STORAGE_EMULATOR_HOST"])
        from google.cloud.storage import Client

        client = Client.create_anonymous_client()
        for name in ("acme-tiktok", "acme-export", "acme-staging"):
            client.create_bucket(name)
        client.bucket("acme-tiktok").blob("connection.yaml").upload_from_string(CONNECTION)
        export = client.bucket("acme-export")
        for name in ("dt=2024-06-20/a,b.txt.gz", "dt=2024-06-21/c.txt.gz"):
            export.blob(name).upload_from_string(gzip.compress(b'{"events": []}\n'))
        yield client


def launch(machine: dict[str, str], *given: str, launcher: tuple[str, ...] = OF_THE_LAUNCHER) -> Any:
    command = [sys.executable, str(ROOT / "templates" / "flex" / "main.py"), *given, *launcher]
    return subprocess.run(command, env=machine, capture_output=True, text=True, timeout=120, cwd="/")


def job_of(buckets: Any) -> tuple[dict[str, Any], Any]:
    """Returns the job object and the graph beside it; leaves an empty staging bucket."""
    found = {blob.name: blob.download_as_bytes() for blob in buckets.list_blobs("acme-staging")}
    for name in found:
        buckets.bucket("acme-staging").delete_blob(name)
    job = json.loads(found["staging/template_launches/1/job_object"])
    graphs = [(name, data) for name, data in found.items() if name.endswith("/pipeline.pb")]
    assert len(graphs) == 1
    assert f"gs://acme-staging/{graphs[0][0]}" in json.dumps(job)
    assert not [name for name in found if "main_session" in name or name.endswith((".tar.gz", ".whl"))]
    return job, beam_runner_api_pb2.Pipeline.FromString(graphs[0][1])


def steps(graph: Any) -> set[str]:
    """Returns the names of the outermost steps."""
    return {step.unique_name.partition("/")[0] for step in graph.components.transforms.values()} - {""}


def check_job(job: dict[str, Any], graph: Any) -> None:
    """Checks what all jobs have in common: the workers' image, the names, and no secret."""
    (pool,) = job["environment"]["workerPools"]
    assert {image["containerImage"] for image in pool["sdkHarnessContainerImages"]} == {IMAGE}
    # Beam notes what is installed where a job is described, if pip is among it; workers fetch nothing else.
    assert {package["name"] for package in pool.get("packages", ())} <= {"submission_environment_dependencies.txt"}
    assert job["environment"]["sdkPipelineOptions"]["options"]["save_main_session"] is False
    images = {
        beam_runner_api_pb2.DockerPayload.FromString(environment.payload).container_image
        for environment in graph.components.environments.values()
    }
    assert images == {IMAGE}


def launched(machine: dict[str, str], *given: str, **others: Any) -> Any:
    """Launches, and checks that the program ends as the launcher wants it."""
    ended = launch(machine, *given, **others)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout == (
        "Job object written to gs://acme-staging/staging/template_launches/1/job_object; Dataflow starts it. "
        "Nothing has been sent yet.\n"
    )
    assert "Traceback" not in ended.stderr
    return ended


CONNECTED = "--connection=gs://acme-tiktok/connection.yaml"


def test_the_stand_in_renews_credentials(machine: dict[str, str]) -> None:
    """Two threads of a launch may fetch a token at the same time: the second one asks for the account by its e-mail."""
    program = (
        "from google.auth.compute_engine import Credentials; from google.auth.transport.requests import Request; "
        "credentials = Credentials(); credentials.refresh(Request()); credentials.refresh(Request())"
    )
    ended = subprocess.run([sys.executable, "-c", program], env=machine, capture_output=True, text=True, timeout=120)
    assert ended.returncode == 0, ended.stderr


def test_a_stream_is_described(machine: dict[str, str], buckets: Any) -> None:
    began = time.monotonic()
    launched(
        machine,
        "--subscription=projects/acme-prod/subscriptions/orders",
        CONNECTED,
        "--dead_letters=gs://acme-tiktok/dead-letters",
        "--ledger=gs://acme-tiktok/ledger",
        "--partner_name=",
        f"--access_token={TOKEN}",
    )
    # Credentials are at hand, so nothing is waited for; Beam's own search for them takes 20 seconds.
    assert time.monotonic() - began < 15
    job, graph = job_of(buckets)
    check_job(job, graph)
    assert job["type"] == "JOB_TYPE_STREAMING"
    assert job["environment"]["serviceOptions"] == ["streaming_mode_at_least_once"]
    assert "enable_streaming_engine" in job["environment"]["experiments"]
    assert {"ReadMessages", "WriteToTikTok", "RecordWrite", "CountLatency"} <= steps(graph)
    assert "AcknowledgeMessages" not in steps(graph)
    urns = {step.spec.urn for step in graph.components.transforms.values()}
    assert "beam:transform:pubsub_read:v1" in urns
    pinned = json.loads((ROOT / "templates" / "flex" / "stream.graph.json").read_text())
    names = {step.unique_name for step in graph.components.transforms.values() if not step.subtransforms}
    assert names == {step["step"] for step in pinned["steps"]}


def test_history_is_described_and_its_ledger_knows_it(machine: dict[str, str], buckets: Any) -> None:
    """Files are listed at the launch; the manifest says that Dataflow runs it, and there is no lock."""
    launched(
        machine,
        "--input=gs://acme-export/dt=2024-06-20/a,b.txt.gz,gs://acme-export/**",
        CONNECTED,
        "--since=-1d",
        "--skip_delivered=true",
        "--drop_duplicates=false",
        "--ledger=gs://acme-tiktok/ledger",
        "--run_id=nightly",
    )
    job, graph = job_of(buckets)
    check_job(job, graph)
    assert job["type"] == "JOB_TYPE_BATCH"
    assert {"ReadMessages", "SkipDelivered", "WriteToTikTok"} <= steps(graph)
    assert "DropDuplicates" not in steps(graph)
    left = [blob.name for blob in buckets.list_blobs("acme-tiktok")]
    assert left == ["connection.yaml", "ledger/_manifests/nightly.json"]
    manifest = json.loads(buckets.bucket("acme-tiktok").blob(left[1]).download_as_bytes())
    assert (manifest["state"], manifest["run_id"], manifest["command"]) == ("described", "nightly", "run")
    assert {file["path"] for file in manifest["inputs"]} >= {"gs://acme-export/dt=2024-06-20/a,b.txt.gz"}
    assert manifest["counts"] is None
    again = launch(
        machine, "--input=gs://acme-export/**", CONNECTED, "--run_id=nightly", "--ledger=gs://acme-tiktok/ledger"
    )
    assert again.returncode == 2
    assert "--run_id nightly: this ledger has a run of that name already" in again.stderr
    buckets.bucket("acme-tiktok").delete_blob(left[1])


def test_a_replay_is_described(
    machine: dict[str, str], buckets: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own_process: None
) -> None:
    """The letters come from a run whose requests nobody answers, and lie in a bucket, beside their ledger."""
    messages, letters = tmp_path / "messages.json", tmp_path / "letters"
    messages.write_text(json.dumps(json.loads(MESSAGE.read_text())) + "\n")
    run = ["run", f"--input={messages}", f"--dead_letters={letters}", "--no_progress", "--retry_secs=0"]
    run += ["--event_source_id=A1T8T4UYGVIQA8ORZMX9", "--access_token=env:TOKEN", "--api_url=http://127.0.0.1:9/"]
    monkeypatch.setenv("TOKEN", CANARY)
    assert cli.main([*run, "--environments=production,development"]) == 3
    names = [path.relative_to(letters).as_posix() for path in sorted(letters.rglob("*.parquet"))]
    assert names
    for name in names:
        buckets.bucket("acme-tiktok").blob(f"letters/{name}").upload_from_filename(str(letters / name))
    launched(machine, "--dead_letters=gs://acme-tiktok/letters", CONNECTED, "--reason=outage,throttled", "--input=auto")
    job, graph = job_of(buckets)
    check_job(job, graph)
    assert job["type"] == "JOB_TYPE_BATCH"
    assert {"ReadDeadLetters", "SkipDelivered", "WriteToTikTok"} <= steps(graph)
    left = [blob.name for blob in buckets.list_blobs("acme-tiktok", prefix="letters/")]
    (manifest,) = [name for name in left if "/_manifests/" in name]
    assert sorted({*left} - {manifest}) == [f"letters/{name}" for name in names]
    for name in left:
        buckets.bucket("acme-tiktok").delete_blob(name)


def test_files_that_are_not_there_are_told_at_the_launch(machine: dict[str, str], buckets: Any) -> None:
    ended = launch(machine, "--input=gs://acme-export/2030/*", CONNECTED)
    assert ended.returncode == 2
    assert "gs://acme-export/2030/*" in ended.stderr
    assert not list(buckets.list_blobs("acme-staging"))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ([f"--access_token={CANARY}"], "put the token into Secret Manager and name its version"),
        ([f"--access_token=env:{CANARY}"], "put the token into Secret Manager and name its version"),
        (["--ledger=ledger"], "ledger: this value is not allowed; a value such as gs://acme-tiktok/ledger"),
        (["--skip_delivered=maybe"], "skip_delivered: this value is not allowed"),
        pytest.param(
            ["--ledgr=gs://acme-tiktok/ledger"], "unknown flag --ledgr. Did you mean --ledger?", marks=pytest.mark.slow
        ),
        (["--input=exports/*"], "nothing to read was named: give subscription"),
    ],
)
def test_what_cannot_work_is_told_by_the_launcher(machine: dict[str, str], given: list[str], said: str) -> None:
    source = [] if given[0].startswith("--input") else ["--input=gs://acme-export/**"]
    ended = launch(machine, *source, CONNECTED, *given)
    assert ended.returncode == 2
    assert said in ended.stderr
    assert CANARY not in ended.stdout + ended.stderr


@pytest.mark.parametrize(
    "source",
    [
        pytest.param("--subscription=projects/acme-prod/subscriptions/mparticle", marks=pytest.mark.slow),
        "--input=gs://acme-export/**",
    ],
    ids=["stream", "history"],
)
def test_a_connection_with_a_token_of_one_machine_is_refused(
    machine: dict[str, str], buckets: Any, source: str
) -> None:
    """Workers would fail for want of it, again and again."""
    text = "event_source_id: A1T8T4UYGVIQA8ORZMX9\naccess_token: env:TIKTOK_TOKEN\n"
    buckets.bucket("acme-tiktok").blob("env.yaml").upload_from_string(text)
    try:
        ended = launch(machine, source, "--connection=gs://acme-tiktok/env.yaml")
    finally:
        buckets.bucket("acme-tiktok").delete_blob("env.yaml")
    assert ended.returncode == 2
    assert "put the token into Secret Manager and name its version, such as projects/" in ended.stderr
    assert not list(buckets.list_blobs("acme-staging"))


def test_workers_without_the_image_are_refused(machine: dict[str, str]) -> None:
    """With Beam's own image every worker would fail for want of this package, again and again."""
    bare = {name: value for name, value in machine.items() if name != "TIKTOK_EVENTS_IMAGE"}
    ended = launch(bare, "--input=gs://acme-export/**", CONNECTED)
    assert ended.returncode == 2
    assert "sdk_container_image is missing" in ended.stderr
