"""Write files of all kinds, read them by other libraries, print who reads what as a table in Markdown.

Run it where ``make test`` has installed the readers: ``.venv/bin/python tools/readers_matrix.py``.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from readers.report import table  # type: ignore[import-not-found]

if __name__ == "__main__":
    print(table())
