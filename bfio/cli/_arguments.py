"""Types of arguments: ranges, rectangles, sizes. What is wrong in itself is a usage error, whatever a file holds."""

from __future__ import annotations

import argparse
import contextlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from bfio.errors import BfioError

__all__ = [
    "chunk",
    "four",
    "levels",
    "listed",
    "memory",
    "pair",
    "pixel_type",
    "series",
    "target_path",
    "tile",
    "word_of",
    "zarr_version",
]

T = TypeVar("T")

_SPAN = re.compile(r"(\d+)-(\d+)")
_SLICE = re.compile(r"(-?\d+)?:(-?\d+)?(?::(-?\d+)?)?")


def _refused(function: Callable[..., T], *arguments: Any, **options: Any) -> T:
    """Result of a check of the package, whose error becomes that of the argument."""
    try:
        return function(*arguments, **options)
    except BfioError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def target_path(text: str) -> str:
    """Name of a file that can be written."""
    from bfio.backends.registry import writer_name
    from bfio.target import is_zarr_name

    if not text:
        raise argparse.ArgumentTypeError("the name is empty")
    _refused(writer_name, Path(text), "zarr" if is_zarr_name(Path(text)) else "python")
    return text


def listed(text: str) -> slice | list[int]:
    """Indices: ``3``, ``0-9,12`` (both ends counted), or slices as in Python."""
    whole = _SLICE.fullmatch(text.strip())
    if whole is not None:
        return slice(*_numbers(whole, text))
    return [index for part in text.split(",") for index in _indices(part.strip(), text)]


def _indices(part: str, text: str) -> list[int]:
    if re.fullmatch(r"-?\d+", part):
        return [int(part)]
    span = _SPAN.fullmatch(part)
    if span is not None:
        first, last = int(span[1]), int(span[2])
        return list(range(first, last + 1) if first <= last else range(first, last - 1, -1))
    piece = _SLICE.fullmatch(part)
    if piece is not None and piece[2]:
        start, stop, step = _numbers(piece, text)
        if stop is not None and stop >= 0 and (start or 0) >= 0 and (step or 1) > 0:
            return list(range(start or 0, stop, step or 1))
    raise argparse.ArgumentTypeError(f"{text!r} is no list of numbers and ranges, such as 0-9,12 or 0:10:2")


def _numbers(match: re.Match[str], text: str) -> list[int | None]:
    numbers = [None if group is None else int(group) for group in match.groups()]
    if numbers[2] == 0:
        raise argparse.ArgumentTypeError(f"{text!r}: the step can not be 0")
    return numbers


def four(text: str) -> tuple[int, ...]:
    """A rectangle."""
    return _integers(text, 4, "four numbers X,Y,W,H")


def tile(text: str) -> tuple[int, int]:
    """Rows and columns."""
    from bfio.options import parse_options

    numbers = _integers(text, 1 if "," not in text else 2, "a number, or two: ROWS,COLUMNS")
    return _refused(parse_options, tile_size=(numbers[0], numbers[-1])).tile_size


def chunk(text: str) -> int | tuple[int, ...]:
    """Lengths along the last of T, C, Z, Y, X."""
    from bfio.options import parse_options

    numbers = _integers(text, text.count(",") + 1, "lengths such as 16,256,256, those of Z, Y and X")
    value = numbers if len(numbers) > 1 else numbers[0]
    _refused(parse_options, chunks=value)
    return value


def zarr_version(text: str) -> str:
    """Version of Zarr, or of OME-Zarr."""
    from bfio.options import parse_options

    _refused(parse_options, zarr_version=text)
    return text


def _integers(text: str, count: int, what: str) -> tuple[int, ...]:
    try:
        numbers = tuple(int(part) for part in text.split(","))
    except ValueError:
        numbers = ()
    if len(numbers) != count:
        raise argparse.ArgumentTypeError(f"{text!r} is not {what}")
    return numbers


def pair(text: str) -> tuple[float, float]:
    """Two numbers."""
    try:
        low, high = (float(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not two numbers LOW,HIGH") from None
    return low, high


def levels(text: str) -> int | str:
    """Number of levels, or "auto"."""
    from bfio.options import parse_options

    value: int | str = text.strip().lower()
    with contextlib.suppress(ValueError):
        value = int(text)
    _refused(parse_options, levels=value)
    return value


def memory(text: str) -> int:
    """Bytes."""
    from bfio.conversion.memory import parse_memory

    return _refused(parse_memory, text)


def series(text: str) -> int | str:
    """Number of an image, or "all"."""
    if text.strip().lower() == "all":
        return "all"
    return _integers(text, 1, "a number, or 'all'")[0]


def pixel_type(text: str) -> Any:
    """A dtype."""
    from bfio.result import checked_dtype

    return _refused(checked_dtype, text)


def word_of(option: str) -> Callable[[str], Any]:
    """Type of an option that takes one of some words."""

    def word(text: str) -> Any:
        from bfio.options import parse_options

        options = {option: text} if option != "predictor" else {option: text, "compression": "deflate"}
        _refused(parse_options, **options)
        return text

    return word
