"""A parser that guesses nothing, and its help."""

import pytest

from pipeline.arguments.flag_types import whole_number
from pipeline.arguments.parser import StrictParser
from pipeline.arguments.replay import replay_parser
from pipeline.arguments.run import run_parser
from pipeline.errors import UsageError


def parser() -> StrictParser:
    made = StrictParser("walk FILE", "Walks.\n\nexamples:\n  tiktok-events walk way.txt --steps 5 --slowly")
    made.add_argument("file", nargs="?")
    group = made.flag_group("gait")
    group.add_argument("--steps", type=whole_number(1, 9), default=3)
    group.add_argument("--slowly", action="store_true")
    return made


def test_flags_are_listed_by_their_headings_in_the_order_of_the_help() -> None:
    assert [(flag.name, flag.group) for flag in parser().flags()] == [
        ("--help", "options"),
        ("--steps", "gait"),
        ("--slowly", "gait"),
    ]
    assert parser().flag_names() == ["--help", "--slowly", "--steps"]


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        ([], (None, 3, False)),
        (["way.txt", "--steps", "5"], ("way.txt", 5, False)),
        (["--slowly", "way.txt"], ("way.txt", 3, True)),
        (["--slowly", "no", "way.txt"], ("way.txt", 3, False)),
        (["--steps=1", "--slowly=TRUE"], (None, 1, True)),
    ],
)
def test_values_have_types_and_a_switch_takes_no_other_word(argv: list[str], expected: tuple[object, ...]) -> None:
    found = parser().parse_strictly(argv)
    assert (found.file, found.steps, found.slowly) == expected


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["--steps", "0"], '--steps: "0" is not allowed; a whole number from 1 to 9 is needed.'),
        (["--step", "5"], "tiktok-events walk: unknown flag --step. Did you mean --steps?"),
        (["--steps"], "tiktok-events walk: argument --steps: expected one argument. See tiktok-events walk --help."),
        (["--slowly=act.Canary"], "--slowly: this value is not allowed; true, false or nothing is needed."),
        # A duration is a value only where a flag stands before it.
        (["--slowly", "-1d"], "tiktok-events walk: unknown flag -1d."),
        (["--steps", "-1d"], '--steps: "-1d" is not allowed'),
        (["a", "b"], 'tiktok-events walk: unexpected argument "b".'),
    ],
)
def test_a_mistake_is_refused_with_the_name_of_its_flag(argv: list[str], said: str) -> None:
    with pytest.raises(UsageError) as caught:
        parser().parse_strictly(argv)
    assert str(caught.value).startswith(said)


@pytest.mark.parametrize("make", [run_parser, replay_parser])
@pytest.mark.parametrize("columns", [80, 120])
def test_help_fits_into_the_terminal(make: type[StrictParser], columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    assert max(map(len, make().format_help().splitlines())) <= columns


def test_an_example_that_is_too_long_goes_on_below_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "50")
    assert "examples:\n  tiktok-events walk way.txt --steps 5 \\\n      --slowly\n\n" in parser().format_help()
