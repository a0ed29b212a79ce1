"""Fields of the JSON of an array, checked one by one: lengths, dtypes, fill values, codecs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bfio.errors import FormatError, UnsupportedError

__all__ = ["check_rank", "configured", "fill_value", "number_dtype", "short", "sizes"]

MAX_RANK = 32
_SPECIAL = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


def sizes(value: Any, what: str, where: str, least: int) -> tuple[int, ...]:
    """Lengths along the axes."""
    if not isinstance(value, list) or len(value) > MAX_RANK:
        raise FormatError(f"{where}: {what} is not a list of numbers, but {short(value)}")
    for size in value:
        if type(size) is not int or not least <= size < 1 << 62:
            raise FormatError(f"{where}: {what} has the entry {short(size)}, which is no length")
    return tuple(value)


def check_rank(value: Sequence[object], shape: tuple[int, ...], what: str, where: str) -> None:
    """Refuse what does not have one entry for each axis."""
    if len(value) != len(shape):
        raise FormatError(f"{where}: {what} has {len(value)} entries, but the array has {len(shape)} axes")


def number_dtype(name: str, where: str) -> np.dtype:
    """A dtype of numbers, with its byte order."""
    try:
        dtype = np.dtype(name)
    except (TypeError, ValueError, SyntaxError) as error:
        raise FormatError(f"{where}: there is no dtype {short(name)}") from error
    if dtype.kind not in "biufc" or dtype.itemsize not in (1, 2, 4, 8, 16) or dtype.name in ("float128", "longdouble"):
        raise UnsupportedError(f"{where}: items of dtype {short(name)} are no pixels")
    return dtype


def configured(codec: Any, where: str) -> tuple[str, Mapping[str, Any]]:
    """Name and configuration of an object such as ``{"name": "zstd", "configuration": {"level": 1}}``."""
    if isinstance(codec, str):
        return codec, {}
    if not isinstance(codec, Mapping):
        raise FormatError(f"{where}: {short(codec)} is not an object with a name")
    name, config = codec.get("name"), codec.get("configuration", {})
    if not isinstance(name, str) or not isinstance(config, Mapping):
        raise FormatError(f"{where}: {short(codec)} is not an object with a name and a configuration")
    return name, config


def fill_value(value: Any, dtype: np.dtype, where: str) -> np.generic:
    """Fill value of either version; null, which leaves it open, is 0."""
    if value is None:
        return _of(0, dtype)
    try:
        if dtype.kind == "c":
            return _complex(value, dtype)
        if dtype.kind == "f":
            return _float(value, dtype)
        if dtype.kind == "b":
            return _of(_integer(value, 0, 1), dtype)
        info = np.iinfo(dtype)
        return _of(_integer(value, info.min, info.max), dtype)
    except (TypeError, ValueError, OverflowError) as error:
        raise FormatError(f"{where}: the fill value {short(value)} is no {dtype}") from error


def _of(value: Any, dtype: np.dtype) -> np.generic:
    item: np.generic = np.array([value], dtype)[0]
    return item


def _integer(value: Any, least: int, most: int) -> int:
    if not isinstance(value, int | float) or value != int(value) or not least <= value <= most:
        raise ValueError(value)
    return int(value)


def _float(value: Any, dtype: np.dtype) -> np.generic:
    if isinstance(value, str):
        if value not in _SPECIAL:
            return _hexadecimal(value, dtype)
        value = _SPECIAL[value]
    elif not isinstance(value, int | float):
        raise TypeError(value)
    with np.errstate(over="ignore"):
        return _of(value, dtype)


def _hexadecimal(text: str, dtype: np.dtype) -> np.generic:
    """The bytes of a number, such as ``"0x7fc00000"`` for a float32."""
    if not text.startswith("0x") or len(text) != 2 + 2 * dtype.itemsize:
        raise ValueError(text)
    item: np.generic = np.frombuffer(bytes.fromhex(text[2:]), dtype.newbyteorder(">")).astype(dtype)[0]
    return item


def _complex(value: Any, dtype: np.dtype) -> np.generic:
    if not isinstance(value, list):
        return _of(_float(value, np.dtype(np.float64)), dtype)
    part = np.dtype(f"f{dtype.itemsize // 2}")
    real, imaginary = value
    item: np.generic = np.array([_float(real, part), _float(imaginary, part)], part).view(dtype)[0]
    return item


def short(value: object) -> str:
    """A value for a message."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
