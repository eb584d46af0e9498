"""Pub/Sub as a source.

In: a subscription. Out: its messages, each with a lease that lasts until it is settled.

Each name is loaded when it is first used, so that commands without Beam start at once.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
