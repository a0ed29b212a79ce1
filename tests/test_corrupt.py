"""Good files cut at every byte and bent at every byte of their structure: only `BfioError`, and never stale memory."""

import faulthandler
import io
import os
import sys
import warnings
from pathlib import Path

import guarded
import hostile_files
import numpy as np
import pytest

from bfio import BfioError, BioReader

FILES = dict(hostile_files.real_files())
FROZEN = Path(__file__).parent / "corrupt"
THOROUGH = float(os.environ.get("BFIO_FUZZ_SECONDS", "1")) >= 60
SECONDS = 20


@pytest.fixture(autouse=True)
def guard():
    """A hang ends the run with a traceback; noise of broken tags is not to be seen."""
    faulthandler.dump_traceback_later(600, exit=True, file=sys.__stderr__)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield
    faulthandler.cancel_dump_traceback_later()


def attempt(data: bytes) -> str:
    """Read all of a file twice into different memory: equal pixels or a BfioError."""
    try:
        with BioReader(io.BytesIO(data), max_workers=1) as reader:
            shape = (reader.Y, reader.X, reader.Z, reader.C, reader.T)
            if np.prod([float(n) for n in shape]) * reader.dtype.itemsize > 1 << 22:
                return part(reader)
            zeros, ones = np.zeros(shape, reader.dtype), np.empty(shape, reader.dtype)
            ones.view(np.uint8).fill(0xFF)
            reader.read(out=zeros)
            reader.read(out=ones)
            assert np.array_equal(zeros.view(np.uint8), ones.view(np.uint8)), "pixels that nothing was written to"
            return "pixels"
    except BfioError as error:
        assert "\n" not in str(error)
        return "refused"


def part(reader: BioReader) -> str:
    reader[:64, :64, 0, :4, 0]
    return "part"


def structure(data: bytes, most: int) -> list[int]:
    """Positions outside of the pixels: header, IFDs, and the values of tags."""
    import tifffile

    inside = np.zeros(len(data), bool)
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        pages = [page.aspage() for page in file.pages]
        pages += [page for parent in pages for page in (parent.pages or ())]
        for page in pages:
            for offset, nbytes in zip(page.dataoffsets, page.databytecounts, strict=True):
                inside[offset + 4 : offset + nbytes] = True
    places = np.flatnonzero(~inside).tolist()
    return places if THOROUGH else places[:: -(-len(places) // most)]


@pytest.mark.parametrize("name", FILES)
def test_cut_at_every_byte(name):
    data = FILES[name]
    step = 1 if THOROUGH else -(-len(data) // 400)
    answers = [attempt(data[:size]) for size in range(0, len(data), step)]
    assert answers[0] == "refused"
    assert attempt(data) == "pixels"


@pytest.mark.parametrize("name", FILES)
def test_bent_at_every_byte(name):
    data = FILES[name]
    for place in structure(data, 200):
        for mask in (0xFF, 0x01, 0x80) if THOROUGH else (0xFF,):
            bent = bytearray(data)
            bent[place] ^= mask
            attempt(bytes(bent))


@pytest.mark.parametrize("name", FILES)
def test_random_damage(name):
    rng = np.random.default_rng(sum(name.encode()))
    data = np.frombuffer(FILES[name], np.uint8)
    for _ in range(400 if THOROUGH else 20):
        bent = data.copy()
        places = rng.integers(0, len(bent), rng.integers(1, 12))
        bent[places] = rng.choice([0, 1, 0x7F, 0x80, 0xFF, *rng.integers(0, 256, 3)], len(places))
        attempt(bent.tobytes())


sanitized = pytest.mark.skipif("asan" in os.environ.get("LD_PRELOAD", ""), reason="a sanitizer's memory is no measure")


@sanitized
def test_sample_in_children(tmp_path):
    """The same with metadata, thumbnail and limits of time and memory."""
    rng = np.random.default_rng(5)
    paths = []
    for name, data in FILES.items():
        for number in range(200 if THOROUGH else 12):
            bent = bytearray(data)
            if number % 3 == 0:
                del bent[int(rng.integers(0, len(bent))) :]
            else:
                bent[int(rng.choice(structure(data, 10**9)))] ^= 1 << int(rng.integers(0, 8))
            paths.append(tmp_path / f"{name} {number}.tif")
            paths[-1].write_bytes(bent)
    bad = [outcome for outcome in guarded.survey(paths) if outcome.faults]
    assert not bad, "\n".join(f"{outcome.path}: {outcome.faults}" for outcome in bad[:20])


@sanitized
@pytest.mark.parametrize("path", sorted(FROZEN.glob("*")) or [None], ids=lambda path: path.name if path else "none")
def test_frozen(path):
    """What once broke the reader."""
    if path is None:
        pytest.skip("nothing is frozen")
    (outcome,) = guarded.survey([path])
    assert not outcome.faults


def test_frozen_are_small():
    assert sum(path.stat().st_size for path in FROZEN.glob("*")) < 100_000
