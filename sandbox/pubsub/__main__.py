"""`python -m sandbox.pubsub --port 8085`: starts the stand-in for Pub/Sub."""

import sys

from sandbox.pubsub.server import main

if __name__ == "__main__":
    sys.exit(main())
