"""TikTok's Events API: HTTP, the budget of requests, retries and isolation; no Beam.

In: a connection, and fragments of finished payloads. Out: an outcome for each payload. Each name is loaded when it is
first used, so that settings can be checked without what sends (`requests`).
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
