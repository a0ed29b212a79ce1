"""Units of length as OME-XML writes them (``"µm"``), how many metres each is, and the spellings of real files."""

from __future__ import annotations

from contextlib import suppress

__all__ = ["METRES", "NAMES", "UNITLESS", "convert", "normalise", "undo_double_encoding"]

METRES: dict[str, float] = {
    "Ym": 1e24, "Zm": 1e21, "Em": 1e18, "Pm": 1e15, "Tm": 1e12, "Gm": 1e9, "Mm": 1e6, "km": 1e3, "hm": 1e2,
    "dam": 1e1, "m": 1.0, "dm": 1e-1, "cm": 1e-2, "mm": 1e-3, "µm": 1e-6, "nm": 1e-9, "pm": 1e-12, "fm": 1e-15,
    "am": 1e-18, "zm": 1e-21, "ym": 1e-24, "Å": 1e-10, "thou": 2.54e-5, "li": 2.54e-2 / 12, "in": 2.54e-2,
    "ft": 0.3048, "yd": 0.9144, "mi": 1609.344, "ua": 149597870700.0, "ly": 9460730472580800.0,
    "pc": 3.0856775814913673e16, "pt": 2.54e-2 / 72,
}  # fmt: skip
"""Metres in one unit, by the symbol of the OME schema 2016-06."""

UNITLESS = ("pixel", "reference frame")
"""Symbols of the schema that no factor turns into metres."""

NAMES: dict[str, str] = {
    "Ym": "yottameter", "Zm": "zettameter", "Em": "exameter", "Pm": "petameter", "Tm": "terameter",
    "Gm": "gigameter", "Mm": "megameter", "km": "kilometer", "hm": "hectometer", "dam": "decameter", "m": "meter",
    "dm": "decimeter", "cm": "centimeter", "mm": "millimeter", "µm": "micrometer", "nm": "nanometer",
    "pm": "picometer", "fm": "femtometer", "am": "attometer", "zm": "zeptometer", "ym": "yoctometer",
    "Å": "angstrom", "in": "inch", "ft": "foot", "yd": "yard", "mi": "mile", "pc": "parsec",
}  # fmt: skip
"""Full names, as OME-Zarr (UDUNITS-2) and many programs spell them."""

_MICROMETRE = ("um", "µ", "u", "micron", "microns", "micrometre", "micrometres", "\\u00b5m", "&#181;m", "&micro;m")
_ALIASES: dict[str, str] = {
    **{name: symbol for symbol, name in NAMES.items()},
    **{name + "s": symbol for symbol, name in NAMES.items()},
    **dict.fromkeys(_MICROMETRE, "µm"),
    "a": "Å", "inches": "in", "feet": "ft", '"': "in", "line": "li", "point": "pt", "pixels": "pixel", "px": "pixel",
    "reference_frame": "reference frame", "referenceframe": "reference frame",
}  # fmt: skip


def normalise(unit: str | None, default: str = "µm") -> str:
    """Turn what a file says into a symbol of the OME schema.

    Parameters
    ----------
    unit : str or None
        Symbol or name; both micro signs (U+00B5, U+03BC) and UTF-8 read as Latin-1 (``"Âµm"``, ``"Î¼m"``) are
        understood.
    default : str
        The answer where `unit` is None or empty.

    Returns
    -------
    str
        A key of `METRES` or a member of `UNITLESS`; ``"reference frame"`` for a unit that nobody knows.
    """
    text = undo_double_encoding(unit or "").strip(" \t\r\n\x00")
    if not text:
        return default
    # A lost character is taken for the micro sign, by far the most common one outside ASCII.
    text = text.replace("\u03bc", "µ").replace("\u212b", "Å").replace("\ufffd", "µ")
    if text == "?m":
        return "µm"
    if text in METRES or text in UNITLESS:
        return text
    return _ALIASES.get(text) or _ALIASES.get(text.lower()) or "reference frame"


def undo_double_encoding(text: str) -> str:
    """Text that was written as UTF-8 and read as Latin-1 or Windows-1252, up to twice; else as it is."""
    for _ in range(2):
        for codec in ("latin-1", "cp1252"):
            with suppress(UnicodeError):
                text = text.encode(codec).decode("utf-8")
    return text


def convert(value: float, unit: str, to: str) -> float | None:
    """Convert a length; None where one of the units is not a length (pixel, reference frame)."""
    if unit == to:
        return value
    if unit not in METRES or to not in METRES:
        return None
    return value * (METRES[unit] / METRES[to])
