"""The events that a connection may name: standard ones, retired ones (with a warning), and no reserved ones."""

from pipeline.errors import Report
from pipeline.wording import nearest, plain, shown
from transforms.mapping.tables import RESERVED_EVENTS, RETIRED_EVENTS, STANDARD_EVENTS

# TikTok's own spelling of each name; a standard one before all others.
_SPELLINGS = {plain(name): name for name in reversed([*STANDARD_EVENTS, *RETIRED_EVENTS, *RESERVED_EVENTS])}


def own_spelling(event: str) -> str:
    """Returns an event as TikTok writes it, whose names are case-sensitive; itself if TikTok knows no such name.

    >>> own_spelling("add to cart"), own_spelling("COMPLETE_PAYMENT"), own_spelling("Wave")
    ('AddToCart', 'CompletePayment', 'Wave')
    """
    return _SPELLINGS.get(plain(event), event)


def check_event(event: str, where: str, key: str, report: Report) -> str:
    """Refuses an event that TikTok does not know, and warns of one that it has retired.

    Args:
      event: as it was written, in any case and spacing.
      where: the place of it.
      key: path of the setting.
      report: takes what is found.

    Returns:
      The event in TikTok's own spelling.
    """
    event = own_spelling(event)
    if event in STANDARD_EVENTS:
        return event
    if event in RETIRED_EVENTS:
        successor = RETIRED_EVENTS[event]
        present = f"its present name is {successor}: write `{successor}`" if successor else "it has no successor"
        report.warn(where, key, f"TikTok retired {event}; {present}.")
    elif event in RESERVED_EVENTS:
        target = RESERVED_EVENTS[event]
        text = f"{event} is reserved, TikTok turns it into {target} by itself"
        report.refuse(where, key, f"{text}; one of {', '.join(STANDARD_EVENTS)} is needed.")
    elif (name := nearest(event, [*STANDARD_EVENTS, *RETIRED_EVENTS])) is not None:
        text = f'{shown(event)} is no standard event of TikTok. Did you mean "{name}"?'
        report.refuse(where, key, text)
    else:
        text = f"{shown(event)} is no standard event of TikTok; one of {', '.join(STANDARD_EVENTS)} is needed."
        report.refuse(where, key, text)
    return event
