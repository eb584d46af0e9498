"""What a custom mapping gives TikTok: the parameters of one event, or the required one that is missing.

Nothing that was not mapped is added, in particular no content type. Source: rudder-transformer issues 3383 and 3545
(customers asked for no default there).
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from transforms.custom_mappings import Parameter
from transforms.mapping.custom.conditions import Products
from transforms.mapping.custom.parameter_sources import ParameterSource, compile_source
from transforms.mapping.custom.parameters import CONTENT_PARAMETERS, PARAMETER_TYPES
from transforms.model import BatchContext, CustomContent, CustomEvent, CustomProperties
from transforms.vocabulary import Note, Reason

# Parameter → value, for the parameters that are given.
_Values = dict[str, Any]

# The content parameters that the event itself gives, its products, the batch and a list for notes → the contents and
# the required parameter for want of which there are none.
_ReadContents = Callable[[_Values, Products, BatchContext, list[Note]], tuple[list[CustomContent], str | None]]


class CompiledTarget(NamedTuple):
    """One TikTok event of a mapping as a function.

    Attributes:
      event: TikTok's name.
      sources: its parameters.
      resolve: event data, products and batch → what TikTok gets.
    """

    event: str
    sources: tuple[ParameterSource, ...]
    resolve: Callable[[Any, Products, BatchContext], CustomEvent]


def compile_target(event: str, parameters: dict[str, Parameter], default_currency: str | None) -> CompiledTarget:
    """Returns one TikTok event of a mapping.

    Args:
      event: TikTok's name.
      parameters: parameter → source, checked.
      default_currency: for an event whose mapped currency is missing.

    Raises:
      ValueError: no such parameter; a connection that was read from a file has known ones only.
    """
    unknown = [name for name in parameters if name not in PARAMETER_TYPES]
    if unknown:
        raise ValueError(f"custom_mappings: {event} takes no parameter {unknown[0]!r}; known are {[*PARAMETER_TYPES]}")
    sources = tuple(compile_source(name, setting) for name, setting in parameters.items())
    of_event = tuple(source for source in sources if not source.of_product)
    read_contents = _contents_reader(tuple(source for source in sources if source.of_product))

    def resolve(data: Any, products: Products, batch: BatchContext) -> CustomEvent:
        """Returns what TikTok gets of an event."""
        notes: list[Note] = []
        of_contents: _Values = {}
        values: _Values = {}
        for name, _, _, required, read, convert in of_event:
            value = convert(read(data, batch), batch, notes)
            if value is None and name == "currency" and default_currency is not None:
                value = default_currency
                notes.append(Note.DEFAULT_CURRENCY)
            if value is not None:
                (of_contents if name in CONTENT_PARAMETERS else values)[name] = value
            elif required:
                return _missing(event, name)
        contents, lacking = read_contents(of_contents, products, batch, notes)
        if lacking is not None:
            return _missing(event, lacking)
        properties = _properties(values, contents) if values or contents else None
        return CustomEvent(event, properties=properties, notes=tuple(dict.fromkeys(notes)) if notes else ())

    return CompiledTarget(event, sources, resolve)


def _missing(event: str, parameter: str) -> CustomEvent:
    return CustomEvent(event, reason=Reason.MISSING_PARAMETER, detail=parameter)


def _properties(values: _Values, contents: list[CustomContent]) -> CustomProperties:
    content_ids = [content.content_id for content in contents if content.content_id is not None]
    return CustomProperties(
        contents=contents or None, content_ids=content_ids or None, search_string=values.get("query"), **values
    )


def _contents_reader(sources: Sequence[ParameterSource]) -> _ReadContents:
    """Returns the function that makes the contents: an item for each product if a parameter is read from products.

    Without such a parameter there is at most one item, of what the event itself gives.

    Args:
      sources: the parameters that are read from products.
    """
    first_required = next((source.parameter for source in sources if source.required), None)

    def of_the_event(
        of_event: _Values, products: Products, batch: BatchContext, notes: list[Note]
    ) -> tuple[list[CustomContent], None]:
        return ([CustomContent(**of_event)] if of_event else []), None

    def of_each_product(
        of_event: _Values, products: Products, batch: BatchContext, notes: list[Note]
    ) -> tuple[list[CustomContent], str | None]:
        """Leaves out a product that lacks a required parameter, and one that has none of those read from it."""
        contents: list[CustomContent] = []
        lacking = first_required
        for product in products:
            if product is None:
                continue
            item: _Values = {}
            for name, _, _, required, read, convert in sources:
                value = convert(read(product, batch), batch, notes)
                if value is not None:
                    item[name] = value
                elif required:
                    lacking = name
                    break
            else:
                if item:
                    contents.append(CustomContent(**of_event, **item))
        return contents, None if contents else lacking

    return of_each_product if sources else of_the_event
