"""The rows of reading: which work, on which file, by whom, and the ratio to reach."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness import BFIO, Field
from images import N_PLANES, Cache, TiffFile, random_boxes
from race import Reading
from rows import IMAGE, LABELS, LIMIT, Entry, Row

OLD_TILE = 1024  # the only tile size that bfio 2.5.0 reads


@dataclass(frozen=True)
class ReadRow(Row):
    """A row with the file to read, and the name of what must come out."""

    file: TiffFile | None
    truth: str

    def race(self, field: Field, cache: Cache) -> Reading:
        """The race over this file, which is made if it is missing."""
        path, truth = self.prepare(cache)
        return Reading(field, self.entries, path, truth)

    def prepare(self, cache: Cache) -> tuple[Path, int]:
        """The file to read, made if missing, and the checksum of what must come out."""
        if self.file is None:
            path = cache.many_planes()
            return path, cache.truth("planes", "last")
        path = cache.plane_file(self.file)
        if self.truth == "regions":
            return path, cache.regions_truth(self.file.image, random_boxes())
        return path, cache.truth(self.file.image, self.truth)


def _rivals(task: str, file: TiffFile, options: dict[str, Any] | None = None) -> tuple[Entry, ...]:
    """bfio, and all who can read this layout."""
    names = [BFIO, "tifffile", "rasterio", "pyvips"]
    if file.tile == OLD_TILE:
        names.append("old bfio")
    return tuple(Entry(name, name, task, options) for name in names)


def _plane(key: str, title: str, target: float, file: TiffFile) -> ReadRow:
    """Read a whole plane; with deflate, libdeflate alone runs beside."""
    entries = _rivals("plane", file)
    if file.compression == "zlib":
        entries += (Entry(LIMIT, LIMIT, "plane", counts=False),)
    return ReadRow(key, f"whole plane, {title}", target, entries, file, "uint16")


def _regions(key: str, title: str, file: TiffFile) -> ReadRow:
    """200 random regions of 256 x 256."""
    boxes = {"boxes": random_boxes()}
    return ReadRow(key, f"200 regions 256 x 256, {title}", 1.5, _rivals("regions", file, boxes), file, "regions")


def _float32(key: str, title: str, file: TiffFile) -> ReadRow:
    """Read a whole plane as float32; rivals read, then ``astype``. GDAL can also convert while it copies."""
    entries = (*_rivals("float32", file), Entry("rasterio out_dtype", "rasterio", "to_float32", counts=False))
    return ReadRow(key, f"whole plane as float32, {title}", 1.3, entries, file, "float32")


def _last_plane() -> ReadRow:
    """Open a file of very many planes for the last of them."""
    planes = {"n_planes": N_PLANES}
    entries = (
        Entry(BFIO, BFIO, "last_plane"),
        Entry("tifffile series", "tifffile", "last_plane"),
        Entry("tifffile pages (no axes)", "tifffile", "last_page", counts=False),
        Entry("rasterio (no axes)", "rasterio", "last_page", planes, counts=False),
        Entry("pyvips (no axes)", "pyvips", "last_page", planes, counts=False),
    )
    return ReadRow("planes", f"open {N_PLANES:,} planes, read the last", 5.0, entries, None, "last")


READ_ROWS = (
    _plane("deflate-1024", "deflate, tiles 1024", 1.0, TiffFile(IMAGE, 1024, "zlib")),
    _plane("deflate-p-1024", "deflate + predictor, tiles 1024", 1.2, TiffFile(IMAGE, 1024, "zlib", True)),
    _plane("deflate-p-256", "deflate + predictor, tiles 256", 1.4, TiffFile(IMAGE, 256, "zlib", True)),
    _plane("zstd-p-512", "zstd + predictor, tiles 512", 1.2, TiffFile(IMAGE, 512, "zstd", True)),
    _plane("lzw-p-512", "LZW + predictor, tiles 512", 2.0, TiffFile(IMAGE, 512, "lzw", True)),
    _plane("raw-1024", "raw, tiles 1024", 1.2, TiffFile(IMAGE, 1024)),
    _plane("raw-256", "raw, tiles 256", 1.8, TiffFile(IMAGE, 256)),
    _plane("labels-1024", "labels, deflate, tiles 1024", 1.1, TiffFile(LABELS, 1024, "zlib")),
    _plane("labels-256", "labels, deflate, tiles 256", 1.7, TiffFile(LABELS, 256, "zlib")),
    _regions("regions-deflate-256", "deflate, tiles 256", TiffFile(IMAGE, 256, "zlib")),
    _regions("regions-deflate-1024", "deflate, tiles 1024", TiffFile(IMAGE, 1024, "zlib")),
    _regions("regions-raw-256", "raw, tiles 256", TiffFile(IMAGE, 256)),
    _regions("regions-raw-1024", "raw, tiles 1024", TiffFile(IMAGE, 1024)),
    _last_plane(),
    _float32("float32-deflate", "deflate + predictor, tiles 1024", TiffFile(IMAGE, 1024, "zlib", True)),
    _float32("float32-raw", "raw, tiles 1024", TiffFile(IMAGE, 1024)),
)
