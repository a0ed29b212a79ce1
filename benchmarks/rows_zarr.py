"""The rows of Zarr: chunk files and shards, written, read as a whole and by regions."""

import shutil
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from harness import BFIO, Field, zarr
from images import CACHE, VOLUME, Cache
from protocol import WORKERS, crc
from race import Reading, WritingStores
from rows import Entry, Row
from rows_write import FOLDER

IMAGE = "volume"
LEVEL = 1
DEFAULT = "zarr-python"

Boxes = list[tuple[int, int, int, int, int]]


@dataclass(frozen=True)
class Layout:
    """How the volume is cut."""

    key: str
    title: str
    chunks: tuple[int, ...]
    shards: tuple[int, ...] | None = None

    @property
    def path(self) -> Path:
        """Of the store that all read."""
        return CACHE / f"{IMAGE}-{self.key}.ome.zarr"

    def store(self, cache: Cache) -> Path:
        """Make it, with zarr-python."""
        if not self.path.exists():
            print(f"writing {self.path.name}", file=sys.stderr)
            part = self.path.with_suffix(".part")
            shutil.rmtree(part, ignore_errors=True)
            _make(part, cache.image(IMAGE), self)
            part.rename(self.path)
        return self.path


def _make(path: Path, pixels: np.ndarray, layout: Layout) -> None:
    import zarr

    axes = [{"name": name, "type": "space"} for name in "zyx"]
    scale = {"type": "scale", "scale": [1.0, 1.0, 1.0]}
    image = {"axes": axes, "datasets": [{"path": "0", "coordinateTransformations": [scale]}]}
    group = zarr.create_group(path, attributes={"ome": {"version": "0.5", "multiscales": [image]}})
    array = group.create_array(
        "0",
        shape=pixels.shape,
        dtype=pixels.dtype,
        chunks=layout.chunks,
        shards=layout.shards,
        compressors=zarr.codecs.ZstdCodec(level=LEVEL),
        dimension_names=("z", "y", "x"),
    )
    array[:] = pixels


@dataclass(frozen=True)
class StoreReadRow(Row):
    """A row with the layout of the store to read, and the regions, if it is not read as a whole."""

    layout: Layout
    boxes: Boxes | None = None

    def race(self, field: Field, cache: Cache) -> Reading:
        """The race over this store, which is made if it is missing."""
        path = self.layout.store(cache)
        truth = cache.truth(IMAGE) if self.boxes is None else _regions_truth(cache.image(IMAGE), self.boxes)
        return Reading(field, self.entries, path, truth)


@dataclass(frozen=True)
class StoreWriteRow(Row):
    """A row of writing."""

    def race(self, field: Field, cache: Cache) -> WritingStores:
        """The race; what is written first is read back."""
        FOLDER.mkdir(exist_ok=True)
        cache.image(IMAGE)
        return WritingStores(field, self.entries, FOLDER, partial(_wrong, truth=cache.truth(IMAGE)))


def _wrong(path: Path, truth: int) -> str | None:
    """What tensorstore finds wrong with the pixels of a store."""
    import tensorstore

    context = {"data_copy_concurrency": {"limit": WORKERS}}
    store = {"driver": "file", "path": str(path / "0")}
    array = tensorstore.open({"driver": "zarr3", "kvstore": store, "context": context}).result()
    return None if crc([array.read().result()]) == truth else "wrong pixels"


def _regions_truth(pixels: np.ndarray, boxes: Boxes) -> int:
    return crc(pixels[z, y0 : y0 + height, x0 : x0 + width] for z, y0, x0, height, width in boxes)


def random_boxes(n_boxes: int = 20, size: int = 512) -> Boxes:
    """The same random regions of planes for everyone: z, y0, x0, height, width."""
    limits = (VOLUME[0], VOLUME[1] - size + 1, VOLUME[2] - size + 1)
    corners = np.random.default_rng(20268).integers(0, limits, (n_boxes, 3))
    return [(int(z), int(y0), int(x0), size, size) for z, y0, x0 in corners]


def _rivals(task: str, ours: dict[str, Any], theirs: dict[str, Any], *, old: bool = False) -> tuple[Entry, ...]:
    """tensorstore counts as the rival; the target against zarr-python stands beside it."""
    entries = [
        Entry(BFIO, zarr(BFIO), task, ours),
        Entry("tensorstore", zarr("tensorstore"), task, theirs),
        Entry(DEFAULT, zarr(DEFAULT), task, theirs, counts=False),
        Entry("zarrs", zarr("zarrs"), task, theirs | {"zarrs": True}, counts=False),
    ]
    if old:
        entries.append(Entry("old bfio", zarr("old bfio"), task, theirs, counts=False))
    return tuple(entries)


def _rows(layout: Layout) -> tuple[StoreWriteRow | StoreReadRow, ...]:
    image = {"image": str(Cache.place(IMAGE))}
    cut = {"chunks": layout.chunks, "shards": layout.shards}
    ours = image | cut | {"compression": "zstd", "compression_level": LEVEL, "durable": False}
    write = _rivals("write", ours, image | cut | {"level": LEVEL})
    boxes = random_boxes()
    old = layout.shards is None
    volume = _rivals("volume", {}, {}, old=old)
    regions = _rivals("regions", {"boxes": boxes}, {"boxes": boxes}, old=old)
    key, title = layout.key, layout.title
    return (
        StoreWriteRow(f"zarr-write-{key}", f"write, {title}", 1.0, write, also={DEFAULT: 1.8}),
        StoreReadRow(f"zarr-read-{key}", f"read all, {title}", 1.1, volume, layout, also={DEFAULT: 2.5}),
        StoreReadRow(
            f"zarr-regions-{key}", f"20 regions 512 x 512, {title}", 1.0, regions, layout, boxes, also={DEFAULT: 2.5}
        ),
    )


def _durable_row(layout: Layout) -> StoreWriteRow:
    """Who returns when the disk has all of it: by default, both; zarr-python has no such option."""
    image = {"image": str(Cache.place(IMAGE)), "chunks": layout.chunks, "shards": layout.shards}
    ours = image | {"compression": "zstd", "compression_level": LEVEL, "durable": True}
    entries = (
        Entry(BFIO, zarr(BFIO), "write", ours),
        Entry("tensorstore", zarr("tensorstore"), "write", image | {"level": LEVEL, "sync": True}),
    )
    return StoreWriteRow(f"zarr-durable-{layout.key}", f"write to the disk, {layout.title}", 1.0, entries)


_FILES = Layout("files", "chunk files 1 x 1024 x 1024", (1, 1024, 1024))
ZARR_ROWS = (
    *_rows(_FILES),
    _durable_row(_FILES),
    *_rows(Layout("shards", "chunks 16 x 128 x 128 in shards", (16, 128, 128), (48, 1024, 1024))),
)
