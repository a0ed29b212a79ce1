"""Pixel types of OME-XML and their NumPy dtypes."""

from __future__ import annotations

import numpy as np

from bfio.errors import FormatError, UnsupportedError

__all__ = ["dtype_of", "ome_type_of"]

_DTYPES = {
    "int8": "i1", "int16": "i2", "int32": "i4", "uint8": "u1", "uint16": "u2", "uint32": "u4",
    "float": "f4", "double": "f8", "complex": "c8", "double-complex": "c16", "bit": "?",
}  # fmt: skip
_OME_TYPES = {np.dtype(code): name for name, code in _DTYPES.items()}
# The schema has no such types. 64-bit integers become doubles (exact up to 2**53), as the old bfio had it.
_NEAREST = {"f2": "float", "i8": "double", "u8": "double"}
_OME_TYPES.update({np.dtype(code): name for code, name in _NEAREST.items()})


def dtype_of(ome_type: str) -> np.dtype:
    """Native dtype of an OME pixel type; early schemas write it in any case (``"Uint16"``)."""
    try:
        return np.dtype(_DTYPES[ome_type.strip().lower()])
    except KeyError:
        raise FormatError(f"OME-XML: Pixels Type={ome_type[:80]!r} is not a pixel type of the OME schema") from None


def ome_type_of(dtype: np.dtype) -> str:
    """OME pixel type that is equal or nearest to `dtype`.

    The schema has no float16 (``"float"`` is used) and no 64-bit integers (``"double"`` is used).
    """
    try:
        return _OME_TYPES[np.dtype(dtype).newbyteorder("=")]
    except KeyError:
        raise UnsupportedError(f"OME-XML has no pixel type near {np.dtype(dtype)}") from None
