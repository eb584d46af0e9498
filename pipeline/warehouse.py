"""mParticle's warehouse tables: a row in, the batch of one event that it was made from out.

BigQuery has structs and lists of structs, Redshift JSON text in columns of bounded length, Snowflake objects or one
column with all of the row. They share their column names, but for the case, so one reader takes whatever form each
column has. What a row cannot say is left out; the mapping's rules then decide, as for every other batch.

JSON text that is cut off (Redshift's columns are bounded) costs what it costs: of attributes and flags the complete
pairs before the cut are kept and the column is counted; a product action that is cut off makes its event unreadable,
because its products and its total would be wrong.
"""

import functools
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from pipeline import warehouse_words as words
from pipeline.warehouse_values import epoch_ms, folded, read_json, truth, whole_number
from transforms.mapping import first_scalar

Json = dict[str, Any]

# Stands in for a product action that cannot be read: being no object, it makes the event `malformed_event`.
_UNREADABLE = "unreadable"

_PRODUCT = "product"


class RowReader:
    """Turns rows into batches.

    Args:
      columns: names of columns as the rows have them; with `ea_` or `ua_` in front they are single attributes.

    Attributes:
      cut_off: column → values whose JSON text is not whole; whoever looks at it clears it.
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
        """Returns what a JSON text holds; for what must be whole and is not, a text that says so."""
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
    """Returns `source_info` where the table tells the channel: what an SDK sent from the web came from the Web SDK."""
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
    """Returns the product action: its word, else its number, else what the event's type says."""
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
