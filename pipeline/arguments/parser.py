"""A parser of command lines that guesses nothing, and gives every value its type.

A flag that nobody knows is an error with the nearest known name. argparse's own messages are used without the values in
them, because one of these may be a token behind a misspelt flag; types (`pipeline.arguments.flag_types`) decide
themselves how they show a value.
"""

import argparse
import re
import shutil
import textwrap
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple, NoReturn

from pipeline.arguments.time_window import is_duration
from pipeline.config import BOOLEANS
from pipeline.errors import UsageError
from pipeline.wording import shown, suggestion


class Switch(argparse.Action):
    """A flag that is true when it stands alone, and may have a value: `--flag`, `--flag=true`, `--flag=false`.

    A template hands every parameter on as `--name=value`, so its switches need a value too. The parser writes a lone
    flag as `--flag=true` before argparse sees it: a switch takes exactly one value there, and no other word.
    """

    def __init__(
        self,
        option_strings: Sequence[str],
        dest: str,
        default: bool | str | None = False,
        required: bool = False,
        help: str | None = None,  # argparse's own name
        metavar: str = "[true|false]",
    ) -> None:
        super().__init__(option_strings, dest, default=default, required=required, help=help, metavar=metavar)

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


class SwitchText(Switch):
    """A switch of a connection: its value stays a text, which the reader of the connection checks."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        """Sets the text."""
        setattr(namespace, self.dest, values)


class Flag(NamedTuple):
    """One flag of a parser.

    Attributes:
      name: with its dashes.
      group: the heading that it stands under.
      action: what argparse knows of it.
    """

    name: str
    group: str
    action: argparse.Action


class FlagGroup:
    """Flags under one heading of the help.

    Args:
      title: the heading.
      add: adds an argument to argparse's group of this title.
    """

    def __init__(self, title: str, add: Callable[..., argparse.Action]) -> None:
        self._title = title
        self._add = add
        self.flags: list[Flag] = []

    def add_argument(self, *names: str, **options: Any) -> None:
        """Adds a flag, or an argument without a name, as argparse does."""
        self.note(self._add(*names, **options))

    def note(self, action: argparse.Action) -> None:
        """Keeps a flag; argparse has no public list of what was added."""
        self.flags += [Flag(name, self._title, action) for name in action.option_strings if name.startswith("--")]


class StrictParser(argparse.ArgumentParser):
    """An argument parser that raises `UsageError`, takes no abbreviations and repeats no values.

    Args:
      synopsis: the command and what must follow it, for example `preview FILE…`.
      description: what it does, with examples.
    """

    def __init__(self, synopsis: str, description: str) -> None:
        self._groups = [FlagGroup("options", super().add_argument)]
        super().__init__(
            prog=f"tiktok-events {synopsis.split(maxsplit=1)[0]}",
            # The generated line would name all of more than forty flags.
            usage=f"tiktok-events {synopsis} [FLAGS]",
            description=description,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
            exit_on_error=False,
        )
        self.register("action", "store_true", Switch)

    def add_argument(self, *names: Any, **options: Any) -> argparse.Action:
        """Adds a flag without a heading of its own, or an argument without a name."""
        action = super().add_argument(*names, **options)
        self._groups[0].note(action)
        return action

    def format_help(self) -> str:
        """Returns the help, in the width of the terminal; examples are broken between flags only."""
        description = self.description or ""
        # As argparse does for the flags.
        self.description = _wrapped(description, shutil.get_terminal_size().columns - 2)
        try:
            return super().format_help()
        finally:
            self.description = description

    def flag_group(self, title: str, description: str | None = None) -> FlagGroup:
        """Adds a heading for flags, with a text of any length below it."""
        text = None if description is None else textwrap.fill(description, 76)
        self._groups.append(FlagGroup(title, self.add_argument_group(title, text).add_argument))
        return self._groups[-1]

    def flags(self) -> list[Flag]:
        """Returns the flags that this parser knows, by headings in the order of the help."""
        return [flag for group in self._groups for flag in group.flags]

    def flag_names(self) -> list[str]:
        """Returns the names of the flags, with their dashes."""
        return sorted(flag.name for flag in self.flags())

    def error(self, message: str) -> NoReturn:
        """Raises the message without the values in it."""
        text = re.sub("'.*'", "…", message)
        raise UsageError(f"{self.prog}: {text}. See {self.prog} --help.")

    def parse_strictly(self, argv: Sequence[str]) -> argparse.Namespace:
        """Returns the parsed arguments.

        Raises:
          UsageError: a value is not allowed, or something is left over.
        """
        namespace, rest = self.parse_leniently(argv)
        refuse_leftovers(self.prog, rest, self.flag_names())
        return namespace

    def parse_leniently(self, argv: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
        """Returns the parsed arguments and what is left over, in its order; flags and words may be mixed.

        Raises:
          UsageError: a value is not allowed.
        """
        try:
            return self.parse_known_intermixed_args(list(self._joined(argv)))
        except argparse.ArgumentError as error:
            if isinstance(error.__context__, argparse.ArgumentTypeError):
                # Written by our own types, which show a value as far as it may be shown.
                raise UsageError(f"{error.argument_name}: {error.message}") from None
            self.error(str(error))

    def _joined(self, argv: Sequence[str]) -> Iterator[str]:
        """Yields the arguments with each value that argparse would misread joined to its flag.

        A duration looks like a flag itself: `--since -1d` becomes `--since=-1d`. A lone switch becomes `--flag=true`,
        so that it takes no other word.
        """
        flags = {flag.name: flag.action for flag in self.flags()}
        words = list(argv)
        while words:
            word = words.pop(0)
            following = words[0] if words else None
            if isinstance(flags.get(word), Switch):
                has_value = following is not None and following.lower() in BOOLEANS
                yield f"{word}={words.pop(0) if has_value else 'true'}"
            elif word in flags and following is not None and is_duration(following):
                yield f"{word}={words.pop(0)}"
            else:
                yield word


def _wrapped(description: str, width: int) -> str:
    """Returns paragraphs in a width, and the indented lines below them as commands that go on below themselves."""
    lines = []
    for paragraph in description.split("\n\n"):
        prose, _, examples = paragraph.partition("\n  ")
        lines += ["", textwrap.fill(prose, width)]
        for example in f"  {examples}".replace(" \\\n     ", "").splitlines() if examples else ():
            lines += _commands(example, width)
    return "\n".join(lines[1:])


def _commands(example: str, width: int) -> list[str]:
    """Returns the lines of one command, each but the last with a backslash at its end."""
    first, *flags = re.split(r" (?=--?[a-z])", example)
    lines = [first]
    for flag in flags:
        if len(lines[-1]) + len(flag) + len(" \\") < width:
            lines[-1] += f" {flag}"
        else:
            lines[-1] += " \\"
            lines.append(f"      {flag}")
    return lines


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
