"""For those who write connections; without Beam.

In: a connection with messages, cases or projections. Out: previews, results, findings and differences.

Each name is loaded when it is first used, so that `preview` answers at once.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
