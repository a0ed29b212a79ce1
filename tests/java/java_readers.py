"""Readers of Bio-Formats as the backend opens them, and made-up ones that say whatever a test wants."""

from contextlib import contextmanager

from bfio.bioformats.jvm import java


@contextmanager
def opened(path):
    """A reader as the backend opens it."""
    service = java("loci.common.services.ServiceFactory")().getInstance(
        java("loci.formats.services.OMEXMLService").class_
    )
    reader = java("loci.formats.ImageReader")()
    reader.setFlattenedResolutions(False)
    reader.setMetadataStore(service.createOMEXMLMetadata())
    try:
        reader.setId(str(path))
        yield reader
    finally:
        reader.close()


def fake(tmp_path, **options):
    """Name of a file that Bio-Formats makes up."""
    said = "".join(f"&{name}={value}" for name, value in options.items())
    return tmp_path / f"image{said}.fake"


class StoreStub:
    """A metadata store that knows nothing but the number of its images."""

    def __init__(self, n_images=1000, **answers):
        self.n_images, self.answers = n_images, answers

    def __getattr__(self, name):
        return self.answers.get(name, lambda *_: self.n_images if name == "getImageCount" else None)

    def getChannelCount(self, number):
        return 0


DEFAULTS = {
    "getSizeX": 40, "getSizeY": 30, "getSizeZ": 1, "getSizeT": 1, "getEffectiveSizeC": 1, "getPixelType": 3,
    "getRGBChannelCount": 1, "isLittleEndian": True, "isInterleaved": False, "getDimensionOrder": "XYCZT",
    "getOptimalTileWidth": 1024, "getOptimalTileHeight": 1024, "isThumbnailSeries": False,
}  # fmt: skip


class ReaderStub:
    """A reader whose answers are ``[series][resolution][name of the method]``, or the defaults."""

    def __init__(self, *series, store=None, files=()):
        self.answers, self.store, self.files = series, store or StoreStub(), files
        self.series = self.resolution = 0

    def setSeries(self, number):
        self.series, self.resolution = number, 0

    def setResolution(self, number):
        self.resolution = number

    def getSeriesCount(self):
        return len(self.answers)

    def getResolutionCount(self):
        return len(self.answers[self.series])

    def getMetadataStore(self):
        return self.store

    def getCurrentFile(self):
        return "stub.img"

    def getFormat(self):
        return "Stub"

    def getUsedFiles(self):
        return self.files

    def __getattr__(self, name):
        if name not in DEFAULTS:
            raise AttributeError(name)
        return lambda: self.answers[self.series][self.resolution].get(name, DEFAULTS[name])
