"""Keys: the numpy oracle is ``np.ix_`` over one index list per axis."""

import numpy as np
import pytest
from fakes import FakeBackend, public, sample_image, trim
from hypothesis import given, settings
from hypothesis import strategies as st

from bfio.errors import BfioError, SelectionError
from bfio.reader import BioReader
from bfio.selection import Box, select_bounds, select_key

SIZES = (5, 7, 3, 4, 2)
IMAGE = sample_image(t=2, c=4, z=3, y=5, x=7)


def reader():
    return BioReader._from_backend(FakeBackend(IMAGE))


def expected(entries):
    """Pixels by one entry per axis Y, X, Z, C, T."""
    indices = []
    for entry, size in zip(entries, SIZES, strict=True):
        picked = np.arange(size)[entry]
        indices.append(np.atleast_1d(picked))
    return trim(public(IMAGE)[np.ix_(*indices)])


def ints(size):
    plain = st.integers(-size, size - 1)
    return st.one_of(plain, plain.map(np.int64), plain.map(np.array))


def slices(size):
    bound = st.one_of(st.none(), st.integers(-size - 3, size + 3))
    step = st.one_of(st.none(), st.integers(-4, 4).filter(bool))
    return st.builds(slice, bound, bound, step)


def lists(size):
    plain = st.lists(st.integers(-size, size - 1), max_size=5)
    mask = st.lists(st.booleans(), min_size=size, max_size=size)
    as_array = plain.map(lambda numbers: np.array(numbers, dtype=np.int16))
    return st.one_of(plain, mask, as_array, mask.map(np.array))


def axis_keys(axis):
    size = SIZES[axis]
    return st.one_of(ints(size), slices(size), *([lists(size)] if axis > 1 else []))


@st.composite
def keys(draw):
    """A key, and the entry of each axis that it means."""
    entries = [draw(axis_keys(axis)) for axis in range(5)]
    n_front = draw(st.integers(0, 5))
    n_back = draw(st.integers(0, 5 - n_front))
    whole = [slice(None)] * (5 - n_front - n_back)
    meaning = [*entries[:n_front], *whole, *entries[5 - n_back :]]
    ellipsis = [Ellipsis] if n_back or draw(st.booleans()) else []
    key = (*entries[:n_front], *ellipsis, *entries[5 - n_back :])
    if len(key) == 1 and draw(st.booleans()):
        return key[0], meaning
    return key, meaning


def as_index(entry):
    """Empty lists are float arrays to numpy; tuples are what it takes for several axes."""
    return np.array(entry, dtype=int) if isinstance(entry, list) and not entry else entry


@settings(max_examples=400, deadline=None)
@given(keys())
def test_any_key_gives_what_numpy_gives(key_and_meaning):
    key, meaning = key_and_meaning
    wanted = expected([as_index(entry) for entry in meaning])
    got = reader()[key]
    assert got.shape == wanted.shape
    np.testing.assert_array_equal(got, wanted)


@settings(max_examples=100, deadline=None)
@given(keys())
def test_box_holds_tight_positive_ranges(key_and_meaning):
    selection = select_key(key_and_meaning[0], SIZES)
    for indices, size in ((selection.box.y, 5), (selection.box.x, 7)):
        assert indices.step > 0
        assert not indices or (indices[0] >= 0 and indices[-1] < size and indices.stop == indices[-1] + 1)


@pytest.mark.parametrize(
    "key",
    [
        5,
        -6,
        (0, 7),
        (0, 0, 3),
        (0, 0, 0, 4),
        (0, 0, 0, 0, 2),
        (Ellipsis, 2),
        (0, 0, 0, [0, 4]),
        (0, 0, 0, 0, np.array([-3])),
        (0,) * 6,
        (Ellipsis, 0, Ellipsis),
        None,
        (0, None),
        1.0,
        (0, slice(0.5, 2)),
        slice(None, None, 0),
        "X",
        [0, 1],
        (slice(None), [True] * 7),
        (0, 0, [True, False]),
        (0, 0, 0, [[0, 1]]),
        (0, 0, 0, [0.5]),
        (0, 0, 0, [0, [1]]),
        (0, 0, 0, np.zeros((2, 2), int)),
        (range(3, 8), 0),
        (range(-2, 2), 0),
        {"Y": 0},
    ],
    ids=repr,
)
def test_impossible_keys_are_index_errors_of_bfio(key):
    with pytest.raises(SelectionError) as caught:
        reader()[key]
    assert isinstance(caught.value, IndexError) and isinstance(caught.value, ValueError)
    assert isinstance(caught.value, BfioError)
    assert "\n" not in str(caught.value)


def test_out_of_range_names_axis_and_size():
    with pytest.raises(IndexError, match="index 7 is out of range for axis X with size 7"):
        reader()[0, 7]


def test_old_documented_list_of_channels():
    np.testing.assert_array_equal(reader()[:3, 2, 0:1, (0, 2), 0], public(IMAGE)[:3, 2:3, 0:1, [0, 2], 0])


def test_true_counts_as_one():
    np.testing.assert_array_equal(reader()[True, :, 0, 0, 0], IMAGE[0, 0, 0, 1:2])


@pytest.mark.parametrize(
    ("bounds", "key"),
    [
        ({}, ...),
        ({"X": (1, 4), "Y": [0, 2]}, (slice(0, 2), slice(1, 4))),
        ({"X": 3, "Y": np.int64(2)}, (2, 3)),
        ({"X": np.array([1, 4])}, (slice(None), slice(1, 4))),
        ({"X": (-3, None)}, (slice(None), slice(-3, None))),
        ({"Y": slice(None, None, -2)}, slice(None, None, -2)),
        ({"Y": range(4, 0, -2), "X": range(2, 6)}, (slice(4, 0, -2), slice(2, 6))),
        ({"Z": 1, "C": 2, "T": 1}, (..., 1, 2, 1)),
        ({"Z": (0, 2), "C": [3, 0], "T": (1,)}, (..., slice(0, 2), [3, 0], [1])),
        ({"Z": [2], "C": (1, 2), "T": range(2)}, (..., 2, [1, 2], slice(None))),
        ({"Z": np.array([2, 0]), "C": slice(0, 4, 2)}, (..., np.array([2, 0]), slice(0, 4, 2), slice(None))),
        ({"X": (2, 100)}, (slice(None), slice(2, 100))),
    ],
    ids=repr,
)
def test_bounds_mean_the_same_as_keys(bounds, key):
    assert select_bounds(bounds, SIZES) == select_key(key, SIZES)


@pytest.mark.parametrize(
    "bounds", [{"X": (1, 2, 3)}, {"Z": (0, 1, 2)}, {"C": 4}, {"T": [2]}, {"X": 7}, {"Y": ()}], ids=repr
)
def test_bounds_that_do_not_fit(bounds):
    with pytest.raises(SelectionError):
        select_bounds(bounds, SIZES)


def test_negative_steps_are_flips_of_forward_ranges():
    selection = select_key((slice(None, None, -2), slice(5, 1, -3)), SIZES)
    assert selection.box == Box((0, 1), (0, 1, 2, 3), (0, 1, 2), range(0, 5, 2), range(2, 6, 3))
    assert selection.flip_y and selection.flip_x


def test_reading_nothing_asks_nothing_of_the_backend():
    backend = FakeBackend(IMAGE)
    assert BioReader._from_backend(backend)[2:2, :, 0, 0, 0].shape == (0, 7)
    assert backend.requests == []
