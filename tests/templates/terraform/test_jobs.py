"""The stream, the subscription it reads, and the request with which the schedule launches history."""

import base64
import importlib
import json
import re
from pathlib import Path
from typing import Any

import pytest
from terraform_module import MODULE, example

from pipeline.arguments.time_window import is_duration

FLEX = MODULE.parent / "flex"


def _launch() -> dict[str, Any]:
    schedule = example("hardened").one("google_cloud_scheduler_job.history")
    body: dict[str, Any] = json.loads(base64.b64decode(schedule["http_target"]["body"]))
    assert list(body) == ["launchParameter"]
    return dict(body["launchParameter"])


def _parameters() -> dict[str, dict[str, str]]:
    stream = example("hardened").one("google_dataflow_flex_template_job.stream")
    return {"stream": stream["parameters"], "history": _launch()["parameters"]}


@pytest.mark.skipif(not FLEX.exists(), reason="templates/flex is not part of this checkout")
@pytest.mark.parametrize("template", ["stream", "history"])
def test_the_parameters_are_those_of_the_template(template: str) -> None:
    metadata = json.loads((FLEX / template / "metadata.json").read_text())
    known = {parameter["name"]: parameter for parameter in metadata["parameters"]}
    given = _parameters()[template]
    assert [name for name in given if name not in known] == []
    assert [name for name, described in known.items() if not described.get("isOptional") and name not in given] == []
    for name, value in given.items():
        options = [option["value"] for option in known[name].get("enumOptions", [])]
        assert not options or value in options, name
        assert all(re.fullmatch(regex, value) for regex in known[name].get("regexes", [])), name
        assert known[name]["paramType"] != "BOOLEAN" or value in ("true", "false"), name


@pytest.mark.parametrize("template", ["stream", "history"])
def test_the_token_is_a_reference(template: str) -> None:
    token = _parameters()[template]["access_token"]
    assert token == "projects/acme-prod/secrets/acme-tiktok-token/versions/latest"


def test_the_stream_and_history_share_one_ledger() -> None:
    given = _parameters()
    assert given["stream"]["ledger"] == given["history"]["ledger"]
    assert given["history"]["skip_delivered"] == "true"


def test_the_request_of_the_schedule_has_only_fields_of_dataflows_api() -> None:
    # The client that comes with Beam knows the API's messages; from_json refuses what is not in them.
    api = importlib.import_module("google.cloud.dataflow_v1beta3")
    launch = api.LaunchFlexTemplateParameter.from_json(json.dumps(_launch()))
    assert launch.environment.service_account_email == 'google_service_account.account["worker"].email'
    assert launch.environment.max_workers == 2
    with pytest.raises(Exception, match="maxWorker"):
        api.LaunchFlexTemplateParameter.from_json(json.dumps({"environment": {"maxWorker": 2}}))


def test_the_schedule_launches_a_relative_window_under_a_constant_name() -> None:
    schedule = example("hardened").one("google_cloud_scheduler_job.history")
    target = schedule["http_target"]
    assert target["uri"] == (
        "https://dataflow.googleapis.com/v1b3/projects/acme-prod/locations/europe-west1/flexTemplates:launch"
    )
    assert target["http_method"] == "POST"
    assert target["headers"] == {"Content-Type": "application/json"}
    assert target["oauth_token"]["service_account_email"] == 'google_service_account.account["scheduler"].email'
    assert _launch()["jobName"] == "acme-tiktok-history"
    assert is_duration(_launch()["parameters"]["since"])
    assert "until" not in _launch()["parameters"]
    assert schedule["time_zone"] == _launch()["parameters"]["timezone"] == "Europe/Berlin"


def test_names_of_jobs_are_such_as_dataflow_takes() -> None:
    # Source: Dataflow, "Set pipeline options", job_name: small letters, digits, dashes; a letter first, no dash last.
    for name in (_launch()["jobName"], example("hardened").one("google_dataflow_flex_template_job.stream")["name"]):
        assert re.fullmatch(r"[a-z]([-a-z0-9]{0,1022}[a-z0-9])?", name)


def test_the_stream_is_drained_and_not_cut() -> None:
    job = example("hardened").one("google_dataflow_flex_template_job.stream")
    assert job["on_delete"] == "drain"
    assert job["additional_experiments"] == ["streaming_mode_at_least_once"]
    assert (job["ip_configuration"], job["enable_streaming_engine"]) == ("WORKER_IP_PRIVATE", True)


def test_the_subscription_is_as_the_readme_advises() -> None:
    subscription = example("hardened").one("google_pubsub_subscription.events")
    assert subscription["ack_deadline_seconds"] == 60
    assert subscription["message_retention_duration"] == "604800s"
    assert subscription["expiration_policy"]["ttl"] == ""
    assert subscription["dead_letter_policy"]["max_delivery_attempts"] == 100
    assert subscription["enable_message_ordering"] is False
    assert subscription["enable_exactly_once_delivery"] is False


def test_workers_without_addresses_reach_tiktok_and_google() -> None:
    made = example("hardened")
    assert made.one("google_compute_subnetwork.workers")["private_ip_google_access"] is True
    nat = made.one("google_compute_router_nat.workers")
    assert nat["source_subnetwork_ip_ranges_to_nat"] == "LIST_OF_SUBNETWORKS"
    assert made.one("google_dataflow_flex_template_job.stream")["subnetwork"].endswith("/acme-tiktok-workers")


def test_the_examples_name_a_connection_of_this_project() -> None:
    for file in sorted((MODULE / "examples").glob("*.tfvars")):
        (path,) = re.findall(r'connection_file\s*= "(.*)"', file.read_text())
        assert Path(MODULE, path).resolve() == (MODULE.parents[1] / "examples" / "connection.yaml").resolve()
