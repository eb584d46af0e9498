"""The template's flags → parameters of a launch, checked as the job would check them, before a machine is started."""

import argparse
import logging
from collections.abc import Mapping, Sequence

from pipeline.arguments import parse_replay, parse_run
from pipeline.config import BOOLEANS, read_text
from pipeline.errors import ConfigurationError, UsageError
from pipeline.launch.job_options import PARAMETER_PREFIX
from pipeline.launch.template_parameters import (
    LOOKS_LIKE_TOKEN,
    TemplateParameter,
    as_text,
    check_parameters,
    command_of,
)
from pipeline.options import RunOptions
from pipeline.wording import plain
from transforms.tiktok import SECRET_VERSION

_log = logging.getLogger(__name__)

_REMEDY = (
    "put the token into Secret Manager and name its version, such as projects/acme-prod/secrets/tiktok-token/versions/"
    "latest"
)
# In place of a connection file that this machine may not read.
_STAND_INS = {
    "event_source_id": "--event_source_id=UNREAD",
    "access_token": "--access_token=projects/unread/secrets/unread/versions/latest",
}


def given_parameters(arguments: argparse.Namespace, known: Sequence[TemplateParameter]) -> dict[str, str]:
    """Returns the parameters that were given, as texts that a template takes.

    Words that `run` takes in any case and spacing are written as the template wants them; several values of one flag
    are joined by commas.

    Raises:
      UsageError: a key of a mapping and the mapping are given.
    """
    given = {
        name.removeprefix(PARAMETER_PREFIX): value
        for name, value in vars(arguments).items()
        if name.startswith(PARAMETER_PREFIX)
    }
    by_name = {parameter.name: parameter for parameter in known}
    found: dict[str, str] = {}
    inner: dict[str, dict[str, str | None]] = {}
    for name, value in given.items():
        if name in by_name:
            found[name] = _as_parameter(by_name[name], value)
        else:
            parent, _, key = name.partition(".")
            inner.setdefault(parent, {})[key] = None if value == "null" else value
    for parent, keys in inner.items():
        if parent in found:
            raise UsageError(f"--{parent} and --{parent}.{next(iter(keys))}: give one of them.")
        found[parent] = as_text(keys)
    return found


def _as_parameter(parameter: TemplateParameter, value: bool | str | list[str]) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        value = [value]
    joined = parameter.name in ("input", "reason")
    text = ",".join(value) if joined else value[-1]
    if parameter.enum_options == ("true", "false"):
        spelt = BOOLEANS.get(text.strip().lower())
        return text if spelt is None else str(spelt).lower()
    if parameter.enum_options:
        return next((option for option in parameter.enum_options if plain(option) == plain(text)), text)
    return text


def check_launch(template: str, known: Sequence[TemplateParameter], given: Mapping[str, str]) -> RunOptions | None:
    """Checks parameters: their form, then all that `run` or `replay` checks of the same flags, the connection too.

    Args:
      template: its name.
      known: its parameters.
      given: name to value.

    Returns:
      What the job will be asked to do; None where the connection file cannot be read from here, which is warned of.

    Raises:
      UsageError: with the remedy; no value of a token is repeated.
    """
    _refuse_secrets(given)
    _refuse_local_paths(known, given)
    check_parameters(template, dict(given), dashes="--")
    words = [f"--{name}={value}" for name, value in given.items()]
    if not _is_readable(given.get("connection", "")):
        stand_ins = [flag for name, flag in _STAND_INS.items() if name not in given]
        others = [word for word in words if not word.startswith("--connection=")]
        _parsed(template, [*others, *stand_ins])
        return None
    options = _parsed(template, words)
    if not SECRET_VERSION.fullmatch(options.connection.access_token or ""):
        raise UsageError(
            f"{given['connection']}: access_token is a reference that only its own machine can follow (env: or file:);"
            f" the workers of a job cannot. {_REMEDY[0].upper()}{_REMEDY[1:]}, in the file or as "
            "--access_token."
        )
    return options


def _parsed(template: str, words: Sequence[str]) -> RunOptions:
    """Returns what the template's command makes of parameters; the flags are those that Dataflow's launcher gives."""
    parse = parse_replay if command_of(template) == "replay" else parse_run
    return parse([*words, "--runner=DataflowRunner"])


def _refuse_secrets(given: Mapping[str, str]) -> None:
    token = given.get("access_token")
    if token is not None and not SECRET_VERSION.fullmatch(token):
        reason = "a token itself would be readable by everybody who may see the job"
        if token.lstrip().startswith(("env:", "file:")):
            reason = "env: and file: name things of this machine, which workers on Dataflow do not have"
        raise UsageError(f"--access_token: {reason}; {_REMEDY}.")
    for name, value in given.items():
        # Paths are left out: folders are named for commits, which look the same.
        if LOOKS_LIKE_TOKEN.search(value) and not value.startswith("gs://"):
            raise UsageError(
                f"--{name}: this value looks like an access token, and everybody who may see the job would read it; "
                f"{_REMEDY}, as --access_token."
            )


def _refuse_local_paths(known: Sequence[TemplateParameter], given: Mapping[str, str]) -> None:
    for parameter in known:
        value = given.get(parameter.name)
        is_path = parameter.param_type.startswith("GCS_") or parameter.example.startswith("gs://")
        if value is not None and is_path and not value.startswith("gs://"):
            raise UsageError(
                f"--{parameter.name}: a job on Dataflow reads and writes Cloud Storage only; give a gs:// path. A file "
                f"of this machine is copied with `gcloud storage cp FILE {parameter.example}`."
            )


def _is_readable(connection: str) -> bool:
    """Returns whether the connection file can be read from here; warns if not.

    Raises:
      ConfigurationError: there is no such file.
    """
    try:
        read_text(connection)
    except ConfigurationError as error:
        if not isinstance(error.__cause__, OSError) or isinstance(error.__cause__, FileNotFoundError):
            raise
        _log.warning("--connection: not checked, because it cannot be read from here; the job reads it when it starts")
        return False
    return True
