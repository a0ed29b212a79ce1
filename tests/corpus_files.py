"""Where the sample files are: beside the project; absent in most places."""

from pathlib import Path

CORPUS = Path(__file__).resolve().parents[2] / "shared" / "corpus"
