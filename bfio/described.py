"""The description of an image that is written: by attributes, by keywords, by metadata, by the first array."""

from __future__ import annotations

import difflib
import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from bfio._locks import ProcessLock
from bfio.draft import ALIASES, SETTABLE, Draft
from bfio.errors import ReadOnlyError, UsageError
from bfio.settable import SettableProperties

if TYPE_CHECKING:
    from pathlib import Path

    from ome_types import OME

    from bfio.metadata import Series
    from bfio.omexml.live import LiveModel

__all__ = ["DescribedImage"]

logger = logging.getLogger(__name__)


class DescribedImage(SettableProperties):
    """An image that can be described until it is begun.

    Parameters
    ----------
    path : Path
    tile_size : (int, int)
    """

    def __init__(self, path: Path, tile_size: tuple[int, int]) -> None:
        self._file_path = path
        self._tile_size = tile_size
        self._TILE_SIZE = tile_size[0]
        self._lock = ProcessLock()
        self._description = Draft()
        self._live: LiveModel | None = None

    @property
    def read_only(self) -> bool:
        """Whether the image can no longer be described: after the first write."""
        raise NotImplementedError

    @property
    def _draft(self) -> Draft:
        if self._live is not None and not self.read_only:
            changed = self._live.changes()
            if changed is not None:
                self._description.reload(changed)
        return self._description

    def _change(self, name: str, value: Any) -> None:
        with self._lock:
            if self.read_only:
                raise ReadOnlyError(f"{name} can not be changed after the first write to {self._file_path.name}")
            draft = self._draft
            if name == "metadata":
                self._load(value)
                return
            draft.change(name, value)
            if self._live is not None and draft.sizes[3] % draft.samples == 0:
                self._live.follow(draft.series(self._image_name))

    def _load(self, metadata: Any) -> None:
        if hasattr(metadata, "to_xml"):
            metadata = metadata.to_xml()
        if not isinstance(metadata, (str, bytes)):
            kind = type(metadata).__name__
            raise UsageError(f"metadata must be an ome_types.OME, as reader.metadata is, or OME-XML; not a {kind}")
        text = metadata if isinstance(metadata, str) else metadata.decode("utf-8", "replace")
        n_images = self._description.load(text)
        self._live = None
        if n_images > 1:
            logger.warning("the metadata describe %d images; the first one is kept", n_images)

    def _set_all(self, values: dict[str, Any], others: Iterable[str]) -> None:
        """Set attributes from keyword arguments, those first on which others depend; `others` are keywords as well."""
        known = {ALIASES.get(name, name): value for name, value in values.items() if value is not None}
        for name in SETTABLE:
            if name in known:
                setattr(self, name, known[name])
        for name, value in values.items():
            if ALIASES.get(name, name) not in SETTABLE:
                _warn_of_typo(name, others)
                setattr(self, name, value)

    @property
    def metadata(self) -> OME:
        """The OME metadata, as objects of ``ome_types``. Changes count until the first write."""
        with self._lock:
            if self._live is None:
                from bfio.omexml.live import LiveModel

                self._live = LiveModel(self._xml(self._series()))
            elif not self.read_only:
                self._live.follow(self._series())
            return self._live.ome

    @metadata.setter
    def metadata(self, value: OME | str) -> None:
        self._change("metadata", value)

    @property
    def _image_name(self) -> str:
        """Name of the image in its metadata."""
        return self._file_path.name

    def _series(self) -> Series:
        return self._draft.series(self._image_name, self._tile_size)

    def _xml(self, series: Series) -> str:
        from bfio.omexml.build import build_xml

        return build_xml(series, self._image_name, self._description.base)

    def _infer(self, value: Any, lengths: tuple[int, ...]) -> None:
        """What nobody has said of the image is taken from the first array."""
        with self._lock:
            draft = self._draft
            if not self.read_only:
                draft.infer(lengths)
                if "dtype" not in draft.said and hasattr(value, "dtype"):
                    draft.set_dtype(value.dtype)


def _warn_of_typo(name: str, others: Iterable[str]) -> None:
    """Log a warning where an unknown keyword looks like one that means something."""
    lowered = {word.lower(): word for word in (*SETTABLE, *ALIASES, *others)}
    near = difflib.get_close_matches(name.lower(), [*lowered], n=1, cutoff=0.75)
    if near and len(name) > 1:
        logger.warning("BioWriter: %r means nothing and becomes an attribute; did you mean %r?", name, lowered[near[0]])
