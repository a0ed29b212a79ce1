"""Show what bfio does with a real image: ``python demo.py [IMAGE]``.

Without an image it takes a photograph of stained tissue that the scikit-image package ships, and writes it once as a
tiled, compressed OME-TIFF with two pyramid levels. Everything goes to ``demo-output``.
"""

import importlib.util
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import tifffile

import bfio

OUTPUT = Path("demo-output")


def say(text: str) -> None:
    print(f"\n--- {text}", flush=True)


def sample() -> Path:
    """Path of the tissue image as OME-TIFF, made if it is not there."""
    path = OUTPUT / "tissue.ome.tif"
    if path.exists():
        return path
    package = importlib.util.find_spec("skimage")  # finds the folder, imports nothing
    if package is None or package.origin is None:
        raise SystemExit("no sample image here: install scikit-image, or name an image of yours (IMAGE=path)")
    png = Path(package.origin).parent / "data" / "ihc.png"
    pixels = imagecodecs.png_decode(png.read_bytes())[..., :3]
    options: dict[str, Any] = {"tile": (128, 128), "compression": "zlib", "predictor": True, "photometric": "rgb"}
    with tifffile.TiffWriter(path, ome=True) as writer:
        writer.write(pixels, subifds=2, metadata={"axes": "YXS", "Name": "tissue"}, **options)
        for step in (2, 4):
            writer.write(pixels[::step, ::step], subfiletype=1, **options)
    say(f"wrote the sample image of scikit-image (immunohistochemistry, colon) as {path}")
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
    """Read the first plane, regions, another type, and every level."""
    with bfio.BioReader(path) as br:
        y, x = max(br.Y // 2 - 128, 0), max(br.X // 2 - 128, 0)
        say("reading; each line: what, shape, type, time")
        plane = timed("first plane, br[:, :, 0, :, 0]", lambda: br[:, :, 0, :, 0])
        region = timed("its middle, 256 x 256 pixels", lambda: br[y : y + 256, x : x + 256, 0, :, 0])
        timed("the same again (tiles are in the cache)", lambda: br[y : y + 256, x : x + 256, 0, :, 0])
        floats = timed("as float32, converted while decoding", lambda: br.read(Z=0, T=0, dtype="float32"))
        assert np.array_equal(region, plane[y : y + 256, x : x + 256]), "a region is not what the plane holds"
        assert np.array_equal(floats, plane.astype("float32")), "conversion while decoding differs from astype"
        print("the region and the converted plane agree with the whole plane, pixel for pixel")
        levels = len(br.levels)
    for level in range(1, levels):
        with bfio.BioReader(path, level=level) as small:
            timed(f"pyramid level {level}", partial(small.read, Z=0, T=0))


def write_thumbnail(path: Path) -> None:
    with bfio.BioReader(path) as br:
        timed("thumbnail", br.thumbnail)
    target = OUTPUT / "thumbnail.png"
    run_bfio("thumbnail", path, target)


def main() -> None:
    OUTPUT.mkdir(exist_ok=True)
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else sample()
    run_bfio("info", path)
    show_reads(path)
    write_thumbnail(path)
    print(f"Done: bfio {bfio.__version__} read {path}; look at {OUTPUT / 'thumbnail.png'}.")


if __name__ == "__main__":
    main()
