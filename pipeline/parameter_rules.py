"""What a mapped parameter may come from: one source that its event has, of a type that fits, and nobody's name."""

from collections.abc import Iterator, Mapping

from pipeline.problems import Report, shown
from transforms.custom_mappings import SOURCES, Parameter
from transforms.mapping import has_contact
from transforms.mapping.custom import CONTENT_PARAMETERS, PARAMETER_TYPES, coercer, is_personal
from transforms.mapping.tables import COMMERCE_EVENT
from transforms.vocabulary import Note

# Which fields an event has that is no commerce event.
_FIELDS = {"custom_event": ("event_name",), "screen_view": ("screen_name",)}


def check_parameter(
    name: str,
    setting: Parameter,
    message_type: str,
    key: str,
    where: str,
    places: Mapping[str, str],
    report: Report,
) -> None:
    """Refuses a parameter whose source cannot give it.

    Args:
      name: TikTok's parameter, which the event takes.
      setting: where it comes from.
      message_type: of the events that the mapping matches.
      key: path of the parameter.
      where: its place.
      places: where each setting was written.
      report: takes what is found.
    """
    for inner, text in _problems(name, setting, message_type):
        path = f"{key}.{inner}" if inner else key
        report.refuse(places.get(path, where) if inner else where, path, text)
    code = setting.constant
    if name == "currency" and isinstance(code, str) and f"{key}.constant" not in report.bad_keys:
        notes: list[Note] = []
        coercer(name, None)(code, notes)
        if notes:
            report.warn(where, key, f"{code.upper()} is not in TikTok's list of currencies; it is sent all the same.")


def _problems(name: str, setting: Parameter, message_type: str) -> Iterator[tuple[str, str]]:
    """Yields what is wrong: the setting below the parameter, and the sentence."""
    sources = [source for source in SOURCES if getattr(setting, source) is not None]
    wanted = PARAMETER_TYPES[name]
    if not sources:
        needed = "required, but it has no source" if setting.required else "it has no source"
        yield "", f"{needed}; give one of {', '.join(SOURCES)}."
        return
    if len(sources) > 1:
        yield sources[1], f"it has {len(sources)} sources ({', '.join(sources)}); keep one."
        return
    source = sources[0]
    if source in {"product_field", "product_attribute"}:
        if message_type != COMMERCE_EVENT:
            yield source, f"a {message_type} has no products; use event_attribute."
        elif name not in CONTENT_PARAMETERS:
            text = f"{name} is one for the whole event; products give {', '.join(CONTENT_PARAMETERS)} only."
            yield source, f"{text} For a total use event_field: total_amount."
    fields = _FIELDS.get(message_type)
    if setting.event_field is not None and fields is not None and setting.event_field not in fields:
        yield source, f"a {message_type} has no such field, only {', '.join(fields)}; use event_attribute."
    if wanted != "string" and setting.type in {"string", "boolean"}:
        yield "type", f"TikTok takes {name} as a number, so {setting.type} cannot be meant; use number or integer."
    elif name == "currency" and setting.type not in {None, "string"}:
        yield "type", f"TikTok takes currency as text, so {setting.type} cannot be meant; remove it."
    elif setting.constant is not None and coercer(name, setting.type)(setting.constant, []) is None:
        needed = "a currency code such as EUR" if name == "currency" else f"{_needed(setting.type or wanted)}"
        yield source, f"{shown(str(setting.constant))} cannot be sent as {name}; {needed} is needed."
    elif setting.constant is not None and has_contact(str(setting.constant)):
        yield source, "an e-mail address or a phone, which TikTok must not get in clear. Write something else."
    attribute = setting.event_attribute or setting.user_attribute or setting.custom_flag or setting.product_attribute
    if attribute is not None and is_personal(
        attribute, of_user=source == "user_attribute", of_product=source == "product_attribute"
    ):
        text = (
            f"{shown(attribute)} says who someone is, and TikTok must not get that in clear; it gets identities hashed"
        )
        yield source, f"{text} by itself. Use another attribute."


def _needed(kind: str) -> str:
    """Returns what a constant must be, in words; TikTok takes no sign in amounts."""
    return {"number": "a number from 0 up", "integer": "a whole number from 0 up", "boolean": "true or false"}.get(
        kind, "a text that is not empty"
    )
