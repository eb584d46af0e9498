"""What people may see: TikTok's messages, and finished events, with `…` in place of what may be a person's.

Messages: what is wrong and where stays readable, what was sent does not. In: a message of TikTok's and the bodies of
the events that it answers. Out: the message without values, fit for logs, outcomes and files. Pure; runs on errors
only. Events: the shape and the goods stay, the rest goes.

A part of the message is hidden if it

* is, ignoring case, a text value of one of the bodies, or begins like a word in one (a value cut short);
* stands in quotes and is not a path of fields;
* looks like a value: e-mail, URL, IP address, date, phone or other number of four digits, hex of 16, long word.

Words of TikTok's own (names of fields, the vocabulary of its messages) and TikTok's codes stay, wherever they stand:
they show nothing of anybody. If the bodies are too large to look through, only those words stay.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

import msgspec

from transforms.tiktok.codes import CODE_NAMES

MAX_MESSAGE_CHARS: Final = 300
HIDDEN: Final = "…"

# Bounds of the work for one message; both lie above what a request and an honest message can have.
_READ_CHARS, _SHOWN_CHARS = 2_000, 1_500
_READ_BYTES: Final = 12_000_000

# Words that stay. Fields: Events API, "Supported parameters"; the rest: messages of the Events API seen in public.
_WORD_LIST: Final = """
batch data event events event_id event_name event_time event_source event_source_id event_channel event_set_id
pixel_code test_event_code partner_name type timestamp context ad callback page url referrer user users user_agent
ip email emails phone phones phone_number phone_numbers external_id ttp ttclid ttuid locale first_name last_name
zip_code city state country idfa idfv gaid att_status properties contents content content_id content_ids
content_name content_category content_type brand price quantity currency value values description query
search_string num_items order_id shop_id delivery_category predicted_ltv status app app_id lead lead_id
lead_event_source limited_data_use data_processing_options web offline crm track

a an and are as at be by can cannot code does expected for from has have if in invalid is it must no not null of on
only or please should than that the this to too unknown unsupported was with you your access account admin
advertiser allowed api array authorized bool boolean characters count date deprecated duplicate duplicated empty
equal error exceed exceeded exceeds exist exists failed field fields float format greater hash hashed header id
index integer internal int iso8601 iso-8601 item items json key least length less limit list long many match maximum
message min minimum missing more most name number numeric object operate operator parameter parameters param params
parse partner permission pixel post present processed provided range reached reason request requests required retry
seconds server service sha256 sha-256 short size some string supported system time timeout token type unable
unixtime unix utf-8 valid wrong
"""
_WORDS: Final = frozenset(_WORD_LIST.split())

_COMPONENT: Final = re.compile(r"""[^\s.,;:()\[\]{}<>=|/"'`“”‘’«»]+""")
_WORD_CHARACTERS: Final = re.compile(r"[A-Za-z0-9_-]+")
_QUOTED: Final = re.compile(
    r""""(?P<a>(?:\\.|[^"\\])*)(?:"|$)"""
    r"""|(?<!\w)'(?P<b>.*?)(?:'(?!\w)|$)"""
    r"""|`(?P<c>[^`]*)(?:`|$)|“(?P<d>[^”]*)(?:”|$)|‘(?P<e>[^’]*)(?:’|$)|«(?P<f>[^»]*)(?:»|$)"""
)
_VALUES: Final = (
    re.compile(r"""[^\s"'<>(),;]*@[^\s"'<>(),;]*"""),  # e-mail, handle
    re.compile(r"\b[A-Za-z][A-Za-z0-9+.-]*://\S*|\bwww\.\S*"),  # URL
    re.compile(r"\b\d{1,3}(?:\.\d{1,3}){3}\b"),  # IPv4
    re.compile(r"(?<![\w:])[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,7}(?:\.\d+)*(?![\w:])"),  # IPv6, clock time
    re.compile(r"\b\d{4}-\d\d-\d\d\S*"),  # date, ISO 8601
    re.compile(r"\+\d[\d\s().-]*\d|(?<![\w.\[])\d(?:[\s().-]{0,2}\d){6,}"),  # phone
    re.compile(r"(?<![\w.\[])[-+]?\d+[.,]\d+(?![\w.])"),  # amount
)
# What all of these, and quotes, have at least. Most messages have none of it, and one look is enough.
_VALUE_AT_ALL: Final = re.compile(r"""[@+"'`“‘«]|://|www\.|:[^:]*:|\d{4}|\d[\s().,-]{1,2}\d""")
# Within one component. Two digits in a word of six is an id, not a word; %xx and \uxxxx hide what they spell.
_VALUE_WITHIN: Final = re.compile(r"[0-9A-Fa-f]{16}|\d{4}|[%\\]\w|^(?=.*\d.*\d)(?=.*[^\W\d]).{6}")
_LONGEST_WORD: Final = 19
# Shorter texts ("US", "1 l") are hidden as whole words only, and shorter words are not looked for within values.
_SHORTEST_PART: Final = 4
_SHORTEST_BEGINNING: Final = 5


# Fields of a finished event whose values show what happened and not to whom. Everything else is replaced, so that a
# new field is safe.
_OPEN_FIELDS: Final = frozenset(
    {
        "type",
        "event",
        "event_id",
        "event_time",
        "timestamp",
        "properties",
        "contents",
        "content_ids",
        "content_type",
        "content_id",
        "content_name",
        "content_category",
        "brand",
        "price",
        "quantity",
        "currency",
        "value",
        "limited_data_use",
    }
)
# Objects that are shown as objects, each field by its own rule.
_OPEN_OBJECTS: Final = frozenset({"user", "context", "ad", "page"})
_URL_FIELDS: Final = frozenset({"url", "referrer"})


class _Values(NamedTuple):
    """The text values of some bodies, with case folded: each once, and all in one text; None if not looked through."""

    each: tuple[str, ...] | None
    joined: str


class Redactor:
    """Removes the values of one request's events from messages; reads the bodies at the first message."""

    def __init__(self, bodies: Sequence[bytes]) -> None:
        self._bodies = bodies
        self._done: dict[str, str] = {}

    def redact(self, message: str) -> str:
        """Returns a message without values, in one line of at most 300 characters; see `redact`."""
        message = message[:_READ_CHARS]
        if message not in self._done:
            self._done[message] = self._redact(message)
        return self._done[message]

    @cached_property
    def _values(self) -> _Values:
        return _values(self._bodies)

    def _redact(self, message: str) -> str:
        text = _clean(message)
        spans = list(_typical_spans(text)) if _VALUE_AT_ALL.search(text) else []
        if not all(map(_stays, _COMPONENT.findall(text))):
            # Words beside TikTok's own: only now the bodies are looked through, which takes a hundred times as long.
            spans += (*_known_spans(text, self._values), *_word_spans(text, self._values))
        hidden = bytearray(len(text))
        for start, end in spans:
            hidden[start:end] = b"\x01" * (end - start)
        # Where the message was cut a value may stand in half, unrecognised; one that begins well before is complete.
        kept = _SHOWN_CHARS if len(message) == _READ_CHARS else len(text)
        return _rendered(text[:kept], hidden[:kept])


def redact(message: str, bodies: Sequence[bytes]) -> str:
    """Returns a message of TikTok's without values.

    Args:
      message: as it stands in a reply.
      bodies: the JSON objects of the events that the reply answers.

    Returns: one line of at most 300 characters, without control characters.

    >>> redact('Batch.0.properties.contents.0.price: "12,99 EUR" of jane@example.com is invalid (40002)', [])
    'Batch.0.properties.contents.0.price: "…" of … is invalid (40002)'
    """
    return Redactor(bodies).redact(message)


def _clean(text: str) -> str:
    """Returns a text in one line: compatible characters unified, others than printable ones and spaces left out."""
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text)
    if not text.isprintable():
        text = "".join(character if character.isprintable() else " " for character in text)
    return " ".join(text.split())


def _folded(text: str) -> str:
    """Returns a text without its case, character by character; upper case first, as it alone unites i and dotless ı."""
    return text.upper().casefold()


def _values(bodies: Sequence[bytes]) -> _Values:
    """Returns the text values of the bodies, unless these are too large or no JSON."""
    if sum(map(len, bodies)) > _READ_BYTES:
        return _Values(None, "")
    found: set[str] = set()
    try:
        pending = [msgspec.json.decode(body) for body in bodies]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _Values(None, "")
    while pending:
        value = pending.pop()
        if isinstance(value, str):
            found.add(value)
        elif isinstance(value, dict):
            pending.extend(value.values())
        elif isinstance(value, list):
            pending.extend(value)
    texts = {text for text in (_folded(_clean(value)) for value in found) if _is_worth_hiding(text)}
    return _Values(tuple(texts), "\n".join(texts))


def _is_worth_hiding(text: str) -> bool:
    """Returns whether a value is worth hiding: neither a bare sign nor a small number, which a position may be too."""
    return any(map(str.isalnum, text)) and not (text.isdigit() and len(text) < _SHORTEST_PART)


def _known_spans(text: str, values: _Values) -> Iterator[tuple[int, int]]:
    """Yields where values of the bodies stand in the text."""
    # Folding may lengthen a character (ß: ss), so each folded one knows where it came from.
    pieces = [_folded(character) for character in text]
    origins = [index for index, piece in enumerate(pieces) for _ in piece]
    folded = "".join(pieces)
    for value in values.each or ():
        at = folded.find(value)
        while at >= 0:
            start, end = origins[at], origins[at + len(value) - 1] + 1
            if (len(value) >= _SHORTEST_PART or _is_alone(text, start, end)) and not _is_own_word(text, start, end):
                yield start, end
            at = folded.find(value, at + 1)


def _is_own_word(text: str, start: int, end: int) -> bool:
    """Returns whether a span lies within one of the words that stay."""
    return any(
        word.start() <= start and end <= word.end() and word.group().casefold() in _WORDS
        for word in _WORD_CHARACTERS.finditer(text, _word_start(text, start), min(len(text), end + _LONGEST_WORD * 2))
    )


def _word_start(text: str, start: int) -> int:
    while start and _WORD_CHARACTERS.match(text, start - 1):
        start -= 1
    return start


def _is_alone(text: str, start: int, end: int) -> bool:
    """Returns whether a span touches no letter, digit or underscore."""
    return not re.match(r"\w", text[start - 1 : start]) and not re.match(r"\w", text[end : end + 1])


def _typical_spans(text: str) -> Iterator[tuple[int, int]]:
    """Yields what looks like a value by its form, whatever the bodies hold."""
    for pattern in _VALUES:
        yield from (match.span() for match in pattern.finditer(text))
    for match in _QUOTED.finditer(text):
        group = match.lastgroup or 0
        if not all(_stays(component) for component in _COMPONENT.findall(match[group])):
            yield match.span(group)


def _word_spans(text: str, values: _Values) -> Iterator[tuple[int, int]]:
    """Yields the words that look like values, or like the beginning of one."""
    for match in _COMPONENT.finditer(text):
        word = match.group()
        if _stays(word):
            continue
        if (
            values.each is None
            or len(word) > _LONGEST_WORD
            or _VALUE_WITHIN.search(word)
            or (len(word) >= _SHORTEST_BEGINNING and _begins_within(values.joined, _folded(word)))
        ):
            yield match.span()


def _stays(word: str) -> bool:
    """Returns whether a word is TikTok's own: of its vocabulary, a position, or a code."""
    if word.isascii() and word.isdigit():
        return len(word) < _SHORTEST_PART or (len(word) == 5 and int(word) in CODE_NAMES)
    return word.casefold() in _WORDS


def _begins_within(joined: str, word: str) -> bool:
    """Returns whether a word of the values begins with this one."""
    at = joined.find(word)
    while at >= 0:
        if not joined[at - 1 : at].isalnum():
            return True
        at = joined.find(word, at + 1)
    return False


def _rendered(text: str, hidden: Iterable[int]) -> str:
    """Returns the text with one sign for each row of hidden parts, cut to its greatest length."""
    shown = text
    if any(hidden):
        shown = "".join(HIDDEN if hide else character for character, hide in zip(text, hidden, strict=True))
        shown = re.sub(rf"{HIDDEN}(?:\s*{HIDDEN})+", HIDDEN, shown)
    shown = shown.strip()
    return shown if len(shown) <= MAX_MESSAGE_CHARS else shown[: MAX_MESSAGE_CHARS - 1] + HIDDEN


def redacted_event(body: bytes) -> dict[str, Any]:
    """Returns an event as it would be sent, with `…` for what may show a person; of addresses the host stays.

    >>> redacted_event(b'{"event":"Purchase","user":{"email":["e814ff3d"]},"page":{"url":"https://shop.example/?u=ada"}}')
    {'event': 'Purchase', 'user': {'email': '…'}, 'page': {'url': 'https://shop.example/…'}}
    """
    event: dict[str, Any] = msgspec.json.decode(body)
    return {name: _shown(name, value) for name, value in event.items()}


def _shown(name: str, value: Any) -> Any:
    if name in _URL_FIELDS and isinstance(value, str):
        return _host(value)
    if name in _OPEN_OBJECTS and isinstance(value, dict):
        return {inner: _shown(inner, field) for inner, field in value.items()}
    if name not in _OPEN_FIELDS:
        return HIDDEN
    if isinstance(value, dict):
        return {inner: _shown(inner, field) for inner, field in value.items()}
    if isinstance(value, list):
        return [_shown(name, entry) for entry in value]
    return value


def _host(url: str) -> str:
    """Returns scheme and host of an address."""
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError:
        return HIDDEN
    return f"{parts.scheme}://{host}/{HIDDEN}" if host else HIDDEN
