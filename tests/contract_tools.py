"""What the contract of reader backends is made of: subjects, boxes, arrays with odd strides."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from fakes import saturated
from hypothesis import strategies as st

from bfio import BioReader
from bfio.backends.base import ReaderBackend
from bfio.selection import Box


@dataclass(frozen=True)
class Subject:
    """Something that a backend opens, and the pixels (T, C, Z, Y, X) it must have: ``images[series][level]``."""

    open: Callable[..., ReaderBackend]
    images: tuple[tuple[np.ndarray, ...], ...]
    path: Path | None = None
    backend: str | None = None

    def reader(self, series: int = 0, level: int = 0, **options) -> BioReader:
        """The face over it, by its path where it has one."""
        if self.path is None:
            return BioReader._from_backend(self.open(), series, level)
        return BioReader(self.path, backend=self.backend, series=series, level=level, **options)

    def __iter__(self):
        for series, levels in enumerate(self.images):
            for level, image in enumerate(levels):
                yield series, level, image


class opened:
    """Context of an open backend."""

    def __init__(self, subject, **options):
        self.backend = subject.open(**options)

    def __enter__(self):
        return self.backend

    def __exit__(self, *error):
        self.backend.close()


def whole(shape):
    """Box of all pixels."""
    t, c, z, y, x = shape
    return Box(tuple(range(t)), tuple(range(c)), tuple(range(z)), range(y), range(x))


def expected(image, box):
    """Pixels of a box, by numpy."""
    return image[np.ix_(box.t, box.c, box.z, box.y, box.x)]


def read(backend, series, level, box, dtype, rescale=None):
    """Pixels of a box in a new array, which is full of rubbish before."""
    out = np.full(box.shape, 113, dtype)
    backend.read(series, level, box, out, rescale)
    return out


def agree(backend, series, level, box, image):
    """The backend gives the pixels of the box."""
    np.testing.assert_array_equal(read(backend, series, level, box, image.dtype), expected(image, box))


def random_range(rng, size, longest=None):
    """Range of positive step within an axis, as a backend is asked for it."""
    start = int(rng.integers(size))
    stop = int(rng.integers(start + 1, min(size, start + (longest or size)) + 1))
    step = int(rng.choice([1, 1, 1, 2, 3, 7]))
    return tight(range(start, stop, step))


def tight(indices):
    """The same positions with a stop behind the last one, and step 1 for a single one."""
    return range(indices[0], indices[-1] + 1, indices.step if len(indices) > 1 else 1)


def random_box(rng, shape, longest=None):
    """Planes in any order, some twice, and a rectangle with steps."""
    planes = [tuple(rng.integers(0, size, rng.integers(1, 4)).tolist()) for size in shape[:3]]
    return Box(*planes, random_range(rng, shape[3], longest), random_range(rng, shape[4], longest))


@st.composite
def boxes(draw, shape):
    """Any box of an image; shrinks to the first pixel."""
    planes = [tuple(draw(st.lists(st.integers(0, size - 1), min_size=1, max_size=3))) for size in shape[:3]]
    ranges = []
    for size in shape[3:]:
        start = draw(st.integers(0, size - 1))
        ranges.append(tight(range(start, draw(st.integers(start + 1, size)), draw(st.integers(1, 20)))))
    return Box(*planes, *ranges)


def layouts(shape, dtype):
    """Arrays of a shape with odd strides, and the memory in which they lie."""
    dtype = np.dtype(dtype)
    t, c, z, y, x = shape
    for order in ((0, 1, 2, 3, 4), (0, 2, 3, 4, 1), (4, 3, 2, 1, 0), (3, 0, 4, 2, 1)):
        memory = np.full([shape[axis] for axis in order], 113, dtype)
        yield memory.transpose(np.argsort(order)), memory
    memory = np.full((t, c, z, 2 * y, 3 * x + 1), 113, dtype)
    yield memory[..., 1::2, 1::3], memory
    memory = np.full(shape, 113, dtype)
    yield memory[::-1, ::-1, ::-1, ::-1, ::-1], memory
    memory = np.full(memory.nbytes + 1, 113, np.uint8)
    yield memory[1:].view(dtype).reshape(shape), memory


def converted(values, dtype):
    """Rounded and clipped for integers, exactly."""
    if dtype.kind == values.dtype.kind == "f" or dtype.kind == "f":
        return values.astype(dtype)
    if values.dtype.kind == "f":
        return saturated(values.astype("f8"), dtype)
    mine, theirs = np.iinfo(dtype), np.iinfo(values.dtype)
    return np.clip(values, max(mine.min, theirs.min), min(mine.max, theirs.max)).astype(dtype)
