"""What the manual shows of `launch` works as it stands there."""

import re
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from apache_beam.internal.gcp.auth import _Credentials
from dataflow import Dataflow
from launching import Done

PAGE = (Path(__file__).parents[3] / "docs" / "dataflow.md").read_text("utf-8")


def commands() -> Iterator[list[str]]:
    """Yields the words of every command of the page, without what stands for "the same flags"."""
    for block in re.findall(r"```bash\n(.*?)```", PAGE, re.DOTALL):
        for line in block.replace("\\\n", " ").splitlines():
            if line.startswith("tiktok-events launch "):
                yield shlex.split(line)[2:]


def test_its_commands_work_one_after_the_other(
    dataflow: Dataflow, launch: Callable[..., Done], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_Credentials, "_credentials_init", True)
    dataflow.templates.add("gs://acme-tiktok/templates/stream-2.json")
    first: list[str] = []
    seen = 0
    for words in commands():
        if not first:
            first = [word for word in words[3:] if word != "--wait"]
        place = words.index("…") if "…" in words else None
        given = words if place is None else [*words[:place], *first, *words[place + 1 :]]
        done = launch(*given)
        assert done.code == 0, (given, done.err)
        seen += 1
    assert seen == 7
    assert [request.launch_parameter.job_name for request in dataflow.flex] == [
        "tiktok-stream",
        "tiktok-history",
        "tiktok-replay",
        "tiktok-stream",
    ]
    assert len(dataflow.classic) == 1
