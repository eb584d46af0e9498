"""The parameters of the Dataflow templates, derived from the command lines that the templates run.

In: the parsers of `run` and `replay`, and the definition of the connection. Out: what `metadata.json`, `launch` and the
tests need to know of each parameter. A parameter is a flag: its name, help, default, choices and group are the flag's.
Said here is what a template alone needs: Google's type of the input, a regular expression, an example that works on
Google Cloud, and why a flag is no parameter. A flag that stands nowhere here is an error (`parameters`), so none can be
forgotten.

Source of the types and fields: Dataflow API v1b3, `ParameterMetadata` and `ParameterType`
(google-cloud-dataflow-client 0.13.0, read 2026-11-25).
"""

import argparse
import re
from collections.abc import Iterator

import msgspec

from pipeline.commands import replay, run
from pipeline.commands.streams import OF_FILES
from pipeline.flags import Switch
from pipeline.problems import UsageError
from pipeline.template_forms import CONNECTION_LEFT_OUT, FORMS, Form, form_of_key

TEMPLATES = ("stream", "history", "replay")

# TikTok's access tokens have 40 hex digits.
LOOKS_LIKE_TOKEN = re.compile(r"(?<![0-9A-Za-z])[0-9a-fA-F]{40}(?![0-9A-Za-z])")


class Parameter(msgspec.Struct, frozen=True, kw_only=True):
    """One parameter of a template.

    Attributes:
      name: as the flag, without its dashes.
      label: a few words for a form.
      help_text: what it does, with its default and an example.
      param_type: Google's word for the kind of input, for example `GCS_READ_FILE`.
      regexes: each must match the whole value; in the syntax that RE2, Java and Python share.
      is_optional: whether it may be left out.
      default: what holds when it is left out, and a form may fill in; None: nothing, or the connection file says it.
      enum_options: the values allowed, for the type `ENUM`.
      group_name: heading in a form.
      parent_name: shown only if that parameter has one of `parent_trigger_values`.
      parent_trigger_values: see `parent_name`.
      example: a value that is allowed.
    """

    name: str
    label: str
    help_text: str
    param_type: str
    regexes: tuple[str, ...]
    is_optional: bool
    default: str | None
    enum_options: tuple[str, ...]
    group_name: str
    parent_name: str | None
    parent_trigger_values: tuple[str, ...]
    example: str

    def objection(self, value: str) -> str | None:
        """Returns why a value is not allowed, with the remedy; None if it is. The value is never repeated.

        >>> found = {parameter.name: parameter for parameter in parameters("stream")}
        >>> found["access_token"].objection("0123456789abcdef0123456789abcdef01234567").partition(";")[0]
        'access_token: a reference to the token is needed, never the token itself'
        """
        if self.param_type == "BOOLEAN":
            allowed = value in ("true", "false")
        elif self.param_type == "ENUM":
            allowed = value in self.enum_options
        else:
            allowed = all(re.fullmatch(regex, value) for regex in self.regexes)
        if allowed:
            return None
        if self.name == "access_token":
            return (
                "access_token: a reference to the token is needed, never the token itself; put the token into Secret "
                f"Manager and name its version, such as {self.example}."
            )
        if LOOKS_LIKE_TOKEN.search(value) and not value.startswith("gs://"):
            return (
                f"{self.name}: this value looks like an access token, and everybody who may see the job would read it; "
                "put the token into Secret Manager and name its version as access_token."
            )
        wanted = f"one of {', '.join(self.enum_options)}" if self.enum_options else f"a value such as {self.example}"
        return f"{self.name}: this value is not allowed; {wanted} is needed."


# Flags that are no parameters anywhere → why.
_NOWHERE = {
    "--help": "answers on a terminal",
    "--verbose": "is for a terminal; the log of a job is in Cloud Logging",
    "--progress": "needs a terminal",
    "--no_progress": "needs a terminal",
    "--runner": "a template runs on Dataflow; its launcher says so",
    "--summary": "is written when a run ends; the launcher leaves when the job is described. Counts are metrics there",
}
_OF_STREAMS_ALONE = dict.fromkeys(("--subscription", "--topic", "--max_messages", "--max_seconds"), "is for streams")

# The same by template.
LEFT_OUT: dict[str, dict[str, str]] = {
    "stream": {
        **_NOWHERE,
        **{f"--{flag}": "is for files" for flag in OF_FILES},
        "--partition_slack": "is for files",
        "--prices": "is for files",
        "--resend_unknown": "belongs to --skip_delivered, which is for files",
        "--ledger_memory_mb": "belongs to --skip_delivered, which is for files",
        "--topic": "Dataflow would make a subscription and drop it with the job: what comes between two jobs is lost",
        "--max_messages": "ends a stream on this machine; one on Dataflow is drained",
        "--max_seconds": "ends a stream on this machine; one on Dataflow is drained",
    },
    "history": {
        **_NOWHERE,
        **_OF_STREAMS_ALONE,
        "--dry_run": "its report is made where the run is waited for, and the launcher does not wait; run it locally",
        "--prices": "belongs to --dry_run",
    },
    "replay": {**_NOWHERE, "--dry_run": "checks the graph where one works on it"},
}

# What a template cannot do without. `connection`: one file that `check` and `test` have seen, and that says all the
# rest; single keys may be given over it.
_REQUIRED = {
    "stream": ("connection", "subscription"),
    "history": ("connection", "input"),
    "replay": ("connection", "dead_letters"),
}

# Shown only where it does something: parameter → the switch that it belongs to.
_PARENTS = {"resend_unknown": "skip_delivered", "partition_slack": "date_partition"}

# Words of names that are written otherwise in labels.
_WORDS = {
    "id": "ID",
    "ip": "IP",
    "api": "API",
    "ca": "CA",
    "url": "URL",
    "tiktok": "TikTok",
    "mb": "(MB)",
    "secs": "(seconds)",
    "bytes": "(bytes)",
}


def parameters(template: str) -> tuple[Parameter, ...]:
    """Returns the parameters of a template: the required ones first, then in the order of the command's flags.

    Args:
      template: one of `TEMPLATES`.

    Raises:
      LookupError: a flag is neither described in `pipeline.template_forms` nor left out with its reason.
    """
    found = tuple(_parameters(template))
    return tuple(sorted(found, key=lambda parameter: parameter.is_optional))


def command(template: str) -> str:
    """Returns the command that a template runs."""
    return "replay" if template == "replay" else "run"


def check_parameters(template: str, given: dict[str, str], dashes: str = "") -> None:
    """Checks names and values of parameters before anything is launched.

    Args:
      template: its name.
      given: name to value.
      dashes: stand before each name that is told, where they were given as flags.

    Raises:
      UsageError: with every problem, one a line; no value is repeated.
    """
    known = {parameter.name: parameter for parameter in parameters(template)}
    problems = [f"{name} is missing." for name in _REQUIRED[template] if not given.get(name)]
    for name, value in given.items():
        if name not in known:
            problems.append(f"{name} is no parameter of {template}.")
        elif objection := known[name].objection(value):
            problems.append(objection)
    if problems:
        raise UsageError("\n".join(f"{dashes}{problem}" for problem in problems))


def parser_of(template: str) -> argparse.ArgumentParser:
    """Returns the parser of the command that a template runs."""
    return replay.command_line() if command(template) == "replay" else run.command_line()


def _parameters(template: str) -> Iterator[Parameter]:
    flags = {
        action.option_strings[-1].removeprefix("--"): (action, group.title or "")
        for group in parser_of(template)._action_groups
        for action in group._group_actions
        if action.option_strings[-1] not in LEFT_OUT[template]
    }
    for name, (action, title) in flags.items():
        if name in CONNECTION_LEFT_OUT:
            continue
        form, group = FORMS.get(f"{template} {name}") or FORMS.get(name), title
        if form is None:
            form, group = form_of_key(name), "connection"
        if form is None:
            raise LookupError(
                f"--{name} is a new flag: describe it in FORMS of pipeline/template_forms.py, or say in "
                f"LEFT_OUT[{template!r}] of pipeline/template_parameters.py why it is no parameter."
            )
        parent = _PARENTS.get(name)
        yield _parameter(template, name, form, action, group, parent if parent in flags else None)


def _parameter(
    template: str, name: str, form: Form, action: argparse.Action, group: str, parent: str | None
) -> Parameter:
    default = str(action.default).lower() if isinstance(action, Switch) else action.default
    return Parameter(
        name=name,
        label=_label(name),
        help_text=_help(form.help_text or action.help or "", form.example),
        param_type=form.param_type,
        regexes=form.regexes,
        is_optional=name not in _REQUIRED[template],
        default=default if isinstance(default, str) and default != argparse.SUPPRESS else None,
        enum_options=form.enum_options,
        group_name=group.capitalize(),
        parent_name=parent,
        parent_trigger_values=("true",) if parent else (),
        example=form.example,
    )


def _label(name: str) -> str:
    words = [_WORDS.get(word, word) for word in name.split("_")]
    return " ".join([words[0][0].upper() + words[0][1:], *words[1:]])


def _help(text: str, example: str) -> str:
    """Returns a flag's help as sentences, with an example of the template in place of the command line's."""
    said = re.sub(r"; example: .*\)$", ")", text.replace("%%", "%")).removesuffix(" (required)")
    said = re.sub(r"(?<!`run )--([a-z_]+)", r"\1", said)
    first = said.split(maxsplit=1)[0]
    capital = said[0].upper() if first == first.lower() else said[0]
    return f"{capital}{said[1:]}. Example: {example}"
