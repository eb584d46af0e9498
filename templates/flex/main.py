"""The file that Dataflow's launcher starts (FLEX_TEMPLATE_PYTHON_PY_FILE); all else is in `pipeline.cli`."""

import sys

from pipeline.cli import flex_entrypoint

if __name__ == "__main__":
    sys.exit(flex_entrypoint.main())
