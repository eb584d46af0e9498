"""The file that Dataflow's launcher starts (FLEX_TEMPLATE_PYTHON_PY_FILE); everything else is in `pipeline.flex`."""

import sys

from pipeline.flex import main

if __name__ == "__main__":
    sys.exit(main())
