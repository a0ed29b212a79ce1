"""What every reader backend must do: `CHECKS`, each a function of one `contract_tools.Subject`.

A backend is put through all of them by a row in a table of subjects; see `test_reader_contract.py`.
"""

import copy
import pickle
import threading
from xml.etree import ElementTree

import numpy as np
import pytest
from contract_tools import (
    agree,
    boxes,
    converted,
    expected,
    layouts,
    opened,
    random_box,
    read,
    whole,
)
from fakes import public, saturated, trim
from hypothesis import given, settings
from hypothesis import strategies as st
from together import run_together

from bfio.backends.base import ReaderBackend
from bfio.errors import BfioError, UsageError
from bfio.selection import Box

FEW = settings(max_examples=15, deadline=None, derandomize=True, database=None)
NUMBERS = ("u1", "i1", "u2", "i2", "u4", "i4", "f4", "f8")


# -- pixels ---------------------------------------------------------------------------------------------------------


def check_every_series_and_level_whole(subject):
    with opened(subject) as backend:
        assert len(backend.series) == len(subject.images)
        for series, level, image in subject:
            assert backend.series[series].dtype == image.dtype and image.dtype.isnative
            agree(backend, series, level, whole(image.shape), image)


def check_any_box(subject):
    places = list(subject)
    with opened(subject) as backend:

        @FEW
        @given(data=st.data(), place=st.sampled_from(range(len(places))))
        def holds(data, place):
            series, level, image = places[place]
            agree(backend, series, level, data.draw(boxes(image.shape)), image)

        holds()


def check_corners_and_edges(subject):
    with opened(subject) as backend:
        for series, level, image in subject:
            t, c, z, y, x = image.shape
            for row in {0, y // 2, y - 1}:
                for column in {0, x // 2, x - 1}:
                    box = Box((t - 1,), (c - 1,), (z - 1,), range(row, row + 1), range(column, column + 1))
                    agree(backend, series, level, box, image)
            agree(backend, series, level, Box((0,), (0,), (0,), range(y - 1, y), range(x)), image)
            agree(backend, series, level, Box((0,), (0,), (0,), range(y), range(x - 1, x)), image)


def check_single_samples(subject):
    """Each entry of the C axis alone, backwards, and one of them twice."""
    with opened(subject) as backend:
        for series, level, image in subject:
            t, c, z, y, x = image.shape
            y, x = range(1 if y > 1 else 0, y), range(0, x)
            for chosen in [*((k,) for k in range(c)), tuple(reversed(range(c))), (c - 1, 0, c - 1)]:
                agree(backend, series, level, Box((t - 1,), chosen, tuple(range(z)), y, x), image)


def check_the_same_twice(subject):
    """What is kept from one read is not wrong for the next."""
    rng = np.random.default_rng(3)
    with opened(subject) as backend:
        for series, level, image in subject:
            some = [random_box(rng, image.shape, 40) for _ in range(4)]
            for box in [*some, *some[::-1], whole(image.shape), *some]:
                agree(backend, series, level, box, image)


def check_workers_and_cache_change_nothing(subject):
    rng = np.random.default_rng(4)
    for options in ({"max_workers": 1, "cache_bytes": 0}, {"max_workers": 5, "cache_bytes": 20_000}):
        with opened(subject, **options) as backend:
            for series, level, image in subject:
                agree(backend, series, level, whole(image.shape), image)
                for _ in range(3):
                    agree(backend, series, level, random_box(rng, image.shape), image)


# -- the array that is filled ---------------------------------------------------------------------------------------


def check_out_of_any_layout(subject):
    """Also unaligned. Nothing beside the array is touched."""
    rng = np.random.default_rng(5)
    with opened(subject) as backend:
        for series, level, image in subject:
            box = random_box(rng, image.shape, 60)
            for dtype in {image.dtype, np.dtype("f4")}:
                for out, memory in layouts(box.shape, dtype):
                    untouched = memory.nbytes - out.nbytes
                    backend.read(series, level, box, out, None)
                    np.testing.assert_array_equal(out, expected(image, box).astype(dtype))
                    out[...] = np.frombuffer(b"\x71" * dtype.itemsize, dtype)[0] if memory.dtype == "u1" else 113
                    assert (memory == 113).all(), f"{untouched} bytes beside the array must stay"


def check_conversion_saturates(subject):
    rng = np.random.default_rng(6)
    with opened(subject) as backend:
        for series, level, image in subject:
            box = random_box(rng, image.shape, 60)
            wanted = expected(image, box)
            for dtype in map(np.dtype, NUMBERS):
                found = read(backend, series, level, box, dtype)
                with np.errstate(over="ignore"):
                    np.testing.assert_array_equal(found, converted(wanted, dtype), err_msg=f"as {dtype}")


def check_rescale(subject):
    """``value * scale + offset``, with factors that binary numbers hold exactly."""
    rng = np.random.default_rng(7)
    with opened(subject) as backend:
        for series, level, image in subject:
            box = random_box(rng, image.shape, 40)
            for scale, offset in ((0.5, 10.0), (-0.25, 200.0), (4.0, -7.0)):
                wanted = expected(image, box).astype("f8") * scale + offset
                found = read(backend, series, level, box, np.dtype("u1"), (scale, offset))
                np.testing.assert_array_equal(found, saturated(wanted, np.dtype("u1")))
                found = read(backend, series, level, box, np.dtype("f4"), (scale, offset))
                np.testing.assert_allclose(found, wanted, rtol=1e-6)


# -- many at once, and the end --------------------------------------------------------------------------------------


def check_many_threads(subject):
    """Different series, levels and boxes through one backend."""
    places = list(subject)
    with opened(subject, max_workers=2) as backend:

        def work(number):
            rng = np.random.default_rng(number)
            for _ in range(8):
                series, level, image = places[rng.integers(len(places))]
                agree(backend, series, level, random_box(rng, image.shape), image)

        run_together(8, work)


def check_two_at_once(subject):
    """Two of the same file do not disturb each other, nor does the end of one."""
    rng = np.random.default_rng(8)
    places = list(subject)
    with opened(subject) as first:
        with opened(subject) as second:
            for series, level, image in places:
                box = random_box(rng, image.shape)
                agree(first, series, level, box, image)
                agree(second, series, level, box, image)
        for series, level, image in places[::-1]:
            agree(first, series, level, random_box(rng, image.shape), image)


def check_closed(subject):
    """Twice closed is closed; what was known stays known, pixels are refused in a sentence."""
    backend, image = subject.open(), subject.images[0][0]
    agree(backend, 0, 0, Box((0,), (0,), (0,), range(1), range(1)), image)
    backend.close()
    backend.close()
    assert backend.series[0].shape == image.shape
    if subject.path is not None:
        with pytest.raises(BfioError, match="closed"):
            read(backend, 0, 0, Box((0,), (0,), (0,), range(1), range(1)), image.dtype)
    reader = subject.reader()
    with reader as same:
        assert same is reader
    reader.close()
    assert reader.shape == trim(public(image)).shape
    with pytest.raises(UsageError, match="closed"):
        reader[:]


def check_closed_while_reading(subject):
    """Threads that read while another closes: right pixels or the refusal, never anything else."""
    if subject.path is None:
        return
    reader, image = subject.reader(max_workers=2), subject.images[0][0]
    wanted, started = trim(public(image)), threading.Barrier(4)
    refused = []

    def work(number):
        started.wait(20)
        if number == 3:
            reader.close()
            return
        with pytest.raises(UsageError, match="closed") as caught:
            while True:
                np.testing.assert_array_equal(reader[:], wanted)
        refused.append(caught)

    run_together(4, work)
    assert len(refused) == 3


# -- what is told ---------------------------------------------------------------------------------------------------


def check_series(subject):
    with opened(subject) as backend:
        assert isinstance(backend, ReaderBackend) and isinstance(backend.name, str) and backend.name
        for number, (series, levels) in enumerate(zip(backend.series, subject.images, strict=True)):
            assert (series.index, series.shape) == (number, levels[0].shape)
            assert all(type(size) is int for size in series.shape) and type(series.samples) is int
            assert series.name is None or type(series.name) is str
            assert len(series.levels) == len(levels)
            for level, image in zip(series.levels, levels, strict=True):
                assert (level.size_y, level.size_x) == image.shape[3:]
                assert all(type(tile) is int and tile >= 1 for tile in level.tile_shape)
            assert sum(channel.samples for channel in series.channels) in (0, series.shape[1])
            for length in (series.physical_size_x, series.physical_size_y, series.physical_size_z):
                assert type(length[1]) is str and (length[0] is None or length[0] > 0)


def check_description(subject):
    with opened(subject) as backend:
        told = backend.describe()
        assert told.format and type(told.format) is str and told.byte_order in ("little", "big")
        assert type(told.nbytes) is int and told.nbytes >= 0 and len(told.series) == len(backend.series)
        for storage, series in zip(told.series, backend.series, strict=True):
            assert len(storage.levels) == len(series.levels)
            assert all(level.compression for level in storage.levels)
            assert storage.dimension_order is None or sorted(storage.dimension_order) == sorted("XYZCT")


def check_metadata(subject):
    """The XML parses, and the objects made of it fit what is read."""
    with opened(subject) as backend:
        xml = backend.ome_xml()
        assert xml is None or (type(xml) is str and ElementTree.fromstring(xml.encode()).tag.endswith("}OME"))
    for series, level, image in subject:
        with subject.reader(series, level) as reader:
            assert reader.metadata is reader.metadata
            pixels = reader.metadata.images[series].pixels
            sizes = (pixels.size_t, pixels.size_c, pixels.size_z, pixels.size_y, pixels.size_x)
            assert sizes == image.shape == (reader.T, reader.C, reader.Z, reader.Y, reader.X)


# -- through the face -----------------------------------------------------------------------------------------------


def check_indexing(subject):
    for series, level, image in subject:
        wanted = public(image)
        with subject.reader(series, level) as reader:
            np.testing.assert_array_equal(reader[:], trim(wanted))
            np.testing.assert_array_equal(reader[::-1, ::-2], trim(wanted[::-1, ::-2]))
            np.testing.assert_array_equal(reader[-1:, 1:, ::-1, ::-1, ::-1], trim(wanted[-1:, 1:, ::-1, ::-1, ::-1]))
            got = reader[2:9:3, :-1, [0], [-1, 0], np.ones(reader.T, bool)]
            np.testing.assert_array_equal(got, trim(wanted[2:9:3, :-1, [0]][:, :, :, [-1, 0]]))
            got = reader.read(Y=(0, 1), X=0, C=[reader.C - 1], dtype="f8")
            np.testing.assert_array_equal(got, trim(wanted[:1, :1, :, -1:].astype("f8")))


def check_empty_selections(subject):
    for series, level, image in subject:
        with subject.reader(series, level) as reader:
            assert reader[3:3].shape == (0, *trim(public(image)).shape[1:])
            assert reader[:, 5:2].size == reader[..., []].size == reader[:, :, 1:1].size == 0
            assert reader[3:3].dtype == image.dtype and reader[:, :, :, []].shape[:2] == image.shape[3:]


def check_out_of_range(subject):
    n_series = len(subject.images)
    n_levels = max(n_series, *map(len, subject.images))  # where images have one each, level= may count images
    for choice in ({"series": n_series}, {"series": -n_series - 1}, {"level": n_levels}, {"level": -n_levels - 1}):
        with pytest.raises(UsageError, match=r"series|level"):
            subject.reader(**choice)
    with subject.reader(series=-1, level=-1) as reader:
        assert subject.images[-1][-1].shape[3:] == (reader.Y, reader.X)
        for key in ((reader.Y,), (0, -reader.X - 1), (0, 0, reader.Z), (0, 0, 0, [reader.C]), (0, 0, 0, 0, reader.T)):
            with pytest.raises(IndexError, match="out of range"):
                reader[key]


def check_copies(subject):
    """A pickled or copied reader opens the file by itself, with series and level."""
    if subject.path is None:
        return
    for series, level, image in subject:
        with subject.reader(series, level, max_workers=2) as reader:
            twins = [pickle.loads(pickle.dumps(reader)), copy.copy(reader)]
        for twin in twins:
            with twin:
                np.testing.assert_array_equal(twin[:], trim(public(image)))


CHECKS = tuple(check for name, check in sorted(globals().items()) if name.startswith("check_"))
"""The whole contract."""
