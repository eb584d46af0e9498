"""TikTok's return codes and what each means for a request: pure tables.

In: the `code` of a reply's body, or the HTTP status where the body holds none. Out: a `ReplyClass`.

Sources. Names: tiktok/tiktok-business-api-sdk f809c39, `python_sdk/business_api_client/tiktok_business/tiktok_code.py`
(the prefix `ERROR_CODE_` dropped). Meaning: what RudderStack, Airbyte, Singer and TikTok's own mobile SDKs do on these
codes; where only a name is known, the class follows from the name, and the connection's `codes` overrules it.
"""

from collections.abc import Mapping
from typing import Final

from transforms.connection import ReplyClass

INVALID_PARAMS: Final = 40000
PARAM_ERROR: Final = 40002
DUPLICATED_REQUEST: Final = 40050

# One row: class, first code, the names of the codes from there on.
_ROWS: Final[tuple[tuple[ReplyClass, int, str], ...]] = (
    ("success", 0, "OK"),
    ("partial", 20001, "PARTIAL_OK"),
    ("invalid", 40000, "INVALID_PARAMS"),
    ("configuration", 40001, "PERMISSION_ERROR"),
    # Which of the request's events, or whether its envelope, is in the message: `transforms.tiktok.verdict`.
    ("invalid", 40002, "PARAM_ERROR"),
    ("configuration", 40003, "FORBIDDEN"),
    ("configuration", 40006, "VERSION_ERROR NOT_EXIST NOT_IMPL UNSUPPORTED_IN_SANDBOX UNSUPPORTED_DOMAIN"),
    ("invalid", 40011, "ID_LIMIT_EXCEED NO_UPDATE"),
    ("configuration", 40013, "SANDBOX_ADV_NOT_EXIST INVALID_CLUSTER"),
    ("invalid", 40016, "BIZ_FC_ERROR"),
    # Either accepted before or refused: nobody outside TikTok knows, so it is neither sent again nor called delivered.
    ("unknown", 40050, "DUPLICATED_REQUEST"),
    ("configuration", 40051, "INVALID_API_VERSION"),
    ("invalid", 40052, "ACO_MATERIAL_EXIST VIDEO_ID_INVALID_ERROR"),
    ("too_large", 40061, "INVALID_BATCH_SIZE"),
    ("invalid", 40062, "PII_NOT_HASHED"),
    ("configuration", 40063, "INVALID_PARTNER_NAME"),
    ("throttled", 40100, "REQUEST_TOO_FREQUENT"),
    (
        "credentials",
        40101,
        "INVALID_PARTNER ACCESS_TOKEN_EXPIRE REFRESH_TOKEN_EXPIRE EMPTY_ACCESS_TOKEN INVALID_ACCESS_TOKEN"
        " INVALID_CORE_USER INVALID_REFRESH_TOKEN INVALID_GRANT_TYPE ERROR_AES_DECIPHER AUTH_CODE_ERROR",
    ),
    (
        "credentials",
        40112,
        "PASSWORD_ERROR APP_FORBIDDEN ADVERTISER_LOGOUT AUTH_TIMESTAMP_EXPIRE AUTH_SIG_ERROR APP_METHOD_FORBIDDEN"
        " NOT_IN_WHITELIST NOT_SAME_IDENTITY TIKTOK_USER_NOT_LOGGED_IN NOT_A_TCM_CREATOR TCM_CREATOR_INVALID_COUNTRY",
    ),
    (
        "credentials",
        40124,
        "DEVELOPER_REJECTED DEVELOPER_NO_PERMISSION GARM_SINGLE_AUTH_FAILED GARM_DOUBLE_AUTH_FAILED"
        " GARM_SINGLE_VALIDATE_ERROR GARM_DOUBLE_VALIDATE_ERROR SCOPE_NOT_AUTHORIZED SCOPE_TT_USER_OAUTH_FAILED",
    ),
    ("throttled", 40132, "REQUEST_FREQUENCY_LIMITED"),
    ("transient", 40200, "GENERAL_TASK_ERROR TASK_NOT_READY WRITE_CONFLICT"),
    ("configuration", 40300, "ADVERTISER_NOT_EXIST ADVERTISER_ROLE_ERROR CUSTOMER_ADVERTISER_NOT_EXIST"),
    ("credentials", 40309, "REQUIRE_LOGIN"),
    ("configuration", 40400, "ROUTE_NOT_FOUND"),
    ("invalid", 40502, "AD_NUMBER_LIMIT"),
    ("transient", 40700, "RPC_VALIDATION_ERROR"),
    ("credentials", 40900, "SIGNATURE_ERROR"),
    (
        "invalid",
        40901,
        "VIDEO_TRANSCODING URL_FETCH_TIMEOUT URL_UNAVAILABLE IMAGE_ILLEGAL_CONTENT FILE_NOT_EXIST FILE_EMPTY"
        " FILE_TOO_LARGE FILE_TYPE_ERROR FILE_CALCULATE_TYPE_ERROR FILE_EXPIRED DUPLICATED_MATERIAL_NAME"
        " IMAGE_UNAVAILABLE IMAGE_FETCH_TIMEOUT URL_FETCH_ERROR FILE_UPLOAD_INVALID VIDEO_ILLEGAL_CONTENT",
    ),
    ("configuration", 41000, "BLOCKED INTERFACE_OFFLINE FIELDS_OFFLINE"),
    ("invalid", 41013, "SITE_TO_VIDEO_SERVICE_ERROR"),
    ("transient", 50000, "SYS_ERROR"),
    ("transient", 50002, "SYS_TIMEOUT"),
    (
        "transient",
        51000,
        "RPC_ERROR STATISTICS_ERROR BUILD_STONE_ERROR DMP_ERROR LEGO_SERVICE_ERROR SMART_PLAYER_ERROR JUPITER_ERROR"
        " OVERTURE_STAT_CENTRAL_ERROR ADVERTISER_ERROR DPA_ERROR INTERNAL_TIME_OUT SEARCH_ERROR PIXEL_ERROR",
    ),
    ("transient", 53102, "DESERIALIZATION_ERROR SERIALIZATION_ERROR"),
    ("transient", 60001, "MAINTENANCE"),
    ("throttled", 61000, "TOO_MANY_REQUESTS_BL"),
    ("credentials", 70001, "INVALID_BIZ_AUTH_TYPE"),
)

# Ranges whose codes have no name here. First match; codes of `_ROWS` come before all of them.
_RANGES: Final[tuple[tuple[ReplyClass, range], ...]] = (
    ("credentials", range(40101, 40132)),
    # Faults inside TikTok: its inner services (51xxx), databases (52xxx) and what will be added there. Bounded retries.
    ("transient", range(50000, 70000)),
)

CODE_NAMES: Final[dict[int, str]] = {
    first + offset: name for _, first, names in _ROWS for offset, name in enumerate(names.split())
}
"""TikTok's name of each named code."""

_CLASSES: Final[dict[int, ReplyClass]] = {
    first + offset: cls for cls, first, names in _ROWS for offset in range(len(names.split()))
}


def classify(code: int, overrides: Mapping[int, ReplyClass]) -> ReplyClass:
    """Returns what a code means for the request that it answers.

    Args:
      code: the integer `code` of a reply's body.
      overrides: the connection's `codes`; they win over the table.

    A code that is in no table is never a success, and outside TikTok's own faults it is not sent again either.

    >>> classify(40105, {}), classify(51030, {}), classify(12345, {}), classify(40050, {40050: "success"})
    ('credentials', 'transient', 'unknown', 'success')
    """
    cls = overrides.get(code) or _CLASSES.get(code)
    if cls is not None:
        return cls
    return next((cls for cls, codes in _RANGES if code in codes), "unknown")


def classify_status(status: int) -> ReplyClass:
    """Returns what an HTTP status means, for a reply whose body holds no readable code.

    2xx is a fault on the way, not a success: TikTok answers 200 to almost everything, and its code stands in the body.
    Any other status below 500 (redirects included) is an address or a right that is wrong.

    >>> [classify_status(status) for status in (200, 301, 404, 408, 413, 429, 502)]
    ['transient', 'configuration', 'configuration', 'transient', 'too_large', 'throttled', 'transient']
    """
    if status == 429:
        return "throttled"
    if status == 413:
        return "too_large"
    if status == 408 or 200 <= status < 300 or status >= 500:
        return "transient"
    return "configuration"


def describe_code(code: int | None) -> str:
    """Returns a code with TikTok's name for it, for a log or a message to the operator.

    >>> describe_code(40105), describe_code(51030), describe_code(None)
    ('code 40105 INVALID_ACCESS_TOKEN', 'code 51030', 'no code')
    """
    if code is None:
        return "no code"
    name = CODE_NAMES.get(code)
    return f"code {code} {name}" if name else f"code {code}"
