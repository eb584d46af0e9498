"""Installs the pinned dependencies and this project into a new virtual environment: `install.py FOLDER`.

pip installs uv, checked against its hash, and uv installs everything else. Needs a Python with venv and pip, no more.
uv does not read pip's configuration, so what it says of indexes, proxy and certificates is handed on to uv.
"""

import argparse
import ast
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

# Options of pip, the variable of uv that means the same, and the variables that keep it from being set: what is meant
# for uv wins over what is meant for pip.
# Source: pip, "Configuration"; uv, "Environment variables" (read 2026-12-01).
SAME_IN_UV = (
    ("index-url", "UV_DEFAULT_INDEX", ("UV_INDEX_URL",)),
    ("extra-index-url", "UV_INDEX", ("UV_EXTRA_INDEX_URL",)),
    ("find-links", "UV_FIND_LINKS", ()),
    ("trusted-host", "UV_INSECURE_HOST", ()),
    ("timeout", "UV_HTTP_TIMEOUT", ()),
    ("proxy", "ALL_PROXY", ("HTTPS_PROXY", "https_proxy", "all_proxy")),
    ("cert", "SSL_CERT_FILE", ("SSL_CERT_DIR",)),
    ("client-cert", "SSL_CLIENT_CERT", ()),
)


def make_environment(folder: Path) -> str:
    """Makes an empty virtual environment, in place of one that is there, and returns the path of its Python.

    What an interrupted installation left is not trusted: a package may lack files and still count as installed.

    Raises:
      FileExistsError: the folder holds something else than a virtual environment.
    """
    if folder.exists() and any(folder.iterdir()) and not (folder / "pyvenv.cfg").is_file():
        raise FileExistsError(f"{folder} is not a virtual environment, so it is not emptied to become one")
    subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
    return str(folder / "bin" / "python")


def pip_settings(python: str) -> dict[str, str]:
    """Returns the options that pip's files and variables set for an installation, by their long names."""
    command = [python, "-m", "pip", "config", "list"]
    listed = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()
    settings = {}
    # In the order in which pip applies them: the last one wins.
    for section in ("global", "install", ":env:"):
        for line in listed:
            name, _, value = line.partition("=")
            if name.startswith(f"{section}."):
                settings[name.removeprefix(f"{section}.")] = ast.literal_eval(value)
    return settings


def uv_variables(settings: Mapping[str, str], environment: Mapping[str, str]) -> dict[str, str]:
    """Returns the environment variables by which uv installs from where pip would, without those that are set.

    Args:
      settings: pip's options, as `pip_settings` returns them.
      environment: the variables that uv gets anyway.
    """
    # pip itself gives these the same meaning as its options.
    cert = environment.get("REQUESTS_CA_BUNDLE") or environment.get("CURL_CA_BUNDLE")
    settings = {"timeout": settings.get("default-timeout", ""), "cert": cert or "", **settings}
    # A folder that does not exist is a warning to pip and an error to uv.
    links = [link for link in settings.get("find-links", "").split() if "://" in link or Path(link).exists()]
    settings["find-links"] = ",".join(links)

    variables = {
        variable: " ".join(settings[option].split())
        for option, variable, others in SAME_IN_UV
        if settings.get(option) and not {variable, *others} & environment.keys()
    }
    if "UV_INDEX" in variables and "UV_INDEX_STRATEGY" not in environment:
        # Like pip, uv is to look in every index, not only in the first one that knows the package. uv calls that
        # unsafe because another index could offer a newer version; the lock names version and hash of each file.
        variables["UV_INDEX_STRATEGY"] = "unsafe-best-match"
    if "UV_SYSTEM_CERTS" not in environment:
        # As pip does: a company's certificate authority is known to the system, not to uv. SSL_CERT_FILE goes first.
        variables["UV_SYSTEM_CERTS"] = "true"
    return variables


def install(folder: Path) -> None:
    """Makes the virtual environment and installs what the locks pin, then this project as it is in its checkout.

    Raises:
      FileExistsError: the folder holds something else than a virtual environment.
      subprocess.CalledProcessError: a program failed, and has written why to standard error.
    """
    python = make_environment(folder)
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--require-hashes"]
    subprocess.run([*pip, "-r", "requirements-uv.lock"], cwd=ROOT, check=True)

    settings = pip_settings(python)
    environment = {**os.environ, **uv_variables(settings, os.environ)}
    given = ["--quiet", "--python", python]
    if settings.get("no-index", "").lower() in ("1", "true", "yes", "on"):
        given.append("--no-index")
    # The lock holds setuptools too: what has to be built is built by a tool that is checked against its hash.
    build = ["--build-constraints", "requirements.lock", "--require-build-hashes"]
    for arguments in (
        ["sync", *build, "--require-hashes", "requirements.lock"],
        ["install", "--no-deps", "--no-build-isolation", "--editable", "."],
    ):
        subprocess.run([python, "-m", "uv", "pip", *arguments, *given], cwd=ROOT, env=environment, check=True)


def main() -> None:
    """Installs into the folder that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="the virtual environment, which is made anew; usually .venv")
    folder = parser.parse_args().folder.absolute()
    if not (3, 11) <= sys.version_info[:2] <= (3, 13):
        sys.exit(f"Python 3.11, 3.12 or 3.13 is needed, {sys.executable} is {sys.version.split()[0]}")
    try:
        install(folder)
    except FileExistsError as error:
        sys.exit(f"{error}")
    except subprocess.CalledProcessError as error:
        # The program has said why.
        sys.exit(f"Not installed: {error.cmd[2]} ended with {error.returncode}")
    except KeyboardInterrupt:
        sys.exit("Not installed: interrupted")


if __name__ == "__main__":
    main()
