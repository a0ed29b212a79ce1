"""The numbers of TIFF by name: TIFF 6.0, its supplements, BigTIFF, DNG and the vendors of microscopes."""

from __future__ import annotations

from enum import IntEnum, IntFlag, StrEnum

__all__ = [
    "Compression",
    "Downsample",
    "ExtraSamples",
    "FieldType",
    "FillOrder",
    "NewSubfileType",
    "Photometric",
    "PlanarConfiguration",
    "Predictor",
    "ResolutionUnit",
    "SampleFormat",
    "Tag",
]


class FieldType(IntEnum):
    """Type of the values of a tag; 13 is from the supplement, 14 and 15 from Adobe, 16 to 18 from BigTIFF."""

    BYTE = 1
    ASCII = 2
    SHORT = 3
    LONG = 4
    RATIONAL = 5
    SBYTE = 6
    UNDEFINED = 7
    SSHORT = 8
    SLONG = 9
    SRATIONAL = 10
    FLOAT = 11
    DOUBLE = 12
    IFD = 13
    UNICODE = 14
    COMPLEX = 15
    LONG8 = 16
    SLONG8 = 17
    IFD8 = 18


class Compression(IntEnum):
    """How the tiles and strips are compressed (tag 259)."""

    NONE = 1
    CCITT_RLE = 2
    CCITT_T4 = 3
    CCITT_T6 = 4
    LZW = 5
    OLD_JPEG = 6
    JPEG = 7
    ADOBE_DEFLATE = 8
    JBIG_BW = 9
    JBIG_COLOR = 10
    JPEG_99 = 99  # Leaf
    IMPACJ = 103
    KODAK_262 = 262
    JPEGXR_NDPI = 22610  # Hamamatsu
    NEXT = 32766
    SONY_ARW = 32767
    PACKED_RAW = 32769
    SAMSUNG_SRW = 32770
    CCITT_RLEW = 32771
    SAMSUNG_SRW2 = 32772
    PACKBITS = 32773
    THUNDERSCAN = 32809
    IT8_CTPAD = 32895
    IT8_LW = 32896
    IT8_MP = 32897
    IT8_BL = 32898
    PIXAR_FILM = 32908
    PIXAR_LOG = 32909
    DEFLATE = 32946
    DCS = 32947
    APERIO_JP2000_YCBC = 33003
    JPEG_2000_LOSSY = 33004  # Bio-Formats
    APERIO_JP2000_RGB = 33005
    ALT_JPEG = 33007  # Bio-Formats
    JBIG = 34661
    SGILOG = 34676
    SGILOG24 = 34677
    LURADOC = 34692
    JPEG2000 = 34712
    NIKON_NEF = 34713
    JBIG2 = 34715
    MDI_BINARY = 34718
    MDI_PROGRESSIVE = 34719
    MDI_VECTOR = 34720
    LERC = 34887
    JPEG_LOSSY = 34892  # DNG
    LZMA = 34925
    ZSTD_DEPRECATED = 34926
    WEBP_DEPRECATED = 34927
    PNG = 34933  # Objective Imaging
    JPEGXR = 34934  # Objective Imaging
    JETRAW = 48124
    ZSTD = 50000
    WEBP = 50001
    JPEGXL = 50002
    PIXTIFF = 50013
    JPEGXL_DNG = 52546
    EER_V0 = 65000  # Thermo Fisher
    EER_V1 = 65001
    EER_V2 = 65002


class Predictor(IntEnum):
    """What was done to the samples before compression (tag 317); the last four are from DNG."""

    NONE = 1
    HORIZONTAL = 2
    FLOATING_POINT = 3
    HORIZONTAL_X2 = 34892
    HORIZONTAL_X4 = 34893
    FLOATING_POINT_X2 = 34894
    FLOATING_POINT_X4 = 34895


class Photometric(IntEnum):
    """Colour space (tag 262)."""

    MIN_IS_WHITE = 0
    MIN_IS_BLACK = 1
    RGB = 2
    PALETTE = 3
    MASK = 4
    SEPARATED = 5
    YCBCR = 6
    CIELAB = 8
    ICCLAB = 9
    ITULAB = 10
    CFA = 32803
    LOGL = 32844
    LOGLUV = 32845
    LINEAR_RAW = 34892
    DEPTH_MAP = 51177
    SEMANTIC_MASK = 52527
    UNKNOWN = 65535  # in a record: the tag is missing


class PlanarConfiguration(IntEnum):
    """Samples side by side in a pixel, or each in its own plane (tag 284)."""

    CONTIG = 1
    SEPARATE = 2


class SampleFormat(IntEnum):
    """Kind of number of a sample (tag 339)."""

    UINT = 1
    INT = 2
    IEEE_FP = 3
    VOID = 4
    COMPLEX_INT = 5
    COMPLEX_IEEE_FP = 6


class FillOrder(IntEnum):
    """Order of the bits in a byte (tag 266)."""

    MSB_TO_LSB = 1
    LSB_TO_MSB = 2


class ExtraSamples(IntEnum):
    """Meaning of a sample beyond those of the colour space (tag 338)."""

    UNSPECIFIED = 0
    ASSOCIATED_ALPHA = 1
    UNASSOCIATED_ALPHA = 2


class Downsample(StrEnum):
    """How a level of a pyramid becomes the next one; not a number of TIFF."""

    MEAN = "mean"
    NEAREST = "nearest"
    MODE = "mode"
    MAX = "max"


class ResolutionUnit(IntEnum):
    """Unit of XResolution and YResolution (tag 296); the last two are from DNG."""

    NONE = 1
    INCH = 2
    CENTIMETER = 3
    MILLIMETER = 4
    MICROMETER = 5


class NewSubfileType(IntFlag):
    """What an IFD holds (tag 254)."""

    FULL = 0
    REDUCED_IMAGE = 1
    PAGE = 2
    MASK = 4
    MACRO = 8  # Aperio; a depth map in DNG
    ENHANCED = 16  # DNG
    ALTERNATIVE = 65536  # DNG


class Tag(IntEnum):
    """The tags that bfio uses."""

    NEW_SUBFILE_TYPE = 254
    SUBFILE_TYPE = 255
    IMAGE_WIDTH = 256
    IMAGE_LENGTH = 257
    BITS_PER_SAMPLE = 258
    COMPRESSION = 259
    PHOTOMETRIC_INTERPRETATION = 262
    FILL_ORDER = 266
    IMAGE_DESCRIPTION = 270
    MAKE = 271
    MODEL = 272
    STRIP_OFFSETS = 273
    ORIENTATION = 274
    SAMPLES_PER_PIXEL = 277
    ROWS_PER_STRIP = 278
    STRIP_BYTE_COUNTS = 279
    X_RESOLUTION = 282
    Y_RESOLUTION = 283
    PLANAR_CONFIGURATION = 284
    PAGE_NAME = 285
    T4_OPTIONS = 292
    T6_OPTIONS = 293
    RESOLUTION_UNIT = 296
    PAGE_NUMBER = 297
    SOFTWARE = 305
    DATE_TIME = 306
    ARTIST = 315
    PREDICTOR = 317
    COLOR_MAP = 320
    TILE_WIDTH = 322
    TILE_LENGTH = 323
    TILE_OFFSETS = 324
    TILE_BYTE_COUNTS = 325
    SUB_IFDS = 330
    EXTRA_SAMPLES = 338
    SAMPLE_FORMAT = 339
    JPEG_TABLES = 347
    YCBCR_COEFFICIENTS = 529
    YCBCR_SUBSAMPLING = 530
    YCBCR_POSITIONING = 531
    REFERENCE_BLACK_WHITE = 532
    IMAGE_DEPTH = 32997  # SGI
    TILE_DEPTH = 32998
    COPYRIGHT = 33432
    ZEISS_LSM = 34412
    OLYMPUS_SIS = 33560
    METAMORPH_UIC1 = 33628
    METAMORPH_UIC2 = 33629
    ICC_PROFILE = 34675
    GDAL_METADATA = 42112
    GDAL_NODATA = 42113
    IMAGEJ_METADATA_BYTE_COUNTS = 50838
    IMAGEJ_METADATA = 50839
    MICRO_MANAGER = 51123
