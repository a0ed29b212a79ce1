"""The module path of bfio 2.x: ``from bfio.bfio import BioReader, BioWriter`` goes on working."""

from bfio.reader import BioReader
from bfio.writer import BioWriter

__all__ = ["BioReader", "BioWriter"]
