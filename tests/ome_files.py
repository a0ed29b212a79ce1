"""OME-TIFF files with any TiffData, written page by page; the XML is made here and not by a writer under test."""

from xml.sax.saxutils import quoteattr

import numpy as np
import tifffile

NAMESPACE = "http://www.openmicroscopy.org/Schemas/OME/2016-06"
TYPES = {
    "u1": "uint8",
    "u2": "uint16",
    "u4": "uint32",
    "i1": "int8",
    "i2": "int16",
    "i4": "int32",
    "f4": "float",
    "f8": "double",
}


def element(name, content="", **attributes):
    """An XML element; attributes that are None are left out."""
    text = "".join(f" {key}={quoteattr(str(value))}" for key, value in attributes.items() if value is not None)
    return f"<{name}{text}>{content}</{name}>"


def tiff_data(ifd=None, plane_count=None, uuid=None, file_name=None, **first):
    """One TiffData; ``first`` are FirstT, FirstC, FirstZ."""
    inside = element("UUID", uuid or "", FileName=file_name) if uuid or file_name else ""
    return element("TiffData", inside, IFD=ifd, PlaneCount=plane_count, **first)


def image_xml(image, blocks="", *, order="XYZCT", index=0, names=None, samples=1, **attributes):
    """An Image for pixels (T, C, Z, Y, X); C counts samples."""
    size_t, size_c, size_z, size_y, size_x = image.shape
    channels = "".join(
        element("Channel", ID=f"Channel:{index}:{c}", Name=names[c] if names else None, SamplesPerPixel=samples)
        for c in range(size_c // samples)
    )
    pixels = element(
        "Pixels", channels + blocks, ID=f"Pixels:{index}", DimensionOrder=order, Type=TYPES[image.dtype.str[1:]],
        SizeX=size_x, SizeY=size_y, SizeZ=size_z, SizeC=size_c, SizeT=size_t, **attributes,
    )  # fmt: skip
    return element("Image", pixels, ID=f"Image:{index}", Name=f"image {index}")


def document(*images, uuid=None):
    """An OME document."""
    return '<?xml version="1.0" encoding="UTF-8"?>' + element("OME", "".join(images), xmlns=NAMESPACE, UUID=uuid)


def in_order(image, order="XYZCT", samples=1):
    """Planes of (T, C, Z, Y, X) pixels as their IFDs follow each other; RGB planes have the samples last."""
    size_t, size_c, size_z, size_y, size_x = image.shape
    split = image.reshape(size_t, size_c // samples, samples, size_z, size_y, size_x)
    axes = [{"T": 0, "C": 1, "Z": 3}[axis] for axis in order[:1:-1]]
    planes = split.transpose(*axes, 4, 5, 2).reshape(-1, size_y, size_x, samples)
    return planes if samples > 1 else planes[..., 0]


def write_pages(path, pages, xml, *, levels=0, **options):
    """Pages one by one, the XML in the first; with levels, smaller ones (every 2nd, 4th pixel) in SubIFDs."""
    with tifffile.TiffWriter(
        path, **{key: options.pop(key) for key in ("bigtiff", "byteorder") if key in options}
    ) as file:
        for number, page in enumerate(pages):
            common = {"metadata": None, "photometric": "rgb" if page.ndim == 3 else "minisblack", **options}
            file.write(page, description=xml.encode() if number == 0 and xml else None, subifds=levels, **common)
            for level in range(1, levels + 1):
                file.write(page[:: 2**level, :: 2**level], subfiletype=1, **common)


def pixels(seed, *shape, dtype="u2"):
    """Random image (T, C, Z, Y, X)."""
    return np.random.default_rng(seed).integers(0, 120, shape).astype(dtype)


def tczyx(reader):
    """All pixels of a reader in the order T, C, Z, Y, X."""
    return reader[:].reshape(reader.Y, reader.X, reader.Z, reader.C, reader.T).transpose(4, 3, 2, 0, 1)
