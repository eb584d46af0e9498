"""The README of the templates: its commands can be typed, what it names exists, its tables are true."""

import re
import shlex
from pathlib import Path

import pytest
from terraform_module import MODULE, example

from pipeline.arguments.replay import parse_replay
from pipeline.arguments.run import parse_run
from pipeline.cli.commands import check, reconcile
from pipeline.errors import UsageError

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "templates" / "README.md").read_text("utf-8")


def _commands() -> list[str]:
    """Returns the commands of this project in code blocks, each on one line."""
    blocks = "".join(re.findall(r"```\n(.*?)```", README, re.DOTALL)).replace("\\\n", " ")
    return [line for line in blocks.splitlines() if line.startswith(("tiktok-events ", "python -m pipeline "))]


def _typed(name: str) -> list[list[str]]:
    """Returns the arguments of a command wherever it is shown, with the connection file of the examples."""
    shown = [shlex.split(command)[1:] for command in _commands()]
    return [
        [str(ROOT / "examples" / "connection.yaml") if word == "acme.yaml" else word for word in words]
        for command, *words in shown
        if command == name
    ]


def test_its_run_and_its_replay_are_taken() -> None:
    (typed,) = _typed("run")
    assert parse_run(typed).skip_delivered
    (typed,) = _typed("replay")
    assert parse_replay(typed).inputs == ("gs://acme-prod-tiktok-events-dead-letters/dead-letters",)


def test_its_reconcile_is_taken(tmp_path: Path) -> None:
    (typed,) = _typed("reconcile")
    # Everything but the place is understood: there is nothing in it.
    with pytest.raises(UsageError, match="nothing was recorded"):
        reconcile.execute([str(tmp_path) if word.startswith("gs://") else word for word in typed])


def test_its_check_is_taken(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("TIKTOK_ACCESS_TOKEN", "a" * 40)
    (typed,) = _typed("check")
    assert check.execute(typed) == 0
    assert "a" * 40 not in capsys.readouterr().out


def test_there_are_commands_for_a_look_a_run_a_count_and_a_replay() -> None:
    assert [shlex.split(command)[1] for command in _commands()] == ["check", "run", "reconcile", "replay"]


def test_an_empty_project_gets_the_apis_that_terraform_cannot_switch_on_itself() -> None:
    # Terraform asks for the project while it plans.
    module = "".join(path.read_text("utf-8") for path in MODULE.glob("*.tf"))
    assert 'data "google_project"' in module
    enabled = README.index("gcloud services enable cloudresourcemanager.googleapis.com serviceusage.googleapis.com")
    assert enabled < README.index("terraform plan -var-file")


def test_a_launch_by_hand_has_the_name_of_the_scheduled_job() -> None:
    # The examples of the README have the module's default name.
    name = re.search(r'variable "name" \{.*?default += "(.*?)"', (MODULE / "variables.tf").read_text(), re.DOTALL)
    assert name is not None
    assert f"--job_name {name[1]}-history`" in README.replace("\n", " ")


def test_a_subnetwork_of_another_project_is_told_to_need_a_grant() -> None:
    assert "`roles/compute.networkUser`" in README


def test_every_file_that_it_names_exists() -> None:
    names = set(re.findall(r"`(?:\.\./)?((?:examples|pipeline|terraform)/[\w./-]*)`", README))
    names.remove("terraform/acme.tfvars")  # made by the reader
    assert len(names) > 6
    assert [name for name in sorted(names) if not (ROOT / name).exists() and not (MODULE.parent / name).exists()] == []


def test_every_output_that_it_asks_terraform_for_exists() -> None:
    asked = set(re.findall(r"terraform output (?:-raw |-json )?(\w+)", README))
    outputs = set(re.findall(r'output "(\w+)"', (MODULE / "outputs.tf").read_text()))
    assert asked
    assert asked <= outputs


def test_every_variable_that_it_names_exists() -> None:
    text = (MODULE / "variables.tf").read_text()
    for name in ("template_version", "publishers", "retention", "private_ip", "subnetwork", "operators"):
        assert f"`{name}`" in README
        assert f'variable "{name}"' in text
    thresholds = re.search(r'variable "thresholds".*?\n}\n', text, re.DOTALL)
    assert thresholds is not None
    for name, default in re.findall(r"(\w+) += optional\(number, ([\d.]+)\)", thresholds.group()):
        assert re.search(rf"`{name}` \({re.escape(default)}\)", README), name


def test_every_alert_stands_in_its_table() -> None:
    titles = re.findall(r'    title    = "(.*)"', (MODULE / "alerts.tf").read_text())
    assert len(titles) == 11
    table = README.split("| alert | fires when")[1].split("\n\n")[0]
    for title in titles:
        # Some titles share a row, shortened.
        assert title.removeprefix("Events are ").removesuffix(" events") in table, title


def test_every_role_that_is_given_stands_in_its_table() -> None:
    table = README.split("| account | role | on |")[1].split("\n\n")[0]
    roles = {
        instance["role"]
        for address, found in example("hardened").resources.items()
        if "_iam_member" in address
        for instance in found.values()
        if instance["role"].startswith("roles/")
    }
    assert set(re.findall(r"`(roles/[\w.]+)`", table)) == roles
