"""Files of cases beside a connection, and the places of a connection's settings."""

import msgspec.inspect as types
from msgspec import UNSET

from pipeline.config.conversion import convert_node, item_path
from pipeline.config.loader import places_of, read_text
from pipeline.config.validate_cases import check_cases
from pipeline.config.yaml_nodes import YamlList, YamlMapping, YamlScalar, parse_yaml
from pipeline.errors import ConfigurationError, Report
from transforms.custom_mappings import Case, CaseFile


def read_case_file(path: str) -> list[tuple[Case, str]]:
    """Returns the cases of a file, each with its place as `FILE:LINE:COLUMN`.

    Raises:
      ConfigurationError: with every problem of the file.
    """
    report = Report()
    node = parse_yaml(read_text(path), path, report)
    if isinstance(node, YamlList):
        node = YamlMapping(path, ((YamlScalar(path, "cases"), node),))
    if isinstance(node, YamlMapping):
        file = convert_node(node, types.type_info(CaseFile), "", report)
        places = places_of(node)
        file = report.partial.get("") if file is UNSET else file
        if isinstance(file, CaseFile):
            check_cases(file.cases, places, report)
            if not report.problems:
                return [
                    (case, places.get(item_path("cases", position), path)) for position, case in enumerate(file.cases)
                ]
    elif not report.problems:
        report.refuse(path, "", "the file must hold `cases:` and a list of them.")
    raise ConfigurationError(path, report.problems)


def places_in_file(path: str) -> dict[str, str]:
    """Returns the places of the settings in a connection's file, as `FILE:LINE:COLUMN` by their paths."""
    node = parse_yaml(read_text(path), path, Report())
    return places_of(node) if isinstance(node, YamlMapping) else {}
