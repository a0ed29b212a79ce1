"""The rows of Bio-Formats: bfio's reader by Java, and bfio's own TIFF reader and writer, against python-bioformats."""

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from harness import BFIO, Field, java
from images import CACHE, Cache, TiffFile
from race import Reading
from rows import Entry, Row
from rows_write import WriteRow, written

PEER = "python-bioformats"
SIDE = 4096
TILE = 512
REGION = 1024
ROWS = 64  # of a strip
WARM = 2  # rounds that are not counted, for Java's compiler
QUARTER, PAIR, LABELS = "quarter", "pair", "label-quarter"
FAKE = "plane&sizeX=4096&sizeY=4096&sizeZ=2&pixelType=uint16.fake"
FILES = {
    "fake": None,
    "raw": TiffFile(PAIR, TILE),
    "deflate": TiffFile(PAIR, TILE, "zlib"),
    "LZW": TiffFile(PAIR, TILE, "lzw"),
}
STRIP = TiffFile(LABELS, None, "zlib")

Boxes = list[tuple[int, int, int, int]]


@dataclass(frozen=True)
class JavaRow(Row):
    """A row with the file to read (None: a fake one of Bio-Formats), and the parts of its last plane."""

    file: TiffFile | None
    boxes: Boxes | None = None
    rounds: int | None = None

    def race(self, field: Field, cache: Cache) -> Reading:
        """The race over this file, which is made if it is missing."""
        if self.file is None:
            path = CACHE / FAKE
            path.touch()  # python-bioformats wants to see a file
            return Reading(field, self.entries, path, None, self.rounds)
        path = cache.plane_file(self.file)
        image = QUARTER if self.file.image == PAIR else self.file.image
        truth = cache.truth(image) if self.boxes is None else cache.regions_truth(image, self.boxes)
        return Reading(field, self.entries, path, truth, self.rounds)


def _grid() -> Boxes:
    """All regions of 1024 x 1024, side by side."""
    places = range(0, SIDE, REGION)
    return [(y, x, REGION, REGION) for y in places for x in places]


def _shifted() -> Boxes:
    """As many regions anywhere."""
    corners = np.random.default_rng(20266).integers(0, SIDE - REGION + 1, ((SIDE // REGION) ** 2, 2))
    return [(int(y), int(x), REGION, REGION) for y, x in corners]


def _strips() -> Boxes:
    return [(y, 0, ROWS, SIDE) for y in range(0, SIDE, ROWS)]


def _ours(label: str, task: str, workers: int, backend: str = "bioformats", **options: Any) -> Entry:
    how = {"workers": workers, "prime": True, "backend": backend}
    return Entry(label, java(BFIO), task, {"reader": how, "warm": WARM, **options})


def _theirs(task: str, **options: Any) -> tuple[Entry, ...]:
    """python-bioformats by its ``read`` and by what lies below."""
    how = {"reader": {"prime": True}, "warm": WARM, **options}
    return (
        Entry(PEER, java(PEER), task, how),
        Entry(f"{PEER} openBytes", java(PEER), f"{task}_bytes", how),
    )


def _old(task: str) -> Entry:
    return Entry("old bfio", java("old bfio"), task, {"reader": {"prime": True}})


def _plane(name: str, file: TiffFile | None) -> JavaRow:
    entries = (_ours(BFIO, "plane", 1), *_theirs("plane"), _old("plane"))
    return JavaRow(f"java-plane-{name.lower()}", f"one worker, whole plane, {name}", 1.0, entries, file)


def _regions(name: str, file: TiffFile | None, boxes: Boxes, where: str = "") -> JavaRow:
    entries = (_ours(BFIO, "regions", 1, boxes=boxes), *_theirs("regions", boxes=boxes))
    title = f"one worker, 16 regions of 1024 x 1024{where}, {name}"
    key = f"java-regions-{name.lower()}{'-anywhere' if where else ''}"
    return JavaRow(key, title, 1.0, entries, file, boxes)


def _two(name: str, file: TiffFile | None) -> JavaRow:
    entries = (_ours(BFIO, "plane", 2), _ours("bfio one worker", "plane", 1), *_theirs("plane"))
    return JavaRow(f"java-two-{name.lower()}", f"two workers, whole plane, {name}", 1.6, entries, file)


def _own(name: str, file: TiffFile | None, target: float) -> JavaRow:
    entries = (_ours(BFIO, "plane", 2, "python"), *_theirs("plane"))
    return JavaRow(f"own-{name.lower()}", f"bfio's TIFF reader, whole plane, {name}", target, entries, file)


def _strip() -> JavaRow:
    """Without priming, as that would read all of the only plane; one round, as a round of the rival takes so long."""
    boxes = _strips()
    ours = Entry(BFIO, java(BFIO), "regions", {"reader": {"workers": 1}, "boxes": boxes, "warm": WARM})
    theirs = Entry(PEER, java(PEER), "regions", {"reader": {}, "boxes": boxes})
    title = f"{SIDE} x {SIDE} in one deflate strip, by {ROWS} rows"
    return JavaRow("java-strip", title, 20.0, (ours, theirs), STRIP, boxes, rounds=1)


def _openings() -> tuple[JavaRow, ...]:
    file = FILES["deflate"]
    opening = (Entry(BFIO, java(BFIO), "open"), Entry(PEER, java(PEER), "open"))
    both = (
        Entry(BFIO, java(BFIO), "from_scratch", {"workers": 2}),
        Entry("bfio one worker", java(BFIO), "from_scratch", {"workers": 1}),
        Entry(PEER, java(PEER), "from_scratch"),
    )
    return (
        JavaRow("java-open", "open and close an OME-TIFF", None, opening, file),
        JavaRow("java-scratch", "open it, read a plane (deflate), two workers", None, both, file),
    )


def _writing() -> tuple[WriteRow, ...]:
    """Tiles of 512; Bio-Formats gets tile after tile, or all at once (bands of tiles it puts in wrong places)."""
    write = partial(written, image=QUARTER)
    rows = []
    for name, ours, theirs in (("deflate", "deflate", "zlib"), ("none", None, "Uncompressed")):
        options = {"tile": TILE, "compression": theirs}
        entries = [
            write(BFIO, BFIO, compression=ours, tile_size=TILE),
            write("Bio-Formats tiles", "Bio-Formats", rows=TILE, columns=TILE, **options),
            write("Bio-Formats plane", "Bio-Formats", rows=SIDE, columns=SIDE, **options),
        ]
        if ours is None:
            entries.append(write(PEER, PEER))
        title = f"bfio's TIFF writer, tiles of {TILE}, {name}"
        rows.append(WriteRow(f"java-write-{name}", title, 10.0, tuple(entries), QUARTER))
    return tuple(rows)


_TIFFS = {name: file for name, file in FILES.items() if file is not None}
JAVA_ROWS: tuple[JavaRow | WriteRow, ...] = (
    *(_plane(name, file) for name, file in FILES.items()),
    *(_regions(name, file, _grid()) for name, file in FILES.items()),
    _regions("deflate", FILES["deflate"], _shifted(), " anywhere"),
    *(_two(name, FILES[name]) for name in ("deflate", "LZW")),
    _strip(),
    *_openings(),
    *(_own(name, FILES[name], target) for name, target in (("deflate", 7.0), ("LZW", 12.0), ("raw", 10.0))),
    *_writing(),
)
