"""What a reader makes of a file, and how that compares with what was written."""

from dataclasses import dataclass, field

import numpy as np

LOSSY_MEAN_DIFFERENCE = 4.0
"""Mean difference between pixels and their JPEG; decoders differ in how they enlarge the colours."""


@dataclass
class Picture:
    """One image of a file.

    ``levels`` has an array (planes, rows, columns, samples) per resolution; planes go by Z, then C, then T. ``facts``
    is what else the reader tells; names are those of `cases.Case.facts`.
    """

    levels: list[np.ndarray]
    facts: dict[str, object] = field(default_factory=dict)


def attempt(read, path):
    """A picture, or the error that the reader raises; it has its own kind of errors, so all count."""
    try:
        return read(path)
    except Exception as error:  # noqa: BLE001 - of every kind
        return error


def outcome(found, expected, lossy=False):
    """One word for what a reader made of the file.

    "equal"; "as <dtype>", equal numbers in another dtype; "zeros"; "differs"; "shape", other levels, planes or sizes;
    "raises".
    """
    if isinstance(found, Exception):
        return "raises"
    if [level.shape for level in found.levels] != [level.shape for level in expected]:
        return "shape"
    if all(_same(*pair, lossy) for pair in zip(found.levels, expected, strict=True)):
        dtype = found.levels[0].dtype
        return "equal" if dtype == expected[0].dtype else f"as {dtype}"
    return "differs" if any((level != 0).any() for level in found.levels) else "zeros"


def _same(found, expected, lossy):
    if lossy:
        return np.abs(found.astype(float) - expected.astype(float)).mean() < LOSSY_MEAN_DIFFERENCE
    return np.array_equal(found, expected, equal_nan=expected.dtype.kind in "fc")
