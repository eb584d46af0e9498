"""One Beam coder for every value that flows: MessagePack of msgspec structs, tagged with the type's name.

All types share it on purpose: the tagged output of a batched DoFn is encoded with the coder of the main output, so a
coder per type would fail on every runner that encodes between stages.
"""

from typing import Any

import msgspec
from apache_beam import coders

from transforms.model import Fragment, IdentifiedEvent, Message, MParticleEvent, Outcome, Payload, Units

Value = Message | MParticleEvent | IdentifiedEvent | Payload | Fragment | Outcome | Units

# An event with one product, or an outcome, takes about so much.
_TYPICAL_BYTES = 1_000

_encode = msgspec.msgpack.Encoder().encode
_decoder: msgspec.msgpack.Decoder[Value] = msgspec.msgpack.Decoder(Value)


class ValueCoder(coders.Coder):
    """Encodes any value of `transforms.model` that flows between steps."""

    def encode(self, value: Value) -> bytes:
        """Returns a MessagePack array that begins with the type's name."""
        return _encode(value)

    def decode(self, encoded: bytes) -> Value:
        """Returns the value."""
        return _decoder.decode(encoded)

    def estimate_size(self, value: Value) -> int:
        """Returns about how long the encoding is, without encoding.

        Beam asks this of a hundred values of every batch at every step, for its counters of bytes only.
        """
        if isinstance(value, Message):
            return len(value.data)
        if isinstance(value, Payload):
            return len(value.body)
        if isinstance(value, Fragment):
            return value.body_bytes
        return _TYPICAL_BYTES

    def is_deterministic(self) -> bool:
        """Returns False: dictionaries inside keep their order, so equal values may differ in bytes."""
        return False

    def to_type_hint(self) -> Any:
        """Returns the union of the types."""
        return Value

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other)

    def __hash__(self) -> int:
        return hash(type(self))


for _type in (Message, MParticleEvent, IdentifiedEvent, Payload, Fragment, Outcome, Units):
    coders.registry.register_coder(_type, ValueCoder)
