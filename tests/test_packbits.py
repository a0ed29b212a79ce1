"""The PackBits kernel against a decoder in plain Python, and against imagecodecs."""

import imagecodecs
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from _tilecodec import packbits

OK, TRUNCATED, CORRUPT, TOO_LONG, TOO_SHORT = range(5)


def reference(src, nbytes):
    """Status and the bytes that the stream gives."""
    out, i = b"", 0
    while len(out) < nbytes:
        head, rest = src[i : i + 1], src[i + 1 :]
        if not rest:
            return TRUNCATED, out
        n = 257 - head[0] if head[0] > 128 else (head[0] + 1) % 129
        content = rest[:1] * n if head[0] > 128 else rest[:n]
        out += content
        if len(content) < n and len(out) < nbytes:
            return TRUNCATED, out
        i += 2 if head[0] > 128 else 1 + n
        if len(out) > nbytes or len(content) < n:
            return TOO_LONG, out[:nbytes]
    return OK, out


def decode(src, nbytes):
    """Through an array, so that a sanitizer sees each read behind the end of the stream."""
    return packbits.decode(np.frombuffer(src, np.uint8).copy(), nbytes)


def check_same(src, nbytes):
    """Same status and, as far as the stream goes, same bytes as the reference."""
    status, out = decode(src, nbytes)
    wanted_status, wanted = reference(src, nbytes)
    assert status == wanted_status
    assert out == wanted + bytes(nbytes - len(wanted))
    return status


RUNS = st.lists(st.tuples(st.binary(min_size=1, max_size=3), st.integers(1, 300)), max_size=12).map(
    lambda runs: b"".join(value * n for value, n in runs)
)
DATA = st.one_of(st.binary(max_size=400), RUNS)
SMALL = b"abcdef" + b"\0" * 200 + b"xyz" + b"\xff" * 3 + bytes(range(150))


@given(DATA, st.integers(1, 4))
def test_round_trip(data, n_padding):
    src = imagecodecs.packbits_encode(data)
    assert decode(src, len(data)) == (OK, data)
    assert decode(src + b"\xff" * n_padding, len(data)) == (OK, data)
    if data:
        assert imagecodecs.packbits_decode(src) == data


@pytest.mark.parametrize("head", range(256))
def test_every_head(head):
    """One packet of each kind, whole and short of each size of source and output."""
    content = bytes(range(1, 130))
    for n_src in (0, 1, 2, head, 129):
        for nbytes in {0, 1, 2, 127, 128, head, (head + 1) % 129, 257 - head}:
            check_same(bytes([head]) + content[:n_src], nbytes)


def test_examples():
    # the example of Apple's technical note 1023
    src = bytes.fromhex("FEAA 0280002A FDAA 03800 02A22 F7AA".replace(" ", ""))
    data = bytes.fromhex("AAAAAA80002AAAAAAAAA80002A22" + "AA" * 10)
    assert decode(src, len(data)) == (OK, data)
    assert decode(b"\x80\x80\x00a\x80", 1) == (OK, b"a")
    assert decode(b"\x80" * 1000, 1) == (TRUNCATED, b"\0")
    assert decode(b"", 0) == (OK, b"")
    assert decode(b"", 1) == (TRUNCATED, b"\0")


def test_door():
    with pytest.raises(ValueError, match="negative"):
        packbits.decode(b"", -1)
    with pytest.raises(TypeError):
        packbits.decode(None, 1)
    assert packbits.decode(memoryview(b"\x02abc"), 3) == (OK, b"abc")


def test_wrong_size():
    src = imagecodecs.packbits_encode(SMALL)
    assert check_same(src, len(SMALL) + 1) == TRUNCATED
    for n in range(len(SMALL)):
        assert check_same(src, n) in (OK, TOO_LONG)


def test_every_truncation():
    src = imagecodecs.packbits_encode(SMALL)
    for n in range(len(src)):
        assert check_same(src[:n], len(SMALL)) == TRUNCATED


def test_every_flipped_bit():
    src = bytearray(imagecodecs.packbits_encode(SMALL))
    seen = set()
    for i in range(len(src)):
        for bit in range(8):
            src[i] ^= 1 << bit
            seen.add(check_same(bytes(src), len(SMALL)))
            src[i] ^= 1 << bit
    assert seen == {OK, TRUNCATED, TOO_LONG}


@settings(max_examples=300)
@given(st.binary(max_size=300), st.integers(0, 1500))
def test_any_bytes(src, nbytes):
    check_same(src, nbytes)
