"""The parameters of a custom mapping in the JSON of both request forms; nothing that was not mapped is added."""

from transforms.mapping.forms import Content, LegacyProperties, TrackProperties
from transforms.model import CustomEvent


def custom_contents(custom: CustomEvent) -> tuple[list[Content], list[str]]:
    """Returns the contents and their ids; without a content type, which no mapping gives.

    Source: rudder-transformer issues 3383 and 3545 (customers asked for no default there).
    """
    contents = [
        Content(item.price, item.quantity, None, item.content_id, item.content_name, item.content_category)
        for item in custom.contents
    ]
    return contents, [item.content_id for item in custom.contents if item.content_id is not None]


def legacy_properties(custom: CustomEvent, contents: list[Content]) -> LegacyProperties | None:
    """Returns the properties for the legacy form, None if there is none."""
    made = LegacyProperties(contents or None, custom.currency, custom.value, custom.query, custom.description)
    return made if made != LegacyProperties() else None


def track_properties(custom: CustomEvent, contents: list[Content], content_ids: list[str]) -> TrackProperties | None:
    """Returns the properties for Events API 2.0, None if there is none.

    A search goes out under both names that TikTok's pages give it: `search_string` (newer) and `query` (older).
    """
    made = TrackProperties(
        contents or None,
        content_ids or None,
        currency=custom.currency,
        value=custom.value,
        search_string=custom.query,
        query=custom.query,
        description=custom.description,
    )
    return made if made != TrackProperties() else None
