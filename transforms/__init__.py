"""From mParticle messages to outcomes at TikTok: the public PTransforms and the values that flow.

In: a PCollection of `Message`, or of `Payload`. Out: an `Outcome` for each event. Each name is loaded when it is first
used, so that the mapping can be imported without Beam.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
