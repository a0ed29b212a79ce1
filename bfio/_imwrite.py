"""imwrite: an array becomes an image file in one call."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from bfio.assign import as_pixels
from bfio.errors import UsageError
from bfio.writer import BioWriter

if TYPE_CHECKING:
    from ome_types import OME

__all__ = ["imwrite"]

_AXES = "TCZYXS"


def imwrite(
    path: str | os.PathLike[str],
    array: Any,
    *,
    axes: str | None = None,
    dtype: Any = None,
    channel_names: Sequence[str | None] | None = None,
    physical_size_x: Any = None,
    physical_size_y: Any = None,
    physical_size_z: Any = None,
    metadata: OME | str | None = None,
    compression: str | None = "default",
    compression_level: int | None = None,
    predictor: str | bool | int | None = None,
    tile_size: int | tuple[int, int] = 1024,
    levels: int | str = 1,
    downsample: str = "mean",
    bigtiff: bool | None = None,
    max_workers: int | None = None,
    backend: str | None = None,
    durable: bool = True,
    chunks: int | Sequence[int] | None = None,
    shards: int | Sequence[int] | None = None,
    zarr_version: int | str | None = None,
    series: int | None = None,
    overwrite: bool | None = None,
    progress: Any = None,
) -> None:
    """Write an array as an image; :func:`imread` gives it back.

    Parameters
    ----------
    path : str or path
        ``.ome.tif``, ``.ome.tiff`` or any other name of a TIFF file, or ``.ome.zarr``.
    array : array
    axes : str, optional
        Which axis is which: letters of TCZYX, and S for the samples of a pixel (RGB), in the order of the array. By
        default the last ones of TCZYX; arrays of uint8 or uint16 that end in 3 or 4 behind two others are RGB or RGBA.
    dtype : dtype, optional
        Of the pixels in the file; that of the array by default. Values must not change.
    channel_names : list of str, optional
    physical_size_x, physical_size_y, physical_size_z : float or (float, str), optional
        In micrometres, or with a unit.
    metadata : ome_types.OME or str, optional
        To begin with; the sizes are those of the array.
    compression, compression_level, predictor, tile_size, levels, downsample, bigtiff : optional
        As in :class:`BioWriter`.
    chunks, shards, zarr_version, series, max_workers, backend, durable, overwrite, progress : optional
        As in :class:`BioWriter`.
    """
    pixels = as_pixels(array)
    order = _order(axes, pixels)
    full = _full(pixels, order)
    y, x, z, c, t, samples = full.shape
    writer = BioWriter(
        path, max_workers, backend, metadata,
        compression=compression, compression_level=compression_level, predictor=predictor, tile_size=tile_size,
        levels=levels, downsample=downsample, bigtiff=bigtiff, durable=durable, overwrite=overwrite,
        chunks=chunks, shards=shards, zarr_version=zarr_version, series=series, progress=progress,
    )  # fmt: skip
    with writer:
        writer.shape = (y, x, z, c * samples, t)
        writer.samples_per_pixel = samples
        writer.dtype = pixels.dtype if dtype is None else dtype
        if channel_names is not None:
            writer.channel_names = list(channel_names)
        sizes = {"x": physical_size_x, "y": physical_size_y, "z": physical_size_z}
        for axis, size in sizes.items():
            if size is not None:
                setattr(writer, f"physical_size_{axis}", size)
        if samples == 1:
            writer[:] = full[..., 0]
            return
        for channel in range(c):
            writer[:, :, :, channel * samples : (channel + 1) * samples] = np.moveaxis(full[:, :, :, channel], -1, 3)


def _order(axes: str | None, array: np.ndarray) -> str:
    """Letters of the axes of an array, checked."""
    if axes is None:
        return _guessed(array)
    order = str(axes).upper()
    if len(order) != array.ndim:
        raise UsageError(
            f"axes={axes!r} must be a str with one letter of {_AXES} for each axis of the {array.ndim}-D array"
        )
    if len(set(order)) < len(order) or set(order) - set(_AXES) or not {"Y", "X"} <= set(order):
        raise UsageError(f"axes={axes!r} must name Y, X and any others of {_AXES}, each once")
    return _not_empty(order, array)


def _guessed(array: np.ndarray) -> str:
    rgb = array.ndim >= 3 and array.shape[-1] in (3, 4) and array.dtype.newbyteorder("=") in (np.uint8, np.uint16)
    letters = _AXES if rgb else _AXES[:-1]
    if not 2 <= array.ndim <= len(letters):
        raise UsageError(f"an image has the axes {letters}, at least Y and X; the array has {array.ndim}")
    return _not_empty(letters[-array.ndim :], array)


def _not_empty(order: str, array: np.ndarray) -> str:
    if not array.size:
        raise UsageError(f"an array of shape {array.shape} has no pixels to write")
    return order


def _full(array: np.ndarray, order: str) -> np.ndarray:
    """View of the array as Y, X, Z, C, T, S."""
    wanted = "YXZCTS"
    missing = [axis for axis in wanted if axis not in order]
    have = order + "".join(missing)
    return array.reshape(*array.shape, *[1] * len(missing)).transpose([have.index(axis) for axis in wanted])
