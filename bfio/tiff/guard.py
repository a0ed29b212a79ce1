"""tifffile's decoders without the decompressors that damaged bytes can crash.

LZW goes through our kernel, as imagecodecs' can read beside its buffers. JPEG goes to libjpeg alone: imagecodecs'
`jpeg_decode` hands what libjpeg refuses to a decoder of lossless JPEG that reads where the stream tells it to. So
lossless JPEG that libjpeg does not know is refused. JPEG XR has no other decoder, and no check of its header makes it
safe: it runs in a child process. All other codecs are called in this process, after a look at the size that the
stream claims. They are trusted to mind their bounds: damaged streams by the ten thousand did not crash them.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np

from bfio import _kernels
from bfio._kernels import Status
from bfio.enums import Compression, FillOrder, Photometric, PlanarConfiguration, Predictor, SampleFormat
from bfio.errors import FormatError, UnsupportedError
from bfio.tiff.quarantine import Quarantine
from bfio.tiff.streams import check_claim

__all__ = ["JPEG_COMPRESSIONS", "GuardedDecoder", "guarded"]

JPEG_COMPRESSIONS = frozenset({Compression.OLD_JPEG, Compression.JPEG, Compression.ALT_JPEG, Compression.JPEG_LOSSY})
"""Compressions whose decoder wants the JPEGTables tag."""
JPEGXR = frozenset({Compression.JPEGXR, Compression.JPEGXR_NDPI})
REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
LZW_RATIO = 4096
"""No code of LZW, at least a byte long, stands for more bytes than the table has entries."""

Decode = Callable[..., Any]
Decompress = Callable[..., Any]
"""Encoded bytes, place and shape of a tile (of tifffile's five and four axes) -> its bytes."""


class GuardedDecoder:
    """Stands for ``TiffPage.decode``: same arguments, same result.

    Parameters
    ----------
    page : tifffile.TiffPage
    unpack : callable
        tifffile's decoder of the page, or of one that is the same but not compressed, if there is a `decompress`.
    decompress : callable, optional
    """

    def __init__(self, page: Any, unpack: Decode, decompress: Decompress | None) -> None:
        self._compression = int(page.compression)
        self._n_pixels = pixels_of_tile(page)
        self._unpack = unpack
        self._decompress = decompress

    def __call__(self, data: bytes | None, index: int, /, *, _fullsize: bool = False, **jpeg: Any) -> Any:
        """Pixels, place and shape of a tile; see tifffile."""
        if data is None:
            return self._unpack(None, index, _fullsize=_fullsize)
        header = jpeg.get("jpegheader")
        check_claim(self._compression, header + data if header else data, self._n_pixels)
        if self._decompress is None:
            return self._unpack(data, index, _fullsize=_fullsize, **jpeg)
        _, place, shape = self._unpack(None, index)
        return self._unpack(self._decompress(data, place, shape, **jpeg), index, _fullsize=_fullsize)


def guarded(page: Any, quarantine: Quarantine) -> GuardedDecoder:
    """The guarded decoder of a page, which is from now on the one that tifffile itself uses."""
    if not isinstance(page.decode, GuardedDecoder):
        compression = int(page.compression)
        decompress: Decompress | None = None
        unpack = page.decode
        if compression == Compression.LZW:
            decompress, unpack = _lzw(page), _uncompressed(page).decode
        elif compression in JPEG_COMPRESSIONS:
            decompress, unpack = _jpeg(page), _of_pixels(page).decode
        elif compression in JPEGXR:
            decompress, unpack = _jpegxr(page, quarantine), _of_pixels(page).decode
        page.decode = GuardedDecoder(page, unpack, decompress)
    decoder: GuardedDecoder = page.decode
    return decoder


def pixels_of_tile(page: Any) -> int:
    """Pixels of one tile or strip."""
    if page.is_tiled:
        return int(page.tilewidth * page.tilelength * page.tiledepth)
    return int(page.imagewidth * min(page.imagelength, page.rowsperstrip or page.imagelength) * page.imagedepth)


def _uncompressed(page: Any) -> Any:
    """The page as it were without compression."""
    twin = copy.copy(page)
    for name in ("decode", "hash"):  # computed once, and kept
        vars(twin).pop(name, None)
    twin.compression = type(page.compression)(Compression.NONE)
    twin.fillorder = FillOrder.MSB_TO_LSB
    return twin


def _of_pixels(page: Any) -> Any:
    """The page as it were if its tiles were the pixels that come out of an image codec."""
    if page.is_subsampled and page.planarconfig == PlanarConfiguration.SEPARATE:
        raise UnsupportedError("chroma subsampling of separate planes")
    twin = _uncompressed(page)
    twin.predictor, twin.photometric, twin.subsampling = Predictor.NONE, Photometric.MIN_IS_BLACK, None
    twin.sampleformat, twin.bitspersample = SampleFormat.UINT, 8 * np.dtype(page.dtype).itemsize
    return twin


def _as_stored(page: Any, pixels: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Bytes of decoded pixels as an uncompressed tile would have them; strips may have too many rows."""
    dtype = np.dtype(page.dtype)
    if not np.can_cast(pixels.dtype, dtype):
        raise FormatError(f"the stream has pixels of the type {pixels.dtype}, the tags say {dtype}")
    if pixels.size > np.prod(shape, dtype=np.int64) and pixels.shape[1] == shape[2]:
        pixels = pixels[: shape[1]]
    if pixels.size > np.prod(shape, dtype=np.int64):
        raise FormatError(f"the stream has pixels of the shape {pixels.shape}, the tags say {shape[1:]}")
    stored = np.ascontiguousarray(pixels, dtype.newbyteorder(page.parent.byteorder))
    return stored.reshape(-1).view(np.uint8)


def _lzw(page: Any) -> Decompress:
    bits, size_y, size_x = page.bitspersample, page.imagelength, page.imagewidth
    reverse = page.fillorder == FillOrder.LSB_TO_MSB

    def decompress(data: bytes, place: tuple[int, ...], shape: tuple[int, ...], **_: Any) -> bytes:
        depth, rows, cols, samples = shape
        pixel_bits = sum(bits) if isinstance(bits, tuple) else samples * bits
        rest_rows, rest_cols = min(rows, size_y - place[2]), min(cols, size_x - place[3])
        status = int(Status.TOO_SHORT)
        # some writers store only what of a tile is inside the image
        for n_rows, n_cols in dict.fromkeys([(rows, cols), (rest_rows, cols), (rest_rows, rest_cols)]):
            nbytes = -(-n_cols * pixel_bits // 8) * n_rows * depth
            if nbytes <= LZW_RATIO * len(data):
                status, pixels = _kernels.decompress(
                    Compression.LZW, data.translate(REVERSED) if reverse else data, nbytes
                )
                if status == Status.OK or (status == Status.TOO_LONG and n_rows == rows and n_cols == cols):
                    return pixels
        raise FormatError(_kernels.reason(status))

    return decompress


def _jpeg(page: Any) -> Decompress:
    import imagecodecs

    stored, wanted = _colour_spaces(page)

    def decompress(
        data: bytes, _: tuple[int, ...], shape: tuple[int, ...], *, jpegtables: Any = None, jpegheader: Any = None
    ) -> np.ndarray:
        if jpegheader is not None:
            data = b"".join((jpegheader, data, b"\xff\xd9"))
        size = shape[1], shape[2]
        pixels = imagecodecs.jpeg8_decode(data, tables=jpegtables, colorspace=stored, outcolorspace=wanted, shape=size)
        return _as_stored(page, pixels, shape)

    return decompress


def _colour_spaces(page: Any) -> tuple[str | None, str | None]:
    """Colour space of the JPEG stream and of the pixels, in imagecodecs' names; None for what the stream says."""
    if page.planarconfig == PlanarConfiguration.SEPARATE:
        return None, "GRAYSCALE"
    if page.extrasamples:
        return None, None
    if page.photometric == Photometric.RGB:
        return None if page.is_jfif else "RGB", "RGB"
    if page.photometric <= Photometric.PALETTE:
        return None, None
    return None, {Photometric.YCBCR: "RGB", Photometric.SEPARATED: "CMYK"}.get(
        page.photometric, Photometric(page.photometric).name
    )


def _jpegxr(page: Any, quarantine: Quarantine) -> Decompress:
    def decompress(data: bytes, _: tuple[int, ...], shape: tuple[int, ...], **__: Any) -> np.ndarray:
        return _as_stored(page, quarantine.decode(data), shape)

    return decompress
