"""Bio-Formats' own writer of OME-TIFF, driven through JPype."""

from typing import Any

import numpy as np
from pixels import pixels
from protocol import serve, versions

import bfio


def _writer(path: str, plane: np.ndarray, tile: int, compression: str) -> Any:
    """A writer of tiles."""
    bfio.start()
    from jpype import JClass

    service = JClass("loci.common.services.ServiceFactory")().getInstance(JClass("loci.formats.services.OMEXMLService"))
    store = service.createOMEXMLMetadata()
    height, width = plane.shape
    JClass("loci.formats.MetadataTools").populateMetadata(
        store, 0, "bench", True, "XYZCT", plane.dtype.name, width, height, 1, 1, 1, 1
    )
    writer = JClass("loci.formats.out.OMETiffWriter")()
    writer.setMetadataRetrieve(store)
    writer.setWriteSequentially(True)
    writer.setCompression(compression)
    writer.setTileSizeX(tile)
    writer.setTileSizeY(tile)
    writer.setId(path)
    return writer


def write(path: str, image: str, shape: str, tile: int, compression: str, rows: int, columns: int) -> None:
    """A whole image, by pieces of some rows and columns; by those of 512 x 512, tile after tile."""
    from jpype.types import JArray, JByte

    plane = pixels(image, shape)
    writer = _writer(path, plane, tile, compression)
    try:
        for y in range(0, plane.shape[0], rows):
            for x in range(0, plane.shape[1], columns):
                piece = plane[y : y + rows, x : x + columns]
                data = JArray(JByte)(np.ascontiguousarray(piece).reshape(-1).view(np.int8))
                writer.saveBytes(0, data, x, y, piece.shape[1], piece.shape[0])
    finally:
        writer.close()


if __name__ == "__main__":
    serve({"write": write}, versions("jpype1"))
