"""Strided copy and dtype conversion against ten lines of numpy."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from _tilecodec import convert

KINDS = convert.KINDS
PAIRS = [(a, b) for a in KINDS for b in KINDS]
ids = [f"{a}-{b}" for a, b in PAIRS]


def reference(values: np.ndarray, dtype: str, rescale: tuple[float, float] | None) -> np.ndarray:
    """The conversion in numpy; integers clip as Python integers, so that nothing is lost."""
    with np.errstate(all="ignore"):
        if rescale:
            values = values.astype(np.float64) * rescale[0] + rescale[1]
        if np.dtype(dtype).kind == "f":
            return values.astype(dtype)
        if values.dtype.kind == "f":
            values = np.rint(np.nan_to_num(values.astype(np.float64), nan=0, posinf=np.inf, neginf=-np.inf))
        info = np.iinfo(dtype)
        clipped = [min(max(v, info.min), info.max) for v in values.ravel().tolist()]
        return np.array([int(v) for v in clipped], dtype).reshape(values.shape)


def special(dtype: str) -> np.ndarray:
    """Values at which something changes, of any kind, as far as this dtype has them."""
    edges = [2.0**k for k in (0, 7, 8, 15, 16, 22, 23, 24, 31, 32, 51, 52, 53, 62, 63, 64, 127, 128)]
    halves = [i + 0.5 for i in range(-4, 4)] + [254.5, 255.5, 65534.5, 65535.5, 2147483646.5, 4294967294.5]
    if np.dtype(dtype).kind == "f":
        tiny = [
            2.0**-14,
            2.0**-24,
            2.0**-25,
            2.0**-25 * 1.0001,
            2.0**-15 * 1.999,
            65504,
            65519.99,
            65520,
            1e-310,
        ]
        near = [np.nextafter(e, s) for e in edges for s in (0, np.inf)]
        with np.errstate(all="ignore"):
            base = np.array([0.0, np.nan, np.inf, *edges, *halves, *tiny, *near]).astype(dtype)
        return np.concatenate([base, -base, np.finfo(dtype).max.reshape(1)])
    info = np.iinfo(dtype)
    whole = {s * int(e) + d for e in edges for d in (-1, 0, 1) for s in (1, -1)}
    kept = sorted(v for v in whole | {info.min, info.max, 0} if info.min <= v <= info.max)
    return np.array(kept, dtype)


def run(src: np.ndarray, dst: np.ndarray, rescale: tuple[float, float] | None = None) -> None:
    kinds = (KINDS.index(src.dtype.str[1:]), KINDS.index(dst.dtype.str[1:]))
    scale, offset = rescale or (7.0, 7.0)
    convert.convert_array(src, dst, *kinds, rescale is not None, scale, offset)


def assert_same(found: np.ndarray, expected: np.ndarray) -> None:
    """Equal values, NaN where NaN, and the same sign of zero."""
    np.testing.assert_array_equal(found, expected)
    if found.dtype.kind == "f":
        real = ~np.isnan(expected)
        np.testing.assert_array_equal(np.signbit(found)[real], np.signbit(expected)[real])


@pytest.mark.parametrize("rescale", [None, (1.0, 0.0), (0.37, -11.5), (-3e5, 0.25), (0.0, 2.5)])
@pytest.mark.parametrize(("src_kind", "dst_kind"), PAIRS, ids=ids)
def test_special_values(src_kind: str, dst_kind: str, rescale: tuple[float, float] | None) -> None:
    src = special(src_kind).reshape(1, -1, 1)
    dst = np.empty(src.shape, dst_kind)
    run(src, dst, rescale)
    assert_same(dst, reference(src, dst_kind, rescale))


@pytest.mark.parametrize(("src_kind", "dst_kind"), PAIRS, ids=ids)
def test_random_bits_in_runs_longer_than_a_part(src_kind: str, dst_kind: str) -> None:
    size = np.dtype(src_kind).itemsize
    src = np.frombuffer(np.random.default_rng(7).bytes(2000 * size), src_kind).reshape(2, 500, 2)
    dst = np.empty(src.shape, dst_kind)
    run(src, dst)
    assert_same(dst, reference(src, dst_kind, None))
    run(src, dst, (0.5, 1.0))
    assert_same(dst, reference(src, dst_kind, (0.5, 1.0)))


def test_every_float16_both_ways() -> None:
    src = np.arange(65536, dtype=np.uint16).view("f2").reshape(1, -1, 1)
    for wide in ("f4", "f8"):
        dst = np.empty(src.shape, wide)
        run(src, dst)
        assert_same(dst, src.astype(wide))
        back = np.empty(src.shape, "f2")
        run(dst, back)
        assert_same(back, src)


def test_float64_to_float16_rounds_once() -> None:
    """Midpoints of neighbours, and the doubles beside them, which float32 cannot tell apart."""
    halves = np.arange(0x7C00, dtype=np.uint16).view("f2").astype("f8")
    middle = (halves[1:] + halves[:-1]) / 2
    src = np.concatenate([middle, np.nextafter(middle, 0), np.nextafter(middle, np.inf)]).reshape(1, -1, 1)
    dst = np.empty(src.shape, "f2")
    run(src, dst)
    assert_same(dst, src.astype("f2"))


class Layout:
    """One way to lay an array out in memory: order of axes, signs, gaps, odd address."""

    def __init__(self, axes: tuple[int, ...], steps: tuple[int, ...], shift: int) -> None:
        self.axes, self.steps, self.shift = axes, steps, shift

    def __repr__(self) -> str:
        return f"Layout({self.axes}, {self.steps}, {self.shift})"

    def make(self, shape: tuple[int, ...], dtype: str) -> tuple[np.ndarray, np.ndarray]:
        """All bytes of an arena, and the array within it."""
        grown = [max(n * abs(s), 1) for n, s in zip(shape, self.steps, strict=True)]
        stored = [grown[a] for a in self.axes]
        nbytes = int(np.prod(stored)) * np.dtype(dtype).itemsize
        arena = np.full(nbytes + self.shift, 0x5A, np.uint8)
        whole = arena[self.shift :].view(dtype).reshape(stored).transpose(np.argsort(self.axes))
        cut = tuple(slice(None, None, s) for s in self.steps)
        return arena, whole[cut][tuple(slice(n) for n in shape)]


layouts = st.builds(
    Layout,
    st.permutations([0, 1, 2]).map(tuple),
    st.tuples(*[st.sampled_from([1, 1, 1, -1, 2, -3])] * 3),
    st.sampled_from([0, 0, 1, 3]),
)


@given(
    kinds=st.tuples(st.sampled_from(KINDS), st.sampled_from(KINDS)),
    shape=st.tuples(st.integers(0, 5), st.one_of(st.integers(0, 9), st.just(600)), st.integers(0, 4)),
    src_layout=layouts,
    dst_layout=layouts,
    rescale=st.sampled_from([None, (2.0, 0.5)]),
    seed=st.integers(0, 2**32 - 1),
)
def test_any_layout(
    kinds: tuple[str, str],
    shape: tuple[int, int, int],
    src_layout: Layout,
    dst_layout: Layout,
    rescale: tuple[float, float] | None,
    seed: int,
) -> None:
    src = src_layout.make(shape, kinds[0])[1]
    src[...] = np.random.default_rng(seed).integers(0, 120, shape)
    arena, dst = dst_layout.make(shape, kinds[1])
    expected_arena, expected = dst_layout.make(shape, kinds[1])
    expected[...] = reference(src, kinds[1], rescale)
    run(src, dst, rescale)
    np.testing.assert_array_equal(arena, expected_arena)


@given(
    shape=st.tuples(*[st.integers(0, 5)] * 3),
    layout=layouts,
    item=st.sampled_from(
        [b"\1", b"\0\0", b"\1\2", b"\7" * 4, b"\1\2\3\4", b"\7" * 8, bytes(range(16)), b"\1\2\3"]
    ),
)
def test_fill_any_layout(shape: tuple[int, int, int], layout: Layout, item: bytes) -> None:
    dtype = f"V{len(item)}"
    arena, dst = layout.make(shape, dtype)
    expected_arena, expected = layout.make(shape, dtype)
    expected[...] = np.frombuffer(item, dtype)[0]
    convert.fill_array(dst, item)
    np.testing.assert_array_equal(arena, expected_arena)


def test_broadcast_source() -> None:
    src = np.broadcast_to(np.array([[[1, 2, 3]]], "u2"), (4, 5, 3))
    dst = np.empty((4, 5, 3), "u2")
    run(src, dst)
    np.testing.assert_array_equal(dst, src)


def test_refusals() -> None:
    good = np.zeros((2, 3, 4), "u2")
    with pytest.raises(ValueError, match="axis 1"):
        convert.convert_array(good, np.zeros((2, 4, 4), "u2"), 1, 1, False, 1, 0)
    with pytest.raises(ValueError, match="dimensions"):
        convert.convert_array(good, np.zeros((2, 12), "u2"), 1, 1, False, 1, 0)
    with pytest.raises(ValueError, match="2 and 2 byte items"):
        convert.convert_array(good, good.copy(), 1, 2, False, 1, 0)
    for kind in (-1, 11):
        with pytest.raises(ValueError, match="kinds"):
            convert.convert_array(good, good.copy(), 1, kind, False, 1, 0)
    fixed = good.copy()
    fixed.flags.writeable = False
    with pytest.raises((ValueError, BufferError)):
        convert.convert_array(good, fixed, 1, 1, False, 1, 0)
    with pytest.raises(ValueError, match="an item of 4 bytes"):
        convert.fill_array(good, bytes(4))
    with pytest.raises((TypeError, BufferError)):
        convert.convert_array(3, good, 1, 1, False, 1, 0)


def test_releases_its_buffers() -> None:
    src, dst = bytearray(8), bytearray(8)
    shaped = [memoryview(b).cast("B", (2, 2, 2)) for b in (src, dst)]
    convert.convert_array(shaped[0], shaped[1], 0, 0, False, 1, 0)
    with pytest.raises(ValueError, match="kinds"):
        convert.convert_array(shaped[0], shaped[1], 0, 99, False, 1, 0)
    for view in shaped:
        view.release()
    src.clear()
    dst.clear()


def test_many_threads_at_once() -> None:
    n_threads = 8
    barrier = Barrier(n_threads)
    src = np.random.default_rng(3).integers(0, 65536, (64, 512, 1), np.uint16)

    def work(_: int) -> np.ndarray:
        dst = np.empty(src.shape, "f4")
        barrier.wait()
        run(src, dst, (0.5, 1.0))
        return dst

    with ThreadPoolExecutor(n_threads) as pool:
        for found in pool.map(work, range(n_threads)):
            np.testing.assert_array_equal(found, src * 0.5 + 1.0)
