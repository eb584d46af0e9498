"""Terraform itself, where it is installed: formats, validates, plans and applies the module, with mocked providers.

No other test needs it. The providers are stand-ins that know Google's schema (tests/servers/terraform_provider).
"""

import os
import platform
import re
import shutil
import subprocess
from pathlib import Path

import go_programs
import pytest
from terraform_module import MODULE, SCHEMA

VERSION = "6.50.0"

# Each example is planned, then applied, by providers that Terraform makes up.
_TEST = """mock_provider "google" {{}}
mock_provider "google-beta" {{}}
variables {{
{variables}
}}
run "plan" {{
  command = plan
}}
run "apply" {{
}}
"""


@pytest.fixture(scope="module")
def terraform() -> str:
    """The program; skips the test where there is none. OpenTofu is the same for our ends, but looks elsewhere."""
    found = shutil.which("terraform")
    if found is None:
        pytest.skip("Terraform is not installed: the module is checked by the Go program of tests/servers alone")
    return found


@pytest.fixture(scope="module")
def folder(terraform: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the module, initialised with the stand-ins."""
    try:
        stand_in = go_programs.program("terraform_provider")
    except go_programs.ServerUnavailableError as error:
        pytest.skip(str(error))
    root = tmp_path_factory.mktemp("terraform")
    shutil.copytree(MODULE.parents[1] / "examples", root / "examples")
    module = Path(shutil.copytree(MODULE, root / "templates" / "terraform"))
    machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    for name in ("google", "google-beta"):
        place = root / f"mirror/registry.terraform.io/hashicorp/{name}/{VERSION}/{platform.system().lower()}_{machine}"
        place.mkdir(parents=True)
        shutil.copy(stand_in, place / f"terraform-provider-{name}_v{VERSION}")
    (root / "terraform.rc").write_text(
        f'provider_installation {{\n  filesystem_mirror {{\n    path = "{root / "mirror"}"\n  }}\n}}\n'
    )
    (module / "tests").mkdir()
    for example in sorted((module / "examples").glob("*.tfvars")):
        test = _TEST.format(variables=re.sub(r"(?m)^\s*#.*\n", "", example.read_text()))
        (module / "tests" / f"{example.stem}.tftest.hcl").write_text(test)
    done = _run(terraform, module, "init", "-backend=false")
    assert done.returncode == 0, done.stderr
    return module


def _run(terraform: str, module: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {
        "TF_CLI_CONFIG_FILE": str(module.parents[1] / "terraform.rc"),
        "TF_IN_AUTOMATION": "1",
        "CHECKPOINT_DISABLE": "1",
        "PROVIDER_SCHEMA": str(SCHEMA),
    }
    command = [terraform, *arguments, "-no-color"]
    return subprocess.run(command, cwd=module, env=environment, capture_output=True, text=True, check=False)


def test_terraform_would_format_nothing(terraform: str, folder: Path) -> None:
    # The module itself, because the copy has a test of ours in it.
    shutil.copytree(MODULE, folder / "same")
    done = _run(terraform, folder / "same", "fmt", "-check", "-recursive")
    shutil.rmtree(folder / "same")
    assert done.returncode == 0, done.stdout


def test_terraform_validates_the_module(terraform: str, folder: Path) -> None:
    done = _run(terraform, folder, "validate")
    assert done.returncode == 0, done.stdout + done.stderr


def test_terraform_refuses_what_the_providers_do_not_know(terraform: str, folder: Path) -> None:
    (folder / "bad.tf").write_text('resource "google_pubsub_topic" "bad" {\n  name  = "bad"\n  title = "bad"\n}\n')
    done = _run(terraform, folder, "validate")
    (folder / "bad.tf").unlink()
    assert done.returncode == 1
    assert 'An argument named "title" is not expected here' in done.stdout + done.stderr


@pytest.mark.slow
def test_terraform_plans_and_applies_each_example(terraform: str, folder: Path) -> None:
    done = _run(terraform, folder, "test")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Success! 4 passed, 0 failed." in done.stdout
