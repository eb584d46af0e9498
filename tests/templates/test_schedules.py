"""Cron, systemd, Airflow and Terraform start the same run, with flags that `run` takes."""

import ast
import configparser
import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from terraform_module import MODULE

from pipeline.arguments.run import parse_run
from pipeline.options import RunOptions

ROOT = Path(__file__).resolve().parents[2]
SCHEDULES = ROOT / "examples" / "schedules"
UNITS = SCHEDULES / "systemd"
PROGRAM = "/opt/tiktok-events/.venv/bin/tiktok-events"


def _service(name: str) -> dict[str, str]:
    """Returns the section `Service` of a unit."""
    # Some keys may stand several times in a unit; none of ours does, and configparser would say so.
    units = configparser.ConfigParser(interpolation=None, delimiters=("=",), comment_prefixes=("#",))
    units.optionxform = str  # type: ignore[assignment,method-assign]  # keys of units are in mixed case
    # A line that ends in a backslash goes on in the next.
    units.read_string(re.sub(r"\\\n\s*", "", (UNITS / name).read_text()))
    return dict(units["Service"])


def _cron() -> str:
    """Returns the command of the crontab's only entry: behind five fields and the user."""
    (entry,) = [
        line for line in (SCHEDULES / "tiktok-events.cron").read_text().splitlines() if re.match(r"[\d*]", line)
    ]
    assert "%" not in entry  # cron would make it a line break
    return entry.split(maxsplit=6)[6]


def _parsed(command: str) -> RunOptions:
    """Parses a command as `run` does, with a connection file and a token of this machine."""
    program, run, *words = shlex.split(command)
    assert (program, run) == (PROGRAM, "run")
    local = {"/etc/tiktok-events/connection.yaml": str(ROOT / "examples" / "connection.yaml")}
    return parse_run([local.get(word, word) for word in words])


def _flags(command: str) -> dict[str, str]:
    """Returns the flags of a command; switches are "true", as in parameters of templates."""
    words = shlex.split(command)[2:]
    flags = {}
    for place, word in enumerate(words):
        if word.startswith("--"):
            following = words[place + 1] if place + 1 < len(words) else "--"
            flags[word.removeprefix("--")] = "true" if following.startswith("--") else following
    return flags


def _airflow() -> tuple[dict[str, str], ast.Call]:
    """Returns the parameters of the DAG and the call that makes its task, without Airflow."""
    tree = ast.parse((SCHEDULES / "airflow_history.py").read_text())
    (parameters,) = [
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "PARAMETERS"
    ]
    (call,) = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "DataflowStartFlexTemplateOperator"
    ]
    return parameters, call


HISTORY = {"cron": _cron(), "systemd": _service("tiktok-history.service")["ExecStart"]}


@pytest.mark.parametrize("schedule", HISTORY)
def test_the_command_is_one_that_run_takes(schedule: str) -> None:
    options = _parsed(HISTORY[schedule])
    assert options.inputs == ("gs://acme-events/mparticle/**",)
    assert options.since_ms is not None
    assert options.until_ms is None
    assert options.skip_delivered
    assert options.partition_slack_ms == 86_400_000
    assert options.ledger
    assert options.dead_letters


def test_the_stream_is_one_that_run_takes() -> None:
    options = _parsed(_service("tiktok-stream.service")["ExecStart"])
    assert options.subscription == "projects/acme-prod/subscriptions/tiktok-events-stream"


def test_all_schedules_run_with_the_same_flags() -> None:
    # Where the connection and the token are differs: on this machine, in the cloud.
    places = {"connection", "access_token", "no_progress"}
    cron, systemd = (
        {name: value for name, value in _flags(command).items() if name not in places} for command in HISTORY.values()
    )
    airflow = {name: value for name, value in _airflow()[0].items() if name not in places}
    assert cron == systemd == airflow
    terraform = re.findall(r"(?m)^        (\w+) += ", (MODULE / "history.tf").read_text().split("history_env")[0])
    assert {*terraform} - places == set(airflow)


def test_secrets_are_references_everywhere() -> None:
    assert _flags(HISTORY["cron"])["access_token"] == "file:/etc/tiktok-events/token"
    assert _flags(HISTORY["systemd"])["access_token"] == "file:${CREDENTIALS_DIRECTORY}/token"
    for unit in ("tiktok-history.service", "tiktok-stream.service"):
        assert _service(unit)["LoadCredential"] == "token:/etc/tiktok-events/token"
    assert _airflow()[0]["access_token"].endswith("/versions/latest")


def test_the_task_of_the_dag_starts_one_job_and_waits_for_its_end() -> None:
    _, call = _airflow()
    given: dict[str, Any] = {keyword.arg or "": ast.unparse(keyword.value) for keyword in call.keywords}
    # Those of DataflowStartFlexTemplateOperator and of every operator.
    # Source: apache-airflow-providers-google 22.8.0; the DAG was imported under Airflow 3.3.2 on 2026-11-25. Not here:
    # Airflow brings some 200 packages, whose versions are others than Beam's.
    assert set(given) == {
        *("task_id", "project_id", "location", "impersonation_chain", "body", "append_job_name"),
        *("expected_terminal_state", "deferrable", "retries", "retry_delay"),
    }
    assert given["append_job_name"] == "False"
    assert "'parameters': PARAMETERS" in given["body"]


def test_units_restart_after_a_failure_but_not_after_a_mistake_or_a_rest() -> None:
    assert _service("tiktok-history.service")["RestartPreventExitStatus"].split() == ["2", "3"]
    assert _service("tiktok-stream.service")["RestartPreventExitStatus"] == "2"


def test_systemd_takes_the_units(tmp_path: Path) -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("systemd is not installed: its units are read by configparser alone")
    for unit in UNITS.iterdir():
        # It looks for the program, which is elsewhere here.
        (tmp_path / unit.name).write_text(unit.read_text().replace(PROGRAM, "/bin/true"))
    done = subprocess.run(
        [analyze, "verify", *map(str, sorted(tmp_path.iterdir()))], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
