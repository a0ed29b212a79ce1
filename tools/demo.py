"""The main job of bfio on a real image, from beginning to end: ``python demo.py [IMAGE]``.

An image becomes a tiled OME-TIFF with a pyramid through ``bfio convert``; regions and all levels of it are read back
and compared, pixel for pixel, and so is what Bio-Formats makes of the file. The image becomes OME-Zarr as well, which
two validators look at. Then a PNG, which only Bio-Formats reads, is converted, and a region of an image of 60,000 x
60,000 pixels is read, which Bio-Formats makes up. Without an image, the demo takes the photograph of stained tissue
that the scikit-image package ships, and lays it out 8 by 8 times, mirrored, to have the size of a part of a slide.
Everything goes to ``demo-output``.
"""

import importlib.util
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import imagecodecs
import numpy as np
import tifffile

import bfio
from bfio.backends.ometiff_writer import UNREAD

OUTPUT = Path("demo-output")
COPIES = 8
REGION = 256
SMALL = 1 << 28
"""Pixels of a plane that may be read as a whole."""


def say(text: str) -> None:
    print(f"\n--- {text}", flush=True)


def sample() -> Path:
    """The tissue as a plain TIFF in strips, such as a camera writes it."""
    path = OUTPUT / "tissue.tif"
    package = importlib.util.find_spec("skimage")  # finds the folder, imports nothing
    if package is None or package.origin is None:
        raise SystemExit("no sample image here: install scikit-image, or name an image of yours (IMAGE=path)")
    png = Path(package.origin).parent / "data" / "ihc.png"
    photograph = imagecodecs.png_decode(png.read_bytes())[..., :3]
    height, width = photograph.shape[:2]
    pixels = np.pad(photograph, ((0, (COPIES - 1) * height), (0, (COPIES - 1) * width), (0, 0)), mode="symmetric")
    tifffile.imwrite(path, pixels, photometric="rgb", rowsperstrip=16, resolution=(20000, 20000), resolutionunit=3)
    say(f"the photograph of scikit-image (immunohistochemistry, colon), {COPIES} x {COPIES} times, is {path}")
    return path


def run_bfio(*arguments: str | Path) -> None:
    """Run the command line as a user does."""
    say(f"bfio {' '.join(map(str, arguments))}")
    if subprocess.run([Path(sys.executable).with_name("bfio"), *arguments], check=False).returncode:
        raise SystemExit(1)


def timed(what: str, read: Callable[[], np.ndarray]) -> np.ndarray:
    """Run a read, print what came and how long it took."""
    start = time.perf_counter()
    result = read()
    took = (time.perf_counter() - start) * 1000
    print(f"{what:<44} {result.shape!s:<20} {result.dtype!s:<8} {took:7.2f} ms")
    return result


def show_reads(path: Path) -> None:
    """Read the first plane, a region, another type, and every level."""
    with bfio.BioReader(path) as br:
        y, x = max(br.Y // 2 - 128, 0), max(br.X // 2 - 128, 0)
        say("reading the new file; each line: what, shape, type, time")
        timed("first plane, br[:, :, 0, :, 0]", lambda: br[:, :, 0, :, 0])
        timed("its middle, 256 x 256 pixels", lambda: br[y : y + REGION, x : x + REGION, 0, :, 0])
        timed("the same again (tiles are in the cache)", lambda: br[y : y + REGION, x : x + REGION, 0, :, 0])
        timed("as float32, converted while decoding", lambda: br.read(Z=0, T=0, dtype="float32"))
        levels = len(br.levels)
    for level in range(1, levels):
        with bfio.BioReader(path, level=level) as small:
            timed(f"pyramid level {level}", partial(small.read, Z=0, T=0))


def compare_regions(source: Path, path: Path, backend: str | None = None) -> None:
    """Regions of all planes, all over the image, against the source; `backend` reads the new file."""
    rng = np.random.default_rng(0)
    with bfio.BioReader(source) as one, bfio.BioReader(path, backend=backend) as other:
        sizes = (one.Y, one.X, one.Z, one.C, one.T)
        assert sizes == (other.Y, other.X, other.Z, other.C, other.T), "the sizes differ"
        for _ in range(100):
            y, x, z, c, t = (int(rng.integers(size)) for size in sizes)
            key = (slice(y, y + REGION), slice(x, x + REGION), z, c, t)
            assert np.array_equal(one[key], other[key]), f"the region at {key} differs"
        by = f", read by {other._backend_name}" if backend else ""
        print(f"100 regions of {one.Z * one.C * one.T} planes{by} are those of the source, pixel for pixel")


def compare_bioformats(path: Path) -> None:
    """The new file as Bio-Formats reads it, region by region and level by level."""
    start = time.perf_counter()
    print(f"Bio-Formats {bfio.start()}, started in {time.perf_counter() - start:.1f} s")
    with bfio.BioReader(path) as own:
        levels = [(level.size_y, level.size_x) for level in own.levels]
        if own.dtype.name in UNREAD:
            print(f"it does not read pixels of {own.dtype}")
            return
    compare_regions(path, path, "bioformats")
    with bfio.BioReader(path, backend="bioformats") as other:
        assert [(level.size_y, level.size_x) for level in other.levels] == levels, "it finds other levels"


def convert_to_zarr(source: Path, store: Path) -> None:
    """The same image as OME-Zarr, which two validators look at; its pixels are compared as well."""
    run_bfio("convert", source, store, "--force")
    for validator in ("ome-zarr-models", "yaozarrs"):
        say(f"{validator} validate {store}")
        if subprocess.run([Path(sys.executable).with_name(validator), "validate", store], check=False).returncode:
            raise SystemExit(f"{validator} finds the store invalid")
    compare_regions(source, store)


def convert_png() -> None:
    """A file that is not TIFF, from PNG to a pyramid."""
    pixels = np.indices((1000, 1500, 3)).sum(axis=0).astype(np.uint8) * np.array([1, 2, 3], np.uint8)
    png, path = OUTPUT / "picture.png", OUTPUT / "picture.ome.tif"
    png.write_bytes(imagecodecs.png_encode(pixels))
    run_bfio("convert", png, path, "--tile", "512", "--force")
    assert np.array_equal(bfio.imread(path), pixels), "the pixels of the PNG differ"
    with bfio.BioReader(path) as br:
        print(f"the pixels are those of the PNG, in a pyramid of {len(br.levels)} levels")


def read_huge() -> None:
    """A plane that no program decodes as a whole, made up by Bio-Formats from its name."""
    with bfio.BioReader("huge&sizeX=60000&sizeY=60000.fake") as br:
        timed("60,000 x 60,000 pixels, the last 256 x 256", lambda: br[-REGION:, -REGION:])


def compare_levels(path: Path) -> None:
    """Each level of the first plane against the mean of 2 x 2 pixels of the one before; the first by tifffile, too."""
    with bfio.BioReader(path) as br:
        n_levels, is_rounded = len(br.levels), br.dtype.kind in "iu" and br.dtype.itemsize < 8
        above = br.read(Z=0, C=[0], T=0)
    first = tifffile.imread(path, key=0)
    assert np.array_equal(first[..., 0] if first.ndim == 3 else first, above), "tifffile reads something else"
    print("tifffile reads the same from the new file")
    for level in range(1, n_levels if is_rounded else 1):
        with bfio.BioReader(path, level=level) as small:
            below = small.read(Z=0, C=[0], T=0)
        assert np.array_equal(below, halved(above)), f"level {level} is not the mean of level {level - 1}"
        above = below
        print(f"level {level}: every pixel is the mean of those of level {level - 1}")


def halved(pixels: np.ndarray) -> np.ndarray:
    """The mean of 2 x 2 pixels, of fewer at the edges; halves are rounded up."""
    (rows, cols), dtype = pixels.shape, pixels.dtype
    total, count = np.zeros((2, -(-rows // 2), -(-cols // 2)), np.int64)
    for part in (pixels[::2, ::2], pixels[::2, 1::2], pixels[1::2, ::2], pixels[1::2, 1::2]):
        total[: part.shape[0], : part.shape[1]] += part
        count[: part.shape[0], : part.shape[1]] += 1
    means: np.ndarray = (2 * total + count) // (2 * count)
    return means.astype(dtype)


def main() -> None:
    OUTPUT.mkdir(exist_ok=True)
    source = Path(sys.argv[1]) if len(sys.argv) > 1 else sample()
    path = OUTPUT / f"{source.name.split('.')[0]}.ome.tif"
    run_bfio("convert", source, path, "--force")
    print(f"{source} has {source.stat().st_size:,} bytes, {path} with its levels {path.stat().st_size:,}")
    run_bfio("info", path)
    with bfio.BioReader(path) as br:
        is_small = br.Y * br.X <= SMALL
    if is_small:
        show_reads(path)
    say("is it right?")
    compare_regions(source, path)
    if is_small:
        compare_levels(path)
    convert_to_zarr(source, path.with_suffix("").with_suffix(".ome.zarr"))
    say("Bio-Formats, in the JVM that pip has installed")
    compare_bioformats(path)
    convert_png()
    read_huge()
    run_bfio("thumbnail", path, OUTPUT / "thumbnail.png")
    print(f"Done: bfio {bfio.__version__} converted {source}; look at {OUTPUT / 'thumbnail.png'}.")


if __name__ == "__main__":
    main()
