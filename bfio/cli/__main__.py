"""``python -m bfio.cli`` is the ``bfio`` command."""

import sys

from bfio.cli import main

if __name__ == "__main__":
    sys.exit(main())
