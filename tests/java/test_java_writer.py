"""BioWriter through Bio-Formats' own writers: what each takes comes back as it was, what it can not take is said."""

import itertools
import logging
import threading

import numpy as np
import pytest
import tifffile

import bfio
from bfio.bioformats.writing import saver
from bfio.bioformats.writing.formats import FORMATS, Stacks, format_of
from bfio.bioformats.writing.recipe import choose
from bfio.metadata import Series
from bfio.options import WriteOptions

BY_NAME = {found.name: found for found in FORMATS}
LOSSY = {"JPEG"}


def image(dtype, shape, seed=0):
    """Y, X, Z, C, T."""
    rng = np.random.default_rng(seed)
    dtype = np.dtype(dtype)
    if dtype.kind == "f":
        return rng.normal(size=shape).astype(dtype)
    info = np.iinfo(dtype)
    return rng.integers(info.min, info.max, shape, dtype=dtype, endpoint=True)


def smooth(shape):
    return (np.indices(shape)[:2].sum(0) * 2).astype(np.uint8)


def stored(path, series=0):
    """Pixels Y, X, Z, C, T as Bio-Formats itself reads them, plane by plane."""
    from bfio.bioformats.jvm import java

    reader, tools = java("loci.formats.ImageReader")(), java("loci.formats.FormatTools")
    reader.setId(str(path))
    try:
        reader.setSeries(series)
        name = str(tools.getPixelTypeString(reader.getPixelType()))
        dtype = np.dtype({"float": "f4", "double": "f8"}.get(name, name))
        dtype = dtype.newbyteorder("<" if reader.isLittleEndian() else ">")
        samples, rows, cols = int(reader.getRGBChannelCount()), int(reader.getSizeY()), int(reader.getSizeX())
        sizes = int(reader.getSizeZ()), int(reader.getEffectiveSizeC()), int(reader.getSizeT())
        out = np.zeros((rows, cols, sizes[0], sizes[1], samples, sizes[2]), dtype)
        for z, c, t in itertools.product(*map(range, sizes)):
            plane = np.frombuffer(bytes(reader.openBytes(reader.getIndex(z, c, t))), dtype)
            chunky = plane.reshape(rows, cols, samples)
            planar = np.moveaxis(plane.reshape(samples, rows, cols), 0, -1)
            out[:, :, z, c, :, t] = chunky if reader.isInterleaved() else planar
        return out.reshape(rows, cols, sizes[0], sizes[1] * samples, sizes[2])
    finally:
        reader.close()


def check(path, truth):
    found = stored(path)
    assert found.dtype.newbyteorder("=") == truth.dtype
    assert np.array_equal(found, truth)


def writer(path, truth, samples=1, **options):
    made = bfio.BioWriter(path, backend="bioformats", **{"durable": False, **options})
    made.shape, made.dtype, made.samples_per_pixel = truth.shape, truth.dtype, samples
    return made


def write(path, truth):
    with writer(path, truth) as out:
        out[:] = truth


def skip_if_missing(found):
    from bfio.bioformats.jvm import java
    from bfio.errors import BackendMissingError

    try:
        java(f"loci.formats.out.{found.java}")
    except BackendMissingError:
        pytest.skip(f"this version of Bio-Formats does not write {found.name}")


LOSSLESS = [(f.name, suffix, dtype) for f in FORMATS if f.name not in LOSSY for suffix in f.suffixes for dtype in f.dtypes
            if f.name != "OME-TIFF" or suffix in (".ome.tif", ".tif")]  # fmt: skip


@pytest.mark.parametrize(("name", "suffix", "dtype"), LOSSLESS)
def test_each_format_gives_back_what_it_takes(name, suffix, dtype, tmp_path):
    found = BY_NAME[name]
    skip_if_missing(found)
    sizes = {Stacks.ALL: (3, 2, 2), Stacks.NO_T: (3, 2, 1), Stacks.FRAMES: (1, 1, 4), Stacks.ONE: (1, 1, 1)}
    truth = image(dtype, (34, 46, *sizes[found.stacks]))
    path = tmp_path / f"a{suffix}"
    with writer(path, truth) as out:
        out[:] = truth
    check(path, truth)
    assert {entry.name for entry in tmp_path.iterdir()} == {path.name} | ({"a.ics"} if suffix == ".ids" else set())


@pytest.mark.parametrize("found", FORMATS, ids=lambda found: found.name)
def test_rgb(found, tmp_path):
    skip_if_missing(found)
    truth = smooth((34, 48, 1, 3, 1))
    truth[..., 1, :] = truth[::-1, ..., 1, :]
    path = tmp_path / f"a{found.suffixes[0]}"
    with writer(path, truth, 3) as out:
        out[:20, :, :, 1] = truth[:20, :, :, 1:2]  # samples one by one, and out of order
        out[:, :, :, [2, 0]] = truth[:, :, :, [2, 0]]
        out[20:, :, :, 1] = truth[20:, :, :, 1:2]
    if found.name in LOSSY:
        assert np.abs(stored(path).astype(int) - truth).max() < 40
    else:
        check(path, truth)


def test_jpeg_is_near(tmp_path):
    truth = smooth((50, 70, 1, 1, 1))
    write(tmp_path / "a.jpg", truth)
    assert np.abs(stored(tmp_path / "a.jpg").astype(int) - truth).max() < 10


@pytest.mark.parametrize("compression", ["deflate", "lzw", "none"])
@pytest.mark.parametrize("samples", [1, 3])
@pytest.mark.parametrize("tile_size", [32, 1024])
def test_ome_tiff_for_three_readers(compression, samples, tile_size, tmp_path):
    truth = image("uint16", (70, 100, 2, 3, 2))
    path = tmp_path / "a.ome.tif"
    with writer(path, truth, samples, compression=compression, tile_size=tile_size) as out:
        out[:] = truth
    check(path, truth)
    with bfio.BioReader(path, backend="python") as reader:
        assert np.array_equal(reader[:], truth)
    with tifffile.TiffFile(path) as tif:
        assert tif.is_ome and bool(tif.pages[0].is_tiled) == (tile_size == 32)
        found = tif.asarray().reshape(2, 3 // samples, 2, 70, 100, samples)  # T, C, Z, Y, X, S
    assert np.array_equal(np.moveaxis(found, (1, 5), (0, 1)).reshape(3, 2, 2, 70, 100).transpose(3, 4, 2, 0, 1), truth)


@pytest.mark.parametrize("samples", [1, 3])
def test_jpeg_2000_in_a_tiff(samples, tmp_path):
    truth = image("uint16", (35, 50, 1, samples, 1))
    with writer(tmp_path / "a.ome.tif", truth, samples, compression="jpeg2000", tile_size=32) as out:
        out[:] = truth
    check(tmp_path / "a.ome.tif", truth)


@pytest.mark.parametrize("name", ["a.ome.tif", "a.ome", "a.ics"])
def test_blocks_in_any_order_from_threads(name, tmp_path):
    truth = image("uint16", (150, 170, 3, 2, 2), seed=2)
    rng = np.random.default_rng(5)
    starts = itertools.product(range(0, 150, 40), range(0, 170, 60), range(3), range(2), range(2))
    keys = [(slice(y, y + 40), slice(x, x + 60), z, c, t) for y, x, z, c, t in starts]
    rng.shuffle(keys)
    keys = [tuple(key) for key in keys]
    path, errors = tmp_path / name, []

    def work(some):
        try:
            for y, x, z, c, t in some:
                out[y, x, z, c, t] = truth[y, x, z : z + 1, c : c + 1, t : t + 1]
        except BaseException as error:  # noqa: BLE001 - shown by the test
            errors.append(error)

    with writer(path, truth, tile_size=64) as out:
        threads = [threading.Thread(target=work, args=(keys[n::5],)) for n in range(5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert errors == [] and out.missing == []
    check(path, truth)
    assert [entry.name for entry in tmp_path.iterdir()] == [name]


def test_whole_planes_in_turn_need_no_temporary_file(tmp_path, monkeypatch):
    monkeypatch.setattr("bfio.bioformats.writing.store.BandStore.take", lambda _: pytest.fail("the store was used"))
    truth = image("uint8", (40, 50, 4, 1, 1))
    with writer(tmp_path / "a.ome", truth) as out:
        for z in range(4):
            out[:, :, z] = truth[:, :, z : z + 1]
    check(tmp_path / "a.ome", truth)


def test_whole_planes_of_threads_wait_for_their_turn(tmp_path, monkeypatch):
    truth, order = image("uint8", (40, 50, 8, 1, 1)), []
    save = saver.JavaSaver.save
    monkeypatch.setattr(saver.JavaSaver, "save", lambda self, plane, y, band: (order.append(plane), save(self, plane, y, band)))
    barrier = threading.Barrier(8)

    def work(z):
        barrier.wait()
        out[:, :, z] = truth[:, :, z : z + 1]

    with writer(tmp_path / "a.ics", truth) as out:
        out._backend._init_writer()
        threads = [threading.Thread(target=work, args=(z,)) for z in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    assert order == list(range(8))
    check(tmp_path / "a.ics", truth)


def test_missing_and_zeros(tmp_path, caplog):
    truth = image("uint16", (50, 60, 3, 1, 1))
    with writer(tmp_path / "a.ome", truth) as out:
        out[10:30, 20:60, 1] = truth[10:30, 20:60, 1:2]
        out[:, :, 0] = truth[:, :, :1]
        left = np.ones(truth.shape, bool)
        for key in out.missing:
            assert left[key].all()
            left[key] = False
        assert np.array_equal(left[:, :, 1, 0, 0], np.pad(np.ones((20, 40), bool), ((10, 20), (20, 0))))
        assert left[:, :, 0].all() and not left[:, :, 2].any()
    check(tmp_path / "a.ome", np.where(left, truth, 0).astype(truth.dtype))
    assert "2 of 3 planes were not written" in caplog.text


def test_a_stale_slot_of_the_store_shines_through_nowhere(tmp_path):
    truth = image("uint8", (20, 30, 3, 1, 1)) | 1
    with writer(tmp_path / "a.ome", truth) as out:
        out[:5, :, 1] = truth[:5, :, 1:2]  # keeps the store in use
        out[:10, :, 0] = truth[:10, :, :1]
        out[10:, :, 0] = truth[10:, :, :1]
        out[3:4, :7, 2] = truth[3:4, :7, 2:3]
    expected = np.zeros_like(truth)
    expected[:, :, 0], expected[:5, :, 1], expected[3:4, :7, 2] = truth[:, :, 0], truth[:5, :, 1], truth[3:4, :7, 2]
    check(tmp_path / "a.ome", expected)


def test_a_plane_can_be_written_again_until_java_has_it(tmp_path):
    truth = image("uint8", (20, 30, 2, 1, 1))
    with writer(tmp_path / "a.ome", truth) as out:
        out[:, :, 1] = 255 - truth[:, :, 1:2]  # waits for plane 0
        out[:, :, 1] = truth[:, :, 1:2]
        out[:, :, 0] = truth[:, :, :1]
        with pytest.raises(bfio.UsageError, match=r"rows 0 to 20 of plane 0 \(Z 0, C 0, T 0\).*OME-XML can not take"):
            out[4, 4, 0] = 7
    check(tmp_path / "a.ome", truth)


def test_metadata(tmp_path):
    truth = image("uint8", (20, 30, 2, 2, 1))
    for name in ("a.ome.tif", "a.ome.xml"):
        with writer(tmp_path / name, truth) as out:
            out.cnames, out.ps_x, out.ps_z = ["DAPI", "GFP <µ>"], (0.25, "µm"), (3.0, "µm")
            out[:] = truth
        with bfio.BioReader(tmp_path / name) as reader:
            assert reader.cnames == ["DAPI", "GFP <µ>"]
            assert reader.ps_x[0] == 0.25 and reader.ps_z[0] == 3.0


def test_same_bytes_twice(tmp_path):
    truth = image("uint8", (20, 30, 2, 1, 1))
    for name in ("a.ome", "b.ome"):
        write(tmp_path / name, truth)
    a, b = ((tmp_path / name).read_bytes() for name in ("a.ome", "b.ome"))
    assert a.replace(b"a.ome", b"b.ome") == b


@pytest.mark.parametrize(("size", "n", "big"), [(10_000, 20, False), (30_000, 3, False), (30_000, 4, True), (50_000, 1, True)])
def test_bigtiff_where_a_classic_file_could_be_too_small(size, n, big, tmp_path):
    series = Series(0, None, np.dtype("uint8"), n, 1, 1, size, size)
    assert choose(tmp_path / "a.ome.tif", series, WriteOptions()).big is big
    assert choose(tmp_path / "a.ome.tif", series, WriteOptions(bigtiff=True)).big


# -- what can not be ----------------------------------------------------------------------------------------------------


REFUSED = [
    ("a.png", "int16", (9, 9, 1, 1, 1), {}, bfio.UnsupportedError, "PNG takes pixels of uint8, uint16, not of int16"),
    ("a.jp2", "uint32", (9, 9, 1, 1, 1), {}, bfio.UnsupportedError, "takes pixels of uint8, uint16, not of uint32"),
    ("a.jpg", "uint8", (9, 9, 2, 1, 1), {}, bfio.UnsupportedError, "JPEG holds one plane, not 2 Z x 1 C x 1 T"),
    ("a.dcm", "uint16", (9, 9, 1, 1, 2), {}, bfio.UnsupportedError, "DICOM has no time axis"),
    ("a.dcm", "uint8", (9, 9, 2, 1, 1), {}, bfio.UnsupportedError, "even number of bytes"),
    ("a.ome", "float64", (9, 9, 1, 1, 1), {}, bfio.UnsupportedError, "OME-XML takes pixels of"),
    ("a.ome.tif", "uint64", (9, 9, 1, 1, 1), {}, bfio.UnsupportedError, "not of uint64"),
    ("a.ome.tif", "uint16", (9, 9, 1, 1, 1), {"compression": "jpeg"}, bfio.UnsupportedError, "'jpeg' takes pixels of uint8"),
    ("a.ome.tif", "uint8", (9, 9, 1, 1, 1), {"compression": "zstd"}, bfio.UsageError, "'deflate' or 'lzw' or 'none'"),
    ("a.ics", "uint8", (9, 9, 1, 1, 1), {"compression": "lzw"}, bfio.UsageError, "no compression 'lzw' here; use 'none'"),
    ("a.ome", "uint8", (9, 9, 1, 1, 1), {"compression_level": 3}, bfio.UsageError, "leave it out"),
    ("a.ome", "uint8", (9, 9, 1, 1, 1), {"predictor": True}, bfio.UsageError, "no predictor"),
    ("a.ome.tif", "uint8", (9, 9, 1, 1, 1), {"levels": 3}, bfio.UnsupportedError, "pyramids.*backend='python'"),
    ("a.ome.tif", "uint8", (9, 9, 1, 1, 1), {"resume": True}, bfio.UnsupportedError, "backend='python'"),
    ("a.ics", "uint16", (40000, 40000, 1, 1, 1), {}, bfio.UnsupportedError, "too large for ICS"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "dtype", "shape", "options", "kind", "words"), REFUSED)
def test_refused_at_the_first_write(name, dtype, shape, options, kind, words, tmp_path):
    out = bfio.BioWriter(tmp_path / name, backend="bioformats", **options)
    out.shape, out.dtype = shape, dtype
    with pytest.raises(kind, match=words):
        out[0, 0, 0, 0, 0] = 1
    out.close()
    assert list(tmp_path.iterdir()) == []


def test_odd_widths_of_movies(tmp_path):
    truth = np.zeros((9, 9, 1, 3, 1), np.uint8)
    with pytest.raises(bfio.UnsupportedError, match="multiple of 4, not 9"):
        writer(tmp_path / "a.avi", truth, 3)[:] = truth


def test_names(tmp_path):
    assert bfio.BioWriter(tmp_path / "a.png")._backend.name == "bioformats"
    assert bfio.BioWriter(tmp_path / "a.OME.XML")._backend.name == "bioformats"
    assert bfio.BioWriter(tmp_path / "a.ome.tif")._backend.name == "python"
    assert bfio.BioWriter(tmp_path / "a.ome.tif", backend="bioformats")._backend.name == "bioformats"
    with pytest.raises(bfio.UnsupportedError, match=r"OME-TIFF \(\.ome\.tif.*PNG \(\.png\)"):
        bfio.BioWriter(tmp_path / "a.czi", backend="bioformats")
    with pytest.raises(bfio.UnsupportedError, match=r"through Bio-Formats also .*\.png"):
        bfio.BioWriter(tmp_path / "a.czi")
    assert format_of("x.ome.tif").name == "OME-TIFF" and format_of("xome.tiff").name == "OME-TIFF"


def test_flush_and_attach(tmp_path):
    truth = image("uint8", (9, 9, 1, 1, 1))
    with writer(tmp_path / "a.ome", truth) as out:
        out[:] = truth
        with pytest.raises(bfio.UnsupportedError, match="flush.*backend='python'"):
            out.flush()
    with pytest.raises(bfio.UnsupportedError, match="one process"):
        bfio.BioWriter.attach(tmp_path / "a.ome")
    (tmp_path / "b.ome.part").mkdir()
    with pytest.raises(bfio.UnsupportedError, match="can not go on"):
        bfio.BioWriter(tmp_path / "b.ome", resume=True)


def test_frames_are_said(tmp_path, caplog):
    truth = image("uint8", (8, 8, 3, 2, 1))
    with writer(tmp_path / "a.png", truth) as out:
        out[:] = truth
    assert "knows frames only" in caplog.text
    found = stored(tmp_path / "a.png")
    assert np.array_equal(found[:, :, 0, 0], truth.transpose(0, 1, 3, 2, 4).reshape(8, 8, 6))


# -- ends ---------------------------------------------------------------------------------------------------------------


def test_the_old_file_stays_until_the_new_one_is_whole(tmp_path):
    path, truth = tmp_path / "a.ome", image("uint8", (20, 30, 2, 1, 1))
    path.write_text("old")
    out = writer(path, truth)
    out[:, :, 0] = truth[:, :, :1]
    assert path.read_text() == "old" and (tmp_path / "a.ome.part" / "a.ome").exists()
    out[:, :, 1] = truth[:, :, 1:]
    out.close()
    out.close()
    check(path, truth)


def test_an_error_in_with_leaves_the_folder_which_the_next_writer_replaces(tmp_path, caplog):
    caplog.set_level(logging.INFO, "bfio")
    path, truth = tmp_path / "a.ome.tif", image("uint8", (20, 30, 2, 1, 1))
    with pytest.raises(KeyError), writer(path, truth) as out:
        out[:, :, 0] = truth[:, :, :1]
        raise KeyError("mine")
    assert "the next writer of this file replaces it" in caplog.text
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.ome.tif.part"]
    with writer(path, truth) as out:
        out[:] = truth
    check(path, truth)
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.ome.tif"]


def test_never_closed(tmp_path):
    truth = image("uint8", (20, 30, 2, 1, 1))
    out = writer(tmp_path / "a.ome", truth)
    out[:, :, 0] = truth[:, :, :1]
    with pytest.warns(ResourceWarning, match="never closed"):
        del out
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.ome.part"]


@pytest.mark.parametrize("make", [lambda part: part.mkdir(), lambda part: part.write_text("mine")])
def test_what_is_not_ours_is_left_alone(make, tmp_path):
    part, truth = tmp_path / "a.ome.part", image("uint8", (9, 9, 1, 1, 1))
    make(part)
    with pytest.raises(bfio.UsageError, match="is in the way"):
        writer(tmp_path / "a.ome", truth)[:] = truth
    assert part.exists() and not (tmp_path / "a.ome").exists()


def test_two_writers_of_one_file(tmp_path):
    truth = image("uint8", (9, 9, 2, 1, 1))
    with writer(tmp_path / "a.ome", truth) as out:
        out[:, :, 0] = truth[:, :, :1]
        with pytest.raises(bfio.UsageError, match="being written at this moment"):
            writer(tmp_path / "a.ome", truth)[:] = truth
        out[:, :, 1] = truth[:, :, 1:]
    check(tmp_path / "a.ome", truth)


def test_the_header_of_another_image_is_not_replaced(tmp_path):
    truth = image("uint8", (9, 9, 1, 1, 1))
    write(tmp_path / "a.ics", truth)
    with pytest.raises(bfio.UsageError, match=r"a\.ics would be replaced"):
        write(tmp_path / "a.ids", truth)
    check(tmp_path / "a.ics", truth)


def test_an_error_of_java_names_the_plane_and_ends_the_file(tmp_path, monkeypatch):
    truth = image("uint8", (9, 9, 3, 1, 1))
    out = writer(tmp_path / "a.ome", truth)
    out[:, :, 0] = truth[:, :, :1]
    as_java = saver.JavaSaver._as_java
    monkeypatch.setattr(saver.JavaSaver, "_as_java", lambda self, tile: as_java(self, tile[:, 1:]))  # too short
    with pytest.raises(bfio.FormatError, match=r"a\.ome: writing plane 1 \(Z 1, C 0, T 0\)"):
        out[:, :, 1:] = truth[:, :, 1:]
    with pytest.raises(bfio.UsageError, match="earlier write failed"):
        out[:, :, 2] = truth[:, :, 2:]
    with pytest.raises(bfio.UsageError, match="earlier write failed"):
        out.close()
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.ome.part"]


def test_threads_that_wait_learn_of_an_error(tmp_path, monkeypatch):
    truth, errors = image("uint8", (9, 9, 4, 1, 1)), []
    out = writer(tmp_path / "a.ome", truth)
    out._backend._init_writer()
    everybody = threading.Barrier(4)

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(saver.JavaSaver, "save", fail)

    def work(z):
        everybody.wait()
        try:
            out[:, :, z] = truth[:, :, z : z + 1]
        except bfio.BfioError as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(z,)) for z in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
        assert not thread.is_alive()
    assert any(isinstance(error, bfio.TileWriteError) and error.errno == 28 for error in errors)
    with pytest.raises(bfio.UsageError, match="earlier write failed"):
        out.close()


def test_steps_are_the_faces_business_and_empty_blocks_nobodys(tmp_path):
    truth = image("uint8", (9, 9, 2, 1, 1))
    with writer(tmp_path / "a.ome", truth) as out:
        out[:, :, ::-1] = truth[:, :, ::-1]
        out[0:0] = np.zeros((0, 9, 2, 1, 1), np.uint8)
    check(tmp_path / "a.ome", truth)
