"""libvips through pyvips."""

import numpy as np
import pyvips

from readers.picture import Picture


def version():
    return ".".join(str(pyvips.version(part)) for part in range(3))


def read(path):
    pyvips.cache_set_max(0)
    first = pyvips.Image.new_from_file(str(path))
    n_pages = first.get("n-pages")
    n_lower = first.get("n-subifds") if "n-subifds" in first.get_fields() else 0
    levels = [np.stack([_plane(path, page=n) for n in range(n_pages)])]
    levels += [np.stack([_plane(path, page=n, subifd=k) for n in range(n_pages)]) for k in range(n_lower)]
    density = tuple(10 * per_mm for per_mm in (first.xres, first.yres))
    return Picture(levels, {"xml": first.get("image-description"), "density": density})


def _plane(path, **which):
    image = pyvips.Image.new_from_file(str(path), **which)
    return image.numpy().reshape(image.height, image.width, image.bands)
