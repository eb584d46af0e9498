"""The manual as a site: it builds strictly, holds every page, and loads nothing from other hosts."""

import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
ZENSICAL = Path(sys.executable).with_name("zensical")


def pages(entry: Any) -> Iterator[str]:
    """Yields the pages of the navigation."""
    if isinstance(entry, str):
        yield entry
    else:
        for value in entry.values() if isinstance(entry, dict) else entry:
            yield from pages(value)


def manual(folder: Path) -> Path:
    """Returns the folder with a copy of the manual in it."""
    shutil.copytree(ROOT / "docs", folder / "docs", ignore=shutil.ignore_patterns("__pycache__", "*.py"))
    shutil.copy(ROOT / "zensical.toml", folder)
    return folder


def build(folder: Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([ZENSICAL, "build", "--strict"], cwd=folder, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = manual(tmp_path_factory.mktemp("manual"))
    done = build(folder)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "site"


def test_the_navigation_holds_every_page_once(site: Path) -> None:
    nav = tomllib.loads((ROOT / "zensical.toml").read_text("utf-8"))["project"]["nav"]
    assert sorted(pages(nav)) == sorted(path.name for path in (ROOT / "docs").glob("*.md"))
    for name in pages(nav):
        assert (site / name.removesuffix(".md").removesuffix("index") / "index.html").is_file()


def test_no_page_loads_anything_from_another_host(site: Path) -> None:
    loads = re.compile(
        r"<(?:script|img|source|iframe)[^>]*\ssrc(?:set)?=\"?(?:https?:)?//|<link[^>]*href=\"?(?:https?:)?//"
    )
    styles = re.compile(r"(?:url\(|@import)\s*[\"']?(?:https?:)?//")
    assert [path.name for path in site.rglob("*.html") if loads.search(path.read_text("utf-8"))] == []
    assert [path.name for path in site.rglob("*.css") if styles.search(path.read_text("utf-8"))] == []


def test_a_link_that_leads_nowhere_ends_the_build(tmp_path: Path) -> None:
    with (manual(tmp_path) / "docs" / "files.md").open("a") as page:
        page.write("\n[nowhere](no-such-page.md)\n")
    done = build(tmp_path)
    assert done.returncode != 0
    assert "page does not exist" in done.stdout + done.stderr
