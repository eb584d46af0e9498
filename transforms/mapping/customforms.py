"""The parameters of a custom mapping in the JSON of both request forms; nothing that was not mapped is added.

In particular no content type. Source: rudder-transformer issues 3383 and 3545 (customers asked for no default there).
"""

from transforms.mapping.forms import MappedLegacyProperties, MappedTrackProperties
from transforms.model import CustomEvent


def legacy_properties(custom: CustomEvent) -> MappedLegacyProperties | None:
    """Returns the properties for the legacy form, None if there is none."""
    if _is_empty(custom):
        return None
    return MappedLegacyProperties(
        custom.contents or None, custom.currency, custom.value, custom.query, custom.description
    )


def track_properties(custom: CustomEvent) -> MappedTrackProperties | None:
    """Returns the properties for Events API 2.0, None if there is none.

    A search goes out under both names that TikTok's pages give it: `search_string` (newer) and `query` (older).
    """
    if _is_empty(custom):
        return None
    contents, query = custom.contents, custom.query
    content_ids = [item.content_id for item in contents if item.content_id is not None]
    return MappedTrackProperties(
        contents or None,
        content_ids or None,
        None,
        custom.currency,
        custom.value,
        None,
        query,
        query,
        custom.description,
    )


def _is_empty(custom: CustomEvent) -> bool:
    return (
        not custom.contents
        and custom.value is None
        and custom.currency is None
        and custom.query is None
        and custom.description is None
    )
