"""Writers in forked children that are killed, and what must be true of the files that they leave."""

import os
import signal
import time
import warnings
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

import bfio
from bfio.pyramid import halve

Op = tuple[Any, ...]
"""("write", y0, y1, x0, x1, z, version) or ("flush",)."""


@dataclass(frozen=True)
class Case:
    """An image to write, Z planes of one channel or of RGB."""

    size: tuple[int, int, int] = (150, 133, 3)  # Y, X, Z
    samples: int = 1
    tile: int = 32
    levels: int = 1
    compression: str = "deflate"
    workers: int = 2
    dtype: str = "uint16"
    options: dict[str, Any] = field(default_factory=dict)

    def writer(self, path: Path, **more: Any) -> bfio.BioWriter:
        y, x, z = self.size
        options = {"compression": self.compression, "levels": self.levels, "tile_size": self.tile, **self.options}
        sizes = {"Y": y, "X": x, "Z": z, "C": self.samples, "dtype": self.dtype}
        if self.samples > 1:
            sizes["spp"] = self.samples
        return bfio.BioWriter(path, max_workers=self.workers, **options, **sizes, **more)

    def truth(self, version: int) -> np.ndarray:
        """Pixels (Y, X, Z) or (Y, X, Z, C) of a version of the image; never 0, and each version differs everywhere."""
        y, x, z = (np.arange(n, dtype=np.uint32) for n in self.size)
        plain = y[:, None, None] * 131 + x[None, :, None] * 17 + z * 7919 + version * 4099
        if self.samples > 1:
            plain = plain[..., None] + np.arange(self.samples, dtype=np.uint32) * 1009
        return (plain % (60013 if self.dtype == "uint16" else 251) + 1).astype(self.dtype)

    @property
    def empty(self) -> np.ndarray:
        return np.zeros_like(self.truth(0))


def stored(path: Path, levels: int = 1) -> list[np.ndarray]:
    """Pixels (Y, X, Z[, C]) of all levels as tifffile reads them, which also finds the file valid."""
    with tifffile.TiffFile(path) as file:
        series = file.series[0]
        assert len(series.levels) == levels
        shape = series.levels[0].shape
        n_axes = 2 + ("S" in series.axes)
        found = []
        for level in series.levels:
            pixels = level.asarray()
            pixels = pixels.reshape(-1, *pixels.shape[len(shape) - n_axes :])
            found.append(np.moveaxis(pixels, 0, 2))
    return found


def check_levels(levels: Sequence[np.ndarray]) -> None:
    """Each level is the one above, halved."""
    for fine, coarse in pairwise(levels):
        first = np.moveaxis(fine, (0, 1), (-2, -1))
        half = np.moveaxis(halve(first), (-2, -1), (0, 1))
        assert np.array_equal(coarse, half), np.argwhere(coarse != half)[:5]


def check_finished(path: Path, expected: np.ndarray, levels: int) -> None:
    """The file has its name, no other one is left, and it holds the image."""
    assert path.exists() and not part_of(path).exists()
    found = stored(path, levels)
    assert np.array_equal(found[0], expected), np.argwhere(found[0] != expected)[:5]
    check_levels(found)
    check_extents(path, may_share=True)


def check_extents(path: Path, *, may_share: bool = False) -> None:
    """No two tiles of a file overlap; with ``may_share`` several may be the very same bytes (never written ones)."""
    extents = []
    with tifffile.TiffFile(path) as file:
        pages = [page for top in file.pages for page in (top, *(top.pages or ()))]
        for page in pages:
            extents += [pair for pair in zip(page.dataoffsets, page.databytecounts, strict=True) if pair[1] and pair[0]]
    if may_share:
        extents = list(set(extents))
    extents.sort()
    size = path.stat().st_size
    stops = [offset + nbytes for offset, nbytes in extents]
    assert all(sum(one) <= other[0] for one, other in pairwise(extents)), "tiles overlap"
    assert not stops or stops[-1] <= size


def part_of(path: Path) -> Path:
    return path.with_name(path.name + ".part")


def missing_mask(writer: bfio.BioWriter, shape: tuple[int, ...]) -> np.ndarray:
    """Bool array (Y, X, Z[, C]) of what is missing, each pixel at most once."""
    counts = np.zeros(shape, int)
    for y, x, z, c, _ in writer.missing:
        counts[(y, x, z, c) if len(shape) == 4 else (y, x, z)] += 1
    assert counts.max(initial=0) <= 1
    return counts > 0


def apply(writer: bfio.BioWriter, case: Case, op: Op) -> None:
    if op[0] == "flush":
        writer.flush()
        return
    _, y0, y1, x0, x1, z, version = op
    block = case.truth(version)[y0:y1, x0:x1, z]
    writer[y0:y1, x0:x1, z] = block if block.ndim == 2 else block[:, :, None]


def random_ops(case: Case, rng: np.random.Generator, n: int, aligned: float = 0.5, flush: float = 0.05) -> list[Op]:
    """Blocks of any place and size, about half of them cut at tiles, and checkpoints."""
    ops: list[Op] = []
    for _ in range(n):
        if rng.random() < flush:
            ops.append(("flush",))
            continue
        y0, y1, x0, x1 = (*_span(case.size[0], rng), *_span(case.size[1], rng))
        if rng.random() < aligned:
            tile = case.tile
            y0, x0 = y0 // tile * tile, x0 // tile * tile
            y1, x1 = min(-(-y1 // tile) * tile, case.size[0]), min(-(-x1 // tile) * tile, case.size[1])
        ops.append(("write", y0, y1, x0, x1, int(rng.integers(case.size[2])), int(rng.integers(3))))
    return ops


def _span(size: int, rng: np.random.Generator) -> tuple[int, int]:
    start = int(rng.integers(size))
    return start, min(size, start + 1 + int(rng.integers(1 + size // 2)))


@contextmanager
def child(work: Callable[[Callable[[object], None]], object]) -> Any:
    """A forked child that runs ``work(tell)``: (process id, stream of the lines that it told). It is killed at the end."""
    reading, writing = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        pid = os.fork()
    if pid == 0:
        os.close(reading)
        signal.alarm(30)
        status = 1
        try:
            work(lambda what: os.write(writing, f"{what}\n".encode()))
            status = 0
        except BaseException as error:  # noqa: BLE001 - shown by the parent
            os.write(writing, f"raised {error!r}\n".encode())
        finally:
            os._exit(status)
    os.close(writing)
    with open(reading) as lines:
        try:
            yield pid, lines
        finally:
            kill(pid)


def kill(pid: int) -> None:
    """kill -9, and wait for the end."""
    try:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    except (ProcessLookupError, ChildProcessError):
        pass


def killed_writer(
    path: Path, case: Case, ops: Sequence[Op], rng: np.random.Generator, *, resume: bool = False
) -> int:
    """Let a child apply the operations, and kill it at some moment; the last flush it told of, or -1."""

    def work(tell: Callable[[object], None]) -> None:
        with case.writer(path, resume=resume) as writer:
            for index, op in enumerate(ops):
                apply(writer, case, op)
                if op[0] == "flush" or not index:
                    tell(index)
            tell("end")
            time.sleep(30)  # never close

    with child(work) as (pid, lines):
        told = [int(lines.readline())]
        n_flushes = sum(op[0] == "flush" for op in ops)
        for _ in range(int(rng.integers(1 + n_flushes))):
            line = lines.readline().strip()
            if not line.isdigit():
                assert line == "end", line
                break
            told.append(int(line))
        time.sleep(rng.random() * 0.01)
        kill(pid)
        told += [int(line) for line in lines.read().split() if line.isdigit()]
    flushed = [index for index in told if ops[index][0] == "flush"]
    return max(flushed, default=-1)


def check_resumed(
    writer: bfio.BioWriter, path: Path, case: Case, ops: Sequence[Op], flushed: int, base: np.ndarray | None = None,
    *, fill: int | None = None,
) -> np.ndarray:
    """What was flushed is there, all that is not missing was really written.

    ``base`` was there before the operations, save where it is 0. Returns the image as it is, with version 7, or
    ``fill``, where it is missing.
    """
    expected = case.empty if base is None else base.copy()
    for op in ops[: flushed + 1]:
        if op[0] == "write":
            expected[_where(op)] = case.truth(op[6])[_where(op)]
    lost = missing_mask(writer, expected.shape)
    (found, *_) = stored(part_of(path), case.levels)
    right = (found == expected) & (expected > 0)
    for op in ops[flushed + 1 :]:
        if op[0] == "write":
            right[_where(op)] |= found[_where(op)] == case.truth(op[6])[_where(op)]
    assert not (lost & (expected > 0)).any(), "something that was flushed is missing"
    assert right[~lost].all(), "wrong pixels that are not missing"
    return np.where(lost, case.truth(7) if fill is None else np.uint16(fill), found)


def _where(op: Op) -> tuple[Any, ...]:
    return slice(op[1], op[2]), slice(op[3], op[4]), op[5]


def write_missing(writer: bfio.BioWriter, case: Case, version: int = 7) -> None:
    truth = case.truth(version)
    for key in writer.missing:
        y, x, z, c, _ = key
        writer[key] = truth[y, x, z, c] if truth.ndim == 4 else truth[y, x, z]
