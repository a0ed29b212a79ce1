"""tifffile behind one door: pages and decoders for what the kernels leave out. The only import of tifffile."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from bfio._locks import ProcessLock
from bfio.byteio import Source
from bfio.errors import BfioError, FormatError, LimitError, UnsupportedError

if TYPE_CHECKING:
    import tifffile

__all__ = ["PageFile", "SourceFile", "TileDecoder", "foreign_errors"]

TileDecoder = Callable[[bytes, int], np.ndarray]
"""Encoded bytes and index of a tile -> its pixels, shape (rows, columns, samples)."""

JPEG_COMPRESSIONS = {6, 7, 33007, 34892}
"""Compressions whose decoder wants the JPEGTables tag."""


@contextmanager
def foreign_errors(path: str, doing: str) -> Iterator[None]:
    """Turn whatever a foreign decoder raises on broken bytes into an error of ours."""
    try:
        yield
    except BfioError:
        raise
    except MemoryError as error:
        raise LimitError(f"{path}: {doing}: out of memory") from error
    except (NotImplementedError, ImportError) as error:
        raise UnsupportedError(f"{path}: {doing}: {error}") from error
    except OSError:
        raise
    except Exception as error:
        raise FormatError(f"{path}: {doing}: {type(error).__name__}: {error}") from error


class SourceFile(io.RawIOBase):
    """A read-only file object over positional reads: its position is its own, in every process."""

    def __init__(self, source: Source) -> None:
        super().__init__()
        self._source = source
        self._position = 0
        self.name = source.path

    def readable(self) -> bool:
        """Always."""
        return True

    def seekable(self) -> bool:
        """Always."""
        return True

    def tell(self) -> int:
        """Current position."""
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move the position."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._source.size}[whence]
        if base + offset < 0:
            raise ValueError(f"negative seek position {base + offset}")
        self._position = base + offset
        return self._position

    def readinto(self, buffer: Any) -> int:
        """Fill the buffer from the current position."""
        view = memoryview(buffer).cast("B")
        data = self._source.pread(self._position, len(view))
        view[: len(data)] = data
        self._position += len(data)
        return len(data)


class PageFile:
    """tifffile's view of one file, opened when first needed; all parsing happens under one lock."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._lock = ProcessLock()
        self._file: tifffile.TiffFile | None = None
        self._pages: dict[int, Any] = {}
        self._plain = False

    @contextmanager
    def parsing(self) -> Iterator[tifffile.TiffFile]:
        """The open ``TiffFile``, locked; errors of parsing become ours."""
        with self._lock, foreign_errors(self._source.path, "can not parse the TIFF structure"):
            if self._file is None:
                import tifffile

                # OME-XML is ours; tifffile is asked where that is of no use
                names = tifffile.TIFF.FILE_FLAGS if self._plain else {"ome"}
                flags: dict[str, Any] = {f"is_{name}": False for name in names}
                stream = io.BufferedReader(SourceFile(self._source), 1 << 16)
                self._file = tifffile.TiffFile(stream, **flags)
            yield self._file

    def forget_dialects(self) -> None:
        """From now on every page is just a page, whatever vendor's file it is in."""
        self.close()
        self._plain = True

    def page(self, offset: int, index: int) -> Any:
        """Tifffile's page of the IFD at ``offset``."""
        with self.parsing() as file:
            page = self._pages.get(offset)
            if page is None:
                import tifffile

                file.filehandle.seek(offset)
                page = self._pages[offset] = tifffile.TiffPage(file, index)
            return page

    def decoder(self, page: Any) -> TileDecoder:
        """Decoder of a page's tiles: tifffile's own, cropped to what is stored."""
        with self.parsing():
            keyframe = page.keyframe
            keyframe.init_decode()
            arguments: dict[str, Any] = {}
            if int(keyframe.compression) in JPEG_COMPRESSIONS:
                arguments = {"jpegtables": page.jpegtables, "jpegheader": keyframe.jpegheader}
            decode = keyframe.decode

        def decode_tile(data: bytes, index: int) -> np.ndarray:
            pixels, _, shape = decode(data, index, **arguments)
            if shape[0] != 1:
                raise UnsupportedError("tiles with a depth")
            tile: np.ndarray = np.asarray(pixels)[0]
            return tile

        return decode_tile

    def close(self) -> None:
        """Forget the pages; the source belongs to somebody else."""
        with self._lock:
            self._pages.clear()
            if self._file is not None:
                self._file.close()
                self._file = None
