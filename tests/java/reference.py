"""Files that Bio-Formats itself writes, and their pixels as it reads them plane by plane.

Nothing of bfio is used here: the classes of Java are called directly, in the JVM that runs already.
"""

from pathlib import Path

import numpy as np

SMALL = "sizeX=150&sizeY=100"
PIXEL_TYPES = ("int8", "uint8", "int16", "uint16", "int32", "uint32", "float", "double")
ORDERS = ("XYZCT", "XYZTC", "XYCZT", "XYCTZ", "XYTZC", "XYTCZ")
DTYPES = {"float": "f4", "double": "f8", "bit": "u1"}


def java(name):
    """A Java class."""
    import jpype

    return jpype.JClass(f"loci.{name}")


def converted(fake, target, *options):
    """Let the converter of Bio-Formats (bfconvert) write a small fake image."""
    import jpype

    words = ["-no-upgrade", "-overwrite", *options, f"reference&{SMALL}&{fake}.fake", str(target)]
    done = java("formats.tools.ImageConverter")().testConvert(
        java("formats.ImageWriter")(), jpype.JArray(jpype.JString)(words)
    )
    assert done, f"{target} can not be written"


def convert(path, fake, *options):
    """Write a file; returns its path."""
    converted(fake, path, *options)
    return path


def touch(path, fake, *options):
    """A fake file, whose name says all; returns its path."""
    assert not options
    path = path.with_name(f"{path.name.removesuffix('.fake')}&{SMALL}&{fake}.fake")
    path.touch()
    return path


def write_noise(path, kind="uint16", order="XYCZT", *, little=True, samples=1, sizes=(2, 3, 2, 47, 61), seed=0):
    """Random planes through a writer of Bio-Formats; returns the path. `sizes` are T, C, Z, Y, X; C counts planes."""
    import jpype

    size_t, size_c, size_z, size_y, size_x = sizes
    dtype = np.dtype(DTYPES.get(kind, kind)).newbyteorder("<" if little else ">")
    service = java("common.services.ServiceFactory")().getInstance(java("formats.services.OMEXMLService"))
    store = service.createOMEXMLMetadata()
    java("formats.MetadataTools").populateMetadata(
        store, 0, "noise", little, order, kind, size_x, size_y, size_z, size_c * samples, size_t, samples
    )
    writer, rng = java("formats.ImageWriter")(), np.random.default_rng(seed)
    try:
        writer.setMetadataRetrieve(store)
        writer.setInterleaved(True)
        writer.setId(str(path))
        for number in range(size_t * size_c * size_z):
            noise = rng.integers(0, 256, size_y * size_x * samples * dtype.itemsize, np.uint8)
            if dtype.kind == "f":
                noise = noise[: size_y * size_x * samples].astype(dtype).view(np.uint8)
            writer.saveBytes(number, jpype.JArray(jpype.JByte)(noise.view(np.int8)))
    finally:
        writer.close()
    return path


def noise_of(kind="uint16", order="XYCZT", **changes):
    """Maker of a file of random planes."""
    return lambda path: write_noise(path, kind, order, **changes)


def made_of(fake, *options, by=convert):
    """Maker of a file from a fake one."""
    return lambda path: by(path, fake, *options)


def companion(path):
    """OME-TIFF of several files with a companion file, which is the one to open."""
    main = path.parent / "set.companion.ome"
    target = path.parent / "set_%s_%z.ome.tif"
    converted("series=2&sizeZ=2&sizeT=2", target, "-option", "ometiff.companion", str(main))
    return main


FULL = "sizeZ=3&sizeC=2&sizeT=2"
FILES = {
    **{f"{kind}.ome.tif": made_of(f"pixelType={kind}&sizeC=2") for kind in PIXEL_TYPES},
    **{f"{kind}-big.ome.tif": made_of(f"pixelType={kind}&little=false") for kind in ("int16", "uint32", "float")},
    **{f"{order}.ome.tif": made_of(f"pixelType=uint16&dimOrder={order}&{FULL}") for order in ORDERS},
    **{f"noise-{order}.ome.tif": noise_of(order=order) for order in ORDERS},
    **{f"noise-{kind}.ome": noise_of(kind, sizes=(1, 2, 1, 30, 41)) for kind in PIXEL_TYPES[:-1]},
    "noise-double.ome.tif": noise_of("double"),
    "noise-big.ome.tif": noise_of("int32", "XYTZC", little=False),
    "noise-rgb.ome.tif": noise_of("uint8", samples=3),
    "noise-rgba.ome.tif": noise_of("uint16", samples=4),
    "noise-float.ics": noise_of("float"),
    "noise-int16.ics": noise_of("int16", "XYZCT", little=False),
    "noise-one-row.ome.tif": noise_of(sizes=(1, 1, 2, 1, 301)),
    "noise-one-pixel.ome.tif": noise_of("double", sizes=(1, 2, 1, 1, 1)),
    "series.ome.tif": made_of("pixelType=uint16&series=3&sizeZ=2"),
    "pyramid.ome.tif": made_of("pixelType=uint16&resolutions=3&sizeC=2", "-noflat", "-tilex", "32", "-tiley", "32"),
    "pyramid-rgb.ome.tif": made_of("pixelType=uint8&rgb=3&sizeC=3&resolutions=3&series=2", "-noflat"),
    "tiled-jpeg2000.ome.tif": made_of("sizeC=2", "-tilex", "64", "-tiley", "32", "-compression", "JPEG-2000"),
    "tiled-lzw.ome.tif": made_of("pixelType=uint16", "-tilex", "48", "-tiley", "16", "-compression", "LZW"),
    "big.ome.tf8": made_of("pixelType=uint16", "-bigtiff", "-compression", "zlib"),
    "rgb-interleaved.ome.tif": made_of("rgb=3&sizeC=3&interleaved=true&sizeZ=2"),
    "rgb-planar.ome.tif": made_of("rgb=3&sizeC=6&interleaved=false&sizeT=2"),
    "several.ids": made_of(f"pixelType=uint16&{FULL}"),
    "float.ics": made_of(f"pixelType=float&{FULL}&dimOrder=XYTZC"),
    "grey.ics": made_of("pixelType=uint16"),
    "rgb.ics": made_of("rgb=3&sizeC=3&sizeZ=2"),
    "planes.jp2": made_of("pixelType=uint16"),
    "rgb.jp2": made_of("rgb=3&sizeC=3"),
    "grey.dcm": made_of("pixelType=uint16"),
    "rgb.dcm": made_of("rgb=3&sizeC=3"),
    "grey.png": made_of("pixelType=uint16"),
    "rgb.png": made_of("rgb=3&sizeC=3"),
    "rgb.jpg": made_of("rgb=3&sizeC=3"),
    "frames.avi": made_of("sizeT=3"),
    "frames.mov": made_of("rgb=3&sizeC=3&sizeT=3"),
    "picture.eps": made_of("rgb=3&sizeC=3"),
    "xml.ome": made_of(f"pixelType=uint32&{FULL}&dimOrder=XYTZC"),
    "rgb.ome": made_of("rgb=3&sizeC=3&sizeZ=2"),
    "plate.ome.tif": made_of("pixelType=uint16&plates=1&plateRows=2&plateCols=3&fields=2"),
    "companion": companion,
    "all.fake": made_of(f"pixelType=int16&{FULL}&dimOrder=XYTCZ&series=2", by=touch),
    "pyramid.fake": made_of("pixelType=uint16&resolutions=4&resolutionScale=2&sizeZ=2", by=touch),
    "rgb.fake": made_of("rgb=3&sizeC=6&interleaved=true&sizeT=2", by=touch),
    "rgb-planar.fake": made_of("pixelType=uint16&rgb=2&sizeC=4&interleaved=false&little=false", by=touch),
    "bit.fake": made_of("pixelType=bit", by=touch),
    "indexed.fake": made_of("indexed=true&sizeZ=2", by=touch),
    "false-colour.fake": made_of("indexed=true&falseColor=true&sizeC=2&pixelType=uint16", by=touch),
    "plate.fake": made_of("plates=2&plateRows=2&plateCols=2&fields=1&pixelType=uint16", by=touch),
}
"""Name of a file -> function of its path that makes it; the result is the path to open."""


def is_written(name, version):
    """Whether this version of Bio-Formats can make the file: it writes DICOM since 6.11."""
    return not name.endswith(".dcm") or tuple(map(int, version.split(".")[:2])) >= (6, 11)


class Reference:
    """Makes files when they are first asked for, each in a folder of its own, and keeps their pixels.

    Bio-Formats groups files that lie side by side: two DICOM files would be one stack.
    """

    def __init__(self, folder):
        self.folder, self._paths, self._pixels = Path(folder), {}, {}

    def path(self, name):
        """A file of the table."""
        if name not in self._paths:
            folder = self.folder / str(len(self._paths))
            folder.mkdir(exist_ok=True)
            self._paths[name] = FILES[name](folder / name)
        return self._paths[name]

    def pixels(self, path):
        """``[series][level]``: arrays (T, C, Z, Y, X), C counting samples, put together from single planes."""
        if path not in self._pixels:
            self._pixels[path] = pixels_of(path)
        return self._pixels[path]


def pixels_of(path):
    """All planes of a file, by a plain reader of Bio-Formats."""
    reader = java("formats.ImageReader")()
    try:
        reader.setFlattenedResolutions(False)
        reader.setId(str(path))
        found = []
        for series in range(reader.getSeriesCount()):
            reader.setSeries(series)
            found.append(tuple(_level(reader, level) for level in range(reader.getResolutionCount())))
        return tuple(found)
    finally:
        reader.close()


def _level(reader, level):
    reader.setResolution(level)
    kind = str(java("formats.FormatTools").getPixelTypeString(reader.getPixelType()))
    dtype = np.dtype(DTYPES.get(kind, kind)).newbyteorder("<" if reader.isLittleEndian() else ">")
    samples, rows, columns = reader.getRGBChannelCount(), reader.getSizeY(), reader.getSizeX()
    interleaved = reader.isInterleaved()
    image = np.zeros((reader.getSizeT(), reader.getSizeC(), reader.getSizeZ(), rows, columns), dtype.newbyteorder("="))
    for number in range(reader.getImageCount()):
        plane = np.frombuffer(bytes(reader.openBytes(number)), dtype)
        plane = plane.reshape((rows, columns, samples) if interleaved else (samples, rows, columns))
        z, c, t = (int(place) for place in reader.getZCTCoords(number))
        image[t, c * samples : (c + 1) * samples, z] = plane.transpose(2, 0, 1) if interleaved else plane
    return image
