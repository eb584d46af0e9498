"""A connection from its YAML file and from flags: read once, checked wholly, refused with every problem at once.

In: a path and the flags by key. Out: a `transforms.connection.Connection` and warnings, or a `ConfigurationError`.
The keys, their types and descriptions come from the definition of `Connection`; what single values must look like and
which pairs are impossible is in `pipeline.config.validation`.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec.inspect as types

from pipeline.config.conversion import connection_definition, item_path, key_place, struct_values, without_none
from pipeline.config.validation import check_pairs, check_values
from pipeline.config.yaml_nodes import Node, Style, YamlMapping, YamlScalar, parse_yaml
from pipeline.errors import ConfigurationError, Finding, Report
from pipeline.storage import local_path
from pipeline.wording import shown, suggestion
from transforms.connection import Connection

# The library would repeat a refused connection for two minutes, and a person waits.
_RETRY_SECS = 20.0
_TIMEOUT_SECS = (5.0, 30.0)

_COMMAND_LINE = "the command line"


class CheckedConnection(NamedTuple):
    """A connection that may be used, and what should be known about it."""

    connection: Connection
    warnings: list[Finding]


def read_connection(path: str | None = None, flags: Mapping[str, str] | None = None) -> CheckedConnection:
    """Returns the connection of a file and of flags; a flag wins over the file.

    A flag inside `consent` (`consent.gdpr_missing`) replaces that key only; every other flag replaces the whole value
    of its key. `null` as a value takes the default.

    Args:
      path: YAML file, local or gs://; None: flags only.
      flags: texts by key, for example `{"event_source_id": "A1T8T4UYGVIQA8ORZMX9", "consent.ccpa_opt_out": "limit"}`.

    Raises:
      ConfigurationError: with every problem of file and flags. The value of `access_token` is in no message.
    """
    source = path or _COMMAND_LINE
    report = Report()
    written = _file(path, report) if path is not None else YamlMapping(_COMMAND_LINE, ())
    given = _merged(written, _flags(flags or {}, report))
    values = struct_values(given, connection_definition(), "", report) or {}
    places = places_of(given)
    for field in connection_definition().fields:
        if field.required and field.name not in {*values, *report.bad_keys}:
            report.refuse(source, field.name, _missing(field))
    check_values(values, places, report)
    check_pairs(_connection(values), places, report)
    if report.problems:
        raise ConfigurationError(source, report.problems)
    return CheckedConnection(_connection(values), report.warnings)


def _connection(values: Mapping[str, Any]) -> Connection:
    """Returns a connection of what is good so far; the missing id of a refused one is a stand-in."""
    return Connection(**{"event_source_id": "", **values})


def _missing(field: types.Field) -> str:
    described = field.type.extra_json_schema if isinstance(field.type, types.Metadata) else None
    schema = described or {}
    example = (schema.get("examples") or ["…"])[0]
    return (
        f"missing: {schema.get('description')}. "
        f"Write `{field.name}: {example}` into the file or give --{field.name} {example}."
    )


def _file(path: str, report: Report) -> YamlMapping:
    node = parse_yaml(read_text(path), path, report)
    if isinstance(node, YamlMapping):
        return node
    if node is not None:
        report.refuse(path, "", "the file must hold keys and values, one a line: `event_source_id: …`.")
    return YamlMapping(path, ())


def _flags(flags: Mapping[str, str], report: Report) -> YamlMapping:
    """Returns the values of the flags, in the shape of a file."""
    fields = {field.name: field for field in connection_definition().fields}
    nested = {
        f"{field.name}.{inner.name}": (field.name, inner)
        for field in connection_definition().fields
        if isinstance(kind := without_none(field.type), types.StructType)
        for inner in kind.fields
    }
    entries: dict[str, Node] = {}
    for key, text in sorted(flags.items()):
        if key in nested:
            parent, inner = nested[key]
            node = _flag(key, text, inner.type, report)
            entries[parent] = _with(entries.get(parent, YamlMapping(f"--{parent}", ())), inner.name, node)
        elif key in fields:
            entries[key] = _flag(key, text, fields[key].type, report)
        else:
            hint = suggestion(key, [*fields, *nested])
            report.refuse(f"--{shown(key)[1:-1]}", "", f"unknown flag.{hint}")
    return YamlMapping(_COMMAND_LINE, tuple((YamlScalar(node.where, key), node) for key, node in entries.items()))


def _flag(key: str, text: str, kind: types.Type, report: Report) -> Node:
    where = f"--{key}"
    kind = without_none(kind)
    is_list = isinstance(kind, types.VarTupleType) and text.lstrip().startswith("[")
    if is_list or isinstance(kind, types.DictType | types.StructType):
        return parse_yaml(text, where, report, key, marks=False) or YamlScalar(where, "", Style.NULL)
    return YamlScalar(where, text, Style.NULL if text == "null" else Style.TEXT)


def _merged(file: YamlMapping, flags: YamlMapping) -> YamlMapping:
    """Returns the file's entries with those of the flags in their place; two mappings of `consent` are merged."""
    fields = connection_definition().fields
    structs = {field.name for field in fields if isinstance(without_none(field.type), types.StructType)}
    entries = {key.text: (key, node) for key, node in file.entries}
    for key, node in flags.entries:
        _, old = entries.get(key.text, (key, None))
        if key.text in structs and isinstance(old, YamlMapping) and isinstance(node, YamlMapping):
            for inner, value in node.entries:
                old = _with(old, inner.text, value)
            node = old
        entries[key.text] = (key, node)
    return YamlMapping(file.where, tuple(entries.values()))


def _with(table: Node, key: str, node: Node) -> YamlMapping:
    """Returns the table with one entry set."""
    kept = table.entries if isinstance(table, YamlMapping) else ()
    others = tuple(entry for entry in kept if entry[0].text != key)
    return YamlMapping(table.where, (*others, (YamlScalar(node.where, key), node)))


def places_of(table: YamlMapping, parent: str = "", seen: set[int] | None = None) -> dict[str, str]:
    """Returns where each value was written, by its key's path; a null is not given."""
    seen = set() if seen is None else seen
    places: dict[str, str] = {}
    for key, node in table.entries:
        if isinstance(node, YamlScalar) and node.style is Style.NULL:
            continue
        path = f"{parent}{key.text}"
        places[path] = node.where
        places[key_place(path)] = key.where
        places |= _places_within(node, path, seen)
    return places


def _places_within(node: Node, path: str, seen: set[int]) -> dict[str, str]:
    # An alias stands for a node that was read already; many of them in each other would have no end.
    if isinstance(node, YamlScalar) or id(node) in seen:
        return {}
    seen.add(id(node))
    if isinstance(node, YamlMapping):
        return places_of(node, f"{path}.", seen)
    places: dict[str, str] = {}
    for number, item in enumerate(node.nodes):
        places[item_path(path, number)] = item.where
        places |= _places_within(item, item_path(path, number), seen)
    return places


def read_text(path: str) -> str:
    """Returns the text of a local file or of a gs:// object.

    Raises:
      ConfigurationError: if there is none, or it is no UTF-8 text.
    """
    try:
        return _read_bytes(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        text = f"byte {error.start} is not UTF-8; save the file as UTF-8."
        raise ConfigurationError(path, [Finding(path, "", text)]) from None
    except OSError as error:
        raise ConfigurationError(path, [Finding(path, "", f"cannot be read: {error.strerror or error}.")]) from error


def _read_bytes(path: str) -> bytes:
    if path.startswith("gs://"):
        return _read_object(path)
    with open(local_path(path), "rb") as file:
        return file.read()


def _read_object(path: str) -> bytes:
    """Returns the content of a `gs://` object.

    Raises:
      FileNotFoundError: there is no such bucket or object.
      OSError: it cannot be read; the text names what to look at.
    """
    # Loaded for a `gs://` path only. Google's own client, because importing Beam's file systems takes seconds.
    import requests
    from google.api_core.exceptions import GoogleAPIError, NotFound
    from google.auth.exceptions import GoogleAuthError
    from google.cloud.storage import Client  # type: ignore[import-untyped]
    from google.cloud.storage.retry import DEFAULT_RETRY  # type: ignore[import-untyped]

    bucket, _, name = path.removeprefix("gs://").partition("/")
    retry = DEFAULT_RETRY.with_timeout(_RETRY_SECS)
    try:
        content: bytes = Client().bucket(bucket).blob(name).download_as_bytes(timeout=_TIMEOUT_SECS, retry=retry)
    except NotFound as error:
        raise FileNotFoundError("no such object; look at the name (`gcloud storage ls`)") from error
    except (GoogleAPIError, GoogleAuthError, requests.RequestException, ValueError) as error:
        kind = type(error).__name__
        raise OSError(f"{kind}; look at the name, the credentials and the right to read objects") from error
    return content
