"""Damage to bytes: flipped, replaced by values that hurt, cut, doubled, moved, spliced with another file."""

import os
import struct
import time
from collections.abc import Iterator, Sequence

import numpy as np

SECONDS = float(os.environ.get("BFIO_FUZZ_SECONDS", "1"))
"""For each test; `make fuzz` sets more."""
SEED = int(os.environ.get("BFIO_FUZZ_SEED", "0"))
NUMBERS = (0, 1, 2, 3, 7, 8, 15, 16, 127, 128, 255, 256, 4095, 4096, 32767, 32768, 65535, 2**31 - 1, 2**31, 2**32 - 1)


def mutated(data: bytes, rng: np.random.Generator, others: Sequence[bytes] = ()) -> bytes:
    """One to eight random changes."""
    bent = bytearray(data)
    for _ in range(int(rng.integers(1, 9))):
        if not bent:
            break
        place = int(rng.integers(0, len(bent)))
        match int(rng.integers(0, 8)):
            case 0:
                bent[place] ^= 1 << int(rng.integers(0, 8))
            case 1:
                bent[place] = int(rng.integers(0, 256))
            case 2:
                form = str(rng.choice(["<H", ">H", "<I", ">I"]))
                value = struct.pack(form, int(rng.choice(NUMBERS)) & (0xFFFF if "H" in form else 0xFFFFFFFF))
                bent[place : place + len(value)] = value
            case 3:
                del bent[place:]
            case 4:
                del bent[place : place + int(rng.integers(1, 17))]
            case 5:
                bent[place:place] = bent[place : place + int(rng.integers(1, 33))]
            case 6:
                start = int(rng.integers(0, len(bent)))
                bent[place : place + 12] = bent[start : start + 12]
            case 7 if others:
                other = others[int(rng.integers(0, len(others)))]
                bent[place:] = other[min(place, len(other)) :]
    return bytes(bent)


def stream(seeds: Sequence[bytes], name: str) -> Iterator[tuple[int, bytes]]:
    """Number of the seed and a mutant of it, until the time is up; the same sequence for the same seed number."""
    rng = np.random.default_rng([SEED, *name.encode()])
    stop = time.monotonic() + SECONDS
    while time.monotonic() < stop:
        number = int(rng.integers(0, len(seeds)))
        yield number, mutated(seeds[number], rng, seeds)
