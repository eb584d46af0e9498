"""What events are read from: files, folders of files, and Pub/Sub.

In: patterns or a subscription. Out: a `Message` for each message, with a reference to its place.

Each name is loaded when it is first used, so that commands without Beam start at once.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
