"""The parameters of the Dataflow templates, derived from the command lines that the templates run.

In: the parsers of `run` and `replay`, and the definition of the connection. Out: what `metadata.json`, `launch` and the
tests need to know of each parameter. A parameter is a flag: its name, help, default, choices and group are the flag's.
Only what a template alone needs is written here: Google's type of the input, a regular expression, an example that
works on Google Cloud, and why a flag is no parameter. For keys of the connection this follows from their definition;
for a command's own flags it is in `INPUT_FORMS`. A flag that is nowhere here is an error, so none can be forgotten.

Paths are gs:// here, and the token is a Secret Manager name: neither launcher nor workers see other files or variables.

Source of the types and fields: Dataflow API v1b3, `ParameterMetadata` and `ParameterType`
(google-cloud-dataflow-client 0.13.0, read 2026-11-25).
"""

import argparse
import re
from collections.abc import Iterator
from typing import Any

import msgspec
import msgspec.inspect as types
import yaml

from pipeline.arguments import FILE_FLAGS, StrictParser, replay_parser, run_parser, settings
from pipeline.errors import UsageError
from pipeline.options import LAYOUT_NAMES
from transforms.tiktok import SECRET_VERSION

TEMPLATES = ("stream", "history", "replay")

# TikTok's access tokens have 40 hex digits.
LOOKS_LIKE_TOKEN = re.compile(r"(?<![0-9A-Za-z])[0-9a-fA-F]{40}(?![0-9A-Za-z])")


class TemplateParameter(msgspec.Struct, frozen=True, kw_only=True):
    """One parameter of a template.

    Attributes:
      name: as the flag, without its dashes.
      label: a few words for a form.
      help_text: what it does, with its default and an example.
      param_type: Google's word for the kind of input, for example `GCS_READ_FILE`.
      regexes: each must match the whole value; in the syntax that RE2, Java and Python share.
      is_optional: whether it may be left out.
      default: what holds when it is left out, and a form may fill in; None: nothing, or it is in the connection file.
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

        >>> found = {parameter.name: parameter for parameter in parameters_of("stream")}
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


# Names of buckets. Source: Cloud Storage, "About buckets", bucket names (read 2026-11-25).
_BUCKET = r"gs://[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]"
_FILE = rf"^{_BUCKET}/[^\n\r]+$"
_FOLDER = rf"^{_BUCKET}(?:/[^\n\r]*)?$"
_PROJECT_PATH = r"projects/[a-z0-9.:-]{6,}"
_PUBSUB_NAME = r"[A-Za-z][A-Za-z0-9._~+%-]{2,254}"

# Words of letters and digits, joined by signs; no run of 32 or more, so that no free text can be a token: those of
# TikTok have 40 hex digits.
_WORDS = r"^_*[A-Za-z0-9]{1,31}(?:[ ,._/+-]+[A-Za-z0-9]{1,31})*_*$"
_IN_BRACES = r"^\{[^\n\r]*\}$"
# No 32 hex digits in a row, for the same reason, where other long words are in order.
_NO_LONG_HEX = r"^(?:[0-9A-Fa-f]{0,31}[^0-9A-Fa-f\n\r])*[0-9A-Fa-f]{0,31}$"
_WHOLE = r"^[0-9]{1,9}$"
_NUMBER = r"^[0-9]{1,9}(?:\.[0-9]{1,9})?$"
_DURATION = r"(?:[0-9]{1,6}[wdhms]){1,5}"
_TIME = rf"^(?:-{_DURATION}|[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}(?:[T ][0-9:.]{{2,15}}(?:Z|[+-][0-9:]{{2,8}})?)?)$"


class InputForm(msgspec.Struct, frozen=True, kw_only=True):
    """How a parameter is entered.

    Attributes:
      param_type: Google's word.
      example: a value that is allowed and that could be real.
      regexes: each must match the whole value.
      enum_options: the values allowed.
      help_text: instead of the flag's help; None: that is right here too.
    """

    param_type: str = "TEXT"
    example: str
    regexes: tuple[str, ...] = ()
    enum_options: tuple[str, ...] = ()
    help_text: str | None = None


def _folder(example: str, param_type: str = "GCS_WRITE_FOLDER") -> InputForm:
    return InputForm(param_type=param_type, example=example, regexes=(_FOLDER,))


def _switch() -> InputForm:
    return InputForm(param_type="BOOLEAN", example="true")


def _number(example: str, regex: str = _WHOLE) -> InputForm:
    return InputForm(param_type="NUMBER", example=example, regexes=(regex,))


def _until(what: str) -> InputForm:
    text = f"only {what} before this ISO 8601 date or time, or duration before now; a date is its first moment"
    return InputForm(example="2024-07-01T00:00:00Z", regexes=(_TIME,), help_text=text)


# Flag without its dashes → its form; `replay quarantine` is that of one template. `input` names files in `history`
# only; elsewhere it is the connection's key.
INPUT_FORMS = {
    "connection": InputForm(
        param_type="GCS_READ_FILE",
        example="gs://acme-tiktok/connection.yaml",
        regexes=(_FILE,),
        help_text="connection file (YAML) in Cloud Storage; the other parameters of this group win over it",
    ),
    # Text, because a form would look for one object of this name.
    "history input": InputForm(
        example="gs://acme-export/2024-06-*/*.txt.gz,gs://acme-export/parquet/**",
        regexes=(rf"^{_BUCKET}/[^\n\r]+(?:, *{_BUCKET}/[^\n\r]+)*$",),
        help_text="Parquet, NDJSON or .gz files in Cloud Storage; several names or globs are joined by commas",
    ),
    "layout": InputForm(param_type="ENUM", example="snowflake", enum_options=LAYOUT_NAMES),
    "column": InputForm(example="payload", regexes=(_WORDS,)),
    "strict_files": _switch(),
    "ledger": _folder("gs://acme-tiktok/ledger"),
    "ledger_flush_secs": _number("10", _NUMBER),
    "dead_letters": _folder("gs://acme-tiktok/dead-letters"),
    "quarantine": _folder("gs://acme-tiktok-restricted/quarantine"),
    "replay quarantine": _folder("gs://acme-tiktok-restricted/quarantine", "GCS_READ_FOLDER"),
    "subscription": InputForm(
        param_type="PUBSUB_SUBSCRIPTION",
        example="projects/acme-prod/subscriptions/mparticle",
        regexes=(rf"^{_PROJECT_PATH}/subscriptions/{_PUBSUB_NAME}$", _NO_LONG_HEX),
        help_text="full name of the Pub/Sub subscription that is read until the job is drained",
    ),
    "dead_letter_topic": InputForm(
        param_type="PUBSUB_TOPIC",
        example="projects/acme-prod/topics/tiktok-dead-letters",
        regexes=(rf"^{_PROJECT_PATH}/topics/{_PUBSUB_NAME}$", _NO_LONG_HEX),
    ),
    "since": InputForm(example="-1d", regexes=(_TIME,)),
    "history until": _until("events"),
    "stream until": _until("events"),
    "replay until": _until("dead letters"),
    "timezone": InputForm(example="Europe/Berlin", regexes=(_WORDS,)),
    "date_partition": _switch(),
    "partition_slack": InputForm(example="36h", regexes=(rf"^(?:[0-9]{{1,6}}|{_DURATION})$",)),
    "skip_delivered": _switch(),
    "resend_unknown": _switch(),
    "drop_duplicates": _switch(),
    "ledger_memory_mb": _number("512"),
    "run_id": InputForm(example="backfill-2024-06", regexes=(_WORDS,)),
    "reason": InputForm(
        example="outage,throttled",
        regexes=(r"^[a-z0-9_]{3,31}(?:, *[a-z0-9_]{3,31})*$",),
        help_text="only dead letters that ended for it; several reasons are joined by commas",
    ),
    "max_attempts": _number("100"),
}

# Keys of the connection that are no parameters → why.
CONNECTION_LEFT_OUT = {
    "cases": "tests of the connection, which a run does not read",
    "custom_mappings": "many lines of YAML with tests of their own: they are kept in the connection file",
    **{
        setting.name: "is part of its parent, whose parameter takes a mapping"
        for setting in settings()
        if "." in setting.name
    },
}

# Keys whose text has a form that does not follow from their type.
_KEY_REGEXES = {
    # References to Secret Manager only: launcher and workers have neither the operator's variables nor his files.
    "access_token": "^" + re.sub(r"\?P<\w+>", "?:", SECRET_VERSION.pattern) + "$",
    "default_currency": r"^[A-Za-z]{3}$",
    "default_phone_region": r"^[A-Za-z]{2}$",
    "api_url": r"^https://[A-Za-z0-9.-]+(?::[0-9]+)?/[^\s?#]*$",
    "proxy_url": r"^https?://[A-Za-z0-9.-]+(?::[0-9]+)?/?$",
    "ca_file": r"^(?:/[A-Za-z0-9._-]+)+$",
}
# Keys with another help than on a command line; `input` has two meanings there.
_KEY_HELP = {
    "access_token": "Secret Manager name of the access token, never the token itself",
    **{setting.name: setting.description for setting in settings() if setting.name in ("input", "consent")},
}


# Flags that are no parameters anywhere → why.
_NOWHERE = {
    "--help": "answers on a terminal",
    "--verbose": "is for a terminal; the log of a job is in Cloud Logging",
    "--progress": "needs a terminal",
    "--no_progress": "needs a terminal",
    "--runner": "a template runs on Dataflow, which its launcher adds",
    "--summary": "is written when a run ends; the launcher leaves when the job is described. Counts are metrics there",
}
_OF_STREAMS_ALONE = dict.fromkeys(("--subscription", "--topic", "--max_messages", "--max_seconds"), "is for streams")

# The same by template.
LEFT_OUT: dict[str, dict[str, str]] = {
    "stream": {
        **_NOWHERE,
        **{f"--{flag}": "is for files" for flag in FILE_FLAGS},
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

# What a template cannot do without. `connection`: one file that `check` and `test` have seen, with all the rest; single
# keys may be given over it.
_REQUIRED = {
    "stream": ("connection", "subscription"),
    "history": ("connection", "input"),
    "replay": ("connection", "dead_letters"),
}

# Shown only where it does something: parameter → the switch that it belongs to.
_PARENTS = {"resend_unknown": "skip_delivered", "partition_slack": "date_partition"}

# Words of names that are written otherwise in labels.
_LABEL_WORDS = {
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


def parameters_of(template: str) -> tuple[TemplateParameter, ...]:
    """Returns the parameters of a template: the required ones first, then in the order of the command's flags.

    Args:
      template: one of `TEMPLATES`.

    Raises:
      LookupError: a flag is neither described in `INPUT_FORMS` nor left out with its reason.
    """
    found = tuple(_parameters(template))
    return tuple(sorted(found, key=lambda parameter: parameter.is_optional))


def command_of(template: str) -> str:
    """Returns the command that a template runs."""
    return "replay" if template == "replay" else "run"


def check_parameters(template: str, given: dict[str, str], dashes: str = "") -> None:
    """Checks names and values of parameters before anything is launched.

    Args:
      template: its name.
      given: name to value.
      dashes: stand before each name in the message, where they were given as flags.

    Raises:
      UsageError: with every problem, one a line; no value is repeated.
    """
    known = {parameter.name: parameter for parameter in parameters_of(template)}
    problems = [f"{name} is missing." for name in _REQUIRED[template] if not given.get(name)]
    for name, value in given.items():
        if name not in known:
            problems.append(f"{name} is no parameter of {template}.")
        elif objection := known[name].objection(value):
            problems.append(objection)
    if problems:
        raise UsageError("\n".join(f"{dashes}{problem}" for problem in problems))


def parser_of(template: str) -> StrictParser:
    """Returns the parser of the command that a template runs."""
    return replay_parser() if command_of(template) == "replay" else run_parser()


def _parameters(template: str) -> Iterator[TemplateParameter]:
    flags = {
        flag.name.removeprefix("--"): flag
        for flag in parser_of(template).flags()
        if flag.name not in LEFT_OUT[template]
    }
    for name, flag in flags.items():
        if name in CONNECTION_LEFT_OUT:
            continue
        form, group = INPUT_FORMS.get(f"{template} {name}") or INPUT_FORMS.get(name), flag.group
        if form is None:
            form, group = _form_of_key(name), "connection"
        if form is None:
            raise LookupError(
                f"--{name} is a new flag: describe it in INPUT_FORMS of pipeline/launch/template_parameters.py, or "
                f"write into LEFT_OUT[{template!r}] there why it is no parameter."
            )
        parent = _PARENTS.get(name)
        yield _parameter(template, name, form, flag.action, group, parent if parent in flags else None)


def _parameter(
    template: str, name: str, form: InputForm, action: argparse.Action, group: str, parent: str | None
) -> TemplateParameter:
    return TemplateParameter(
        name=name,
        label=_label(name),
        help_text=_help(form.help_text or action.help or "", form.example),
        param_type=form.param_type,
        regexes=form.regexes,
        is_optional=name not in _REQUIRED[template],
        default=None if action.default in (None, argparse.SUPPRESS) else as_text(action.default),
        enum_options=form.enum_options,
        group_name=group.capitalize(),
        parent_name=parent,
        parent_trigger_values=("true",) if parent else (),
        example=form.example,
    )


def _form_of_key(name: str) -> InputForm | None:
    """Returns how a key of the connection is entered; None if there is no such key.

    A form fills in false for a BOOLEAN and 0 for a NUMBER that nobody has entered (`ParameterMetadata.default_value`),
    which would win over the connection file: so these keys are ENUM and TEXT, and have no default here.
    """
    setting = next((setting for setting in settings() if setting.name == name), None)
    if setting is None:
        return None
    kind = setting.kind
    example = as_text(setting.example)
    help_text = _KEY_HELP.get(name)
    if isinstance(kind, types.LiteralType):
        return InputForm(
            param_type="ENUM", example=example, enum_options=tuple(map(str, kind.values)), help_text=help_text
        )
    if isinstance(kind, types.BoolType):
        return InputForm(param_type="ENUM", example=example, enum_options=("true", "false"), help_text=help_text)
    regex = _KEY_REGEXES.get(name) or _regex_of(kind)
    may_hide = regex == _IN_BRACES or name in ("api_url", "proxy_url", "ca_file")
    return InputForm(example=example, regexes=(regex, _NO_LONG_HEX) if may_hide else (regex,), help_text=help_text)


def _regex_of(kind: types.Type) -> str:
    if isinstance(kind, types.IntType):
        return _WHOLE
    if isinstance(kind, types.FloatType):
        return _NUMBER
    return _IN_BRACES if isinstance(kind, types.DictType | types.StructType) else _WORDS


def as_text(value: Any) -> str:
    """Returns a value as it is written behind its flag.

    >>> as_text(True), as_text(["production"]), as_text({40050: "success"})
    ('true', 'production', '{40050: success}')
    """
    if isinstance(value, list):
        return ",".join(map(as_text, value))
    if isinstance(value, dict):
        return yaml.safe_dump(value, default_flow_style=True, width=10_000).strip()
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value).lower() if isinstance(value, bool) else str(value)


def _label(name: str) -> str:
    words = [_LABEL_WORDS.get(word, word) for word in name.split("_")]
    return " ".join([words[0][0].upper() + words[0][1:], *words[1:]])


def _help(text: str, example: str) -> str:
    """Returns a flag's help as sentences, with an example of the template in place of the command line's."""
    words = re.sub(r"; example: .*\)$", ")", text.replace("%%", "%")).removesuffix(" (required)")
    words = re.sub(r"(?<!`run )--([a-z_]+)", r"\1", words)
    first = words.split(maxsplit=1)[0]
    capital = words[0].upper() if first == first.lower() else words[0]
    return f"{capital}{words[1:]}. Example: {example}"
