"""The whole mapping in a row: a message in, a `Payload` or an `Outcome` for each of its events out.

For `preview`, benchmarks and whoever has no pipeline around; the pipeline runs the same four functions as its steps.
"""

from collections.abc import Callable

from transforms.connection import Connection
from transforms.mapping.custom import compile_mapper
from transforms.mapping.decode import Mapper, decode_message
from transforms.mapping.identity import hasher
from transforms.mapping.payload import builder
from transforms.mapping.select import selector
from transforms.model import Message, MParticleEvent, Outcome, Payload


def converter(
    connection: Connection,
    since_ms: int | None = None,
    until_ms: int | None = None,
    keep_original: bool = False,
    mapper: Mapper | None = None,
) -> Callable[[Message], list[Payload | Outcome]]:
    """Returns the function that maps a message for one connection.

    Args:
      connection: the settings.
      since_ms: events before are outside the time window.
      until_ms: events at this time or later are outside the time window.
      keep_original: keep the whole message with its events, for a quarantine.
      mapper: the connection's custom mappings, if they are compiled already.
    """
    mapper = mapper or compile_mapper(connection)
    select = selector(connection, since_ms, until_ms)
    hash_identities = hasher(connection)
    build = builder(connection)

    def convert(message: Message) -> list[Payload | Outcome]:
        """Returns one entry per unit of the message, as `decode_message` counts them."""
        results: list[Payload | Outcome] = []
        for entry in decode_message(message, keep_original, mapper):
            if isinstance(entry, MParticleEvent):
                results.append(select(entry) or build(hash_identities(entry)))
            else:
                results.append(entry)
        return results

    return convert
