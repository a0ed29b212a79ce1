"""The two axis orders of bfio, and the rule by which trailing axes of length 1 disappear."""

from __future__ import annotations

import numpy as np

__all__ = ["PUBLIC", "STORED", "padded", "to_public", "to_stored", "trimmed"]

PUBLIC = "YXZCT"
"""Order of keys, shapes and arrays that users see."""

STORED = "TCZYX"
"""Order of every shape inside the package."""

_TO_PUBLIC = tuple(STORED.index(axis) for axis in PUBLIC)
_TO_STORED = tuple(PUBLIC.index(axis) for axis in STORED)


def to_public(array: np.ndarray) -> np.ndarray:
    """View of a TCZYX array as YXZCT."""
    return array.transpose(_TO_PUBLIC)


def to_stored(array: np.ndarray) -> np.ndarray:
    """View of a YXZCT array as TCZYX."""
    return array.transpose(_TO_STORED)


def trimmed(shape: tuple[int, ...], rank: int = 2) -> tuple[int, ...]:
    """Shape without trailing axes of length 1; `rank` axes (Y and X) always stay."""
    length = len(shape)
    while length > rank and shape[length - 1] == 1:
        length -= 1
    return shape[:length]


def padded(shape: tuple[int, ...], rank: int = len(PUBLIC)) -> tuple[int, ...]:
    """The inverse of :func:`trimmed`: shape with axes of length 1 appended up to `rank`."""
    return shape + (1,) * (rank - len(shape))
