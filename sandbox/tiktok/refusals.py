"""TikTok's refusals: codes, and messages that name the place of the first problem, counted from 0.

Batch.0.properties.contents.0.content_id: Not a valid string        (seen, legacy; rudder-transformer `network.ts`)
data.3.user.email.0: Not a valid string                             (the same for 2.0, where no text is published)
Invalid value for event_source_id: not a valid string.              (seen, outside of the events; stape-io #33)
"""

import re

import msgspec

# Source: tiktok-business-api-sdk f809c39, `tiktok_code.py` (names), rudder-transformer (messages of 40001, 40100).
INVALID_PARAMS, PERMISSION_ERROR, PARAM_ERROR = 40000, 40001, 40002
INVALID_API_VERSION, INVALID_BATCH_SIZE, PII_NOT_HASHED, INVALID_PARTNER_NAME = 40051, 40061, 40062, 40063
TOO_FREQUENT, EMPTY_TOKEN, INVALID_TOKEN, ROUTE_NOT_FOUND = 40100, 40104, 40105, 40400

MISSING = "Missing data for required field"
NOT_A_CURRENCY = "Must be a currency code of 3 upper-case letters"

_AT = re.compile(r" - at `\$([^`]*)`$")
_REASONS = (
    # Text of msgspec → text of TikTok (the wording of marshmallow, which its known messages follow).
    (re.compile(r"Object missing required field"), MISSING),
    (re.compile(r"got `null`"), "Field may not be null"),
    (re.compile(r"Expected `int` [<>]"), "Must be a Unix timestamp in seconds"),
    (re.compile(r"Expected `array` of length"), "Shorter than minimum length 1"),
    (re.compile(r"Expected `str` of length [<>]?=? ?3\b"), NOT_A_CURRENCY),
    (re.compile(r"Expected `str` of length"), "Shorter than minimum length 1"),
    (re.compile(r"Expected `(str|float|int|bool|array|object|datetime)"), ""),
    (re.compile(r"datetime|Timezone|timezone|RFC3339"), "Not a valid datetime"),
    (re.compile(r"Invalid enum value"), "Not a valid choice"),
)
_NAMES = {
    "str": "string",
    "float": "number",
    "int": "integer",
    "bool": "boolean",
    "array": "list",
    "object": "object",
    "datetime": "datetime",
}


class Refusal(msgspec.Struct, frozen=True):
    """What TikTok answers instead of accepting.

    Attributes:
      code: TikTok's.
      reason: what is wrong; never a value of the request.
      path: where, from the body's root; for example `("data", 3, "user", "email", 0)`.
    """

    code: int
    reason: str
    path: tuple[str | int, ...] = ()

    def message(self, index_text: bool = True) -> str:
        """Returns TikTok's message, with the event's index or (`index_text=False`) without it.

        >>> Refusal(40002, "Not a valid string", ("batch", 0, "event_id")).message()
        'Batch.0.event_id: Not a valid string'
        >>> Refusal(40002, "Not a valid string", ("data", 0, "event_id")).message(index_text=False)
        'Invalid value for event_id: not a valid string.'
        """
        if not self.path:
            return self.reason
        if index_text and len(self.path) > 1:
            first = "Batch" if self.path[0] == "batch" else self.path[0]
            return f"{'.'.join(map(str, (first, *self.path[1:])))}: {self.reason}"
        name = next((step for step in reversed(self.path) if isinstance(step, str)), "")
        return f"Invalid value for {name}: {self.reason[0].lower()}{self.reason[1:]}."


def translated(error: str) -> Refusal:
    """Returns msgspec's complaint in TikTok's words; msgspec's own text may hold a value and is not used."""
    found = _AT.search(error)
    steps = re.findall(r"[^.\[\]]+", found[1]) if found else []
    path = tuple(int(step) if step.isdigit() else step for step in steps)
    if missing := re.match(r"Object missing required field `(\w+)`", error):
        path = (*path, missing[1])
    for pattern, reason in _REASONS:
        if matched := pattern.search(error):
            if not reason:
                name = _NAMES[matched[1]] if "str | array" not in error else "list"
                reason = f"Not a valid {name}"
            return Refusal(PARAM_ERROR, reason, path)
    return Refusal(PARAM_ERROR, "Not a valid value", path)
