"""Words of the user in messages: how a value is shown, and which known word was probably meant."""

import json
import re
from collections.abc import Iterable

# The longest value that is repeated to the user; longer ones are cut.
_SHOWN_CHARACTERS = 60

# A long run of letters and digits mixed may be a token in the wrong place. TikTok's tokens have 40 hex digits, its
# event source ids 19 or 20 characters.
_SECRET = re.compile(r"(?=[A-Za-z]*\d)(?=\d*[A-Za-z])[A-Za-z0-9]{32,}")


def shown(value: str) -> str:
    """Returns a value in quotes, fit for a message: short, on one line, without what looks like a token.

    >>> shown("wbe")
    '"wbe"'
    """
    text = _SECRET.sub("…", value)
    if len(text) > _SHOWN_CHARACTERS:
        text = f"{text[:_SHOWN_CHARACTERS]}…"
    return json.dumps(text, ensure_ascii=False)


def plain(word: str) -> str:
    """Returns a word without case, spacing and punctuation, as friendly spellings are compared.

    >>> plain("Legacy Pixel Batch Web") == plain("legacy_pixel_batch_web")
    True
    """
    return re.sub(r"[\W_]+", "", word).casefold()


def nearest(word: str, known: Iterable[str]) -> str | None:
    """Returns the known word that `word` was probably meant to be, or None.

    >>> nearest("event_sorce_id", ["event_source_id", "event_source_type"])
    'event_source_id'
    """
    spellings = {plain(name): name for name in known}
    start = plain(word)
    longer = [name for spelling, name in spellings.items() if len(start) > 2 and spelling.startswith(start)]
    if len(longer) == 1:
        return longer[0]
    # Needed for mistakes only.
    import difflib

    found = difflib.get_close_matches(start, spellings, n=1, cutoff=0.6)
    return spellings[found[0]] if found else None


def suggestion(word: str, known: Iterable[str]) -> str:
    """Returns ` Did you mean "…"?` with the nearest known word, or an empty string."""
    name = nearest(word, known)
    return f' Did you mean "{name}"?' if name else ""
