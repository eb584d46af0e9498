"""README and manual: what they show works, and what they name exists."""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import NamedTuple, get_args

import pytest

from docs import generate
from pipeline.arguments.parser import StrictParser
from pipeline.cli import main as cli
from pipeline.launch.template_parameters import TEMPLATES
from sandbox.shop import generator
from sandbox.tiktok.control import Sandbox
from transforms.connection import Connection, Consent, ReplyClass
from transforms.mapping.custom.parameters import EVENT_PARAMETERS

ROOT = Path(__file__).resolve().parents[2]
PAGES = {path.name: path.read_text("utf-8") for path in [*sorted((ROOT / "docs").glob("*.md")), *ROOT.glob("*.md")]}
of_every_page = pytest.mark.parametrize("name", PAGES)

# Programs of others, whose flags are not ours to check.
OTHER_PROGRAMS = {"export", "gcloud", "git"}
# What a run makes.
MADE = {"benchmarks/results"}


def blocks(page: str, *languages: str) -> list[str]:
    """Returns the code blocks of a page in these languages; "" and "bash" are for commands, "text" is their output."""
    found = re.findall(r"^```(\w*)\n(.*?)^```", PAGES[page], re.DOTALL | re.MULTILINE)
    return [body for language, body in found if language in languages]


def shell_lines(page: str) -> Iterator[str]:
    """Yields the commands of a page's blocks, each on one line."""
    for line in "".join(blocks(page, "", "bash")).replace("\\\n", " ").splitlines():
        if line.strip() and not line.startswith("#"):
            yield line


def inline_commands(page: str) -> list[str]:
    """Returns the commands of the pipeline that stand in the text."""
    return re.findall(r"`(tiktok-events [^`]+)`", PAGES[page])


def words_of(command: str) -> list[str]:
    """Returns the words of a command of ours, without comment, redirection and what stands for further words."""
    words = shlex.split(command.rpartition(" | ")[2], comments=True)
    words = [word for word in words if word not in ("…", "&")]
    return words[: words.index(">")] if ">" in words else words


class Demo(NamedTuple):
    """The demo, run as README and manual show it.

    Attributes:
      folder: where it ran.
      printed: what it printed.
    """

    folder: Path
    printed: str


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    folder = tmp_path_factory.mktemp("newcomer")
    environment = os.environ | {"PYTHONPATH": str(ROOT), "COLUMNS": "80"}
    command = [sys.executable, "-m", "pipeline", "demo"]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return Demo(folder, done.stdout)


@pytest.fixture
def typed(
    demo: Demo, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], own_process: None
) -> Iterator[Callable[[str], str]]:
    """Runs a command in the demo's folder, with the stand-in instead of TikTok, and returns what it prints."""
    monkeypatch.chdir(demo.folder)
    monkeypatch.setenv("COLUMNS", "80")
    with Sandbox() as sandbox:
        monkeypatch.setenv("TIKTOK_TOKEN", sandbox.token)

        def run(command: str) -> str:
            words = words_of(command)[1:]
            if words[0] in ("run", "check"):
                words += ["--api_url", sandbox.api_url]
            assert cli.main(words) == 0, capsys.readouterr().err
            return capsys.readouterr().out

        yield run


def assert_shown(block: str, printed: str) -> None:
    """Checks that the lines of a block were printed, in this order; `…` stands for lines that are left out."""
    lines = iter([line.rstrip() for line in printed.splitlines()])
    for shown in block.splitlines():
        assert shown == "…" or shown in lines, f"not printed, or not in this order: {shown}"


def test_the_readme_fits_on_one_page() -> None:
    assert len(PAGES["README.md"].splitlines()) <= 150
    assert len(blocks("README.md", "yaml")[0].splitlines()) <= 12


def test_what_the_readme_shows_is_what_a_newcomer_sees(demo: Demo, typed: Callable[[str], str]) -> None:
    of_demo, of_preview, of_run = blocks("README.md", "text")
    assert_shown(of_demo, demo.printed)
    (demo.folder / "acme.yaml").write_text(blocks("README.md", "yaml")[0])
    clone, make, preview, run = shell_lines("README.md")
    assert clone.startswith("git clone ")
    assert make == "make demo"
    assert_shown(of_preview, typed(preview))
    assert_shown(of_run, typed(run))


def test_the_first_steps_of_the_manual_work_one_after_the_other(demo: Demo, typed: Callable[[str], str]) -> None:
    of_demo, of_preview = blocks("getting-started.md", "text")
    assert_shown(of_demo, demo.printed)
    (demo.folder / "acme.yaml").write_text(blocks("getting-started.md", "yaml")[0])
    generator.write_parquet(demo.folder / "exports", generator.purchases(30))
    # The dry run is that of the README.
    lines = [line for line in shell_lines("getting-started.md") if "tiktok-events" in line and "--dry_run" not in line]
    preview, check, online, run, reconcile = map(typed, lines)
    assert_shown(of_preview, preview)
    assert "can be used" in check
    assert "accepted the test event" in online
    assert re.search(r"\b30 +delivered\b", run)
    assert "30" in reconcile
    # What became of one event, as "Troubleshooting" asks the ledger.
    (query,) = blocks("troubleshooting.md", "python")
    event_id = re.search(r'== "(.*)"', query)
    assert event_id is not None
    assert "'kind': 'delivered'" in asked(demo.folder, query.replace(event_id[1], some_event_id(demo.folder)))


def some_event_id(folder: Path) -> str:
    rows = asked(folder, 'import pyarrow.dataset as ds\nprint(ds.dataset("ledger").head(1)["event_id"][0])\n')
    return rows.strip()


def asked(folder: Path, program: str) -> str:
    done = subprocess.run([sys.executable, "-c", program], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_python_example_delivers(tmp_path: Path) -> None:
    example = blocks("beam.md", "python")[0]
    generator.write_ndjson(tmp_path / "batches.txt", generator.purchases(20))
    with Sandbox() as sandbox:
        program = example.replace('"env:TIKTOK_TOKEN",', f'"env:TIKTOK_TOKEN", api_url="{sandbox.api_url}",')
        (tmp_path / "example.py").write_text(program)
        done = subprocess.run(
            [sys.executable, "example.py"],
            cwd=tmp_path,
            env=os.environ | {"TIKTOK_TOKEN": sandbox.token, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.splitlines() == ["delivered None PlaceAnOrder"] * 20
        assert sandbox.totals().accepted == 20


SHOWN_CONNECTIONS = [(name, text) for name in PAGES for text in blocks(name, "yaml")]


@pytest.mark.parametrize(("name", "text"), SHOWN_CONNECTIONS, ids=[name for name, _ in SHOWN_CONNECTIONS])
def test_every_connection_that_is_shown_can_be_used(
    name: str, text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], own_process: None
) -> None:
    (tmp_path / "acme.yaml").write_text(text)
    message = generator.write_ndjson(tmp_path / "batch.json", generator.purchases(1))
    assert cli.main(["preview", str(message), "--connection", str(tmp_path / "acme.yaml")]) == 0
    assert "1 send" in capsys.readouterr().out


def test_the_mapping_that_is_shown_passes_its_cases(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], own_process: None
) -> None:
    (tmp_path / "shop.yaml").write_text(blocks("custom-mappings.md", "yaml")[0])
    assert cli.main(["test", str(tmp_path / "shop.yaml")]) == 0
    assert capsys.readouterr().out.endswith("2 passed, 0 failed\n")


def test_it_says_which_parameters_each_event_takes() -> None:
    rows = re.findall(r"(?m)^\| ([A-Z][\w, ]+) \| ((?:`.*|–)) \|$", PAGES["custom-mappings.md"])
    said = {event: set(re.findall(r"`(\w+)`", taken)) for events, taken in rows for event in events.split(", ")}
    taken = {event: set(parameters) - {"description"} for event, parameters in EVENT_PARAMETERS.items()}
    del taken["SubmitForm"]  # retired, the same as Lead
    assert said == taken


def test_it_says_what_follows_from_every_class_of_reply() -> None:
    table = PAGES["outcomes.md"].split("| class | what happens |")[1].split("\n\n")[0]
    said = [name for names in re.findall(r"(?m)^\| (`[^|]*) \|", table) for name in re.findall(r"`(\w+)`", names)]
    assert said == list(get_args(ReplyClass))


@of_every_page
def test_every_command_that_is_shown_is_run_or_taken_by_its_parser(name: str) -> None:
    for line in [*shell_lines(name), *inline_commands(name)]:
        words = words_of(line)
        match words:
            case ["tiktok-events", "COMMAND", *_]:
                continue
            case ["tiktok-events", *given] | ["python", "-m", "pipeline", *given]:
                assert_taken(line, given)
            case ["python", "-m", str(module), *given] if module.startswith("sandbox"):
                program = import_module(
                    f"{module}.__main__" if module in ("sandbox", "sandbox.pubsub") else module
                ).main
                generate.parser_of(program=program).parse_args(given)
            case ["make", target, *_]:
                assert re.search(rf"(?m)^{target}:.*##", (ROOT / "Makefile").read_text()), line
            case _:
                assert words[0] in OTHER_PROGRAMS, f"neither run nor of a known kind: {line}"


def assert_taken(line: str, words: list[str]) -> None:
    """Checks that the parser of a command takes its flags and values."""
    command, *given = words
    assert command in cli.COMMANDS, line
    template = given[:1] if command == "launch" and given[0] in TEMPLATES else []
    parser = generate.parser_of(command, *template)
    if given[-1:] == ["--help"]:
        return
    if isinstance(parser, StrictParser):
        _, rest = parser.parse_leniently(given[len(template) :])
        assert rest == [], line
    else:
        parser.parse_args(given)


def flags_named(name: str) -> set[str]:
    """Returns the flags in a page's text, but for those of commands, which are checked as a whole, and of programs."""
    text = re.sub(r"^```.*?^```", "", PAGES[name], flags=re.DOTALL | re.MULTILINE)
    text = re.sub(r"`(?:tiktok-events|\.venv/bin/|benchmarks/|docker|gcloud|python3|UPGRADE=)[^`]*`", "", text)
    return set(re.findall(r"(?<![\w-])--[a-z]+(?:[_.-][a-z]+)*", text))


@cache
def flags_of(*words: str) -> set[str]:
    """Returns the flags of a command, and those of Beam that go with it."""
    of_beam = {"--direct_running_mode", "--direct_num_workers", "--project"} if words == ("run",) else set()
    return of_beam | set(re.findall(r"--[\w.-]+", generate.parser_of(*words).format_help()))


@of_every_page
def test_every_flag_that_it_names_exists(name: str) -> None:
    commands = [*((command,) for command in cli.COMMANDS), *(("launch", template) for template in TEMPLATES)]
    assert sorted(flags_named(name) - set().union(*(flags_of(*words) for words in commands))) == []


@pytest.mark.parametrize("name", ["files.md", "streams.md", "back-fill.md"])
def test_every_flag_that_pages_about_runs_name_is_one_of_run(name: str) -> None:
    assert len(flags_named(name)) > 5
    assert sorted(flags_named(name) - flags_of("run")) == []


@of_every_page
def test_every_file_that_it_names_exists(name: str) -> None:
    folders = "transforms|pipeline|sandbox|tests|benchmarks|examples|templates|docs|scripts"
    names = set(re.findall(rf"`((?:{folders}|\.ci)/[\w./-]*)", PAGES[name])) - MADE
    assert [path for path in sorted(names) if not (ROOT / path).exists()] == []


@of_every_page
def test_every_link_to_a_file_leads_somewhere(name: str) -> None:
    folder = ROOT if (ROOT / name).exists() else ROOT / "docs"
    for target in re.findall(r'\]\(([^)\s]+)\)|(?:src|srcset)="([^"]+)"', PAGES[name]):
        path, _, anchor = "".join(target).partition("#")
        if path.startswith("https://"):
            continue
        found = (folder / path) if path else folder / name
        assert found.exists(), path
        if anchor:
            headings = re.findall(r"(?m)^#+ (.*)$", found.read_text("utf-8"))
            assert anchor in {re.sub(r"[^\w -]", "", heading).strip().lower().replace(" ", "-") for heading in headings}


def test_the_manual_names_every_make_target_for_machines_without_make() -> None:
    targets = re.findall(r"(?m)^([a-z-]+):.*##", (ROOT / "Makefile").read_text())
    assert len(targets) >= 8
    for name in ("getting-started.md", "CONTRIBUTING.md"):
        assert [target for target in targets if not re.search(rf"`make {target}[` ]", PAGES[name])] == [], name


def test_the_manual_lists_exactly_the_settings_of_a_connection() -> None:
    section = PAGES["connection.md"].split("## Settings\n")[1].split("\n## ")[0]
    rows = re.findall(r"(?m)^\| `([\w.]+)` \|", section)
    nested = [f"consent.{field}" for field in Consent.__struct_fields__]
    own = list(Connection.__struct_fields__)
    place = own.index("consent") + 1
    assert rows == [*own[:place], *nested, *own[place:]]
