"""Custom mappings: a connection's settings in, functions out that make TikTok events of an mParticle event.

`compile_mapper` makes them for decoding, `traced_mapper` the same ones with a record of why each mapping matched.
"""

from transforms.mapping.custom.coerce import coercer
from transforms.mapping.custom.conditions import folded, message_type, wanted
from transforms.mapping.custom.explain import Trace, TracedMapper, traced_mapper
from transforms.mapping.custom.mapper import compile_mapper, compile_mappings, label
from transforms.mapping.custom.parameters import CONTENT_PARAMETERS, EVENT_PARAMETERS, PARAMETER_TYPES, is_personal

__all__ = [
    "CONTENT_PARAMETERS",
    "EVENT_PARAMETERS",
    "PARAMETER_TYPES",
    "Trace",
    "TracedMapper",
    "coercer",
    "compile_mapper",
    "compile_mappings",
    "folded",
    "is_personal",
    "label",
    "message_type",
    "traced_mapper",
    "wanted",
]
