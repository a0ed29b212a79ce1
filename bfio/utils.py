"""The module path of bfio 2.x: ``bfio.utils.start()`` goes on working."""

from bfio.bioformats.jvm import start

__all__ = ["start"]
