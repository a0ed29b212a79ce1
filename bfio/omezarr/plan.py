"""What to read of a Zarr array, as data: chunks, and for each of them tasks of the kernels, one per plane.

To the kernels a chunk is a tile: its last two axes are columns and rows, and the planes along the others lie below each
other, as further rows. Nothing here touches a file.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import prod

import numpy as np

from bfio import _kernels
from bfio.enums import Compression
from bfio.errors import FormatError
from bfio.omezarr.arraymeta import ArrayMeta
from bfio.omezarr.chunkgrid import Cuts, Planes, cut, group_planes, progressions
from bfio.plan import FORMAT, NO_SLOT, TASK
from bfio.selection import Box

__all__ = ["ReadPlan", "Rescale", "Run", "StoredAxes", "plan_reads"]

Rescale = tuple[float, float] | None
"""``(scale, offset)``: a value becomes ``value * scale + offset`` before it is converted."""

TCZYX = "tczyx"
MAX_TASKS = 1 << 18
"""Tasks planned at once, so that plans stay small beside the pixels."""


@dataclass(frozen=True)
class StoredAxes:
    """The five axes in the order in which they vary in the bytes of a chunk; what the array lacks comes first.

    Parameters
    ----------
    letters : str
        Of ``"tczyx"``.
    chunk, shape : tuple of int
        Lengths along them.
    source : tuple of int
        Place of the array's axes among them.
    """

    letters: str
    chunk: tuple[int, ...]
    shape: tuple[int, ...]
    source: tuple[int, ...]

    @classmethod
    def of(cls, meta: ArrayMeta, axes: str) -> StoredAxes:
        """Lay out an array whose axes have these letters."""
        if len(axes) != len(meta.shape) or len(set(axes)) != len(axes) or not set(axes) <= set(TCZYX):
            raise FormatError(f"array {meta.path!r}: {axes!r} are no axes for {len(meta.shape)} dimensions")
        order = meta.order or tuple(range(len(axes)))
        missing = [letter for letter in TCZYX if letter not in axes]
        n_missing = len(missing)
        return cls(
            "".join([*missing, *(axes[axis] for axis in order)]),
            (1,) * n_missing + tuple(meta.chunk[axis] for axis in order),
            (1,) * n_missing + tuple(meta.shape[axis] for axis in order),
            tuple(n_missing + order.index(axis) for axis in range(len(axes))),
        )


@dataclass(frozen=True)
class ReadPlan:
    """Chunks, and what is cut from them into ``out``.

    Parameters
    ----------
    chunks : ndarray (n_chunks, n_axes)
        Indices of chunks along the axes of the array.
    bounds : ndarray (n_chunks + 1,)
        Tasks ``bounds[i]:bounds[i + 1]`` cut chunk i.
    tasks : ndarray of TASK
        Without offsets, byte counts and slots.
    whole : ndarray of bool
        Whether all of a chunk's pixels are asked for.
    out : ndarray of five axes
        The output, its last two axes those of the chunks.
    form : ndarray of one FORMAT
        For chunks that the kernels decompress.
    """

    meta: ArrayMeta
    chunks: np.ndarray
    bounds: np.ndarray
    tasks: np.ndarray
    whole: np.ndarray
    out: np.ndarray
    form: np.ndarray

    def reordered(self, order: np.ndarray) -> ReadPlan:
        """The same chunks in another order."""
        counts = np.diff(self.bounds)[order]
        bounds = np.concatenate([[0], np.cumsum(counts)])
        moved = np.arange(bounds[-1]) + np.repeat(self.bounds[order] - bounds[:-1], counts)
        return replace(self, chunks=self.chunks[order], bounds=bounds, tasks=self.tasks[moved], whole=self.whole[order])

    @cached_property
    def borders(self) -> list[int]:
        """The bounds as a list."""
        borders: list[int] = self.bounds.tolist()
        return borders

    @cached_property
    def plain_form(self) -> np.ndarray:
        """For chunks that are decompressed before."""
        form = self.form.copy()
        form["compression"] = Compression.NONE
        return form


class Run:
    """Chunks ``first:stop`` of a plan, all of one file.

    Attributes
    ----------
    plan : ReadPlan
    first, stop : int
    tasks : ndarray
        Those of these chunks, as a view.
    """

    __slots__ = ("first", "plan", "stop", "tasks")

    def __init__(self, plan: ReadPlan, first: int, stop: int) -> None:
        self.plan, self.first, self.stop = plan, first, stop
        self.tasks = plan.tasks[plan.borders[first] : plan.borders[stop]]

    def __len__(self) -> int:
        return self.stop - self.first

    def one(self, number: int) -> Run:
        """One of the chunks."""
        return Run(self.plan, self.first + number, self.first + number + 1)

    @property
    def counts(self) -> np.ndarray:
        """Number of tasks of each chunk."""
        return np.diff(self.plan.bounds[self.first : self.stop + 1])

    @property
    def chunks(self) -> np.ndarray:
        """Indices of these chunks."""
        return self.plan.chunks[self.first : self.stop]

    @property
    def chunk(self) -> list[int]:
        """Index of the first chunk."""
        index: list[int] = self.plan.chunks[self.first].tolist()
        return index

    @property
    def whole(self) -> bool:
        """Whether all pixels of the first chunk are asked for."""
        return bool(self.plan.whole[self.first])

    @property
    def share(self) -> tuple[int, int]:
        """Rows of the first chunk that must be decoded, and rows that it has."""
        first = self.tasks[0]
        return int(first["decoded_rows"]), int(first["tile_rows"])


def plan_reads(meta: ArrayMeta, axes: str, box: Box, out: np.ndarray, rescale: Rescale) -> Iterator[ReadPlan]:
    """Plans that together fill `out`, shape ``box.shape`` (T, C, Z, Y, X), with the pixels of a box."""
    stored = StoredAxes.of(meta, axes)
    selected: dict[str, Sequence[int]] = {"t": box.t, "c": box.c, "z": box.z, "y": box.y, "x": box.x}
    view = out.transpose([TCZYX.index(letter) for letter in stored.letters])
    plane_axes = [selected[letter] for letter in stored.letters[:3]]
    planes = group_planes(plane_axes, stored.chunk[:3], view.strides[:3])
    row_axis, col_axis = (selected[letter] for letter in stored.letters[3:])
    for row_place, rows in progressions(row_axis):
        for col_place, cols in progressions(col_axis):
            part = view[..., row_place : row_place + len(rows), col_place : col_place + len(cols)]
            form = _form(meta, stored, rows, cols, out.dtype, rescale)
            down, across = cut(rows, stored.chunk[3]), cut(cols, stored.chunk[4])
            for some, few in _batches(planes, down, across):
                yield _plan(meta, stored, some, few, across, part, form)


def _batches(planes: Planes, down: Cuts, across: Cuts) -> Iterator[tuple[Planes, Cuts]]:
    """Split what would become too many tasks: by groups of planes, and within a group by rows of chunks."""
    n_groups = len(planes.chunk)
    if len(planes.place) * len(down) * len(across) <= MAX_TASKS:
        yield planes, down
        return
    rest = len(across) * int(np.diff(planes.bounds).max())
    n_down = min(len(down), max(1, MAX_TASKS // rest))
    n_few = max(1, MAX_TASKS // (rest * n_down))
    for group in range(0, n_groups, n_few):
        for row in range(0, len(down), n_down):
            yield planes[group : min(group + n_few, n_groups)], down[row : row + n_down]


def _plan(
    meta: ArrayMeta, stored: StoredAxes, planes: Planes, down: Cuts, across: Cuts, out: np.ndarray, form: np.ndarray
) -> ReadPlan:
    """One task per chunk and plane, chunk by chunk."""
    shape = (len(planes.chunk), len(down), len(across))
    per_group = np.diff(planes.bounds)
    model = np.zeros(shape, TASK)  # of each chunk
    model["tile_rows"], model["slot"] = prod(stored.chunk[:4]), NO_SLOT
    model["y0"], model["rows"], model["y_dst"] = _downwards(down.first), _downwards(down.count), _downwards(down.place)
    model["x0"], model["n_cols"], model["x_dst"] = across.first, across.count, across.place
    deepest = np.maximum.reduceat(planes.inside, planes.bounds[:-1]) * stored.chunk[3]
    bottom = down.first + (down.count - 1) * int(form["y_step"][0]) + 1
    model["decoded_rows"] = deepest[:, np.newaxis, np.newaxis] + _downwards(bottom)
    chunks = np.empty((*shape, 5), np.int64)
    chunks[..., :3] = planes.chunk[:, np.newaxis, np.newaxis]
    chunks[..., 3], chunks[..., 4] = _downwards(down.chunk), across.chunk
    room = np.minimum(stored.chunk, stored.shape - chunks * stored.chunk).prod(axis=-1)
    pixels = per_group[:, np.newaxis, np.newaxis] * _downwards(down.count) * across.count
    n_planes = np.repeat(per_group, len(down) * len(across))
    bounds = np.zeros(len(n_planes) + 1, np.int64)
    np.cumsum(n_planes, out=bounds[1:])
    first = np.repeat(planes.bounds[:-1], len(down) * len(across))
    plane = np.arange(bounds[-1]) + np.repeat(first - bounds[:-1], n_planes)
    tasks = np.repeat(model.ravel(), n_planes)
    tasks["y0"] += (planes.inside * stored.chunk[3]).astype(np.uint32)[plane]
    tasks["plane_dst"] = planes.place[plane]
    indices = chunks.reshape(-1, 5)[:, stored.source]
    return ReadPlan(meta, indices, bounds, tasks, (pixels >= room).ravel(), out, form)


def _downwards(values: np.ndarray) -> np.ndarray:
    """For rows of chunks, to be broadcast over columns."""
    return values[:, np.newaxis]


def _form(
    meta: ArrayMeta, stored: StoredAxes, rows: range, cols: range, out_dtype: np.dtype, rescale: Rescale
) -> np.ndarray:
    form = np.zeros(1, FORMAT)
    form["cols"], form["samples"], form["n_samples"], form["predictor"] = stored.chunk[4], 1, 1, 1
    form["y_step"] = rows.step if len(rows) > 1 else 1
    form["x_step"] = cols.step if len(cols) > 1 else 1
    form["compression"] = meta.chain.compression or Compression.NONE
    form["item_size"] = meta.dtype.itemsize
    form["swap_size"] = _swap_size(meta)
    form["src_kind"], form["dst_kind"] = _kernels.kinds(meta.dtype, out_dtype)
    if rescale is not None:
        form["rescale"], form["scale"], form["offset"] = 1, *rescale
    fill = np.zeros(1, out_dtype)
    _kernels.convert(np.full(1, meta.fill, meta.dtype), fill, rescale)
    form["fill"][0, : fill.nbytes] = fill.view(np.uint8)
    return form


def _swap_size(meta: ArrayMeta) -> int:
    """Bytes whose order is turned round: those of one real number."""
    swapped = meta.big_endian != (np.dtype(np.int16).newbyteorder("=").str[0] == ">")
    if not swapped or meta.dtype.itemsize == 1:
        return 0
    return meta.dtype.itemsize // (2 if meta.dtype.kind == "c" else 1)
