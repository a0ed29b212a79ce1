"""Kernels of bfio: tile decompression, dtype conversion and IFD walking, all without the GIL. Private."""
