"""The Terraform module as the tests see it: checked against the providers' schema, evaluated with variable files."""

import functools
import json
import subprocess
from pathlib import Path
from typing import Any, NamedTuple

import go_programs
import pytest

MODULE = Path(__file__).resolve().parents[2] / "templates" / "terraform"
SCHEMA = Path(__file__).with_name("terraform") / "provider_schema.json"


class Evaluated(NamedTuple):
    """What the checker answers: problems, and the values of the resources by address and instance."""

    problems: list[str]
    resources: dict[str, dict[str, Any]]

    def one(self, address: str) -> Any:
        """Returns the only instance of a resource."""
        (instance,) = self.resources[address].values()
        return instance

    def of_kind(self, kind: str) -> list[Any]:
        """Returns every instance of a kind of resource."""
        return [
            instance
            for address, instances in self.resources.items()
            if address.startswith(f"{kind}.")
            for instance in instances.values()
        ]


@functools.cache
def checker() -> Path:
    """Returns the Go program of the folder beside this file; skips the test where it is not built."""
    try:
        return go_programs.program("terraform")
    except go_programs.ServerUnavailableError as error:
        pytest.skip(str(error))


def evaluate(module: Path, variables: Path) -> Evaluated:
    """Returns what a module's folder says with a variable file."""
    command = [checker(), "check", module, SCHEMA, variables]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return Evaluated(**json.loads(done.stdout))


@functools.cache
def example(name: str) -> Evaluated:
    """Returns the module with one of its examples: `minimal` says the least, `hardened` the most."""
    return evaluate(MODULE, MODULE / "examples" / f"{name}.tfvars")


def queries(texts: list[str]) -> dict[str, Any]:
    """Returns what Prometheus's parser says of PromQL queries: an error, or what each selects."""
    done = subprocess.run([checker(), "queries"], input=json.dumps(texts), capture_output=True, text=True, check=True)
    parsed: dict[str, Any] = json.loads(done.stdout)
    return parsed


def answers(series: list[dict[str, Any]], texts: list[str], minutes: int) -> dict[str, list[float | None]]:
    """Returns the only value of each PromQL query at each minute, by Prometheus's engine; None where there is none.

    Args:
      series: `labels` (with `__name__`) and `values`, one a minute; None is no sample.
      texts: the queries.
      minutes: how many.
    """
    asked = json.dumps({"series": series, "queries": texts, "minutes": minutes})
    done = subprocess.run([checker(), "answers"], input=asked, capture_output=True, text=True, check=True)
    found: dict[str, list[float | None]] = json.loads(done.stdout)
    return found
