"""A process with one JVM and one version of Bio-Formats; reads paths from stdin, answers on stdout with pickles.

Run it as ``python bioformats_child.py <libjvm> <jar>``. The first answer is the version.
"""

import os
import pickle
import sys

import jpype
import numpy as np

OPTIONS = (
    "-Djava.awt.headless=true", "-Xrs", "-Xmx512m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xshare:auto",
    "-XX:+IgnoreUnrecognizedVMOptions", "--enable-native-access=ALL-UNNAMED",
)  # fmt: skip
DTYPES = {"float": "f4", "double": "f8", "bit": "?"}


def read(formats, path):
    """Pixels of all levels, and facts."""
    reader, store = formats.ImageReader(), formats.service.createOMEXMLMetadata()
    try:
        reader.setFlattenedResolutions(False)
        reader.setMetadataStore(store)
        reader.setId(path)
        facts = _facts(formats, reader, store)
        return [_level(formats, reader, number) for number in range(reader.getResolutionCount())], facts
    finally:
        reader.close()


def _level(formats, reader, number):
    reader.setResolution(number)
    kind = str(formats.FormatTools.getPixelTypeString(reader.getPixelType()))
    dtype = np.dtype(DTYPES.get(kind, kind)).newbyteorder("<" if reader.isLittleEndian() else ">")
    rows, cols, samples = reader.getSizeY(), reader.getSizeX(), reader.getRGBChannelCount()
    shape = (rows, cols, samples) if reader.isInterleaved() else (samples, rows, cols)
    planes = [np.frombuffer(bytes(reader.openBytes(n)), dtype).reshape(shape) for n in range(reader.getImageCount())]
    planes = [plane if reader.isInterleaved() else plane.transpose(1, 2, 0) for plane in planes]
    return np.stack(planes).astype(dtype.newbyteorder("="))


def _facts(formats, reader, store):
    sizes = [getattr(store, f"getPixelsPhysicalSize{axis}")(0) for axis in "XYZ"]
    return {
        "format": str(reader.getFormat()),
        "order": str(reader.getDimensionOrder()),
        "sizes": tuple(int(getattr(reader, f"getSize{axis}")()) for axis in "TCZYX"),
        "pixel_sizes": tuple(size and float(size.value(formats.MICROMETER).doubleValue()) for size in sizes),
        "channels": tuple(
            None if (name := store.getChannelName(0, c)) is None else str(name)
            for c in range(store.getChannelCount(0))
        ),
    }


class Formats:
    """The Java classes in use."""

    def __init__(self):
        java = jpype.JClass
        java("loci.common.DebugTools").setRootLevel("OFF")
        self.FormatTools, self.ImageReader = java("loci.formats.FormatTools"), java("loci.formats.ImageReader")
        services = java("loci.common.services.ServiceFactory")()
        self.service = services.getInstance(java("loci.formats.services.OMEXMLService"))
        self.MICROMETER = java("ome.units.UNITS").MICROMETER


def main(libjvm, jar):
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what Java prints does not get between the answers
    jpype.startJVM(libjvm, *OPTIONS, classpath=[jar], convertStrings=False)
    formats = Formats()
    answer = str(formats.FormatTools.VERSION)
    while True:
        pickle.dump(answer, answers)
        answers.flush()
        path = sys.stdin.readline().rstrip("\n")
        if not path:
            return
        try:
            answer = read(formats, path)
        except jpype.JException as error:
            answer = RuntimeError(str(error))


if __name__ == "__main__":
    main(*sys.argv[1:])
