"""The command line's flags, generated from the definition of the connection, and a parser that guesses nothing.

A flag that nobody knows is an error with the nearest known name. Values are never repeated in a parser's message,
because one of them may be a token behind a misspelt flag.
"""

import argparse
import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, NoReturn

import msgspec
import msgspec.inspect as types
from msgspec import NODEFAULT

from pipeline.arguments.time_window import is_duration
from pipeline.config import BOOLEANS, bare, definition
from pipeline.errors import UsageError
from pipeline.wording import shown, suggestion

# Keeps the connection's flags apart from a command's own in the parsed namespace.
_PREFIX = "connection:"


class Setting(msgspec.Struct, frozen=True):
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
    return tuple(_settings(definition(), ""))


def _settings(struct: types.StructType, parent: str) -> Iterator[Setting]:
    for field in struct.fields:
        described = field.type.extra_json_schema if isinstance(field.type, types.Metadata) else None
        schema = described or {}
        kind = bare(field.type)
        default = None if field.default is NODEFAULT else field.default
        if field.default_factory is not NODEFAULT:
            default = field.default_factory()
        examples = schema.get("examples") or [None]
        yield Setting(
            f"{parent}{field.name}", kind, str(schema.get("description", "")), default, examples[0], field.required
        )
        if isinstance(kind, types.StructType):
            yield from _settings(kind, f"{parent}{field.name}.")


class Switch(argparse.Action):
    """A flag that is true when it stands alone, and may say so: `--flag`, `--flag=true`, `--flag=false`.

    A template hands every parameter on as `--name=value`, so its switches need a value too. The parser writes a lone
    flag as `--flag=true` before argparse sees it: a switch takes exactly one value there, and no other word.
    """

    def __init__(
        self,
        option_strings: Sequence[str],
        dest: str,
        default: bool | None = False,
        required: bool = False,
        help: str | None = None,  # noqa: A002  # argparse's own name
    ) -> None:
        super().__init__(option_strings, dest, default=default, required=required, help=help, metavar="[true|false]")

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        """Sets the value.

        Raises:
          UsageError: it is neither true nor false.
        """
        value = BOOLEANS.get(str(values).strip().lower())
        if value is None:
            # Without the value, which may be a token of the flag before.
            raise UsageError(f"{option_string}: this value is not allowed; true, false or nothing is needed.")
        setattr(namespace, self.dest, value)


class StrictParser(argparse.ArgumentParser):
    """An argument parser that raises `UsageError`, takes no abbreviations and repeats no values.

    Args:
      synopsis: the command and what must follow it, for example `preview FILE…`.
      description: what it does, with examples.
    """

    def __init__(self, synopsis: str, description: str) -> None:
        super().__init__(
            prog=f"tiktok-events {synopsis.split(maxsplit=1)[0]}",
            # The generated line would name all of more than forty flags.
            usage=f"tiktok-events {synopsis} [--connection FILE] [FLAGS]",
            description=description,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        self.register("action", "store_true", Switch)

    def error(self, message: str) -> NoReturn:
        """Raises the message without the values in it."""
        text = re.sub("'.*'", "…", message)
        raise UsageError(f"{self.prog}: {text}. See {self.prog} --help.")

    def parse_leniently(self, argv: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
        """Returns the parsed arguments and what is left over, in its order; flags and words may be mixed."""
        return self.parse_known_intermixed_args(self._with_durations(self._with_booleans(argv)))

    def _with_durations(self, argv: Sequence[str]) -> list[str]:
        """Returns the arguments with `--since=-1d` for `--since -1d`, whose value looks like a flag."""
        joined: list[str] = []
        for word in argv:
            before = joined[-1] if joined else ""
            if is_duration(word) and before in self._option_string_actions and before.startswith("--"):
                joined[-1] = f"{before}={word}"
            else:
                joined.append(word)
        return joined

    def _with_booleans(self, argv: Sequence[str]) -> list[str]:
        """Returns the arguments with `--flag=true` for a lone boolean flag, so that it takes no other word."""
        of_connections = {f"--{setting.name}" for setting in settings() if isinstance(setting.kind, types.BoolType)}
        known = self._option_string_actions
        switches = {flag for flag, action in known.items() if isinstance(action, Switch) or flag in of_connections}
        joined: list[str] = []
        words = iter(argv)
        word = next(words, None)
        while word is not None:
            following = next(words, None)
            if word in switches:
                has_value = following is not None and following.lower() in BOOLEANS
                joined.append(f"{word}={following if has_value else 'true'}")
                following = next(words, None) if has_value else following
            else:
                joined.append(word)
            word = following
        return joined

    def flags(self) -> list[str]:
        """Returns the flags that this parser knows."""
        return sorted(flag for flag in self._option_string_actions if flag.startswith("--"))

    def parse_strictly(self, argv: Sequence[str]) -> argparse.Namespace:
        """Returns the parsed arguments; whatever is left over is an error."""
        namespace, rest = self.parse_leniently(argv)
        refuse_leftovers(self.prog, rest, self.flags())
        return namespace


def refuse_leftovers(program: str, rest: Sequence[str], known: Iterable[str]) -> None:
    """Raises `UsageError` if arguments are left over: the flags with the nearest known names, or the lone words.

    Args:
      program: what to name in the message.
      rest: what no parser has taken. A word after an unknown flag is its value and is not repeated.
      known: flags to choose the nearest from.
    """
    names = [flag.lstrip("-") for flag in known]
    flags = [word.split("=", 1)[0] for word in rest if word.startswith("-")]
    lines = [f"unknown flag {shown(flag)[1:-1]}.{_as_flag(suggestion(flag, names))}" for flag in dict.fromkeys(flags)]
    if rest and not lines:
        lines = [f"unexpected argument {shown(rest[0])}."]
    if lines:
        raise UsageError("\n".join(f"{program}: {line}" for line in lines))


def _as_flag(hint: str) -> str:
    return hint.replace('"', "--", 1).replace('"', "")


def add_connection_flags(parser: argparse.ArgumentParser, leave_out: Collection[str] = ()) -> None:
    """Adds `--connection` and one flag for every key of the connection.

    Args:
      parser: takes the flags.
      leave_out: keys whose flag the command adds itself.
    """
    group = parser.add_argument_group(
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
            default=argparse.SUPPRESS,
            metavar=_metavar(setting.kind),
            help=_help(setting).replace("%", "%%"),
        )


def connection_flags(namespace: argparse.Namespace) -> dict[str, str]:
    """Returns the connection's flags that were given, by key, as `pipeline.config.loader.read_connection` takes them."""
    given: Mapping[str, Any] = vars(namespace)
    return {name.removeprefix(_PREFIX): text for name, text in given.items() if name.startswith(_PREFIX)}


def _metavar(kind: types.Type) -> str:
    if isinstance(kind, types.LiteralType):
        return "NAME" if len(kind.values) > 5 else "|".join(map(str, kind.values))
    if isinstance(kind, types.BoolType):
        return "true|false"
    if isinstance(kind, types.IntType | types.FloatType):
        return "NUMBER"
    return "YAML" if isinstance(kind, types.DictType | types.StructType) or _is_list_of_structs(kind) else "TEXT"


def _is_list_of_structs(kind: types.Type) -> bool:
    return isinstance(kind, types.VarTupleType) and isinstance(bare(kind.item_type), types.StructType)


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
