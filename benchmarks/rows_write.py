"""The rows of writing: which pixels, written how, by whom, and the ratio to reach."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from harness import BFIO, Field, writer
from images import CACHE, SIDE, Cache
from pixels import shaped
from protocol import crc
from race import Writing
from rows import IMAGE, LABELS, Entry, Row

TILE = 1024
STACK_TILE = 512
LEVELS = 5
FOLDER = CACHE / "written"


@dataclass(frozen=True)
class WriteRow(Row):
    """A row with the image, the shape that it is written in, and levels of the file."""

    image: str
    shape: str = "plane"
    sides: tuple[int, ...] = ()  # of the levels of a pyramid

    def race(self, field: Field, cache: Cache) -> Writing:
        """The race; nobody reads from the disk while the clock runs."""
        FOLDER.mkdir(exist_ok=True)
        truth = crc([shaped(cache.image(self.image), self.shape)])
        check = partial(_wrong, truth=truth, sides=self.sides)
        return Writing(field, self.entries, FOLDER, check)


def _wrong(path: Path, truth: int, sides: Sequence[int]) -> str | None:
    """What tifffile finds wrong with a file: pixels, or sides of the levels (a rival may leave the last ones out)."""
    with tifffile.TiffFile(path) as tif:
        series = tif.series[0]
        if crc([series.asarray()]) != truth:
            return "wrong pixels"
        found = [level.shape[-1] for level in series.levels]
        if len(found) != 1 if not sides else len(found) == 1 or found != list(sides[: len(found)]):
            return f"levels of {found}"
        means = [float(np.mean(level.asarray())) for level in series.levels]
    return None if max(means) - min(means) < 1 else f"means of levels: {means}"


def written(label: str, library: str, image: str, shape: str = "plane", task: str = "write", **options: Any) -> Entry:
    """One contender: the file of the image, its shape, and the library's own options."""
    place = {"image": str(Cache.place(image)), "shape": shape}
    return Entry(label, writer(library), task, place | options)


def _tifffile(label: str, image: str, level: int | None, **options: Any) -> Entry:
    arguments = {} if level is None else {"compressionargs": {"level": level}}
    return written(f"tifffile{label}", "tifffile", image, tile=[TILE, TILE], **arguments, **options)


def _rasterio(label: str, image: str, **options: Any) -> Entry:
    return written(f"rasterio{label}", "rasterio", image, blockxsize=TILE, blockysize=TILE, tiled=True, **options)


def _pyvips(label: str, image: str, **options: Any) -> Entry:
    return written(f"pyvips{label}", "pyvips", image, tile_width=TILE, tile_height=TILE, tile=True, **options)


def _deflate() -> WriteRow:
    """Microscopy as everyone does it best: with the predictor, at the fastest level and at the default."""
    entries = (
        written(BFIO, BFIO, IMAGE, compression="deflate", predictor=True, tile_size=TILE),
        _tifffile(" level 1", IMAGE, 1, compression="zlib", predictor=True),
        _tifffile("", IMAGE, None, compression="zlib", predictor=True),
        _rasterio(" level 1", IMAGE, compress="deflate", zlevel=1, predictor=2),
        _pyvips(" level 1", IMAGE, compression="deflate", level=1, predictor="horizontal"),
        _pyvips("", IMAGE, compression="deflate", predictor="horizontal"),
        written("old bfio", "old bfio", IMAGE),
    )
    return WriteRow("write-deflate-p", "microscopy, deflate + predictor", 2.0, entries, IMAGE)


def _labels() -> WriteRow:
    """Labels: bfio chooses the predictor; rivals come with it and without it."""
    entries = [written(BFIO, BFIO, LABELS, compression="deflate", tile_size=TILE)]
    for suffix, predictor in (("", False), (" predictor", True)):
        entries += [
            _tifffile(f" level 1{suffix}", LABELS, 1, compression="zlib", predictor=predictor or None),
            _tifffile(suffix, LABELS, None, compression="zlib", predictor=predictor or None),
            _rasterio(f" level 1{suffix}", LABELS, compress="deflate", zlevel=1, predictor=2 if predictor else 1),
        ]
        kind = {"predictor": "horizontal" if predictor else "none"}
        entries += [
            _pyvips(f" level 1{suffix}", LABELS, compression="deflate", level=1, **kind),
            _pyvips(suffix, LABELS, compression="deflate", **kind),
        ]
    entries.append(written("old bfio", "old bfio", LABELS))
    return WriteRow("write-labels", "labels, deflate", 3.0, tuple(entries), LABELS)


def _zstd() -> WriteRow:
    entries = (
        written(BFIO, BFIO, IMAGE, compression="zstd", compression_level=1, predictor=True, tile_size=TILE),
        _tifffile(" level 1", IMAGE, 1, compression="zstd", predictor=True),
        _tifffile("", IMAGE, None, compression="zstd", predictor=True),
        _rasterio(" level 1", IMAGE, compress="zstd", zstd_level=1, predictor=2),
    )
    return WriteRow("write-zstd-p", "microscopy, zstd level 1 + predictor", 1.2, entries, IMAGE)


def _raw() -> WriteRow:
    entries = (
        written(BFIO, BFIO, IMAGE, compression=None, tile_size=TILE),
        replace(written("bfio durable=False", BFIO, IMAGE, compression=None, durable=False), counts=False),
        _tifffile("", IMAGE, None),
        _rasterio("", IMAGE),
        _pyvips("", IMAGE),
    )
    return WriteRow("write-raw", "microscopy, none", 1.0, entries, IMAGE)


def _pyramid() -> WriteRow:
    """Five levels; libvips stops where a level fits into a tile, after four, or goes down to one pixel."""
    size = {"pyramid": True, "subifd": True, "compression": "deflate", "level": 1}
    entries = (
        written(BFIO, BFIO, IMAGE, compression="deflate", levels=LEVELS, tile_size=TILE),
        _pyvips("", IMAGE, **(size | {"predictor": "none", "level": 6})),
        _pyvips(" level 1", IMAGE, **size, predictor="none"),
        _pyvips(" level 1 predictor", IMAGE, **size, predictor="horizontal"),
    )
    sides = tuple(SIDE >> level for level in range(LEVELS))
    return WriteRow("write-pyramid", f"microscopy, deflate, {LEVELS} levels", 2.0, entries, IMAGE, sides=sides)


def _stack() -> tuple[WriteRow, WriteRow]:
    """64 planes of 1024 x 1024 in tiles of 512, bfio against itself."""
    write = partial(written, library=BFIO, image=IMAGE, shape="stack", compression="deflate", tile_size=STACK_TILE)
    order = (write(BFIO, task="planes", shuffled=True), write("bfio in order", task="planes"))
    shared = (write(BFIO, task="two_processes"), write("bfio one worker", task="planes", workers=1))
    return (
        WriteRow("write-shuffled", "64 planes in random order against in order", 0.9, order, IMAGE, "stack"),
        WriteRow("write-processes", "64 planes by 2 processes against 1", 1.6, shared, IMAGE, "stack"),
    )


def _small_pieces() -> tuple[WriteRow, ...]:
    """What a call costs: tile after tile, by one thread and by two, and very many small planes."""
    write = partial(written, library=BFIO, image=IMAGE, compression="deflate", tile_size=TILE)
    loops = (write(BFIO, task="tiles"), write("bfio at once"))
    threads = (write(BFIO, task="tiles", threads=2), write("bfio at once"))
    small = (
        written(BFIO, BFIO, IMAGE, "planes", "planes", compression=None, tile_size=64),
        written("tifffile", "tifffile", IMAGE, "planes", "planes", tile=[64, 64]),
    )
    return (
        WriteRow("write-tiles", "tile after tile against at once", None, loops, IMAGE),
        WriteRow("write-tiles-threads", "the same, 2 threads", None, threads, IMAGE),
        WriteRow("write-planes", "10,000 planes of 64 x 64", None, small, IMAGE, "planes"),
    )


WRITE_ROWS = (_deflate(), _labels(), _zstd(), _raw(), *_stack(), _pyramid(), *_small_pieces())
