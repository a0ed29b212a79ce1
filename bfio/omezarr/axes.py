"""The axes of an image as letters of ``tczyx``, and their units."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from bfio.errors import FormatError, UnsupportedError
from bfio.omezarr.document import kind_of

__all__ = ["Axis", "letters", "letters_of_names", "read_axes"]

_LETTERS = "tczyx"
_NAMES = {"time": "t", "channel": "c", "channels": "c", "depth": "z", "height": "y", "width": "x"}
_TYPES = {"time": "t", "channel": "c"}


class Axis(NamedTuple):
    """One axis as it is told; type and unit are None where they are not."""

    name: str
    type: str | None = None
    unit: str | None = None


def read_axes(value: Any, where: str) -> tuple[Axis, ...]:
    """Axes as names (0.3) or as objects (0.4 and later).

    Raises
    ------
    FormatError, UnsupportedError
    """
    if not isinstance(value, list):
        raise FormatError(f"{where}: axes must be a list, but is {kind_of(value)}")
    if not 2 <= len(value) <= len(_LETTERS):
        raise UnsupportedError(f"{where}: the image has {len(value)} axes; 2 to {len(_LETTERS)} can be read")
    return tuple(_axis(entry, where) for entry in value)


def _axis(entry: Any, where: str) -> Axis:
    if isinstance(entry, str):
        return Axis(entry)
    if not isinstance(entry, Mapping) or not isinstance(entry.get("name"), str):
        raise FormatError(f"{where}: an axis must be a name, or an object with a name, but one is {kind_of(entry)}")
    return Axis(entry["name"], _text(entry.get("type")), _text(entry.get("unit")))


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def letters(axes: Sequence[Axis], where: str) -> str:
    """The letters of axes, in their order.

    Names count first, then types. One axis of another type, such as an angle, stands for the channels, and axes of
    space with other names are the last ones of z, y and x that are free.

    Raises
    ------
    FormatError
        The names of two axes are the same.
    UnsupportedError
        The axes are not a choice of t, c, z, y and x with y and x among them.
    """
    told = ", ".join(repr(axis.name[:20]) for axis in axes[:8])
    found = [_letter(axis) for axis in axes]
    if len({axis.name for axis in axes}) < len(axes):
        raise FormatError(f"{where}: two axes have the same name, of {told}")
    free = [letter for letter in "xyz" if letter not in found]
    for place in reversed(range(len(found))):
        if found[place] is None:
            is_space = axes[place].type == "space"
            found[place] = (free.pop(0) if free else None) if is_space else None if "c" in found else "c"
    text = "".join(letter or "?" for letter in found)
    if "?" in text or len(set(text)) < len(text) or not {"x", "y"} <= set(text):
        raise UnsupportedError(f"{where}: the axes {told} are not some of t, c, z, y and x, with y and x among them")
    return text


def _letter(axis: Axis) -> str | None:
    name = axis.name.strip().lower()
    if name in _LETTERS and len(name) == 1:
        return name
    return _NAMES.get(name) or _TYPES.get(axis.type or "")


def letters_of_names(names: Sequence[str | None] | None, rank: int) -> str | None:
    """Letters of an array whose dimensions may have names; None where they say nothing of use."""
    if names is None or len(names) != rank:
        return None
    found = [_letter(Axis(name)) if name else None for name in names]
    text = "".join(letter or "?" for letter in found)
    return text if "?" not in text and len(set(text)) == rank and {"x", "y"} <= set(text) else None
