"""The image's Dockerfile: what can be known without Docker. Its installation is carried out in a fresh environment."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.markers import Marker, default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[3]
FLEX = ROOT / "templates" / "flex"
PYTHON = "3.11"
OF_THE_IMAGE = {
    "python_version": PYTHON,
    "python_full_version": f"{PYTHON}.0",
    "sys_platform": "linux",
    "platform_system": "Linux",
    "platform_machine": "x86_64",
}


def instructions() -> list[tuple[str, str, str]]:
    """Returns word, arguments, and the comment of the block that an instruction stands in."""
    found = []
    for block in re.split(r"\n\s*\n", (FLEX / "Dockerfile").read_text()):
        lines = block.splitlines()
        comment = "\n".join(line for line in lines if line.startswith("#"))
        text = "\n".join(line for line in lines if not line.startswith("#")).replace("\\\n", " ")
        found += [(*line.split(maxsplit=1), comment) for line in text.splitlines()]
    return found


def pinned(path: Path) -> dict[str, tuple[str, set[str]]]:
    """Returns version and hashes of each package of a file of pinned requirements, as they are for the image."""
    entries = re.split(r"\n(?=\S)", path.read_text())
    environment = {**default_environment(), **OF_THE_IMAGE}
    found = {}
    for entry in entries:
        match = re.match(r"([\w.-]+)==([^\s;\\]+)(?: ; ([^\\]+?))? \\\n", entry)
        if match and (match[3] is None or Marker(match[3]).evaluate(environment)):
            found[canonicalize_name(match[1])] = (match[2], set(re.findall(r"sha256:[0-9a-f]{64}", entry)))
    return found


def runs() -> list[str]:
    return [arguments for word, arguments, _ in instructions() if word == "RUN"]


def ignored(path: str) -> bool:
    """Says whether .dockerignore keeps a path out of the build: the last pattern that fits decides."""
    left_out = False
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        pattern = line.removeprefix("!")
        if pattern and not pattern.startswith("#") and (pattern == "*" or f"{path}/".startswith(f"{pattern}/")):
            left_out = not line.startswith("!")
    return left_out


def test_each_block_says_why() -> None:
    blocks = {comment for word, _, comment in instructions() if word in ("RUN", "ENV", "FROM", "ENTRYPOINT", "ARG")}
    assert len(blocks) >= 9
    assert all(len(comment.split()) >= 10 for comment in blocks)


def test_beam_is_the_version_of_setup_py_and_python_the_one_of_its_image() -> None:
    images = [arguments.split()[0] for word, arguments, _ in instructions() if word == "FROM"]
    beam, launcher, python = images
    setup = re.search(r"apache-beam\[gcp\](>=[^\"]+)", (ROOT / "setup.py").read_text())
    assert setup is not None
    version = beam.rpartition(":")[2]
    assert beam == f"apache/beam_python{PYTHON}_sdk:{version}"
    assert Requirement(f"apache-beam{setup[1]}").specifier.contains(version)
    assert pinned(FLEX / "requirements.lock")["apache-beam"][0] == version
    assert pinned(ROOT / "requirements.lock")["apache-beam"][0] == version
    assert f"python{PYTHON.replace('.', '')}-template-launcher-base:" in launcher
    assert python.startswith(f"python:{PYTHON}-")
    assert not [image for image in images if image.endswith(":latest") or ":" not in image]


def test_what_is_copied_exists_and_nothing_else_is_sent_to_the_build() -> None:
    copied = [arguments.split() for word, arguments, _ in instructions() if word == "COPY"]
    sources = [source for words in copied if not words[0].startswith("--from") for source in words[:-1]]
    assert {"pipeline", "transforms", "setup.py", "templates/flex/main.py"} <= set(sources)
    assert all((ROOT / source).exists() and not ignored(source) for source in sources)
    for path in (
        "tests",
        "sandbox",
        "samples",
        ".git",
        ".venv",
        "templates/flex/stream.json",
        "connection.yaml",
        ".env",
    ):
        assert ignored(path), path


def test_the_image_holds_exact_versions_of_the_lock_with_hashes() -> None:
    image, lock = pinned(FLEX / "requirements.lock"), pinned(ROOT / "requirements.lock")
    assert len(image) > 50
    for name, (version, hashes) in image.items():
        assert hashes, name
        assert (version, hashes) == lock[name], f"{name}: run `make lock`"
    assert not {"pytest", "mypy", "ruff", "hypothesis"} & set(image)
    assert "-r requirements.lock" in runs()[0]
    assert {"--no-deps", "--require-hashes", "--no-build-isolation"} <= set(runs()[0].split())


def test_nothing_is_downloaded_when_a_job_starts() -> None:
    variables = dict(
        pair.partition("=")[::2] for word, arguments, _ in instructions() if word == "ENV" for pair in arguments.split()
    )
    assert variables["FLEX_TEMPLATE_PYTHON_PY_FILE"] == "/template/main.py"
    assert variables["RUN_PYTHON_SDK_IN_DEFAULT_ENVIRONMENT"] == "1"
    assert variables["TIKTOK_EVENTS_IMAGE"] == "${IMAGE}"
    assert not [name for name in variables if name.endswith(("_REQUIREMENTS_FILE", "_SETUP_FILE"))]


@pytest.mark.slow
def test_the_installation_works_and_what_is_installed_describes_a_job(tmp_path: Path) -> None:
    """Needs the package index, as `make install` does; takes about a minute."""
    if f"{sys.version_info[0]}.{sys.version_info[1]}" != PYTHON:
        pytest.skip(f"the image holds Python {PYTHON}; CI runs this under it")
    source = tmp_path / "source"
    source.mkdir()
    for word, arguments, _ in instructions():
        *sources, _target = arguments.split()
        if word == "COPY" and not sources[0].startswith("--from"):
            subprocess.run(["cp", "-r", *(str(ROOT / name) for name in sources), str(source)], check=True)
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "venv")], check=True)
    python = str(tmp_path / "venv" / "bin" / "python")
    for command in runs():
        program, *arguments = command.split()
        assert program == "python"
        ended = subprocess.run([python, *arguments], cwd=source, capture_output=True, text=True)
        assert ended.returncode == 0, ended.stdout[-2_000:] + ended.stderr[-2_000:]
    assert ended.stdout == "No broken requirements found.\n"

    connection = ["--event_source_id=A1T8T4UYGVIQA8ORZMX9", "--access_token=env:TOKEN"]
    connection += ["--runner=DataflowRunner", "--dry_run=true"]
    given = ["-m", "pipeline", "run", "--subscription=projects/acme-prod/subscriptions/orders", *connection]
    ended = subprocess.run([python, *given], cwd=tmp_path, capture_output=True, text=True)
    assert ended.stdout.startswith("The graph for Dataflow is built: "), ended.stderr
    # The file that the launcher starts imports what is installed: it gets as far as the parameters.
    main = tmp_path / "template" / "main.py"
    main.parent.mkdir()
    (source / "main.py").rename(main)
    ended = subprocess.run([python, str(main)], cwd="/", capture_output=True, text=True)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.startswith("error: nothing to read was named: give subscription")
