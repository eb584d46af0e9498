"""`test`: cases in the connection and beside it, readable differences, JUnit, exit codes."""

from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from pipeline.cli import main as cli
from pipeline.errors import EXIT_FAILURE, EXIT_SETTLED, EXIT_USAGE

MAPPING = """
custom_mappings:
  - match: {message_type: custom_event, event: Sign Up}
    send: [Lead, Subscribe]
    parameters: {value: {event_attribute: price, type: number}, currency: {constant: EUR}}
"""
SIGN_UP = "{event_type: custom_event, data: {event_name: sign up, custom_attributes: {price: 9.5}}}"
GOOD = f"cases: [{{name: good, event: {SIGN_UP}, expect: [{{event: Lead}}, {{event: Subscribe}}]}}]"

Run = Callable[..., tuple[int, str, str]]

pytestmark = pytest.mark.usefixtures("own_process")


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a command line; returns exit code, output and errors."""

    def run(*words: str) -> tuple[int, str, str]:
        code = cli.main(list(words))
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return run


def test_cases_that_pass(shop: Any, run: Run) -> None:
    assert run("test", shop.write(MAPPING + GOOD)) == (EXIT_SETTLED, "ok     good\n1 passed, 0 failed\n", "")
    assert run("test", "--connection", shop.write(MAPPING + GOOD))[0] == EXIT_SETTLED


DIFFERENCES = {
    "a value": (
        "[{contains: {properties: {value: 10}}}, {event: Subscribe}]",
        ["result 1, properties.value: expected 10, got 9.5"],
    ),
    "a missing field": (
        "[{contains: {properties: {query: x}}}, {event: Subscribe}]",
        ['result 1, properties.query: expected "x", got nothing'],
    ),
    "another type": (
        '[{contains: {properties: {value: "9.5"}}}, {event: Subscribe}]',
        ['result 1, properties.value: expected "9.5", got 9.5'],
    ),
    "another event": ("[{event: Contact}, {event: Subscribe}]", ["result 1, event: expected Contact, got Lead"]),
    "another number": ("[{event: Lead}]", ["expected 1 result, got 2 results: Lead, Subscribe"]),
    "an outcome instead": (
        "[{outcome: skipped, reason: consent_ccpa}, {event: Subscribe}]",
        ["result 1, expected skipped consent_ccpa, got the event Lead"],
    ),
    "more than the whole": (
        "[{payload: {event: Lead, event_id: case, event_time: 1718900123, user: {ip: 203.0.113.24}, "
        'page: {url: "https://shop.example.com/"}}}, {event: Subscribe}]',
        [
            'result 1, user.user_agent: not expected, got "Mozilla/5.0"',
            'result 1, properties: not expected, got {"currency": "EUR", "value": 9.5}',
        ],
    ),
}


@pytest.mark.parametrize(("expect", "lines"), DIFFERENCES.values(), ids=DIFFERENCES)
def test_a_difference_is_named_by_its_place(shop: Any, run: Run, expect: str, lines: list[str]) -> None:
    path = shop.write(f"{MAPPING}cases:\n  - name: bad\n    event: {SIGN_UP}\n    expect: {expect}\n")
    code, out, _ = run("test", path)
    assert code == EXIT_FAILURE
    assert out.splitlines() == [
        f"FAILED bad  ({path}:9:5)",
        *(f"         {line}" for line in lines),
        "0 passed, 1 failed",
    ]


@pytest.mark.parametrize(
    ("event", "expect", "line"),
    [
        ("{event_type: custom_event}", "{event: Lead}", "expected the event Lead, got skipped empty_event"),
        (
            "{event_type: session_start, data: {}}",
            "{outcome: rejected}",
            "expected rejected, got skipped unsupported_event_type (session_start)",
        ),
        (
            "{event_type: session_start, data: {}}",
            "{outcome: skipped, reason: environment}",
            "expected skipped environment, got skipped unsupported_event_type (session_start)",
        ),
    ],
)
def test_an_outcome_is_compared_with_its_reason(shop: Any, run: Run, event: str, expect: str, line: str) -> None:
    if "custom_event" in event:
        case = f"{{name: bad, message: {{events: [{event}]}}, expect: {expect}}}"
    else:
        case = f"{{name: bad, event: {event}, expect: {expect}}}"
    code, out, _ = run("test", shop.write(f"{MAPPING}cases: [{case}]"))
    assert code == EXIT_FAILURE
    assert out.splitlines()[1].strip() == line


def test_cases_beside_the_connection_run_too(shop: Any, run: Run, tmp_path: Path) -> None:
    path = shop.write(MAPPING)
    (tmp_path / "connection.cases.yaml").write_text(GOOD.replace("good", "beside"))
    (tmp_path / "connection.cases").mkdir()
    (tmp_path / "connection.cases" / "more.json").write_text(
        '[{"name": "json", "event": {"event_type": "session_end", "data": null}, "expect": {"outcome": "skipped"}}]'
    )
    (tmp_path / "other.yaml").write_text(GOOD.replace("good", "named"))
    code, out, _ = run("test", path, "--cases_file", str(tmp_path / "other.yaml"))
    assert code == EXIT_SETTLED
    assert out == "ok     beside\nok     json\nok     named\n3 passed, 0 failed\n"


def test_flags_change_the_connection(shop: Any, run: Run) -> None:
    case = f"cases: [{{name: legacy, event: {SIGN_UP}, expect: [{{contains: {{type: track}}}}, {{event: Subscribe}}]}}]"
    path = shop.write(MAPPING + case)
    assert run("test", path)[0] == EXIT_FAILURE
    assert run("test", path, "--enable_web_migration", "false")[0] == EXIT_SETTLED


def test_junit_has_every_case(shop: Any, run: Run, tmp_path: Path) -> None:
    path = shop.write(
        f"{MAPPING}cases:\n  - name: good\n    event: {SIGN_UP}\n    expect: [{{event: Lead}}, {{event: Subscribe}}]\n"
        f'  - name: "bad \\u0001 <&"\n    event: {SIGN_UP}\n    expect: {{event: Lead}}\n'
    )
    code, _, _ = run("test", path, "--junit", str(tmp_path / "junit.xml"))
    assert code == EXIT_FAILURE
    suite = ET.parse(tmp_path / "junit.xml").getroot().find("testsuite")  # noqa: S314 - our own file
    assert suite is not None
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("2", "1", "0")
    good, bad = suite.findall("testcase")
    assert (good.get("name"), good.get("line"), good.find("failure")) == ("good", "9", None)
    assert bad.get("name") == "bad \ufffd <&"
    failure = bad.find("failure")
    assert failure is not None
    assert failure.get("message") == "expected 1 result, got 2 results: Lead, Subscribe"
    assert failure.text is not None
    assert failure.text.startswith(f"{path}:12:5\n")


def test_junit_tells_cases_of_several_files_apart(shop: Any, run: Run, tmp_path: Path) -> None:
    """Readers know a case by class and name; a folder may have a colon in its name."""
    folder = tmp_path / "a:b"
    folder.mkdir()
    case = f"cases:\n  - name: same\n    event: {SIGN_UP}\n    expect: {{event: Lead}}\n"
    (folder / "shop.cases.yaml").write_text(case, "utf-8")
    (folder / "shop.yaml").write_text(Path(shop.write(MAPPING + case)).read_text("utf-8"), "utf-8")
    run("test", str(folder / "shop.yaml"), "--junit", str(tmp_path / "junit.xml"))
    found = ET.parse(tmp_path / "junit.xml").getroot().iter("testcase")  # noqa: S314 - our own file
    named = [(case.get("classname"), case.get("name"), case.get("file"), case.get("line")) for case in found]
    own, beside = str(folder / "shop.yaml"), str(folder / "shop.cases.yaml")
    assert named == [(own, "same", own, "9"), (beside, "same", beside, "2")]


def test_what_a_whole_payload_has_besides_is_listed_in_its_own_order(shop: Any, run: Run) -> None:
    path = shop.write(
        f"{MAPPING}cases:\n  - name: whole\n    event: {SIGN_UP}\n"
        "    expect: [{payload: {}}, {event: Subscribe}]\n"
    )
    _, out, _ = run("test", path)
    named = [line.split()[2].rstrip(":") for line in out.splitlines() if "not expected" in line]
    assert named[:4] == ["event", "event_time", "event_id", "user"]


BAD_CASES = {
    "neither event nor message": ("- {name: a, expect: {event: Lead}}", "either `event`"),
    "both": ("- {name: a, event: {}, message: {}, expect: {event: Lead}}", "either `event`"),
    "batch of a message": ("- {name: a, batch: {ip: x}, message: {}, expect: {event: Lead}}", "is the batch already"),
    "nothing expected": ("- {name: a, event: {}}", "nothing can fail"),
    "expectation without content": ("- {name: a, event: {}, expect: [{}]}", "it says nothing"),
    "payload and part": (
        "- {name: a, event: {}, expect: [{payload: {}, contains: {}}]}",
        "keep one of the two",
    ),
    "outcome and event": ("- {name: a, event: {}, expect: [{outcome: skipped, event: Lead}]}", "has no event"),
    "reason alone": ("- {name: a, event: {}, expect: [{event: Lead, reason: environment}]}", "belongs to an outcome"),
    "unknown reason": (
        "- {name: a, event: {}, expect: [{outcome: skipped, reason: enviroment}]}",
        'Did you mean "environment"?',
    ),
    "two of one name": (
        "- {name: a, event: {}, expect: {event: Lead}}\n- {name: a, event: {}, expect: {event: Lead}}",
        "two cases are called",
    ),
    "no name": ("- {event: {}, expect: {event: Lead}}", "missing: what it shows"),
    "unknown key": ("- {name: a, events: {}, expect: {event: Lead}}", 'Did you mean "event"?'),
}


@pytest.mark.parametrize(("text", "part"), BAD_CASES.values(), ids=BAD_CASES)
@pytest.mark.parametrize("beside", [False, True])
def test_cases_that_could_not_fail_are_refused(
    shop: Any, run: Run, tmp_path: Path, text: str, part: str, beside: bool
) -> None:
    path = shop.write(MAPPING + ("" if beside else f"cases:\n{text}\n"))
    if beside:
        (tmp_path / "connection.cases.yaml").write_text(f"cases:\n{text}\n")
    code, _, err = run("test", path)
    assert code == EXIT_USAGE
    assert part in err
    assert ("connection.cases.yaml:2:" if beside else "connection.yaml:9:") in err


@pytest.mark.parametrize(
    ("content", "part"),
    [("cases", "must hold `cases:`"), ("{", "this is not YAML"), ("cases: 5", "keys and values are needed")],
)
def test_a_file_of_cases_that_is_none_is_refused(shop: Any, run: Run, tmp_path: Path, content: str, part: str) -> None:
    (tmp_path / "c.yaml").write_text(content)
    code, _, err = run("test", shop.write(MAPPING), "--cases_file", str(tmp_path / "c.yaml"))
    assert (code, part in err) == (EXIT_USAGE, True), err


def test_no_cases_at_all_is_no_success(shop: Any, run: Run) -> None:
    code, _, err = run("test", shop.write(MAPPING))
    assert code == EXIT_USAGE
    assert "connection.cases.yaml beside it" in err


def test_the_values_of_a_case_are_those_of_json(shop: Any, run: Run) -> None:
    data = "{event_name: Sign Up, custom_attributes: {price: 007, n: null, t: true, big: 9007199254740993, f: 1.5}}"
    mapping = MAPPING.replace("type: number", "type: string").replace("value:", "description:")
    case = (
        f"cases: [{{name: a, event: {{event_type: custom_event, data: {data}}}, "
        'expect: [{contains: {properties: {description: "007"}}}, {event: Subscribe}]}]'
    )
    code, out, err = run("test", shop.write(mapping + case))
    assert (code, err) == (EXIT_SETTLED, ""), out


def test_aliases_in_a_case_cannot_grow_without_bound(shop: Any, run: Run) -> None:
    levels = "".join(f"      x{n}: &x{n} [{', '.join([f'*x{n - 1}'] * 9)}]\n" for n in range(1, 30))
    path = shop.write(
        f"{MAPPING}cases:\n  - name: a\n    expect: {{event: Lead}}\n    event:\n      x0: &x0 [x]\n{levels}"
    )
    code, _, err = run("test", path)
    assert code == EXIT_USAGE
    assert "this holds more than 10,000 values" in err


def test_a_case_may_repeat_another_by_an_alias(shop: Any, run: Run) -> None:
    text = f"cases:\n  - name: a\n    event: &e {SIGN_UP}\n    expect: &x [{{event: Lead}}, {{event: Subscribe}}]\n"
    path = shop.write(f"{MAPPING}{text}  - name: b\n    event: *e\n    expect: *x\n")
    assert run("test", path)[0] == EXIT_SETTLED
