"""TIFF files that Bio-Formats does not read as bfio's TIFF reader does, and why. Each row is asserted to be true.

Files are named by origin and hash, the start of their names. All pixels of bfio's TIFF reader are those of tifffile.
"""

DIFFERENCES = (
    ("raises", "floating point predictor (3) is unknown", (
        "OpenImageIO-1bdfda39", "image-47960b9e", "image-tiff-31c969db", "image-tiff-475b7dcc", "image-tiff-5c63b61f",
        "imageio-ext-0df01283", "libtiff.net-0ec1398c", "libtiff.net-1734d311", "libtiff.net-2d349822",
        "libtiff.net-378af814", "libtiff.net-38f48cb2", "libtiff.net-4ab131c2", "libtiff.net-4f60f013",
        "libtiff.net-556e2ef9", "libtiff.net-5c3015dc",
    )),
    ("raises", "CCITT compression needs Java Advanced Imaging", (
        "Pillow-32523b54", "TwelveMonkeys-04da753a", "libtiff.net-36cbcac2", "libtiff.net-56b6aaaf", "sharp-1cf404c9",
    )),
    ("raises", "WebP, LZMA and LERC are unknown", (
        "Pillow-3ad8d1e2", "cogeotiff-2047afb7", "imagecodecs-103d8318", "imagecodecs-327a1975",
        "imagecodecs-5152ce42",
    )),
    ("raises", "Zstandard frames that do not tell their size", (
        "cogeotiff-0fb42cc4", "cogeotiff-41428402", "cogger-262b4e31", "image-tiff-3611efc0", "imageio-ext-001b48a6",
        "imageio-ext-2f383877", "imageio-ext-3f880820",
    )),
    ("raises", "64-bit integers", ("imagecodecs-29b09401", "libtiff.net-16ff322a", "libtiff.net-1fd77c54")),
    ("raises", "JPEG of 12 bits", ("tiff-0d2db899",)),
    ("raises", "24 bits; the planar ones are decoded in part", (
        "image-tiff-1560c97f", "image-tiff-1e97e506", "libtiff.net-4d9ec260",
    )),
    ("raises", "a picture and its thumbnail or mask are planes of one series, which the second one does not fill", (
        "TwelveMonkeys-366bec75", "tiff-36f68782",
    )),
    ("values", "10, 12, 14 and 15 bits", (
        "image-tiff-06202155", "image-tiff-1be072f4", "image-tiff-3d2d3eed", "geotrellis-0eb9be14",
    )),
    ("values", "2, 3 and 4 bits", (
        "libtiff.net-0573e7c7", "libtiff.net-07c2978c", "libtiff.net-09b1901e", "libtiff.net-18de6302",
    )),
    ("values", "WhiteIsZero is inverted, bits as 0 and 255", (
        "Tiff-Library-4J-41905d9f", "TwelveMonkeys-3733f7e1", "galaxy-image-analysis-302b0a0c", "image-tiff-4282d3f5",
        "libtiff.net-2e595256", "tiff-52a7fa6b",
    )),
    ("values", "two samples of 1 bit", ("tiff-42281af9",)),
    ("values", "JPEG of CMYK, of RGBA, and of grey with alpha", (
        "Pillow-52b20eae", "commons-imaging-325f7314", "large_image-49dd6d50",
    )),
    ("values", "horizontal predictor on 64-bit floats", ("imageio-ext-485dc3f3",)),
    ("values", "half floats in chunky strips that are not compressed", ("libtiff.net-139aae7b",)),
    ("dtype", "half floats become float32", (
        "libtiff.net-334d4001", "libtiff.net-3910ce2d", "libtiff.net-4fdc3ad1", "tiff-26667d40",
    )),
    ("dtype", "bits become uint8", ("tensorstore-4f8dc88f",)),
    ("shape", "SubIFDs of SubIFDs are no planes", ("image-tiff-2a7b4348",)),
)  # fmt: skip

OUTCOMES = {name: outcome for outcome, _, names in DIFFERENCES for name in names}
