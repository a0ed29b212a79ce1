"""Deterministic images, and the TIFFs made of them, kept under ``benchmarks/.cache``."""

import json
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tifffile

HERE = Path(__file__).parent
CACHE = HERE / ".cache"
SIDE = 8192
N_PLANES = 10_000
VOLUME = (48, 2048, 2048)
RECIPE = 1  # raise it when an image or a file changes: the cache is thrown away

sys.path.insert(0, str(HERE / "contenders"))
from protocol import crc  # noqa: E402

OME_XML = (
    '<?xml version="1.0" encoding="UTF-8"?>'
    '<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"><Image ID="Image:0" Name="bench">'
    '<Pixels ID="Pixels:0" DimensionOrder="XYZCT" Type="uint16" BigEndian="false" SizeX="{x}" SizeY="{y}" SizeC="1" '
    'SizeZ="{z}" SizeT="1"><Channel ID="Channel:0:0" SamplesPerPixel="1"/><TiffData IFD="0" PlaneCount="{z}"/>'
    "</Pixels></Image></OME>"
)


@dataclass(frozen=True)
class TiffFile:
    """How one image is laid out as a TIFF; without a tile, each plane is one strip."""

    image: str
    tile: int | None
    compression: str | None = None
    predictor: bool = False

    @property
    def path(self) -> Path:
        """Its place in the cache."""
        parts = [self.image, self.compression or "raw", str(self.tile or "strip")]
        if self.predictor:
            parts.append("predictor")
        return CACHE / f"{'-'.join(parts)}.ome.tif"


def _add_blobs(signal: np.ndarray, rng: np.random.Generator, n_blobs: int) -> None:
    """Add gaussian spots of many sizes in place."""
    side = len(signal)
    for y, x, sigma, height in zip(
        rng.integers(0, side, n_blobs),
        rng.integers(0, side, n_blobs),
        rng.uniform(2, 14, n_blobs),
        rng.exponential(900, n_blobs),
        strict=True,
    ):
        reach = int(3 * sigma) + 1
        rows = np.arange(max(0, y - reach), min(side, y + reach + 1))
        columns = np.arange(max(0, x - reach), min(side, x + reach + 1))
        bell_y = np.exp(-((rows - y) ** 2) / (2 * sigma**2))
        bell_x = np.exp(-((columns - x) ** 2) / (2 * sigma**2))
        signal[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] += height * np.outer(bell_y, bell_x)


def microscopy() -> np.ndarray:
    """Uneven background, bright spots, shot noise and readout noise: deflate makes it about 1.8 times smaller."""
    rng = np.random.default_rng(20261)
    axis = np.linspace(-1, 1, SIDE, dtype=np.float32)
    signal = 200 + 100 * np.exp(-(axis[:, None] ** 2 + axis[None, :] ** 2))
    _add_blobs(signal, rng, 10_000)
    image = np.empty(signal.shape, np.uint16)
    for top in range(0, SIDE, 512):
        rows = signal[top : top + 512]
        noise = rng.standard_normal(rows.shape, np.float32) * np.sqrt(0.4 * rows + 6)
        image[top : top + 512] = np.clip(np.rint(rows + noise), 0, 65535)
    return image


def volume() -> np.ndarray:
    """48 planes of the same spots, each with noise of its own; 403 MB, which zstd makes about 1.6 times smaller."""
    rng = np.random.default_rng(20267)
    axis = np.linspace(-1, 1, VOLUME[-1], dtype=np.float32)
    signal = 200 + 100 * np.exp(-(axis[:, None] ** 2 + axis[None, :] ** 2))
    _add_blobs(signal, rng, 640)
    spread = np.sqrt(0.4 * signal + 6)
    image = np.empty(VOLUME, np.uint16)
    for plane in image:
        plane[:] = np.clip(np.rint(signal + rng.standard_normal(signal.shape, np.float32) * spread), 0, 65535)
    return image


def labels() -> np.ndarray:
    """Cells of many shapes, each filled with its number, on an empty background."""
    rng = np.random.default_rng(20262)
    image = np.zeros((SIDE, SIDE), np.uint16)
    pitch = 64
    offsets = np.arange(pitch) - pitch / 2
    number = 0
    for top in range(0, SIDE, pitch):
        for left in range(0, SIDE, pitch):
            number += 1
            radius_y, radius_x = rng.uniform(14, 31, 2)
            y, x = offsets + rng.uniform(-4, 4), offsets + rng.uniform(-4, 4)
            inside = (y[:, None] / radius_y) ** 2 + (x[None, :] / radius_x) ** 2 < 1
            image[top : top + pitch, left : left + pitch][inside] = number
    return image


def quarter() -> np.ndarray:
    """4096 x 4096 of the microscopy."""
    return microscopy()[: SIDE // 2, : SIDE // 2]


def pair() -> np.ndarray:
    """Two planes: one to be read before the clock runs, and the quarter."""
    plane = quarter()
    return np.stack([plane[::-1], plane])


def label_quarter() -> np.ndarray:
    """4096 x 4096 of the labels, cheap to decode."""
    return labels()[: SIDE // 2, : SIDE // 2]


IMAGES: dict[str, Callable[[], np.ndarray]] = {
    "microscopy": microscopy,
    "labels": labels,
    "volume": volume,
    "quarter": quarter,
    "pair": pair,
    "label-quarter": label_quarter,
}


class Cache:
    """Images and files on disk, made when first asked for, with the checksums of what a reader must return."""

    def __init__(self) -> None:
        CACHE.mkdir(exist_ok=True)
        self._notes = CACHE / "notes.json"
        known = json.loads(self._notes.read_text()) if self._notes.exists() else {}
        self._truth: dict[str, int] = known.get("truth", {})
        if known.get("recipe") != RECIPE:
            self._truth = {}
            shutil.rmtree(CACHE)
            CACHE.mkdir()

    @staticmethod
    def place(name: str) -> Path:
        """Where an image stands once it is made."""
        return CACHE / f"{name}.npy"

    def image(self, name: str) -> np.ndarray:
        """The pixels, mapped from disk."""
        path = self.place(name)
        if not path.exists():
            print(f"making image {name}", file=sys.stderr)
            part = CACHE / f"{name}.part.npy"
            np.save(part, IMAGES[name]())
            part.rename(path)
        pixels: np.ndarray = np.load(path, mmap_mode="r")
        return pixels

    def plane_file(self, file: TiffFile) -> Path:
        """The TIFF of an image."""
        if not file.path.exists():
            image = self.image(file.image)
            print(f"writing {file.path.name}", file=sys.stderr)
            n_planes = 1 if image.ndim == 2 else len(image)
            part = file.path.with_suffix(".part")
            tifffile.imwrite(
                part,
                image,
                tile=(file.tile, file.tile) if file.tile else None,
                rowsperstrip=None if file.tile else image.shape[-2],
                compression=file.compression,
                predictor=file.predictor or None,
                description=OME_XML.format(y=image.shape[-2], x=image.shape[-1], z=n_planes),
                metadata=None,
                maxworkers=2,
            )
            part.rename(file.path)
        return file.path

    def many_planes(self) -> Path:
        """An OME-TIFF of 10,000 small planes along Z, written as tifffile does it."""
        path = CACHE / "planes.ome.tif"
        if not path.exists():
            print(f"writing {path.name}", file=sys.stderr)
            part = CACHE / "planes.part"
            shape = (N_PLANES, 64, 64)
            stack = np.random.default_rng(20263).integers(0, 4096, shape, dtype=np.uint16)
            self._remember("planes last", crc([stack[-1]]))
            tifffile.imwrite(part, stack, ome=True, metadata={"axes": "ZYX"}, compression="zlib")
            part.rename(path)
        return path

    def truth(self, image: str, dtype: str = "uint16") -> int:
        """Checksum of a whole image in a dtype, or of the last of the many planes."""
        key = f"{image} {dtype}"
        if key not in self._truth:
            self._remember(key, crc([self.image(image).astype(dtype)]))
        return int(self._truth[key])

    def _remember(self, key: str, value: int) -> None:
        self._truth[key] = value
        self._notes.write_text(json.dumps({"recipe": RECIPE, "truth": self._truth}))

    def regions_truth(self, image: str, boxes: list[tuple[int, int, int, int]]) -> int:
        """Checksum of regions in their order."""
        pixels = self.image(image)
        return crc(pixels[y0 : y0 + height, x0 : x0 + width] for y0, x0, height, width in boxes)


def random_boxes(n_boxes: int = 200, size: int = 256) -> list[tuple[int, int, int, int]]:
    """The same random regions for everyone: y0, x0, height, width."""
    corners = np.random.default_rng(20264).integers(0, SIDE - size + 1, (n_boxes, 2))
    return [(int(y0), int(x0), size, size) for y0, x0 in corners]
