"""One open writer of Bio-Formats. It is used by one thread at a time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from bfio.bioformats.failures import java_errors
from bfio.bioformats.jvm import attached, java
from bfio.bioformats.writing.recipe import Recipe
from bfio.errors import BackendMissingError, UnsupportedError

__all__ = ["JavaSaver"]


class JavaSaver:
    """The Java object, and the way of pixels into it.

    Parameters
    ----------
    path : Path
        File that Java makes.
    recipe : Recipe
    xml : str
        OME-XML of the image.
    name : str
        The file in words, for errors.

    Raises
    ------
    UnsupportedError
        This version of Bio-Formats has no such writer.
    """

    def __init__(self, path: Path, recipe: Recipe, xml: str, name: str) -> None:
        self._path, self._recipe, self._name = str(path), recipe, name
        self._is_open = True
        self._arrays: dict[int, Any] = {}
        self._scratch: np.ndarray = np.empty(0, np.uint8)
        self._buffer: Any = None
        with java_errors(self._name, "the start of the file"), attached():
            self._writer = _writer_class(recipe)()
            try:
                self._begin(xml)
            except BaseException:
                self._writer.close()
                raise

    def _begin(self, xml: str) -> None:
        writer, recipe = self._writer, self._recipe
        writer.setMetadataRetrieve(_metadata(xml))
        writer.setInterleaved(True)
        if recipe.compression is not None:
            writer.setCompression(recipe.compression)
        if recipe.format.tiled:
            writer.setBigTiff(recipe.big)
            rows, cols = recipe.tile_shape
            whole = rows == recipe.series.size_y and cols == recipe.series.size_x
            if not whole:
                writer.setTileSizeX(cols)
                writer.setTileSizeY(rows)
            writer.setWriteSequentially(whole)  # faster; 6.7.0 writes compressed tiles over each other then
        writer.setId(self._path)

    def save(self, plane: int, y: int, band: np.ndarray) -> None:
        """Hand over all columns of some rows of a plane; tiles come one after the other.

        Parameters
        ----------
        plane : int
        y : int
            First row.
        band : numpy.ndarray
            Samples, rows, columns.
        """
        n_cols = self._recipe.tile_shape[1]
        doing = f"writing {self._recipe.plane_name(plane)}"
        with java_errors(self._name, doing), attached():
            for x in range(0, band.shape[2], n_cols):
                tile = band[:, :, x : x + n_cols]
                self._writer.saveBytes(plane, self._as_java(tile), x, y, tile.shape[2], tile.shape[1])

    def _as_java(self, tile: np.ndarray) -> Any:
        """Array of Java with the bytes of a tile, the samples of a pixel side by side.

        They go through one direct buffer that stays: 15 GB/s, where a slice of a Java array takes 0.6 GB/s.
        """
        dtype, nbytes = self._recipe.dtype, tile.size * self._recipe.dtype.itemsize
        if self._scratch.size < nbytes:
            self._buffer = java("java.nio.ByteBuffer").allocateDirect(nbytes)
            self._scratch = np.frombuffer(memoryview(self._buffer), np.uint8)
        pixels = self._scratch[:nbytes].view(dtype).reshape(tile.shape[1], tile.shape[2], tile.shape[0])
        np.copyto(pixels, np.moveaxis(tile, 0, -1))
        array = self._array(nbytes)
        self._buffer.clear()
        self._buffer.get(array, 0, nbytes)
        return array

    def _array(self, nbytes: int) -> Any:
        """Array of Java of exactly this length, as writers take its length for that of the pixels."""
        if nbytes not in self._arrays:
            import jpype

            if len(self._arrays) == 4:  # inner tiles, those at both edges and in the corner
                self._arrays.clear()
            self._arrays[nbytes] = jpype.JArray(jpype.JByte)(nbytes)
        return self._arrays[nbytes]

    def close(self) -> None:
        """Finish the file. Closing twice is allowed."""
        if not self._is_open:
            return
        self._is_open = False
        with java_errors(self._name, "the end of the file"), attached():
            self._writer.close()
        self._arrays.clear()
        self._buffer = None


def _writer_class(recipe: Recipe) -> Any:
    try:
        return java(f"loci.formats.out.{recipe.format.java}")
    except BackendMissingError:
        version = java("loci.formats.FormatTools").VERSION
        raise UnsupportedError(
            f"Bio-Formats {version} does not write {recipe.format.name}; a newer one may: set BFIO_BIOFORMATS_JAR to it"
        ) from None


def _metadata(xml: str) -> Any:
    """The metadata as Java wants them, with the byte order of the pixels that it gets."""
    service_class = java("loci.formats.services.OMEXMLService")
    service = java("loci.common.services.ServiceFactory")().getInstance(service_class)
    metadata = service.createOMEXMLMetadata(xml)
    no = java("java.lang.Boolean")(False)
    metadata.setPixelsBinDataBigEndian(no, 0, 0)
    metadata.setPixelsBigEndian(no, 0)
    metadata.getRoot().setCreator(None)  # each of its writers says its own, and would warn
    return metadata
