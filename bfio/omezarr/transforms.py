"""``coordinateTransformations``: the size of a pixel and where the first one is. Nothing raises: pixels go first."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from typing import Any, NamedTuple

__all__ = ["Placement", "read_transforms"]

logger = logging.getLogger("bfio.omezarr")

Vector = tuple[float, ...]


class Placement(NamedTuple):
    """``scale * index + translation``, along each axis; None where that is not told, or can not be understood."""

    scale: Vector | None = None
    translation: Vector | None = None

    def then(self, other: Placement) -> Placement:
        """Both, the other one last."""
        if other.scale is None:
            scale, moved = self.scale, self.translation
        else:
            scale = _product(self.scale, other.scale)
            moved = None if self.translation is None else _product(self.translation, other.scale)
        return Placement(scale, _sum(moved, other.translation))


def read_transforms(value: Any, rank: int, where: str) -> Placement:
    """Placement by a list of transformations, each applied after the one before it."""
    if value is None:
        return Placement()
    placement = Placement()
    for entry in _flat(value):
        step = _step(entry, rank)
        if step is None:
            logger.warning("%s: coordinateTransformations are broken, or of no known kind; they are left out", where)
            return Placement()
        placement = placement.then(step)
    return placement


def _flat(value: Any) -> list[Any]:
    """A list of transformations, sequences (0.6) taken apart."""
    if not isinstance(value, list):
        return [value]
    found: list[Any] = []
    for entry in value[:64]:
        inner = entry.get("transformations") if isinstance(entry, Mapping) and entry.get("type") == "sequence" else None
        found += inner if isinstance(inner, list) else [entry]
    return found


def _step(entry: Any, rank: int) -> Placement | None:
    kind = entry.get("type") if isinstance(entry, Mapping) else None
    if kind == "identity":
        return Placement()
    if kind not in ("scale", "translation"):
        return None
    vector = _vector(entry.get(kind), rank)
    if vector is None:
        return None
    if kind == "translation":
        return Placement(None, vector)
    return Placement(vector) if all(vector) else None


def _vector(value: Any, rank: int) -> Vector | None:
    """A number for each axis."""
    if not isinstance(value, list) or len(value) != rank:
        return None
    try:
        numbers = tuple(float(item) if type(item) in (int, float) else math.nan for item in value)
    except OverflowError:
        return None
    return numbers if all(map(math.isfinite, numbers)) else None


def _product(first: Vector | None, second: Vector) -> Vector:
    return second if first is None else tuple(a * b for a, b in zip(first, second, strict=True))


def _sum(first: Vector | None, second: Vector | None) -> Vector | None:
    if first is None or second is None:
        return first or second
    return tuple(a + b for a, b in zip(first, second, strict=True))
