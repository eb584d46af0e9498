"""The generated parts of the manual are as the code says."""

import re
from pathlib import Path

import pytest

from docs import generate
from pipeline.cli.main import COMMANDS
from transforms.vocabulary import Note, Reason

pytestmark = pytest.mark.usefixtures("own_process")


@pytest.fixture
def copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the pages, to which the generator is pointed."""
    for path in generate.FOLDER.glob("*.md"):
        (tmp_path / path.name).write_text(path.read_text("utf-8"), "utf-8")
    monkeypatch.setattr(generate, "FOLDER", tmp_path)
    return tmp_path


def test_the_pages_are_as_they_would_be_written() -> None:
    assert generate.main(["--check"]) == 0


def test_a_page_that_was_edited_is_named_and_written_anew(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = copy / "outcomes.md"
    right = page.read_text("utf-8")
    page.write_text(right.replace("| `no_events` |", "| `no_event` |"), "utf-8")
    assert generate.main(["--check"]) == 1
    assert capsys.readouterr().err == (
        "docs/outcomes.md is not what the code says. Run `python -m docs.generate` and commit it.\n"
    )
    assert "no_event`" in page.read_text("utf-8")
    assert generate.main([]) == 0
    assert capsys.readouterr().out == "docs/outcomes.md\n"
    assert page.read_text("utf-8") == right


def test_what_stands_outside_the_marks_is_left_alone(copy: Path) -> None:
    page = copy / "outcomes.md"
    page.write_text(page.read_text("utf-8") + "\nBy hand.\n", "utf-8")
    assert generate.main(["--check"]) == 0


def test_every_part_stands_in_one_page() -> None:
    marks = [
        mark for path in generate.FOLDER.glob("*.md") for mark in re.findall(r"generated: ([\w-]+)", path.read_text())
    ]
    assert sorted(marks) == sorted(generate.PARTS)


def test_every_command_reason_and_note_has_its_entry() -> None:
    commands = (generate.FOLDER / "command-line.md").read_text("utf-8")
    assert re.findall(r"(?m)^## `([\w-]+)`$", commands) == list(COMMANDS)
    outcomes = (generate.FOLDER / "outcomes.md").read_text("utf-8")
    assert re.findall(r"(?m)^\| `(\w+)` \| [A-Z`]", outcomes.split("\n## Reasons\n")[1]) == [*Reason, *Note]


def test_the_form_does_not_depend_on_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    assert generate.main(["--check"]) == 0
