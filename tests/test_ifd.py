import contextlib
import struct
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import tifffile
from ifd_files import TiffMaker, memory_source, plain

from bfio import _kernels
from bfio._kernels import Status
from bfio.byteio import open_source
from bfio.errors import BfioError, FormatError, LimitError
from bfio.limits import Limits
from bfio.tiff.header import parse
from bfio.tiff.ifd import RECORD, STRUCTURE_NBYTES, IfdChain, IfdFlag, structure

KINDS = [(order, big) for order in "<>" for big in (False, True)]


def chain_of(source, **limits):
    return IfdChain(source, parse(source.pread(0, 16), source.size), Limits(**limits))


def chain_of_bytes(data, **limits):
    return chain_of(memory_source(bytes(data)), **limits)


def check_record(record, page):
    """One record against tifffile's idea of the same IFD, read from its tags."""
    tags = page.tags

    def number(code, default, index=0, most=None):
        value = tags.valueof(code, default)
        value = value[index] if isinstance(value, tuple) else value
        return value if most is None else min(int(value), most)

    assert record["offset"] == page.offset
    assert record["n_entries"] >= len(tags)
    assert record["width"] == number(256, 0)
    assert record["length"] == number(257, 0)
    assert record["bits_per_sample"] == number(258, 1)
    assert record["compression"] == number(259, 1)
    assert record["photometric"] == number(262, 65535)
    assert record["fill_order"] == number(266, 1)
    assert record["samples_per_pixel"] == number(277, 1)
    assert record["rows_per_strip"] == number(278, 2**32 - 1)
    assert record["planar_configuration"] == number(284, 1)
    assert record["predictor"] == number(317, 1)
    assert record["tile_width"] == number(322, 0)
    assert record["tile_length"] == number(323, 0)
    assert record["sample_format"] == number(339, 1)
    assert record["image_depth"] == number(32997, 1)
    assert record["tile_depth"] == number(32998, 1)
    assert record["new_subfile_type"] == number(254, 0)
    assert (record["subsampling_h"], record["subsampling_v"]) == tuple(tags.valueof(530, (2, 2)))
    assert bool(record["tiled"]) == (322 in tags)
    bits = tags.valueof(258, 1)
    mixed = isinstance(bits, tuple) and len(set(bits[: record["samples_per_pixel"]])) > 1
    assert bool(record["flags"] & IfdFlag.MIXED_BITS) == mixed


def check_segments(chain, record, page):
    offsets, byte_counts = chain.segment_table(record)
    for mine, codes in ((offsets, (324, 273)), (byte_counts, (325, 279))):
        theirs = next((page.tags.valueof(code) for code in codes if code in page.tags), None)
        if theirs is None:
            assert mine is None or not len(mine)
        else:
            assert mine.dtype == np.uint64
            assert mine.tolist() == np.atleast_1d(theirs).tolist()
    assert record["n_offsets"] == len(offsets)


def check_file(path, source):
    """Everything in a file's main chain and SubIFDs against tifffile."""
    with tifffile.TiffFile(path) as tif:
        chain = chain_of(source)
        records = chain.all()
        assert chain.fault is None
        assert len(records) == len(tif.pages)
        for record, page in zip(records, tif.pages, strict=True):
            page = page.aspage() if isinstance(page, tifffile.TiffFrame) else page
            check_record(record, page)
            check_segments(chain, record, page)
            offsets = chain.sub_ifds(record)
            assert offsets.tolist() == list(page.subifds or ())
            for sub, sub_page in zip(chain.at(offsets), page.pages or (), strict=True):
                check_record(sub, sub_page.aspage() if isinstance(sub_page, tifffile.TiffFrame) else sub_page)
    return records


def both_ways(path):
    """Check with the descriptor and with windows of memory; both give the same records."""
    with open_source(path) as source:
        records = check_file(path, source)
    assert np.array_equal(records, check_file(path, memory_source(Path(path).read_bytes())))
    return records


def corpus_files():
    folder = Path(__file__).resolve().parents[2] / "shared" / "corpus"
    return sorted(path for part in ("valid", "microscopy") for path in (folder / part).rglob("*.tif*"))


@pytest.mark.parametrize("path", corpus_files() or [None], ids=lambda path: getattr(path, "name", "none"))
@pytest.mark.filterwarnings("ignore")
def test_corpus(path):
    if path is None:
        pytest.skip("no corpus beside the project")
    both_ways(path)


@pytest.mark.parametrize(("byte_order", "bigtiff"), KINDS)
def test_reads_what_tifffile_writes(tmp_path, byte_order, bigtiff):
    path = tmp_path / "a.tif"
    rng = np.random.default_rng(1)
    with tifffile.TiffWriter(path, byteorder=byte_order, bigtiff=bigtiff) as tif:
        tif.write(rng.integers(0, 99, (5, 50, 70), "u2"), photometric="minisblack")
        tif.write(
            rng.integers(0, 99, (90, 70, 3), "u1"),
            tile=(32, 16),
            photometric="rgb",
            compression="zlib",
            predictor=2,
        )
        tif.write(rng.random((3, 40, 50), "f4"), planarconfig="separate", photometric="rgb", rowsperstrip=7)
        tif.write(rng.random((2, 64, 64), "f4"), tile=(16, 16), subifds=2, photometric="minisblack")
        for _ in range(2):
            tif.write(np.zeros((2, 32, 32), "f4"), tile=(16, 16), subfiletype=1, photometric="minisblack")
        tif.write(np.zeros((16, 64, 64), "i2"), volumetric=True, tile=(16, 16, 16), photometric="minisblack")
    records = both_ways(path)
    assert len(records) == 10
    assert records["tiled"].tolist() == [0] * 5 + [1, 0, 1, 1, 1]
    assert len(np.unique(structure(records))) == 5
    assert np.array_equal(structure(records)[:5], np.repeat(structure(records)[:1], 5))


def test_20000_pages(tmp_path):
    path = tmp_path / "many.tif"
    tifffile.imwrite(path, np.zeros((20_000, 64, 64), "u1"), metadata=None, photometric="minisblack", bigtiff=True)
    with tifffile.TiffFile(path) as tif:
        offsets = [page.offset for page in tif.pages]
        data = [page.dataoffsets[0] for page in tif.pages[::1999]]
    with open_source(path) as source:
        chain = chain_of(source)
        start = time.perf_counter()
        assert len(chain) == 20_000
        assert time.perf_counter() - start < 0.5
        assert chain.records["offset"].tolist() == offsets
        assert (chain.records["next_offset"][:-1] == offsets[1:]).all()
        assert len(np.unique(structure(chain.records))) == 1
        assert [int(chain.segment_table(record)[0][0]) for record in chain.records[::1999]] == data


def test_record_has_the_layout_of_the_kernel():
    assert RECORD.itemsize == _kernels.RECORD_NBYTES
    assert RECORD.fields["offset"][1] == STRUCTURE_NBYTES


def test_status_is_the_list_of_the_kernels():
    text = (Path(__file__).resolve().parents[1] / "src/_tilecodec/status.pxd").read_text()
    rows = [line.split("#")[0].split("=") for line in text.splitlines() if " = " in line]
    assert {name.strip(): int(value) for name, value in rows} == {s.name: s.value for s in Status}
    assert set(_kernels.MEANING) == set(Status) - {Status.OK}


def test_defaults():
    tif = TiffMaker()
    tif.ifd([(305, 2, b"x\0")])
    (record,) = chain_of_bytes(tif.data).all()
    ones = [
        "bits_per_sample",
        "samples_per_pixel",
        "sample_format",
        "compression",
        "planar_configuration",
        "predictor",
    ]
    assert all(record[name] == 1 for name in [*ones, "fill_order", "image_depth", "tile_depth", "n_entries"])
    assert all(record[name] == 0 for name in ["width", "length", "n_offsets", "tiled", "flags", "next_offset"])
    assert (record["subsampling_h"], record["subsampling_v"]) == (2, 2)
    assert (record["rows_per_strip"], record["photometric"]) == (2**32 - 1, 65535)
    assert all(tuple(record[name]) == (0, 0, 0) for name in ["offsets", "byte_counts", "sub_ifds", "jpeg_tables"])


@pytest.mark.parametrize(("byte_order", "bigtiff"), KINDS)
@pytest.mark.parametrize("field_type", [1, 3, 4, 6, 8, 9, 13, 16, 17, 18])
def test_integers_of_any_type(byte_order, bigtiff, field_type):
    tif = TiffMaker(byte_order, bigtiff)
    tif.ifd([(256, field_type, [99]), (257, field_type, [77]), (258, field_type, [8] * 3),
             (273, field_type, [11, 22, 33]), (277, field_type, [3]), (278, field_type, [7]), (279, field_type, [44] * 3),
             (330, field_type, [9, 8]), (339, field_type, [2] * 3), (530, field_type, [4, 1])])  # fmt: skip
    chain = chain_of_bytes(tif.data)
    (record,) = chain.all()
    names = ["width", "length", "bits_per_sample", "samples_per_pixel", "rows_per_strip", "sample_format"]
    assert [record[name] for name in names] == [99, 77, 8, 3, 7, 2]
    assert (record["subsampling_h"], record["subsampling_v"], record["n_offsets"], record["flags"]) == (
        4,
        1,
        3,
        0,
    )
    offsets, byte_counts = chain.segment_table(record)
    assert (offsets.tolist(), byte_counts.tolist()) == ([11, 22, 33], [44] * 3)
    assert chain.sub_ifds(record).tolist() == [9, 8]


def test_positions_of_values():
    tif = TiffMaker()
    tif.ifd(plain(5, 4, (270, 2, b"a long description\0"), (347, 7, b"tables in jpeg"), (330, 13, [8])))
    (record,) = chain_of_bytes(tif.data).all()
    assert tuple(record["image_description"]) == (tif.data.index(b"a long"), 19, 2)
    assert tuple(record["jpeg_tables"]) == (tif.data.index(b"tables"), 14, 7)
    inline = record["sub_ifds"]["position"]
    assert struct.unpack_from("<HHII", tif.data, int(inline) - 8) == (330, 13, 1, 8)


@pytest.mark.parametrize(
    ("entries", "flags", "fields"),
    [
        ([(258, 3, [8, 8, 16]), (277, 3, [3])], IfdFlag.MIXED_BITS, {"bits_per_sample": 8}),
        ([(258, 3, [8, 8, 16]), (277, 3, [2])], 0, {"bits_per_sample": 8}),  # LSM lists more than there are
        ([(277, 3, [2]), (339, 3, [1, 3])], IfdFlag.MIXED_FORMATS, {"sample_format": 1}),
        ([(258, 3, [16] * 5000 + [8]), (277, 3, [5001])], IfdFlag.MIXED_BITS, {"samples_per_pixel": 5001}),
        ([(256, 11, [5.0])], IfdFlag.STRANGE_TYPE, {"width": 0}),
        ([(256, 99, (1, b"\5"))], IfdFlag.STRANGE_TYPE, {"width": 0}),
        ([(257, 3, [5]), (256, 3, [6])], IfdFlag.UNSORTED, {"width": 6, "length": 5}),
        ([(256, 3, [5]), (256, 3, [6])], IfdFlag.DUPLICATE, {"width": 5}),
        ([(256, 3, [5]), (257, 3, [1]), (256, 3, [6])], IfdFlag.DUPLICATE | IfdFlag.UNSORTED, {"width": 5}),
        ([(273, 4, [8]), (324, 4, [9])], IfdFlag.TILES_AND_STRIPS, {"tiled": 0}),
        ([(258, 3, (3, b"\xff\xff\xff\x7f")), (277, 3, [3])], IfdFlag.BAD_VALUE, {"bits_per_sample": 0}),
        ([(277, 4, [70_000])], IfdFlag.OUT_OF_RANGE, {"samples_per_pixel": 65535}),
        ([(278, 9, [-1])], 0, {"rows_per_strip": 2**32 - 1}),
        ([(256, 3, [])], 0, {"width": 0}),
        ([(273, 4, [10, 20]), (322, 3, [16]), (323, 3, [16])], 0, {"tiled": 1, "n_offsets": 2}),
        ([(273, 2, b"abc\0")], IfdFlag.STRANGE_TYPE, {"n_offsets": 0}),
    ],
)
def test_odd_ifds(tmp_path, entries, flags, fields):
    tif = TiffMaker()
    tif.ifd(entries)
    path = tmp_path / "odd.tif"
    path.write_bytes(tif.data)
    (record,) = chain_of_bytes(tif.data).all()
    assert IfdFlag(int(record["flags"])) == flags
    assert {name: record[name] for name in fields} == fields
    with open_source(path) as source:
        assert chain_of(source).record(0) == record


def test_tile_offsets_win_in_a_tiled_ifd():
    tif = TiffMaker()
    tif.ifd([(273, 4, [8]), (279, 4, [1]), (322, 3, [16]), (323, 3, [16]), (324, 4, [9]), (325, 4, [2])])
    tif.ifd([(273, 4, [8]), (279, 4, [1]), (324, 4, [9]), (325, 4, [2])])
    chain = chain_of_bytes(tif.data)
    assert [int(x[0]) for x in chain.segment_table(chain.record(0))] == [9, 2]
    assert [int(x[0]) for x in chain.segment_table(chain.record(1))] == [8, 1]


def scattered(n, rng, gap):
    """A chain of IFDs in a random order with gaps between them; values far from their IFD."""
    tif = TiffMaker("<>"[rng.integers(2)], bool(rng.integers(2)))
    offsets = []
    for k in range(n):
        offsets.append(tif.ifd(plain(k + 1, 4, (277, 3, [3]), (339, 3, [1, 1, 1 + k % 2])), chain=False))
        tif.put(rng.bytes(int(rng.integers(gap))))
    order = rng.permutation(n)
    for k in order:
        tif.set_link(offsets[k])
        tif.link = offsets[k] + (8 + 8 * 20 if tif.bigtiff else 2 + 8 * 12)
    return bytes(tif.data), order, [offsets[k] for k in order]


@pytest.mark.parametrize("seed", range(8))
def test_descriptor_equals_windows_of_random_size(tmp_path, seed):
    rng = np.random.default_rng(seed)
    data, order, offsets = scattered(60, rng, [2, 300, 5000, 300_000][seed % 4])
    path = tmp_path / "scattered.tif"
    path.write_bytes(data)
    with open_source(path) as source:
        chain = chain_of(source)
        expected = chain.all()
        assert np.array_equal(chain.at(offsets), expected)
    assert expected["offset"].tolist() == offsets
    assert (expected["width"] == order + 1).all()
    assert ((expected["flags"] & IfdFlag.MIXED_FORMATS != 0) == order % 2).all()
    assert np.array_equal(chain_of_bytes(data).all(), expected)
    assert np.array_equal(walk_in_random_windows(data, rng), expected)


def walk_in_random_windows(data, rng):
    """Walk with two windows that are now too small, now far too large, now a few bytes before what is wanted."""
    header = parse(data[:16], len(data))
    records = np.empty(100, RECORD)
    done, offset, pieces = 0, header.first_ifd_offset, []
    for _ in range(2000):
        n, status, offset, position, nbytes = _kernels.walk_ifds(
            -1, b"".join(data[a:b] for a, b in pieces), np.array([(a, b - a) for a, b in pieces], "u8").reshape(-1, 2),
            len(data), offset, header.bigtiff, header.swap, records[done:].view("u1"),
        )  # fmt: skip
        done += n
        if status != Status.NEED_MORE:
            assert (status, offset) == (Status.OK, 0)
            return records[:done]
        assert not any(a <= position and position + nbytes <= b for a, b in pieces)
        before, after = rng.integers(0, 1 << rng.integers(1, 14), 2)
        pieces = [*pieces[-5:], (max(0, position - before), min(len(data), position + nbytes + after))]
    raise AssertionError("no end")


@pytest.mark.parametrize("way", ["descriptor", "memory"])
@pytest.mark.parametrize(("before", "period"), [(0, 1), (0, 2), (3, 1), (5, 7), (200, 3), (1, 300), (70, 64)])
def test_loops_are_cut(tmp_path, way, before, period):
    tif = TiffMaker()
    offsets = [tif.ifd(plain(k + 1)) for k in range(before + period)]
    tif.set_link(offsets[before])
    path = tmp_path / "loop.tif"
    path.write_bytes(tif.data)
    with open_source(path) if way == "descriptor" else memory_source(bytes(tif.data)) as source:
        chain = chain_of(source)
        assert len(chain) == before + period
        assert chain.records["offset"].tolist() == offsets
        assert (chain.complete, chain.broken) == (True, True)
        assert "comes back" in chain.fault
        assert chain.record(0)["width"] == 1
        with pytest.raises(FormatError, match="comes back"):
            chain.record(before + period)


@pytest.mark.parametrize(
    ("link", "words"),
    [(10**6, "behind the end"), (5, "corrupt"), (12, "corrupt"), (None, "too early")],
)
def test_a_broken_link_keeps_what_is_before(link, words):
    tif = TiffMaker()
    tif.put(bytes(64))
    for k in range(3):
        tif.ifd(plain(k + 1))
    tif.set_link(len(tif.data) - 3 if link is None else link)
    if link is None:
        tif.data[-3:] = b"\xff\0\0"
        tif.set_link(len(tif.data))
        tif.put(b"\x20\0" + bytes(30))
    chain = chain_of_bytes(tif.data)
    assert chain.all()["width"].tolist() == [1, 2, 3]
    assert words in chain.fault
    with pytest.raises(FormatError, match=words):
        chain.check()
    with pytest.raises(FormatError, match=words):
        chain.record(3)


def test_the_last_link_may_be_cut_off():
    tif = TiffMaker()
    tif.ifd(plain(1))
    tif.ifd(plain(2))
    chain = chain_of_bytes(tif.data[:-1])
    assert chain.all()["width"].tolist() == [1, 2]
    assert "ends in IFD 1, before the offset of the next one" in chain.fault


def small_file(tmp_path, byte_order, bigtiff):
    path = tmp_path / "small.tif"
    with tifffile.TiffWriter(path, byteorder=byte_order, bigtiff=bigtiff) as tif:
        tif.write(np.zeros((16, 16, 3), "u1"), tile=(16, 16), subifds=1, photometric="rgb", description="ä".encode())
        tif.write(np.zeros((16, 16, 3), "u1"), tile=(16, 16), photometric="rgb")
        tif.write(np.zeros((4, 4), "u2"))
    return path.read_bytes()


def use_everything(data):
    """Open hostile bytes and ask for all there is; returns how many IFDs it gave."""
    try:
        chain = chain_of_bytes(data, tag_nbytes=1 << 20)
    except BfioError:
        return 0
    for record in chain.all():
        for ask in (chain.segment_table, lambda record: chain.at(chain.sub_ifds(record))):
            with contextlib.suppress(BfioError):
                ask(record)
        for tag in chain.tags(record).values():
            with contextlib.suppress(BfioError):
                tag.value()
    assert chain.complete
    return len(chain)


@pytest.mark.parametrize(("byte_order", "bigtiff"), KINDS)
def test_truncated_at_every_byte(tmp_path, byte_order, bigtiff):
    data = small_file(tmp_path, byte_order, bigtiff)
    counts = {use_everything(data[:n]) for n in range(len(data) + 1)}
    assert counts == {0, 1, 2}


@pytest.mark.parametrize(("byte_order", "bigtiff"), KINDS)
def test_flipped_bits_and_bytes(tmp_path, byte_order, bigtiff):
    data = small_file(tmp_path, byte_order, bigtiff)
    structural = np.flatnonzero(np.frombuffer(data, "u1"))
    for k in [*range(16), *structural]:
        for change in (0x01, 0x80, 0xFF):
            broken = bytearray(data)
            broken[k] ^= change
            assert use_everything(bytes(broken)) <= len(data) // 18


def test_many_far_values_take_bounded_time(tmp_path):
    tif = TiffMaker()
    position = tif.put(b"\x08\0" * 65535)
    for _ in range(5000):
        tif.ifd([(258, 3, (65535, struct.pack("<I", position))), (277, 3, [65535])])
    path = tmp_path / "values.tif"
    path.write_bytes(tif.data)
    start = time.perf_counter()
    with open_source(path) as source:
        chain = chain_of(source)
        assert 4000 < chain.ensure(5000) < 5000
    assert time.perf_counter() - start < 5
    with pytest.raises(LimitError):
        chain.check()


def test_the_limit_of_ifds():
    tif = TiffMaker()
    for k in range(10):
        tif.ifd(plain(k + 1))
    assert chain_of_bytes(tif.data, ifd_count=10).all().size == 10
    chain = chain_of_bytes(tif.data, ifd_count=9)
    assert len(chain) == 9
    with pytest.raises(LimitError, match="more than 9"):
        chain.check()


@pytest.mark.parametrize("count", [1 << 40, 1000])
def test_an_implausible_table(count):
    tif = TiffMaker(bigtiff=True)
    tif.ifd(plain()[:4] + [(273, 4, (count, struct.pack("<Q", 16)))])
    chain = chain_of_bytes(tif.data)
    with pytest.raises(LimitError):
        chain.segment_table(chain.record(0))


def test_a_table_behind_the_end():
    tif = TiffMaker()
    tif.ifd(plain()[:4] + [(273, 4, (10, struct.pack("<I", 100)))])
    chain = chain_of_bytes(tif.data)
    with pytest.raises(FormatError, match="40 bytes at 100"):
        chain.segment_table(chain.record(0))
    tif = TiffMaker()
    tif.ifd(plain()[:4] + [(273, 11, [1.0])])
    chain = chain_of_bytes(tif.data)
    with pytest.raises(FormatError, match="no integer"):
        chain.segment_table(chain.record(0))


@pytest.mark.parametrize(("byte_order", "bigtiff"), KINDS)
@pytest.mark.parametrize("field_type", [1, 3, 4, 16])
def test_large_tables(tmp_path, byte_order, bigtiff, field_type):
    dtype = np.dtype({1: "u1", 3: "u2", 4: "u4", 16: "u8"}[field_type]).newbyteorder(byte_order)
    values = np.random.default_rng(3).integers(0, np.iinfo(dtype).max, 300_001, dtype.newbyteorder("=")).astype(dtype)
    tif = TiffMaker(byte_order, bigtiff)
    tif.ifd([(324, field_type, values.tobytes())] if dtype.itemsize == 1 else
            [(324, field_type, values.tolist()), (322, 3, [16]), (323, 3, [16])])  # fmt: skip
    path = tmp_path / "large.tif"
    path.write_bytes(tif.data)
    with open_source(path) as source:
        chain = chain_of(source)
        offsets, byte_counts = chain.segment_table(chain.record(0))
    assert byte_counts is None
    assert np.array_equal(offsets, values)
    chain = chain_of_bytes(tif.data)
    assert np.array_equal(chain.segment_table(chain.record(0))[0], values)


def test_walks_only_as_far_as_asked():
    tif = TiffMaker()
    for k in range(1000):
        tif.ifd(plain(k + 1))
    chain = chain_of_bytes(tif.data)
    assert chain.record(0)["width"] == 1
    assert not chain.complete
    assert 1 <= len(chain.records) < 100
    assert chain.ensure(500) >= 500
    assert not chain.complete
    assert len(chain) == 1000
    assert chain.complete
    with pytest.raises(IndexError):
        chain.record(1000)


def test_many_threads_walk_one_chain(tmp_path):
    tif = TiffMaker()
    for k in range(3000):
        tif.ifd(plain(k + 1))
    path = tmp_path / "threads.tif"
    path.write_bytes(tif.data)
    barrier, wrong = threading.Barrier(8), []
    with open_source(path) as source:
        chain = chain_of(source)

        def work(seed):
            barrier.wait()
            for k in np.random.default_rng(seed).permutation(3000).tolist():
                record = chain.record(k)
                if record["width"] != k + 1 or chain.segment_table(record)[0].tolist() != [8]:
                    wrong.append(k)

        threads = [threading.Thread(target=work, args=(seed,)) for seed in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert not wrong


def test_a_wrong_at_is_an_error():
    tif = TiffMaker()
    first = tif.ifd(plain())
    chain = chain_of_bytes(tif.data)
    assert chain.at([]).shape == (0,)
    for bad in (0, len(tif.data), 2**63, 2**64 - 1):
        with pytest.raises(FormatError, match=str(bad)):
            chain.at(np.array([first, bad], "u8"))


def test_wrong_arguments_of_the_kernel_are_refused():
    records = np.empty(1, RECORD).view("u1")
    pieces = np.array([[0, 100]], "u8")
    status = _kernels.walk_ifds(-1, bytes(50), pieces, 1000, 8, False, False, records)[1]
    assert status == Status.BAD_TASK
    assert _kernels.read_values(-1, bytes(7), 0, 4, False, np.empty(2, "u8")) == Status.TRUNCATED
    assert _kernels.read_values(-1, bytes(8), 0, 11, False, np.empty(2, "u8")) == Status.BAD_TASK
    assert _kernels.read_values(-1, None, 0, 4, False, np.empty(0, "u8")) == Status.OK
