"""Where each field of a payload comes from, in words, for `preview --explain`."""

from collections.abc import Iterator, Mapping
from typing import Any

from transforms.connection import Connection
from transforms.vocabulary import Form, Note

# Field of an event in Events API 2.0 → its source. Source: the rules in `transforms/mapping`.
_TRACK = {
    "event_time": "data.timestamp_unixtime_ms",
    "user.ttclid": 'custom flag "TikTok.Callback"',
    "user.ttp": "partner_identities.tiktok_cookie_id",
    "user.ip": "ip of the batch",
    "user.user_agent": "device_info.http_header_user_agent",
    "user.locale": "device_info.locale_language and locale_country",
    "user.first_name": "user attribute $FirstName, hashed",
    "user.last_name": "user attribute $LastName, hashed",
    "user.zip_code": "user attribute $Zip, hashed",
    "user.city": "user attribute $City",
    "user.state": "user attribute $State",
    "user.country": "user attribute $Country",
    "page.url": 'custom flag "TikTok.URL"',
    "page.referrer": 'custom flag "TikTok.Referrer"',
}
# The same for the legacy form.
_LEGACY = {
    "type": "always track",
    "timestamp": "data.timestamp_unixtime_ms",
    "context.ad.callback": 'custom flag "TikTok.Callback"',
    "context.page.url": 'custom flag "TikTok.URL"',
    "context.page.referrer": 'custom flag "TikTok.Referrer"',
    "context.user.ttp": "partner_identities.tiktok_cookie_id",
    "context.ip": "ip of the batch",
    "context.user_agent": "device_info.http_header_user_agent",
}
_BOTH = {
    "event_id": "data.source_message_id, else data.event_id",
    "limited_data_use": "consent_state.ccpa, by consent.ccpa_opt_out",
    "properties.content_type": "setting content_type",
    "properties.content_ids": "products[].id",
    "properties.currency": "data.currency_code",
    "properties.value": "product_action.total_amount",
    "properties.order_id": "product_action.transaction_id",
    "properties.contents[].price": "products[].price",
    "properties.contents[].quantity": "products[].quantity, else 1",
    "properties.contents[].content_type": "setting content_type",
    "properties.contents[].content_id": "products[].id",
    "properties.contents[].content_name": "products[].name",
    "properties.contents[].content_category": "products[].category",
    "properties.contents[].brand": "products[].brand",
}
# Decisions that give a field another source: the note, the last word of the field's path, the source.
_DECIDED = (
    (Note.DERIVED_EVENT_ID, "event_id", "digest of the event's own content"),
    (Note.CLICK_ID_FROM_URL, "ttclid", "the page URL's parameter ttclid"),
    (Note.CLICK_ID_FROM_URL, "callback", "the page URL's parameter ttclid"),
    (Note.PAGE_URL_FALLBACK, "url", "data.page_url"),
    (Note.VALUE_FROM_ITEMS, "value", "sum of price × quantity"),
    (Note.DEFAULT_CURRENCY, "currency", "setting default_currency"),
)
# TikTok's field → the parameter that it is made of, where the names differ.
_PARAMETERS = {"search_string": "query", "content_ids": "content_id"}


def field_sources(
    body: Mapping[str, Any],
    form: Form,
    connection: Connection,
    notes: tuple[Note, ...],
    custom: Mapping[str, str] | None,
) -> dict[str, str]:
    """Returns the source of each field of an event, by its path; `[]` stands for every item of a list.

    Args:
      body: the event as TikTok will get it.
      form: the request that carries it.
      connection: which identities are sent as what.
      notes: what the mapping decided.
      custom: parameter → source of the custom mapping that made the event; None for the default mapping.
    """
    known = {**_BOTH, **(_LEGACY if form is Form.LEGACY else _TRACK), **_identities(form, connection)}
    known["event"] = "product action" if custom is None else "custom mapping"
    sources: dict[str, str] = {}
    for path in dict.fromkeys(_paths(body)):
        name = path.rsplit(".", 1)[-1].removesuffix("[]")
        source = known.get(path, "")
        if custom is not None and path.startswith("properties."):
            source = custom.get(_PARAMETERS.get(name, name), "")
        decided = [text for note, field, text in _DECIDED if note in notes and field == name]
        sources[path] = decided[0] if decided else source
    return sources


def _identities(form: Form, connection: Connection) -> dict[str, str]:
    parent, phone = ("context.user", "phone_number") if form is Form.LEGACY else ("user", "phone")
    return {
        f"{parent}.email": f"identity {connection.email_identity_type}, hashed",
        f"{parent}.{phone}": f"identity {connection.phone_identity_type}, hashed",
        f"{parent}.external_id": f"identity {connection.external_identity_type}, hashed",
    }


def _paths(value: Any, path: str = "") -> Iterator[str]:
    """Yields the path of every value; a list of single values is one value."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _paths(inner, f"{path}.{key}" if path else key)
    elif isinstance(value, list) and any(isinstance(item, dict) for item in value):
        for item in value:
            yield from _paths(item, f"{path}[]")
    else:
        yield path
