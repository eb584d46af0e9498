"""What an operator should know about a connection that is correct, for `check`, before the first event is sent."""

from collections.abc import Iterator

import msgspec

from pipeline.errors import Finding
from transforms.connection import Connection
from transforms.custom_mappings import Match
from transforms.vocabulary import Form

# The specification's default for a purchase, which `event_names` may replace.
_DEFAULT_PURCHASE = "PlaceAnOrder"


def advise(connection: Connection, source: str) -> list[Finding]:
    """Returns what to consider, in order of weight.

    Args:
      connection: checked.
      source: the file's name, for the findings.
    """
    return [Finding(source, key, text) for key, text in _advice(connection)]


def _advice(connection: Connection) -> Iterator[tuple[str, str]]:
    if connection.input != "feed" and connection.form("web") is Form.LEGACY:
        yield (
            "enable_web_migration",
            "web events go to the legacy endpoint (Events API 1.0), whose end TikTok has announced. "
            "Turn on enable_web_migration for Events API 2.0.",
        )
    if connection.input != "web" and connection.form("feed") is Form.LEGACY:
        yield (
            "event_source_type",
            "feed events go to the legacy endpoint (Events API 1.0), whose end TikTok has announced, and which rejects "
            "events without ip and user agent, as most feeds send them. Set event_source_type to web or feed for "
            "Events API 2.0.",
        )
    if connection.event_names.get("purchase", _DEFAULT_PURCHASE) == _DEFAULT_PURCHASE and not _maps_all(connection):
        yield (
            "event_names",
            "purchases are sent as PlaceAnOrder, which TikTok ends in 2027 and no longer documents. Its present name "
            "for a completed order is Purchase: event_names: {purchase: Purchase}. History does not carry over, so "
            "change it together with the campaigns.",
        )
    if connection.default_currency is None:
        yield (
            "default_currency",
            "events without a currency are sent without one, and TikTok cannot use their value. "
            "Set it if the shop sells in one currency.",
        )
    if connection.default_phone_region is None:
        yield (
            "default_phone_region",
            "phones without a country code are left out. Set it if the customers are of one country.",
        )
    if connection.partner_name is not None:
        yield (
            "partner_name",
            "TikTok refuses every request (code 40063) with a name that it did not give out. Remove it if in doubt.",
        )
    if connection.test_event_code is not None:
        yield (
            "test_event_code",
            "every event is a test event and counts for nothing. Remove it before going live.",
        )
    if connection.input != "feed":
        yield (
            "",
            'mParticle\'s "Send as Batch" holds web events for about 10 minutes, and TikTok merges an event with the '
            "pixel's only within 5 minutes. Turn it off in mParticle if the pixel is in use as well.",
        )


def _maps_all(connection: Connection) -> bool:
    """Returns whether custom mappings take every purchase, so that its default mapping never applies."""
    every = Match(product_action="purchase")
    return any(
        msgspec.structs.replace(mapping.match, message_type=None) == every and not mapping.also_default
        for mapping in connection.custom_mappings
    )
