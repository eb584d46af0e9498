"""Every rule of the mapping: bytes of an mParticle message in, a `Payload` or an `Outcome` for each of its events out.

Pure functions and tables: no Beam, no I/O, no clock. `converter` runs the four steps in a row (decode, select, hash,
build), `tables` is what is data in them, and `transforms.mapping.custom` is the front of custom mappings.
"""

from transforms.mapping import custom, tables
from transforms.mapping.convert import converter
from transforms.mapping.decode import decode_message
from transforms.mapping.identity import hasher
from transforms.mapping.lenient_decode import parse_json
from transforms.mapping.payload import builder
from transforms.mapping.pii import has_contact
from transforms.mapping.select import canonical_action, selector
from transforms.mapping.values import first_scalar

__all__ = [
    "builder",
    "canonical_action",
    "converter",
    "custom",
    "decode_message",
    "first_scalar",
    "has_contact",
    "hasher",
    "parse_json",
    "selector",
    "tables",
]
