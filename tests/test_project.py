"""The project around the code: what is installed, what the lock pins, and what must not stand in any file."""

import ast
import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from packaging.markers import Marker, default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version
from setuptools import find_packages

ROOT = Path(__file__).resolve().parents[1]
PYTHONS = ("3.11", "3.12", "3.13")
PACKAGES = ("pipeline", "transforms", "sandbox")

# Modules in the name space `google`, which many distributions share.
GOOGLE = {
    "google.cloud.secretmanager": "google-cloud-secret-manager",
    "google.cloud.pubsub": "google-cloud-pubsub",
    "google.pubsub": "google-cloud-pubsub",
    "google.cloud.dataflow_v1beta3": "google-cloud-dataflow-client",
}
# Come with another declared dependency: Beam's own client libraries under its extra [gcp].
COME_WITH_BEAM = ("google.api_core", "google.auth", "google.cloud.storage", "google.protobuf", "google.rpc", "grpc")


@cache
def setup_arguments() -> dict[str, Any]:
    """Returns the literal arguments of the call in setup.py."""
    calls = [node for node in ast.walk(ast.parse((ROOT / "setup.py").read_text())) if isinstance(node, ast.Call)]
    call = next(node for node in calls if isinstance(node.func, ast.Name) and node.func.id == "setup")
    return {
        word.arg or "": ast.literal_eval(word.value) for word in call.keywords if not isinstance(word.value, ast.Call)
    }


def declared(*extras: str) -> list[Requirement]:
    arguments = setup_arguments()
    lines = [*arguments["install_requires"], *(line for extra in extras for line in arguments["extras_require"][extra])]
    return [Requirement(line) for line in lines]


@cache
def lock(name: str = "requirements.lock") -> tuple[tuple[str, str, Marker | None, frozenset[str]], ...]:
    """Returns name, version, marker and hashes of each entry of a lock."""
    entries = re.split(r"\n(?=\S)", (ROOT / name).read_text())
    found = []
    for entry in entries:
        match = re.match(r"([\w.-]+)==([^\s;]+)(?: ; ([^\\]+?))? \\\n", entry)
        if match:
            marker = Marker(match[3]) if match[3] else None
            hashes = frozenset(re.findall(r"--hash=(sha256:[0-9a-f]{64})\b", entry))
            found.append((canonicalize_name(match[1]), match[2], marker, hashes))
        else:
            assert not entry or entry.startswith("#"), entry
    return tuple(found)


@cache
def tracked() -> tuple[Path, ...]:
    """Returns the files of the repository: what git tracks or would, or without git all but what tools leave."""
    if (ROOT / ".git").exists() and shutil.which("git"):
        command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
        names = subprocess.run(command, cwd=ROOT, check=True, capture_output=True).stdout.decode().split("\0")
        return tuple(path for name in names if name and (path := ROOT / name).is_file())
    left = (".venv", "__pycache__", ".mypy_cache", ".ruff_cache", ".pytest_cache", ".hypothesis", "demo-output")
    return tuple(
        path
        for path in ROOT.rglob("*")
        if path.is_file() and not any(part.startswith(left) for part in path.relative_to(ROOT).parts)
    )


def texts() -> Iterator[tuple[Path, str]]:
    for path in tracked():
        try:
            yield path, path.read_text("utf-8")
        except UnicodeDecodeError:
            continue


@pytest.mark.parametrize("python", PYTHONS)
def test_the_lock_pins_every_direct_dependency_within_its_range(python: str) -> None:
    environment = {**default_environment(), "python_version": python, "python_full_version": f"{python}.5"}
    for requirement in declared("dev", "docs", "sandbox"):
        pinned = [
            version
            for name, version, marker, _ in lock()
            if name == canonicalize_name(requirement.name) and (marker is None or marker.evaluate(environment))
        ]
        assert len(pinned) == 1, str(requirement)
        assert requirement.specifier.contains(Version(pinned[0])), str(requirement)


def test_every_pin_has_hashes() -> None:
    assert len(lock()) > 100
    assert [name for name, _, _, hashes in lock() if not hashes] == []


def test_uv_is_installed_in_the_version_and_by_the_hashes_of_the_lock() -> None:
    assert lock("requirements-uv.lock") == tuple(entry for entry in lock() if entry[0] == "uv")


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-uv.lock", "templates/flex/requirements.lock"])
def test_the_lock_names_no_place_to_install_from(name: str) -> None:
    text = (ROOT / name).read_text()
    assert re.findall(r"(?i)https?:|index-url|find-links|trusted-host|file:|^-[ef] | @ |\n\.*/", text) == []


def test_every_dependency_is_a_range() -> None:
    for requirement in declared("dev", "docs", "sandbox"):
        operators = {part.operator for part in requirement.specifier}
        assert operators in ({">="}, {">=", "<"}), str(requirement)


def test_dependencies_are_stated_in_setup_py_only() -> None:
    text = (ROOT / "pyproject.toml").read_text()
    assert "[project]" not in text
    assert "dependencies" not in text.split("[build-system]")[1].split("\n\n")[1]
    assert [path.name for path in tracked() if re.match(r"requirements.*\.txt$", path.name)] == []


def imports_of(packages: tuple[str, ...]) -> set[str]:
    """Returns the modules that the packages import from elsewhere."""
    found = set()
    for path in (path for package in packages for path in (ROOT / package).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {name for name in found if name.split(".")[0] not in (*PACKAGES, "benchmarks")}


def distributions(modules: set[str]) -> set[str]:
    """Returns the distributions that hold the modules; the standard library's modules have none."""
    homes = importlib.metadata.packages_distributions()
    found = set()
    for module in modules:
        if module.startswith(COME_WITH_BEAM):
            continue
        special = [home for name, home in GOOGLE.items() if module.startswith(name)]
        found |= set(special or (homes.get(module.split(".")[0], ())))
    return {canonicalize_name(name) for name in found}


@pytest.mark.parametrize(
    ("packages", "extras"),
    [(("pipeline", "transforms"), ()), (PACKAGES, ("sandbox",))],
    ids=["base", "with-sandbox"],
)
def test_what_is_imported_is_declared_and_what_is_declared_is_imported(
    packages: tuple[str, ...], extras: tuple[str, ...]
) -> None:
    names = {canonicalize_name(requirement.name) for requirement in declared(*extras)}
    assert distributions(imports_of(packages)) == names


def test_what_tests_and_benchmarks_import_is_declared() -> None:
    names = {canonicalize_name(requirement.name) for requirement in declared("dev", "docs", "sandbox")}
    assert distributions(imports_of(("tests", "benchmarks"))) - names == set()


def test_every_folder_with_code_is_an_installed_package() -> None:
    folders = {
        ".".join(path.parent.relative_to(ROOT).parts) for package in PACKAGES for path in (ROOT / package).rglob("*.py")
    }
    patterns = [pattern for package in PACKAGES for pattern in (package, f"{package}.*")]
    assert set(find_packages(str(ROOT), include=patterns)) == folders
    for pattern in patterns:
        assert f'"{pattern}"' in (ROOT / "setup.py").read_text()


def test_the_console_script_exists() -> None:
    (script,) = setup_arguments()["entry_points"]["console_scripts"]
    module, function = script.split(" = ")[1].split(":")
    tree = ast.parse(ROOT.joinpath(*module.split(".")).with_suffix(".py").read_text())
    assert function in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_no_file_names_a_machine_or_a_registry() -> None:
    paths = "|".join(("/wo" + "rk/", "/ro" + "ot/", "/opt/wh" + "eels", "/ho" + "me/[a-z]"))
    hosts = "|".join(("py" + r"pi\.org", "python" + r"hosted\.org", "proxy" + r"\.golang", "npm" + r"js\.org"))
    found = [
        f"{path.relative_to(ROOT)}: {match[0]}"
        for path, text in texts()
        for match in re.finditer(rf"(?<![\w.]){paths}|{hosts}", text)
    ]
    assert found == []


def test_no_file_points_to_notes_outside_the_repository() -> None:
    notes = re.compile(
        "|".join(rf"\b{name}" + r"\.md\b" for name in ("desi" + "gn", "map" + "ping", "inter" + "faces"))
    )
    folders = re.compile(r"\.\./sha" + r"red|\bfac" + r"ts/")
    found = [
        f"{path.relative_to(ROOT)}: {match[0]}"
        for path, text in texts()
        for pattern in (notes, folders)
        for match in pattern.finditer(text)
    ]
    assert found == []


def test_ci_runs_the_same_targets_as_a_developer() -> None:
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    for target in ("install", "lint", "docs", "test", "test-slow"):
        assert f"make {target}" in script.read_text()


# What CI asks for before it installs anything, as the tests look for it.
PROGRAMS = {"go": "Go", "node": "Node.js", "npm": "npm", "terraform": "Terraform", "systemd-analyze": "systemd"}


def ci(folder: Path, without: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    """Runs CI on a machine that lacks a program, up to the installation, which ends with 7."""
    scripts = {"make": "exit 7", f"python{sys.version_info[0]}.{sys.version_info[1]}": f'exec {sys.executable} "$@"'}
    for name, line in {**dict.fromkeys(PROGRAMS.keys() - {without}, "exit 0"), **scripts}.items():
        (folder / name).write_text(f"#!/bin/sh\n{line}\n")
        (folder / name).chmod(0o755)
    dirname, bash = shutil.which("dirname"), shutil.which("bash")
    assert dirname is not None
    assert bash is not None
    (folder / "dirname").symlink_to(dirname)
    environment = {"PATH": str(folder), **variables}
    return subprocess.run([bash, ROOT / ".ci" / "run"], env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(("program", "name"), PROGRAMS.items())
def test_a_missing_program_fails_on_a_ci_machine_and_is_a_loud_warning_elsewhere(
    program: str, name: str, tmp_path: Path
) -> None:
    (tmp_path / "ci").mkdir()
    (tmp_path / "elsewhere").mkdir()
    failed, warned = ci(tmp_path / "ci", program, CI="true"), ci(tmp_path / "elsewhere", program)
    assert failed.returncode == 1
    assert warned.returncode == 7
    for done in (failed, warned):
        assert re.findall(r"(?m)^MISSING: ([^:]+): ", done.stderr) == [name]
    # What it says covers the same is there.
    assert all((ROOT / path).is_file() for path in re.findall(r"tests/[\w/.]+", warned.stderr))


def test_ci_asks_for_every_program_that_a_test_may_be_skipped_for() -> None:
    sources = [path.read_text("utf-8") for path in (ROOT / "tests").rglob("*.py")]
    sought = {name for source in sources for name in re.findall(r'which\("([\w-]+)"\)', source)}
    # A checkout was made with git; the others run `ci` above.
    assert sought - {"git", "dirname", "bash"} == set(PROGRAMS)


def test_templates_and_examples_name_the_version_of_setup_py() -> None:
    named = re.compile(
        r"(?:templates/|tiktok-events:|tag such as |(?:template_version|default) *= \")(\d+\.\d+\.\d+)\b"
    )
    found = {
        str(path.relative_to(ROOT)): set(versions)
        for path, text in texts()
        if path.is_relative_to(ROOT / "templates" / "terraform") or path.is_relative_to(ROOT / "examples")
        if (versions := named.findall(text))
    }
    assert len(found) >= 3
    assert found == dict.fromkeys(found, {setup_arguments()["version"]})


def test_the_licence_is_there() -> None:
    assert "Apache License" in (ROOT / "LICENSE").read_text()
    assert setup_arguments()["license_expression"] == "Apache-2.0"
