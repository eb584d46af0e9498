"""A connection file in a folder of its own, and the problems of reading one."""

from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.config.loader import read_connection
from pipeline.errors import ConfigurationError, Finding


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str]:
    """Writes a connection file and returns its name, relative to the current folder."""
    monkeypatch.chdir(tmp_path)

    def write(text: str) -> str:
        (tmp_path / "connection.yaml").write_text(text, "utf-8")
        return "connection.yaml"

    return write


@pytest.fixture
def problems() -> Callable[..., list[Finding]]:
    """Returns the problems of a connection that is refused."""

    def problems(path: str | None, flags: dict[str, str] | None = None) -> list[Finding]:
        with pytest.raises(ConfigurationError) as caught:
            read_connection(path, flags)
        return list(caught.value.problems)

    return problems
