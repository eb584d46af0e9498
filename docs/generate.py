"""Writes the generated parts of the manual, or names the pages that are not as they would be written.

    python -m docs.generate          # after a change of flags, settings, reasons or columns
    python -m docs.generate --check  # what CI does

In: the one definition of each thing: the struct of a connection, the enumerations of reasons and notes, the parsers of
the commands, the schemas of ledger and dead letters. Out: tables between `<!-- generated: NAME -->` and
`<!-- end of NAME -->` in the pages beside this file. Everything outside these marks is written by hand.
"""

import argparse
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any
from unittest.mock import patch

import msgspec.inspect as types
import pyarrow as pa

from pipeline.arguments import settings
from pipeline.arguments.connection_flags import Setting
from pipeline.arguments.parser import Switch
from pipeline.cli.main import COMMANDS
from pipeline.cli.main import main as run_command
from pipeline.launch.template_parameters import TEMPLATES, parameters_of
from pipeline.records.dead_letter_rows import DEAD_LETTER_SCHEMA
from pipeline.records.ledger_rows import LEDGER_SCHEMA
from transforms.mapping.custom.parameters import EVENT_PARAMETERS
from transforms.vocabulary import Note, Reason

FOLDER = Path(__file__).resolve().parent

_MARKS = re.compile(r"(<!-- generated: ([\w-]+) -->\n).*?(<!-- end of \2 -->)", re.DOTALL)

# argparse's own titles, and what stands in their place.
_TITLES = {"options": "general", "positional arguments": "arguments"}

# The first reason of each kind, in the order of the enumeration.
_FIRST_REASONS = {
    Reason.EMPTY_MESSAGE: "skipped",
    Reason.UNREADABLE_FILE: "rejected",
    Reason.THROTTLED: "undelivered",
    Reason.TIMED_OUT: "unknown",
}

# A retired name, which is taken and replaced by its successor.
_REPLACED_EVENTS = {"SubmitForm"}


def generated() -> dict[str, str]:
    """Returns the text of each page that has generated parts, by its name."""
    pages = {}
    for path in sorted(FOLDER.glob("*.md")):
        text = path.read_text("utf-8")
        if _MARKS.search(text):
            pages[path.name] = _MARKS.sub(lambda found: f"{found[1]}\n{PARTS[found[2]]()}\n{found[3]}", text)
    return pages


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the program and returns its exit code: 1 if pages are not as they would be written."""
    parser = argparse.ArgumentParser(
        prog="python -m docs.generate", description="Writes the generated parts of the manual.", allow_abbrev=False
    )
    parser.add_argument("--check", action="store_true", help="write nothing; exit code 1 if a page would change")
    arguments = parser.parse_args(argv)
    changed = {name: text for name, text in generated().items() if (FOLDER / name).read_text("utf-8") != text}
    if arguments.check:
        for name in changed:
            sys.stderr.write(f"docs/{name} is not what the code says. Run `python -m docs.generate` and commit it.\n")
        return 1 if changed else 0
    for name, text in changed.items():
        (FOLDER / name).write_text(text, "utf-8")
        sys.stdout.write(f"docs/{name}\n")
    return 0


def _settings() -> str:
    """Returns a row for each setting of a connection."""
    rows = []
    for setting in settings():
        struct = isinstance(setting.kind, types.StructType)
        rows.append((f"`{setting.name}`", _values(setting), "" if struct else _default(setting), setting.description))
    return _table(("setting", "values", "default", "meaning"), rows)


def _values(setting: Setting) -> str:
    kind = setting.kind
    match kind:
        case types.BoolType():
            return "`true`, `false`"
        case types.LiteralType(values=values) if len(values) <= 5:
            return ", ".join(f"`{value}`" for value in values)
        case types.LiteralType():
            return "an [identity type](#identity-types)"
        case types.IntType() | types.FloatType():
            whole = "integer" if isinstance(kind, types.IntType) else "number"
            low = f"above {kind.gt:g}" if kind.gt is not None else f"from {_plain(kind.ge)}"
            return f"{whole} {low} to {_plain(kind.le)}"
        case types.DictType():
            return "mapping"
        case types.StructType():
            return "the keys below"
        case types.VarTupleType():
            return "list"
        case _:
            return "text"


def _default(setting: Setting) -> str:
    if setting.required:
        return "required"
    if setting.default in (None, (), {}):
        return "none"
    if isinstance(setting.default, tuple):
        return ", ".join(f"`{value}`" for value in setting.default)
    return f"`{_plain(setting.default)}`"


def _plain(value: Any) -> str:
    """Returns a value as it is written in YAML; large numbers with separators, which YAML takes too."""
    if value is True or value is False:
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return f"{value:_}" if isinstance(value, int) and value >= 10_000 else str(value)


def _identity_types() -> str:
    """Returns mParticle's identity types, as a connection names them."""
    kinds = next(setting.kind for setting in settings() if setting.name == "email_identity_type")
    return ", ".join(f"`{value}`" for value in _literals(kinds)) + "\n"


def _reply_classes() -> str:
    """Returns the classes that `codes` may name."""
    kind = next(setting.kind for setting in settings() if setting.name == "codes")
    values = kind.value_type if isinstance(kind, types.DictType) else kind
    return ", ".join(f"`{value}`" for value in _literals(values)) + "\n"


def _literals(kind: types.Type) -> tuple[Any, ...]:
    return kind.values if isinstance(kind, types.LiteralType) else ()


def _event_parameters() -> str:
    """Returns the parameters of each TikTok event; events that take the same share a row."""
    rows: dict[tuple[str, ...], list[str]] = {}
    for event, taken in EVENT_PARAMETERS.items():
        if event not in _REPLACED_EVENTS:
            rows.setdefault(tuple(name for name in taken if name != "description"), []).append(event)
    return _table(
        ("TikTok event", "parameters, beside `description`"),
        ((", ".join(events), ", ".join(f"`{name}`" for name in names) or "–") for names, events in rows.items()),
    )


def _reasons() -> str:
    """Returns a table of reasons and remedies for each kind."""
    lines: list[str] = []
    rows: list[tuple[str, str]] = []
    for reason in Reason:
        if reason in _FIRST_REASONS:
            lines += [_table(("reason", "meaning, and what to do"), rows)] if rows else []
            lines.append(f"### Reasons of `{_FIRST_REASONS[reason]}`\n")
            rows = []
        rows.append((f"`{reason}`", _escaped(reason.remedy)))
    return "\n".join([*lines, _table(("reason", "meaning, and what to do"), rows)])


def _notes() -> str:
    """Returns a row for each note."""
    return _table(("note", "meaning"), ((f"`{note}`", _escaped(note.meaning)) for note in Note))


def _ledger_columns() -> str:
    """Returns a row for each column of the ledger."""
    return _columns(LEDGER_SCHEMA, lambda field: field.metadata[b"meaning"].decode())


def _dead_letter_columns() -> str:
    """Returns a row for each column of the dead letters; the meanings of the ledger hold for shared columns."""
    own = {
        "form": "the request form: `web`, `offline` or `legacy_pixel_batch_web`",
        "payload": "the JSON object of this one event, as it was sent or would have been; null if there was none yet",
        "match_keys": "a bit for each match key: 1 email, 2 phone, 4 external_id, 8 click_id, 16 ttp, "
        "32 ip_and_user_agent",
    }
    shared = {field.name: field.metadata[b"meaning"].decode() for field in LEDGER_SCHEMA}
    return _columns(DEAD_LETTER_SCHEMA, lambda field: own.get(field.name) or shared[field.name])


def _columns(schema: pa.Schema, meaning: Callable[[Any], str]) -> str:
    return _table(
        ("column", "type", "meaning"), ((f"`{field.name}`", f"`{field.type}`", meaning(field)) for field in schema)
    )


def _commands() -> str:
    """Returns a section for each command, with its examples and its own flags."""
    return "\n".join("\n".join(_command(name, summary)) for name, summary in COMMANDS.items())


def _command(name: str, summary: str) -> Iterator[str]:
    parser = parser_of(name)
    yield f"## `{name}`\n"
    prose, examples = _description(parser.description or f"{summary.capitalize()}.")
    yield f"{prose}\n"
    if examples:
        yield f"```\n{examples}\n```\n"
    for group in _groups(parser):
        rows = list(_flags(group))
        if group.title == "connection":
            yield "**Connection.** `--connection FILE`, and a flag for each [setting](connection.md#settings).\n"
        elif rows:
            title = _TITLES.get(group.title, group.title)
            yield f"**{title.capitalize()}.** {_escaped(group.description or '')}".rstrip() + "\n"
            yield _table(("flag", "value", "meaning"), rows)


def _template_parameters() -> str:
    """Returns which flags of the pipeline `launch` takes for which template."""
    of_connection = {setting.name for setting in settings()}
    taken: dict[str, set[str]] = {}
    for template in TEMPLATES:
        for parameter in parameters_of(template):
            # `--input` names files for one template; for the others it is the setting of that name.
            if parameter.name not in of_connection or (parameter.name, template) == ("input", "history"):
                taken.setdefault(parameter.name, set()).add(template)
    return _table(
        ("flag", *TEMPLATES),
        (
            (f"`--{name}`", *("yes" if template in templates else "–" for template in TEMPLATES))
            for name, templates in taken.items()
        ),
    )


def parser_of(*words: str, program: Callable[[list[str]], Any] = run_command) -> argparse.ArgumentParser:
    """Returns the parser that prints the help of a command.

    Args:
      words: the command, and what decides about its flags.
      program: takes the words; the default is the command line of the pipeline.
    """
    found: list[argparse.ArgumentParser] = []
    hook = sys.excepthook
    try:
        with patch.object(argparse.ArgumentParser, "print_help", lambda parser, file=None: found.append(parser)):
            program([*words, "--help"])
    except SystemExit:
        pass
    finally:
        sys.excepthook = hook
    return found[0]


def _groups(parser: argparse.ArgumentParser) -> Iterable[Any]:
    # argparse offers its groups in a formatted text only, whose form differs between versions of Python.
    return parser._action_groups


def _flags(group: Any) -> Iterator[tuple[str, str, str]]:
    """Yields flag, value and meaning of each action of a group, but for --help."""
    for action in group._group_actions:
        if action.dest == "help":
            continue
        meaning = (action.help or "") % {**vars(action), "prog": "tiktok-events"}
        name = action.option_strings[-1] if action.option_strings else action.metavar
        yield f"`{name}`", _value(action), _escaped(meaning)


def _value(action: argparse.Action) -> str:
    """Returns what stands behind a flag: its values, or a word for them; nothing behind a switch."""
    metavar = "|".join(map(str, action.choices)) if action.choices else action.metavar
    if isinstance(action, Switch) or action.nargs == 0 or not action.option_strings:
        return ""
    return ", ".join(f"`{value}`" for value in str(metavar or action.dest.upper()).split("|"))


def _description(text: str) -> tuple[str, str]:
    """Returns prose and examples of a parser's description."""
    before, _, rest = text.partition("\nexamples:\n")
    examples, _, after = rest.partition("\n\n")
    lines = "\n".join(line.removeprefix("  ") for line in examples.splitlines())
    return _escaped("\n\n".join(filter(None, (before.strip(), after.strip())))), lines


def _escaped(text: str) -> str:
    """Returns a text for Markdown, with its flags as code; what stands between backquotes is code already."""
    parts = text.split("`")
    parts[::2] = [re.sub(r"--\w+(?:[.-]\w+)*", r"`\g<0>`", part).replace("<", "&lt;") for part in parts[::2]]
    return "`".join(parts)


def _table(heading: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Returns a Markdown table."""
    lines = [heading, ["---"] * len(heading), *rows]
    return "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |\n" for line in lines)


PARTS: dict[str, Callable[[], str]] = {
    "settings": _settings,
    "identity-types": _identity_types,
    "reply-classes": _reply_classes,
    "event-parameters": _event_parameters,
    "reasons": _reasons,
    "notes": _notes,
    "ledger-columns": _ledger_columns,
    "dead-letter-columns": _dead_letter_columns,
    "commands": _commands,
    "template-parameters": _template_parameters,
}


if __name__ == "__main__":
    sys.exit(main())
