"""The reader without files: properties, read, conversion, life cycle."""

import copy
import pickle
import threading

import numpy as np
import pytest
import tifffile
from fakes import FakeBackend, public, sample_image

from bfio import imread
from bfio.errors import BfioError, LimitError, ReadOnlyError, UnsupportedError, UsageError
from bfio.metadata import Channel, Level
from bfio.reader import BioReader


def reader_of(*arrays, series=0, level=None, **changes):
    return BioReader._from_backend(FakeBackend(*arrays, **changes), series=series, level=level)


@pytest.fixture
def opened(monkeypatch):
    """Backends that ``BioReader(path)`` opened instead of files."""
    made = []

    def open_fake(source, **options):
        made.append(FakeBackend(sample_image(c=2)))
        made[-1].options = options
        return made[-1]

    monkeypatch.setattr("bfio.handle.open_reader", open_fake)
    return made


@pytest.mark.parametrize(
    "sizes",
    [
        (1, 1, 1, 5, 7),
        (1, 1, 1, 1, 1),
        (1, 1, 1, 5, 1),
        (1, 2, 1, 5, 7),
        (1, 1, 3, 5, 7),
        (2, 1, 1, 5, 7),
        (2, 3, 4, 5, 6),
    ],
)
def test_sizes_and_shape_agree_with_what_is_read(sizes):
    image = sample_image(*sizes)
    reader = reader_of(image)
    assert sizes == (reader.T, reader.C, reader.Z, reader.Y, reader.X)
    assert (reader.t, reader.c, reader.z, reader.y, reader.x) == sizes
    assert reader.shape == reader.read().shape == reader[:].shape == reader[...].shape
    assert reader.ndim == len(reader.shape) == len(reader.dims) >= 2
    assert reader.dims == "YXZCT"[: reader.ndim]
    np.testing.assert_array_equal(reader.read().reshape(public(image).shape), public(image))


def test_descriptive_properties():
    reader = reader_of(sample_image(c=2), dtype=np.dtype("u2"))
    assert reader.dtype == np.uint16 and reader.bytes_per_pixel == reader.bpp == 2
    assert reader.samples_per_pixel == reader.spp == 1
    assert reader.channel_names == reader.cnames == ["channel 0", "channel 1"]
    assert reader.read_only is True
    assert reader._TILE_SIZE == 1024 and reader._CHUNK_SIZE is None
    assert reader._backend_name == "python"


def test_channels_without_names():
    assert reader_of(sample_image(c=2), channels=()).cnames == [None, None]


def test_samples_of_rgb_are_channels_with_one_name():
    reader = reader_of(sample_image(c=3, dtype=np.uint8), samples=3)
    assert (reader.C, reader.spp, reader.shape, len(reader.cnames)) == (3, 3, (5, 7, 1, 3), 1)


@pytest.mark.parametrize(
    "name", ["X", "x", "shape", "dtype", "ps_x", "cnames", "spp", "bpp", "metadata", "level", "read_only"]
)
def test_properties_can_not_be_set(name):
    reader = reader_of(sample_image())
    with pytest.raises(ReadOnlyError, match=f"{name} is read-only") as caught:
        setattr(reader, name, 1)
    assert isinstance(caught.value, AssertionError) and isinstance(caught.value, AttributeError)


@pytest.mark.parametrize("name", ["max_workers", "ndim", "cache", "bounds", "color", "_CHUNK_SIZE"])
def test_any_other_attribute_can_be_set(name):
    reader = reader_of(sample_image())
    setattr(reader, name, "mine")
    assert getattr(reader, name) == "mine"


def test_physical_sizes_are_pairs_of_value_and_unit_enum():
    model = pytest.importorskip("ome_types.model")
    reader = reader_of(sample_image())
    assert reader.ps_x == reader.physical_size_x == (0.5, model.UnitsLength.MICROMETER)
    assert str(reader.ps_y[1]) == "UnitsLength.MICROMETER" and reader.ps_y[1].value == "µm"
    assert None in reader.ps_z


def test_series_and_level_choose_what_is_described_and_read():
    first, second = sample_image(), sample_image(c=2, y=9, x=8)
    reader = reader_of(first, second, series=-1, level=-1, n_levels=3)
    assert reader.level == -1 and (reader.Y, reader.X, reader.C) == (3, 2, 2)
    assert reader.ps_x[0] == 2.0 and reader.ps_y[0] == 0.75
    np.testing.assert_array_equal(reader[:], public(second)[::4, ::4, :, :, 0])
    assert [level.size_y for level in reader.levels] == [9, 5, 3]
    assert [series.index for series in reader.series] == [0, 1]


@pytest.mark.parametrize("choice", [{"series": 2}, {"series": -3}, {"level": 1}, {"level": "0"}, {"series": 0.0}])
def test_a_series_or_level_that_is_not_there(choice):
    backend = FakeBackend(sample_image(), sample_image())
    with pytest.raises(ValueError, match=r"series|level") as caught:
        BioReader._from_backend(backend, **choice)
    assert isinstance(caught.value, UsageError) and backend.closed


def test_planes_are_contiguous_and_rgb_pixels_too():
    grey = reader_of(sample_image(z=3))
    assert grey[:, :, 0].flags.c_contiguous
    assert grey.read().transpose(2, 0, 1).flags.c_contiguous
    rgb = reader_of(sample_image(c=3, dtype=np.uint8), samples=3)
    assert rgb[:][:, :, 0].flags.c_contiguous


def test_backward_slices_of_every_axis():
    image = sample_image(2, 3, 2)
    got = reader_of(image)[::-1, ::-2, ::-1, ::-1, ::-1]
    np.testing.assert_array_equal(got, public(image)[::-1, ::-2, ::-1, ::-1, ::-1])


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int16, np.float16, np.float32, "f8", np.complex64])
def test_dtype_converts_and_saturates(dtype):
    image = sample_image(y=20, x=30)
    got = reader_of(image).read(dtype=dtype)
    assert got.dtype == np.dtype(dtype)
    wanted = np.minimum(image, 255) if dtype is np.uint8 else image
    np.testing.assert_array_equal(got, wanted[0, 0, 0].astype(dtype))


@pytest.mark.parametrize("dtype", ["nonsense", "U3", object, ">u2", "datetime64[s]", "g"])
def test_a_dtype_that_can_not_be_read_into(dtype):
    with pytest.raises(UsageError, match="dtype"):
        reader_of(sample_image()).read(dtype=dtype)


def test_rescale_maps_bounds_to_the_range_of_the_result():
    image = sample_image(y=10, x=10)
    reader = reader_of(image)
    got = reader.read(dtype=np.uint8, rescale=(10, 61))
    wanted = np.clip(np.rint((image[0, 0, 0].astype(float) - 10) * 5), 0, 255)
    np.testing.assert_array_equal(got, wanted)
    np.testing.assert_allclose(reader.read(dtype="f4", rescale=(0, 50)), image[0, 0, 0] / 50, rtol=1e-6)
    np.testing.assert_allclose(reader.read(dtype="f8", rescale=True), image[0, 0, 0] / 65535)
    signed = reader.read(dtype="i2", rescale=(0, 99))
    assert (signed.min(), signed.max()) == (-32768, 32767)
    np.testing.assert_array_equal(reader.read(rescale=True), image[0, 0, 0])


@pytest.mark.parametrize("rescale", [(1, 1), (0, np.inf), (0, np.nan), 3, (1, 2, 3), "ab"])
def test_rescale_that_means_nothing(rescale):
    with pytest.raises(UsageError, match="rescale"):
        reader_of(sample_image()).read(rescale=rescale)


@pytest.mark.parametrize("shape", [(5, 7, 1, 2), (5, 7, 1, 2, 1)])
@pytest.mark.parametrize("dtype", [np.uint16, np.float64])
def test_out_is_filled_and_returned(shape, dtype):
    image = sample_image(c=2)
    out = np.empty(shape, dtype)
    reader = reader_of(image)
    assert reader.read(out=out) is out
    np.testing.assert_array_equal(out.reshape(5, 7, 1, 2, 1), public(image))


def test_out_may_have_any_strides():
    image = sample_image()
    whole = np.zeros((10, 21), np.uint16)
    reader_of(image).read(out=whole[::-2, 2::3], Y=slice(None, None, -1))
    np.testing.assert_array_equal(whole[::-2, 2::3], image[0, 0, 0, ::-1])
    assert np.count_nonzero(whole) == np.count_nonzero(image)


def test_out_that_does_not_fit():
    reader = reader_of(sample_image())
    frozen = np.empty((5, 7), np.uint16)
    frozen.flags.writeable = False
    swapped = np.empty((5, 7), np.dtype("u2").newbyteorder())
    for out in (np.empty((7, 5), "u2"), np.empty((5, 7, 1, 1, 1, 1), "u2"), [[0]], frozen, swapped, np.empty(35, "u2")):
        with pytest.raises(UsageError):
            reader.read(out=out)
    with pytest.raises(UsageError, match="does not agree"):
        reader.read(out=np.empty((5, 7), "u2"), dtype="u1")
    assert reader.read(out=np.empty((5, 7), "u1"), dtype="u1").dtype == np.uint8


def test_absurd_sizes_are_refused_in_a_sentence():
    huge = np.lib.stride_tricks.as_strided(np.zeros(1, np.uint8), (1, 1, 1, 1 << 31, 1 << 31), (0,) * 5)
    with pytest.raises(LimitError, match="GiB") as caught:
        reader_of(huge).read()
    assert isinstance(caught.value, MemoryError)


def test_as_array():
    image = sample_image()
    reader = reader_of(image)
    np.testing.assert_array_equal(np.asarray(reader), image[0, 0, 0])
    assert np.asarray(reader, dtype=np.float32).dtype == np.float32
    assert np.array(reader).sum() == image.sum()
    with pytest.raises(ValueError, match="copy"):
        reader.__array__(copy=False)


def test_close_ends_reading_but_not_knowing():
    reader = reader_of(sample_image())
    with reader as same:
        assert same is reader
    reader.close()
    assert reader._backend_name == "python" and reader.shape == (5, 7) and "closed" in repr(reader)
    with pytest.raises(UsageError, match="closed"):
        reader[:]


def test_failed_construction_leaves_nothing_behind():
    with pytest.raises(FileNotFoundError):
        BioReader("no such file.tif")
    BioReader.__new__(BioReader).__del__()


def test_options_reach_the_backend(opened, tmp_path):
    reader = BioReader(tmp_path / "a.tif", 3, cache_bytes=5, storage_options={"anon": True})
    options = opened[0].options
    assert (options["max_workers"], options["cache_bytes"]) == (3, 5)
    assert options["storage_options"] == {"anon": True} and options["limits"].tile_nbytes == 1 << 30
    assert reader._file_path == tmp_path / "a.tif" and reader._max_workers == 3


@pytest.mark.parametrize("clone", [copy.copy, copy.deepcopy, lambda reader: pickle.loads(pickle.dumps(reader))])
def test_copies_open_the_file_by_themselves(opened, tmp_path, clone):
    original = BioReader(str(tmp_path / "a.tif"), 2, level=0, clean_metadata=False)
    original.cache = threading.Lock()
    twin = clone(original)
    assert len(opened) == 1
    original.close()
    np.testing.assert_array_equal(twin[:], public(sample_image(c=2))[..., 0])
    assert len(opened) == 2 and not opened[1].closed
    assert (twin._max_workers, twin.level, twin.clean_metadata) == (2, 0, False)
    assert twin._file_path == original._file_path


def test_a_copy_used_by_many_threads_opens_once(opened, tmp_path):
    twin = copy.copy(BioReader(tmp_path / "a.tif"))
    barrier = threading.Barrier(8)
    sums = []

    def work():
        barrier.wait()
        sums.append(int(twin[:].sum()))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(opened) == 2 and sums == [int(sample_image(c=2).sum())] * 8


def test_a_reader_without_path_can_not_be_pickled():
    with pytest.raises(UsageError, match="pickled"):
        pickle.dumps(reader_of(sample_image()))


@pytest.mark.parametrize("name", [None, "python", "Python", "ZARR3", "tensorstore"])
def test_backend_names_of_old_scripts(opened, tmp_path, name):
    assert BioReader(tmp_path / "a.tif", backend=name)._backend_name == "python"


@pytest.mark.parametrize("name", ["zarr", "Zarr"])
def test_a_tiff_file_is_no_zarr_store(tmp_path, name):
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((9, 9), np.uint8))
    with pytest.raises(UnsupportedError, match="backend='zarr' does not read"):
        BioReader(tmp_path / "a.tif", backend=name)


@pytest.mark.parametrize("name", ["tiff", "", 3])
def test_unknown_backends(name):
    with pytest.raises(ValueError, match="backend"):
        BioReader("a.tif", backend=name)


def test_wrong_kinds_of_arguments():
    with pytest.raises(UsageError, match="file_path"):
        BioReader(3)
    with pytest.raises(UsageError, match="max_workers"):
        BioReader("a.tif", max_workers="2")


def test_folders(tmp_path):
    with pytest.raises(ValueError, match="directory"):
        BioReader(tmp_path)
    (tmp_path / ".zattrs").write_text("{}")
    with pytest.raises(BfioError, match="no image"):
        BioReader(tmp_path)


def test_image_size_is_width_then_height(opened, tmp_path):
    path = tmp_path / "a.tif"
    path.write_bytes(b"II*\0" + b"\0" * 20)
    assert BioReader.image_size(path) == BioReader.image_size(str(path)) == (7, 5)
    assert opened[0].closed
    with pytest.raises(FileNotFoundError):
        BioReader.image_size(tmp_path / "missing.tif")


def test_thumbnail_takes_the_smallest_level_that_is_large_enough():
    backend = FakeBackend(sample_image(y=400, x=300), n_levels=4)
    picture = BioReader._from_backend(backend).thumbnail(60)
    assert backend.requests[0][1] == 2
    assert picture.dtype == np.uint8 and picture.shape == (60, 45)
    assert picture.min() == 0 and picture.max() == 255


def test_thumbnail_of_a_huge_level_reads_few_pixels():
    backend = FakeBackend(np.broadcast_to(np.uint8(3), (1, 1, 3, 5000, 9000)))
    picture = BioReader._from_backend(backend).thumbnail(32)
    box = backend.requests[0][2]
    assert len(box.y) * len(box.x) < (8 * 32) ** 2 and box.z == (1,)
    assert max(picture.shape) <= 32


@pytest.mark.parametrize(
    ("shape", "expected"), [((400, 300), (60, 45)), ((61, 1), (60, 1)), ((1, 5000), (1, 60)), ((60, 9), (60, 9))]
)
def test_thumbnail_has_the_size_asked_for_and_keeps_the_proportions(shape, expected):
    image = np.broadcast_to(np.linspace(0, 1, shape[0])[:, None] + np.linspace(0, 2, shape[1]), (1, 1, 1, *shape))
    picture = reader_of(image).thumbnail(60)
    assert picture.shape == expected
    for axis in (0, 1):
        assert (np.diff(picture.astype(int), axis=axis) >= 0).all()


def test_thumbnail_of_rgb_with_few_bits_is_not_black():
    for n_bits in range(1, 6):
        image = np.array([0, 1, 2**n_bits - 1], np.uint8).reshape(1, 3, 1, 1, 1)
        expected = [0, round(255 / (2**n_bits - 1)), 255]
        assert reader_of(image, samples=3).thumbnail().ravel().tolist() == expected


def test_thumbnail_keeps_contrast_of_large_numbers():
    ramp = np.arange(256.0).reshape(1, 1, 1, 16, 16)
    expected = reader_of(ramp).thumbnail()
    assert expected.min() == 0 and expected.max() == 255
    for image in (ramp * 1e300, ramp.astype(np.uint32) + 4_000_000_000):
        np.testing.assert_allclose(reader_of(image).thumbnail().astype(int), expected, atol=1)


def test_thumbnail_colours():
    image = np.zeros((1, 2, 1, 4, 4), np.uint16)
    image[0, 0, 0, :2] = 9
    image[0, 1, 0, 2:] = 5
    red_and_blue = (Channel("a", color=-16776961), Channel("b", color=65535))
    picture = reader_of(image, channels=red_and_blue).thumbnail()
    assert picture.shape == (4, 4, 3)
    assert picture[0, 0].tolist() == [255, 0, 0] and picture[3, 0].tolist() == [0, 0, 255]
    default = reader_of(image).thumbnail()
    assert default[0, 0].tolist() == [0, 255, 0] and default[3, 0].tolist() == [255, 0, 255]


def test_thumbnail_of_rgb_is_the_image():
    image = sample_image(c=3, dtype=np.uint8)
    picture = reader_of(image, samples=3).thumbnail()
    np.testing.assert_array_equal(picture, image[0, :, 0].transpose(1, 2, 0))


@pytest.mark.parametrize("dtype", [bool, np.int8, np.float32, np.complex64])
def test_thumbnail_of_any_dtype_even_without_contrast(dtype):
    for fill in (0, 1):
        assert reader_of(np.full((1, 1, 1, 3, 3), fill, dtype)).thumbnail().shape == (3, 3)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_thumbnail_ignores_what_is_not_finite(dtype):
    image = np.ones((1, 1, 1, 4, 4), dtype)
    image[..., 0, 0] = 0
    image[..., 1, 1:] = [np.nan, np.inf, -np.inf]
    image[..., 3, 3] = np.finfo(dtype).max
    picture = reader_of(image).thumbnail()
    assert picture[0, 0] == 0 and picture[1, 1] == 0
    assert reader_of(image).thumbnail(2).shape == (2, 2)
    rgb = np.broadcast_to(image, (1, 3, 1, 4, 4))
    assert reader_of(rgb, samples=3).thumbnail(2).shape == (2, 2, 3)


def test_html_shows_table_and_picture_and_never_raises():
    reader = reader_of(sample_image(c=2), name="<script>")
    text = reader._repr_html_()
    assert "data:image/png;base64," in text and "<script>" not in text and "7 X" in text
    reader.close()
    assert "<table>" in reader._repr_html_()
    broken = reader_of(sample_image(), levels=(Level(5, 7, (5, 7)),))
    broken._backend.read = None
    assert "<table>" in broken._repr_html_()


def test_png_is_read_back_by_another_decoder():
    imagecodecs = pytest.importorskip("imagecodecs")
    from bfio.preview import png

    for shape in ((3, 5), (3, 5, 3)):
        picture = np.arange(np.prod(shape), dtype=np.uint8).reshape(shape)
        np.testing.assert_array_equal(imagecodecs.png_decode(png(picture)), picture)


def test_repr_names_file_sizes_and_type():
    text = repr(reader_of(sample_image(z=3)))
    assert "5 Y x 7 X x 3 Z" in text and "uint16" in text


def test_many_threads_read_at_once():
    """All are inside the backend together: a global lock would never let the barrier go."""
    image = sample_image(z=8)
    backend = FakeBackend(image)
    barrier = threading.Barrier(8, timeout=20)
    plain = backend.read

    def read(*arguments):
        barrier.wait()
        plain(*arguments)

    backend.read = read
    reader = BioReader._from_backend(backend)
    results = {}
    threads = [threading.Thread(target=lambda z=z: results.update({z: reader[:, :, z]})) for z in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 8
    for z, plane in results.items():
        np.testing.assert_array_equal(plane, image[0, 0, z])


XML = """<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"><Image ID="Image:0" Name="first">
<Pixels ID="Pixels:0" DimensionOrder="XYZCT" Type="uint16" SizeX="8" SizeY="6" SizeZ="1" SizeC="1" SizeT="1"
PhysicalSizeX="0.5" PhysicalSizeXUnit="nm"><Channel ID="Channel:0:0" Name="DAPI"/><MetadataOnly/>
</Pixels></Image></OME>"""


def test_metadata_comes_from_the_xml_of_the_file():
    reader = reader_of(sample_image(y=6, x=8), xml=XML)
    metadata = reader.metadata
    assert metadata is reader.metadata
    assert (metadata.images[0].name, metadata.images[0].pixels.channels[0].name) == ("first", "DAPI")


def test_metadata_of_a_level_describes_the_level():
    reader = reader_of(sample_image(y=6, x=8), xml=XML, n_levels=2, level=1, physical_size_x=(0.5, "nm"))
    pixels = reader.metadata.images[0].pixels
    assert (pixels.size_x, pixels.size_y, pixels.physical_size_x) == (4, 3, 1.0)


def test_metadata_is_made_where_there_is_none():
    metadata = reader_of(sample_image(c=2), sample_image(z=3)).metadata
    assert [image.pixels.size_z for image in metadata.images] == [1, 3]
    assert [channel.name for channel in metadata.images[0].pixels.channels] == ["channel 0", "channel 1"]


def imread_of(monkeypatch, *arrays, **changes):
    monkeypatch.setattr("bfio.handle.open_reader", lambda source, **options: FakeBackend(*arrays, **changes))
    return lambda **options: imread("a.tif", **options)


def test_imread_squeezes_all_but_the_plane(monkeypatch):
    image = sample_image(1, 2, 3)
    read = imread_of(monkeypatch, image)
    np.testing.assert_array_equal(read(), image[0])
    np.testing.assert_array_equal(read(C=1, Z=(0, 2), Y=2, X=slice(None, None, -1)), image[0, 1, :2, 2:3, ::-1])
    np.testing.assert_array_equal(read(dtype="u1"), image[0])
    assert read(Z=0, C=0).flags.c_contiguous and read(Z=0, C=0).shape == (5, 7)


@pytest.mark.parametrize("interleaved", [True, False])
def test_imread_puts_samples_last(monkeypatch, interleaved):
    image = sample_image(2, 6, 1, dtype=np.uint16)
    read = imread_of(monkeypatch, image, samples=3, interleaved=interleaved)
    wanted = image.reshape(2, 2, 3, 5, 7).transpose(0, 1, 3, 4, 2)
    np.testing.assert_array_equal(read(), wanted)
    np.testing.assert_array_equal(read(T=1, C=-1), wanted[1, 1])
    np.testing.assert_array_equal(read(C=[1, 0], Y=slice(None, None, -2)), wanted[:, ::-1, ::-2])


def test_imread_into_out(monkeypatch):
    image = sample_image(2, 1, 3)
    read = imread_of(monkeypatch, image)
    out = np.zeros((2, 3, 5, 14), np.float32)[..., ::2]
    assert read(out=out) is out
    np.testing.assert_array_equal(out, image[:, 0])
    for wrong in (np.zeros((2, 1, 3, 5, 7)), np.zeros((2, 3, 5)), np.zeros((2, 3, 5, 7), ">i4")):
        with pytest.raises(UsageError):
            read(out=wrong)
    with pytest.raises(UsageError, match="agree"):
        read(out=out, dtype=int)


def test_imread_series_and_level(monkeypatch):
    second = sample_image(y=8, x=6)
    read = imread_of(monkeypatch, sample_image(), second, n_levels=2)
    np.testing.assert_array_equal(read(series=1, level=-1), second[0, 0, 0, ::2, ::2])
