"""Byte order reversal against numpy's ``byteswap``."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from _tilecodec import byteorder


@given(
    item_size=st.sampled_from([1, 2, 4, 8]),
    n_items=st.integers(0, 70),
    lead=st.integers(0, 17),
    seed=st.integers(0, 2**32 - 1),
)
def test_equals_numpy_at_any_address(item_size: int, n_items: int, lead: int, seed: int) -> None:
    nbytes = item_size * n_items
    arena = np.random.default_rng(seed).integers(0, 256, lead + nbytes + 16, np.uint8)
    expected = arena.copy()
    items = arena[lead : lead + nbytes].view(f"u{item_size}")
    expected[lead : lead + nbytes] = items.byteswap().view(np.uint8)
    byteorder.swap(arena[lead : lead + nbytes], item_size)
    np.testing.assert_array_equal(arena, expected)


@pytest.mark.parametrize(("nbytes", "item_size"), [(12, 3), (12, 0), (16, 16), (7, 2), (3, 4), (0, 3)])
def test_refuses_what_is_not_whole_items(nbytes: int, item_size: int) -> None:
    with pytest.raises(ValueError, match="whole items"):
        byteorder.swap(bytearray(nbytes), item_size)


def test_refuses_a_read_only_buffer() -> None:
    with pytest.raises(BufferError):
        byteorder.swap(b"\0\1", 2)
