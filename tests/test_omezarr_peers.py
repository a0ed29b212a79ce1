"""Other libraries read what bfio writes, and bfio what they write: zarr, tensorstore, ome-zarr-py, ngff-zarr."""

import numpy as np
import pytest

from bfio import BioReader, BioWriter
from bfio.pyramid import halve

pytestmark = pytest.mark.filterwarnings("ignore")  # theirs

SHAPE = (2, 3, 4, 101, 70)


@pytest.fixture(autouse=True)
def _in_this_thread():
    try:
        import dask
    except ImportError:
        yield
        return
    with dask.config.set(scheduler="synchronous"):
        yield


def an_image(dtype="uint16", shape=SHAPE):
    """Axes T, C, Z, Y, X."""
    rng = np.random.default_rng(5)
    return rng.integers(0, 100, shape).astype(dtype)


def as_bfio(image):
    """The same in the order of the old face."""
    return image.transpose(3, 4, 2, 1, 0)


def written(path, image, levels=2, **options):
    t, c, z, y, x = image.shape
    sizes = {"X": x, "Y": y, "Z": z, "C": c, "T": t, "dtype": image.dtype}
    with BioWriter(path, **sizes, tile_size=64, levels=levels, durable=False, **options) as bw:
        bw.ps_x, bw.ps_y, bw.ps_z = (0.25, "µm"), (0.5, "µm"), (2.0, "µm")
        bw.cnames = [f"stain {n}" for n in range(c)]
        bw[:] = as_bfio(image)
    return path


KINDS = {
    "0.5": {},
    "0.4": {"zarr_version": 2},
    "shards": {"chunks": (1, 1, 2, 32, 32), "shards": (1, 1, 4, 64, 128)},
    "deep chunks": {"chunks": (2, 3, 4, 32, 32)},
    "deflate, 0.4": {"zarr_version": 2, "compression": "deflate"},
    "gzip": {"compression": "gzip", "compression_level": 4},
    "blosc, 0.4": {"zarr_version": 2, "compression": "blosc"},
    "blosc": {"compression": "blosc", "compression_level": 5},
    "uncompressed": {"compression": "none"},
}


@pytest.fixture(scope="module", params=KINDS)
def store(request, tmp_path_factory):
    """Path, image, version of Zarr."""
    image = an_image()
    options = KINDS[request.param]
    path = tmp_path_factory.mktemp("peers") / "cells.ome.zarr"
    return written(path, image, **options), image, options.get("zarr_version", 3)


def levels_of(image):
    return [image, halve(image)]


def test_zarr_reads_ours(store):
    zarr = pytest.importorskip("zarr")
    path, image, version = store
    group = zarr.open(str(path), mode="r")
    assert sorted(group.array_keys()) == ["0", "1"]
    for name, expected in zip("01", levels_of(image), strict=True):
        assert group[name].metadata.zarr_format == version
        np.testing.assert_array_equal(group[name][...], expected)
        np.testing.assert_array_equal(group[name][1, :, 2, 5:40, 3:-1:2], expected[1, :, 2, 5:40, 3:-1:2])


def test_tensorstore_reads_ours(store):
    tensorstore = pytest.importorskip("tensorstore")
    path, image, version = store
    for name, expected in zip("01", levels_of(image), strict=True):
        kvstore = {"driver": "file", "path": f"{path / name}/"}
        driver = "zarr3" if version == 3 else "zarr"
        array = tensorstore.open({"driver": driver, "kvstore": kvstore}, read=True).result()
        np.testing.assert_array_equal(array.read().result(), expected)
        if version == 3:
            assert array.domain.labels == tuple("tczyx")


def test_ome_zarr_py_reads_ours(store):
    pytest.importorskip("ome_zarr")
    from ome_zarr.io import parse_url
    from ome_zarr.reader import Reader

    path, image, _ = store
    (node,) = list(Reader(parse_url(str(path)))())
    for data, expected in zip(node.data, levels_of(image), strict=True):
        np.testing.assert_array_equal(data.compute(), expected)
    assert [axis["name"] for axis in node.metadata["axes"]] == list("tczyx")
    assert node.metadata["channel_names"] == ["stain 0", "stain 1", "stain 2"]
    assert node.metadata["coordinateTransformations"][1][1]["translation"] == [0, 0, 0, 0.25, 0.125]


def test_ngff_zarr_reads_ours(store):
    ngff = pytest.importorskip("ngff_zarr")
    path, image, _ = store
    found = ngff.from_ngff_zarr(str(path))
    for level, expected in zip(found.images, levels_of(image), strict=True):
        assert tuple(level.dims) == tuple("tczyx")
        np.testing.assert_array_equal(level.data.compute(), expected)
    first, second = found.images
    assert (first.scale["x"], first.scale["y"], first.scale["z"]) == (0.25, 0.5, 2)
    assert (second.translation["x"], second.translation["y"], second.scale["x"]) == (0.125, 0.25, 0.5)
    assert first.axes_units["x"] == "micrometer"


def test_validators_take_ours(store):
    zarr, models = pytest.importorskip("zarr"), pytest.importorskip("ome_zarr_models")
    path, _, version = store
    found = models.open_ome_zarr(zarr.open_group(str(path), mode="r"))
    assert found.ome_zarr_version == ("0.5" if version == 3 else "0.4")
    pytest.importorskip("yaozarrs").validate_zarr_store(str(path))


@pytest.mark.parametrize("dtype", ["bool", "int8", "uint8", "int16", "uint32", "int32", "float32", "float64"])
@pytest.mark.parametrize("version", [2, 3])
def test_dtypes_of_ours(dtype, version, tmp_path):
    zarr, tensorstore = pytest.importorskip("zarr"), pytest.importorskip("tensorstore")
    image = an_image(dtype, (1, 1, 2, 70, 65))
    path = written(tmp_path / "a.zarr", image, levels=1, zarr_version=version)
    np.testing.assert_array_equal(zarr.open_array(str(path / "0"), mode="r")[...], image)
    kvstore = {"driver": "file", "path": f"{path / '0'}/"}
    array = tensorstore.open({"driver": {2: "zarr", 3: "zarr3"}[version], "kvstore": kvstore}, read=True).result()
    assert array.dtype.numpy_dtype == np.dtype(dtype)
    np.testing.assert_array_equal(array.read().result(), image)


# -- theirs -----------------------------------------------------------------------------------------------------------


def check(path, image, level=0, **options):
    with BioReader(path, level=level, **options) as br:
        got = br[:]
        np.testing.assert_array_equal(got.reshape(as_bfio(image).shape), as_bfio(image))
        assert got.dtype == image.dtype
        part = (slice(10, 35, 3), slice(5, 30), slice(0, 1))
        np.testing.assert_array_equal(br[part].reshape(9, 25, -1), as_bfio(image)[part].reshape(9, 25, -1))
        return br.ps_x, br.ps_z, br.cnames


TENSORSTORE_2 = {
    "blosc": {"compressor": {"id": "blosc", "cname": "lz4", "clevel": 5, "shuffle": 1}},
    "zlib, slashes": {"compressor": {"id": "zlib", "level": 1}, "dimension_separator": "/"},
    "zstd, big endian": {"compressor": {"id": "zstd", "level": 3}, "dtype": ">u2"},
    "bz2": {"compressor": {"id": "bz2", "level": 1}},
    "plain, order F": {"compressor": None, "order": "F"},
    "shuffled": {"compressor": {"id": "blosc", "cname": "zstd", "clevel": 1, "shuffle": 2}, "order": "F"},
}


@pytest.mark.parametrize("case", TENSORSTORE_2)
def test_tensorstore_writes_version_2(case, tmp_path):
    tensorstore = pytest.importorskip("tensorstore")
    image = an_image()
    metadata = {"chunks": [1, 2, 2, 32, 48], "shape": SHAPE, "dtype": "<u2", **TENSORSTORE_2[case]}
    spec = {"driver": "zarr", "kvstore": {"driver": "file", "path": f"{tmp_path}/a.zarr/"}, "metadata": metadata}
    tensorstore.open(spec, create=True).result().write(image).result()
    check(tmp_path / "a.zarr", image)


def _codecs(*codecs, endian="little"):
    return [{"name": "bytes", "configuration": {"endian": endian}}, *codecs]


ZSTD, GZIP, CRC = (
    {"name": "zstd", "configuration": {"level": 1}}, {"name": "gzip", "configuration": {"level": 5}}, {"name": "crc32c"},
)  # fmt: skip
BLOSC = {"name": "blosc", "configuration": {"cname": "lz4", "clevel": 5, "shuffle": "bitshuffle"}}
TRANSPOSE = {"name": "transpose", "configuration": {"order": [4, 3, 2, 1, 0]}}


def _shards(codecs, **options):
    configuration = {"chunk_shape": [1, 1, 2, 16, 24], "codecs": codecs, **options}
    return [{"name": "sharding_indexed", "configuration": configuration}]


TENSORSTORE_3 = {
    "zstd": _codecs(ZSTD),
    "gzip": _codecs(GZIP),
    "blosc": _codecs(BLOSC),
    "crc32c": _codecs(ZSTD, CRC),
    "big endian": _codecs(ZSTD, endian="big"),
    "transpose": [TRANSPOSE, *_codecs(ZSTD)],
    "shards": _shards(_codecs(ZSTD)),
    "shards, index in front": _shards(_codecs(BLOSC), index_location="start"),
    "shards, transposed": _shards([TRANSPOSE, *_codecs(GZIP)]),
    "shards, index without a sum": _shards(_codecs(), index_codecs=_codecs()),
}


@pytest.mark.parametrize("case", TENSORSTORE_3)
def test_tensorstore_writes_version_3(case, tmp_path):
    tensorstore = pytest.importorskip("tensorstore")
    image = an_image()
    metadata = {
        "shape": SHAPE, "data_type": "uint16", "codecs": TENSORSTORE_3[case],
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [1, 2, 2, 32, 48]}},
    }  # fmt: skip
    spec = {"driver": "zarr3", "kvstore": {"driver": "file", "path": f"{tmp_path}/a.zarr/"}, "metadata": metadata}
    tensorstore.open(spec, create=True).result().write(image).result()
    check(tmp_path / "a.zarr", image)


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_ome_zarr_py_writes(version, tmp_path):
    zarr, _ = pytest.importorskip("zarr"), pytest.importorskip("ome_zarr")
    from ome_zarr.format import FormatV04, FormatV05
    from ome_zarr.io import parse_url
    from ome_zarr.writer import write_image

    image = an_image()
    kind = {"0.4": FormatV04, "0.5": FormatV05}[version]()
    path = str(tmp_path / "a.ome.zarr")
    write_image(
        image, path, axes="tczyx", fmt=kind, scale_factors=[2], scale={"z": 2.0, "y": 0.5, "x": 0.25},
        axes_units=dict.fromkeys("zyx", "micrometer"), storage_options={"chunks": (1, 1, 1, 40, 40)},
    )  # fmt: skip
    size, depth, _ = check(path, image)
    assert (size[0], depth[0]) == (0.25, 2)
    datasets = parse_url(path).root_attrs["multiscales"][0]["datasets"]
    smaller = zarr.open_group(path, mode="r")[datasets[1]["path"]][...]
    with BioReader(path, level=1) as br:
        np.testing.assert_array_equal(br[:], as_bfio(smaller))


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_ngff_zarr_writes(version, tmp_path):
    ngff = pytest.importorskip("ngff_zarr")
    image = an_image()
    scale = {"t": 1, "c": 1, "z": 2.0, "y": 0.5, "x": 0.25}
    one = ngff.to_ngff_image(
        image, dims=list("tczyx"), scale=scale, translation=dict.fromkeys("tczyx", 0.0),
        axes_units=dict.fromkeys("zyx", "micrometer"),
    )  # fmt: skip
    ngff.to_ngff_zarr(
        str(tmp_path / "a.ome.zarr"), ngff.to_multiscales(one, scale_factors=[], chunks=48), version=version
    )
    size, depth, _ = check(tmp_path / "a.ome.zarr", image)
    assert (size[0], depth[0]) == (0.25, 2)


@pytest.mark.parametrize("kind", ["zip", "memory URL"])
def test_zarr_writes_into_other_stores(kind, tmp_path):
    zarr, fsspec = pytest.importorskip("zarr"), pytest.importorskip("fsspec")
    image = an_image()
    source = tmp_path / "a.zarr.zip" if kind == "zip" else "memory://peers/a.zarr"
    store = zarr.storage.ZipStore(source, mode="w") if kind == "zip" else source
    try:
        array = zarr.create_array(store, shape=SHAPE, dtype="u2", chunks=(1, 2, 2, 32, 48))
        array[...] = image
        if kind == "zip":
            store.close()
        check(str(source), image)
    finally:
        if kind != "zip":
            fsspec.filesystem("memory").rm("/peers", recursive=True)


def test_ours_as_a_zip_file(tmp_path):
    """What is written as a folder may be packed: chunks and shards are read out of the zip file."""
    import shutil

    image = an_image()
    path = written(tmp_path / "a.ome.zarr", image, **KINDS["shards"])
    packed = shutil.make_archive(str(tmp_path / "a.ome.zarr"), "zip", path)
    size, _, names = check(packed, image)
    assert size[0] == 0.25 and names == ["stain 0", "stain 1", "stain 2"]


@pytest.mark.parametrize("make", ["store", "group", "array"])
def test_objects_of_zarr(make):
    """What is in memory, and what is open already, is read as well."""
    zarr = pytest.importorskip("zarr")
    image = an_image()
    store = zarr.storage.MemoryStore()
    array = zarr.create_array(store, name="a", shape=SHAPE, dtype="u2", chunks=(1, 2, 2, 32, 48))
    array[...] = image
    source = {"store": store, "group": zarr.open_group(store, mode="r"), "array": array}[make]
    check(source, image)


@pytest.mark.parametrize("kind", ["0.5", "0.4", "shards"])
def test_ours_over_http(kind, tmp_path, http_server):
    pytest.importorskip("aiohttp")
    image = an_image(shape=(1, 2, 2, 101, 70))
    written(tmp_path / "a.ome.zarr", image, **KINDS[kind])
    url = f"{http_server(tmp_path).url}/a.ome.zarr"
    size, _, names = check(url, image)
    assert size[0] == 0.25 and names == ["stain 0", "stain 1"]
    check(url, halve(image), level=1)


def test_zip_files_with_usual_codecs_need_no_zarr(tmp_path):
    import shutil
    import subprocess
    import sys

    image = an_image(shape=(1, 2, 2, 101, 70))
    path = written(tmp_path / "a.ome.zarr", image)
    packed = shutil.make_archive(str(tmp_path / "a.ome.zarr"), "zip", path)
    code = "import sys; sys.modules['zarr'] = None; import bfio\nwith bfio.BioReader(sys.argv[1]) as br: print(br[:].sum())"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code, packed], capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.stdout.strip(), done.stderr) == (str(image.sum()), "")
