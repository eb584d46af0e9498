"""Google's Dataflow job API.

In: a job to start, find, update or drain. Out: its state, and Google's refusals with a remedy.

Each name is loaded when it is first used, so that commands without Beam start at once.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
