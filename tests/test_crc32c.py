"""CRC32C against the bit by bit definition, known values, and zarr-python's library."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from _tilecodec.crc32c import crc32c


def reference(data: bytes) -> int:
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


@given(st.binary(max_size=70), st.integers(0, 8))
def test_equals_the_definition_at_any_address(data: bytes, lead: int) -> None:
    arena = np.frombuffer(bytes(lead) + data, np.uint8)
    assert crc32c(arena[lead:]) == reference(data)


@pytest.mark.parametrize(
    ("data", "expected"),
    [  # RFC 3720, appendix B.4, and the usual check value
        (b"", 0),
        (bytes(32), 0x8A9136AA),
        (b"\xff" * 32, 0x62A8AB43),
        (bytes(range(32)), 0x46DD794E),
        (b"123456789", 0xE3069283),
    ],
)
def test_known_values(data: bytes, expected: int) -> None:
    assert crc32c(data) == expected


def test_equals_the_library_of_zarr() -> None:
    library = pytest.importorskip("google_crc32c")
    data = np.random.default_rng(0).integers(0, 256, 1 << 20, np.uint8).tobytes()
    assert crc32c(data) == library.value(data)
    assert crc32c(memoryview(data)[3:]) == library.value(data[3:])
