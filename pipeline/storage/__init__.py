"""Local files and buckets: the only package that knows one from the other.

In: paths and patterns, local or `gs://`. Out: files, their sizes, streams, and errors with a remedy.

Each name is loaded when it is first used, so that commands without Beam start at once.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
