"""Pillow, which decodes through libtiff."""

import numpy as np
import PIL
from PIL import Image

from readers.picture import Picture

CENTIMETRE = 3


def version():
    return PIL.__version__


def read(path):
    planes = []
    with Image.open(path) as image:
        facts = {"xml": image.tag_v2[270].encode("latin-1").decode()}  # it takes all text for Latin-1
        if image.tag_v2.get(296) == CENTIMETRE:
            facts["density"] = (float(image.tag_v2[282]), float(image.tag_v2[283]))
        for number in range(image.n_frames):
            image.seek(number)
            lower = image.get_child_images()  # first, as loading pixels may close the file
            planes.append([_pixels(image), *map(_pixels, lower)])
    return Picture([np.stack(level) for level in zip(*planes, strict=True)], facts)


def _pixels(image):
    pixels = np.asarray(image)
    return pixels.reshape(*pixels.shape[:2], -1)
