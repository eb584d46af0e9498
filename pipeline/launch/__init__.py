"""Dataflow templates and their launch.

In: the flags of `launch`. Out: checked parameters and the requests that start, update or drain a job.

Each name is loaded when it is first used: a mistake is reported without loading Google's client library.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
