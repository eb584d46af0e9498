"""The wheel: what it holds, how it presents itself, and that it works without the checkout it was built from."""

import configparser
import email.message
import email.parser
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("pipeline", "transforms", "sandbox")
MESSAGE = ROOT / "tests" / "golden" / "cases" / "02_web_single_add_to_cart_anonymous" / "message.json"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Builds the wheel from a copy of the sources, and returns the folder that it is unpacked into."""
    source, built, unpacked = (tmp_path_factory.mktemp(name) for name in ("source", "built", "unpacked"))
    for name in ("setup.py", "pyproject.toml", "MANIFEST.in", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    for name in PACKAGES:
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    command = [sys.executable, "-m", "uv", "build", "--wheel", "--no-build-isolation", "--offline"]
    command += ["--python", sys.executable, "--out-dir", str(built), str(source)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (path,) = built.glob("*.whl")
    shutil.unpack_archive(path, unpacked, "zip")
    return unpacked


@pytest.fixture(scope="module")
def metadata(wheel: Path) -> email.message.Message:
    (path,) = wheel.glob("*.dist-info/METADATA")
    return email.parser.Parser().parsestr(path.read_text("utf-8"))


def test_the_wheel_holds_every_file_of_the_packages(wheel: Path) -> None:
    held = {str(path.relative_to(wheel)) for path in wheel.rglob("*") if path.is_file()}
    files = {
        str(path.relative_to(ROOT))
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.is_file() and path.parent.name != "__pycache__"
    }
    assert {name for name in held if ".dist-info/" not in name} == files


def test_the_readme_is_the_description(metadata: email.message.Message) -> None:
    assert metadata["Description-Content-Type"] == "text/markdown"
    assert str(metadata.get_payload()).strip() == (ROOT / "README.md").read_text("utf-8").strip()


def test_licence_and_versions_of_python_are_stated(wheel: Path, metadata: email.message.Message) -> None:
    assert metadata["License-Expression"] == "Apache-2.0"
    assert next(wheel.glob("*.dist-info/licenses/LICENSE")).read_text() == (ROOT / "LICENSE").read_text()
    versions = [
        line for line in metadata.get_all("Classifier", []) if line.startswith("Programming Language :: Python")
    ]
    assert [line.rpartition(" ")[2] for line in versions] == ["Only", "3.11", "3.12", "3.13"]
    assert metadata["Requires-Python"] == ">=3.11,<3.14"


def test_the_console_script_previews_a_message_from_an_empty_folder(wheel: Path, tmp_path: Path) -> None:
    (path,) = wheel.glob("*.dist-info/entry_points.txt")
    parser = configparser.ConfigParser()
    parser.read(path)
    module, function = parser["console_scripts"]["tiktok-events"].split(":")
    code = f"import sys, {module} as module; print(module.__file__); sys.exit(module.{function}())"
    command = [sys.executable, "-P", "-c", code, "preview", str(MESSAGE), "--event_source_id=A1T8T4UYGVIQA8ORZMX9"]
    # Found before the checkout, which is installed in this environment for editing.
    environment = {**os.environ, "PYTHONPATH": str(wheel)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    first, *lines = done.stdout.splitlines()
    assert Path(first).is_relative_to(wheel)
    assert done.returncode == 0, done.stderr
    assert lines[-1] == "1 send"
