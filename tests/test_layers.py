"""Who may import whom, read from the source: imports point downward only, and the rules know no Beam."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("transforms", "pipeline", "sandbox")
FILES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))

# The lowest layer first; the first prefix that fits a module decides. `transforms` itself re-exports the public names.
LAYERS = (
    ("transforms.vocabulary", 1),
    ("transforms.model", 1),
    ("transforms.custom_mappings", 1),
    ("transforms.connection", 1),
    ("transforms.mapping", 2),
    ("transforms.tiktok", 3),
    ("transforms", 4),
    ("pipeline", 5),
)
# Neither reads a rule from the other: what both need stands in layer 1.
SIDE_BY_SIDE = {("transforms.mapping", "transforms.tiktok"), ("transforms.tiktok", "transforms.mapping")}
WITHOUT_BEAM = (
    "transforms.vocabulary",
    "transforms.model",
    "transforms.custom_mappings",
    "transforms.connection",
    "transforms.mapping",
    "transforms.tiktok",
    "sandbox",
)

# At this length a module is split.
MOST_LINES = 300


def module_name(path: Path) -> str:
    """Returns the dotted name of a file below the root."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def within(module: str, package: str) -> bool:
    """Says whether the module is the package or lies in it."""
    return module == package or module.startswith(package + ".")


def layer(module: str) -> int | None:
    """Returns the module's layer, None for what is not in the layers."""
    return next((number for prefix, number in LAYERS if within(module, prefix)), None)


def imported(path: Path) -> Iterator[str]:
    """Yields every module that a file imports; of `from package import module` the module."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name}: relative import"
            base = node.module or ""
            for alias in node.names:
                inner = ROOT.joinpath(*base.split("."), alias.name)
                yield f"{base}.{alias.name}" if inner.is_dir() or inner.with_suffix(".py").exists() else base


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_there_is_something_to_read() -> None:
    assert len(FILES) > 30


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_imports_point_downward(path: Path) -> None:
    module = module_name(path)
    own = layer(module)
    for other in imported(path):
        other_layer = layer(other)
        if own is None or other_layer is None:
            continue
        assert other_layer <= own, f"{module} (layer {own}) imports {other} (layer {other_layer})"
        for here, there in SIDE_BY_SIDE:
            assert not (within(module, here) and within(other, there)), f"{module} imports {other}"


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_rules_and_http_know_no_beam(path: Path) -> None:
    if any(within(module_name(path), package) for package in WITHOUT_BEAM):
        assert not [other for other in imported(path) if within(other, "apache_beam")]


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_the_sandbox_stands_apart(path: Path) -> None:
    inside = within(module_name(path), "sandbox")
    for other in imported(path):
        if inside:
            assert not within(other, "transforms"), other
            assert not within(other, "pipeline"), other
        else:
            assert not within(other, "sandbox"), other


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_nothing_imports_the_templates_the_tests_or_the_benchmarks(path: Path) -> None:
    for other in imported(path):
        assert not any(within(other, package) for package in ("templates", "tests", "benchmarks")), other


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_annotations_are_not_postponed(path: Path) -> None:
    """Postponed annotations turn Beam's element types into Any, so that wrong wiring is found at run time only."""
    assert "__future__" not in set(imported(path))


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_a_module_says_what_it_is_for(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text("utf-8")))


def test_no_module_is_longer_than_a_reader_can_hold() -> None:
    lines = {module_name(path): len(path.read_text("utf-8").splitlines()) for path in FILES}
    assert {module: count for module, count in lines.items() if count > MOST_LINES} == {}


# What may hold no code as text: everything that runs, and what is run beside it.
CODE = sorted(path for package in (*PACKAGES, "templates", "benchmarks") for path in (ROOT / package).rglob("*.py"))


RUNS_TEXT = {"exec", "eval", "compile"}


def texts_run_as_code(source: str) -> list[str]:
    """Returns where a source names a built-in function that runs a text as code, called or not."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Name):
            name = node.id
        elif isinstance(node, ast.Attribute) and ast.unparse(node.value) in {"builtins", "__builtins__"}:
            name = node.attr
        else:
            continue
        if name in RUNS_TEXT:
            found.append(f"{name} in line {node.lineno}")
    return found


def test_no_text_is_run_as_code() -> None:
    assert len(CODE) > len(FILES)
    assert {name_of(path): found for path in CODE if (found := texts_run_as_code(path.read_text("utf-8")))} == {}


@pytest.mark.parametrize(
    "source", ["exec('x = 1')", "f = eval", "compile('1', '', 'eval')", "import builtins\nbuiltins.exec(code)"]
)
def test_a_text_that_is_run_as_code_is_found(source: str) -> None:
    assert len(texts_run_as_code(source)) == 1
    assert texts_run_as_code("import re\nre.compile('x')\ndef executed(eval_ms): ...") == []


def test_importing_the_rules_does_not_load_beam() -> None:
    """`preview` and `check` answer in well under a second, which Beam's import alone would take."""
    rules = [module_name(path) for path in FILES if within(module_name(path), "transforms.mapping")]
    program = "import sys, importlib\nfor name in sys.argv[1:]: importlib.import_module(name)\n"
    program += "sys.exit('apache_beam' in sys.modules)"
    subprocess.run([sys.executable, "-c", program, *rules], cwd=ROOT, check=True)


@pytest.mark.parametrize("command", ["preview", "check", "test", "schema", "import_projections", "launch"])
def test_commands_that_answer_at_once_do_not_load_beam(command: str) -> None:
    program = f"import sys, pipeline.commands.{command}\nsys.exit('apache_beam' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True)


def test_all_kinds_of_import_are_read(tmp_path: Path) -> None:
    path = tmp_path / "module.py"
    path.write_text("import a.b, c\nfrom transforms import model\ndef f():\n    from sandbox.visits import web_visit\n")
    assert sorted(imported(path)) == ["a.b", "c", "sandbox.visits", "transforms.model"]
