"""Who may import whom, read from the source: one way only, and through the front of a package.

The order of the packages is that of the data. A package is used through the names of its front (`__init__.py`, or the
stub beside it where names are loaded when they are first used).
"""

import ast
import importlib
import subprocess
import sys
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[1]

# A package imports only from those before it, and from none beside it.
ORDER: tuple[tuple[str, ...], ...] = (
    # Values and settings.
    ("transforms.vocabulary",),
    ("transforms.gunzip", "transforms.google_errors"),
    ("transforms.custom_mappings",),
    ("transforms.connection",),
    ("transforms.model",),
    # Rules, and HTTP: neither reads from the other.
    ("transforms.mapping", "transforms.tiktok"),
    # Beam's steps, and the public names.
    ("transforms",),
    ("pipeline.errors",),
    ("pipeline.wording",),
    ("pipeline.options",),
    ("pipeline.runtime",),
    ("pipeline.storage",),
    ("pipeline.dataflow",),
    ("pipeline.config",),
    ("pipeline.sources",),
    ("pipeline.records",),
    ("pipeline.ledger",),
    ("pipeline.reporting",),
    ("pipeline.jobs",),
    ("pipeline.replay",),
    ("pipeline.authoring",),
    ("pipeline.arguments",),
    ("pipeline.launch",),
    ("pipeline.cli",),
    ("pipeline",),
    # Stand-ins, which know nothing of what they are used for.
    ("sandbox.process",),
    ("sandbox.shop",),
    ("sandbox.tiktok",),
    ("sandbox.pubsub",),
    ("sandbox.demo",),
    ("sandbox",),
)
# Packages whose modules are open to those after them: `transforms` has its front for other people's pipelines.
OPEN = ("transforms", "pipeline", "sandbox")
WITHOUT_BEAM = (
    *("transforms.vocabulary", "transforms.model", "transforms.custom_mappings", "transforms.connection"),
    *("transforms.mapping", "transforms.tiktok", "sandbox"),
)


class Import(NamedTuple):
    """One name that a module imports.

    Attributes:
      module: where it is imported from, or the module itself.
      name: what is imported; empty if it is a module.
    """

    module: str
    name: str


@cache
def files() -> tuple[Path, ...]:
    """Returns the modules of all packages."""
    return tuple(
        sorted(path for package in ("transforms", "pipeline", "sandbox") for path in (ROOT / package).rglob("*.py"))
    )


def module_name(path: Path) -> str:
    """Returns the dotted name of a file below the root."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def within(module: str, package: str) -> bool:
    """Returns whether the module is the package or lies in it."""
    return module == package or module.startswith(package + ".")


def is_package(module: str) -> bool:
    """Returns whether a dotted name is a package of this project."""
    return ROOT.joinpath(*module.split(".")).is_dir()


def is_module(module: str) -> bool:
    """Returns whether a dotted name is a module or a package of this project."""
    return is_package(module) or ROOT.joinpath(*module.split(".")).with_suffix(".py").is_file()


@cache
def imported(path: Path) -> tuple[Import, ...]:
    """Returns everything that a file imports, wherever in it."""
    found = []
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found += [Import(alias.name, "") for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name}: relative import"
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                is_inner = is_module(inner)
                found.append(Import(inner, "") if is_inner else Import(node.module or "", alias.name))
    return tuple(found)


@cache
def front(package: str) -> frozenset[str]:
    """Returns the names that a package offers."""
    return frozenset(getattr(importlib.import_module(package), "__all__", ()))


def packages_of(module: str) -> tuple[str, ...]:
    """Returns the packages that a module lies in, the innermost last; a package lies in itself."""
    parts = module.split(".")
    names = [".".join(parts[:count]) for count in range(1, len(parts) + 1)]
    return tuple(name for name in names if is_package(name))


def rank(module: str) -> int | None:
    """Returns the place of a module in the order, None for what is not in it."""
    ranks = {name: number for number, names in enumerate(ORDER) for name in names}
    return next((ranks[name] for name in reversed(packages_and_self(module)) if name in ranks), None)


def packages_and_self(module: str) -> tuple[str, ...]:
    """Returns a module's dotted name and all its beginnings, the longest last."""
    parts = module.split(".")
    return tuple(".".join(parts[:count]) for count in range(1, len(parts) + 1))


def layer_name(module: str) -> str | None:
    """Returns the entry of the order that a module belongs to."""
    names = {name for entry in ORDER for name in entry}
    return next((name for name in reversed(packages_and_self(module)) if name in names), None)


def test_imports_point_one_way() -> None:
    wrong = []
    for path in files():
        module = module_name(path)
        own = rank(module)
        for other, name in imported(path):
            there = rank(other)
            if own is None or there is None or layer_name(module) == layer_name(other):
                continue
            if there >= own:
                wrong.append(f"{module} imports {other} {name}".strip())
    assert wrong == []


def test_a_package_is_used_through_its_front() -> None:
    wrong = []
    for path in (*files(), *sorted((ROOT / "templates").rglob("*.py"))):
        module = module_name(path)
        for other, name in imported(path):
            for package in packages_of(other):
                # A package that is imported as a module is used by its own front.
                if within(module, package) or package in OPEN or (other == package and not name):
                    continue
                used = name if other == package else other.removeprefix(f"{package}.").split(".")[0]
                if used not in front(package):
                    wrong.append(f"{module} imports {other} {name}".strip())
    assert wrong == []


def test_a_front_offers_what_somebody_uses() -> None:
    used: dict[str, set[str]] = {}
    everything = [
        path for folder in ("templates", "benchmarks", "docs", "tests") for path in (ROOT / folder).rglob("*.py")
    ]
    for path in (*files(), *everything):
        for other, name in imported(path):
            for package in packages_of(other):
                offered = name if other == package else other.removeprefix(f"{package}.").split(".")[0]
                if not within(module_name(path), package) or package in packages_of(module_name(path))[:-1]:
                    used.setdefault(package, set()).add(offered)
    packages = {name for path in files() for name in packages_of(module_name(path))} - {
        "pipeline",
        "transforms",
        "sandbox",
    }
    for package in packages:  # what the front of the package around it passes on
        used.setdefault(package, set()).update(front(package.rpartition(".")[0]))
    unused = {package: sorted(front(package) - used.get(package, set())) for package in sorted(packages)}
    # What a person or a launcher starts.
    for package, entry_points in {
        "pipeline.cli": {"flex_entrypoint", "main"},
        "sandbox.demo": {"batch", "stream"},
    }.items():
        unused[package] = sorted(set(unused[package]) - entry_points)
    assert {package: names for package, names in unused.items() if names} == {}


def test_every_package_has_a_front() -> None:
    packages = sorted({name for path in files() for name in packages_of(module_name(path))})
    assert len(packages) > 20
    for package in packages:
        found = importlib.import_module(package)
        assert found.__doc__, package
        assert front(package) or package in ("pipeline", "pipeline.cli.commands", "sandbox"), package
        for name in front(package):
            is_inner = is_module(f"{package}.{name}")
            assert is_inner or getattr(found, name) is not None, f"{package}: {name}"


def test_no_name_of_a_front_hides_a_module() -> None:
    """A name that is loaded when it is first used would be the module of this name instead, once that is imported."""
    hidden = []
    for package in sorted({name for path in files() for name in packages_of(module_name(path))}):
        source = ROOT.joinpath(*package.split(".")) / "__init__.py"
        names = {name for other, name in imported(source) if name}
        stub = source.with_suffix(".pyi")
        if stub.is_file():
            names |= {
                alias.name
                for node in ast.walk(ast.parse(stub.read_text()))
                if isinstance(node, ast.ImportFrom)
                for alias in node.names
            }
        hidden += [f"{package}.{name}" for name in names if is_module(f"{package}.{name}")]
    assert hidden == []


def test_no_modules_import_each_other_in_a_circle() -> None:
    graph: dict[str, set[str]] = {}
    for path in files():
        module = module_name(path)
        if path.name != "__init__.py":
            graph[module] = {other for other, _ in imported(path) if is_module(other) and not is_package(other)}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" → ".join(error.args[1]))


def test_rules_and_http_know_no_beam() -> None:
    for path in files():
        if any(within(module_name(path), package) for package in WITHOUT_BEAM):
            assert not [other for other, _ in imported(path) if within(other, "apache_beam")], path


def test_the_sandbox_stands_apart() -> None:
    for path in files():
        inside = within(module_name(path), "sandbox")
        for other, _ in imported(path):
            if inside:
                assert not within(other, "transforms"), f"{path}: {other}"
                assert not within(other, "pipeline"), f"{path}: {other}"
            else:
                assert not within(other, "sandbox"), f"{path}: {other}"


def test_nothing_imports_the_templates_the_tests_or_the_benchmarks() -> None:
    for path in files():
        for other, _ in imported(path):
            assert not any(within(other, package) for package in ("templates", "tests", "benchmarks")), other


def test_annotations_are_not_postponed() -> None:
    """Postponed annotations turn Beam's element types into Any, so that wrong wiring is found at run time only."""
    assert [path for path in files() if "__future__" in {other for other, _ in imported(path)}] == []


def test_a_module_describes_itself() -> None:
    assert [path for path in files() if not ast.get_docstring(ast.parse(path.read_text("utf-8")))] == []


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
        if name in {"exec", "eval", "compile"}:
            found.append(f"{name} in line {node.lineno}")
    return found


def test_no_text_is_run_as_code() -> None:
    others = [path for folder in ("templates", "benchmarks", "docs") for path in (ROOT / folder).rglob("*.py")]
    found = {str(path): texts_run_as_code(path.read_text("utf-8")) for path in (*files(), *others)}
    assert {path: places for path, places in found.items() if places} == {}


@pytest.mark.parametrize(
    "source", ["exec('x = 1')", "f = eval", "compile('1', '', 'eval')", "import builtins\nbuiltins.exec(code)"]
)
def test_a_text_that_is_run_as_code_is_found(source: str) -> None:
    assert len(texts_run_as_code(source)) == 1
    assert texts_run_as_code("import re\nre.compile('x')\ndef executed(eval_ms): ...") == []


def test_importing_the_rules_does_not_load_beam() -> None:
    """`preview` and `check` answer in well under a second, which Beam's import alone would take."""
    rules = [module_name(path) for path in files() if within(module_name(path), "transforms.mapping")]
    program = "import sys, importlib\nfor name in sys.argv[1:]: importlib.import_module(name)\n"
    program += "sys.exit('apache_beam' in sys.modules)"
    subprocess.run([sys.executable, "-c", program, *rules], cwd=ROOT, check=True)


@pytest.mark.parametrize("command", ["preview", "check", "test", "schema", "import_projections", "launch", "diff"])
def test_commands_that_answer_at_once_do_not_load_beam(command: str) -> None:
    program = f"import sys, pipeline.cli.commands.{command}\nsys.exit('apache_beam' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True)


def test_all_kinds_of_import_are_read(tmp_path: Path) -> None:
    path = tmp_path / "module.py"
    path.write_text("import a.b, c\nfrom transforms import model\ndef f():\n    from pipeline.errors import shown\n")
    expected = [("a.b", ""), ("c", ""), ("pipeline.errors", "shown"), ("transforms.model", "")]
    assert sorted(imported(path)) == [Import(*each) for each in expected]


def test_imported_names_and_modules_are_told_apart() -> None:
    assert isinstance(imported(ROOT / "pipeline" / "__main__.py"), tuple)
    assert Import("pipeline.cli.main", "") in imported(ROOT / "pipeline" / "__main__.py")
