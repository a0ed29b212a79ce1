"""Random assignments, with numpy as the oracle; and conversions, with exact arithmetic as the oracle."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bfio.assign import assign_key, whole_sizes
from bfio.axes import to_stored
from bfio.errors import SelectionError, UsageError
from bfio.lossless import lossless_cast, passes, pieces
from bfio.selection import Box

SIZES = (7, 6, 4, 3, 2)


@st.composite
def entries(draw, axis):
    """A key of one axis, and the indices that it stands for."""
    size = SIZES[axis]
    kind = draw(st.sampled_from(["int", "slice", "all", "list", "mask"] if axis > 1 else ["int", "slice", "all"]))
    if kind == "int":
        index = draw(st.integers(-size, size - 1))
        return index, [index % size]
    if kind == "list":
        found = draw(st.lists(st.integers(-size, size - 1), min_size=1, max_size=4))
        return found, [index % size for index in found]
    if kind == "mask":
        mask = np.array(draw(st.lists(st.booleans(), min_size=size, max_size=size)))
        return mask, np.flatnonzero(mask).tolist()
    bound = st.none() | st.integers(-size - 2, size + 2)
    step = draw(st.sampled_from([None, 1, -1])) if axis < 2 else draw(st.sampled_from([None, 1, -1, 2, -3]))
    key = slice(None) if kind == "all" else slice(draw(bound), draw(bound), step)
    return key, list(range(*key.indices(size)))


@st.composite
def assignments(draw):
    n_keys = draw(st.integers(1, 5))
    pairs = [draw(entries(axis)) for axis in range(n_keys)]
    key = tuple(pair[0] for pair in pairs)
    indices = [pair[1] for pair in pairs] + [list(range(size)) for size in SIZES[n_keys:]]
    full = tuple(len(found) for found in indices)
    form = draw(st.sampled_from(["full", "trimmed", "ones", "scalar"]))
    shape = full
    if form == "trimmed":
        while len(shape) > 1 and shape[-1] == 1:
            shape = shape[:-1]
    elif form == "ones":
        shape = tuple(draw(st.sampled_from([1, length])) for length in full)
    elif form == "scalar":
        shape = ()
    return key, indices, shape


@given(assignments())
@settings(max_examples=300, deadline=None)
def test_random_assignments(assignment):
    key, indices, shape = assignment
    value = np.arange(1, math.prod(shape) + 1, dtype=np.int32).reshape(shape)
    wanted = np.zeros(SIZES, np.int32)
    broadcast = np.broadcast_to(value.reshape(shape + (1,) * (5 - len(shape))), tuple(map(len, indices)))
    for place in np.ndindex(broadcast.shape):  # in order, so that the last one of equal indices stays
        wanted[tuple(found[i] for found, i in zip(indices, place, strict=True))] = broadcast[place]
    found = assign_key(key, value, SIZES)
    result = np.zeros(SIZES, np.int32)
    box = found.box
    assert box.y.step == box.x.step == 1 and all(len({*axis}) == len(axis) for axis in (box.t, box.c, box.z))
    to_stored(result)[np.ix_(box.t, box.c, box.z, box.y, box.x)] = found.block
    np.testing.assert_array_equal(result, wanted)


@st.composite
def shapes(draw):
    """Number of ints at the end of a key, and a shape that numpy nearly or just takes for it."""
    n_ints = draw(st.integers(0, 3))
    target = SIZES[: 5 - n_ints]
    n_axes = draw(st.integers(0, len(target)))
    shape = [draw(st.sampled_from([length, length, 1])) for length in target[len(target) - n_axes :]]
    shape = [1] * draw(st.sampled_from([0, 0, 1, 2])) + shape
    if shape and draw(st.booleans()):
        shape[draw(st.integers(0, len(shape) - 1))] = draw(st.integers(0, 7))
    return n_ints, shape


@given(shapes())
@settings(max_examples=300, deadline=None)
def test_what_numpy_takes_is_taken_and_what_it_refuses_is_refused(case):
    """For keys of ints and full slices numpy says what fits, but for the rule of trailing axes."""
    n_ints, shape = case
    key = (slice(None),) * (5 - n_ints) + (0,) * n_ints
    value = np.zeros(shape, np.uint8)
    target = np.zeros(SIZES, np.uint8)
    try:
        target[key] = value
        fits = True
    except ValueError:
        fits = tuple(shape) + (1,) * (5 - len(shape)) == SIZES[: 5 - n_ints] + (1,) * n_ints
    if fits:
        assert (
            assign_key(key, value, SIZES).block.shape
            == tuple(reversed(SIZES[2 : 5 - n_ints] + (1,) * n_ints)) + SIZES[:2]
        )
    elif value.ndim == 5 or n_ints == 0:
        with pytest.raises(SelectionError):
            assign_key(key, value, SIZES)


@pytest.mark.parametrize(
    ("key", "shape", "sizes"),
    [
        (np.s_[:], (5, 7), (5, 7, 1, 1, 1)),
        (np.s_[...], (5, 7, 3), (5, 7, 3, 1, 1)),
        (np.s_[:, :, 0, 0, 0], (5, 7), (5, 7, 1, 1, 1)),
        (np.s_[..., 0], (5, 7, 3, 2), (5, 7, 3, 2, 1)),
        (np.s_[0:5, :], (5, 7), (1, 7, 1, 1, 1)),
        (np.s_[:], (), (1, 1, 1, 1, 1)),
    ],
)
def test_sizes_of_an_unknown_image(key, shape, sizes):
    assert whole_sizes(key, shape) == sizes


TYPES = ["?", "u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f2", "f4", "f8"]
EDGES = [0, 1, -1, 2, 0.5, 255, 256, -128, -129, 65535, 65536, 2**24 + 1, 2**31 - 1, -(2**31), 2**32, 2**53 + 1, 2**63 - 1,
         -(2**63), 2**63, 2**64 - 1, 2.0**64, 65504, 65520, 1e30, -1e300, 0.1]  # fmt: skip


def exists_in(value, dtype):
    """Whether a number exists in a dtype, by exact arithmetic."""
    value = Fraction(value)
    if dtype.kind in "b":
        return value in (0, 1)
    if dtype.kind in "iu":
        return value.denominator == 1 and np.iinfo(dtype).min <= value <= np.iinfo(dtype).max
    with np.errstate(over="ignore"):
        if value.denominator == 1:  # a float64 may round on the way
            near = [dtype.type(float(value))]
            return any(np.isfinite(one) and Fraction(float(one)) == value for one in near)
        near = dtype.type(float(value))
    return bool(np.isfinite(near)) and Fraction(float(near)) == value


@given(st.sampled_from(EDGES), st.sampled_from(TYPES), st.sampled_from(TYPES))
@example(2**31 - 1, "i4", "f4")
@example(-(2**31), "i4", "f4")
@settings(max_examples=400, deadline=None)
def test_conversions_are_exact_or_refused(number, source, target):
    source, target = np.dtype(source), np.dtype(target)
    if not exists_in(number, source):
        return
    array = np.array([0, number]).astype(source) if source.kind != "u" else np.array([0, number], source)
    if exists_in(number, target):
        result = lossless_cast(array, target)
        assert result.dtype == target and Fraction(result[1].item()) == Fraction(number)
    else:
        assert not passes(source, target)
        with pytest.raises(UsageError, match="without loss"):
            lossless_cast(array, target)


@given(st.integers(0, 90), st.integers(1, 200), st.integers(1, 3), st.booleans())
@settings(max_examples=60, deadline=None)
def test_pieces_cover_a_block_once(first, n_rows, n_channels, interleaved):
    box = Box((1, 4), tuple(range(n_channels)), (3,), range(first, first + n_rows), range(2, 7))
    block = np.zeros(box.shape, np.int8)
    for part, piece in pieces(box, block, 16, interleaved=interleaved):
        assert piece.shape == part.shape and np.shares_memory(piece, block)
        piece += 1
        assert {*part.t} <= {*box.t} and part.y.start >= first and part.x == box.x
    assert (block == 1).all()
