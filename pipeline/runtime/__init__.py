"""State of this process: what was read and sent so far, and whether it is to stop.

In: counts from steps, signals from outside. Out: progress for a display, and an early end of the input.

Each name is loaded when it is first used, so that commands without Beam start at once.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
