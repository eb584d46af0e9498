"""How cases went, as the XML that CI systems read. Source: the JUnit XML that Jenkins' and GitLab's readers take."""

import re
from collections.abc import Sequence
from xml.etree import ElementTree as ET

from pipeline.authoring.cases import CaseResult

# Characters that XML 1.0 cannot hold, even escaped. Source: XML 1.0, section 2.2.
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

_PLACE = re.compile(r"(.*):(\d+):\d+", re.DOTALL)


def junit_report(suite: str, results: Sequence[CaseResult]) -> bytes:
    """Returns the XML of a run.

    Args:
      suite: the connection.
      results: of its cases.
    """
    failed = [result for result in results if result.problems]
    root = ET.Element("testsuites")
    element = ET.SubElement(
        root,
        "testsuite",
        name=_text(suite),
        tests=str(len(results)),
        failures=str(len(failed)),
        errors="0",
        time=f"{sum(result.seconds for result in results):.3f}",
    )
    for result in results:
        file, line = _place(result.where)
        case = ET.SubElement(
            element,
            "testcase",
            # Names are unique within a file, and readers of JUnit XML tell cases apart by class and name.
            classname=_text(file),
            name=_text(result.name),
            file=_text(file),
            line=line,
            time=f"{result.seconds:.3f}",
        )
        if result.problems:
            failure = ET.SubElement(case, "failure", message=_text(result.problems[0]))
            failure.text = _text("\n".join((result.where, *result.problems)))
    ET.indent(root)
    written: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return written + b"\n"


def _place(where: str) -> tuple[str, str]:
    """Returns file and line of a place; a file's name may hold colons."""
    found = _PLACE.fullmatch(where)
    return (found[1], found[2]) if found else (where, "1")


def _text(text: str) -> str:
    return _NOT_XML.sub("\ufffd", text)
