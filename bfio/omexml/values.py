"""Attributes of Pixels, Channel and Plane that the schema 2016-06 has, and whether their values are right."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from bfio.omexml.text import printable
from bfio.units import METRES, UNITLESS

__all__ = ["clean_attributes"]

_TIME_UNITS = frozenset(
    ("Ys", "Zs", "Es", "Ps", "Ts", "Gs", "Ms", "ks", "hs", "das", "s", "ds", "cs", "ms", "µs", "ns", "ps", "fs", "as",
     "zs", "ys", "min", "h", "d")
)  # fmt: skip
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_ILLUMINATION = frozenset(("Transmitted", "Epifluorescence", "Oblique", "NonLinear", "Other"))
_CONTRAST = frozenset(
    ("Brightfield", "Phase", "DIC", "HoffmanModulation", "ObliqueIllumination", "PolarizedLight", "Darkfield",
     "Fluorescence", "Other")
)  # fmt: skip
_ACQUISITION = frozenset(
    ("WideField", "LaserScanningConfocalMicroscopy", "SpinningDiskConfocal", "SlitScanConfocal",
     "MultiPhotonMicroscopy", "StructuredIllumination", "SingleMoleculeImaging", "TotalInternalReflection",
     "FluorescenceLifetime", "SpectralImaging", "FluorescenceCorrelationSpectroscopy",
     "NearFieldScanningOpticalMicroscopy", "SecondHarmonicGenerationImaging", "PALM", "STORM", "STED", "TIRF", "FSM",
     "LCM", "Other", "BrightField", "SweptFieldConfocal", "SPIM")
)  # fmt: skip


def _is_number(text: str) -> bool:
    return _NUMBER.fullmatch(text) is not None


def _is_positive(text: str) -> bool:
    return _is_number(text) and float(text) > 0


def _is_whole(text: str) -> bool:
    return re.fullmatch(r"[+-]?\d{1,10}", text) is not None and -(1 << 31) <= int(text) < 1 << 31


def _is_count(text: str) -> bool:
    return _is_whole(text) and int(text) > 0


def _is_length(text: str) -> bool:
    return text in METRES or text in UNITLESS


def _is_time(text: str) -> bool:
    return text in _TIME_UNITS


def _is_text(text: str) -> bool:
    return text == printable(text)


Check = Callable[[str], bool]
_CHECKS: dict[str, dict[str, Check]] = {
    "Pixels": {"SignificantBits": _is_count, "TimeIncrement": _is_number, "TimeIncrementUnit": _is_time},
    "Channel": {
        "Name": _is_text,
        "IlluminationType": _ILLUMINATION.__contains__,
        "PinholeSize": _is_number,
        "PinholeSizeUnit": _is_length,
        "AcquisitionMode": _ACQUISITION.__contains__,
        "ContrastMethod": _CONTRAST.__contains__,
        "ExcitationWavelength": _is_positive,
        "ExcitationWavelengthUnit": _is_length,
        "EmissionWavelength": _is_positive,
        "EmissionWavelengthUnit": _is_length,
        "Fluor": _is_text,
        "NDFilter": _is_number,
        "PockelCellSetting": _is_whole,
        "Color": _is_whole,
    },
    "Plane": {
        "DeltaT": _is_number,
        "DeltaTUnit": _is_time,
        "ExposureTime": _is_number,
        "ExposureTimeUnit": _is_time,
        **{f"Position{axis}": _is_number for axis in "XYZ"},
        **{f"Position{axis}Unit": _is_length for axis in "XYZ"},
    },
}


def clean_attributes(element: str, attributes: Mapping[str, str]) -> dict[str, str]:
    """Attributes of an element that say something about it and are valid; not its identity and sizes.

    A unit stays only with its value, and a value of an unknown unit is left out with it.
    """
    checks = _CHECKS[element]
    found = {name: attributes[name].strip() for name in checks if name in attributes}
    valid = {name: text for name, text in found.items() if checks[name](text)}
    for name in list(valid):
        unit = f"{name}Unit"
        if unit in found and unit not in valid:
            del valid[name]
    return {name: text for name, text in valid.items() if not name.endswith("Unit") or name[:-4] in valid}
