"""tifffile behind one door: pages and decoders for what the kernels leave out. The only import of tifffile."""

from __future__ import annotations

import io
import logging
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from bfio._locks import ProcessLock
from bfio.byteio import Source
from bfio.errors import BfioError, FormatError, LimitError, UnsupportedError
from bfio.tiff.guard import JPEG_COMPRESSIONS, guarded
from bfio.tiff.quarantine import Quarantine

if TYPE_CHECKING:
    import tifffile

__all__ = ["PageFile", "SourceFile", "TileDecoder", "foreign_errors"]

TileDecoder = Callable[[bytes, int], np.ndarray]
"""Encoded bytes and index of a tile -> its pixels, shape (rows, columns, samples)."""

MOST_WORDS = 300
"""Characters of a foreign error's message that are passed on."""


_log = logging.getLogger("bfio.tifffile")
_inside = threading.local()


def _reroute(record: logging.LogRecord) -> bool:
    """Filter of tifffile's logger: what it says while bfio calls it goes to ``bfio.tifffile``, at level DEBUG."""
    if not getattr(_inside, "depth", 0):
        return True
    _log.debug(record.msg, *(record.args or ()))
    return False


def _load() -> Any:
    """The module tifffile, whose complaints of broken tags reach no user of bfio who did not ask for them."""
    import tifffile

    logging.getLogger("tifffile").addFilter(_reroute)  # twice is once
    return tifffile


@contextmanager
def foreign_errors(path: str, doing: str) -> Iterator[None]:
    """Turn whatever a foreign decoder raises on broken bytes into an error of ours; its log messages stay quiet."""
    _inside.depth = getattr(_inside, "depth", 0) + 1
    try:
        yield
    except BfioError:
        raise
    except MemoryError as error:
        raise LimitError(f"{path}: {doing}: out of memory") from error
    except (NotImplementedError, ImportError) as error:
        raise UnsupportedError(f"{path}: {doing}: {_plain(error)}") from error
    except OSError:
        raise
    except Exception as error:
        raise FormatError(f"{path}: {doing}: {_plain(error)}") from error
    finally:
        _inside.depth -= 1


def _plain(error: Exception) -> str:
    """What a foreign error says, on one line; those of Python itself only tell that the tags do not fit together."""
    text = " ".join(str(error).split())[:MOST_WORDS]
    if isinstance(error, (TypeError, LookupError, AttributeError, AssertionError, ArithmeticError, RecursionError)):
        return f"the TIFF tags are inconsistent ({type(error).__name__}: {text})"
    return text or type(error).__name__


class SourceFile(io.RawIOBase):
    """A read-only file object over positional reads: its position is its own, in every process.

    The bytes in `blank` read as zeros.
    """

    def __init__(self, source: Source, blank: range = range(0)) -> None:
        super().__init__()
        self._blank = blank
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
        for position in self._blank:
            if 0 <= position - self._position < len(data):
                view[position - self._position] = 0
        self._position += len(data)
        return len(data)


def _settable(kind: type, flag: str) -> bool:
    """Whether a flag of tifffile's can be given; newer versions compute some."""
    attribute = getattr(kind, f"is_{flag}", None)
    return not (isinstance(attribute, property) and attribute.fset is None)


class PageFile:
    """tifffile's view of one file, opened when first needed; all parsing happens under one lock."""

    def __init__(self, source: Source, broken_link: Callable[[], range]) -> None:
        self._source = source
        self._broken_link = broken_link
        self._lock = ProcessLock()
        self._file: tifffile.TiffFile | None = None
        self._pages: dict[int, Any] = {}
        self._quarantine = Quarantine("jpegxr_decode")
        self._plain = False

    @contextmanager
    def parsing(self) -> Iterator[tifffile.TiffFile]:
        """The open ``TiffFile``, locked; errors of parsing become ours."""
        with self._lock, foreign_errors(self._source.path, "can not parse the TIFF structure"):
            if self._file is None:
                tifffile = _load()
                # OME-XML is ours; tifffile is asked where that is of no use
                names = tifffile.TIFF.FILE_FLAGS if self._plain else {"ome"}
                flags: dict[str, Any] = {f"is_{name}": False for name in names if _settable(tifffile.TiffFile, name)}
                stream = io.BufferedReader(SourceFile(self._source, self._broken_link()), 1 << 16)
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
                file.filehandle.seek(offset)
                page = self._pages[offset] = _load().TiffPage(file, index)
            return page

    def decoder(self, page: Any) -> TileDecoder:
        """Decoder of a page's tiles: tifffile's own, cropped to what is stored."""
        with self.parsing():
            keyframe = page.keyframe
            decode = guarded(keyframe, self._quarantine)
            arguments: dict[str, Any] = {}
            if int(keyframe.compression) in JPEG_COMPRESSIONS:
                arguments = {"jpegtables": page.jpegtables, "jpegheader": keyframe.jpegheader}

        def decode_tile(data: bytes, index: int) -> np.ndarray:
            pixels, _, shape = decode(data, index, **arguments)
            if shape[0] != 1:
                raise UnsupportedError("tiles with a depth")
            tile: np.ndarray = np.asarray(pixels)[0]
            return tile

        return decode_tile

    def guard(self, pages: Iterable[Any]) -> None:
        """What `decoder` does for one page, for pages that tifffile decodes as a whole."""
        with self.parsing():
            for page in pages:
                guarded(page.keyframe, self._quarantine)

    def close(self) -> None:
        """Forget the pages; the source belongs to somebody else."""
        self._quarantine.close()
        with self._lock:
            self._pages.clear()
            if self._file is not None:
                self._file.close()
                self._file = None
