"""The exceptions of bfio. Each is a :class:`BfioError` and also the builtin that scripts already catch."""

from __future__ import annotations

__all__ = [
    "BackendMissingError",
    "BfioError",
    "ChunkDecodeError",
    "FormatError",
    "LimitError",
    "ReadOnlyError",
    "SelectionError",
    "TileDecodeError",
    "TileWriteError",
    "UnsupportedError",
    "UsageError",
]


class BfioError(Exception):
    """Root of all errors that bfio raises on purpose."""


class FormatError(BfioError, ValueError):
    """The file is broken, or is not what it says it is."""


class UnsupportedError(BfioError, NotImplementedError):
    """The file is right, but uses something that bfio can not read or write yet."""


class LimitError(BfioError, MemoryError):
    """The file asks for more than :class:`bfio.Limits` allows."""


class UsageError(BfioError, ValueError):
    """An argument is wrong; the message says what to pass instead."""


class SelectionError(UsageError, IndexError):
    """An index is out of range, or is of a kind that the axis does not take."""


class ReadOnlyError(UsageError, AssertionError, AttributeError):
    """A property of a reader was assigned; old scripts catch an AssertionError, Python says AttributeError."""


class BackendMissingError(BfioError, ImportError):
    """The format needs an optional package; the message holds the pip command."""


class TileDecodeError(FormatError):
    """One tile or strip could not be decoded.

    Attributes
    ----------
    path : str
    plane : int
        Index of the IFD in the file's chain.
    tile : int
        Index of the tile or strip in the IFD.
    offset : int
        Position of the encoded bytes in the file.
    reason : str
    """

    def __init__(self, path: str, plane: int, tile: int, offset: int, reason: str) -> None:
        super().__init__(path, plane, tile, offset, reason)
        self.path, self.plane, self.tile, self.offset, self.reason = path, plane, tile, offset, reason

    def __str__(self) -> str:
        return f"{self.path}: plane {self.plane}, tile {self.tile} at offset {self.offset}: {self.reason}"


class ChunkDecodeError(TileDecodeError):
    """One chunk of a Zarr array could not be decoded.

    Attributes
    ----------
    path : str
        File of the chunk, or of its shard.
    array : str
        Path of the array in the store.
    chunk : tuple of int
        Index of the chunk.
    tile : int
        The same index as one number, in row-major order.
    offset : int
        Position of the encoded bytes in the file.
    reason : str
    """

    def __init__(self, path: str, array: str, chunk: tuple[int, ...], tile: int, offset: int, reason: str) -> None:
        super().__init__(path, 0, tile, offset, reason)
        self.args = (path, array, chunk, tile, offset, reason)
        self.array, self.chunk = array, chunk

    def __str__(self) -> str:
        return f"{self.path}: array {self.array!r}, chunk {self.chunk} at offset {self.offset}: {self.reason}"


class TileWriteError(BfioError, OSError):
    """One tile could not be written. Same attributes as :class:`TileDecodeError`, and ``errno`` as in any OSError."""

    def __init__(self, path: str, plane: int, tile: int, offset: int, reason: str, errno: int | None = None) -> None:
        super().__init__(errno, reason, path)
        self.path, self.plane, self.tile, self.offset, self.reason = path, plane, tile, offset, reason

    def __reduce__(self) -> tuple[type[TileWriteError], tuple[object, ...]]:
        return type(self), (self.path, self.plane, self.tile, self.offset, self.reason, self.errno)

    def __str__(self) -> str:
        return f"{self.path}: plane {self.plane}, tile {self.tile} at offset {self.offset}: {self.reason}"
