"""Tasks for the door of the decode kernel, and a numpy reference of what they mean."""

import zlib
from dataclasses import dataclass, field

import imagecodecs
import numpy as np

from bfio import _kernels
from bfio.plan import FORMAT, NO_SLOT, TASK

CODECS = {
    1: bytes,
    5: imagecodecs.lzw_encode,
    8: zlib.compress,
    32946: zlib.compress,
    32773: imagecodecs.packbits_encode,
    50000: imagecodecs.zstd_encode,
    34926: imagecodecs.zstd_encode,
}
"""Compressions of the kernels, with their encoders."""

CANARY = 0xA5
MARGIN = 4096


@dataclass
class Case:
    """Tiles of one format, each cut with a rectangle of its own.

    ``tiles`` has the shape (n, rows, cols, samples); ``rectangle`` is (y0, x0, rows, cols), counted after stepping.
    """

    tiles: np.ndarray
    compression: int = 1
    predictor: int = 1
    swap: bool = False
    samples: tuple[int, int] = (0, 0)
    steps: tuple[int, int] = (1, 1)
    rectangle: tuple[int, int, int, int] | None = None
    dtype: np.dtype | None = None
    rescale: tuple[float, float] | None = None
    form: np.ndarray = field(init=False)
    tasks: np.ndarray = field(init=False)
    data: bytes = field(init=False)

    def __post_init__(self) -> None:
        n, rows, cols, samples = self.tiles.shape
        first, count = self.samples
        self.samples = first, count or samples - first
        if self.rectangle is None:
            y_step, x_step = self.steps
            self.rectangle = (0, 0, -(-rows // y_step), -(-cols // x_step))
        self.form, self.tasks = np.zeros(1, FORMAT), np.zeros(n, TASK)
        self._describe(cols, samples)
        encoded = [self._encode(tile) for tile in self.tiles]
        self.data = b"".join(encoded)
        self.tasks["nbytes"] = [len(tile) for tile in encoded]
        self.tasks["offset"] = np.cumsum([0, *self.tasks["nbytes"][:-1]])
        self.tasks["slot"] = NO_SLOT
        self.tasks["tile_rows"] = rows
        for name, value in zip(("y0", "x0", "rows", "n_cols"), self.rectangle, strict=True):
            self.tasks[name] = value

    def _describe(self, cols, samples):
        form, item = self.form, self.tiles.dtype.itemsize
        form["cols"], form["samples"] = cols, samples
        form["first_sample"], form["n_samples"] = self.samples
        form["y_step"], form["x_step"] = self.steps
        form["compression"], form["predictor"] = self.compression, self.predictor
        form["item_size"] = item
        form["swap_size"] = (item // 2 if self.tiles.dtype.kind == "c" else item) if self.swap else 1
        form["src_kind"], form["dst_kind"] = _kernels.kinds(self.tiles.dtype, self.out_dtype)
        if self.rescale:
            form["rescale"], form["scale"], form["offset"] = 1, *self.rescale

    def _encode(self, tile):
        stored = tile
        if self.predictor == 2:
            stored = np.diff(tile, axis=1, prepend=tile.dtype.type(0))
        if self.predictor == 3:
            planes = np.ascontiguousarray(tile).astype(tile.dtype.newbyteorder(">")).view(np.uint8)
            planes = planes.reshape(tile.shape[0], -1, tile.dtype.itemsize).transpose(0, 2, 1)
            planes = planes.reshape(tile.shape[0], -1, tile.shape[2])
            return CODECS[self.compression](np.diff(planes, axis=1, prepend=np.uint8(0)).tobytes())
        return CODECS[self.compression]((stored.byteswap() if self.swap else stored).tobytes())

    @property
    def out_dtype(self):
        return self.tiles.dtype if self.dtype is None else np.dtype(self.dtype)

    @property
    def wanted(self):
        """What ``out`` has to hold: shape (1, samples, n, rows, cols), in the file's dtype and not rescaled."""
        y0, x0, rows, cols = self.rectangle
        y_step, x_step = self.steps
        first, count = self.samples
        picked = self.tiles[:, y0::y_step, x0::x_step, first : first + count][:, :rows, :cols]
        return picked.transpose(3, 0, 1, 2)[None]

    def out(self, order="planar"):
        """Empty output of a memory layout, whose tasks it points at."""
        shape = self.wanted.shape
        dtype = self.out_dtype
        if order == "interleaved":
            out = np.moveaxis(np.empty((1, *shape[2:], shape[1]), dtype), -1, 1)
        elif order == "backwards":
            out = np.empty(shape, dtype)[:, ::-1, ::-1, ::-1, ::-1]
        elif order == "spread":
            out = np.empty((*shape[:4], shape[4] * 3), dtype)[..., ::3]
        elif order == "columns":
            out = np.empty(shape[::-1], dtype).transpose()
        else:
            out = np.empty(shape, dtype)
        self.tasks["plane_dst"] = np.arange(len(self.tasks)) * out.strides[2]
        return out

    def run(self, out, *, fd=-1, data=None, slab=None, budget=1 << 40):
        """All statuses until nothing is left, as (status, index)."""
        counter, refused = np.zeros(1, np.int64), []
        data = self.data if data is None and fd < 0 else data
        while True:
            status, index = _kernels.decode_tiles(self.form, self.tasks, fd, data, out, slab, counter, budget)
            if index == -1:
                return refused
            if status:
                refused.append((status, index))


def guarded(nbytes):
    """Bytes between two margins of canaries: (the bytes, a function that checks the margins)."""
    whole = np.full(nbytes + 2 * MARGIN, CANARY, np.uint8)

    def check():
        assert (whole[:MARGIN] == CANARY).all(), "written before the buffer"
        assert (whole[-MARGIN:] == CANARY).all(), "written behind the buffer"

    return whole[MARGIN : MARGIN + nbytes], check


def random_tiles(rng, n, rows, cols, samples, dtype):
    """Noise of few values, so that codecs compress it."""
    dtype = np.dtype(dtype)
    shape = (n, rows, cols, samples)
    if dtype.kind == "c":
        return (rng.integers(0, 9, shape) + 1j * rng.integers(0, 9, shape)).astype(dtype)
    return rng.integers(0, 99, shape).astype(dtype)
