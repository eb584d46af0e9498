"""What a Dataflow template has to know of a flag beyond the flag itself: type of the input, regexes, an example.

For keys of the connection this follows from their definition (`form_of_key`); for a command's own flags it is said in
`FORMS`. Paths are gs:// here, and the token is a Secret Manager name: neither launcher nor workers see other files or
variables.
"""

import re
from typing import Any

import msgspec
import msgspec.inspect as types
import yaml

from pipeline.flags import settings
from pipeline.options import LAYOUTS
from transforms.tiktok import SECRET_VERSION

# Names of buckets. Source: Cloud Storage, "About buckets", bucket names (read 2026-11-25).
_BUCKET = r"gs://[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]"
_FILE = rf"^{_BUCKET}/[^\n\r]+$"
_FOLDER = rf"^{_BUCKET}(?:/[^\n\r]*)?$"
_PROJECT = r"projects/[a-z0-9.:-]{6,}"
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


class Form(msgspec.Struct, frozen=True, kw_only=True):
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


def _folder(example: str, param_type: str = "GCS_WRITE_FOLDER") -> Form:
    return Form(param_type=param_type, example=example, regexes=(_FOLDER,))


def _switch() -> Form:
    return Form(param_type="BOOLEAN", example="true")


def _number(example: str, regex: str = _WHOLE) -> Form:
    return Form(param_type="NUMBER", example=example, regexes=(regex,))


def _until(what: str) -> Form:
    text = f"only {what} before this ISO 8601 date or time, or duration before now; a date is its first moment"
    return Form(example="2024-07-01T00:00:00Z", regexes=(_TIME,), help_text=text)


# Flag without its dashes → its form; `replay quarantine` is that of one template. `input` names files in `history`
# only; elsewhere it is the connection's key.
FORMS = {
    "connection": Form(
        param_type="GCS_READ_FILE",
        example="gs://acme-tiktok/connection.yaml",
        regexes=(_FILE,),
        help_text="connection file (YAML) in Cloud Storage; the other parameters of this group win over it",
    ),
    # Text, because a form would look for one object of this name.
    "history input": Form(
        example="gs://acme-export/2024-06-*/*.txt.gz,gs://acme-export/parquet/**",
        regexes=(rf"^{_BUCKET}/[^\n\r]+(?:, *{_BUCKET}/[^\n\r]+)*$",),
        help_text="Parquet, NDJSON or .gz files in Cloud Storage; several names or globs are joined by commas",
    ),
    "layout": Form(param_type="ENUM", example="snowflake", enum_options=LAYOUTS),
    "column": Form(example="payload", regexes=(_WORDS,)),
    "strict_files": _switch(),
    "ledger": _folder("gs://acme-tiktok/ledger"),
    "ledger_flush_secs": _number("10", _NUMBER),
    "dead_letters": _folder("gs://acme-tiktok/dead-letters"),
    "quarantine": _folder("gs://acme-tiktok-restricted/quarantine"),
    "replay quarantine": _folder("gs://acme-tiktok-restricted/quarantine", "GCS_READ_FOLDER"),
    "subscription": Form(
        param_type="PUBSUB_SUBSCRIPTION",
        example="projects/acme-prod/subscriptions/mparticle",
        regexes=(rf"^{_PROJECT}/subscriptions/{_PUBSUB_NAME}$", _NO_LONG_HEX),
        help_text="full name of the Pub/Sub subscription that is read until the job is drained",
    ),
    "dead_letter_topic": Form(
        param_type="PUBSUB_TOPIC",
        example="projects/acme-prod/topics/tiktok-dead-letters",
        regexes=(rf"^{_PROJECT}/topics/{_PUBSUB_NAME}$", _NO_LONG_HEX),
    ),
    "since": Form(example="-1d", regexes=(_TIME,)),
    "history until": _until("events"),
    "stream until": _until("events"),
    "replay until": _until("letters"),
    "timezone": Form(example="Europe/Berlin", regexes=(_WORDS,)),
    "date_partition": _switch(),
    "partition_slack": Form(example="36h", regexes=(rf"^(?:[0-9]{{1,6}}|{_DURATION})$",)),
    "skip_delivered": _switch(),
    "resend_unknown": _switch(),
    "drop_duplicates": _switch(),
    "ledger_memory_mb": _number("512"),
    "run_id": Form(example="backfill-2024-06", regexes=(_WORDS,)),
    "reason": Form(
        example="outage,throttled",
        regexes=(r"^[a-z0-9_]{3,31}(?:, *[a-z0-9_]{3,31})*$",),
        help_text="only letters that ended for it; several reasons are joined by commas",
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

# Keys whose text has a form that their type does not tell.
_KEY_REGEXES = {
    # References to Secret Manager only: launcher and workers have neither the operator's variables nor his files.
    "access_token": "^" + re.sub(r"\?P<\w+>", "?:", SECRET_VERSION.pattern) + "$",
    "default_currency": r"^[A-Za-z]{3}$",
    "default_phone_region": r"^[A-Za-z]{2}$",
    "api_url": r"^https://[A-Za-z0-9.-]+(?::[0-9]+)?/[^\s?#]*$",
    "proxy_url": r"^https?://[A-Za-z0-9.-]+(?::[0-9]+)?/?$",
    "ca_file": r"^(?:/[A-Za-z0-9._-]+)+$",
}
# Keys of which less may be said here than on a command line; `input` has two meanings there.
_KEY_HELP = {
    "access_token": "Secret Manager name of the access token, never the token itself",
    **{setting.name: setting.description for setting in settings() if setting.name in ("input", "consent")},
}


def form_of_key(name: str) -> Form | None:
    """Returns how a key of the connection is entered; None if there is no such key.

    A form fills in false for a BOOLEAN and 0 for a NUMBER that nobody has entered (`ParameterMetadata.default_value`),
    which would win over the connection file: so these keys are ENUM and TEXT, and have no default here.
    """
    setting = next((setting for setting in settings() if setting.name == name), None)
    if setting is None:
        return None
    kind = setting.kind
    example = as_text(setting.example)
    said = _KEY_HELP.get(name)
    if isinstance(kind, types.LiteralType):
        return Form(param_type="ENUM", example=example, enum_options=tuple(map(str, kind.values)), help_text=said)
    if isinstance(kind, types.BoolType):
        return Form(param_type="ENUM", example=example, enum_options=("true", "false"), help_text=said)
    regex = _KEY_REGEXES.get(name) or _regex_of(kind)
    may_hide = regex == _IN_BRACES or name in ("api_url", "proxy_url", "ca_file")
    return Form(example=example, regexes=(regex, _NO_LONG_HEX) if may_hide else (regex,), help_text=said)


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
    return str(value).lower() if isinstance(value, bool) else str(value)
