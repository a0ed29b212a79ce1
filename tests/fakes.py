"""A reader backend over a numpy array, for tests of the face without files."""

import threading

import numpy as np

from bfio.metadata import Channel, Description, Level, Series, SeriesStorage, Storage


def make_series(array, index=0, *, samples=1, n_levels=1, **changes):
    """Series that describes an array (T, C, Z, Y, X)."""
    t, c, z, y, x = array.shape
    levels = tuple(Level(-(-y >> k) or 1, -(-x >> k) or 1, (16, 16)) for k in range(n_levels))
    values = {
        "index": index,
        "name": f"image {index}",
        "dtype": array.dtype,
        "size_t": t,
        "size_c": c // samples,
        "size_z": z,
        "size_y": y,
        "size_x": x,
        "samples": samples,
        "channels": tuple(Channel(f"channel {k}", samples) for k in range(c // samples)),
        "physical_size_x": (0.5, "µm"),
        "physical_size_y": (0.25, "µm"),
        "levels": levels,
        "interleaved": samples > 1,
    }
    return Series(**(values | changes))


class FakeBackend:
    """Follows the reader protocol; level k is every 2**k-th pixel. Checks what it is asked."""

    name = "python"

    def __init__(self, *arrays, xml=None, **changes):
        self.arrays = arrays
        self.series = [make_series(array, index, **changes) for index, array in enumerate(arrays)]
        self.xml = xml
        self.closed = False
        self.requests = []
        self._lock = threading.Lock()

    def read(self, series, level, box, out, rescale=None):
        assert not self.closed
        assert out.shape == box.shape and out.size
        assert box.y.step > 0 and box.x.step > 0
        with self._lock:
            self.requests.append((series, level, box))
        array = self.arrays[series][..., :: 1 << level, :: 1 << level]
        info = self.series[series].levels[level]
        assert 0 <= box.y[0] <= box.y[-1] < info.size_y and 0 <= box.x[0] <= box.x[-1] < info.size_x
        picked = array[np.ix_(box.t, box.c, box.z, box.y, box.x)]
        if rescale is not None:
            picked = picked * rescale[0] + rescale[1]
        out[...] = saturated(picked, out.dtype)

    def describe(self):
        storage = (SeriesStorage((Storage("none"),) * len(info.levels)) for info in self.series)
        return Description("array", "little", 0, tuple(storage))

    def ome_xml(self):
        return self.xml

    def close(self):
        self.closed = True


def saturated(values, dtype):
    """Conversion as a backend does it: rounded and clipped for integers."""
    if dtype.kind in "iu" and values.dtype != dtype:
        bounds = np.iinfo(dtype)
        values = np.rint(values) if values.dtype.kind == "f" else values
        values = np.clip(values, float(bounds.min), float(bounds.max))
    return values.astype(dtype)


def sample_image(t=1, c=1, z=1, y=5, x=7, dtype=np.uint16):
    """Array (T, C, Z, Y, X) whose values are all different."""
    return np.arange(t * c * z * y * x, dtype=dtype).reshape(t, c, z, y, x)


def public(array):
    """The array as YXZCT."""
    return array.transpose(3, 4, 2, 1, 0)


def trim(array):
    """Trailing axes of length 1 dropped, down to two."""
    while array.ndim > 2 and array.shape[-1] == 1:
        array = array[..., 0]
    return array
