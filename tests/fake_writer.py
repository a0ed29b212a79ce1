"""A writer backend that keeps the image in memory, for tests of what feeds a writer."""

import threading
import time
from pathlib import Path

import numpy as np
from fakes import public


class FakeWriter:
    """Follows the writer protocol, and checks what it is given.

    ``array`` (T, C, Z, Y, X) holds the pixels, ``calls`` the boxes in the order of their writes. The file is empty, but
    has the names that a real one has.
    """

    name = "python"

    def __init__(self, path, series, xml=None, options=None, *, fail_at=None, missing=None, delay=0.0, converts=True):
        self.path, self.series, self.xml, self.options = path, series, xml, options
        self.tile_shape = options.tile_size if options is not None else (16, 16)
        self.array = np.zeros(series.shape, series.dtype)
        self.times_written = np.zeros(series.shape, np.uint8)
        self.calls = []
        self.flushes = 0
        self.state = "open"
        self.part = Path(f"{path}.part")
        self.part.write_bytes(b"part")
        self._fail_at, self._missing, self._delay, self._converts = fail_at, missing, delay, converts
        self._lock = threading.Lock()

    def write(self, box, block):
        assert self.state == "open"
        assert isinstance(block, np.ndarray) and block.shape == box.shape and block.size
        assert box.y.step == 1 == box.x.step
        assert block.dtype.isnative and (block.dtype == self.array.dtype or self._can_convert(block.dtype))
        indices = (box.t, box.c, box.z, box.y, box.x)
        for axis, length in zip(indices, self.array.shape, strict=True):
            assert len(set(axis)) == len(axis) and 0 <= min(axis) <= max(axis) < length
        if len(self.calls) == self._fail_at:
            raise OSError(28, "No space left on device")
        before = block.copy()
        time.sleep(self._delay)
        np.testing.assert_array_equal(before, block, "the block changed while it was written")
        where = np.ix_(*indices)
        with self._lock:
            self.array[where] = block
            self.times_written[where] += 1
            self.calls.append(box)

    def _can_convert(self, dtype):
        return self._converts and dtype.kind in "iuf" and self.array.dtype.kind in "iuf"

    def flush(self):
        self.flushes += 1

    @property
    def missing(self):
        if self._missing is not None:
            return self._missing
        whole = tuple(slice(0, length) for length in self.public.shape)
        return [] if self.written.all() else [whole]

    @property
    def written(self):
        return self.times_written > 0

    @property
    def public(self):
        return public(self.array)

    def close(self):
        assert self.state == "open"
        self.state = "finished"
        self.part.replace(self.path)

    def abandon(self):
        assert self.state == "open"
        self.state = "abandoned"
