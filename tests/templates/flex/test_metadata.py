"""The generated files: as the code says, as Google's API defines them, and in agreement with the command lines."""

import importlib
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import json_format
from jsonschema import Draft202012Validator

from pipeline.arguments.replay import parse_replay
from pipeline.arguments.run import parse_run
from pipeline.errors import UsageError
from pipeline.launch.template_parameters import (
    CONNECTION_LEFT_OUT,
    INPUT_FORMS,
    LEFT_OUT,
    TEMPLATES,
    check_parameters,
    command_of,
    parameters_of,
    parser_of,
)
from templates.flex import generate

# Google's client library, which comes with Beam. By its name, because it has no types of its own to check.
dataflow: Any = importlib.import_module("google.cloud.dataflow_v1beta3")

SCHEMA = Draft202012Validator(json.loads(Path(__file__).with_name("google_metadata.schema.json").read_text()))
EVERY = [(template, parameter) for template in TEMPLATES for parameter in parameters_of(template)]
of_every_template = pytest.mark.parametrize("template", TEMPLATES)

# Forms that a token has, or may have: TikTok's are 40 hex digits.
TOKENS = ("0123456789abcdef0123456789abcdef01234567", "f" * 40, "act.0123456789abcdef0123456789abcdef01234567!4567.e1")

CONNECTION = """
event_source_id: A1T8T4UYGVIQA8ORZMX9
access_token: projects/acme-prod/secrets/tiktok-token/versions/latest
event_source_type: web
enable_web_migration: true
"""

# What a parameter needs beside it.
COMPANIONS = {
    "partition_slack": ["--date_partition=true", "--since=-1d"],
    "date_partition": ["--since=-1d"],
    "skip_delivered": ["--ledger=gs://acme-tiktok/ledger"],
    "resend_unknown": ["--skip_delivered=true", "--ledger=gs://acme-tiktok/ledger"],
}


def of_template(template: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((generate.FOLDER / template / "metadata.json").read_text())
    return found


def parsed(template: str, tmp_path: Path, *given: str) -> Any:
    """Returns the options of the template's command, with what it requires."""
    connection = tmp_path / "connection.yaml"
    connection.write_text(CONNECTION)
    required = {parameter.name: parameter.example for parameter in parameters_of(template) if not parameter.is_optional}
    names = {word.partition("=")[0] for word in given}
    words = [f"--{name}={value}" for name, value in required.items() if f"--{name}" not in names]
    words = [word for word in words if not word.startswith("--connection=")]
    argv = [f"--connection={connection}", *words, "--runner=DataflowRunner", "--run_id=of-the-test", *given]
    return parse_replay(argv) if command_of(template) == "replay" else parse_run(argv)


def test_the_files_are_as_they_would_be_generated(capsys: pytest.CaptureFixture[str]) -> None:
    """If this fails: `make templates`, and review the difference."""
    assert generate.main(["--check"]) == 0, capsys.readouterr().err


def test_a_file_that_was_edited_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(generate, "FOLDER", tmp_path)
    assert generate.main([]) == 0
    assert generate.main(["--check"]) == 0
    for name in ("stream/metadata.json", "stream.graph.json"):
        (tmp_path / name).write_text("{}\n")
    capsys.readouterr()
    assert generate.main(["--check"]) == 1
    said = capsys.readouterr().err
    assert "stream/metadata.json is not what the code says. Run `make templates`" in said
    assert "--transform_name_mapping" in said
    assert "history" not in said


@of_every_template
def test_the_metadata_is_what_google_defines(template: str) -> None:
    found = of_template(template)
    assert not [error.message for error in SCHEMA.iter_errors(found)]
    # Google's own message refuses a field or a word that it does not know.
    message = json_format.ParseDict(found, dataflow.TemplateMetadata.pb(dataflow.TemplateMetadata()))
    assert len(message.parameters) == len(parameters_of(template))
    assert message.streaming is (template == "stream")
    assert message.supports_at_least_once is (template == "stream")
    assert not message.supports_exactly_once


@pytest.mark.parametrize(
    "change",
    [
        {"parameters": [{"name": "a", "label": "A", "helpText": "A.", "paramType": "ENUM"}]},
        {"parameters": [{"name": "a", "label": "A", "helpText": "A.", "paramType": "WORD"}]},
        {"parameters": [{"name": "a.b", "label": "A", "helpText": "A."}]},
        {"parameters": [{"name": "a", "label": "A"}]},
        {"defaultStreamingMode": "AT_LEAST_ONCE"},
        {"streamingMode": True},
    ],
)
def test_the_schema_refuses_what_is_wrong(change: dict[str, Any]) -> None:
    assert list(SCHEMA.iter_errors({**of_template("stream"), **change}))


@of_every_template
def test_one_image_launches_and_works(template: str, tmp_path: Path) -> None:
    image = "europe-docker.pkg.dev/acme-prod/tools/tiktok-events:1"
    assert generate.main(["--image", image, "--to", str(tmp_path)]) == 0
    written = json.loads((tmp_path / f"{template}.json").read_text())
    spec = json_format.ParseDict(written, dataflow.ContainerSpec.pb(dataflow.ContainerSpec()))
    assert spec.image == spec.default_environment.sdk_container_image == image
    assert written["metadata"] == of_template(template)
    modes = dataflow.StreamingMode
    wanted = modes.STREAMING_MODE_AT_LEAST_ONCE if template == "stream" else modes.STREAMING_MODE_UNSPECIFIED
    assert spec.default_environment.streaming_mode == wanted
    committed = (generate.FOLDER / f"{template}.json").read_text()
    assert json.loads(committed.replace("${IMAGE}", image)) == written


@of_every_template
def test_every_parameter_is_a_flag_and_every_flag_a_parameter_or_left_out_with_its_reason(template: str) -> None:
    flags = set(parser_of(template).flag_names())
    given = {f"--{parameter['name']}" for parameter in of_template(template)["parameters"]}
    left_out = {**LEFT_OUT[template], **{f"--{key}": why for key, why in CONNECTION_LEFT_OUT.items()}}
    assert given | set(left_out) == flags
    assert not given & set(left_out)
    assert all(len(why.split()) >= 3 for why in left_out.values())


def test_a_new_flag_cannot_be_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(INPUT_FORMS, "drop_duplicates")
    with pytest.raises(LookupError, match="--drop_duplicates is a new flag: describe it in INPUT_FORMS"):
        parameters_of("history")


def test_every_form_is_used() -> None:
    names = {parameter.name for _, parameter in EVERY}
    assert {key.rpartition(" ")[2] for key in INPUT_FORMS} <= names


@of_every_template
def test_the_example_is_allowed_and_stands_in_the_help(template: str) -> None:
    for parameter in parameters_of(template):
        assert parameter.objection(parameter.example) is None, parameter.name
        assert parameter.help_text.endswith(f". Example: {parameter.example}"), parameter.name
        assert parameter.label[0].isupper(), parameter.name
        assert parameter.group_name, parameter.name


def test_the_regexes_are_what_all_of_their_readers_share() -> None:
    for _, parameter in EVERY:
        for regex in parameter.regexes:
            assert regex.startswith("^"), parameter.name
            assert regex.endswith("$"), parameter.name
            # What RE2, Java and JavaScript do not share.
            assert not re.search(r"\(\?[^:]|\\[1-9AZzb]", regex), parameter.name


# A connection in a bucket is read in test_launcher.py.
@of_every_template
def test_the_command_takes_the_example(template: str, tmp_path: Path) -> None:
    for parameter in parameters_of(template):
        if parameter.name != "connection":
            companions = COMPANIONS.get(parameter.name, []) if template == "history" else []
            # A refusal names the parameter.
            assert parsed(template, tmp_path, *companions, f"--{parameter.name}={parameter.example}")


@of_every_template
def test_the_default_is_what_holds_without_it(template: str, tmp_path: Path) -> None:
    without = parsed(template, tmp_path)
    defaults = {entry.name: entry.default for entry in parameters_of(template) if entry.default is not None}
    assert len(defaults) >= 2
    for name, default in defaults.items():
        assert parsed(template, tmp_path, f"--{name}={default}") == without, name


def test_javascript_reads_the_regexes_as_python_does() -> None:
    """Forms in a browser check them there."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("needs Node.js")
    cases = [
        [regex, value, re.fullmatch(regex, value) is not None]
        for _, parameter in EVERY
        for regex in parameter.regexes
        for value in (parameter.example, *TOKENS, "", "gs://acme-tiktok/a,gs://acme-tiktok/b", f"{parameter.example}\n")
    ]
    program = "const cases = JSON.parse(require('fs').readFileSync(0));"
    program += "const bad = cases.filter(([r, v, is]) => new RegExp(r, 'u').test(v) !== is);"
    program += "console.log(JSON.stringify(bad));"
    ended = subprocess.run([node, "-e", program], input=json.dumps(cases), capture_output=True, text=True, check=True)
    assert json.loads(ended.stdout) == []


@pytest.mark.parametrize("token", TOKENS)
def test_no_parameter_takes_a_token(token: str) -> None:
    for template, parameter in EVERY:
        objection = parameter.objection(token)
        assert objection is not None, (template, parameter.name)
        assert token not in objection


@pytest.mark.parametrize(
    "form",
    [
        "{{gdpr_purpose: {}}}",
        "https://shop.example/{}/",
        "https://{}.example/",
        "projects/acme-prod/topics/t-{}",
        "projects/acme-prod/subscriptions/s-{}",
    ],
)
def test_no_parameter_hides_a_token_in_what_it_may_say(form: str) -> None:
    """From the console, Terraform or a schedule, nothing but the regexes stands between a token and the job's page."""
    for template, parameter in EVERY:
        objection = parameter.objection(form.format(TOKENS[0]))
        assert objection is not None, (template, parameter.name)
        assert TOKENS[0] not in objection
        if parameter.param_type not in ("BOOLEAN", "ENUM"):
            assert "Secret Manager" in objection, (template, parameter.name)


@of_every_template
@pytest.mark.parametrize(
    "value", ["env:TIKTOK_TOKEN", "file:/secrets/token", "projects/acme-prod/secrets/tiktok-token"]
)
def test_the_token_is_a_version_in_secret_manager(template: str, value: str) -> None:
    found = {parameter.name: parameter for parameter in parameters_of(template)}["access_token"]
    objection = found.objection(value)
    assert objection is not None
    assert "put the token into Secret Manager and name its version, such as projects/" in objection
    assert found.objection("projects/acme-prod/locations/europe-west1/secrets/t/versions/7") is None


def test_what_the_connection_file_may_say_has_no_default() -> None:
    """A form would fill it in, and win over the file."""
    for template, parameter in EVERY:
        if parameter.group_name == "Connection":
            assert parameter.default is None, (template, parameter.name)
            assert parameter.param_type not in ("BOOLEAN", "NUMBER")


def test_all_problems_of_parameters_are_told_at_once_without_values() -> None:
    given = {"connection": "local.yaml", "access_token": TOKENS[0], "sbscription": "x", "ledger": "gs://acme-tiktok/l"}
    with pytest.raises(UsageError) as caught:
        check_parameters("stream", given)
    said = str(caught.value)
    assert TOKENS[0] not in said
    assert [line.split(":")[0].split(" ")[0] for line in said.splitlines()] == [
        "subscription",
        "connection",
        "access_token",
        "sbscription",
    ]
