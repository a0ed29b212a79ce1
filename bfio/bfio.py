"""The module path of bfio 2.x: ``from bfio.bfio import BioReader`` goes on working."""

from bfio.reader import BioReader

__all__ = ["BioReader"]
