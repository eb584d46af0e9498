"""mParticle's warehouse tables: a row in, the batch of one event that it was made from out.

BigQuery has structs and lists of structs, Redshift JSON text in columns of bounded length, Snowflake objects or one
column with all of the row. They share their column names, but for the case, so one reader takes whatever form each
column has. What a row does not hold is left out; the mapping's rules then decide, as for every other batch.

JSON text that is cut off (Redshift's columns are bounded) costs what it costs: of attributes and flags the complete
pairs before the cut are kept and the column is counted; a product action that is cut off makes its event unreadable,
because its products and its total would be wrong.
"""

import datetime
import functools
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import msgspec

from pipeline.sources.layouts import warehouse_columns as words
from pipeline.sources.layouts.table import WAREHOUSE_LAYOUTS, Layout, encode_json
from transforms.mapping import first_scalar, parse_json

Json = dict[str, Any]

# Stands in for a product action that cannot be read: being no object, it makes the event `malformed_event`.
_UNREADABLE = "unreadable"

_PRODUCT = "product"

# What no table of a warehouse has, and what follows. Source: mParticle, "BigQuery", "Redshift" and "Snowflake".
_NEVER_THERE = (
    "currency: an event attribute `Currency Code` is read, else default_currency stands in",
    "source_message_id: event_id is eventid, so that TikTok cannot merge these events with the pixel's",
    "phone identities: the user attribute $Mobile stands in",
    "consent: neither a GDPR purpose nor a CCPA opt-out can be seen, so select rows by consent before the export",
    "partner identities: no _ttp cookie",
)

# What some tables have; any of the columns is enough.
_PERHAPS_THERE = (
    (
        ("httpheaderuseragent",),
        "user agent: web events to the legacy endpoint are rejected, others match less (see require_ip_and_user_agent)",
    ),
    (("clientip", "clientipv6"), "ip address: as for the user agent"),
    (("eventcustomflags",), "custom flags: no page URL, without which web events are rejected, and no click id"),
    (("productaction", "productactionproducts"), "product action: no products, no value"),
    (("userattributes",), "user attributes: no names, places and phones"),
    (("isdebug", "appenvironment"), "environment: every event counts as production"),
    (("platform",), "platform: events of native apps cannot be told from web events"),
)

# Integers are epoch times in a unit that follows from their size: up to here seconds, then milliseconds, microseconds,
# nanoseconds. The first bound is the year 5138 in seconds and 1973 in milliseconds, before any of mParticle's data.
_UNIT_BOUNDS = ((10**11, 1_000, 1), (10**14, 1, 1), (10**17, 1, 1_000))
_NANOSECONDS = (1, 1_000_000)

_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)

_TRUTHS = {"true": True, "t": True, "1": True, "yes": True, "false": False, "f": False, "0": False, "no": False}

_decode = json.JSONDecoder(strict=False)


class RowReader:
    """Turns rows into batches.

    Args:
      columns: names of columns as the rows have them; with `ea_` or `ua_` in front they are single attributes.

    Attributes:
      cut_off: column → values whose JSON text is not whole; whoever reads it clears it.
    """

    def __init__(self, columns: tuple[str, ...] = ()) -> None:
        self.cut_off: Counter[str] = Counter()
        self._event_columns = _prefixed(columns, words.EVENT_ATTRIBUTE_PREFIX)
        self._user_columns = _prefixed(columns, words.USER_ATTRIBUTE_PREFIX)

    def batch(self, row: Mapping[str, Any]) -> Json:
        """Returns the batch of a row whose keys are column names in lower case."""
        get = row.get
        attributes = self._attributes(row, "eventattributes", self._event_columns)
        users = self._attributes(row, "userattributes", self._user_columns)
        number = whole_number(get("messagetypeid"))
        event_type = None if number is None else words.EVENT_TYPES.get(number, "unknown")
        data: Json = {
            "event_id": get("eventid"),
            "timestamp_unixtime_ms": epoch_ms(get("eventtimestamp")),
            "event_name": get("eventname"),
            "custom_event_type": words.CUSTOM_EVENT_TYPES.get(whole_number(get("eventtypeid")) or 0),
            "custom_attributes": attributes,
            "custom_flags": self._object(row, "eventcustomflags"),
        }
        if event_type == words.SCREEN_VIEW:
            data["screen_name"] = get("eventname")
        elif event_type == words.COMMERCE_EVENT:
            self._add_commerce(data, row, attributes)
        batch: Json = {
            "events": [{"event_type": event_type, "data": _given(data)}],
            "environment": _environment(get("isdebug"), get("appenvironment")),
            "ip": get("clientipv6") or get("clientip"),
            "device_info": _given(
                {
                    "platform": get("platform"),
                    "http_header_user_agent": get("httpheaderuseragent"),
                    "locale_language": get("localelanguage"),
                    "locale_country": get("localecountry"),
                }
            ),
            "source_info": _source(get("platform"), get("entrypointtype")),
            "user_identities": _identities(row, users),
            "user_attributes": users,
            "sdk_version": get("sdkversion"),
            "timestamp_unixtime_ms": epoch_ms(get("batchtimestamp")),
            "mpid": get("mparticleuserid"),
            "batch_id": get("batchid"),
        }
        return _given(batch)

    def _add_commerce(self, data: Json, row: Mapping[str, Any], attributes: Json) -> None:
        """Adds what a commerce event has: its product action, or what else it was about, and the currency."""
        data["screen_name"] = row.get("ecommercescreenname")
        event_type = whole_number(row.get("eventtypeid")) or 0
        source = self._value(row, "productaction")
        products = self._value(row, "productactionproducts")
        if source is not None and not isinstance(source, dict):
            data["product_action"] = _UNREADABLE
            return
        fields = {folded(name): value for name, value in (source or {}).items() if value is not None}
        listed = fields.get("products") if products is None else products
        if isinstance(listed, str):
            listed = self._text(listed, "productactionproducts")
        if listed is not None and not isinstance(listed, list):
            data["product_action"] = _UNREADABLE
            return
        word = _action(row.get("productactiontypeid"), fields, event_type)
        if fields or listed or word != words.UNKNOWN_ACTION:
            action = {name: fields.get(spelling) for spelling, name in words.ACTION_FIELDS.items()}
            made = [self._product(product) for product in listed or ()]
            data["product_action"] = _given({"action": word, **action, "products": made})
        elif event_type in words.PROMOTIONS or whole_number(row.get("promotionactiontypeid")):
            data["promotion_action"] = {"promotions": []}
        elif event_type == words.IMPRESSION:
            data["product_impressions"] = [{}]
        data["currency_code"] = _currency(fields, attributes)

    def _product(self, product: Any) -> Json | None:
        """Returns a product with a batch's names."""
        if not isinstance(product, dict):
            return None
        made: Json = {}
        for name, value in product.items():
            if value is not None and (known := _product_field(name)) is not None:
                made[known] = value
        attributes = made.get("custom_attributes")
        if isinstance(attributes, str):
            made["custom_attributes"] = self._text(attributes, "product_attributes")
        return made

    def _attributes(self, row: Mapping[str, Any], column: str, single: Mapping[str, str]) -> Json:
        """Returns the attributes of a column and those that have a column each."""
        found: Json = {name: row[place] for place, name in single.items() if row.get(place) is not None}
        found.update(self._object(row, column))
        return found

    def _object(self, row: Mapping[str, Any], column: str) -> Json:
        """Returns a column's object, which BigQuery's JSON has as a list of pairs; empty if there is none."""
        value = self._value(row, column)
        if isinstance(value, list):
            return {
                str(pair[words.PAIR_NAME]): pair.get(words.PAIR_VALUE)
                for pair in value
                if isinstance(pair, dict) and pair.get(words.PAIR_NAME) is not None
            }
        return value if isinstance(value, dict) else {}

    def _value(self, row: Mapping[str, Any], column: str) -> Any:
        """Returns a column's object or list, out of its JSON text if it is one; a cut-off action is a text still."""
        value = row.get(column)
        if not isinstance(value, str):
            return value
        return self._text(value, column)

    def _text(self, text: str, column: str) -> Any:
        """Returns what a JSON text holds; for what must be whole and is not, `_UNREADABLE`."""
        if not text.strip():
            return None
        value, whole = read_json(text)
        if whole:
            return value
        self.cut_off[column] += 1
        return _UNREADABLE if column.startswith("productaction") else value


@functools.lru_cache(maxsize=4_096)
def _product_field(name: str) -> str | None:
    """Returns a batch's name for a field of a product, in any spelling."""
    spelling = folded(name)
    return words.PRODUCT_FIELDS.get(spelling) or words.PRODUCT_FIELDS.get(spelling.removeprefix(_PRODUCT))


def _prefixed(columns: tuple[str, ...], prefix: str) -> dict[str, str]:
    return {name: name.removeprefix(prefix) for name in columns if name.startswith(prefix)}


def _given(fields: Json) -> Json:
    """Returns the fields that are there."""
    return {name: value for name, value in fields.items() if value is not None and value != {}}


def _environment(is_debug: Any, app_environment: Any) -> str | None:
    """Returns the environment; one that cannot be read is not taken for production."""
    if is_debug is not None and is_debug != "":
        return {True: "development", False: "production", None: "unknown"}[truth(is_debug)]
    word = str(app_environment or "").strip().lower()
    return words.ENVIRONMENTS.get(word, "unknown") if word else None


def _source(platform: Any, entry_point: Any) -> Json | None:
    """Returns `source_info` where the table shows the channel: what an SDK sent from the web came from the Web SDK."""
    web = isinstance(platform, str) and platform.strip().lower() == words.WEB_PLATFORM
    return {"channel": "javascript"} if web and whole_number(entry_point) == words.FROM_SDK else None


def _identities(row: Mapping[str, Any], users: Mapping[str, Any]) -> Json:
    """Returns identity type → value."""
    found: Json = {}
    for column, name in words.IDENTITIES.items():
        value = row.get(column)
        if value is not None and value != "":
            found[name] = value
    phone = users.get("$Mobile")
    if phone is None:
        phone = next((value for name, value in users.items() if str(name).lower() == words.PHONE_ATTRIBUTE), None)
    number = None if phone is None else first_scalar(phone)
    if number is not None:
        found.update(dict.fromkeys(words.PHONE_IDENTITIES, number))
    return found


def _action(column: Any, fields: Mapping[str, Any], event_type: int) -> str:
    """Returns the product action: its word, else its number, else that of the event's type."""
    numbers = [column]
    for spelling in ("action", "actiontype", "productactiontype", "productactiontypeid"):
        value = fields.get(spelling)
        if isinstance(value, str) and whole_number(value) is None and value.strip():
            return value
        numbers.append(value)
    for number in map(whole_number, numbers):
        if number is not None and number in words.ACTIONS:
            return words.ACTIONS[number]
        if number:
            # A number that is not in the table: an action that is not known.
            return words.UNKNOWN_ACTION
    return words.ACTIONS_BY_EVENT_TYPE.get(event_type, words.UNKNOWN_ACTION)


def _currency(fields: Mapping[str, Any], attributes: Mapping[str, Any]) -> str | None:
    """Returns the currency of an action or, more likely, of an attribute."""
    for value in _currencies(fields, attributes):
        text = first_scalar(value)
        if text is not None:
            return text
    return None


def _currencies(fields: Mapping[str, Any], attributes: Mapping[str, Any]) -> Iterator[Any]:
    yield from (value for name, value in fields.items() if name in words.CURRENCY_NAMES)
    yield from (value for name, value in attributes.items() if folded(str(name)) == words.CURRENCY_ATTRIBUTE)


def text_reader(layout: Layout, text: bytes) -> RowReader | None:
    """Returns what turns the messages of a file of JSON lines into batches, None if they are batches already.

    Args:
      layout: the layout that the operator named, or `auto`.
      text: the file's first message.
    """
    return RowReader() if layout in WAREHOUSE_LAYOUTS or (layout is Layout.AUTO and is_row(text)) else None


def lacks_of_row(text: bytes) -> tuple[str, ...]:
    """Returns what a row's JSON text cannot hold; of a text that is no row, what none can."""
    try:
        row = parse_json(text)
    except (ValueError, RecursionError):
        row = None
    if not isinstance(row, dict):
        return _NEVER_THERE
    names = {name.casefold() for name in row}
    return tuple(lacks_of_table(names.__contains__))


def is_row(text: bytes) -> bool:
    """Returns whether a JSON text is a row of a warehouse table rather than a batch.

    >>> is_row(b'{"eventid": 1, "messagetypeid": 16, "eventtimestamp": 1}'), is_row(b'{"events": []}')
    (True, False)
    """
    if b"messagetypeid" not in text.lower():
        return False
    try:
        row = parse_json(text)
    except (ValueError, RecursionError):
        return False
    return isinstance(row, dict) and {name.casefold() for name in row}.issuperset(words.NEEDED)


def row_to_batch(text: bytes, reader: RowReader) -> bytes:
    """Returns the batch of a row's JSON text; what is no row stays as it is, and the mapping finds what is wrong."""
    try:
        row = parse_json(text)
    except (ValueError, RecursionError):
        return text
    if not isinstance(row, dict):
        return text
    folded = {name.casefold(): value for name, value in row.items()}
    if "messagetypeid" not in folded:
        return text
    try:
        return encode_json(reader.batch(folded))
    except (msgspec.EncodeError, UnicodeEncodeError):
        return text


def lacks_of_table(has: Callable[[str], bool]) -> Iterator[str]:
    """Yields what the rows of a table cannot hold, each with what follows."""
    yield from _NEVER_THERE
    for names, consequence in _PERHAPS_THERE:
        if not any(map(has, names)):
            yield consequence
    missing = [identity for name, identity in words.IDENTITIES.items() if not has(name)]
    yield f"identities {', '.join([*missing, 'other_id_5 to other_id_10'])}"


def epoch_ms(value: Any) -> int | None:
    """Returns a time in epoch milliseconds, None for what is none.

    >>> epoch_ms(1718900123456789), epoch_ms("1718900123456"), epoch_ms("2024-06-20 16:15:23.456 UTC")
    (1718900123456, 1718900123456, 1718900123456)
    """
    if type(value) is int:
        return unit_and_ms(value)[1]
    if type(value) is float:
        return unit_and_ms(int(value))[1] if value.is_integer() else None
    if type(value) is not str:
        return None
    text = value.strip()
    try:
        return unit_and_ms(int(text))[1]
    except ValueError:
        pass
    try:
        moment = datetime.datetime.fromisoformat(text.removesuffix("UTC").rstrip())
    except ValueError:
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)
    return (moment - _EPOCH) // datetime.timedelta(milliseconds=1)


def unit_and_ms(number: int) -> tuple[int, int]:
    """Returns the unit of an epoch time, as a number that grows from seconds to nanoseconds, and the time in ms."""
    for unit, (bound, factor, divisor) in enumerate(_UNIT_BOUNDS):
        if abs(number) < bound:
            return unit, number * factor // divisor
    factor, divisor = _NANOSECONDS
    return len(_UNIT_BOUNDS), number * factor // divisor


def whole_number(value: Any) -> int | None:
    """Returns a small number such as `messagetypeid`, None for what is none."""
    if type(value) is int:
        return value
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return int(number) if number.is_integer() else None


def truth(value: Any) -> bool | None:
    """Returns a boolean, also as Redshift and text exports write it; None for what is none."""
    return value if type(value) is bool else _TRUTHS.get(str(value).strip().lower())


# Few names come, and a JSON text that invents some all the time meets the limit.
@functools.lru_cache(maxsize=4_096)
def folded(name: str) -> str:
    """Returns a field's name without case, underscores and spaces, as spellings are compared."""
    return name.casefold().replace("_", "").replace(" ", "")


def read_json(text: str) -> tuple[Any, bool]:
    """Returns what a JSON text holds, and whether it is whole.

    Of an object that is cut off the complete pairs before the cut are kept, of anything else nothing.

    >>> read_json('{"a": "1", "b": [2], "c": "thr')
    ({'a': '1', 'b': [2]}, False)
    """
    try:
        return parse_json(text.encode()), True
    except ValueError:
        pairs = _complete_pairs(text)
        return None if pairs is None else parse_json(json.dumps(pairs).encode()), False
    except RecursionError:
        return None, False


def _complete_pairs(text: str) -> dict[str, Any] | None:
    """Returns the pairs of an object up to the first that is damaged, None for what is no object."""
    position = len(text) - len(text.lstrip())
    if text[position : position + 1] != "{":
        return None
    pairs: dict[str, Any] = {}
    while text[position : position + 1] in ("{", ","):
        try:
            key, position = _value(text, position + 1)
            value, after = _value(text, position + 1) if text[position : position + 1] == ":" else (None, None)
        except (ValueError, RecursionError):
            break
        # A number at the very end may have lost digits.
        if after is None or after >= len(text) or type(key) is not str:
            break
        pairs[key] = value
        position = after
    return pairs


def _value(text: str, position: int) -> tuple[Any, int]:
    """Returns a JSON value and the position of the next character behind it that is no space."""
    while text[position : position + 1].isspace():
        position += 1
    value, position = _decode.raw_decode(text, position)
    while text[position : position + 1].isspace():
        position += 1
    return value, position
