"""From mParticle messages to outcomes at TikTok: the public PTransforms and the values that flow.

The names below are loaded when they are first used, so that the mapping can be imported without Beam.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from transforms.batch import BatchPayloads
    from transforms.connection import Connection, Consent
    from transforms.deliver import WriteToTikTok
    from transforms.forward import ForwardToTikTok
    from transforms.model import Message, Outcome, Payload
    from transforms.stages import BuildPayloads, DecodeMessages, HashIdentities, SelectEvents
    from transforms.stream import Stream
    from transforms.vocabulary import Form, Kind, Reason

_PUBLIC = {
    "Connection": "transforms.connection",
    "Consent": "transforms.connection",
    "Message": "transforms.model",
    "Payload": "transforms.model",
    "Form": "transforms.vocabulary",
    "Outcome": "transforms.model",
    "Kind": "transforms.vocabulary",
    "Reason": "transforms.vocabulary",
    "DecodeMessages": "transforms.stages",
    "SelectEvents": "transforms.stages",
    "HashIdentities": "transforms.stages",
    "BuildPayloads": "transforms.stages",
    "BatchPayloads": "transforms.batch",
    "WriteToTikTok": "transforms.deliver",
    "ForwardToTikTok": "transforms.forward",
    "Stream": "transforms.stream",
}

__all__ = [
    "BatchPayloads",
    "BuildPayloads",
    "Connection",
    "Consent",
    "DecodeMessages",
    "Form",
    "ForwardToTikTok",
    "HashIdentities",
    "Kind",
    "Message",
    "Outcome",
    "Payload",
    "Reason",
    "SelectEvents",
    "Stream",
    "WriteToTikTok",
]


def __getattr__(name: str) -> Any:
    """Loads a public name from its module."""
    if name not in _PUBLIC:
        raise AttributeError(f"module 'transforms' has no attribute {name!r}")
    return getattr(importlib.import_module(_PUBLIC[name]), name)
