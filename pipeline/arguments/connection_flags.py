"""The connection on a command line: one flag for every key, made from its definition, and `--connection`."""

import argparse
import json
import logging
from collections.abc import Collection, Iterator, Mapping
from typing import Any

import msgspec
import msgspec.inspect as types
from msgspec import NODEFAULT

from pipeline.arguments.parser import StrictParser, SwitchText
from pipeline.config import CheckedConnection, connection_definition, read_connection, without_none
from transforms.connection import Connection

# Keeps the connection's flags apart from a command's own in the parsed namespace.
_PREFIX = "connection:"

_log = logging.getLogger(__name__)


class Setting(msgspec.Struct, frozen=True, kw_only=True):
    """One key of the connection, as its definition describes it.

    Attributes:
      name: path of the key, for example `consent.gdpr_missing`; the flag is `--` and this.
      kind: the type, without `None`.
      description: one line.
      default: None if there is none.
      example: a value that could be given.
      required: whether a connection needs it.
    """

    name: str
    kind: types.Type
    description: str
    default: Any
    example: Any
    required: bool


def settings() -> tuple[Setting, ...]:
    """Returns every key of a connection in the order of its definition, nested keys after their parent."""
    return tuple(_settings(connection_definition(), ""))


def _settings(struct: types.StructType, parent: str) -> Iterator[Setting]:
    for field in struct.fields:
        described = field.type.extra_json_schema if isinstance(field.type, types.Metadata) else None
        schema = described or {}
        kind = without_none(field.type)
        default = None if field.default is NODEFAULT else field.default
        if field.default_factory is not NODEFAULT:
            default = field.default_factory()
        examples = schema.get("examples") or [None]
        yield Setting(
            name=f"{parent}{field.name}",
            kind=kind,
            description=str(schema.get("description", "")),
            default=default,
            example=examples[0],
            required=field.required,
        )
        if isinstance(kind, types.StructType):
            yield from _settings(kind, f"{parent}{field.name}.")


def add_connection_flags(parser: StrictParser, leave_out: Collection[str] = ()) -> None:
    """Adds `--connection` and one flag for every key of the connection.

    The values stay texts: the reader of the connection gives each the type of its key, as it does for a file.

    Args:
      parser: takes the flags.
      leave_out: keys whose flag the command adds itself.
    """
    usage = str(parser.usage).removesuffix(" [FLAGS]")
    space = " " if len(usage) < 45 else f"\n{' ' * 9}"
    parser.usage = f"{usage}{space}[--connection FILE] [FLAGS]"
    group = parser.flag_group(
        "connection",
        "A flag wins over the file. Lists and mappings are YAML: '[a, b]', '{key: value}'. null takes the default.",
    )
    group.add_argument("--connection", metavar="FILE", help="connection file (YAML), local or gs://")
    for setting in settings():
        if setting.name in leave_out:
            continue
        group.add_argument(
            f"--{setting.name}",
            dest=f"{_PREFIX}{setting.name}",
            action=SwitchText if isinstance(setting.kind, types.BoolType) else "store",
            default=argparse.SUPPRESS,
            metavar=_metavar(setting.kind),
            help=_help(setting).replace("%", "%%"),
        )


def checked_connection(
    arguments: argparse.Namespace, path: str | None = None, flags: Mapping[str, str] | None = None
) -> CheckedConnection:
    """Returns the connection of `--connection` and the flags, with its warnings.

    Args:
      arguments: of a parser with `add_connection_flags`.
      path: instead of `--connection`.
      flags: keys that the command has read itself.

    Raises:
      ConfigurationError: with every problem of file and flags.
    """
    given: Mapping[str, Any] = vars(arguments)
    texts = {name.removeprefix(_PREFIX): text for name, text in given.items() if name.startswith(_PREFIX)}
    return read_connection(path or arguments.connection, {**texts, **(flags or {})})


def read_and_warn(
    arguments: argparse.Namespace, flags: Mapping[str, str] | None = None, path: str | None = None
) -> Connection:
    """Returns the connection as `checked_connection` does; its warnings are logged."""
    connection, warnings = checked_connection(arguments, path, flags)
    for warning in warnings:
        _log.warning("%s", warning)
    return connection


def _metavar(kind: types.Type) -> str:
    if isinstance(kind, types.LiteralType):
        return "NAME" if len(kind.values) > 5 else "|".join(map(str, kind.values))
    if isinstance(kind, types.BoolType):
        return "true|false"
    if isinstance(kind, types.IntType | types.FloatType):
        return "NUMBER"
    return "YAML" if isinstance(kind, types.DictType | types.StructType) or _is_list_of_structs(kind) else "TEXT"


def _is_list_of_structs(kind: types.Type) -> bool:
    return isinstance(kind, types.VarTupleType) and isinstance(without_none(kind.item_type), types.StructType)


def _help(setting: Setting) -> str:
    if setting.required:
        default = "required"
    elif isinstance(setting.kind, types.StructType):
        return f"{setting.description}; keys also as --{setting.name}.KEY"
    else:
        default = f"default: {_written(setting.default)}"
    return f"{setting.description} ({default}; example: {_written(setting.example)})"


def _written(value: Any) -> str:
    """Returns a value as it would be typed behind its flag."""
    if value is None:
        return "none"
    if value is True or value is False:
        return str(value).lower()
    if isinstance(value, list | tuple):
        if value and isinstance(value[0], dict):
            return f"'{json.dumps(value, ensure_ascii=False)}'"
        return ",".join(map(str, value)) or "none"
    if isinstance(value, dict):
        if not value:
            return "none"
        return f"'{{{', '.join(f'{key}: {entry}' for key, entry in value.items())}}}'"
    return f"{value:g}" if isinstance(value, float) else str(value)
