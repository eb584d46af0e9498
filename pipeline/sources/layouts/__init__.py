"""How messages lie in Parquet files, and in lines of JSON that are rows of a warehouse.

In: a file's columns and rows. Out: the layout that they have, and the JSON of a message for each row.

Each name is loaded when it is first used, so that lines of JSON are read without pyarrow.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
