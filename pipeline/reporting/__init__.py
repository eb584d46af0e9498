"""What a run shows.

In: Beam's counters. Out: summary, dry run and progress, for people and as JSON.

Each name is loaded when it is first used, so that commands without Beam start at once.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
