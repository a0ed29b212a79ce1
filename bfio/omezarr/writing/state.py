"""The writer's own notes in a store that is not finished: files in its folder ``.bfio``, removed at the end.

``state.json`` never changes: what the store is. Each process writes a note of its own of the chunks that it has stored;
a checkpoint also keeps the pixels of chunks of which only parts are there.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bfio.errors import FormatError
from bfio.metadata import Channel, Level, Series
from bfio.omezarr.writing.recipe import Recipe

__all__ = [
    "BOOT",
    "NOTES",
    "SEVERAL",
    "STATE",
    "State",
    "boot_mark",
    "is_unfinished",
    "packed_flags",
    "read_flags",
    "read_json",
    "read_state",
]

NOTES = ".bfio"
STATE = "state.json"
BOOT = "boot.json"
SEVERAL = "several.json"
"""Note of a store that is not finished before all its images are there; only then they are listed and described."""
VERSION = 1
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True, slots=True)
class State:
    """What a store is going to be.

    Attributes
    ----------
    recipe : Recipe
    series : Series
        The image as it was described; of its levels only the full one.
    in_place : bool
        Whether a finished store is added to.
    """

    recipe: Recipe
    series: Series
    in_place: bool = False

    def to_bytes(self) -> bytes:
        """As JSON."""
        series = asdict(self.series) | {"dtype": self.series.dtype.name, "levels": []}
        values = {"version": VERSION, "recipe": self.recipe.to_json(), "series": series, "in_place": self.in_place}
        return json.dumps(values, sort_keys=True).encode()


def is_unfinished(folder: Path) -> bool:
    """Whether a folder holds the notes of a writer."""
    return (folder / NOTES / STATE).is_file()


def read_state(folder: Path) -> State:
    """The notes of an unfinished store.

    Raises
    ------
    FormatError
        They are damaged.
    """
    values = read_json(folder / NOTES / STATE)
    try:
        if values["version"] != VERSION:
            raise FormatError(f"{folder} was begun by another version of bfio: finish it with that one")
        return State(Recipe.from_json(values["recipe"]), _series(values["series"]), bool(values["in_place"]))
    except (KeyError, TypeError, ValueError) as error:
        raise FormatError(f"{folder}: the notes of the unfinished store are damaged ({error}): begin it anew") from None


def read_json(path: Path) -> Any:
    """A JSON object.

    Raises
    ------
    FormatError
    """
    try:
        values = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise FormatError(f"{path} is not there, so the unfinished store must be begun anew") from None
    except (ValueError, RecursionError) as error:
        raise FormatError(f"{path} is damaged ({error}): begin the store anew") from None
    if not isinstance(values, Mapping):
        raise FormatError(f"{path} is damaged: begin the store anew")
    return values


def _series(values: Mapping[str, Any]) -> Series:
    plain = dict(values)
    plain["dtype"] = np.dtype(plain["dtype"])
    plain["channels"] = tuple(_channel(channel) for channel in plain["channels"])
    plain["levels"] = (Level(plain["size_y"], plain["size_x"], (0, 0)),)
    for axis in "xyz":
        size, unit = plain[f"physical_size_{axis}"]
        plain[f"physical_size_{axis}"] = (size, unit)
    return Series(**plain)


def _channel(values: Mapping[str, Any]) -> Channel:
    window = values["window"]
    return Channel(**{**values, "window": None if window is None else (float(window[0]), float(window[1]))})


def packed_flags(flags: np.ndarray) -> str:
    """A bool array as text."""
    return base64.b64encode(zlib.compress(np.packbits(flags).tobytes(), 1)).decode()


def read_flags(text: Any, shape: Sequence[int]) -> np.ndarray:
    """Undo :func:`packed_flags`.

    Raises
    ------
    FormatError
    """
    n = int(np.prod(shape))
    try:
        unpacker = zlib.decompressobj()
        raw = np.frombuffer(unpacker.decompress(base64.b64decode(text, validate=True), -(-n // 8)), np.uint8)
        if len(raw) != -(-n // 8):
            raise ValueError("too short")
    except (ValueError, TypeError, zlib.error) as error:
        raise FormatError(f"the notes of an unfinished store are damaged ({error}): begin it anew") from None
    return np.unpackbits(raw)[:n].astype(bool).reshape(shape)


def boot_mark() -> int:
    """A number for this run of the machine, 0 where it is not known.

    What a killed process has written is still in the memory of the machine; after a new start, or on another machine,
    only what was synchronised is certain.
    """
    try:
        return zlib.crc32(_BOOT_ID.read_bytes())
    except OSError:
        return 0
