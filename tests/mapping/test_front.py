"""What others may use of the mapping: its front, the front of custom mappings, and the tables."""

import ast
from collections.abc import Iterator
from pathlib import Path

from transforms import mapping
from transforms.mapping import custom

ROOT = Path(__file__).resolve().parents[2]
INSIDE = ROOT / "transforms" / "mapping"
OUTSIDE = [
    path
    for package in ("transforms", "pipeline", "sandbox", "templates")
    for path in (ROOT / package).rglob("*.py")
    if INSIDE not in path.parents
]


def imported(path: Path) -> Iterator[tuple[str, str]]:
    """Yields the modules and the names that a file imports from the mapping."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("transforms.mapping"):
            yield from ((node.module or "", alias.name) for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names if alias.name.startswith("transforms.mapping"))


def attributes_of(path: Path, module: str) -> set[str]:
    """Returns the attributes of a module that a file uses by its name."""
    return {
        node.attr
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == module
    }


def test_nothing_is_imported_from_behind_the_fronts() -> None:
    allowed = {"transforms.mapping", "transforms.mapping.custom", "transforms.mapping.tables"}
    assert {str(path): module for path in OUTSIDE for module, _ in imported(path) if module not in allowed} == {}


def test_the_fronts_name_exactly_what_is_used() -> None:
    used: dict[str, set[str]] = {"transforms.mapping": {"custom", "tables"}, "transforms.mapping.custom": set()}
    for path in OUTSIDE:
        names = list(imported(path))
        for module, name in names:
            if module in used:
                used[module].add(name)
        if ("transforms.mapping", "custom") in names:
            used["transforms.mapping.custom"] |= attributes_of(path, "custom")
    assert used["transforms.mapping"] == set(mapping.__all__)
    assert used["transforms.mapping.custom"] == set(custom.__all__)


def test_the_mapping_meets_custom_mappings_in_one_place_and_through_their_front() -> None:
    """`custom` builds on the rules; of these only `convert`, which joins the steps, knows it."""
    own = [path for path in INSIDE.glob("*.py") if path.name != "__init__.py"]
    found = {
        (path.name, module) for path in own for module, name in imported(path) if module.startswith(custom.__name__)
    }
    assert found == {("convert.py", "transforms.mapping.custom")}
