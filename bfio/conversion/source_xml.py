"""The OME-XML of a source, parsed once however many of its images are converted."""

from __future__ import annotations

import logging
import re
from functools import cached_property

from bfio import omexml
from bfio.errors import BfioError
from bfio.omexml.clean import clean_tree
from bfio.omexml.document import OmeImage
from bfio.omexml.output import to_text
from bfio.omexml.references import each_own
from bfio.reader import BioReader

__all__ = ["SourceXml"]

logger = logging.getLogger("bfio")

_PRESENT_SCHEMA = re.compile(r"openmicroscopy\.org/Schemas/OME/2016-06")


class SourceXml:
    """What a file tells of its images.

    Parameters
    ----------
    reader : BioReader
        Of any of them.
    apart : bool
        Whether each image gets a document of its own, since many of them are wanted.
    """

    def __init__(self, reader: BioReader, *, apart: bool = False) -> None:
        self._reader, self._apart = reader, apart

    @cached_property
    def _xml(self) -> str | None:
        return self._reader._backend.ome_xml()

    @cached_property
    def images(self) -> tuple[OmeImage, ...]:
        """All images; none where there is no document that can be used."""
        if self._xml is None:
            return ()
        try:
            return tuple(omexml.parse(self._xml).images)
        except BfioError as error:
            logger.warning("the OME-XML of the source can not be used (%s) and is left out", error)
            return ()

    def of(self, number: int) -> tuple[str | None, int]:
        """A document that describes one of :attr:`images`, and its number there."""
        return (self._xml, number) if self._own is None else (self._own[number], 0)

    @cached_property
    def _own(self) -> list[str] | None:
        """Documents of one image each; None for what may change in meaning when it is written anew."""
        if not self._apart or self._xml is None or not _PRESENT_SCHEMA.search(self._xml, 0, 4096):
            return None
        try:
            found = [to_text(root) for root in each_own(clean_tree(self._xml))]
        except (BfioError, RecursionError):
            return None  # whoever uses it says so
        return found if len(found) == len(self.images) else None
