"""The matrix as a table in Markdown: what each reader makes of each kind of file."""

import tempfile
from pathlib import Path

from readers import registry
from readers.cases import OME_TYPES, Case, cases
from readers.inabilities import inability
from readers.picture import attempt, outcome
from readers.writing import write

TITLES = {"none": "no compression", "packbits": "PackBits", "lzw": "LZW", "jpeg": "JPEG", "jpeg2000": "JPEG 2000"}
TITLES["webp"] = "WebP"


def kind(case):
    """Row of the table that a file belongs to."""
    title = TITLES.get(case.compression, case.compression)
    if case.dtype not in OME_TYPES:
        return f"{case.dtype}, {title}"
    if case in _plain(case) or case.samples > 1:
        words = ["RGB" * (case.lossy and case.samples > 1), "RGB and RGBA" * (case.samples > 1 and not case.lossy)]
        words += [title, {1: "", None: "as by default"}.get(case.predictor, f"predictor {case.predictor}")]
        return ", ".join(filter(None, words))
    return "BigTIFF" if case.bigtiff else "sizes from 1 x 1 to 200 x 301, 1 to 24 planes, 1 to 4 levels"


def _plain(case):
    """The case with all that is not of interest left at its defaults."""
    return [Case(case.dtype, case.compression, case.predictor)]


def cell(name, outcomes):
    """Outcomes of the files of a row, in as few words as possible."""
    words = {word for _, word in outcomes}
    if words <= {"equal"}:
        return "yes"
    if words == {"raises"}:
        return "no"
    return "; ".join(dict.fromkeys(_tell(name, case, word) for case, word in outcomes if word != "equal"))


def _tell(name, case, word):
    row = inability(name, case)
    if row is None or row.outcome != word:
        return f"{case}: {word}"
    told = {"raises": f"not {row.what}", "differs": f"**{row.what}**", "zeros": f"**{row.what}**"}
    return told.get(word, f"{row.what} {word}" if word.startswith("as ") else row.what)


def table():
    """Read all files of the matrix by all readers that are installed."""
    names = [name for name in registry.NAMES if registry.reader(name)]
    rows = {}
    with tempfile.TemporaryDirectory() as folder:
        for number, case in enumerate(cases()):
            path = Path(folder, f"{number}.ome.tif")
            write(case, path)
            row = rows.setdefault(kind(case), {name: [] for name in names})
            for name in names:
                found = attempt(registry.reader(name).read, path)
                row[name].append((case, outcome(found, case.expected, case.lossy)))
    heads = [f"{name.partition(' ')[0]} {registry.reader(name).version()}" for name in names]
    lines = ["| file | " + " | ".join(heads) + " |", "|---" * (len(names) + 1) + "|"]
    lines += [f"| {title} | " + " | ".join(cell(name, row[name]) for name in names) + " |" for title, row in rows.items()]
    registry.close_all()
    return "\n".join(lines)
