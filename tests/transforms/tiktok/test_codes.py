"""Each code of the Events API has one class; a code that nobody knows is never a success."""

import pytest

from transforms.connection import ReplyClass
from transforms.tiktok.codes import CODE_NAMES, classify, classify_status, describe_code


@pytest.mark.parametrize(
    ("cls", "codes"),
    [
        ("success", [0]),
        ("partial", [20001]),
        ("invalid", [40000, 40002, 40011, 40012, 40016, 40052, 40053, 40062, 40502, 41013, *range(40901, 40917)]),
        ("too_large", [40061]),
        ("throttled", [40100, 40132, 61000]),
        ("credentials", [*range(40101, 40132), 40309, 40900, 70001]),
        (
            "configuration",
            [40001, 40003, 40006, 40007, 40008, 40009, 40010, 40013, 40014, 40051, 40063]
            + [40300, 40301, 40302, 40400, 41000, 41001, 41002],
        ),
        ("transient", [40200, 40201, 40202, 40700, 50000, 50002, *range(51000, 51013), *range(51014, 51021)]),
        ("transient", [*range(51030, 51068), 51099, *range(52000, 52004), *range(52100, 52104), *range(52201, 52205)]),
        ("transient", [53102, 53103, 60001]),
        ("unknown", [40050]),
    ],
)
def test_a_code_of_the_table_has_its_class(cls: ReplyClass, codes: list[int]) -> None:
    assert {code: classify(code, {}) for code in codes} == dict.fromkeys(codes, cls)


@pytest.mark.parametrize("code", [50001, 50999, 51013, 51021, 54321, 59999, 60000, 60002, 69999])
def test_an_unknown_code_of_tiktoks_own_faults_is_transient(code: int) -> None:
    assert classify(code, {}) == "transient"


@pytest.mark.parametrize("code", [-1, 1, 200, 20000, 20002, 40004, 40015, 40133, 40401, 49999, 70000, 99999, 10**30])
def test_any_other_code_is_unknown(code: int) -> None:
    assert classify(code, {}) == "unknown"


def test_the_connections_codes_win_over_the_table() -> None:
    overrides: dict[int, ReplyClass] = {40050: "success", 40001: "transient", 12345: "throttled"}
    assert [classify(code, overrides) for code in (40050, 40001, 12345, 40105)] == [
        "success",
        "transient",
        "throttled",
        "credentials",
    ]


@pytest.mark.parametrize(
    ("code", "name"),
    [
        (0, "OK"),
        (20001, "PARTIAL_OK"),
        (40002, "PARAM_ERROR"),
        (40010, "UNSUPPORTED_DOMAIN"),
        (40062, "PII_NOT_HASHED"),
        (40100, "REQUEST_TOO_FREQUENT"),
        (40104, "EMPTY_ACCESS_TOKEN"),
        (40105, "INVALID_ACCESS_TOKEN"),
        (40110, "AUTH_CODE_ERROR"),
        (40112, "PASSWORD_ERROR"),
        (40122, "TCM_CREATOR_INVALID_COUNTRY"),
        (40124, "DEVELOPER_REJECTED"),
        (40131, "SCOPE_TT_USER_OAUTH_FAILED"),
        (40916, "VIDEO_ILLEGAL_CONTENT"),
        (41001, "INTERFACE_OFFLINE"),
        (51010, "INTERNAL_TIME_OUT"),
        (51012, "PIXEL_ERROR"),
        (61000, "TOO_MANY_REQUESTS_BL"),
    ],
)
def test_a_code_has_tiktoks_name(code: int, name: str) -> None:
    assert CODE_NAMES[code] == name
    assert describe_code(code) == f"code {code} {name}"


@pytest.mark.parametrize("code", [40111, 40123, 51030, 12345])
def test_a_code_without_a_name_is_described_by_its_number(code: int) -> None:
    assert code not in CODE_NAMES
    assert describe_code(code) == f"code {code}"


@pytest.mark.parametrize(
    ("cls", "statuses"),
    [
        ("throttled", [429]),
        ("transient", [200, 201, 204, 408, 500, 502, 503, 504, 599]),
        ("too_large", [413]),
        ("configuration", [0, 101, 301, 302, 307, 400, 401, 403, 404, 405, 410, 414, 421, 451]),
    ],
)
def test_a_status_without_a_readable_code_has_its_class(cls: ReplyClass, statuses: list[int]) -> None:
    assert {status: classify_status(status) for status in statuses} == dict.fromkeys(statuses, cls)
