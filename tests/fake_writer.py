"""A writer backend that keeps the image in memory, for tests of what feeds a writer."""

import time
from pathlib import Path

import numpy as np


class FakeWriter:
    """Follows the writer protocol, and checks what it is given. ``log`` holds the boxes in the order of their writes."""

    name = "python"

    def __init__(self, path, series, xml, options, *, fail_at=None, missing=None, delay=0.0):
        self.path, self.series, self.xml, self.options = path, series, xml, options
        self.tile_shape = options.tile_size
        self.image = np.zeros(series.shape, series.dtype)
        self.times_written = np.zeros(series.shape, np.uint8)
        self.log = []
        self.state = "open"
        self.n_flushed = 0
        self._fail_at, self._missing, self._delay = fail_at, missing, delay
        self.part = Path(f"{path}.part")
        self.part.write_bytes(b"part")

    def write(self, box, block):
        assert self.state == "open"
        assert block.shape == box.shape and block.dtype == self.series.dtype
        if len(self.log) == self._fail_at:
            raise OSError(28, "No space left on device")
        where = np.ix_(box.t, box.c, box.z, box.y, box.x)
        before = block.copy()
        time.sleep(self._delay)
        assert np.array_equal(before, block), "the block changed while it was written"
        self.image[where] = block
        self.times_written[where] += 1
        self.log.append(box)

    def flush(self):
        self.n_flushed += 1

    @property
    def missing(self):
        return self._missing

    def close(self):
        assert self.state == "open"
        self.state = "closed"
        self.part.rename(self.path)

    def abandon(self):
        assert self.state == "open"
        self.state = "abandoned"
