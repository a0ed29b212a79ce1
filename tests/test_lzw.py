"""The LZW kernel against a decoder in plain Python, and against imagecodecs."""

import threading

import imagecodecs
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from _tilecodec import lzw_decoder as lzw

OK, TRUNCATED, CORRUPT, TOO_LONG, TOO_SHORT = range(5)
CLEAR, END = 256, 257
SINGLES = [bytes([i]) for i in range(256)] + [b"", b""]


class Codes:
    """The codes of a stream one by one, and the table of both sides."""

    def __init__(self, src):
        self.early = not (len(src) > 1 and src[0] == 0 and src[1] & 1)
        self.order = 1 if self.early else -1
        self.bits = "".join(f"{byte:08b}"[:: self.order] for byte in src)
        self.clear()

    def clear(self):
        self.table, self.previous, self.width = SINGLES.copy(), b"", 9

    def peek(self):
        return int(self.bits[: self.width][:: self.order], 2) if len(self.bits) >= self.width else None

    def take(self):
        """String of the next code, or what else it means."""
        code = self.peek()
        if code is None or code == END:
            return TRUNCATED if code is None else TOO_SHORT
        self.bits = self.bits[self.width :]
        if code == CLEAR:
            self.clear()
            return b""
        if self.previous and len(self.table) < 4096 and code <= len(self.table):
            first = self.table[code] if code < len(self.table) else self.previous
            self.table.append(self.previous + first[:1])
        if code >= len(self.table):
            return CORRUPT
        self.previous = self.table[code]
        self.width += len(self.table) == (1 << self.width) - self.early and self.width < 12
        return self.previous


def reference(src, nbytes):
    """Status and the bytes that the stream gives."""
    codes, parts, n = Codes(src), [], 0
    while n < nbytes:
        taken = codes.take()
        if isinstance(taken, int):
            return taken, b"".join(parts)
        parts.append(taken)
        n += len(taken)
    return (OK if n == nbytes and is_padding(codes) else TOO_LONG), b"".join(parts)[:nbytes]


def is_padding(codes):
    while codes.peek() == CLEAR:
        codes.take()
    if codes.peek() in (END, None) or "1" not in codes.bits:
        return True
    codes.width -= len(codes.table) == (1 << (codes.width - 1)) - codes.early
    return codes.peek() == END


def encode(data, early=True, clear_first=True, clear_when_full=True, end=True, forget=False):
    """Compress as the kinds of writers do; ``forget`` writes End in the width of the code before."""
    order = 1 if early else -1
    bits = []

    def put(code, width):
        bits.append(f"{code:0{width}b}"[::order])

    strings, width, string = {bytes([i]): i for i in range(256)}, 9, b""
    n_codes = 258
    if clear_first:
        put(CLEAR, width)
    for i in range(len(data)):
        if string + data[i : i + 1] in strings:
            string += data[i : i + 1]
            continue
        put(strings[string], width)
        width += n_codes == (1 << width) - early and width < 12
        if n_codes < 4096:
            strings[string + data[i : i + 1]] = n_codes
            n_codes += 1
        string = data[i : i + 1]
        if n_codes == 4096 and clear_when_full:
            put(CLEAR, width)
            strings, width, n_codes = {bytes([i]): i for i in range(256)}, 9, 258
    if string:
        put(strings[string], width)
        width += n_codes == (1 << width) - early and width < 12 and not forget
    if end:
        put(END, width)
    text = "".join(bits)
    text += "0" * (-len(text) % 8)
    return bytes(int(text[i : i + 8][::order], 2) for i in range(0, len(text), 8))


def decode(src, nbytes):
    """Through an array, so that a sanitizer sees each read behind the end of the stream."""
    return lzw.decode(np.frombuffer(src, np.uint8).copy(), nbytes)


def check_same(src, nbytes):
    """Same status and, as far as the stream goes, same bytes as the reference."""
    status, out = decode(src, nbytes)
    wanted_status, wanted = reference(src, nbytes)
    assert status == wanted_status
    assert out[: len(wanted)] == wanted
    assert len(out) == nbytes
    return status


def check_round_trip(data, src):
    status, out = decode(src, len(data))
    assert status == OK
    assert out == data


def noise(n, sigma=3.0, seed=0):
    return np.random.default_rng(seed).normal(128, sigma, n).astype(np.uint8).tobytes()


def images():
    """Pixels of several kinds, each long enough to fill the table several times or for long strings."""
    rng = np.random.default_rng(3)
    ramp = rng.normal(np.linspace(300, 900, 20_000), 6).astype(np.uint16)
    labels = np.kron(rng.integers(0, 40, (8, 8)), np.ones((16, 16))).astype(np.int32)
    return {
        "noise": noise(60_000, 20),
        "random": rng.bytes(30_000),
        "uint16": ramp.tobytes(),
        "predicted": np.diff(ramp, prepend=ramp[:1]).tobytes(),
        "labels": labels.tobytes(),
        "zeros": bytes(200_000),
        "mask": (rng.random(40_000) < 0.02).tobytes(),
        "period": bytes(range(11)) * 3000,
    }


DATA = st.one_of(
    st.binary(max_size=300),
    st.lists(st.tuples(st.integers(0, 3), st.integers(1, 90)), max_size=60).map(
        lambda runs: b"".join(bytes([value]) * n for value, n in runs)
    ),
    st.tuples(st.integers(0, 9000), st.floats(0.3, 60), st.integers(0, 99)).map(lambda args: noise(*args)),
)


@given(DATA)
def test_round_trip_imagecodecs(data):
    check_round_trip(data, imagecodecs.lzw_encode(data))


@settings(max_examples=40, deadline=None)
@given(DATA, st.booleans(), st.booleans(), st.booleans(), st.booleans(), st.booleans())
def test_round_trip_writers(data, early, clear_first, clear_when_full, end, forget):
    if not early and not clear_first:
        clear_first = True  # the old order is known by its first Clear
    if data[:1] in (b"\0", b"\1"):
        clear_first = True  # ... and else two such bytes may look like one
    check_round_trip(data, encode(data, early, clear_first, clear_when_full, end, forget))


@pytest.mark.parametrize("name", list(images()))
@pytest.mark.parametrize("early", [True, False])
@pytest.mark.parametrize("clear_when_full", [True, False])
def test_images(name, early, clear_when_full):
    data = images()[name]
    check_round_trip(data, encode(data, early, clear_when_full=clear_when_full))


@pytest.mark.parametrize("name", list(images()))
def test_same_as_imagecodecs(name):
    data = images()[name]
    src = imagecodecs.lzw_encode(data)
    for nbytes in (len(data), len(data) - 1, len(data) // 2, len(data) // 3):
        status, out = decode(src, nbytes)
        assert out == imagecodecs.lzw_decode(src, out=nbytes)
        assert status == (OK if nbytes == len(data) else TOO_LONG)


@pytest.mark.parametrize("value", [b"\0", b"ab", b"abc", bytes(range(7)), bytes(range(30))])
def test_every_length(value):
    """Strings of all lengths, those that end in their own first byte too, up to all distances of the end."""
    for n in [*range(400), 3000, 3001, 40_000, 40_001]:
        data = (value * (n // len(value) + 1))[:n]
        check_round_trip(data, encode(data) if n % 2 else imagecodecs.lzw_encode(data))


# no pair of bytes comes twice, so each byte is a code of its own
SINGLE_CODES = bytes(i * step & 255 for step in range(1, 256, 2) for i in range(256))


@pytest.mark.parametrize("n_codes", [n + d for n in (254, 766, 1790, 3838) for d in range(-2, 4)])
@pytest.mark.parametrize("early", [True, False])
@pytest.mark.parametrize("forget", [True, False])
def test_end_where_the_width_changes(n_codes, early, forget):
    """The width of the last code, as it should be and as some writers have it."""
    data = SINGLE_CODES[:n_codes]
    src = encode(data, early, forget=forget)
    if early and n_codes in (254, 766, 1790):
        assert (src == encode(data)) is not forget
    check_round_trip(data, src)
    check_same(src, n_codes + 1)


@pytest.mark.parametrize("early", [True, False])
@pytest.mark.parametrize("n_bits", range(40))
def test_what_follows_a_full_output(early, n_bits):
    """Zeros, and a Clear before them, are padding; anything else is more data, whichever bit it is in."""
    data = SINGLE_CODES[:300]  # codes of ten bits at the end
    src = encode(data, early, end=False)
    zeros = src + bytes(6)
    assert check_same(zeros, len(data)) == OK
    changed = bytearray(zeros)
    place = (9 + 254 * 9 + 46 * 10 if early else 9 + 255 * 9 + 45 * 10) + n_bits
    changed[place >> 3] ^= 128 >> (place & 7) if early else 1 << (place & 7)
    assert check_same(bytes(changed), len(data)) == (OK if n_bits == (1 if early else 8) else TOO_LONG)


def test_clear_forgets_every_string():
    """After a Clear none of the codes of before is valid, nor the one that would have come next."""
    for n in (1, 2, 5, 100, 252):
        for code in range(258, 258 + n + 2):
            codes = [CLEAR, *SINGLE_CODES[:n], CLEAR, 65, code, 66]
            bits = "".join(f"{value:09b}" for value in codes)
            bits += "0" * (-len(bits) % 8)
            src = int(bits, 2).to_bytes(len(bits) // 8, "big")
            assert check_same(src, n + 40) == (TRUNCATED if code == 258 else CORRUPT)


def test_empty():
    assert decode(b"", 0) == (OK, b"")
    assert decode(b"\x80", 1) == (TRUNCATED, b"\0")
    assert decode(b"", 1) == (TRUNCATED, b"\0")
    assert decode(imagecodecs.lzw_encode(b""), 0) == (OK, b"")
    assert decode(imagecodecs.lzw_encode(b"a"), 0) == (TOO_LONG, b"")


def test_door():
    with pytest.raises(ValueError, match="negative"):
        lzw.decode(b"", -1)
    with pytest.raises(TypeError):
        lzw.decode(None, 1)
    assert lzw.decode(memoryview(imagecodecs.lzw_encode(b"abc")), 3) == (OK, b"abc")


@pytest.mark.parametrize("early", [True, False])
@pytest.mark.parametrize("data", [b"abababab" * 20, noise(700, 9), bytes(300)])
def test_every_truncation(data, early):
    src = encode(data, early)
    for n in range(len(src)):
        status = check_same(src[:n], len(data))
        assert status in (TRUNCATED, OK)  # OK where only End is gone
        check_same(src[:n] + bytes(100), len(data))


@pytest.mark.parametrize("early", [True, False])
@pytest.mark.parametrize("data", [b"abababab" * 20, noise(300, 9), noise(900, 2), bytes(300)])
def test_every_flipped_bit(data, early):
    src = bytearray(encode(data, early))
    seen = set()
    for i in range(len(src)):
        for bit in range(8):
            src[i] ^= 1 << bit
            seen.add(check_same(bytes(src), len(data)))
            src[i] ^= 1 << bit
    assert seen > {CORRUPT}


@pytest.mark.parametrize("early", [True, False])
@pytest.mark.parametrize("data", [b"abababab" * 20, noise(300, 9), bytes(300)])
def test_wrong_size(data, early):
    src = encode(data, early)
    assert check_same(src, len(data) + 1) == TOO_SHORT
    assert check_same(src, len(data) - 1) == TOO_LONG
    assert check_same(src + b"\xff" * 5, len(data)) == OK
    for n in range(len(data)):
        assert check_same(src, n) == TOO_LONG


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=400), st.integers(0, 3000), st.booleans())
def test_any_bytes(src, nbytes, clear_first):
    check_same((b"\x80" if clear_first else b"") + src, nbytes)


@pytest.mark.parametrize("seed", range(30))
def test_damaged_long_streams(seed):
    """Damage behind the place where the fast loop has begun."""
    rng = np.random.default_rng(seed)
    data = [noise(8000, 9, seed), noise(8000, 0.5, seed), b"\7" * 3000 + noise(4000, 2, seed)][seed % 3]
    src = np.frombuffer(imagecodecs.lzw_encode(data), np.uint8).copy()
    places = rng.integers(0, len(src), 1 + seed % 4)
    src[places] ^= rng.integers(1, 256, len(places), dtype=np.uint8)
    check_same(src.tobytes(), len(data))


def test_clears_without_end():
    n = 9 * 100_000
    clears = np.packbits(np.tile(np.array([1, 0, 0, 0, 0, 0, 0, 0, 0], np.uint8), n * 8 // 9)).tobytes()
    assert decode(clears, 10)[0] == TRUNCATED
    assert decode(clears, 0)[0] == OK


def test_threads():
    """All enter at once; nothing is shared."""
    cases = [(imagecodecs.lzw_encode(data), data) for data in images().values()]
    barrier = threading.Barrier(len(cases))
    found = []

    def work(src, data):
        barrier.wait()
        found.append(all(lzw.decode(src, len(data)) == (OK, data) for _ in range(5)))

    threads = [threading.Thread(target=work, args=case) for case in cases]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [True] * len(cases)
