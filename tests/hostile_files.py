"""Files made to hurt a reader: each function gives the bytes of one, and says which of its promises is a lie."""

import io
import json
import lzma
import struct
import zlib
from collections.abc import Callable, Iterator

import numpy as np

SHORT, LONG, RATIONAL, ASCII, BYTE, UNDEFINED, LONG8, DOUBLE = 3, 4, 5, 2, 1, 7, 16, 12
FORMS = {SHORT: "H", LONG: "I", ASCII: "s", BYTE: "B", UNDEFINED: "s", LONG8: "Q", DOUBLE: "d", RATIONAL: "II"}
SIZES = {SHORT: 2, LONG: 4, ASCII: 1, BYTE: 1, UNDEFINED: 1, LONG8: 8, DOUBLE: 8, RATIONAL: 8, 13: 4}

Entry = tuple[int, object]
"""Field type and value: number, numbers, text or bytes; or (type, value, count) with a count that may lie."""


class Maker:
    """Builds a TIFF file from tags that nobody checks."""

    def __init__(self, byte_order: str = "<", big: bool = False) -> None:
        self.order, self.big = byte_order, big
        self.word = "Q" if big else "I"
        mark = b"II" if byte_order == "<" else b"MM"
        version = struct.pack(byte_order + "HHH", 43, 8, 0) if big else struct.pack(byte_order + "H", 42)
        self.data = bytearray(mark + version)
        self._link = len(self.data)
        self.data += struct.pack(byte_order + self.word, 0)

    def pack(self, form: str, *values: object) -> bytes:
        return struct.pack(self.order + form, *values)

    def add(self, data: bytes) -> int:
        """Append data at an even position; returns it."""
        self.data += b"\0" * (len(self.data) % 2)
        place = len(self.data)
        self.data += data
        return place

    def value(self, kind: int, value: object) -> tuple[bytes, int]:
        if isinstance(value, str):
            value = value.encode("utf-8") + b"\0"
        if isinstance(value, bytes):
            return value, max(1, len(value) // SIZES.get(kind, 1))
        numbers = list(value) if isinstance(value, (list, tuple, np.ndarray)) else [value]
        if kind == RATIONAL:
            return b"".join(self.pack("II", *pair) for pair in numbers), len(numbers)
        form = FORMS.get(kind, "I")
        return self.pack(f"{len(numbers)}{form}", *numbers), len(numbers)

    def ifd(self, tags: dict[int, Entry], link: bool = True, next_offset: int = 0) -> int:
        """Append an IFD, and let the one before it point there."""
        entries = []
        for tag, (kind, value, *lie) in sorted(tags.items()):
            data, count = self.value(kind, value)
            room = 8 if self.big else 4
            inline = data.ljust(room, b"\0") if len(data) <= room else self.pack(self.word, self.add(data))
            entries.append(self.pack("HH" + self.word, tag, kind, lie[0] if lie else count) + inline)
        place = self.add(self.pack("Q" if self.big else "H", len(entries)) + b"".join(entries))
        if link:
            struct.pack_into(self.order + self.word, self.data, self._link, place)
        self._link = len(self.data)
        self.data += self.pack(self.word, next_offset)
        return place

    def bytes(self) -> bytes:
        return bytes(self.data)


def basic(width: object = 16, length: object = 16, bits: int = 8, **more: Entry) -> dict[int, Entry]:
    """Tags of a grey image; `more` by number, as in ``t273=(LONG, 8)``."""
    tags: dict[int, Entry] = {
        256: (LONG, width),
        257: (LONG, length),
        258: (SHORT, bits),
        259: (SHORT, 1),
        262: (SHORT, 1),
        277: (SHORT, 1),
    }
    tags.update({int(name[1:]): entry for name, entry in more.items()})
    return tags


def strip(data: bytes = bytes(256), maker: Maker | None = None, **tags: object) -> bytes:
    """One IFD with one strip that holds `data`."""
    maker = maker or Maker()
    place = maker.add(data)
    entries = basic(t273=(LONG, place), t279=(LONG, len(data)))
    return _with(maker, entries, tags)


def tiles(data: bytes, n_tiles: int, **tags: object) -> bytes:
    """One IFD whose tiles of 64 x 64 all are the same bytes."""
    maker = Maker()
    place = maker.add(data)
    entries = basic(
        t322=(SHORT, 64), t323=(SHORT, 64), t324=(LONG, [place] * n_tiles), t325=(LONG, [len(data)] * n_tiles)
    )
    return _with(maker, entries, tags)


def _with(maker: Maker, entries: dict[int, Entry], tags: dict[str, object]) -> bytes:
    for name, entry in tags.items():
        number = int(name[1:])
        if entry is None:
            entries.pop(number, None)
        else:
            entries[number] = entry if isinstance(entry, tuple) else (LONG, entry)
    maker.ifd(entries)
    return maker.bytes()


FAMILIES: list[Callable[[], Iterator[tuple[str, bytes]]]] = []


def family(function: Callable[[], Iterator[tuple[str, bytes]]]) -> Callable[[], Iterator[tuple[str, bytes]]]:
    """A function that yields names and files."""
    FAMILIES.append(function)
    return function


# -- sizes that the file can not hold --------------------------------------------------------------------------------

CODECS = {
    "none": (1, bytes(300)),
    "lzw": (5, b"\x80\x00\x40"),
    "deflate": (8, zlib.compress(bytes(4096))),
    "packbits": (32773, b"\x81\x00" * 32),
    "zstd": (50000, bytes.fromhex("28b52ffd2400010000")),
    "lzma": (34925, lzma.compress(bytes(4096))),
    "ccitt3": (3, bytes(40)),
    "ccitt4": (4, b"\xff" * 40),
    "ccittrle": (2, bytes(40)),
    "jpeg": (7, b"\xff\xd8\xff\xd9"),
    "old jpeg": (6, b"\xff\xd8\xff\xd9"),
    "lerc": (34887, b"Lerc2 " + bytes(60)),
    "jpeg 2000": (34712, b"\xff\x4f\xff\x51" + bytes(60)),
    "webp": (50001, b"RIFF\x20\0\0\0WEBPVP8L" + bytes(40)),
    "png": (34933, b"\x89PNG\r\n\x1a\n" + bytes(60)),
    "jpeg xl": (50002, b"\xff\x0a" + bytes(60)),
    "jpeg xr": (22610, b"II\xbc\x01" + bytes(60)),
    "thunderscan": (32809, bytes(60)),
    "pixtiff": (50013, bytes(60)),
    "eer": (65001, bytes(60)),
    "nonsense": (12345, bytes(60)),
}


@family
def huge_strip():
    for name, (compression, data) in CODECS.items():
        for bits in (8, 1, 16):
            yield f"{name}-{bits}", strip(
                data, t256=60000, t257=60000, t258=(SHORT, bits), t259=(SHORT, compression), t278=60000
            )


@family
def huge_strips():
    for name, (compression, data) in CODECS.items():
        yield name, strip(data, t256=60000, t257=60000, t259=(SHORT, compression), t278=60000 // 64,
                          t273=(LONG, [8] * 65), t279=(LONG, [len(data)] * 65))  # fmt: skip


@family
def huge_one_tile():
    for name, (compression, data) in CODECS.items():
        yield name, tiles(data, 1, t256=60000, t257=60000, t259=(SHORT, compression), t322=16000, t323=16000)
        yield f"{name}-wide", tiles(data, 1, t256=1000000, t257=300, t259=(SHORT, compression), t322=1000000, t323=304)


@family
def huge_sparse():
    n = (24000 // 64) ** 2
    for name in ("none", "deflate", "jpeg"):
        yield name, tiles(
            CODECS[name][1], 1, t256=24000, t257=24000, t259=(SHORT, CODECS[name][0]), t324=(LONG, [0] * n),
            t325=(LONG, [0] * n),
        )  # fmt: skip


@family
def huge_shared_tile():
    """All tiles are the same few bytes, which are not enough for one."""
    n = (20032 // 64) ** 2
    for name, (compression, data) in CODECS.items():
        if name in ("none", "lzw", "deflate", "zstd", "jpeg", "lzma"):
            yield name, tiles(data, n, t256=20000, t257=20000, t258=(SHORT, 16), t259=(SHORT, compression))


@family
def sizes():
    for name, width, length in (
        ("zero", 0, 0), ("zero wide", 0, 16), ("zero high", 16, 0), ("most", 2**32 - 1, 2**32 - 1),
        ("wide", 2**32 - 1, 1), ("high", 1, 2**32 - 1), ("product", 2**31, 2**31), ("high 2", 1, 2**31 - 1),
    ):  # fmt: skip
        yield name, strip(t256=width, t257=length)
        yield f"{name} rows 1", strip(t256=width, t257=length, t278=1)
        yield f"{name} rows 0", strip(t256=width, t257=length, t278=0)
        yield f"{name} deflate", strip(zlib.compress(bytes(256)), t256=width, t257=length, t259=(SHORT, 8), t278=1)
        yield f"{name} jpeg", strip(t256=width, t257=length, t259=(SHORT, 7), t278=1)
        yield f"{name} no counts", strip(t256=width, t257=length, t279=None, t278=1)
        yield f"{name} tiled", tiles(bytes(4096), 1, t256=width, t257=length)
        yield f"{name} tiles of 1", tiles(bytes(4096), 1, t256=width, t257=length, t322=1, t323=1)
        yield f"{name} 3 bits", strip(t256=width, t257=length, t258=(SHORT, 3), t278=1)
        yield f"{name} separate", strip(
            t256=width, t257=length, t284=(SHORT, 2), t277=(SHORT, 65535), t278=1
        )


@family
def big_sizes():
    for width, length in ((2**63, 1), (1, 2**63), (2**64 - 1, 2**64 - 1), (2**40, 2**40), (1, 2**40), (2**40, 1)):
        for rows in (1, 0, 2**32 - 1):
            for bits in (8, 12):
                yield f"{width} x {length} rows {rows} bits {bits}", strip(
                    maker=Maker(big=True), t256=(LONG8, width), t257=(LONG8, length), t278=rows, t258=(SHORT, bits)
                )
        yield f"{width} x {length} tiled", strip(
            maker=Maker(big=True), t256=(LONG8, width), t257=(LONG8, length), t322=16, t323=16, t324=(LONG, 16),
            t325=(LONG, 256), t273=None, t279=None,
        )  # fmt: skip


# -- tags --------------------------------------------------------------------------------------------------------------


@family
def single_tag():
    """Each tag of interest with values that make no sense."""
    values = {"zero": 0, "one": 1, "odd": 7, "short": 65535, "most": 2**32 - 1, "half": 2**31}
    tags = (254, 258, 259, 262, 266, 274, 277, 278, 284, 292, 317, 322, 323, 330, 338, 339, 347, 512, 513, 519, 530,
            32997, 32998, 33550, 34665, 65426)  # fmt: skip
    for tag in tags:
        for name, value in values.items():
            yield f"{tag} {name}", strip(**{f"t{tag}": (LONG, value)})
        yield f"{tag} many", strip(**{f"t{tag}": (SHORT, [9] * 60000)})
        yield f"{tag} none", strip(**{f"t{tag}": (SHORT, 1, 0)})
        yield f"{tag} lie", strip(**{f"t{tag}": (LONG, 1, 2**32 - 1)})
        yield f"{tag} text", strip(**{f"t{tag}": (ASCII, "no number")})
        yield f"{tag} double", strip(**{f"t{tag}": (DOUBLE, float("nan"))})
        yield f"{tag} rational", strip(**{f"t{tag}": (RATIONAL, [(1, 0)])})
        yield f"{tag} strange", strip(**{f"t{tag}": (77, 1)})
    for tag in (256, 257, 273, 279, 324, 325):
        for kind, value in ((ASCII, "abcdefgh"), (DOUBLE, float("inf")), (77, 3), (BYTE, 200), (RATIONAL, [(5, 0)])):
            yield f"{tag} type {kind}", strip(**{f"t{tag}": (kind, value)})
        for count in (0, 2, 2**31, 2**32 - 1):
            yield f"{tag} count {count}", strip(**{f"t{tag}": (LONG, 16, count)})
        yield f"{tag} missing", strip(**{f"t{tag}": None})


@family
def samples():
    for n in (0, 2, 3, 4, 5, 65535):
        for planar in (1, 2, 3):
            for photometric in (0, 1, 2, 3, 5, 6, 8, 32803, 34892, 65535):
                yield f"{n} planar {planar} photometric {photometric}", strip(
                    bytes(16 * 16 * 4), t277=(SHORT, n), t284=(SHORT, planar), t262=(SHORT, photometric)
                )
    yield "many separate", strip(
        bytes(65536), t256=1, t257=1, t277=(SHORT, 65535), t284=(SHORT, 2), t273=(LONG, [8] * 65535),
        t279=(LONG, [1] * 65535),
    )  # fmt: skip
    yield "many separate 12", strip(
        bytes(65536), t256=1, t257=1, t258=(SHORT, 12), t277=(SHORT, 65535), t284=(SHORT, 2),
        t273=(LONG, [8] * 65535), t279=(LONG, [1] * 65535),
    )  # fmt: skip
    yield "many interleaved", strip(bytes(65536), t256=1, t257=1, t277=(SHORT, 65535))
    yield "many bits", strip(t258=(SHORT, list(range(60000))), t277=(SHORT, 60000))
    yield "palette", strip(t262=(SHORT, 3))
    yield "palette garbage", strip(t262=(SHORT, 3), t320=(SHORT, [1, 2, 3]))


@family
def bit_depths():
    for bits in (0, 1, 2, 3, 5, 7, 9, 12, 13, 16, 24, 31, 32, 33, 48, 64, 128, 200, 65535):
        for form in (0, 1, 2, 3, 4, 5, 6, 9):
            for predictor in (1, 2, 3, 34892, 34894):
                yield f"{bits} format {form} predictor {predictor}", strip(
                    bytes(64), t256=4, t257=4, t258=(SHORT, bits), t339=(SHORT, form), t317=(SHORT, predictor)
                )


@family
def volumes():
    for depth in (2, 16, 1000, 2**20, 2**32 - 1):
        yield f"depth {depth}", strip(t32997=depth)
        yield f"tiles {depth}", tiles(bytes(4096), 1, t32997=depth, t32998=depth)
        yield f"tile depth {depth}", tiles(bytes(4096), 1, t32998=depth)


# -- descriptions ----------------------------------------------------------------------------------------------------


@family
def imagej():
    for text in (
        "images=1000000000\nslices=1000000000", "images=-5\nslices=-5", "images=0", "slices=nan", "frames=1e9",
        "images=1000000\nchannels=1000\nslices=1000", "images=99999999999999999999\nslices=99999999999999999999",
        "images=4\nchannels=2\nslices=2\nspacing=nan\nunit=micron", "images=4\nhyperstack=true\nchannels=0",
        "unit=" + "x" * 1000, "images=100000000\nframes=100000000\nhyperstack=true\nmode=grayscale",
    ):  # fmt: skip
        yield text[:40].replace("\n", " "), strip(t270=(ASCII, f"ImageJ=1.53c\n{text}\n"))
    yield "metadata", strip(
        t270=(ASCII, "ImageJ=1.53c\nimages=1\n"), t50838=(LONG, [12, 2**31, 2**32 - 1]), t50839=(BYTE, b"IJIJ" + bytes(40))
    )
    yield "resolution", strip(
        t270=(ASCII, "ImageJ=1.53c\nunit=micron\nspacing=inf\n"), t282=(RATIONAL, [(0, 0)]), t283=(RATIONAL, [(1, 0)])
    )


@family
def shaped():
    for shape in (
        [10**9, 16, 16], [-1, 16, 16], [0], [], [2**63, 2**63], [16, 16, 10**12], "x", None, [[16]], [1.5, 16, 16],
        [1] * 200 + [16, 16], [16, 16],
    ):  # fmt: skip
        text = json.dumps({"shape": shape})
        yield text[:60], strip(t270=(ASCII, text))
        yield "truncated " + text[:60], strip(t270=(ASCII, json.dumps({"shape": shape, "truncated": True})), t305=(ASCII, "tifffile.py"))
    yield "deep", strip(t270=(ASCII, '{"shape": ' + "[" * 100000 + "]" * 100000 + "}"))
    yield "old", strip(t270=(ASCII, "shape=(1000000000, 16, 16)"))


OME = '<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06">{}</OME>'


def ome(inside: str, **tags: object) -> bytes:
    return strip(t270=(ASCII, OME.format(inside)), **tags)


def pixels(inside: str = "<TiffData/>", **attributes: object) -> str:
    sizes = dict.fromkeys(("SizeX", "SizeY"), 16) | dict.fromkeys(("SizeZ", "SizeC", "SizeT"), 1)
    values = {"ID": "Pixels:0", "DimensionOrder": "XYZCT", "Type": "uint8"} | sizes | attributes
    text = " ".join(f'{name}="{value}"' for name, value in values.items())
    return f'<Image ID="Image:0"><Pixels {text}>{inside}</Pixels></Image>'


@family
def ome_xml():
    for size in (0, -1, 10**6, 4 * 10**6, 10**9, 2**31, 2**63, 10**30, "", "x", "1e3", "٣", "9" * 5000):
        for axis in "TCZX":
            yield f"Size{axis} {str(size)[:30]}", ome(pixels(**{f"Size{axis}": size}))
    yield "all sizes", ome(pixels(SizeT=1500, SizeC=1500, SizeZ=1500))
    yield "no TiffData", ome(pixels(""))
    yield "IFD 5", ome(pixels('<TiffData IFD="5"/>'))
    yield "IFD most", ome(pixels('<TiffData IFD="2147483647" PlaneCount="2147483647"/>'))
    yield "FirstZ most", ome(pixels('<TiffData IFD="0" FirstZ="2147483647"/>'))
    yield "many TiffData", ome(pixels('<TiffData IFD="0"/>' * 20000))
    yield "many channels", ome(pixels("<Channel/>" * 10**4 + "<TiffData/>", SizeC=10**4))
    yield "many images", ome(pixels() * 2000)
    yield "many files", ome(pixels("".join(f'<TiffData IFD="0" FirstT="{n}"><UUID FileName="f{n}.tif">urn:uuid:{n}</UUID></TiffData>' for n in range(30000)), SizeT=30000))
    yield "overlap", ome(pixels('<TiffData IFD="0" PlaneCount="1000000"/>' * 1000, SizeT=1000000))
    yield "deep", ome("<a>" * 200000 + "</a>" * 200000)
    yield "deep in image", ome(pixels("<TiffData/>" + "<a>" * 100000 + "</a>" * 100000))
    yield "type", ome(pixels(Type="uint99"))
    yield "wrong type", ome(pixels(Type="double"))
    yield "order", ome(pixels(DimensionOrder="XXXXX"))
    yield "samples", ome(pixels('<Channel SamplesPerPixel="1000000000"/><TiffData/>', SizeC=10**9))
    yield "samples 0", ome(pixels('<Channel SamplesPerPixel="0"/><TiffData/>'))
    yield "samples 3", ome(pixels('<Channel SamplesPerPixel="3"/><TiffData/>', SizeC=3))
    yield "physical", ome(pixels(PhysicalSizeX="nan", PhysicalSizeY="inf", PhysicalSizeZ="-1"))
    yield "physical unit", ome(pixels(PhysicalSizeX="1", PhysicalSizeXUnit="x" * 10000))
    yield "color", ome(pixels('<Channel Color="99999999999999999999"/><TiffData/>'))
    yield "laughs", strip(t270=(ASCII, '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;">]>' + OME.format("&b;" + pixels())))
    yield "external", strip(t270=(ASCII, '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>' + OME.format("&a;" + pixels())))
    yield "binary only", ome('<BinaryOnly MetadataFile="../../etc/passwd" UUID="urn:uuid:1"/>')
    yield "binary only pipe", ome('<BinaryOnly MetadataFile="/dev/zero" UUID="urn:uuid:1"/>')
    yield "binary only nothing", ome("<BinaryOnly/>")
    yield "sibling absolute", ome(pixels('<TiffData><UUID FileName="/dev/zero">urn:uuid:1</UUID></TiffData>'))
    yield "sibling folder", ome(pixels('<TiffData><UUID FileName=".">urn:uuid:1</UUID></TiffData>'))
    yield "sibling zero", ome(pixels('<TiffData><UUID FileName="a&#x0;b">urn:uuid:1</UUID></TiffData>'))
    yield "sibling long", ome(pixels(f'<TiffData><UUID FileName="{"x" * 5000}">urn:uuid:1</UUID></TiffData>'))
    yield "sibling url", ome(pixels('<TiffData><UUID FileName="http://127.0.0.1:9/x.tif">urn:uuid:1</UUID></TiffData>'))
    yield "half", strip(t270=(ASCII, OME.format(pixels())[:150] + "OME>"))
    yield "annotation", ome(pixels() + "<StructuredAnnotations>" + "<XMLAnnotation><Value>" + "<x>" * 50000 + "</x>" * 50000 + "</Value></XMLAnnotation></StructuredAnnotations>")
    yield "attributes", ome("<Image " + " ".join(f"a{n}='1'" for n in range(5000)) + "/>" + pixels())
    yield "surrogates", strip(t270=(ASCII, OME.format(pixels()).encode("utf-16-le")))
    yield "spaces", ome(" " * 3_000_000 + pixels())
    yield "ampersands", ome("&" * 1_000_000 + pixels())
    yield "brackets", ome("<a b='" + "<" * 100_000 + pixels())
    yield "prefixes", ome("".join(f"<p{n}:a/>" for n in range(20000)) + pixels())


# -- chains --------------------------------------------------------------------------------------------------------------


def _chain(n: int, tags: dict[int, Entry], entry: Callable[[int], dict[int, Entry]] | None = None, big: bool = False) -> bytes:
    maker = Maker(big=big)
    maker.add(bytes(256))
    for k in range(n):
        maker.ifd(tags | (entry(k) if entry else {}))
    return maker.bytes()


PLAIN = basic(t273=(LONG, 8), t279=(LONG, 256))


@family
def chains():
    yield "long", _chain(30000, PLAIN)
    yield "long with SubIFDs", _chain(5000, PLAIN, lambda k: {330: (LONG, [8 + 256] * 4)})
    yield "all different", _chain(3000, PLAIN, lambda k: {256: (LONG, k + 1)})
    yield "all 3 bits", _chain(3000, PLAIN, lambda k: {258: (SHORT, 3)})
    yield "pages of huge size", _chain(200, PLAIN | basic(20000, 20000, t273=(LONG, 8), t279=(LONG, 256)))
    maker = Maker()
    place = maker.add(bytes(256))
    offset = maker.ifd(basic(t273=(LONG, place), t279=(LONG, 256)))
    struct.pack_into("<I", maker.data, len(maker.data) - 4, offset)
    yield "self", maker.bytes()
    tiny = bytearray(b"II*\0\x08\0\0\0")
    n = 60000  # IFDs of one entry, backwards
    tiny += bytes(18 * n)
    struct.pack_into("<I", tiny, 4, 8 + 18 * (n - 1))
    for k in range(n):
        struct.pack_into("<HHHIII", tiny, 8 + 18 * k, 1, 256, 4, 1, 16, 8 + 18 * (k - 1) if k else 0)
    yield "backwards", bytes(tiny)
    yield "backwards loop", bytes(tiny[:22]) + struct.pack("<I", 8 + 18 * (n - 1)) + bytes(tiny[26:])


@family
def many_entries():
    for count in (4095, 4096, 4097, 65535):
        for kind, value_count in ((LONG, 2**32 - 1), (BYTE, 500), (ASCII, 300_000), (DOUBLE, 60000), (RATIONAL, 60000)):
            data = bytearray(b"II*\0\x08\0\0\0") + struct.pack("<H", count)
            for k in range(count):
                data += struct.pack("<HHII", (256 + k) & 0xFFFF, kind, value_count, 8)
            data += bytes(4 + 600_000)
            yield f"{count} of {value_count} type {kind}", bytes(data)


@family
def sub_ifds():
    yield "self", strip(t330=(LONG, 8 + 256))
    yield "garbage", strip(t330=(LONG, [0, 1, 2, 5, 2**32 - 1]))
    yield "many", strip(t330=(LONG, [264] * 60000))
    text = OME.format(pixels())
    yield "ome self", strip(t270=(ASCII, text), t330=(LONG, [264] * 500))
    yield "ome many", strip(t270=(ASCII, text), t330=(LONG, [264] * 200000))
    maker = Maker()
    maker.add(bytes(256))
    subs = [maker.ifd(PLAIN, link=False) for _ in range(3)]
    maker.ifd(PLAIN | {270: (ASCII, text), 330: (LONG, subs * 20000)})
    struct.pack_into("<I", maker.data, 4, maker._link - 2 - 12 * 8)
    yield "ome 60000 children", maker.bytes()
    yield "exif loop", strip(t34665=(LONG, 264))


# -- streams that claim more than their tile -----------------------------------------------------------------------------


def _jpeg(width: int, height: int, components: int = 1, kind: int = 0xC0, precision: int = 8) -> bytes:
    import imagecodecs

    shape = (16, 16) if components == 1 else (16, 16, components)
    data = bytearray(imagecodecs.jpeg8_encode(np.zeros(shape, np.uint8)))
    place = data.index(b"\xff\xc0")
    data[place + 1] = kind
    data[place + 4] = precision
    struct.pack_into(">HH", data, place + 5, height, width)
    return bytes(data)


def _png(width: int, height: int, bits: int = 8, color: int = 0) -> bytes:
    head = struct.pack(">IIBBBBB", width, height, bits, color, 0, 0, 0)
    body = zlib.compress(bytes(1 << 22), 9)
    chunks = b"".join(
        struct.pack(">I", len(part)) + kind + part + struct.pack(">I", zlib.crc32(kind + part))
        for kind, part in ((b"IHDR", head), (b"IDAT", body), (b"IEND", b""))
    )
    return b"\x89PNG\r\n\x1a\n" + chunks


def _patched(encode: str, patches: list[tuple[str, int, int]], find: bytes, **options: object) -> bytes:
    import imagecodecs

    data = bytearray(getattr(imagecodecs, encode)(np.zeros((64, 64), np.uint8), **options))
    place = data.index(find)
    for form, offset, value in patches:
        struct.pack_into(form, data, place + offset, value)
    return bytes(data)


@family
def streams():
    """A tile of 64 x 64 whose stream says 65000 x 65000 or so."""
    import imagecodecs

    for width, height in ((65000, 65000), (30000, 30000), (65, 64), (64, 65), (32, 32), (20000, 1000)):
        size = f"{width} x {height}"
        for compression in (6, 7, 34892, 33007):
            yield f"jpeg {compression} {size}", tiles(_jpeg(width, height), 1, t256=64, t257=64, t259=(SHORT, compression))
        yield f"jpeg rgb {size}", tiles(
            _jpeg(width, height, 3), 1, t256=64, t257=64, t259=(SHORT, 7), t277=(SHORT, 3), t262=(SHORT, 6)
        )
        yield f"jpeg progressive {size}", tiles(_jpeg(width, height, kind=0xC2), 1, t256=64, t257=64, t259=(SHORT, 7))
        yield f"jpeg lossless {size}", tiles(_jpeg(width, height, kind=0xC3), 1, t256=64, t257=64, t259=(SHORT, 7))
        yield f"jpeg 12 {size}", tiles(
            _jpeg(width, height, precision=12), 1, t256=64, t257=64, t258=(SHORT, 12), t259=(SHORT, 7)
        )
        yield f"png {size}", tiles(_png(width, height), 1, t256=64, t257=64, t259=(SHORT, 34933))
        yield f"png rgba16 {size}", tiles(_png(width, height, 16, 6), 1, t256=64, t257=64, t259=(SHORT, 34933))
        j2k = _patched("jpeg2k_encode", [(">I", 4, width), (">I", 8, height), (">I", 20, width), (">I", 24, height)],
                       b"\xff\x51", codecformat="j2k")  # fmt: skip
        for compression in (33003, 33004, 33005, 34712):
            yield f"jpeg 2000 {compression} {size}", tiles(j2k, 1, t256=64, t257=64, t259=(SHORT, compression))
        yield f"strip jpeg {size}", strip(_jpeg(width, height), t256=64, t257=64, t259=(SHORT, 7), t278=64)
    jp2 = bytearray(imagecodecs.jpeg2k_encode(np.zeros((64, 64), np.uint8), codecformat="jp2"))
    place = jp2.index(b"ihdr")
    struct.pack_into(">II", jp2, place + 4, 60000, 60000)
    yield "jp2 box", tiles(bytes(jp2), 1, t256=64, t257=64, t259=(SHORT, 34712))
    for side in (16383, 5000):
        webp = bytearray(imagecodecs.webp_encode(np.zeros((64, 64, 3), np.uint8), lossless=True))
        struct.pack_into("<I", webp, webp.index(b"VP8L") + 9, (side - 1) | (side - 1) << 14)
        yield f"webp {side}", tiles(bytes(webp), 1, t256=64, t257=64, t259=(SHORT, 50001), t277=(SHORT, 3), t262=(SHORT, 2))
        lossy = bytearray(imagecodecs.webp_encode(np.zeros((64, 64, 3), np.uint8), lossless=False))
        struct.pack_into("<HH", lossy, lossy.index(b"\x9d\x01\x2a") + 3, side, side)
        yield f"webp lossy {side}", tiles(bytes(lossy), 1, t256=64, t257=64, t259=(SHORT, 50001), t277=(SHORT, 3), t262=(SHORT, 2))
    for side in (64, 4000):
        for name, encode, compression, options in (
            ("jpeg xl", "jpegxl_encode", 50002, {"effort": 1}), ("lerc", "lerc_encode", 34887, {}),
            ("jpeg xr", "jpegxr_encode", 22610, {}), ("webp", "webp_encode", 50001, {"level": 1}),
            ("jpeg 2000", "jpeg2k_encode", 34712, {}), ("png", "png_encode", 34933, {}),
        ):  # fmt: skip
            samples = 3 if name == "webp" else 1
            data = getattr(imagecodecs, encode)(np.zeros((side, side, 3)[: 2 + (samples == 3)], np.uint8), **options)
            yield f"real {name} {side}", tiles(
                data, 1, t256=64, t257=64, t259=(SHORT, compression), t277=(SHORT, samples), t262=(SHORT, 1 + (samples == 3))
            )
    big = bytes(1 << 28)
    for name, data, compression in (
        ("deflate", zlib.compress(big, 1), 8), ("lzma", lzma.compress(big[: 1 << 25], preset=0), 34925),
        ("zstd", imagecodecs.zstd_encode(big), 50000), ("lzw", imagecodecs.lzw_encode(big[: 1 << 20]), 5),
        ("packbits", b"\x81\0" * (1 << 20), 32773),
    ):  # fmt: skip
        yield f"bomb {name}", tiles(data, 1, t256=64, t257=64, t259=(SHORT, compression))
        yield f"bomb {name} 12 bits", tiles(data, 1, t256=64, t257=64, t258=(SHORT, 12), t259=(SHORT, compression))
    filters = [{"id": lzma.FILTER_LZMA2, "dict_size": 1 << 28}]
    yield "lzma dictionary", tiles(lzma.compress(bytes(4096), filters=filters), 1, t256=64, t257=64, t259=(SHORT, 34925))
    yield "zstd window", tiles(bytes.fromhex("28b52ffd00b8") + bytes(40), 1, t256=64, t257=64, t259=(SHORT, 50000))
    for size in (0, 1, 100, 100_000):
        yield f"tables {size}", tiles(_jpeg(64, 64), 1, t256=64, t257=64, t259=(SHORT, 7), t347=(UNDEFINED, b"\xff\xd8" + b"\xff" * size))
    yield "tables with frame", tiles(
        _jpeg(64, 64), 1, t256=64, t257=64, t259=(SHORT, 7), t347=(UNDEFINED, _jpeg(65000, 65000))
    )


# -- private tags ----------------------------------------------------------------------------------------------------------


@family
def vendors():
    """Marks of each dialect with nothing behind them, or rubbish."""
    rubbish = bytes(range(256)) * 8
    for tag in (33628, 33629, 33630, 33631, 34122, 34118, 34361, 34362, 34386, 34412, 34563, 34564, 34680, 34682, 34853,
                37680, 37706, 40001, 42112, 42113, 50838, 50839, 51123, 65000, 65324, 65325, 65326, 65420, 65421, 65422,
                65423, 65424, 65426, 65428, 65449, 65457, 65458, 65459, 270, 271, 272, 305, 306, 700, 34665, 33922,
                33550, 34735, 34377, 50215, 50216, 50217, 50218, 50270, 65200, 65027, 48129, 51160, 40000, 45579,
                50648, 51114):  # fmt: skip
        for kind in (UNDEFINED, BYTE, ASCII, LONG, DOUBLE, SHORT, RATIONAL):
            value = rubbish if kind in (UNDEFINED, BYTE, ASCII) else [2**31] * 200 if kind == LONG else None
            value = value or ([float("nan")] * 200 if kind == DOUBLE else [65535] * 200 if kind == SHORT else [(0, 0)] * 200)
            yield f"{tag} type {kind}", strip(**{f"t{tag}": (kind, value)})
            yield f"{tag} type {kind} zeros", strip(
                **{f"t{tag}": (kind, bytes(1024) if kind in (UNDEFINED, BYTE, ASCII) else [0] if kind in (LONG, SHORT) else [0.0] if kind == DOUBLE else [(1, 0)])}
            )
        yield f"{tag} one", strip(**{f"t{tag}": (LONG, 1)})
        yield f"{tag} lie", strip(**{f"t{tag}": (LONG, 8, 2**32 - 1)})
        yield f"{tag} past", strip(**{f"t{tag}": (LONG, 2**31, 100)})


@family
def descriptions():
    for text in (
        "Aperio Image Library v1\n16x16 [0,0 16x16] (16x16) |AppMag = 20|MPP = nan", "Aperio Image|MPP=0|AppMag=x",
        "<MetaData><PlaneInfo>", "<ScanInfo>", "<?xml version='1.0'?><FluoView>", "SIS", "DateTime=\n<GlasBus>",
        "<MetaXml>", "state.configPath\rstate.a=", "scanimage.SI.\nx = [", "Software: SI\n", "<DataObject ObjectType=",
        "<NDPI>", "\nMM\x00Fluo", "[Acquisition Parameters]", "[Version]\nx=", "Labels=1\nversion=", "<PICT>",
        "Mirax", "<Axes>", "Leica SCN", "<scn xmlns=\"http://www.leica-microsystems.com/scn/2010/10/01\">", "<PerkinElmer-QPI-ImageDescription>",
        "trs_uuid", "slice 1 of 9999999", "<ASTRONOMY>", "QPTIFF", "<BV_MetaData>", "ThermoFisher", "{", "{\"shape\"", "=", ":", "<",
        "a" * 300000, "\0" * 100, "={<:" * 10000,
    ):  # fmt: skip
        for software in ("", "MetaSeries", "SI.x", "ScanImage 3", "Philips DP v1.0", "PerkinElmer-QPI", "Indica", "tifffile.py", "Fiji", "Roper"):
            yield f"{text[:25]!r} {software}", strip(t270=(ASCII, text), t305=(ASCII, software))


@family
def resolutions():
    for x in ((0, 0), (1, 0), (0, 1), (2**32 - 1, 1), (1, 2**32 - 1)):
        for unit in (0, 1, 2, 3, 9, 65535):
            yield f"{x} unit {unit}", strip(t282=(RATIONAL, [x]), t283=(RATIONAL, [x]), t296=(SHORT, unit))
    yield "text", strip(t282=(ASCII, "72"), t283=(DOUBLE, float("nan")), t296=(ASCII, "inch"))
    for nodata in ("nan", "-1", "1e400", "", "x", "256", "-9999999999999999999999", "1,5"):
        yield f"nodata {nodata}", strip(t42113=(ASCII, nodata), t279=(LONG, 0))
        yield f"nodata {nodata} float", strip(
            t42113=(ASCII, nodata), t258=(SHORT, 32), t339=(SHORT, 3), t279=(LONG, 0)
        )
        yield f"nodata {nodata} 12 bits", strip(t42113=(ASCII, nodata), t258=(SHORT, 12), t279=(LONG, 0))


# -- headers and offsets -------------------------------------------------------------------------------------------------


@family
def offsets():
    for value in (0, 1, 7, 8, 2**31, 2**32 - 1, 2**32 - 256):
        yield f"strip {value}", strip(t273=value)
        yield f"strip {value} deflate", strip(t273=value, t259=(SHORT, 8))
        yield f"strip {value} jpeg", strip(t273=value, t259=(SHORT, 7))
        yield f"strip {value} 12 bits", strip(t273=value, t258=(SHORT, 12))
        yield f"count {value}", strip(t279=value)
        yield f"count {value} deflate", strip(t279=value, t259=(SHORT, 8))
        yield f"count {value} jpeg", strip(t279=value, t259=(SHORT, 7))
        yield f"count {value} 12 bits", strip(t279=value, t258=(SHORT, 12))
    for value in (2**62, 2**63 - 1, 2**63, 2**64 - 1, 2**64 - 256):
        for compression in (1, 8, 7, 34925):
            for bits in (8, 12):
                more = {"t259": (SHORT, compression), "t258": (SHORT, bits)}
                yield f"big strip {value} {compression} {bits}", strip(maker=Maker(big=True), t273=(LONG8, value), **more)
                yield f"big count {value} {compression} {bits}", strip(maker=Maker(big=True), t279=(LONG8, value), **more)
        yield f"big array {value}", strip(maker=Maker(big=True), t273=(LONG8, 16, value))
        yield f"big text {value}", strip(maker=Maker(big=True), t270=(ASCII, "x" * 20, value))


@family
def headers():
    yield from (
        ("empty", b""), ("one", b"I"), ("mark", b"II"), ("version", b"II*\0"), ("zero", b"II*\0\0\0\0\0"),
        ("self", b"II*\0\x04\0\0\0"), ("past", b"II*\0\xff\xff\xff\xff"), ("end", b"MM\0*\0\0\0\x08"),
        ("big", b"II+\0\x08\0\0\0"), ("big zero", b"II+\0\x08\0\0\0" + bytes(8)), ("big words", b"II+\0\x10\0\0\0" + bytes(40)),
        ("big past", b"II+\0\x08\0\0\0" + b"\xff" * 8), ("big half", b"II+\0\x08\0\0\0" + b"\xff" * 7 + b"\x7f"),
        ("text", b"This is a text file, whatever its name says.\n" * 3), ("html", b"<!DOCTYPE html><html>"),
        ("nulls", bytes(4096)), ("no entries", b"II*\0\x08\0\0\0\0\0\0\0\0\0"), ("ndpi", b"II*\0\x10\0\0\0\0\0\0\0" + bytes(64)),
        ("orf", b"IIRO\x08\0\0\0" + bytes(64)), ("rw2", b"IIU\0\x18\0\0\0" + bytes(64)), ("dcp", b"IICR\x08\0\0\0" + bytes(64)),
        ("jpeg", b"\xff\xd8\xff\xe0" + bytes(40)), ("zip", b"PK\x03\x04" + bytes(40)),
    )


def real_files() -> Iterator[tuple[str, bytes]]:
    """Small good files of many kinds, to be cut and bent."""
    import tifffile

    rng = np.random.default_rng(1)
    grey = rng.integers(0, 99, (16, 16)).astype("u2")
    rgb = rng.integers(0, 99, (16, 16, 3)).astype("u1")
    stack = rng.integers(0, 99, (3, 2, 16, 16)).astype("u2")
    recipes: dict[str, tuple[np.ndarray, dict]] = {
        "classic LE strips": (grey, {"rowsperstrip": 5}),
        "classic BE strips": (grey, {"byteorder": ">", "rowsperstrip": 5}),
        "big LE deflate tiles": (grey, {"bigtiff": True, "tile": (16, 16), "compression": "zlib", "predictor": 2}),
        "big BE zstd": (grey, {"bigtiff": True, "byteorder": ">", "tile": (16, 16), "compression": "zstd"}),
        "lzw": (grey, {"tile": (16, 16), "compression": "lzw", "predictor": 2}),
        "packbits": (grey.astype("u1"), {"rowsperstrip": 8, "compression": "packbits"}),
        "jpeg": (rgb, {"tile": (16, 16), "compression": "jpeg", "photometric": "rgb"}),
        "planar": (np.moveaxis(rgb, -1, 0), {"photometric": "rgb", "planarconfig": "separate", "rowsperstrip": 8}),
        "float predictor": (grey.astype("f4"), {"compression": "zlib", "predictor": 3}),
        "bilevel": (grey > 50, {"compression": None}),
        "ome": (stack, {"ome": True, "metadata": {"axes": "TCYX"}, "photometric": "minisblack"}),
        "imagej": (stack[:, None], {"imagej": True, "metadata": {"axes": "TZCYX"}, "photometric": "minisblack"}),
        "shaped": (stack, {"photometric": "minisblack"}),
        "lzma": (grey, {"tile": (16, 16), "compression": "lzma"}),
        "png": (grey, {"tile": (16, 16), "compression": "png"}),
        "jpeg 2000": (grey, {"tile": (16, 16), "compression": "jpeg2000"}),
    }
    for name, (data, options) in recipes.items():
        stream = io.BytesIO()
        kinds = {key: options.pop(key) for key in ("bigtiff", "byteorder", "ome", "imagej") if key in options}
        if "metadata" not in options and name != "shaped":
            options["metadata"] = None
        with tifffile.TiffWriter(stream, **kinds) as writer:
            writer.write(data, **options)
        yield name, stream.getvalue()
    stream = io.BytesIO()
    with tifffile.TiffWriter(stream, ome=True) as writer:
        writer.write(grey, subifds=2, tile=(16, 16), metadata={"axes": "YX"})
        writer.write(grey[::2, ::2], subfiletype=1, tile=(16, 16))
        writer.write(grey[::4, ::4], subfiletype=1, tile=(16, 16))
    yield "ome pyramid", stream.getvalue()
