"""The cases of a connection: those in its file, and those in files beside it.

Beside `shop.yaml` that is `shop.cases.yaml` (or .yml, .json), and every such file in a folder `shop.cases`. They hold
`cases:`, as the connection does, or only the list.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import msgspec.inspect as types
from msgspec import UNSET

from pipeline.case_rules import check_cases
from pipeline.problems import ConfigurationError, Report
from pipeline.settings import places_of, read_text
from pipeline.values import convert, item_path
from pipeline.yamlfile import Items, Scalar, Table, parse
from transforms.custom_mappings import Case, CaseFile

_SUFFIXES = (".yaml", ".yml", ".json")


class PlacedCase(NamedTuple):
    """A case and where it was written: `FILE:LINE:COLUMN`."""

    case: Case
    where: str


def cases_of(path: str | None, own: Iterable[Case], others: Iterable[str] = ()) -> list[PlacedCase]:
    """Returns all cases of a connection in the order of its files.

    Args:
      path: the connection's file; None if it is made of flags only.
      own: the cases in it, which have been checked.
      others: further files, named by the user.

    Raises:
      ConfigurationError: a file of cases cannot be used.
    """
    places = places_in(path)
    placed = [
        PlacedCase(case, places.get(item_path("cases", position), path or "the command line"))
        for position, case in enumerate(own)
    ]
    for file in [*(beside(path) if path is not None else ()), *others]:
        placed += _read(file)
    return placed


def beside(path: str) -> list[str]:
    """Returns the files of cases beside a connection's file; none for one that is not local."""
    if "://" in path:
        return []
    stem = Path(path).with_suffix("")
    files = [Path(f"{stem}.cases{suffix}") for suffix in _SUFFIXES]
    folder = Path(f"{stem}.cases")
    files += sorted(file for suffix in _SUFFIXES for file in folder.glob(f"*{suffix}"))
    return [str(file) for file in files if file.is_file()]


def places_in(path: str | None) -> dict[str, str]:
    """Returns where the settings of a connection's file stand, as `FILE:LINE:COLUMN` by their paths.

    Args:
      path: None if the connection is made of flags only; then there are no places.
    """
    if path is None:
        return {}
    node = parse(read_text(path), path, Report())
    return places_of(node) if isinstance(node, Table) else {}


def _read(path: str) -> list[PlacedCase]:
    report = Report()
    node = parse(read_text(path), path, report)
    if isinstance(node, Items):
        node = Table(path, ((Scalar(path, "cases"), node),))
    if isinstance(node, Table):
        file = convert(node, types.type_info(CaseFile), "", report)
        places = places_of(node)
        file = report.partial.get("") if file is UNSET else file
        if isinstance(file, CaseFile):
            check_cases(file.cases, places, report)
            if not report.problems:
                return [
                    PlacedCase(case, places.get(item_path("cases", position), path))
                    for position, case in enumerate(file.cases)
                ]
    elif not report.problems:
        report.refuse(path, "", "the file must hold `cases:` and a list of them.")
    raise ConfigurationError(path, report.problems)
