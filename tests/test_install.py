"""scripts/install.py: uv gets its packages from where pip would, and only a virtual environment is emptied."""

import hashlib
import os
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from scripts import install

ROOT = Path(__file__).resolve().parents[1]
MIRROR, OTHER = "https://user:secret@mirror.example/simple", "https://other.example/simple"
PARTS = ("PIP_", "UV_", "SSL_")
NAMES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")


@pytest.fixture
def clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Hides the configuration of this machine and of its user from pip and uv."""
    for name in os.environ:
        if name.startswith(PARTS) or name in NAMES:
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_DIRS", str(tmp_path))
    # Read last of all files, so what it does not set is pip's default or set for the whole machine.
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns a new virtual environment, made where an interrupted installation left one."""
    folder = tmp_path_factory.mktemp("environment")
    for name in ("pyvenv.cfg", ".installed", "half-a-package.py"):
        (folder / name).touch()
    assert install.make_environment(folder) == str(folder / "bin" / "python")
    return folder


@pytest.mark.parametrize(
    ("settings", "variables", "expected"),
    [
        ({}, {}, {}),
        ({"index-url": MIRROR}, {}, {"UV_DEFAULT_INDEX": MIRROR}),
        (
            {"extra-index-url": f"\n{MIRROR}\n{OTHER}"},
            {},
            {"UV_INDEX": f"{MIRROR} {OTHER}", "UV_INDEX_STRATEGY": "unsafe-best-match"},
        ),
        ({"trusted-host": "a.example\nb.example:8443"}, {}, {"UV_INSECURE_HOST": "a.example b.example:8443"}),
        ({"default-timeout": "180"}, {}, {"UV_HTTP_TIMEOUT": "180"}),
        ({"default-timeout": "180", "timeout": "60"}, {}, {"UV_HTTP_TIMEOUT": "60"}),
        ({"proxy": "http://proxy.example:3128"}, {}, {"ALL_PROXY": "http://proxy.example:3128"}),
        ({"cert": "/ca.pem", "client-cert": "/me.pem"}, {}, {"SSL_CERT_FILE": "/ca.pem", "SSL_CLIENT_CERT": "/me.pem"}),
        ({}, {"REQUESTS_CA_BUNDLE": "/ca.pem"}, {"SSL_CERT_FILE": "/ca.pem"}),
        ({"cert": "/ca.pem"}, {"REQUESTS_CA_BUNDLE": "/b.pem"}, {"SSL_CERT_FILE": "/ca.pem"}),
        ({"find-links": f"{OTHER} {ROOT}\n/no/such/folder"}, {}, {"UV_FIND_LINKS": f"{OTHER},{ROOT}"}),
        # What is meant for uv is left as it is.
        ({"index-url": MIRROR}, {"UV_DEFAULT_INDEX": OTHER}, {}),
        ({"index-url": MIRROR}, {"UV_INDEX_URL": OTHER}, {}),
        ({"extra-index-url": MIRROR}, {"UV_EXTRA_INDEX_URL": OTHER}, {}),
        ({"extra-index-url": MIRROR}, {"UV_INDEX_STRATEGY": "first-index"}, {"UV_INDEX": MIRROR}),
        ({"cert": "/ca.pem"}, {"SSL_CERT_FILE": "/b.pem"}, {}),
        ({"proxy": "http://proxy.example:3128"}, {"HTTPS_PROXY": "http://other.example:3128"}, {}),
    ],
)
def test_what_pip_is_set_to_becomes_what_uv_is_set_to(
    settings: dict[str, str], variables: dict[str, str], expected: dict[str, str]
) -> None:
    assert install.uv_variables(settings, variables) == {**expected, "UV_SYSTEM_CERTS": "true"}


def test_the_certificates_of_the_system_are_left_out_if_uv_is_told_to() -> None:
    assert install.uv_variables({}, {"UV_SYSTEM_CERTS": "false"}) == {}


@pytest.mark.usefixtures("clean")
def test_the_files_and_variables_of_pip_are_read_in_pips_order(
    environment: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "pip.conf"
    file.write_text(
        f"[global]\nindex_url = {OTHER}\nno-index = true\ntimeout = 9\n"
        f"extra-index-url =\n    {MIRROR}\n    {OTHER}\n"
        f"[install]\ntimeout = 8\n[download]\ntimeout = 7\n"
    )
    monkeypatch.setenv("PIP_CONFIG_FILE", str(file))
    monkeypatch.setenv("PIP_INDEX_URL", MIRROR)
    settings = install.pip_settings(str(environment / "bin" / "python"))
    assert settings["index-url"] == MIRROR
    assert settings["extra-index-url"].split() == [MIRROR, OTHER]
    assert settings["timeout"] == "8"
    assert settings["no-index"] == "true"


@pytest.fixture
def index(tmp_path: Path) -> Iterator[tuple[str, str]]:
    """Serves an index on loopback that holds one package, and yields its URL and the requirement with its hash."""
    folder = tmp_path / "index" / "only-there"
    folder.mkdir(parents=True)
    wheel = folder / "only_there-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("only_there.py", "")
        archive.writestr("only_there-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: only-there\nVersion: 1.0\n")
        archive.writestr(
            "only_there-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr("only_there-1.0.dist-info/RECORD", "only_there.py,,\n")
    (folder / "index.html").write_text(f'<a href="{wheel.name}">{wheel.name}</a>')
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    handler = partial(SimpleHTTPRequestHandler, directory=str(tmp_path / "index"))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", f"only-there==1.0 --hash=sha256:{digest}"
        server.shutdown()


@pytest.mark.usefixtures("clean")
@pytest.mark.parametrize("option", ["index-url", "extra-index-url", "find-links"])
def test_uv_finds_a_package_that_only_pips_configuration_leads_to(
    option: str, index: tuple[str, str], environment: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    url, requirement = index
    lock = tmp_path / "requirements.lock"
    lock.write_text(f"{requirement}\n")
    file = tmp_path / "pip.conf"
    file.write_text(f"[global]\n{option} = {f'{url}/only-there/' if option == 'find-links' else url}\n")
    monkeypatch.setenv("PIP_CONFIG_FILE", str(file))
    settings = install.pip_settings(str(environment / "bin" / "python"))
    variables = {**os.environ, **install.uv_variables(settings, os.environ)}
    if option != "index-url":
        # In the place of uv's default, which is not on this machine: an index that has no package.
        variables["UV_DEFAULT_INDEX"] = f"{url}/empty"
    command = [sys.executable, "-m", "uv", "--no-cache", "pip", "install", "--require-hashes", "--no-deps"]
    command += ["--target", str(tmp_path / "there"), "-r", str(lock)]
    done = subprocess.run(command, env=variables, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "there" / "only_there.py").is_file()


def test_a_folder_that_is_no_virtual_environment_is_not_emptied(tmp_path: Path) -> None:
    kept = tmp_path / "letter.txt"
    kept.write_text("kept")
    command = [sys.executable, str(ROOT / "scripts" / "install.py"), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr == f"{tmp_path} is not a virtual environment, so it is not emptied to become one\n"
    assert kept.read_text() == "kept"


def test_what_an_earlier_installation_left_is_removed_with_the_mark_of_a_complete_one(environment: Path) -> None:
    assert (environment / "bin" / "python").is_file()
    assert {path.name for path in environment.iterdir()} & {".installed", "half-a-package.py"} == set()


def test_make_marks_no_environment_as_installed_whose_installation_failed(tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text('#!/bin/sh\nmkdir -p "$2" && exit 3\n')
    python.chmod(0o755)
    command = ["make", "install", f"PYTHON={python}", f"VENV={tmp_path / 'venv'}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2
    assert (tmp_path / "venv").is_dir()
    assert not (tmp_path / "venv" / ".installed").exists()
