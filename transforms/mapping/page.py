"""Where an event happened: page URL, referrer and click id, from custom flags, `page_url` and the URL itself.

Source: the customer's specification, section 7.
"""

from typing import Any
from urllib.parse import unquote_plus

from transforms.mapping import tables
from transforms.mapping.values import first_scalar
from transforms.vocabulary import Note

# What the URL of a page starts with. Source: the customer's specification, section 7.
SCHEMES = ("https://", "http://")
_PREFIX = tables.CLICK_ID_PREFIX


def read_flag(flags: dict[str, Any], name: str) -> str | None:
    """Returns a custom flag by its name, else by its name in another case; None if it is absent or empty."""
    text = first_scalar(flags.get(name))
    if text is not None:
        return text
    lower = name.lower()
    for key, value in flags.items():
        if len(key) == len(name) and key.lower() == lower:
            text = first_scalar(value)
            if text is not None:
                return text
    return None


def web_url(url: str) -> str | None:
    """Returns the URL of a page as TikTok takes it, None if it fails an event with such a URL.

    A scheme is the same in any case (RFC 3986, section 3.1), but TikTok asks for `http://` or `https://`.

    >>> web_url("https://shop.example.com"), web_url("HTTP://Shop.example.com"), web_url("shop.example.com")
    ('https://shop.example.com', 'http://Shop.example.com', None)
    """
    if url.startswith(SCHEMES):
        return url
    scheme, mark, rest = url.partition("://")
    url = scheme.lower() + mark + rest
    return url if url.startswith(SCHEMES) else None


def click_id(flag: str | None, url: str | None, strict: bool, notes: list[Note]) -> str | None:
    """Returns the click id: from the flag, else from the page URL; what was decided goes into `notes`."""
    refused = False
    for candidate, from_url in ((flag, False), (None if url is None else _from_query(url), True)):
        if candidate is None:
            continue
        usual = candidate.startswith(_PREFIX)
        if _is_dummy(candidate) or (strict and not usual):
            refused = True
            continue
        if from_url:
            notes.append(Note.CLICK_ID_FROM_URL)
        if not usual:
            notes.append(Note.UNUSUAL_CLICK_ID)
        return candidate
    if refused:
        notes.append(Note.INVALID_CLICK_ID)
    return None


def _is_dummy(click_id: str) -> bool:
    """Returns whether a click id is a placeholder."""
    lower = click_id.lower()
    return lower in tables.DUMMY_CLICK_IDS or any(
        lower.startswith(opening) and lower.endswith(closing) for opening, closing in tables.MACRO_MARKS
    )


def _from_query(url: str) -> str | None:
    """Returns the query parameter with which TikTok hands over the click id.

    >>> _from_query("https://shop.example.com/p?a=1&TTCLID=E.C.P.x%2By#top")
    'E.C.P.x+y'
    """
    query = url.partition("#")[0].partition("?")[2]
    if "%" not in query and tables.CLICK_ID_PARAMETER not in query.lower():
        return None
    for pair in query.split("&"):
        name, _, value = pair.partition("=")
        if unquote_plus(name).strip().lower() == tables.CLICK_ID_PARAMETER:
            text = unquote_plus(value).strip()
            if text:
                return text
    return None
