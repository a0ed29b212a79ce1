"""Values of XML attributes: strict where pixels depend on them, lenient for the rest."""

from __future__ import annotations

import math
from collections.abc import Mapping

from bfio.errors import FormatError
from bfio.metadata import Length
from bfio.units import normalise

__all__ = ["MAX_COUNT", "Attributes", "boolean", "color", "count", "length", "optional_count", "required"]

Attributes = Mapping[str, str]
MAX_COUNT = 1 << 31
"""Sizes and indices stay below this."""


def required(element: str, attributes: Attributes, name: str) -> str:
    """Value of an attribute that must be there."""
    try:
        return attributes[name]
    except KeyError:
        raise FormatError(f"OME-XML: {element} has no attribute {name}") from None


def count(element: str, attributes: Attributes, name: str, minimum: int = 0) -> int:
    """Whole number of an attribute that must be there."""
    text = required(element, attributes, name)
    try:
        value = int(text)
    except ValueError:
        raise FormatError(f"OME-XML: {element} {name}={text[:40]!r} is not a whole number") from None
    if not minimum <= value < MAX_COUNT:
        raise FormatError(f"OME-XML: {element} {name}={text[:40]!r} is not between {minimum} and 2**31 - 1")
    return value


def optional_count(element: str, attributes: Attributes, name: str) -> int | None:
    """Whole number, None where the attribute is absent or empty."""
    return count(element, attributes, name) if attributes.get(name) else None


def boolean(attributes: Attributes, name: str) -> bool | None:
    """True or False, None where the attribute is absent or something else."""
    return {"true": True, "1": True, "false": False, "0": False}.get(attributes.get(name, "").strip().lower())


def length(attributes: Attributes, name: str) -> Length:
    """Physical size and unit; the value is None where it is absent, not a number, or not positive and finite."""
    unit = normalise(attributes.get(name + "Unit"))
    try:
        value = float(attributes[name].replace(",", "."))
    except (KeyError, ValueError):
        return (None, unit)
    return (value if math.isfinite(value) and value > 0 else None, unit)


def color(attributes: Attributes) -> int | None:
    """Signed 32-bit RGBA number; some writers give the unsigned one."""
    try:
        value = int(attributes["Color"])
    except (KeyError, ValueError):
        return None
    if not -(1 << 31) <= value < 1 << 32:
        return None
    return value - (1 << 32) if value >= 1 << 31 else value
